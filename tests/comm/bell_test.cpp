// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/bell_test.cpp: a ring is never lost, and no sleep lasts longer than asked.
#include <cohort/comm/bell.hpp>

#include <doctest/doctest.h>

#include <thread>
#include <vector>

using namespace std::chrono_literals;
using cohort::detail::Bell;

namespace {

using Clock = std::chrono::steady_clock;

TEST_CASE("Bell: a sleep ends at its limit when nobody rings") {
  Bell bell;
  const auto begin = Clock::now();
  const auto deadline = begin + 30ms;
  while (Clock::now() < deadline) bell.sleep(bell.value(), deadline - Clock::now());
  CHECK(Clock::now() - begin >= 30ms);
}

TEST_CASE("Bell: a ring after value() was read ends the sleep on that value") {
  Bell bell;
  const std::uint32_t seen = bell.value();
  bell.ring();
  const auto begin = Clock::now();
  bell.sleep(seen, 60s);  // would last a minute if the ring were lost
  CHECK(Clock::now() - begin < 30s);
}

TEST_CASE("Bell: one ring wakes every sleeper") {
  Bell bell;
  std::atomic<bool> open{false};
  std::vector<std::jthread> sleepers;
  for (int i = 0; i < 8; ++i) {
    sleepers.emplace_back([&] {
      for (auto seen = bell.value(); !open.load(); seen = bell.value()) bell.sleep(seen, 60s);
    });
  }
  std::this_thread::sleep_for(5ms);
  const auto begin = Clock::now();
  open.store(true);
  bell.ring();
  sleepers.clear();
  CHECK(Clock::now() - begin < 30s);
}

TEST_CASE("Bell: two threads that take turns lose no ring") {
  Bell bell;
  std::atomic<int> turn{0};
  const int rounds = 2000;
  const auto play = [&](int me) {
    for (int k = 0; k < rounds; ++k) {
      for (auto seen = bell.value(); turn.load() != 2 * k + me; seen = bell.value()) {
        bell.sleep(seen, 60s);
      }
      turn.store(2 * k + me + 1);
      bell.ring();
    }
  };
  const auto begin = Clock::now();
  std::jthread other(play, 1);
  play(0);
  other.join();
  CHECK(turn.load() == 2 * rounds);
  CHECK(Clock::now() - begin < 50s);  // one lost ring costs a minute
}

}  // namespace
