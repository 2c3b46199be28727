// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/errors.hpp: what every rank of a run heard when something failed.
#pragma once
#include "support.hpp"

namespace cohort::test {

/// The errors that f(run, world) met, by rank, and what launch() threw.
struct Errors {
  std::vector<std::string> by_rank;
  std::string launch;
};
template <class Run, class Case, class E, class F>
Errors errors_of(int ranks, StreamMode stream, F f) {
  Errors errors{std::vector<std::string>(static_cast<std::size_t>(ranks)), ""};
  const Setup setup{.ranks = ranks, .each = 2, .stream = stream};
  const auto act = [&](auto& run, World& world) {
    try {
      world.barrier();  // every rank has left Run::on before one of them fails
      f(run, world);
    } catch (const E& e) {
      errors.by_rank[static_cast<std::size_t>(world.rank())] = e.what();
      throw;
    }
  };
  try {
    on_ranks<Run>(ranks, options_of<Run, Case>(setup), act);
  } catch (const std::exception& e) {
    errors.launch = e.what();
  }
  return errors;
}
inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
inline constexpr StreamMode both[] = {StreamMode::on_compute_thread, StreamMode::worker};

}  // namespace cohort::test
