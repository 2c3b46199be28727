// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/capture_test.cpp: on the host a step is done when it is queued, every time.
#include <cohort/run/capture.hpp>

#include <doctest/doctest.h>

#include <cohort/device/cpu.hpp>

using namespace cohort;

namespace {

struct FakePlan {
  struct slots {
    using capture = Eager;
  };
};

TEST_CASE("Capture: the host runs each step once") {
  detail::Capture<FakePlan, int, DefaultCpu> capture(0);
  int runs = 0;
  for (int i = 0; i < 3; ++i) capture(1, [&] { ++runs; });
  CHECK(runs == 3);
}

}  // namespace
