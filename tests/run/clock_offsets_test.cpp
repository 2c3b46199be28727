// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/clock_offsets_test.cpp: the offset of a clock is inside the bounds that are given for it.
#include <cohort/run/clock_offsets.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>

using namespace cohort;
using namespace cohort::detail;

namespace {

TEST_CASE("ClockBounds: meetings narrow the offset down; what may be one clock is one") {
  ClockBounds bounds;  // mine is 1000 ahead
  bounds.add({100, 200}, {1120, 1190});
  CHECK(bounds.offset().ahead == 1005);  // between 920 and 1090
  CHECK(bounds.offset().error == 85);
  bounds.add({300, 310}, {1290, 1320});
  CHECK(bounds.offset().ahead == 1000);  // between 980 and 1020
  CHECK(bounds.offset().error == 20);
  bounds.add({400, 900}, {1400, 1900});  // a slow meeting says nothing new
  CHECK(bounds.offset().error == 20);

  ClockBounds same;
  same.add({100, 200}, {110, 190});
  CHECK(same.offset().ahead == 0);
  CHECK(same.offset().error == 0);
}

std::int64_t real_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

TEST_CASE("clock_offsets: skewed clocks are found within their bounds, one clock exactly") {
  constexpr std::int64_t skew[] = {0, 3'000'000'000, -777'000'000'000, 0};
  launch<Threads>({.ranks = 4}, [&](Threads& world) {
    const auto mine = skew[world.rank()];
    const auto offsets = clock_offsets(world, [&] { return real_ns() + mine; });
    REQUIRE(offsets.size() == 4);
    for (std::size_t r = 0; r < 4; ++r) {
      CAPTURE(r);
      const std::int64_t wrong = offsets[r].ahead - skew[r];
      CHECK(wrong <= offsets[r].error);
      CHECK(-wrong <= offsets[r].error);
      if (skew[r] == 0) CHECK(offsets[r].ahead == 0);
    }
  });
}

}  // namespace
