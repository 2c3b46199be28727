// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/copies_test.cpp: every copy of an element is visited by each rank that has one, and padding by nobody.
#include <cohort/run/copies.hpp>

#include <doctest/doctest.h>

#include <cohort/cohort.hpp>
#include <mutex>

#include "support.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

/// How many ranks visit each element of each kind: all of a parameter's the same number, by kind.
template <class How, class... More> std::vector<std::vector<int>> visits(int ranks) {
  using Model = zoo::PartlyFrozen;
  using Plan = typename Trainer<Model, nn::CrossEntropy, DataParallel<How>, More...>::plan_type;
  constexpr std::size_t params = Plan::layout.num_params;
  std::vector<std::vector<std::vector<int>>> seen(4);
  for (auto& kind : seen)
    for (const ParamInfo& p : Plan::layout.params) kind.emplace_back(p.numel, 0);
  std::mutex mutex;
  launch<Threads>({.ranks = ranks}, [&](Threads& world) {
    typename How::template Storage<Plan, Threads> storage(world, {});
    const std::lock_guard lock(mutex);
    detail::for_each_copy<Plan>(storage, [&](int kind, const HeldRun& run, const auto* at) {
      REQUIRE(at != nullptr);
      auto& of = seen[static_cast<std::size_t>(kind)][static_cast<std::size_t>(run.param)];
      REQUIRE(run.first + run.count <= of.size());
      for (std::size_t k = 0; k < run.count; ++k) ++of[run.first + k];
    });
  });
  std::vector<std::vector<int>> by_kind;  // of trained, of frozen parameters
  for (const auto& kind : seen) {
    std::vector<int> counts{-1, -1};
    for (std::size_t i = 0; i < params; ++i)
      for (const int n : kind[i]) {
        int& count = counts[Plan::layout.params[i].trains ? 0 : 1];
        CHECK((count == -1 || count == n));
        count = n;
      }
    by_kind.push_back(counts);
  }
  return by_kind;
}

TEST_CASE("for_each_copy: values, masters and moments, by strategy") {
  using Mixed = MixedPrecision<bf16, fp32>;
  using By = std::vector<std::vector<int>>;  // value, master, two moments: trained, frozen
  CHECK(visits<Replicate>(3) == By{{3, 3}, {0, 0}, {3, 0}, {3, 0}});
  CHECK(visits<Replicate, Mixed>(2) == By{{2, 2}, {2, 0}, {2, 0}, {2, 0}});
  CHECK(visits<ShardOptimizer>(3) == By{{3, 3}, {0, 0}, {0, 0}, {0, 0}});
  CHECK(visits<ShardGradients, Mixed>(4) == By{{4, 4}, {0, 0}, {0, 0}, {0, 0}});
  CHECK(visits<HybridShard<2>>(4) == By{{2, 2}, {0, 0}, {2, 0}, {2, 0}});
  CHECK(visits<HybridShard<2>, Mixed>(4) == By{{0, 2}, {2, 0}, {2, 0}, {2, 0}});
  const By none{{0, 0}, {0, 0}, {0, 0}, {0, 0}};
  CHECK(visits<FullShard>(3) == none);
  CHECK(visits<HybridShard<2>>(2) == none);
  CHECK(visits<Replicate>(1) == none);
}

TEST_CASE("period: which ranks hold the same") {
  using Model = zoo::PartlyFrozen;
  const auto of = []<class How>(int ranks) {
    using Plan = typename Trainer<Model, nn::CrossEntropy, DataParallel<How>>::plan_type;
    return detail::period<Plan>(ranks);
  };
  CHECK(of.operator()<Replicate>(4) == 1);
  CHECK(of.operator()<ShardGradients>(4) == 1);
  CHECK(of.operator()<HybridShard<2>>(4) == 2);
  CHECK(of.operator()<FullShard>(4) == 4);
}

TEST_CASE("held_name: as the optimizer calls its moments") {
  struct Nameless {};
  CHECK(detail::held_name<optim::AdamW>(detail::held_value) == "parameter");
  CHECK(detail::held_name<optim::AdamW>(detail::held_master) == "master");
  CHECK(detail::held_name<optim::AdamW>(detail::held_moment + 1) == "exp_avg_sq");
  CHECK(detail::held_name<Nameless>(detail::held_moment) == "moment 0");
}

}  // namespace
