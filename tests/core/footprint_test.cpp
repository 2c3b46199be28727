// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/footprint_test.cpp: announced bytes are what a run takes, to the line.
#include <doctest/doctest.h>
#include <cohort/core/footprint.hpp>

#include <vector>

#include "support/models.hpp"
#include "support/one_layer.hpp"

using namespace cohort;

namespace {
/// Runs L with arenas of exactly the announced size, then with one line less in each.
template <class L> void check_exact(Rows rows) {
  using One = zoo::OneLayer<L>;
  constexpr bool tokens = One::takes_tokens;
  std::vector<typename One::X> x;
  if constexpr (tokens)
    x.assign(static_cast<std::size_t>(rows.count()), 1);
  else
    x = zoo::normals(static_cast<std::size_t>(rows.count()) * L::Input::extent, 1);
  const auto dy = zoo::normals(static_cast<std::size_t>(rows.count()) * L::Output::extent, 2);
  const auto runs = [&](typename One::Bytes bytes) {
    One one(rows, bytes);
    one.draw(3);
    one.run(x, dy);
  };
  const auto planned = One::planned(rows);
  CHECK_NOTHROW(runs(planned));
  auto less = planned;
  less.activations -= 64;
  CHECK_THROWS_AS(runs(less), ContractBroken);
  less = planned;
  less.backward = round_up(planned.backward, 64) - 64;
  if (planned.backward > 0) CHECK_THROWS_AS(runs(less), ContractBroken);
  less = planned;
  if (planned.scratch > 0) {
    less.scratch -= 64;
    CHECK_THROWS_AS(runs(less), ContractBroken);
  }
}

constexpr Rows rows{3, 5};  // 15 rows: 60 C bytes, no whole line for odd C
using C8 = nn::Linear<8, 8>;
using Chain = nn::Sequential<nn::Linear<8, 24>, nn::Gelu<24>, nn::Linear<24, 8>>;

struct NoChildrenNoInput {
  using Input = Tokens;
};
struct WithScratch {
  template <class T> static constexpr std::size_t scratch_bytes(Rows r) {
    return sizeof(T) * r.count();
  }
};
struct PlainScratch {  // not a template: for layers of one element type
  using Children = cohort::Children<Child<"a", WithScratch>, Child<"b", NoChildrenNoInput>>;
  static constexpr std::size_t scratch_bytes(Rows) { return 65; }
};
static_assert(scratch_bytes<NoChildrenNoInput, float>(rows) == 0);
static_assert(scratch_bytes<WithScratch, float>(rows) == 64);
static_assert(scratch_bytes<WithScratch, double>(rows) == 128);
static_assert(scratch_bytes<PlainScratch, float>(rows) ==
              128 + 64);  // a child's lies on its parent's
static_assert(scratch_bytes<nn::Repeat<7, nn::Attention<8, 2>>, float>(rows) ==
              scratch_bytes<nn::Attention<8, 2>, float>(rows));
}  // namespace

// One gradient of 15 rows and 8 features: 480 bytes -> 512; of 24 features: 1440 -> 1472.
TEST_CASE("footprint: backward bytes by hand") {
  constexpr std::size_t c8 = 512, c24 = 1472;
  const auto is = [](BackwardBytes b, std::size_t peak, std::size_t result) {
    CHECK(b.peak == peak);
    CHECK(b.result == result);
  };
  is(backward_bytes<C8, float>(rows), c8, c8);
  is(backward_bytes<nn::Embedding<9, 8>, float>(rows), 0, 0);
  is(backward_bytes<Chain, float>(rows), 2 * c24, c8);  // dy of Gelu beside its dx
  is(backward_bytes<nn::Residual<Chain>, float>(rows), 2 * c24, c8);
  is(backward_bytes<nn::Repeat<1, C8>, float>(rows), c8, c8);
  is(backward_bytes<nn::Repeat<9, C8>, float>(rows), 2 * c8, c8);
  is(backward_bytes<nn::Repeat<9, Chain>, float>(rows), c8 + 2 * c24, c8);
  is(backward_bytes<nn::Attention<8, 2>, float>(rows), c8 + c24, c8);
  // Without a word from the layer, its children's gradients are taken to live together with its own.
  struct Silent {
    using Children = cohort::Children<Child<"a", Chain>, Child<"b", C8>>;
    using Input = Features<8>;
  };
  is(backward_bytes<Silent, float>(rows), 3 * c8 + (2 * c24 - c8), 3 * c8);
}

TEST_CASE("footprint: chains take exactly what they announce") {
  check_exact<Chain>(rows);
  check_exact<nn::Sequential<C8>>(rows);
  check_exact<nn::Sequential<C8, C8>>(rows);
  check_exact<nn::Residual<Chain>>(rows);
  check_exact<zoo::OddMlp>(rows);
}

TEST_CASE("footprint: repeats take exactly what they announce, for odd and even numbers") {
  check_exact<nn::Repeat<1, C8>>(rows);
  check_exact<nn::Repeat<2, C8>>(rows);
  check_exact<nn::Repeat<5, nn::Residual<Chain>>>(rows);
  check_exact<zoo::NestedRepeat>(rows);
}

TEST_CASE("footprint: attention and whole models take exactly what they announce") {
  check_exact<nn::Attention<8, 2>>(rows);
  check_exact<zoo::Branching>(rows);
  check_exact<zoo::Gpt>(rows);
  check_exact<zoo::TiedGpt>(rows);
}

TEST_CASE("footprint: one row and many rows alike") {
  check_exact<nn::Repeat<2, nn::Residual<nn::Attention<8, 2>>>>({1, 1});
  check_exact<nn::Repeat<2, nn::Residual<nn::Attention<8, 2>>>>({2, 33});
}
