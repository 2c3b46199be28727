// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/run_state_full_test.cpp: law 6 over all pairs of strategies and of 1, 2, 3, 4 and 8 ranks,
// and what run_state_test.cpp asks of a smaller model.
#include <doctest/doctest.h>

#include <cohort/run/run_state.hpp>

#include "journeys.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

constexpr int rank_counts[] = {1, 2, 3, 4, 8};

/// The loss of the same rows on another number of ranks: every row's loss is an fp32 number that meets
/// `additions` roundings of at most eps / 2 of it in the products on its way, in another order.
template <class Case> double loss_tolerance(double loss) {
  double additions = 0;
  cohort::for_each_parameter<typename Case::Model>([&]<class P>(int) { additions += P::cols; });
  return std::numeric_limits<float>::epsilon() * additions * std::abs(loss);
}

/// Every strategy and world writes a state, every strategy and world reads it, writes it again, and
/// goes on: the same state; at equal worlds the same bits as without a checkpoint, else the same loss
/// within rounding (of what it computes in).
template <class Case, class... More> void check_pairs(double precision) {
  INFO(std::string(Case::name()));
  const TemporaryDirectory dir;
  int pairs = 0;
  for (const Way& a : all_ways<Case, More...>()) {
    for (const int n : rank_counts) {
      if (!a.fits(n)) continue;
      const fs::path from = dir.path() / "from", to = dir.path() / "to";
      const Arrival whole = a.travel({.ranks = n, .steps = 4});
      const Arrival left = a.travel({.ranks = n, .to = from, .steps = 3});
      const SavedState state = saved_state(from);
      for (const Way& b : all_ways<Case, More...>()) {
        for (const int m : rank_counts) {
          if (!b.fits(m)) continue;
          INFO(a.name << " on " << n << " to " << b.name << " on " << m);
          const Arrival here = b.travel({.ranks = m, .from = from, .to = to, .seed = 5});
          CHECK((saved_state(to) == state));
          CHECK(same_bits(here.parameters, left.parameters));
          fs::remove_all(to);
          const Arrival next = b.travel({.ranks = m, .from = from, .steps = 1, .seed = 5});
          const double loss = whole.reports[3].loss;
          if (n == m && (precision == 1 || a.shard_ranks == b.shard_ranks))
            CHECK(same_bits(next.parameters, whole.parameters));
          CHECK(std::abs(next.reports[0].loss - loss) <= precision * loss_tolerance<Case>(loss));
          ++pairs;
        }
      }
      fs::remove_all(from);
    }
  }
  MESSAGE(std::string(Case::name()) << ": " << pairs << " pairs");
  CHECK(pairs == 23 * 23);
}

TEST_CASE("law 6: all pairs, fp32 [full]") { check_pairs<zoo::PartlyFrozenCase>(1); }
TEST_CASE("law 6: all pairs, bf16 over fp32 masters [full]") {
  // bf16 rounds 2^16 times more coarsely than fp32
  check_pairs<zoo::HugeAndTinyCase, MixedPrecision<bf16, fp32>>(65536);
}

TEST_CASE("law 6: save -> load is the identity, parts of everything frozen [full]") {
  check_chain<zoo::PartlyFrozenCase>();
  check_chain<zoo::PartlyFrozenCase, MixedPrecision<bf16, fp32>>();
}
TEST_CASE("law 6: a resumed run is the uninterrupted one, parts of everything frozen [full]") {
  check_resumed_runs<zoo::PartlyFrozenCase>();
  const auto wide = all_ways<zoo::PartlyFrozenCase>();  // 16-bit reductions differ in HybridShard
  check_resumed(wide[2], wide[4], 4);
}

}  // namespace
