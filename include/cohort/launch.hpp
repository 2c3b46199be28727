// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/launch.hpp: run a function on every rank of a world: the first line of every program.
#pragma once
#include <cohort/comm/failure_report.hpp>
#include <cohort/comm/launch_options.hpp>

#include <exception>
#include <utility>

namespace cohort {

/// A world that can start its ranks: Threads, and further ones with their own headers.
template <class World, class F>
concept Launches = requires(const LaunchOptions& options, F& f) {
  World::run(options, f);
};

/// Forms a world, calls f(world) on every rank and returns when all ranks have ended.
///
/// Errors   rethrows the exception of the rank that failed first, after all ranks were joined.
///          InvalidInput: options that cannot be honoured, or a launcher that wants another World.
/// Laws     after a failed launch a new one works (tests/launch_test.cpp).
template <class World, class F>
requires Launches<World, F>
void launch(const LaunchOptions& options, F f) { World::run(options, f); }

/// The same for main(): reads --ranks N and --gpus A,B,..., prints an error as one line on stderr, once per world.
///
/// Errors   returns 1 where the other overload throws, else 0.
template <class World, class F>
requires Launches<World, F>
int launch(int argc, const char* const* argv, F f, LaunchOptions options = {}) {
  FailureReport report;
  try {
    const LaunchOptions asked = detail::parse_launch_options(argc, argv);
    if (asked.ranks != 0) options.ranks = asked.ranks;
    if (!asked.gpus.empty()) options.gpus = asked.gpus;
    if constexpr (requires { World::run(options, f, report); }) {
      World::run(options, f, report);  // ranks are processes: it reports before they end
    } else {
      World::run(options, f);
    }
    return 0;
  } catch (...) {
    report.print(std::current_exception());
  }
  return 1;
}

}  // namespace cohort
