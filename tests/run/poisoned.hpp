// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/poisoned.hpp: steps in which something is no number, and what every rank says of it.
#pragma once
#include <doctest/doctest.h>

#include <chrono>
#include <cmath>

#include "poison.hpp"

namespace cohort::test::poisoned {

struct Words {
  std::vector<std::string> by_rank;  // what each rank's step threw
  std::vector<bool> non_finite;
  double seconds = 0;
};
/// Two good steps and one for which begin(run, rank) has done something.
template <class Run, class F> Words fails(int ranks, StreamMode stream, F begin) {
  Words words{std::vector<std::string>(static_cast<std::size_t>(ranks)),
              std::vector<bool>(static_cast<std::size_t>(ranks)), 0};
  std::vector<char> typed(static_cast<std::size_t>(ranks));
  const auto start = std::chrono::steady_clock::now();
  try {
    launch<Threads>({.ranks = ranks}, [&](Threads& world) {
      Poison::at = {};
      const auto me = static_cast<std::size_t>(world.rank());
      auto run = Run::on(world, poisoned_options<Run>(stream));
      poisoned_step(run);
      poisoned_step(run);
      int bad_input = -1;
      begin(run, world.rank(), bad_input);
      const auto before = run.gather_parameters();
      try {
        poisoned_step(run, bad_input);
      } catch (const NonFinite& e) {
        typed[me] = 1;
        words.by_rank[me] = e.what();
        Poison::at = {};
        throw;
      } catch (const PeerFailed& e) {  // a rank that was faster has ended the world: its words
        words.by_rank[me] = e.what();
        Poison::at = {};
        throw;
      }
      Poison::at = {};
    });
  } catch (const NonFinite&) {
  }
  words.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  for (std::size_t r = 0; r < typed.size(); ++r) words.non_finite[r] = typed[r] != 0;
  return words;
}
/// All ranks threw NonFinite and said this; the words after "rank R: " are the same.
inline void all_say(const Words& words, const std::string& text) {
  const auto tail = [&](std::size_t r) {
    const std::string& w = words.by_rank[r];
    return w.substr(std::min(w.size(), w.find("step ")));
  };
  for (std::size_t r = 0; r < words.by_rank.size(); ++r) {
    CHECK_MESSAGE(words.non_finite[r], words.by_rank[r]);
    CHECK_MESSAGE(words.by_rank[r].find(text) != std::string::npos, words.by_rank[r]);
    CHECK(tail(r) == tail(0));
  }
  CHECK(words.seconds < 20);
}
inline Poison::At at(PoisonAt::Where where, int unit, std::size_t element, int micro_batch = 0) {
  return {.where = where, .unit = unit, .micro_batch = micro_batch, .element = element};
}

template <class How, class... More> void a_gradient(int ranks, int bad, StreamMode stream) {
  CAPTURE(ranks);
  all_say(fails<PoisonedRun<How, DetectAnomaly, More...>>(ranks, stream,
                                                          [&](auto&, int rank, int&) {
                                                            if (rank == bad)
                                                              Poison::at =
                                                                  at(PoisonAt::gradient, 1, 6);
                                                            if (rank == bad) Poison::at.count = 2;
                                                          }),
          "rank " + std::to_string(bad) +
              ": the gradient of '1.1.weight' has 2 NaN of 8 elements, the first at 6. Parameters");
}

/// The third unit of rank 1 has a NaN from micro-batch 1 on.
template <class Run> void names_the_micro_batch() {
  const auto begin = [](auto&, int rank, int&) {
    if (rank == 1) Poison::at = at(PoisonAt::gradient, 2, 3, 1);
  };
  all_say(
      fails<Run>(2, {}, begin),
      "rank 1, micro-batch 1: the gradient of '1.2.weight' has 1 NaN of 8 elements, the first at "
      "3.");
}
/// A parameter is no number before the step.
template <class Run> void names_the_parameter(int ranks) {
  const auto begin = [](auto& run, int, int&) {
    std::vector<float> values(8, 1.0f);
    values[5] = std::nanf("");
    run.set_parameter("1.1.weight", values);
  };
  all_say(fails<Run>(ranks, {}, begin),
          "parameter '1.1.weight' had 1 NaN of 8 elements, the first at 5 before the step: look at "
          "what wrote it");
}

}  // namespace cohort::test::poisoned
