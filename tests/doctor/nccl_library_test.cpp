// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/nccl_library_test.cpp: versions of NCCL, compiled for and loaded.
#include <cohort/doctor/nccl_library.hpp>

#include <doctest/doctest.h>

#include "../support/fake_system.hpp"

using namespace cohort;
using test::contains;

namespace {
Finding of(int library, int header) {
  const auto all = checkup::nccl_findings(library, header);
  CHECK(test::all_say_what_helps(all));
  return all.front();
}
}  // namespace

TEST_CASE("nccl_library: versions as NCCL writes them, before 2.9 and after") {
  CHECK(checkup::detail::nccl_version(22809) == "2.28.9");
  CHECK(checkup::detail::nccl_version(2804) == "2.8.4");
}

TEST_CASE("nccl_library: the same, newer, older, too old, none") {
  CHECK(of(22809, 22809).verdict == Verdict::ok);
  CHECK(of(22809, 22809).found == "2.28.9");
  CHECK(of(22901, 22809).verdict == Verdict::ok);
  CHECK(of(22703, 22809).verdict == Verdict::warning);
  CHECK(of(22703, 22809).found == "2.27.3, but this program was compiled for 2.28.9");
  CHECK(of(22609, 22809).verdict == Verdict::problem);
  CHECK(of(30101, 22809).verdict == Verdict::problem);
  CHECK(of(0, 22809).verdict == Verdict::problem);
}

TEST_CASE("nccl_library: asks the library") {
  const auto all = checkup::nccl(checkup::System{});
  REQUIRE(all.size() == 1);
  CHECK(all[0].verdict == Verdict::ok);
}
