// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/check_sync_test.cpp: what lies in a GPU's memory is compared as on the CPU.
#include <doctest/doctest.h>

#include "../sync_support.hpp"
#include "support.hpp"
#include "support/cuda_double/double.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

using Case = zoo::GptCase;
using Mixed = MixedPrecision<bf16, fp32>;
template <class How, class... More>
using RunOf = ShardedRun<Case, How, 1, KeepUnsharded, optim::AdamW, More...>;

template <class How, class... More, class F> Said gpu_parted(int ranks, F damage) {
  return parted<RunOf<How, More...>, Case, Cuda>(ranks, damage);
}

TEST_CASE("GPU, check_sync: in sync, one element, one moment, padding") {
  const auto nothing = [](auto&, int) {};
  CHECK(gpu_parted<Replicate>(2, nothing).reports[1].in_sync());
  CHECK(gpu_parted<FullShard, Mixed>(2, nothing).reports[1].in_sync());
  const auto element = [](auto& run, int rank) {
    if (rank == 1) damage_parameter(run, "4.weight", 70);
  };
  for (const Said& said :
       {gpu_parted<Replicate>(2, element), gpu_parted<ShardOptimizer, Mixed>(3, element)}) {
    CHECK(said.same());
    REQUIRE_FALSE(said.reports[0].in_sync());
    CHECK((said.first().what == "parameter" && said.first().name == "4.weight"));
    REQUIRE(said.first().others.size() == 1);
    CHECK((said.first().others[0].rank == 1 && said.first().others[0].first == 70));
    CHECK(said.first().others[0].elements == 1);
  }
  const auto moment = [](auto& run, int rank) {
    if (rank == 3) damage_shard(run, "4.bias", 1, 5);  // whichever of the second copy holds it
    if (rank == 2) damage_shard(run, "4.bias", 1, 5);
  };
  const Said hybrid = gpu_parted<HybridShard<2>, Mixed>(4, moment);
  REQUIRE_FALSE(hybrid.reports[0].in_sync());
  CHECK((hybrid.first().what == "exp_avg_sq" && hybrid.first().name == "4.bias"));
  const auto padding = [](auto& run, int rank) {
    if (rank == 1) damage_parameter(run, "4.bias", 11);
  };
  CHECK(gpu_parted<Replicate>(2, padding).reports[0].in_sync());
}

}  // namespace
