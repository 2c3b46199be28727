// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/attention_test.cpp: attention against PyTorch, finite differences, its own parts.
#include <doctest/doctest.h>
#include <cohort/nn/attention.hpp>
#include <cohort/nn/sequential.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <class Mask> using Core = nn::ScaledDotProduct<16, 2, Mask>;
static_assert(Layer<Core<nn::Causal>> && Layer<Core<nn::Bidirectional>>);
static_assert(Layer<nn::Attention<8, 2>> &&
              Layer<nn::Attention<8, 2, nn::Bidirectional, nn::NoBias>>);
static_assert(num_params<nn::Attention<8, 2>>() == 4 && num_params<Core<nn::Causal>>() == 0);
static_assert(num_params<nn::Attention<8, 2, nn::Causal, nn::NoBias>>() == 2);
using Scaled = nn::Attention<8, 2, nn::Causal, nn::WithBias, init::Normal<2, 100>, init::Ones>;
static_assert(
    std::is_same_v<params_of<child_of<Scaled, 0>>::at<0>::initialiser, init::Normal<2, 100>>);
static_assert(std::is_same_v<params_of<child_of<Scaled, 2>>::at<0>::initialiser, init::Ones>);

constexpr int T_ = 7, D_ = 8;  // tokens, features of a head: the golden file's

template <class Mask, class T> void compare(const std::string& name) {
  CAPTURE(name);
  zoo::OneLayer<Core<Mask>, T> one({2, T_});
  const auto qkv = given<T>(name + ".in.qkv"), dy = given<T>(name + ".in.dy");
  one.run(qkv, dy);
  // A score is a sum of D products of at most Q^2, scaled; probabilities carry twice its error and
  // that of a sum of T; outputs are sums of T of them times at most Q.
  const double Q = largest(qkv), dY = largest(dy), u = unit<T>;
  const double score = (D_ + 1) * D_ * Q * Q / std::sqrt(double(D_)) * u;
  const double probability = 2 * score + (T_ + 8) * u;
  CHECK(distance(one.y, name + ".f64.y") <= Q * (probability + (T_ + 1) * u));
  const double slope =
      2 * D_ * Q * dY;  // dS is at most this, with twice the error of P and a sum's
  const double dqk = T_ * Q / std::sqrt(double(D_)) * slope * (3 * probability + (T_ + D_) * u);
  const double dv = T_ * dY * (probability + T_ * u);
  CHECK(distance(one.dx, name + ".f64.dqkv") <= std::max(dqk, dv));
}
}  // namespace

TEST_CASE_TEMPLATE("attention: PyTorch's scaled_dot_product_attention", T, float, double) {
  compare<nn::Causal, T>("attention_causal");
  compare<nn::Bidirectional, T>("attention_full");
}

TEST_CASE("attention: finite differences") {
  CHECK(check_gradients<nn::ScaledDotProduct<6, 3>>({.rows = {2, 5}}).ok());
  CHECK(check_gradients<nn::Attention<8, 2>>({.rows = {2, 5}}).ok());
  CHECK(check_gradients<nn::Attention<8, 1, nn::Bidirectional>>({.rows = {2, 3}}).ok());
  CHECK(check_gradients<nn::Attention<8, 4, nn::Bidirectional, nn::NoBias>>({.rows = {1, 4}}).ok());
  CHECK(
      check_gradients<nn::Attention<6, 2>>({.rows = {2, 19}, .most_each = 15}).ok());  // two strips
}

TEST_CASE("attention: the first contribution overwrites, the next adds") {
  check_accumulates<nn::Attention<8, 2>>({2, 5});
}

TEST_CASE("attention: it is Linear, dot product, Linear, bit for bit") {
  using Parts = nn::Sequential<nn::Linear<8, 24>, nn::ScaledDotProduct<8, 2>, nn::Linear<8, 8>>;
  zoo::OneLayer<nn::Attention<8, 2>> whole({2, 5});
  zoo::OneLayer<Parts> parts({2, 5});
  whole.draw(4);
  const std::pair<const char*, const char*> names[] = {{"qkv.weight", "0.weight"},
                                                       {"qkv.bias", "0.bias"},
                                                       {"projection.weight", "2.weight"},
                                                       {"projection.bias", "2.bias"}};
  for (const auto& [a, b] : names) parts.set(b, whole.parameter(a));
  const auto x = zoo::normals(80, 1), dy = zoo::normals(80, 2);
  whole.run(x, dy);
  parts.run(x, dy);
  CHECK(whole.y == parts.y);
  CHECK(whole.dx == parts.dx);
  for (const auto& [a, b] : names) CHECK(whole.gradient(a) == parts.gradient(b));
}

TEST_CASE("attention: causal rows see no later token, and samples see no other sample") {
  using L = nn::Attention<8, 2>;
  const auto run = [](std::vector<float> x) {
    zoo::OneLayer<L> one({2, 5});
    one.draw(4);
    one.run(x, x);
    return one.y;
  };
  const auto x = zoo::normals(80, 1);
  auto changed = x;
  for (std::size_t i = 3 * 8; i < 40; ++i) changed[i] += 1;  // tokens 3 and 4 of sample 0
  const auto a = run(x), b = run(changed);
  CHECK(std::equal(a.begin(), a.begin() + 24, b.begin()));
  CHECK(!std::equal(a.begin() + 24, a.begin() + 40, b.begin() + 24));
  CHECK(std::equal(a.begin() + 40, a.end(), b.begin() + 40));
}

TEST_CASE("attention: one token attends to itself: its value passes unchanged") {
  zoo::OneLayer<nn::ScaledDotProduct<4, 2>> one({1, 1});
  one.run({1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, {0, 0, 0, 0});
  CHECK(distance(one.y, std::vector<float>{9, 10, 11, 12}) <= 12 * 4 * unit<float>);
}

TEST_CASE_TEMPLATE("attention: 16 bits: scores, softmax and sums in fp32, results rounded once", T,
                   bf16, fp16) {
  const InBoth<nn::ScaledDotProduct<16, 2>, T> run({2, 19});
  const double Q = run.largest_x;  // the bounds of compare(), in fp32
  constexpr int D = 8, tokens = 19;
  const double u = unit<float>, score = (D + 1) * D * Q * Q / std::sqrt(double(D)) * u;
  const double probability = 2 * score + (tokens + 8) * u, slope = 2 * D * Q * run.D;
  CHECK(run.y_share(Q * (probability + (tokens + 1) * u)) <= 1);
  CHECK(run.dx_share(tokens * Q / std::sqrt(double(D)) * slope *
                     (3 * probability + (tokens + D) * u)) <= 1);
  check_accumulates<nn::Attention<8, 2>, T>({2, 5});
}

// Each part rounds its result once: their bounds are tested where they are defined.
TEST_CASE_TEMPLATE("attention: in 16 bits too it is Linear, dot product, Linear, bit for bit", T,
                   bf16, fp16) {
  using Parts = nn::Sequential<nn::Linear<8, 24>, nn::ScaledDotProduct<8, 2>, nn::Linear<8, 8>>;
  zoo::OneLayer<nn::Attention<8, 2>, T> whole({2, 5});
  zoo::OneLayer<Parts, T> parts({2, 5});
  whole.draw(4);
  const std::pair<const char*, const char*> names[] = {{"qkv.weight", "0.weight"},
                                                       {"qkv.bias", "0.bias"},
                                                       {"projection.weight", "2.weight"},
                                                       {"projection.bias", "2.bias"}};
  for (const auto& [a, b] : names) parts.set(b, as<float>(whole.parameter(a)));
  const auto x = zoo::normals<T>(80, 1), dy = zoo::normals<T>(80, 2);
  whole.run(x, dy);
  parts.run(x, dy);
  CHECK(distance(whole.y, parts.y) == 0);
  CHECK(distance(whole.dx, parts.dx) == 0);
  for (const auto& [a, b] : names) {
    CHECK(whole.gradient(a) == parts.gradient(b));
    CHECK(!holds_all<T>(whole.gradient(a)));
  }
}

// Llama: query heads that share key heads, rotary positions.

namespace {
template <class Positions = nn::Rope<>, class Bias = nn::NoBias>
using Shared = nn::GroupedQueryAttention<16, 4, 2, 6, Positions, nn::Causal, Bias>;
static_assert(Layer<Shared<>> && Layer<nn::ScaledDotProduct<24, 4, nn::Causal, 2>>);
static_assert(num_params<Shared<>>() == 2 && num_params<Shared<nn::Rope<>, nn::WithBias>>() == 3);
static_assert(
    std::is_same_v<nn::GroupedQueryAttention<32, 4, 2>, nn::GroupedQueryAttention<32, 4, 2, 8>>);

/// Positions of a user's own type, three times as slow.
struct Slow {
  static double of_pair(int pair, int pairs) { return nn::Rope<>::of_pair(pair, pairs) / 3; }
};

const golden::Golden& llama_values() {
  static const golden::Golden file = golden::Golden::load(COHORT_TEST_DIR "/golden/llama.bin");
  return file;
}
/// The distance from PyTorch's fp64 as a share of its largest value.
template <class T> double relative(const std::vector<T>& ours, const std::string& name) {
  const auto& theirs = llama_values().values(name);
  return distance(ours, theirs) / largest(theirs);
}
}  // namespace

TEST_CASE_TEMPLATE("attention: shared key heads and rotary positions: PyTorch's values", T, float,
                   double) {
  const golden::Golden& values = llama_values();
  zoo::OneLayer<Shared<nn::Rope<>, nn::WithBias>, T> one({2, 9});
  one.set("qkv.weight", values.values("attention.in.qkv"));
  one.set("qkv.bias", values.values("attention.in.bias"));
  one.set("projection.weight", values.values("attention.in.projection"));
  one.run(values.as<T>("attention.in.x"), values.as<T>("attention.in.dy"));
  // Products of 16, 6, 9 and 24 terms one after the other, and as many backward, of normal numbers: below 100
  // units of the largest result (3 to 10 were seen).
  const double tolerance = 100 * unit<T>;
  CHECK(relative(one.y, "attention.f64.y") <= tolerance);
  CHECK(relative(one.dx, "attention.f64.dx") <= tolerance);
  CHECK(relative(one.gradient("qkv.weight"), "attention.f64.dqkv") <= tolerance);
  CHECK(relative(one.gradient("qkv.bias"), "attention.f64.dbias") <= tolerance);
  CHECK(relative(one.gradient("projection.weight"), "attention.f64.dprojection") <= tolerance);
}

TEST_CASE("attention: shared key heads and rotary positions: finite differences, accumulation") {
  CHECK(check_gradients<Shared<>>({.rows = {2, 5}}).ok());
  CHECK(
      check_gradients<nn::GroupedQueryAttention<8, 4, 1>>({.rows = {2, 19}, .most_each = 15}).ok());
  CHECK(check_gradients<nn::ScaledDotProduct<12, 6, nn::Bidirectional, 3>>({.rows = {2, 5}}).ok());
  check_accumulates<Shared<Slow>>({2, 5});
}

TEST_CASE("attention: rotary positions leave the first token of a sample as it is") {
  zoo::OneLayer<Shared<>> turning({2, 6});
  zoo::OneLayer<Shared<nn::NoPositions>> still({2, 6});
  turning.draw(3), still.draw(3);
  const auto x = zoo::normals(192, 1), dy = zoo::normals(192, 2);
  turning.run(x, dy), still.run(x, dy);
  for (const int first : {0, 96}) {
    const auto at = still.y.begin() + first, same = turning.y.begin() + first;
    CHECK(std::equal(at, at + 16, same));
    CHECK(!std::equal(at + 16, at + 96, same + 16));
  }
  CHECK(turning.evaluate(x) == turning.y);
}

TEST_CASE_TEMPLATE("attention: rotary positions in 16 bits: near fp64, gradients in fp32", T, bf16,
                   fp16) {
  const InBoth<Shared<>, T> run({2, 9});
  // On the way to y four results are rounded to T (qkv, q and k as turned, core, y), backward as many: each
  // moves what follows by two units of the largest, at most.
  CHECK(distance(run.narrow.y, run.wide.y) <= 4 * 2 * unit<T> * largest(run.wide.y));
  CHECK(distance(run.narrow.dx, run.wide.dx) <= 8 * 2 * unit<T> * largest(run.wide.dx));
}
