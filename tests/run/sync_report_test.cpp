// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/sync_report_test.cpp: what a report says in words.
#include <cohort/run/sync_report.hpp>

#include <doctest/doctest.h>

#include <numeric>

using namespace cohort;

namespace {

TEST_CASE("SyncReport: in sync") {
  CHECK(SyncReport{}.text() == "in sync: step, loss scale and options agree on 1 rank");
  const SyncReport report{4, 2, 12, 0, 7, {}};
  CHECK(report.in_sync());
  CHECK(report.text() ==
        "in sync after step 7: 12 tensors have the same bits on the 2 ranks that hold each; step, "
        "loss scale and options agree on 4 ranks");
}

TEST_CASE("SyncReport: the first difference") {
  SyncReport report{4, 4, 12, 1, 7, Difference{"parameter", "1.weight", {0, 1, 3}, 0xab, 64, {}}};
  report.first->others = {{2, 0xcd, 3, 17, 0.5, 0.25}};
  CHECK_FALSE(report.in_sync());
  CHECK(report.text() ==
        "rank 2 differs from ranks 0, 1 and 3 in parameter '1.weight': 3 of 64 elements, the first "
        "at 17: 0.25 instead of 0.5 (hash 00000000000000cd, not 00000000000000ab), after step 7");
  report.differing = 5;
  report.first->what = "exp_avg";
  report.first->ranks = {0};
  report.first->others.push_back({3, 0xee, 1, 2, 1, 2});
  CHECK(report.text() ==
        "rank 2 differs from rank 0 in exp_avg of '1.weight': 3 of 64 elements, the first at 17: "
        "0.25 instead of 0.5 (hash 00000000000000cd, not 00000000000000ab); rank 3: 1 of 64 "
        "elements, the first at 2: 2 instead of 1 (hash 00000000000000ee, not 00000000000000ab); 5 "
        "tensors differ in all, after step 7");
  for (int r = 4; r < 8; ++r) report.first->others.push_back({r, 0, 1, 0, 0, 0});
  CHECK(report.text().find("; 2 more ranks; 5 tensors") != std::string::npos);
}

TEST_CASE("SyncReport: a number that belongs to no parameter") {
  SyncReport report{2, 2, 12, 0, 7, Difference{"step", "", {0}, 7, 1, {{1, 8, 1, 0, 7, 8}}}};
  CHECK(report.text() == "rank 1 differs from rank 0 in step: 8 instead of 7, after step 7");
}

TEST_CASE("numbers and ranks: what digits do not tell apart is told by bits; long lists are cut") {
  CHECK(detail::number_text(0.1f, 0.2f) == "0.100000001");
  CHECK(detail::number_text(-0.0, 0.0) == "-0");
  CHECK(detail::number_text(1.0, 1.0 + 1e-12).find("0x3ff0000000000000") != std::string::npos);
  std::vector<int> ranks(511);
  std::iota(ranks.begin(), ranks.end(), 1);
  CHECK(detail::ranks_text(ranks) == "ranks 1, 2, 3, 4, 5, 6, 7, 8 and 503 more");
  CHECK(detail::ranks_text({1, 2}) == "ranks 1 and 2");
  CHECK(detail::ranks_text({5}) == "rank 5");
}

}  // namespace
