// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/saved_test.cpp: what forward may keep, under which name, at which cost.
#include <doctest/doctest.h>
#include <cohort/core/context.hpp>
#include <cohort/core/saved.hpp>
#include <cohort/device/cpu.hpp>

#include <tuple>

using namespace cohort;

namespace {
using Fresh = Tensor<float, 5>;
using Alias = Tensor<const float, 5>;
using Weight = Param<"weight", 2, 3>;
struct Dense {
  using Params = cohort::Params<Weight>;
};
template <class V> using Kept = Saved<cohort::detail::Item<Name<"k">, V>>;

static_assert(Keepable<Fresh> && Keepable<Alias> && Keepable<Tokens> && Keepable<Nothing>);
static_assert(Keepable<Kept<Alias>> && Keepable<Saved<>> && Keepable<Returned<Fresh, Kept<Alias>>>);
static_assert(Keepable<Random> && Kept<Random>::bytes({7, 7}) == 0);
static_assert(Keepable<SavedArray<Kept<Alias>, 4>> && Keepable<SavedTuple<Kept<Alias>, Nothing>>);

// Near misses: numbers, pointers, views of parameters at every depth, containers that are not ours.
static_assert(!Keepable<int> && !Keepable<float*> && !Keepable<Rows>);
static_assert(!Keepable<ParamView<float, Weight>> && !Keepable<GradView<float, Weight>>);
static_assert(!Keepable<FlatView<Dense, ParamCursor<float>>>);
static_assert(!Keepable<Kept<int>> && !Keepable<Returned<Fresh, Kept<const float*>>>);
static_assert(!Keepable<SavedArray<Kept<int>, 4>> && !Keepable<SavedTuple<Nothing, int>>);
static_assert(!Keepable<std::tuple<Alias>> && !Keepable<std::vector<float>>);
static_assert(!Keepable<Tensor<float, 5>*> && !Keepable<Out<Fresh, Nothing>>);

struct Place {
  DefaultCpu device;
  Arena results{"activation", 4096}, scratch{"scratch", 0};
  Context<DefaultCpu, float, Phase::train> train{device, results, scratch};
  Context<DefaultCpu, float, Phase::evaluate> evaluate{device, results, scratch};
};
}  // namespace

TEST_CASE("saved: each name gives back what it was given") {
  Place at;
  const int ids[2] = {4, 5};
  const float values[10] = {};
  const auto fresh = at.train.make<5>({2, 1});
  const auto s = keep(at.train, "x"_p = Alias{values, {2, 1}}, "fresh"_p = fresh,
                      "ids"_p = Tokens{ids, {2, 1}});
  CHECK(s["x"_p].data == values);
  CHECK(s["fresh"_p].data == fresh.data);
  CHECK(s["ids"_p].data[1] == 5);
  CHECK(s["x"_p].rows == Rows{2, 1});
  static_assert(std::is_trivially_copyable_v<decltype(s)>);
}

TEST_CASE("saved: evaluation keeps nothing, in no bytes") {
  Place at;
  const auto s = keep(at.evaluate, "x"_p = Alias{});
  static_assert(std::is_same_v<decltype(s), const Nothing>);
  CHECK(s.bytes({100, 100}) == 0);
}

// 3 rows of 5 floats: 60 bytes -> 64. A child's saved value also carries the child's result.
TEST_CASE("saved: bytes are those of fresh tensors, never of aliases") {
  constexpr Rows rows{3, 1};
  using Both =
      Saved<cohort::detail::Item<Name<"a">, Fresh>, cohort::detail::Item<Name<"b">, Alias>>;
  CHECK(Both::bytes(rows) == 64);
  CHECK(Saved<>::bytes(rows) == 0);
  CHECK(Returned<Fresh, Both>::bytes(rows) == 128);
  CHECK(Returned<Alias, Both>::bytes(rows) == 64);
  CHECK(Kept<Returned<Fresh, Both>>::bytes(rows) == 128);
  CHECK(SavedTuple<Both, Nothing, Returned<Fresh, Nothing>>::bytes(rows) == 128);
}

TEST_CASE("saved: an array costs its elements and the values themselves") {
  using One = Kept<Fresh>;
  CHECK(SavedArray<One, 5>::bytes({3, 1}) == round_up(5 * sizeof(One), 64) + 5 * 64);
  CHECK(sizeof(SavedArray<One, 5>) == sizeof(void*));
  const One values[2] = {{{{nullptr, {7, 1}}}}, {{{nullptr, {8, 1}}}}};
  const SavedArray<One, 2> array{const_cast<One*>(values)};
  CHECK(array[1]["k"_p].rows.samples == 8);
}

TEST_CASE("saved: nested values keep their types, names and places") {
  Place at;
  const float values[5] = {};
  auto inner = keep(at.train, "x"_p = Alias{values, {1, 1}});
  const auto outer =
      keep(at.train, "inner"_p = Returned<Fresh, decltype(inner)>{inner}, "x"_p = Alias{});
  CHECK(outer["inner"_p].saved["x"_p].data == values);
  CHECK(outer["x"_p].data == nullptr);
}

// Whether a result may be overwritten: Fresh and Alias have some width; Wide is another one.
template <class R> constexpr bool may_be_overwritten = cohort::detail::lets_go<R>::value;
using Wide = Tensor<float, Fresh::extent + 1>;
using WideAlias = Tensor<const float, Wide::extent>;
template <class Y, class... S>
using Result = Returned<Y, Saved<cohort::detail::Item<Name<"k">, S>...>>;

static_assert(may_be_overwritten<Result<Wide, Alias>> && may_be_overwritten<Result<Wide, Tokens>>);
static_assert(may_be_overwritten<Returned<Wide, Saved<>>>);
static_assert(!may_be_overwritten<Result<Fresh, Alias>>);            // it may have been kept
static_assert(!may_be_overwritten<Result<Wide, Alias, WideAlias>>);  // or so
static_assert(!may_be_overwritten<
              Result<Wide, Returned<Alias, Saved<cohort::detail::Item<Name<"x">, WideAlias>>>>>);
static_assert(!may_be_overwritten<Result<WideAlias, Alias>>);  // somebody else's
// Of a chain the last one answers, whatever the others hold; also in chains and arrays within it.
template <class... S> using Chain = Returned<WideAlias, SavedTuple<S...>>;
using First = Result<Wide, WideAlias>;
static_assert(may_be_overwritten<Chain<First, Result<Wide, Alias>>>);
static_assert(!may_be_overwritten<Chain<Result<Wide, Alias>, First>>);
static_assert(!may_be_overwritten<Chain<Result<Wide, Alias>, Result<WideAlias, Alias>>>);
static_assert(may_be_overwritten<Chain<First, Chain<First, Result<Wide, Alias>>>>);
static_assert(
    may_be_overwritten<Chain<First, Returned<WideAlias, SavedArray<Result<Wide, Alias>, 3>>>>);
static_assert(!may_be_overwritten<Chain<First, Returned<WideAlias, SavedArray<First, 3>>>>);
static_assert(!may_be_overwritten<cohort::detail::Refused>);
