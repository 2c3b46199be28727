// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/averages.hpp: what the tests of averaged parameters share: the first layer's averages by hand.
#pragma once
#include <doctest/doctest.h>

#include <sstream>

#include "checkpoints.hpp"

namespace cohort::test {

template <class T> inline constexpr double half_unit = 0;
template <> inline constexpr double half_unit<bf16> = 0x1p-9;
template <> inline constexpr double half_unit<fp16> = 0x1p-12;

template <class Plan> std::string printed(const Plan& plan) {
  std::ostringstream text;
  print(plan, {.ranks = 2, .batch = 6, .tokens = 3}, text);
  return text.str();
}

/// zoo::AveragingCase begins with Standardize<6>, whose averages follow from the data alone: they are computed
/// in fp64 and compared after some steps. `relative`: how well the run holds the input's elements.
template <class Run, class Case> void check_by_hand(const Setup& setup, double relative = 0) {
  constexpr std::size_t C = 6;
  constexpr double rate = 0.25;
  std::vector<double> mean(C, 0.0), variance(C, 1.0);
  for (int step = 0; step < setup.steps; ++step) {
    const auto batch = batch_of<Case>(setup, step);
    const auto x = batch.x();
    const std::size_t rows = static_cast<std::size_t>(x.rows.count());
    for (std::size_t c = 0; c < C; ++c) {
      double sum = 0, square = 0;
      for (std::size_t r = 0; r < rows; ++r) {
        const double v = x.data[r * C + c];
        sum += v;
        square += (v - mean[c]) * (v - mean[c]);
      }
      variance[c] += rate * (square / static_cast<double>(rows) - variance[c]);
      mean[c] += rate * (sum / static_cast<double>(rows) - mean[c]);
    }
  }
  const auto all = train<Run, Case>(setup);
  CHECK(same_bits(all[0].parameters, all.back().parameters));
  REQUIRE(all[0].parameters[0].name == "0.mean");
  REQUIRE(all[0].parameters[1].name == "0.variance");
  // Normal numbers below 4: their squares below 16; the sums' roundings in fp32, and the input's own.
  const double tolerance = 64 * 0x1p-24 + relative * 4;
  for (std::size_t c = 0; c < C; ++c) {
    CHECK(std::abs(all[0].parameters[0].values[c] - mean[c]) <= tolerance);
    CHECK(std::abs(all[0].parameters[1].values[c] - variance[c]) <= 8 * tolerance);
  }
}

}  // namespace cohort::test
