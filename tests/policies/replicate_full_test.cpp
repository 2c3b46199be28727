// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/policies/replicate_full_test.cpp: laws 1, 5 and 7 of Replicate, every model and number of ranks.
#include <doctest/doctest.h>

#include "replicas.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace replicas;

namespace {

template <class F> void for_all(F&& f) {
  zoo::for_each_case([&]<class Case>() {
    for (int ranks : every_rank_count) {
      INFO(Case::name());
      CAPTURE(ranks);
      f.template operator()<Case>(ranks);
    }
  });
}

TEST_CASE("Replicate: N ranks have the gradient of one rank, every model and N [full]") {
  for_all([]<class Case>(int ranks) { check_gradients_of<Case>(ranks); });
}
TEST_CASE("Replicate: the same bits on every rank and in every run, every model and N [full]") {
  for_all([]<class Case>(int ranks) { check_bits_of<Case>(ranks); });
}
TEST_CASE("Replicate: delays change no bit, every model and N, 10 patterns [full]") {
  for_all([]<class Case>(int ranks) { check_delays_of<Case>(ranks, 10); });
}
TEST_CASE("Replicate: every rank makes the planned calls, every model and N [full]") {
  for_all([]<class Case>(int ranks) { check_calls_of<Case>(ranks); });
}
TEST_CASE("Replicate: the heap is the planned peak, to the byte, every model and N [full]") {
  if (!Allocations::available) return;
  for_all([]<class Case>(int ranks) { check_peak_of<Case>(ranks); });
}
TEST_CASE("Replicate: steps, evaluations, predictions allocate nothing, every model and N [full]") {
  if (!Allocations::available) return;
  for_all([]<class Case>(int ranks) {
    check_steps_allocate_nothing<Case>(ranks, StreamMode::on_compute_thread);
    check_steps_allocate_nothing<Case>(ranks, StreamMode::worker);
  });
}

}  // namespace
