// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/sequential_test.cpp: a chain is its parts, one after the other.
#include <doctest/doctest.h>
#include <cohort/nn/activations.hpp>
#include <cohort/nn/frozen.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/residual.hpp>
#include <cohort/nn/sequential.hpp>

#include "support.hpp"
#include "support/models.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
using A = nn::Linear<3, 5>;
using B = nn::Gelu<5>;
using C = nn::Linear<5, 2>;
using Seq = nn::Sequential<A, B, C>;
static_assert(nn::Chain<A> && nn::Chain<A, C, A> && nn::FittingChain<A, B, C> && Layer<Seq>);
// Near misses: nothing, something that is no layer, neighbours that do not fit.
static_assert(!nn::Chain<> && !nn::Chain<A, int> && !nn::FittingChain<A, int>);
static_assert(!nn::FittingChain<A, A> && !nn::FittingChain<A, nn::Gelu<4>, C>);
static_assert(!nn::FittingChain<A, nn::Embedding<9, 5>>);  // features where tokens are wanted
static_assert(nn::FittingChain<nn::Embedding<9, 3>, A>);

static_assert(std::is_same_v<Seq::Input, Features<3>> && std::is_same_v<Seq::Output, Features<2>>);
static_assert(children_of<Seq>::count == 3 && children_of<Seq>::name_at<2>::view() == "2");
static_assert(num_params<Seq>() == 4 && flat_size<Seq>() == flat_size<A>() + flat_size<C>());

struct Memory {
  std::vector<float> x = zoo::normals(4 * 3, 1), dy = zoo::normals(4 * 2, 2);
  Rows rows{2, 2};
};
}  // namespace

namespace {
using Activated = nn::LinearGelu<5, 7>;
using After = nn::Linear<7, 4>;
using Pair = nn::Sequential<Activated, After>;
static_assert(LeavesSlope<Activated> && MultipliesBackward<After>);
// Only before a product that multiplies: not at the end, not before a layer that does not.
static_assert(TakesDz<child_of<Pair, 0>> && std::is_same_v<child_of<Pair, 1>, After>);
static_assert(std::is_same_v<child_of<nn::Sequential<B, Activated>, 1>, Activated>);
static_assert(std::is_same_v<child_of<nn::Sequential<Activated, nn::ReLU<7>>, 0>, Activated>);
static_assert(AddsBackward<Pair> && !AddsBackward<nn::Sequential<Activated>>);
}  // namespace

TEST_CASE_TEMPLATE(
    "sequential: gelu before a product leaves its slope to it, with the bits of the parts", T,
    float, bf16, fp16) {
  const Rows rows{20, 2};
  zoo::OneLayer<Pair, T> whole(rows);
  zoo::OneLayer<Activated, T> first(rows);
  zoo::OneLayer<After, T> second(rows);
  whole.draw(3);
  for (const std::string p : {"weight", "bias"}) {
    first.set(p, whole.parameter("0." + p));
    second.set(p, whole.parameter("1." + p));
  }
  const auto x = zoo::normals<T>(40 * 5, 1), dy = zoo::normals<T>(40 * 4, 2);
  whole.run(x, dy);
  first.run(x, zoo::normals<T>(40 * 7, 9));
  second.run(first.y, dy);
  CHECK(as<double>(whole.y) == as<double>(second.y));
  first.begin_step();
  first.run(x, second.dx);
  CHECK(as<double>(whole.dx) == as<double>(first.dx));
  for (const std::string p : {"weight", "bias"}) {
    CHECK(whole.gradient("0." + p) == first.gradient(p));
    CHECK(whole.gradient("1." + p) == second.gradient(p));
  }
  CHECK(first.planned(rows).scratch > 0);
  CHECK(whole.planned(rows).scratch == 0);
  zoo::OneLayer<nn::Frozen<Pair>, T> frozen(rows);
  frozen.draw(3);
  frozen.run(x, dy);
  CHECK(as<double>(frozen.dx) == as<double>(whole.dx));
}

TEST_CASE("sequential: gelu before a product against finite differences; it accumulates") {
  CHECK(check_gradients<Pair>().ok());
  CHECK(check_gradients<nn::Sequential<nn::LinearGelu<4, 6, nn::NoBias, ops::GeluTanh>,
                                       nn::LinearGelu<6, 5>, nn::Linear<5, 3, nn::NoBias>>>()
            .ok());
  CHECK(
      check_gradients<nn::Residual<nn::Sequential<nn::LinearGelu<4, 6>, nn::Linear<6, 4>>>>().ok());
  check_accumulates<Pair>({3, 4});
}

TEST_CASE("sequential: forward and backward are the parts', bit for bit") {
  const Memory m;
  zoo::OneLayer<Seq> whole(m.rows);
  zoo::OneLayer<A> a(m.rows);
  zoo::OneLayer<B> b(m.rows);
  zoo::OneLayer<C> c(m.rows);
  whole.draw(3);
  for (const std::string p : {"weight", "bias"}) {
    a.set(p, whole.parameter("0." + p));
    c.set(p, whole.parameter("2." + p));
  }
  whole.run(m.x, m.dy);
  a.run(m.x, zoo::normals(4 * 5, 9));
  b.run(a.y, zoo::normals(4 * 5, 9));
  c.run(b.y, m.dy);
  CHECK(whole.y == c.y);
  b.run(a.y, c.dx);
  a.begin_step();
  a.run(m.x, b.dx);
  CHECK(whole.dx == a.dx);
  CHECK(whole.gradient("0.weight") == a.gradient("weight"));
  CHECK(whole.gradient("0.bias") == a.gradient("bias"));
  CHECK(whole.gradient("2.weight") == c.gradient("weight"));
}

TEST_CASE("sequential: nesting changes names, not numbers") {
  const Memory m;
  zoo::OneLayer<Seq> flat(m.rows);
  zoo::OneLayer<nn::Sequential<nn::Sequential<A, B>, nn::Sequential<C>>> nested(m.rows);
  flat.draw(3);
  nested.draw(3);
  flat.run(m.x, m.dy);
  nested.run(m.x, m.dy);
  CHECK(flat.y == nested.y);
  CHECK(flat.dx == nested.dx);
  CHECK(flat.gradient("0.weight") == nested.gradient("0.0.weight"));
  CHECK(flat.gradient("2.bias") == nested.gradient("1.0.bias"));
}

TEST_CASE("sequential: evaluation gives the bits of training") {
  const Memory m;
  zoo::OneLayer<Seq> one(m.rows);
  one.draw(3);
  one.run(m.x, m.dy);
  CHECK(one.evaluate(m.x) == one.y);
}

TEST_CASE("sequential: finite differences, for chains of one and of many") {
  CHECK(check_gradients<nn::Sequential<A>>().ok());
  CHECK(check_gradients<nn::Sequential<B>>().ok());
  CHECK(check_gradients<Seq>().ok());
  CHECK(check_gradients<zoo::OddMlp>().ok());
  CHECK(check_gradients<zoo::Branching>().ok());
  CHECK(check_gradients<zoo::Gpt>({.rows = {2, 4}, .tokens_below = 11, .most_each = 12}).ok());
}
