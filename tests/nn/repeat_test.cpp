// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nn/repeat_test.cpp: N copies of a layer are a chain of N layers.
#include <doctest/doctest.h>
#include <cohort/nn/repeat.hpp>

#include "support.hpp"
#include "support/models.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
using E = nn::Residual<nn::Linear<3, 3>>;
static_assert(nn::SameInAndOut<E> && Layer<nn::Repeat<3, E>> && Repeated<nn::Repeat<3, E>>);
// Near misses: another output than input, no layer.
static_assert(!nn::SameInAndOut<nn::Linear<3, 4>> && !nn::SameInAndOut<nn::Embedding<3, 3>>);
static_assert(!nn::SameInAndOut<int>);
static_assert(num_params<nn::Repeat<5, E>>() == 10);

// Saved state is one pointer here, however deep: the rest lies in the arena.
template <int N> using Kept = typename zoo::OneLayer<nn::Repeat<N, E>>::Kept;
static_assert(sizeof(Kept<2>) == sizeof(Kept<126>));

template <int N, class... Es> void check_is_chain() {
  CAPTURE(N);
  const Rows rows{2, 2};
  zoo::OneLayer<nn::Repeat<N, E>> repeat(rows);
  zoo::OneLayer<nn::Sequential<Es...>> chain(rows);
  repeat.draw(3);
  chain.draw(3);
  const auto x = zoo::normals(12, 1), dy = zoo::normals(12, 2);
  repeat.run(x, dy);
  chain.run(x, dy);
  CHECK(repeat.y == chain.y);
  CHECK(repeat.dx == chain.dx);
  CHECK(parameter_names<nn::Repeat<N, E>>() == parameter_names<nn::Sequential<Es...>>());
  for (const auto& name : parameter_names<nn::Repeat<N, E>>())
    CHECK(repeat.gradient(name) == chain.gradient(name));
  CHECK(repeat.evaluate(x) == repeat.y);
}
}  // namespace

TEST_CASE("repeat: it is the Sequential of its elements, bit for bit, names included") {
  check_is_chain<1, E>();
  check_is_chain<2, E, E>();
  check_is_chain<5, E, E, E, E, E>();
}

TEST_CASE("repeat: finite differences, also nested") {
  CHECK(check_gradients<nn::Repeat<1, E>>().ok());
  CHECK(check_gradients<nn::Repeat<4, E>>().ok());
  CHECK(check_gradients<nn::Repeat<2, nn::Repeat<3, E>>>().ok());
  CHECK(check_gradients<zoo::NestedRepeat>().ok());
  CHECK(check_gradients<nn::Repeat<3, nn::Gelu<3>>>().ok());  // without parameters
}

TEST_CASE("repeat: elements that pass dy on take no memory and free none") {
  using L = nn::Repeat<3, nn::AddPosition<2, 3>>;
  zoo::OneLayer<L> one({2, 2});
  one.draw(3);
  const auto x = zoo::normals(12, 1), dy = zoo::normals(12, 2);
  one.run(x, dy);
  CHECK(one.dx == dy);
  CHECK(check_gradients<L>({.rows = {2, 2}}).ok());
}

TEST_CASE("repeat: each element accumulates its own gradients") {
  check_accumulates<nn::Repeat<3, E>>({2, 2});
}
