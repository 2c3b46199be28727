// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/plan/schedule_test.cpp: markers, programs, micro-batches.
#include <doctest/doctest.h>
#include <cohort/plan/schedule.hpp>

#include <string>
#include <vector>

using namespace cohort;

namespace {
// Three units, by hand: begin; F0 F1 F2; end of forward; B2 E2 B1 E1 B0 E0; squared; updated.
using M = Markers<3>;
static_assert(M::begin == 0);
static_assert(M::forward(0) == 1 && M::forward(1) == 2 && M::forward(2) == 3);
static_assert(M::forward_ended == 4);
static_assert(M::backward(2) == 5 && M::backward_ended(2) == 6);
static_assert(M::backward(1) == 7 && M::backward_ended(1) == 8);
static_assert(M::backward(0) == 9 && M::backward_ended(0) == 10);
static_assert(M::squared == 11 && M::updated == 12 && M::count == 13);

static_assert(is_first(MicroBatch::only) && is_first(MicroBatch::first));
static_assert(!is_first(MicroBatch::middle) && !is_first(MicroBatch::last));
static_assert(is_last(MicroBatch::only) && is_last(MicroBatch::last));
static_assert(!is_last(MicroBatch::middle) && !is_last(MicroBatch::first));

static_assert(Op{OpKind::loss, 1, 2, 3, DType::f64} == Op{OpKind::loss, 1, 2, 3, DType::f64});
static_assert(Op{OpKind::loss, 1, 2, 3, DType::f64} != Op{OpKind::all_reduce, 1, 2, 3, DType::f64});
static_assert(Op{OpKind::loss, 1, 2, 3, DType::f64} != Op{OpKind::loss, 1, 2, 4, DType::f64});
}  // namespace

TEST_CASE_TEMPLATE("schedule: each marker has its own number, 0 .. count - 1, in order of the step",
                   U, std::integral_constant<int, 1>, std::integral_constant<int, 2>,
                   std::integral_constant<int, 126>) {
  using Ms = Markers<U::value>;
  std::vector<int> order{Ms::begin};
  for (int u = 0; u < U::value; ++u) order.push_back(Ms::forward(u));
  order.push_back(Ms::forward_ended);
  for (int u = U::value; u-- > 0;) {
    order.push_back(Ms::backward(u));
    order.push_back(Ms::backward_ended(u));
  }
  order.push_back(Ms::squared);
  order.push_back(Ms::updated);
  REQUIRE(order.size() == static_cast<std::size_t>(Ms::count));
  for (std::size_t i = 0; i < order.size(); ++i) CHECK(order[i] == static_cast<int>(i));
}

TEST_CASE("schedule: a program keeps the order in which it was written") {
  constexpr auto p = [] {
    Program<4> q;
    q.add({OpKind::all_reduce, 1, 6, 64, DType::f32});
    q.add({OpKind::loss, 0, 10, 2, DType::f64});
    return q;
  }();
  static_assert(p.count == 2 && p.end() - p.begin() == 2);
  CHECK(p.begin()[0].id == 1);
  CHECK(p.begin()[1].kind == OpKind::loss);
  CHECK(Program<3>{}.count == 0);
}

template <bool Averages> struct SmallPlan {
  using markers = Markers<2>;
  using gradient = double;
  static constexpr bool averages = Averages;
  static constexpr struct { std::size_t averaged = 128; } layout{};
};
TEST_CASE("add_sums: the loss at the end of backward, and averages before it where there are any") {
  constexpr int end = Markers<2>::backward_ended(0);
  Program<2> without, with;
  add_sums<SmallPlan<false>>(without);
  add_sums<SmallPlan<true>>(with);
  REQUIRE((without.count == 1 && with.count == 2));
  CHECK(without.op[0] == Op{OpKind::loss, 0, end, 2, DType::f64});
  CHECK(with.op[0] == Op{OpKind::averages, 0, end, 129, DType::f64});
  CHECK(with.op[1] == without.op[0]);
}

TEST_CASE("schedule: kinds are named as communicators name their collectives") {
  CHECK(name(OpKind::all_reduce) == "all_reduce");
  CHECK(name(OpKind::reduce_scatter) == "reduce_scatter");
  CHECK(name(OpKind::all_gather) == "all_gather");
  CHECK(name(OpKind::loss) == "all_reduce");
  CHECK(name(OpKind::norm) == "all_reduce");
  CHECK(name(OpKind::averages) == "all_reduce");
}
