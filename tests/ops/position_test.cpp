// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/position_test.cpp: positions are added to each sample, gradients summed over samples in order.
#include <doctest/doctest.h>

#include <cohort/ops/position.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

TEST_CASE_TEMPLATE("position: the bits of sums written out, samples in order", T, double, float,
                   bf16, fp16) {
  constexpr int C = 7, most = 6;
  using A = accumulator_t<T>;
  for (const int samples : {0, 1, 3})
    for (const int tokens : {1, 4, most}) {
      const auto n = static_cast<std::size_t>(samples * tokens * C),
                 of_sample = std::size_t(tokens) * C;
      const auto x = normal<T>(n, 1), w = normal<T>(most * C, 2);
      std::vector<T> y(n);
      ops::position_forward<C>(cpu, samples, tokens, x.data(), w.data(), y.data());
      for (std::size_t i = 0; i < n; ++i)
        REQUIRE(value(y[i]) == value(T(A(x[i]) + A(w[i % of_sample]))));
      for (const bool first : {true, false}) {
        const auto start = normal<A>(most * C, 3);
        auto dw = start;
        ops::position_backward<most, C>(cpu, samples, tokens, x.data(), dw.data(), first);
        for (std::size_t i = 0; i < dw.size(); ++i) {
          A want = first ? A(0) : start[i];
          for (std::size_t s = i; i < of_sample && s < n; s += of_sample) want += A(x[s]);
          REQUIRE(dw[i] == want);
        }
      }
    }
}
