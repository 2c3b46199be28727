// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cross_entropy_test.cpp: values against fp64, gradients, ignored labels, bad labels.
#include <doctest/doctest.h>

#include <cohort/ops/cross_entropy.hpp>
#include <string>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <int V>
double reference(const std::vector<double>& x, const std::vector<std::int32_t>& targets) {
  double total = 0;
  for (std::size_t r = 0; r < targets.size(); ++r) {
    if (targets[r] == ops::ignored_label) continue;
    double sum = 0;
    for (int c = 0; c < V; ++c) sum += std::exp(x[r * V + c]);
    total += std::log(sum) - x[r * V + targets[r]];
  }
  return total;
}

template <int V> void against_fp64_and_differences() {
  const int rows = 7;
  const auto x = normal<double>(rows * V, 1, 2.0);
  const std::vector<float> narrow(x.begin(), x.end());
  auto targets = integers(rows, V, 2);
  targets[3] = ops::ignored_label;
  std::vector<double> d(x.size(), 5.0);
  std::vector<float> d32(x.size(), 5.0f);
  const auto loss = ops::cross_entropy_gradient<V>(cpu, rows, x.data(), targets.data(), d.data());
  CHECK(loss.sum == doctest::Approx(reference<V>(x, targets)).epsilon(1e-14));
  CHECK(loss.weight == 6);
  const auto slope = finite_differences(x, [&](auto& v) { return reference<V>(v, targets); });
  CHECK(max_error(d, slope) <= 1e-10 / 6 + 1.2e-16 / 1e-5 * 100);  // h^2 f''' / 6 + unit f / h
  for (int c = 0; c < V; ++c) CHECK(d[3 * V + c] == 0);

  const auto single =
      ops::cross_entropy_gradient<V>(cpu, rows, narrow.data(), targets.data(), d32.data());
  const auto value = ops::cross_entropy<V>(cpu, rows, narrow.data(), targets.data());
  CHECK(single.sum == value.sum);  // evaluation sees the loss that training sees
  // Rounding the logits to float moves each by 8 units at most, the sum of exponentials makes
  // V / lanes + 8 roundings: a row's loss and each probability move by no more than both.
  const double per_row = unit<float> * (2 * 8 + double(V) / ops::lanes<float> + 8);
  CHECK(std::fabs(single.sum - loss.sum) <= rows * per_row);
  CHECK(max_error(d32, d) <= per_row);
}
}  // namespace

TEST_CASE("cross_entropy: value and gradient agree with fp64 and with finite differences") {
  against_fp64_and_differences<65>();
  against_fp64_and_differences<16>();
  against_fp64_and_differences<2>();
}

TEST_CASE("cross_entropy: equal logits cost log V") {  // math.log(65) in Python
  const std::vector<float> x(65, 12.0f);
  const std::int32_t target = 64;
  CHECK(ops::cross_entropy<65>(cpu, 1, x.data(), &target).sum ==
        doctest::Approx(4.174387269895637).epsilon(1e-7));
}

TEST_CASE("cross_entropy: huge logits do not overflow, NaN is not hidden") {
  std::vector<float> x = {1e30f, -1e30f, 0, 1e30f}, d(4);
  const std::int32_t target = 0;
  const auto loss = ops::cross_entropy_gradient<4>(cpu, 1, x.data(), &target, d.data());
  CHECK(loss.sum == doctest::Approx(0.6931471805599453).epsilon(1e-15));
  CHECK(d == std::vector<float>{-0.5f, 0, 0, 0.5f});
  x[2] = NAN;
  CHECK(std::isnan(ops::cross_entropy<4>(cpu, 1, x.data(), &target).sum));
}

TEST_CASE("cross_entropy: in place, and row by row, the bits are the same") {
  constexpr int V = 65, rows = 6;
  const auto x = normal<float>(rows * V, 1);
  const auto targets = integers(rows, V, 2);
  std::vector<float> d(x.size()), in_place = x, single(V);
  ops::cross_entropy_gradient<V>(cpu, rows, x.data(), targets.data(), d.data());
  ops::cross_entropy_gradient<V>(cpu, rows, in_place.data(), targets.data(), in_place.data());
  CHECK(same_bits(d, in_place));
  for (int r = 0; r < rows; ++r) {
    ops::cross_entropy_gradient<V>(cpu, 1, x.data() + r * V, targets.data() + r, single.data());
    CHECK(same_bits(single.data(), d.data() + r * V, V));
  }
}

TEST_CASE("cross_entropy: all ignored weighs nothing; another ignored label can be chosen") {
  const auto x = normal<float>(2 * 4, 1);
  std::vector<std::int32_t> targets = {-100, -100};
  CHECK(ops::cross_entropy<4>(cpu, 2, x.data(), targets.data()).weight == 0);
  targets = {-1, 2};
  CHECK(ops::cross_entropy<4>(cpu, 2, x.data(), targets.data(), -1).weight == 1);
}

TEST_CASE("cross_entropy: a bad label is an error that names it") {
  const auto x = normal<float>(3 * 4, 1);
  for (int bad : {4, -1}) {
    const std::vector<std::int32_t> targets = {0, bad, 1};
    std::string text;
    try {
      ops::cross_entropy<4>(cpu, 3, x.data(), targets.data());
    } catch (const InvalidInput& e) {
      text = e.what();
    }
    CHECK(text.find("target " + std::to_string(bad) + " at row 1") != std::string::npos);
  }
}

TEST_CASE_TEMPLATE("cross_entropy: 16-bit logits: fp32 inside, scaled, rounded once, near fp64", T,
                   bf16, fp16) {
  constexpr int V = 65, rows = 7;
  const auto x = normal<T>(rows * V, 1, 2.0);
  const auto x32 = as<float>(x);
  const auto x64 = as<double>(x);
  auto targets = integers(rows, V, 2);
  targets[3] = ops::ignored_label;
  for (float scale : {1.0f, 1024.0f, 0.3f}) {
    std::vector<T> d(x.size(), T(5.0f));
    std::vector<float> d32(x.size());
    std::vector<double> d64(x.size());
    const auto loss = ops::cross_entropy_gradient<V>(cpu, rows, x.data(), targets.data(), d.data(),
                                                     ops::ignored_label, scale);
    const auto single = ops::cross_entropy_gradient<V>(cpu, rows, x32.data(), targets.data(),
                                                       d32.data(), ops::ignored_label, scale);
    const auto exact = ops::cross_entropy_gradient<V>(
        cpu, rows, x64.data(), targets.data(), d64.data(), ops::ignored_label, double(scale));
    CHECK(same_bits(d, as<T>(d32)));
    CHECK(loss.sum == single.sum);  // neither rounded nor scaled
    CHECK(loss.weight == 6);
    CHECK(ops::cross_entropy<V>(cpu, rows, x.data(), targets.data()).sum == loss.sum);
    // An exponent carries the rounding of x - max, below 16 units; the sum makes V / lanes + 8
    // roundings; quotient, product and scale three more.
    const double row = unit<float> * (16 + double(V) / ops::lanes<float> + 8 + 3);
    CHECK(std::fabs(loss.sum - exact.sum) <= 6 * row);
    CHECK(once_rounded(d, d64, scale * row) <= 1);
  }
}

namespace {
/// Rows of K numbers at the start of rows of V, with `filling` behind them.
template <int V, int K, class T>
std::vector<T> padded(const std::vector<T>& rows_of_K, const std::vector<T>& filling) {
  std::vector<T> wide;
  for (std::size_t r = 0; r < rows_of_K.size() / K; ++r) {
    wide.insert(wide.end(), rows_of_K.begin() + r * K, rows_of_K.begin() + (r + 1) * K);
    for (int c = K; c < V; ++c) wide.push_back(filling[std::size_t(c) % filling.size()]);
  }
  return wide;
}

template <int V, int K, class T> void padding_is_not_there() {
  const int rows = 7;
  const auto x = normal<T>(rows * K, 1, 2.0);
  auto targets = integers(rows, K, 2);
  targets[3] = ops::ignored_label;
  std::vector<T> want(x.size(), T(5.0f));
  const auto loss = ops::cross_entropy_gradient<K>(cpu, rows, x.data(), targets.data(), want.data(),
                                                   ops::ignored_label, 0.5f);
  const auto exact = reference<K>(as<double>(x), targets);
  using A = accumulator_t<T>;
  CHECK(std::fabs(loss.sum - exact) <= rows * unit<A> * (32 + K));  // as for 16-bit logits, below
  for (const T fill : {T(0.0f), T(3e4f), T(INFINITY), T(NAN)}) {
    auto wide = padded<V, K, T>(x, {fill, T(1.0f), fill});
    std::vector<T> d(wide.size(), T(5.0f));
    const auto value = ops::cross_entropy<V, K>(cpu, rows, wide.data(), targets.data());
    const auto got = ops::cross_entropy_gradient<V, K>(cpu, rows, wide.data(), targets.data(),
                                                       d.data(), ops::ignored_label, 0.5f);
    CHECK((value.sum == loss.sum && got.sum == loss.sum));
    CHECK((value.weight == 6 && got.weight == 6));
    CHECK(same_bits(d, padded<V, K, T>(want, {T(0.0f)})));
    ops::cross_entropy_gradient<V, K>(cpu, rows, wide.data(), targets.data(), wide.data(),
                                      ops::ignored_label, 0.5f);
    CHECK(same_bits(wide, d));
  }
}
}  // namespace

TEST_CASE_TEMPLATE("cross_entropy: columns behind the K classes change no bit and get no gradient",
                   T, double, float, bf16, fp16) {
  padding_is_not_there<65, 61, T>();
  padding_is_not_there<64, 32, T>();
  padding_is_not_there<50, 49, T>();
  padding_is_not_there<16, 1, T>();
}

TEST_CASE("cross_entropy: a label of the padding is an error that names it") {
  const auto x = normal<float>(2 * 8, 1);
  const std::vector<std::int32_t> targets = {4, 5};
  CHECK_THROWS_WITH_AS((ops::cross_entropy<8, 5>(cpu, 2, x.data(), targets.data())),
                       doctest::Contains("target 5 at row 1 is outside the 5 classes [0, 5)"),
                       InvalidInput);
  std::vector<float> d(x.size());
  CHECK_THROWS_AS((ops::cross_entropy_gradient<8, 5>(cpu, 2, x.data(), targets.data(), d.data())),
                  InvalidInput);
}

TEST_CASE("cross_entropy: a scale of one changes no bit; another is multiplied in, exact if 2^n") {
  const auto x = normal<float>(3 * 65, 1);
  const auto targets = integers(3, 65, 2);
  std::vector<float> plain(x.size()), one(x.size()), scaled(x.size());
  ops::cross_entropy_gradient<65>(cpu, 3, x.data(), targets.data(), plain.data());
  ops::cross_entropy_gradient<65>(cpu, 3, x.data(), targets.data(), one.data(), -100, 1.0f);
  ops::cross_entropy_gradient<65>(cpu, 3, x.data(), targets.data(), scaled.data(), -100, 0x1p15f);
  CHECK(same_bits(plain, one));
  for (std::size_t i = 0; i < x.size(); ++i) REQUIRE(scaled[i] == plain[i] * 0x1p15f);
}

TEST_CASE("cross_entropy: a scale keeps the small probabilities that fp16 would lose") {
  const std::vector<fp16> x = {fp16(18.0f), fp16(0.0f)};  // exp(-18) = 1.5e-8, below 2^-25
  const std::int32_t target = 0;
  std::vector<fp16> d(2);
  ops::cross_entropy_gradient<2>(cpu, 1, x.data(), &target, d.data());
  CHECK(float(d[1]) == 0.0f);
  ops::cross_entropy_gradient<2>(cpu, 1, x.data(), &target, d.data(), -100, 0x1p14f);
  const double want = 0x1p14 / (1 + std::exp(18.0));
  CHECK(std::fabs(float(d[1]) - want) <= unit<fp16> * want * 1.01);
}
