// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/params_test.cpp: declarations of parameters and children, and the sizes that follow.
#include <doctest/doctest.h>
#include <cohort/core/params.hpp>

#include <string>
#include <vector>

using namespace cohort;

namespace {
using Matrix = Param<"weight", 5, 13>;
using Vector = Param<"bias", 5>;
using Cube = Param<"kernel", 2, 3, 4, 5>;

static_assert(Matrix::rank == 2 && Matrix::rows == 5 && Matrix::cols == 13);
static_assert(Vector::rank == 1 && Vector::rows == 1 && Vector::cols == 5);
static_assert(Cube::rank == 4 && Cube::rows == 24 && Cube::cols == 5 && Cube::numel == 120);
static_assert(Matrix::numel == 65 && Matrix::padded == 128);  // 65 elements are two chunks of 64
static_assert(Param<"p", 64>::padded == 64 && Param<"p", 1>::padded == 64);
static_assert(Matrix::decays && !Vector::decays && Cube::decays);
static_assert(std::is_same_v<Matrix::initialiser, init::Default>);

// Decorations change one property each and keep the others.
using Ones = Initialised<Vector, init::Ones>;
static_assert(std::is_same_v<Ones::initialiser, init::Ones> && !Ones::decays && Ones::cols == 5);
using Still = NoDecay<Initialised<Matrix, init::Zeros>>;
static_assert(!Still::decays && std::is_same_v<Still::initialiser, init::Zeros>);
using Moved = Initialised<NoDecay<Matrix>, init::Zeros>;  // the other way round: the same parameter
static_assert(std::is_same_v<Still::initialised_by<init::Ones>, Moved::initialised_by<init::Ones>>);
static_assert(std::is_same_v<Moved::initialiser, init::Zeros>);

using Both = Params<Matrix, Vector>;
static_assert(Both::count == 2 && Both::size == FlatCount{128 + 64, 0, 2});
static_assert(Both::before<0>() == FlatCount{} && Both::before<1>() == FlatCount{128, 0, 1});
static_assert(std::is_same_v<Both::at<1>, Vector>);
static_assert(Both::find<Name<"weight">> == 0 && Both::find<Name<"bias">> == 1);
static_assert(Both::find<Name<"Bias">> == -1 && Params<>::find<Name<"bias">> == -1);
static_assert(Params<>::count == 0 && Params<>::size == FlatCount{});

// What is frozen lies apart: it moves nothing that is trained.
using Fixed = Param<"fixed", 5, 13>::without_gradient;
static_assert(Matrix::trains && !Fixed::trains && !Fixed::decays && Fixed::numel == Matrix::numel);
static_assert(!Initialised<Fixed, init::Ones>::trains && !NoDecay<Fixed>::trains);
using Mixed = Params<Vector, Fixed, Matrix>;
static_assert(Mixed::size == FlatCount{64 + 128, 128, 3} && Mixed::size.elements() == 320);
static_assert(Mixed::before<1>() == FlatCount{64, 0, 1} &&
              Mixed::before<2>() == FlatCount{64, 128, 2});

// An average lies apart from both; whatever decorates it, in whatever order.
using Average = Averaged<Param<"mean", 5>>;
static_assert(Average::averages && !Average::trains && !Average::decays && Average::rate == 0.1);
static_assert(std::is_same_v<Average::initialiser, init::Zeros> && Average::numel == 5);
using Slow = Averaged<Initialised<Param<"slow", 5, 13>, init::Ones>, std::ratio<1, 100>>;
static_assert(Slow::rate == 0.01 && std::is_same_v<Slow::initialiser, init::Ones>);
static_assert(Initialised<Average, init::Ones>::averages && NoDecay<Average>::averages);
static_assert(!Average::without_gradient::averages && !Average::without_gradient::trains);
static_assert(Params<Average, Matrix, Slow, Fixed>::size == FlatCount{128, 128, 4, 64 + 128});
static_assert(Params<Average, Matrix, Slow>::before<2>() == FlatCount{128, 0, 2, 64});
static_assert(2 * FlatCount{1, 2, 3, 4} == FlatCount{2, 4, 6, 8} &&
              FlatCount{1, 2, 3, 4}.elements() == 7);

struct Leaf {
  using Params = Both;
};
struct Empty {};
struct Tower {  // repeat and Element make a Repeated layer, whatever wrote them
  using Element = Leaf;
  static constexpr int repeat = 3;
};
struct Tree {
  using Params = cohort::Params<Vector>;
  using Children = cohort::Children<Child<"a", Leaf>, Child<"none", Empty>, Child<"b", Tower>>;
};
static_assert(Repeated<Tower>);
// Near misses of Repeated: no Element, no number.
struct OnlyElement {
  using Element = Leaf;
};
struct OnlyNumber {
  [[maybe_unused]] static constexpr int repeat = 3;
};
struct RepeatIsText {
  using Element = Leaf;
  [[maybe_unused]] static constexpr const char* repeat = "3";
};
static_assert(!Repeated<OnlyElement> && !Repeated<OnlyNumber> && !Repeated<RepeatIsText>);

static_assert(std::is_same_v<params_of<Empty>, Params<>> && children_of<Empty>::count == 0);
static_assert(children_of<Tree>::find<Name<"b">> == 2 && children_of<Tree>::find<Name<"c">> == -1);
static_assert(std::is_same_v<child_of<Tree, 0>, Leaf>);
static_assert(children_of<Tree>::name_at<1>::view() == "none");
}  // namespace

// Leaf: 128 + 64 = 192 elements with padding, 2 parameters; Tower thrice; Tree has 64 of its own.
TEST_CASE("params: a subtree's size and count, by hand") {
  CHECK(flat_size<Leaf>() == 192);
  CHECK(flat_size<Empty>() == 0);
  CHECK(flat_size<Tower>() == 576);
  CHECK(flat_size<Tree>() == 64 + 192 + 576);
  CHECK(num_params<Leaf>() == 2);
  CHECK(num_params<Tower>() == 6);
  CHECK(num_params<Tree>() == 1 + 2 + 6);
}

TEST_CASE("params: own parameters come before children, children in their order") {
  CHECK(before_child<Tree, 0>() == FlatCount{64, 0, 1});
  CHECK(before_child<Tree, 1>() == FlatCount{256, 0, 3});
  CHECK(before_child<Tree, 2>() == FlatCount{256, 0, 3});
}

TEST_CASE("params: for_each_index counts up as constants") {
  std::vector<int> seen;
  for_each_index<4>([&](auto i) {
    constexpr int constant = i;
    seen.push_back(constant);
  });
  CHECK(seen == std::vector<int>{0, 1, 2, 3});
  for_each_index<0>([&](auto) { seen.clear(); });
  CHECK(seen.size() == 4);
}
