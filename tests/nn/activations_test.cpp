// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/activations_test.cpp: ReLU, both GELUs and SiLU against PyTorch and finite differences.
#include <doctest/doctest.h>
#include <cohort/nn/activations.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
using Erf = nn::Gelu<1>;
using Tanh = nn::Gelu<1, ops::GeluTanh>;
static_assert(Layer<nn::ReLU<3>> && Layer<nn::Gelu<3>> && Layer<nn::Gelu<3, ops::GeluTanh>>);
static_assert(!std::is_same_v<Erf, Tanh> && num_params<Erf>() == 0);

template <class L, class T> void compare(const std::string& name) {
  CAPTURE(name);
  const auto x = given<T>(name + ".in.x"), dy = given<T>(name + ".in.dy");
  zoo::OneLayer<L, T> one({static_cast<int>(x.size()), 1});
  one.run(x, dy);
  const auto &y64 = pytorch().values(name + ".f64.y"), &dx64 = pytorch().values(name + ".f64.dx");
  for (std::size_t i = 0; i < x.size(); ++i) {
    CAPTURE(x[i]);
    // Phi to 4 units, times x; the slope adds x phi, whose argument carries 8 more (ops/gelu_test).
    const double size = std::max(1.0, std::abs(double(x[i])));
    CHECK(std::abs(one.y[i] - y64[i]) <= 4 * unit<T> * size);
    CHECK(std::abs(one.dx[i] - dx64[i]) <= 12 * unit<T> * size * (1 + std::abs(double(dy[i]))));
  }
}
}  // namespace

TEST_CASE_TEMPLATE("activations: PyTorch's values, forward and backward", T, float, double) {
  compare<Erf, T>("gelu_erf");
  compare<Tanh, T>("gelu_tanh");
  compare<nn::ReLU<1>, T>("relu");
  compare<nn::SiLU<1>, T>("silu");
}

TEST_CASE("activations: finite differences") {
  CHECK(check_gradients<nn::ReLU<7>>().ok());
  CHECK(check_gradients<nn::Gelu<7>>().ok());
  CHECK(check_gradients<nn::Gelu<7, ops::GeluTanh>>().ok());
  CHECK(check_gradients<nn::SiLU<7>>().ok());
}

TEST_CASE("activations: evaluation gives the bits of training") {
  zoo::OneLayer<nn::Gelu<33>> one({2, 3});
  const auto x = zoo::normals(6 * 33, 4);
  one.run(x, x);
  CHECK(one.evaluate(x) == one.y);
}

TEST_CASE_TEMPLATE("activations: 16 bits: computed in fp32, rounded once", T, bf16, fp16) {
  const auto check = []<class L>(L) {
    const InBoth<L, T> run({50, 2});
    const double size = std::max(1.0, run.largest_x);  // the bounds of compare(), in fp32
    CHECK(run.y_share(4 * unit<float> * size) <= 1);
    CHECK(run.dx_share(12 * unit<float> * size * (1 + run.D)) <= 1);
  };
  check(nn::ReLU<7>{});
  check(nn::Gelu<7>{});
  check(nn::Gelu<7, ops::GeluTanh>{});
  check(nn::SiLU<7>{});
}
