// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/run_state_test.cpp: law 6 on GPUs, and between them and CPUs.
#include <doctest/doctest.h>

#include "../checkpoints.hpp"
#include "support.hpp"
#include "support/cuda_double/double.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

/// Frozen and trained layers that GPUs have bodies for: a table, a branch of every element.
using Model = nn::Sequential<
    nn::Frozen<nn::Embedding<11, 6>>, nn::AddPosition<4, 6>,
    nn::Repeat<2, nn::Sequential<nn::Frozen<nn::Residual<nn::Linear<6, 6>>>,
                                 nn::Residual<nn::Sequential<nn::LayerNorm<6>, nn::Linear<6, 6>>>>>,
    nn::LayerNorm<6>, nn::Linear<6, 11>>;
using Case = zoo::Case<Model, nn::CrossEntropy, 4>;
using Mixed = MixedPrecision<bf16, fp32>;

template <class How, class... More> Way gpu_way(const char* name) {
  return {name, How::shard_ranks,
          travel<ShardedRun<Case, How, 1, KeepUnsharded, optim::AdamW, More...>, Case, Cuda>};
}

TEST_CASE("GPU, law 6: what a GPU wrote a CPU reads and writes, and back") {
  const TemporaryDirectory dir;
  const Way replicate = gpu_way<Replicate, Mixed>("Replicate"),
            full = gpu_way<FullShard, Mixed>("FullShard"),
            zero = gpu_way<ShardOptimizer, Mixed>("ShardOptimizer"),
            cpu = way<Case, ShardGradients, Mixed>("ShardGradients");
  const Arrival start = full.travel({.ranks = 2, .to = dir.path() / "0", .steps = 2});
  const SavedState state = saved_state(dir.path() / "0");
  int number = 0;
  for (const Way* each : {&cpu, &replicate, &zero, &full}) {
    INFO(each->name);
    const fs::path from = dir.path() / std::to_string(number),
                   to = dir.path() / std::to_string(++number);
    const Arrival here = each->travel(
        {.ranks = number, .from = from, .to = to, .seed = 3, .async = number % 2 == 0});
    CHECK(same_bits(here.parameters, start.parameters));
    CHECK((saved_state(to).tensors == state.tensors));
    CHECK(saved_state(to).facts.at("step") == "2");
  }
}

TEST_CASE("GPU, law 6: a resumed run is the uninterrupted one, also when steps are replayed") {
  const TemporaryDirectory dir;
  const Way way = gpu_way<FullShard, Mixed>("FullShard");
  const Arrival whole = way.travel({.ranks = 2, .steps = 5});
  way.travel({.ranks = 2, .to = dir.path(), .steps = 3, .async = true});
  const Arrival rest = way.travel({.ranks = 2, .from = dir.path(), .steps = 2, .seed = 3});
  CHECK(same_bits(rest.reports, {whole.reports.begin() + 3, whole.reports.end()}));
  CHECK(same_bits(rest.parameters, whole.parameters));

  // A graph holds the seed of random rounding by value: load() in the middle must forget it.
  using Run = ShardedRun<Case, Replicate, 1, KeepUnsharded, optim::AdamW,
                         MixedPrecision<bf16, bf16>, StochasticRounding, CudaGraph>;
  const fs::path saved = dir.path() / "graph";
  launch<Threads>({.ranks = 1}, [&](Threads& world) {
    auto options = options_of<Run, Case>({.each = 6});
    const auto train = [&](auto& run, int steps) {
      StepReport last;
      for (int i = 0; i < steps; ++i) {
        const zoo::Batch<Case> batch(6, 1 + static_cast<std::uint64_t>(run.steps_done()));
        last = run.step(batch.x(), batch.y());
      }
      return last;
    };
    auto straight = Run::on<Cuda>(world, options);
    train(straight, 3);
    straight.save(saved);
    const StepReport expected = train(straight, 4);
    options.seed = 1001;
    auto other = Run::on<Cuda>(world, options);
    train(other, 4);  // its graph is made
    other.load(saved);
    CHECK(same_bits(train(other, 4), expected));
    CHECK(same_bits(other.gather_parameters(), straight.gather_parameters()));
  });
}

TEST_CASE("GPU, law 6: the loss scale goes on in the GPU's memory") {
  using Run = ShardedRun<Case, Replicate, 1, KeepUnsharded, optim::AdamW,
                         MixedPrecision<fp16, fp32>, DynamicLossScale<(1 << 30), 2, 2, 2>>;
  const TemporaryDirectory dir;
  const auto there = travel<Run, Case, Cuda>;
  const Arrival whole = there({.ranks = 1, .steps = 12});
  there({.ranks = 1, .to = dir.path(), .steps = 8});
  const Arrival rest = there({.ranks = 1, .from = dir.path(), .steps = 4});
  CHECK(whole.reports.front().skipped);
  CHECK(same_bits(rest.reports, {whole.reports.begin() + 8, whole.reports.end()}));
  CHECK(same_bits(rest.parameters, whole.parameters));
}

}  // namespace
