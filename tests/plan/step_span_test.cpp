// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/plan/step_span_test.cpp: every activity has its own name.
#include <cohort/plan/step_span.hpp>

#include <doctest/doctest.h>

#include <set>
#include <string_view>

using namespace cohort;

TEST_CASE("Activity: names are the enumerators', each its own") {
  CHECK(name(Activity::step) == "step");
  CHECK(name(Activity::backward) == "backward");
  CHECK(name(Activity::operation) == "operation");
  std::set<std::string_view> names;
  for (int i = 0; i <= static_cast<int>(Activity::operation); ++i)
    names.insert(name(static_cast<Activity>(i)));
  CHECK(names.size() == 1 + static_cast<std::size_t>(Activity::operation));
  CHECK(names.count("") == 0);
}
