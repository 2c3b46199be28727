// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/averaged_storage_full_test.cpp: averages over the global batch, under further strategies.
#include <doctest/doctest.h>

#include <cohort/run/check_sync.hpp>

#include "../policies/replicated.hpp"
#include "averages.hpp"

using namespace cohort;
using namespace cohort::test;

TEST_CASE("averages: the same bits with part of the state in shards, on a worker or not [full]") {
  using Case = zoo::AveragingCase;
  for (const int ranks : {1, 2, 3, 5}) {
    check_like_replicate<Case, ShardOptimizer, 2>(ranks, {StreamMode::worker});
    check_like_replicate<Case, ShardGradients, 2>(ranks, {StreamMode::on_compute_thread});
  }
  check_like_replicate<Case, HybridShard<2>, 2>(4, {StreamMode::worker});
}

namespace {

using Case = zoo::AveragingCase;
template <class How, int N = 1, class... More>
using RunOf = ShardedRun<Case, How, N, KeepUnsharded, optim::AdamW, More...>;

TEST_CASE("averages: weights in one file, also in bf16 runs, where they stay fp32 [full]") {
  using Run = RunOf<FullShard, 1, MixedPrecision<bf16, fp32>>;
  TemporaryDirectory dir;
  const std::string file = (dir / "model.safetensors").string();
  on_ranks<Run>(2, options_of<Run, Case>({}), [&](auto& run, World&) {
    std::vector<float> values{0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 1.0f / 3};
    run.set_parameter("0.mean", values);
    run.save_full(file);
    const auto before = run.gather_parameters();
    CHECK(before[0].values == values);
    run.set_parameter("0.mean", std::vector<float>(6, 7.0f));
    CHECK_FALSE(same_bits(run.gather_parameters(), before));
    CHECK(run.load_full(file).unused.empty());
    CHECK(same_bits(run.gather_parameters(), before));
  });
}

TEST_CASE("averages: check_sync finds what one rank of ShardOptimizer changed [full]") {
  using Run = RunOf<ShardOptimizer>;
  on_ranks<Run>(3, options_of<Run, Case>({}), [](auto& run, World& world) {
    std::vector<float> values(5, 0.5f);
    if (world.rank() == 1) values[3] = 0.25f;
    run.set_parameter("3.1.inner.0.variance", values);
    const SyncReport seen = check_sync(run);
    if (world.rank() != 0) return;
    CHECK(seen.differing == 1);
    CHECK(seen.first->name == "3.1.inner.0.variance");
  });
}

}  // namespace
