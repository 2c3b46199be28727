// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/mpi/interrupt_test.cpp: a signal that reaches one process stops all of them after the same step.
#include <doctest/doctest.h>
#include <cohort/io/interrupt.hpp>

#include "support.hpp"

#include <csignal>
#include <cstddef>
#include <cstdint>
#include <vector>

using namespace cohort;

namespace {

TEST_CASE("agreed: one process is told to stop, all stop after the same step") {
  for (const int number : {SIGINT, SIGTERM}) {
    for (int told = 0; told < test::num_processes(); ++told) {
      const io::Interrupt interrupt;
      test::on_processes([&](Mpi& world) {
        std::int32_t steps = 0;
        int signal = 0;
        while (signal == 0) {
          ++steps;
          if (steps == 3 && world.rank() == told) std::raise(number);
          signal = io::agreed(world);
        }
        CHECK(signal == number);
        CHECK((io::Interrupt::signal() == number) == (world.rank() == told));
        std::vector<std::int32_t> all(std::size_t(world.size()));
        world.all_gather(&steps, all.data(), std::size_t{1});
        CHECK(all == std::vector<std::int32_t>(all.size(), 3));
      });
    }
  }
}

TEST_CASE("agreed: processes that are told different things believe SIGTERM") {
  const io::Interrupt interrupt;
  test::on_processes([&](Mpi& world) {
    std::raise(world.rank() == 0 ? SIGTERM : SIGINT);
    CHECK(io::agreed(world) == SIGTERM);
  });
}

}  // namespace
