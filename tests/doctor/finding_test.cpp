// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/finding_test.cpp: verdicts, words and numbers.
#include <cohort/doctor/finding.hpp>

#include <doctest/doctest.h>

using namespace cohort;
using checkup::Findings;

TEST_CASE("finding: verdicts have names and an order") {
  CHECK(name(Verdict::ok) == "ok");
  CHECK(name(Verdict::note) == "note");
  CHECK(name(Verdict::warning) == "warning");
  CHECK(name(Verdict::problem) == "problem");
  CHECK(worst({}) == Verdict::ok);
  Findings out("area");
  out.ok("a", "1");
  out.problem("b", "2", "B.");
  out.warning("c", "3", "C.");
  out.note("d", "4", "D.");
  const auto all = out.take();
  CHECK(worst(all) == Verdict::problem);
  CHECK(worst({all[0], all[3]}) == Verdict::note);
  CHECK(all[1] == Finding{"area", "b", "2", Verdict::problem, "B."});
  CHECK(all[0].fix.empty());
}

TEST_CASE("finding: one core, two cores; lists") {
  CHECK(checkup::counted(1, "core") == "1 core");
  CHECK(checkup::counted(0, "core") == "0 cores");
  CHECK(checkup::counted(1, "process", "processes") == "1 process");
  CHECK(checkup::counted(2, "process", "processes") == "2 processes");
  CHECK(checkup::listed({}) == "");
  CHECK(checkup::listed({"a", "b"}) == "a, b");
  CHECK(checkup::listed({"a", "b"}, " or ") == "a or b");
}
