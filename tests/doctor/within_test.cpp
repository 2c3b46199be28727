// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/doctor/within_test.cpp: what is late is left behind, what throws gives nothing.
#include <cohort/doctor/within.hpp>

#include <doctest/doctest.h>

#include <future>
#include <memory>
#include <stdexcept>

using cohort::checkup::within;
using namespace std::chrono_literals;

TEST_CASE("within: the result; nothing if it throws") {
  CHECK(within(10s, [] { return 7; }) == 7);
  CHECK_FALSE(within(10s, []() -> int { throw std::runtime_error("no"); }));
}

TEST_CASE("within: what is late is not waited for, and may end later") {
  const auto gate = std::make_shared<std::promise<void>>();
  const auto ended = std::make_shared<std::promise<void>>();
  const auto begin = std::chrono::steady_clock::now();
  const auto result = within(20ms, [gate, ended] {
    gate->get_future().wait();
    ended->set_value();
    return 1;
  });
  CHECK_FALSE(result);
  CHECK(std::chrono::steady_clock::now() - begin >= 20ms);
  gate->set_value();
  CHECK(ended->get_future().wait_for(10s) == std::future_status::ready);
}
