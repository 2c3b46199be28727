// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/in_sync.hpp: what the tests of check_sync ask of every strategy, in both tiers.
#pragma once
#include <doctest/doctest.h>

#include "sync_support.hpp"

namespace cohort::test::in_sync {

using Mixed = MixedPrecision<bf16, fp32>;
template <class Case, class How, class... More>
using SyncRun = ShardedRun<Case, How, 1, KeepUnsharded, optim::AdamW, More...>;
inline const auto nothing = [](auto&, int) {};

template <class Case, class How, class... More> void stays_in_sync(int ranks, int copies) {
  CAPTURE(ranks);
  const Said said = parted<SyncRun<Case, How, More...>, Case>(ranks, nothing);
  CHECK(said.same());
  for (const SyncReport& report : said.reports) {
    CHECK(report.in_sync());
    CHECK((report.ranks == ranks && report.copies == copies));
    CHECK((report.step == 2 && report.differing == 0));
    CHECK((report.tensors == 0) == (copies == 1));
  }
  for (const std::string& error : said.errors) CHECK(error.empty());
}

/// Changes three elements on rank `bad`; the first in declaration order is found and named on every rank.
template <class Case, class How, class... More> void finds_what_was_changed(int ranks, int bad) {
  CAPTURE(ranks);
  std::atomic<double> old{0};
  const Said said = parted<SyncRun<Case, How, More...>, Case>(ranks, [&](auto& run, int rank) {
    if (rank != bad) return;
    old = damage_parameter(run, "7.weight", 38);
    damage_parameter(run, "7.weight", 65);
    damage_parameter(run, "7.bias", 0);  // is behind it in declaration order
  });
  CHECK(said.same());
  REQUIRE_FALSE(said.reports[0].in_sync());
  const Difference& d = said.first();
  CHECK((d.what == "parameter" && d.name == "7.weight" && d.elements == 66));
  REQUIRE((d.others.size() == 1 && d.others[0].rank == bad));
  CHECK(static_cast<int>(d.ranks.size()) == ranks - 1);
  CHECK((d.others[0].elements == 2 && d.others[0].first == 38));
  CHECK(d.others[0].expected == old.load());
  CHECK(d.others[0].hash != d.hash);
  for (int r = 0; r < ranks; ++r) {
    const std::string& error = said.errors[static_cast<std::size_t>(r)];
    CHECK_MESSAGE(error.starts_with("cohort: rank " + std::to_string(r) + ": require_sync: rank " +
                                    std::to_string(bad) + " differs from rank"),
                  error);
    CHECK(error.find(" in parameter '7.weight': 2 of 66 elements, the first at 38: ") !=
          std::string::npos);
    CHECK(error.find("load() makes ranks equal again") != std::string::npos);
  }
}
inline const auto padding = [](auto& run, int rank) {
  if (rank == 1) damage_parameter(run, "7.bias", 11);  // behind the last of 11
  if (rank == 1) damage_parameter(run, "0.weight", 66);
};

/// The one difference that damage(run, rank) makes: what, name, rank, elements, the first.
template <class Case, class How, class... More, class F> std::string found(int ranks, F damage) {
  const Said said = parted<SyncRun<Case, How, More...>, Case>(ranks, damage);
  CHECK(said.same());
  REQUIRE_FALSE(said.reports[0].in_sync());
  CHECK(said.reports[0].differing == 1);
  REQUIRE(said.first().others.size() == 1);
  const Difference& d = said.first();
  return d.what + " " + d.name + " " + std::to_string(d.others[0].rank) + " " +
         std::to_string(d.others[0].elements) + " " + std::to_string(d.others[0].first);
}
/// Changes an element of a moment, or of what the optimizer updates (-1), on rank 2.
inline auto moment(int m) {
  return [m](auto& run, int rank) {
    if (rank == 2) damage_shard(run, "5.weight", m, 4);
  };
}

}  // namespace cohort::test::in_sync
