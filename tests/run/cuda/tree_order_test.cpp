// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/tree_order_test.cpp: over NCCL, whose double adds in another order, trainings have the bits of Threads.
#include <cohort/policies/tree_order.hpp>

#include <doctest/doctest.h>

#include "agreement.hpp"
#include "support/nccl_double/ranks.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using zoo::DroppingNormedCase;
using zoo::TiedGptCase;
using Bf16 = MixedPrecision<bf16, fp32>;

static_assert(detail::adds_in_tree_order<Nccl, Cuda> && detail::adds_in_tree_order<Threads, Cuda>);
static_assert(std::is_same_v<detail::Machine<Nccl, Cuda, true>::Comm, InTreeOrder<NcclStream>> &&
              std::is_same_v<detail::Machine<Nccl, Cuda, false>::Comm, NcclStream> &&
              std::is_same_v<detail::Machine<Recorder<Nccl>, Cuda, true>::Comm,
                             Recorder<InTreeOrder<NcclStream>>> &&
              std::is_same_v<detail::Machine<Threads, Cuda, true>::Comm, SharedGpu>);

/// A world of NCCL that has collectives on a GPU's stream and cannot exchange slices.
struct OrderOfItsOwn : Nccl {
  struct Stream : SharedGpu {
    static constexpr bool sums_in_tree_order = false;
  };
  Stream on(cudaStream_t) const;
};
static_assert(!detail::adds_in_tree_order<OrderOfItsOwn, Cuda>);

/// train_on_gpu() on ranks with a GPU each, over NCCL.
template <class Run, class Case> std::vector<Trace> train_on_nccl(const Setup& setup) {
  const test::Machine machine;
  std::vector<Trace> traces(static_cast<std::size_t>(setup.ranks));
  on_gpus(setup.ranks, [&](Nccl& gpus) {
    Recorder<Nccl> world(gpus.duplicate(), 8192);
    auto run = Run::template on<Cuda>(world, options_of<Run, Case>(setup));
    traces[static_cast<std::size_t>(world.rank())] = trace_of<Case>(run, world.rank(), setup);
  });
  return traces;
}
template <class Case, class How, class... Ps> std::vector<Trace> ordered(const Setup& setup) {
  return train_on_nccl<RunOf<Case, How, TreeOrder, Ps...>, Case>(setup);
}

TEST_CASE(
    "NCCL, law 2: with TreeOrder every strategy gives the bits of threads, clipping included") {
  const Setup setup{.ranks = 3, .each = 2, .steps = 2};
  const auto expected = train_on_gpu<RunOf<TiedGptCase, FullShard>, TiedGptCase>(setup);
  CHECK_FALSE(same_bits(expected[0].start, expected[0].parameters));
  const auto replicated = ordered<TiedGptCase, Replicate>(setup);
  CHECK(all_same(replicated, expected[0]));
  const auto sharded = ordered<TiedGptCase, FullShard>(setup);
  CHECK(all_same(sharded, expected[0]));
  CHECK(sharded[0].calls == expected[0].calls);
}

TEST_CASE("NCCL, law 2: in bf16, reduced in bf16 and summed in fp32; groups of two, twice") {
  const Setup setup{.ranks = 4, .each = 2, .steps = 2};
  const auto expected =
      train_on_gpu<RunOf<TiedGptCase, HybridShard<2>, GradAccum<2>, Bf16>, TiedGptCase>(setup);
  CHECK(all_same(ordered<TiedGptCase, HybridShard<2>, GradAccum<2>, Bf16>(setup), expected[0]));
}

TEST_CASE("NCCL: Reproducible, the bits of four ranks on one, two and four; drops, averages") {
  using Case = DroppingNormedCase;
  const auto expected =
      train_on_gpu<RunOf<Case, Replicate>, Case>({.ranks = 4, .each = 3, .steps = 3});
  for (const int ranks : {1, 2, 4}) {
    CAPTURE(ranks);
    const Setup setup{.ranks = ranks, .each = 12 / ranks, .steps = 3};
    const auto all = train_on_nccl<RunOf<Case, FullShard, Reproducible<4>>, Case>(setup);
    CHECK(all_same(all, expected[0]));
  }
}

TEST_CASE("NCCL: a replayed graph has the tree's bits; a rank that is gone ends every other") {
  using Run = RunOf<TiedGptCase, FullShard, TreeOrder, CudaGraph>;
  const Setup setup{.ranks = 2, .each = 2, .steps = 4};
  const auto expected = train_on_gpu<RunOf<TiedGptCase, FullShard>, TiedGptCase>(setup);
  CHECK(all_same(train_on_nccl<Run, TiedGptCase>(setup), expected[0]));
  const test::Machine machine;
  Outcome seen;
  observe(seen, 2, [&](Nccl& gpus) {
    Recorder<Nccl> world(gpus.duplicate(), 8192);  // one type of run less to compile
    auto run = Run::template on<Cuda>(world, options_of<Run, TiedGptCase>(setup));
    for (int step = 0; step < setup.steps; ++step) {
      const auto batch = batch_of<TiedGptCase>(setup, step);
      if (step == 2 && world.rank() == 1) throw Boom("gone");
      run.step(batch.x().samples(2 * world.rank(), 2), batch.y().samples(2 * world.rank(), 2));
    }
  });
  CHECK(seen.rethrown == "gone");
  CHECK(seen.kinds == std::vector<char>{'p', 'o'});
}

TEST_CASE("NCCL, law 5: the GPUs' peak is the plan's with what is exchanged, to the byte") {
  const auto check = []<class Run>(int ranks) {
    constexpr auto plan = typename Run::template plan_on<Cuda>{};
    const std::size_t most = plan.exchange_bytes(ranks);
    CHECK(most > 0);
    CHECK(plan.exchange_bytes(1) == 0);
    const test::Machine machine;
    Wrong wrong;
    on_gpus(ranks, [&](Nccl& gpus) {
      Recorder<Nccl> world(gpus.duplicate(), 8192);
      world.barrier();
      const std::size_t before = cuda_double::device_memory().live_bytes;
      if (world.rank() == 0) cuda_double::reset_peaks();
      world.barrier();
      const Setup setup{.ranks = ranks, .each = 2};
      auto run = Run::template on<Cuda>(world, options_of<Run, TiedGptCase>(setup));
      const auto batch = batch_of<TiedGptCase>(setup, 0);
      const int first = 2 * world.rank();
      for (int s = 0; s < 2; ++s)
        run.step(batch.x().samples(first, 2), batch.y().samples(first, 2));
      world.barrier();
      const std::size_t took = cuda_double::device_memory().peak_bytes - before;
      wrong.unless(run.memory().exchange == most);
      wrong.unless(took == static_cast<std::size_t>(ranks) * run.memory().total());
      world.barrier();
    });
    CHECK(wrong.ranks == 0);
  };
  check.template operator()<RunOf<TiedGptCase, Replicate, TreeOrder>>(2);
  check.template operator()<RunOf<TiedGptCase, FullShard, TreeOrder>>(3);
}

}  // namespace
