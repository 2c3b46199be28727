// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/embedding_test.cpp: Embedding, AddPosition, TiedEmbedding.
#include <doctest/doctest.h>
#include <cohort/nn/embedding.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/sequential.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
using Body = nn::Linear<6, 6>;
using Tied = nn::TiedEmbedding<9, 6, Body>;
using Untied = nn::Sequential<nn::Embedding<9, 6>, Body, nn::Linear<6, 9, nn::NoBias>>;
static_assert(Layer<nn::Embedding<9, 6>> && Layer<nn::AddPosition<5, 6>> && Layer<Tied>);
static_assert(num_params<Tied>() == 3 && num_params<Untied>() == 4);  // one table instead of two
static_assert(std::is_same_v<Tied::Output, Features<9>>);

template <class F> std::string message(F&& f) {
  try {
    f();
  } catch (const InvalidInput& e) {
    return e.what();
  }
  return "";
}
}  // namespace

TEST_CASE_TEMPLATE("embedding: PyTorch's values, repeated tokens included", T, float, double) {
  zoo::OneLayer<nn::Embedding<9, 6>, T> one({7, 1});
  one.set("weight", pytorch().values("embedding.in.weight"));
  const auto dy = given<T>("embedding.in.dy");
  one.fill_gradients(T(99));
  one.run(given<int>("embedding.in.ids"), dy);
  CHECK(distance(one.y, "embedding.f64.y") == 0);  // a copy
  // At most three rows of one token are added: two roundings.
  CHECK(distance(one.gradient("weight"), "embedding.f64.dweight") <= 2 * unit<T> * 3 * largest(dy));
}

TEST_CASE("embedding: a token outside the table is refused by name") {
  zoo::OneLayer<nn::Embedding<9, 6>> one({2, 1});
  const auto dy = zoo::normals(12, 1);
  CHECK(message([&] {
          one.run({3, 9}, dy);
        }).find("token 9 at row 1 is outside") != std::string::npos);
  CHECK(message([&] { one.run({-1, 3}, dy); }).find("token -1 at row 0") != std::string::npos);
}

TEST_CASE("embedding: finite differences") {
  CHECK(check_gradients<nn::Embedding<9, 6>>({.tokens_below = 9}).ok());
  CHECK(check_gradients<nn::AddPosition<5, 6>>({.rows = {3, 4}}).ok());
  CHECK(check_gradients<Tied>({.tokens_below = 9}).ok());
}

TEST_CASE("embedding: the first contribution overwrites, the next adds") {
  check_accumulates<nn::Embedding<9, 6>>({3, 2});
  check_accumulates<nn::AddPosition<5, 6>>({3, 4});
  check_accumulates<Tied>({3, 2});
}

// Two samples of two tokens, by hand: y = x + weight[position]; positions 2 and 3 get no gradient.
TEST_CASE("add_position: position is the row within its sample") {
  zoo::OneLayer<nn::AddPosition<4, 1>> one({2, 2});
  one.set("weight", std::vector<float>{10, 20, 30, 40});
  one.run({1, 2, 3, 4}, {5, 6, 7, 8});
  CHECK(one.y == std::vector<float>{11, 22, 13, 24});
  CHECK(one.dx == std::vector<float>{5, 6, 7, 8});
  CHECK(one.gradient("weight") == std::vector<float>{12, 14, 0, 0});
}

TEST_CASE("add_position: more tokens than positions are refused with both numbers") {
  zoo::OneLayer<nn::AddPosition<4, 1>> one({1, 5});
  const auto x = zoo::normals(5, 1);
  CHECK(
      message([&] { one.run(x, x); }) ==
      "cohort: AddPosition: a sample has 5 tokens, positions are learned for 4. Cut the sample or "
      "enlarge AddPosition.");
}

TEST_CASE_TEMPLATE("tied embedding: the untied model with equal tables; gradients add", T, float,
                   double) {
  zoo::OneLayer<Tied, T> tied({2, 3});
  zoo::OneLayer<Untied, T> untied({2, 3});
  tied.draw(5);
  untied.set("0.weight", tied.parameter("weight"));
  untied.set("2.weight", tied.parameter("weight"));
  untied.set("1.weight", tied.parameter("body.weight"));
  untied.set("1.bias", tied.parameter("body.bias"));
  const std::vector<int> x{1, 8, 0, 1, 1, 4};
  const auto dy = zoo::normals<T>(6 * 9, 6);
  tied.run(x, dy);
  untied.run(x, dy);
  CHECK(tied.y == untied.y);
  CHECK(tied.gradient("body.weight") == untied.gradient("1.weight"));
  std::vector<double> sum(54);
  const auto a = untied.gradient("0.weight"), b = untied.gradient("2.weight");
  for (std::size_t i = 0; i < 54; ++i) sum[i] = double(a[i]) + double(b[i]);
  // The rows of one token (three at most) are added to the head's share one by one.
  CHECK(distance(tied.gradient("weight"), sum) <= 4 * unit<T> * (largest(a) * 3 + largest(b)));
}

TEST_CASE_TEMPLATE(
    "embedding: 16 bits: rows copied, positions added once, gradients summed in fp32", T, bf16,
    fp16) {
  const InBoth<nn::Embedding<9, 6>, T> table({7, 1}, {3, 1, 3, 8, 0, 3, 1});
  CHECK(distance(table.narrow.y, table.wide.y) == 0);
  CHECK(table.gradient_error("weight") <= sum_error(3, table.D, 1));  // three rows of one token
  const InBoth<nn::AddPosition<5, 6>, T> positions({7, 4});
  CHECK(positions.y_share(unit<float> * (positions.largest_x + 1)) <= 1);
  CHECK(distance(positions.narrow.dx, positions.wide.dx) == 0);
  CHECK(positions.gradient_error("weight") <= sum_error(7, positions.D, 1));
  check_accumulates<nn::Embedding<9, 6>, T>({3, 2});
  check_accumulates<nn::AddPosition<5, 6>, T>({3, 4});
  check_accumulates<Tied, T>({3, 4});
}

TEST_CASE_TEMPLATE("embedding: a tied table in 16 bits: both uses meet in one fp32 gradient", T,
                   bf16, fp16) {
  constexpr int V = 9, C = 6, rows = 7;
  const InBoth<Tied, T> run({rows, 1}, {3, 1, 3, 8, 0, 3, 1});
  const double W = run.weight("weight"), B = run.weight("body.weight"), D = run.D;
  // The body's output h and its gradient dh are sums of C and V products, rounded to T once.
  const double h = C * W * B + run.weight("body.bias"), dh = V * D * W;
  const double h_error = half_ulp<T>(h) + sum_error(C + 1, W, B);
  const double dh_error = half_ulp<T>(dh) + sum_error(V, D, W);
  CHECK(run.y_share(C * W * h_error + sum_error(C, h, W)) <= 1);
  const double dx_error = C * B * dh_error + sum_error(C, dh, B) + half_ulp<T>(C * dh * B);
  CHECK(run.gradient_error("weight") <=
        rows * (D * h_error + dx_error) + sum_error(rows, D, h) + sum_error(rows, C * dh * B, 1));
  CHECK(run.gradient_error("body.weight") <= rows * W * dh_error + sum_error(rows, dh, W));
  CHECK(run.gradient_error("body.bias") <= rows * dh_error + sum_error(rows, dh, 1));
}
