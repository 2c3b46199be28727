// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/gpt2_test.cpp: what a step of GPT-2 124M asks of its communicator is what its plan says. The
// double queues nothing here: only the host's part of the step runs.
#include <doctest/doctest.h>

#include "../../../examples/gpt2_model.hpp"
#include "support.hpp"
#include "support/cuda_double/double.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using Size = example::Gpt2_124M;
// Weights of zeros: to draw those of GPT-2 takes half a minute.
using Zeros = init::Zeros;
constexpr int layers = Size::layers, width = Size::width;
using Model = nn::TiedEmbedding<
    example::gpt2_vocabulary, width,
    nn::Sequential<nn::AddPosition<example::gpt2_tokens, width, Zeros>,
                   nn::Repeat<layers, example::Gpt2Block<layers, width, Size::heads, Zeros, Zeros>>,
                   nn::LayerNorm<width>>,
    Zeros>;
template <class How, class... Ps>
using RunOf = Trainer<Model, example::Gpt2Loss, DataParallel<How>, MixedPrecision<bf16, fp32>,
                      ClipGradNorm, Ps...>;

/// As a recorder on one of `ranks` ranks would log the plan of a step.
template <class Run> std::vector<Collective> planned_for(int ranks) {
  using Plan = typename Run::template plan_on<Cuda>;
  std::vector<Collective> calls;
  Plan::for_each_micro_batch([&]<MicroBatch M>() {
    for (const Op& op : Plan::template program<M>) {
      const CollectiveKind kind = op.kind == OpKind::reduce_scatter ? CollectiveKind::reduce_scatter
                                  : op.kind == OpKind::all_gather   ? CollectiveKind::all_gather
                                                                    : CollectiveKind::all_reduce;
      calls.push_back({kind, op.dtype, Plan::issued(op, ranks).count, 0});
    }
  });
  return calls;
}
template <class Run> void calls_are_planned(int ranks) {
  constexpr int tokens = 1024;
  cuda_double::set_execute(false);
  const typename Run::options options{.seed = 1, .batch = 2, .tokens = tokens};
  on_gpu<Run>(ranks, options, [&](auto& run, GpuWorld&) {
    run.communicator().clear();
    const std::vector<int> x(2 * tokens), y(2 * tokens);
    run.enqueue(Tokens{x.data(), {2, tokens}}, Tokens{y.data(), {2, tokens}});
    const auto log = run.communicator().log();
    CHECK(copy_of(log) == planned_for<Run>(ranks));
  });
  cuda_double::reset();
}

TEST_CASE("GPT-2 124M: the collectives of Replicate are the plan's: its buckets and the loss") {
  using Run = RunOf<Replicate>;
  static_assert(Size::parameters == 124'475'904);
  static_assert(subtree<Model>().trained == subtree<Size::Model>().trained);
  static_assert(subtree<Model>().trained == Size::parameters);  // 768 is a whole number of chunks
  const int calls = Run::plan_on<Cuda>::num_collectives();  // buckets of 25 MiB at least, the loss
  CHECK((calls > 4 && calls <= 1 + 1 + 237 / 25));
  calls_are_planned<Run>(1);
}

TEST_CASE("GPT-2 124M: the collectives of FullShard are the plan's, on two ranks") {
  using Run = RunOf<FullShard, GradAccum<2>>;
  calls_are_planned<Run>(2);
}

}  // namespace
