// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/refused_test.cpp: what stands in for refused types absorbs later uses, and is seen.
#include <doctest/doctest.h>
#include <cohort/core/refused.hpp>

#include <type_traits>

using namespace cohort;

namespace {
struct Accepted {
  using Input = Features<1>;
  using Output = Features<1>;
};
static_assert(detail::holds_refused<detail::RefusedLayer>());
static_assert(!detail::holds_refused<Accepted>());
static_assert(detail::Refused::bytes({4, 8}) == 0);
static_assert(std::is_convertible_v<detail::RefusedTensor, Tensor<const float, 7>>);
static_assert(std::is_convertible_v<detail::RefusedTensor, Tensor<double, 3>>);
}  // namespace

TEST_CASE("refused: a stand-in tensor keeps its rows and has no data") {
  detail::RefusedTensor refused;
  refused.rows = {2, 3};
  const Tensor<const float, 5> as_five = refused;
  CHECK(as_five.rows == Rows{2, 3});
  CHECK(as_five.data == nullptr);
  CHECK(detail::RefusedView<float>::data() == nullptr);
  CHECK(detail::RefusedView<float>::contribute().first);
}
