// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/gpu/worlds_test.cu: what laws_test.cu leaves: NCCL with one rank, shards within groups, fp16's scale, resumed runs.
#include <cohort/checkpoint.hpp>
#include <cohort/cuda.hpp>

#include <doctest/doctest.h>

#if __has_include(<nccl.h>)
#include <cohort/comm/nccl.hpp>
#endif

#include "../run/cuda/support.hpp"
#include "../support/temporary_directory.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using zoo::TiedGptCase;
using Mixed = MixedPrecision<bf16, fp32>;

TEST_CASE("worlds: sharded gradients and groups of two have the bits of replicas") {
  const Setup setup{.ranks = 4, .each = 4, .steps = 3};
  using Wide =
      MixedPrecision<bf16, fp32, fp32>;  // sums in bf16 are rounded within groups, then across
  const auto expected = train_on_gpu<TiedGptRun<Replicate, Wide>, TiedGptCase>(setup);
  CHECK(all_same(train_on_gpu<TiedGptRun<ShardGradients, Wide>, TiedGptCase>(setup), expected[0]));
  CHECK(all_same(train_on_gpu<TiedGptRun<HybridShard<2>, Wide>, TiedGptCase>(setup), expected[0]));
}

/// The first scale overflows, a later one does not: both skip the same steps.
TEST_CASE("worlds: in fp16 the scale falls, and every strategy has the same bits") {
  using Scaled = DynamicLossScale<(1 << 24), 2, 2, 1000>;
  using Half = MixedPrecision<fp16, fp32>;
  const Setup setup{.ranks = 2, .each = 4, .steps = 16};
  const auto expected = train_on_gpu<TiedGptRun<Replicate, Half, Scaled>, TiedGptCase>(setup);
  CHECK(expected[0].reports.front().skipped);
  CHECK(!expected[0].reports.back().skipped);
  CHECK(
      all_same(train_on_gpu<TiedGptRun<FullShard, Half, Scaled>, TiedGptCase>(setup), expected[0]));
}

TEST_CASE("worlds: a run that was saved and loaded goes on with the bits of one that was not") {
  using Run = TiedGptRun<FullShard, Mixed>;
  const TemporaryDirectory dir;
  const Setup setup{.ranks = 2, .each = 4, .steps = 4};
  const auto whole = train_on_gpu<Run, TiedGptCase>(setup);
  std::vector<NamedTensor> parameters;
  StepReport last;
  const auto part = [&](int from, int to) {
    on_gpu<Run>(setup.ranks, options_of<Run, TiedGptCase>(setup), [&](auto& run, GpuWorld& world) {
      if (from > 0) run.load(dir.path().string());
      for (int step = from; step < to; ++step) {
        const auto batch = batch_of<TiedGptCase>(setup, step);
        const int first = world.rank() * setup.each;
        const StepReport report =
            run.step(batch.x().samples(first, setup.each), batch.y().samples(first, setup.each));
        if (world.rank() == 0) last = report;
      }
      if (to < setup.steps) run.save(dir.path().string());
      auto all = run.gather_parameters();
      if (world.rank() == 0) parameters = std::move(all);
    });
  };
  part(0, 2);
  part(2, setup.steps);
  CHECK(same_bits(parameters, whole[0].parameters));
  CHECK(same_bits(last, whole[0].reports.back()));
}

#if __has_include(<nccl.h>)
/// NCCL with one rank, eager or replayed, trains as a thread does.
template <class Run, class Eager> void check_nccl() {
  const Setup setup{.ranks = 1, .each = 4, .steps = 5};
  const auto expected = train_on_gpu<Eager, TiedGptCase>(setup);
  std::vector<NamedTensor> parameters;
  std::vector<StepReport> reports;
  launch<Nccl>({.ranks = 1}, [&](Nccl& world) {
    auto run = Run::on(world, options_of<Run, TiedGptCase>(setup));
    for (int step = 0; step < setup.steps; ++step) {
      const auto batch = batch_of<TiedGptCase>(setup, step);
      reports.push_back(run.step(batch.x(), batch.y()));
    }
    parameters = run.gather_parameters();
  });
  CHECK(same_bits(parameters, expected[0].parameters));
  for (std::size_t i = 0; i < reports.size(); ++i)
    CHECK(same_bits(reports[i], expected[0].reports[i]));
}
TEST_CASE("worlds: NCCL with one rank has the bits of a thread's") {
  check_nccl<TiedGptRun<FullShard>, TiedGptRun<FullShard>>();
}
TEST_CASE("worlds: collectives of NCCL in a graph that is replayed, in bf16") {
  check_nccl<TiedGptRun<Replicate, Mixed, CudaGraph>, TiedGptRun<Replicate, Mixed>>();
}
#endif

}  // namespace
