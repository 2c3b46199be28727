// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor_test.cpp: the whole check-up, of this machine and of an empty one.
#include <cohort/doctor.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <set>

#include "support/fake_system.hpp"

using namespace cohort;

namespace {
std::vector<Finding> own(const checkup::System&) {
  return {{"own", "check", "7", Verdict::problem, "Do."}};
}
}  // namespace

static_assert(Check<decltype(&own)>);
static_assert(!Check<int>);
static_assert(!Check<checkup::System>);
static_assert(!Check<int (*)(const checkup::System&)>);

TEST_CASE("doctor: every area, each finding but ok with what helps, in bounded time") {
  const auto begin = std::chrono::steady_clock::now();
  const auto all = doctor();
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(20));  // on a busy machine
  CHECK(test::all_say_what_helps(all));
  std::set<std::string> areas;
  for (const Finding& finding : all) areas.insert(finding.area);
  for (const char* area : {"cores", "instructions", "memory", "system", "programs", "launcher",
                           "variables", "network", "GPUs", "disk"}) {
    CAPTURE(area);
    CHECK(areas.count(area) == 1);
  }
}

TEST_CASE("doctor: checks that are handed in add theirs") {
  const auto all = doctor(own);
  CHECK(worst(all) == Verdict::problem);
  CHECK(test::found(all, "check").area == "own");
  test::FakeSystem fake;
  CHECK(test::found(doctor(fake.system, own, own), "check").found == "7");
}

TEST_CASE("doctor: a system with no files and no variables has no problem, only less to say") {
  test::FakeSystem fake;
  const auto all = doctor(fake.system);
  CHECK(worst(all) == Verdict::warning);  // no /dev/shm, no compiler
  CHECK(test::all_say_what_helps(all));
}
