// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/init_test.cpp: initialisers: their distributions, and what they depend on.
#include <doctest/doctest.h>
#include <cohort/core/init.hpp>

#include <cmath>

using namespace cohort;

namespace {
/// A type that values(draw) as an initialiser does.
template <class I>
concept Initialiser = requires(const Draw& d) {
  { I::value(d) } -> std::same_as<float>;
};
static_assert(Initialiser<init::Zeros> && Initialiser<init::Ones> && Initialiser<init::Default>);
static_assert(Initialiser<init::Normal<2, 100>> && Initialiser<init::UniformFanIn>);

struct Moments {
  double mean = 0, deviation = 0, low = 1e9, high = -1e9;
};
template <class I> Moments moments(int n, Draw d) {
  Moments m;
  double squares = 0;
  for (int i = 0; i < n; ++i) {
    d.index = static_cast<std::uint64_t>(i);
    const double v = I::value(d);
    m.mean += v / n;
    squares += v * v / n;
    m.low = std::min(m.low, v);
    m.high = std::max(m.high, v);
  }
  m.deviation = std::sqrt(squares - m.mean * m.mean);
  return m;
}
constexpr int samples = 40000;
}  // namespace

TEST_CASE("init: zeros and ones") {
  CHECK(init::Zeros::value({.seed = 5, .index = 7}) == 0.0f);
  CHECK(init::Ones::value({.seed = 5, .index = 7}) == 1.0f);
}

// The mean of n draws deviates by sigma / sqrt(n), their deviation by sigma / sqrt(2 n): five of each.
TEST_CASE("init: Normal<2, 100> has mean 0 and deviation 0.02, GPT-2's") {
  const Moments m = moments<init::Normal<2, 100>>(samples, {.seed = 3, .stream = 1});
  CHECK(std::abs(m.mean) < 5 * 0.02 / std::sqrt(double(samples)));
  CHECK(std::abs(m.deviation - 0.02) < 5 * 0.02 / std::sqrt(2.0 * samples));
}

TEST_CASE("init: Normal<2, 100, 24> is GPT-2's residual scale for 12 layers, 0.02 / sqrt(24)") {
  const Draw d{.seed = 3, .stream = 1, .index = 9};
  const float full = init::Normal<2, 100>::value(d), scaled = init::Normal<2, 100, 24>::value(d);
  CHECK(scaled == doctest::Approx(full / std::sqrt(24.0)).epsilon(1e-6));
}

// PyTorch's kaiming_uniform(a = sqrt(5)) for Linear is the uniform distribution within 1 / sqrt(fan_in).
TEST_CASE("init: UniformFanIn fills [-1/sqrt(fan_in), 1/sqrt(fan_in))") {
  const double bound = 0.25;  // fan_in 16
  const Moments m = moments<init::UniformFanIn>(samples, {.seed = 3, .rank = 2, .fan_in = 16});
  CHECK(m.low >= -bound);
  CHECK(m.high <= bound);
  CHECK(m.low < -0.999 * bound);  // missed with probability (1 - 0.0005)^40000 = 2e-9
  CHECK(m.high > 0.999 * bound);
  CHECK(std::abs(m.mean) < 5 * bound / std::sqrt(3.0 * samples));
}

TEST_CASE("init: Default is UniformFanIn for matrices and zeros for vectors") {
  const Draw matrix{.seed = 3, .index = 2, .rank = 2, .fan_in = 9};
  const Draw vector{.seed = 3, .index = 2, .rank = 1, .fan_in = 9};
  CHECK(init::Default::value(matrix) == init::UniformFanIn::value(matrix));
  CHECK(init::Default::value(vector) == 0.0f);
}

TEST_CASE("init: a value depends on seed, parameter and index, each") {
  using I = init::Normal<1, 1>;
  const Draw d{.seed = 3, .stream = 4, .index = 5};
  CHECK(I::value(d) == I::value(d));
  CHECK(I::value(d) != I::value({.seed = 4, .stream = 4, .index = 5}));
  CHECK(I::value(d) != I::value({.seed = 3, .stream = 5, .index = 5}));
  CHECK(I::value(d) != I::value({.seed = 3, .stream = 4, .index = 6}));
}
