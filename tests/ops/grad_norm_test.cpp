// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/grad_norm_test.cpp: chunks, splits, invalid gradients, and the clipping coefficient.
#include <doctest/doctest.h>

#include <cohort/ops/grad_norm.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

TEST_CASE_TEMPLATE("grad_norm: agrees with a long double sum", T, float, double) {
  for (std::size_t n : {0, 1, 63, 64, 65, 1000}) {
    const auto g = normal<T>(n, 1);
    long double want = 0;
    for (T v : g) want += static_cast<long double>(v) * v;
    ops::ExactSum sum;
    ops::add_square_sum(cpu, n, g.data(), sum);
    // 8 + 3 roundings in a chunk, one in value().
    CHECK(std::fabs(sum.value() - double(want)) <= 13 * 1.2e-16 * double(want));
  }
}

TEST_CASE_TEMPLATE("grad_norm: any split at multiples of 64 gives the same number", T, float,
                   double) {
  const std::size_t n = 64 * 50 + 17;
  const auto g = normal<T>(n, 2);
  ops::ExactSum whole;
  ops::add_square_sum(cpu, n, g.data(), whole);
  for (std::size_t cut : {0, 64, 64 * 13, 64 * 50}) {
    ops::ExactSum parts;
    ops::add_square_sum(cpu, n - cut, g.data() + cut, parts);
    ops::add_square_sum(cpu, cut, g.data(), parts);
    CHECK(parts.value() == whole.value());
  }
}

TEST_CASE("grad_norm: tiny, huge and invalid gradients") {
  const auto square = [](float v) {
    ops::ExactSum sum;
    ops::add_square_sum(cpu, 1, &v, sum);
    return sum.value();
  };
  CHECK(square(1.4e-45f) == double(1.4e-45f) * double(1.4e-45f));
  CHECK(square(3e38f) == double(3e38f) * double(3e38f));
  CHECK(std::isnan(square(NAN)));
  CHECK(!std::isfinite(square(INFINITY)));
}

// torch.nn.utils.clip_grad_norm_: coef = max_norm / (total_norm + 1e-6), clamped to 1.
TEST_CASE("grad_norm: the coefficient is PyTorch's, and NaN is kept") {
  CHECK(ops::clip_coefficient(0.5, 1.0) == 1.0);
  CHECK(ops::clip_coefficient(4.0, 1.0) == 1.0 / 4.000001);
  CHECK(ops::clip_coefficient(0.0, 1.0) == 1.0);
  CHECK(ops::clip_coefficient(INFINITY, 1.0) == 0.0);
  CHECK(std::isnan(ops::clip_coefficient(NAN, 1.0)));
}

TEST_CASE_TEMPLATE("grad_norm: the norm of 16-bit gradients is that of the same numbers in fp32", T,
                   bf16, fp16) {
  for (std::size_t n : {1, 63, 64, 65, 1000}) {
    const auto g = normal<T>(n, 1);
    ops::ExactSum narrow, wide;
    ops::add_square_sum(cpu, n, g.data(), narrow);
    ops::add_square_sum(cpu, n, as<float>(g).data(), wide);
    CHECK(narrow.value() == wide.value());
  }
}
