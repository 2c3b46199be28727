// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/rms_norm_test.cpp: RmsNorm against PyTorch and finite differences.
#include <doctest/doctest.h>
#include <cohort/nn/rms_norm.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
static_assert(Layer<nn::RmsNorm<24>>);
static_assert(num_params<nn::RmsNorm<24>>() == 1);
static_assert(std::is_same_v<params_of<nn::RmsNorm<24>>::at<0>::initialiser, init::Ones>);
static_assert(!params_of<nn::RmsNorm<24>>::at<0>::decays);

// torch.nn.functional.rms_norm(x, (5,), weight, 1e-5) of PyTorch 2.15 in float64; x, weight and dy were
// float32 numbers of two decimals.
const std::vector<float> x = {-0.29f, 1.57f,  1.89f, -2.23f, 3.38f,
                              -1.79f, -0.71f, 2.46f, 0.28f,  -3.36f};
const std::vector<float> weight = {0.32f, 0.13f, 0.14f, 0.24f, 1.4f};
const std::vector<float> dy = {1.35f, 2.44f,  0.2f,   2.45f,  2.03f,
                               1.78f, -0.92f, -0.46f, -0.72f, 1.28f};
const std::vector<double> y = {-0.04372841138117859, 0.0961742369612952,  0.12468252375760198,
                               -0.2521923129828199,  2.229772162900102,   -0.27865083390892476,
                               -0.04490131175296804, 0.16754077040010673, 0.03269088079165676,
                               -2.288361586405595};
const std::vector<double> dx = {0.25648208514166837,  -0.1370231118200053, -0.33169056057584,
                                0.6839994708840561,   0.7224050663940623,  -0.018112100598835223,
                                -0.17527495607211377, 0.37437366597084765, -0.03788475626487932,
                                0.31762668288866847};
const std::vector<double> dweight = {-1.7344745162459623, 2.1228797028728894, -0.37237321740759444,
                                     -2.6725359511469247, 1.1409533492619643};
}  // namespace

TEST_CASE_TEMPLATE("rms_norm: PyTorch's values", T, float, double) {
  zoo::OneLayer<nn::RmsNorm<5>, T> one({2, 1});
  one.set("weight", weight);
  one.run(as<T>(x), as<T>(dy));
  // A sum of 5 squares and a root: some 10 units relative; values below 4, and below 10 inside a sum.
  CHECK(distance(one.y, y) <= unit<T> * 10 * 4);
  CHECK(distance(one.dx, dx) <= unit<T> * 10 * 10);
  CHECK(distance(one.gradient("weight"), dweight) <= unit<T> * 10 * 10);
}

TEST_CASE("rms_norm: finite differences") {
  CHECK(check_gradients<nn::RmsNorm<9>>().ok());
  CHECK(check_gradients<nn::RmsNorm<2>>({.rows = {4, 1}}).ok());
  CHECK(check_gradients<nn::RmsNorm<67>>().ok());
}

TEST_CASE("rms_norm: the first contribution overwrites, the next adds") {
  check_accumulates<nn::RmsNorm<9>>({3, 4});
  check_accumulates<nn::RmsNorm<70>>({3, 4});
}

TEST_CASE("rms_norm: a positive factor of a row changes nothing but what epsilon says") {
  zoo::OneLayer<nn::RmsNorm<4>, double> one({2, 1});
  one.draw(2);
  one.run({1, 2, -3, 4, 1024, 2048, -3072, 4096}, {1, 1, 1, 1, 1, 1, 1, 1});
  // The mean square of the first row is 7.5: epsilon changes y, below 4, by 1e-5 / 7.5 / 2 relatively.
  for (std::size_t c = 0; c < 4; ++c) CHECK(std::abs(one.y[c] - one.y[4 + c]) <= 1e-5 / 15 * 4);
}

TEST_CASE("rms_norm: an epsilon of the user's") {
  zoo::OneLayer<nn::RmsNorm<3, std::ratio<3, 4>>> one({1, 1});
  one.set("weight", std::vector{1.0, 1.0, 2.0});
  one.run({0.5f, -0.5f, 0.5f}, {0, 0, 0});
  CHECK(distance(one.y, std::vector{0.5, -0.5, 1.0}) <= 4 * unit<float>);  // by sqrt(1 / 4 + 3 / 4)
}

TEST_CASE_TEMPLATE("rms_norm: 16 bits: fp32 inside, results rounded once, the gradient not", T,
                   bf16, fp16) {
  constexpr int wide = 70, rows = 5;
  const InBoth<nn::RmsNorm<wide>, T> run({rows, 1});
  // Normal inputs, so the factor of a row is below 1.5 over 70 of them; normal values are at most H.
  const double R = 1.5, H = std::sqrt(double(wide)), W = run.weight("weight"), D = run.D;
  const double relative = unit<float> * (wide + 8);
  CHECK(run.y_share(relative * W * H) <= 1);
  CHECK(run.dx_share(relative * R * W * D * (1 + H) * (1 + H)) <= 1);
  CHECK(run.gradient_error("weight") <= relative * rows * D * (1 + H));
  check_accumulates<nn::RmsNorm<9>, T>({3, 4});
}
