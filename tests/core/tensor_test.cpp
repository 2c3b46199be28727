// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/tensor_test.cpp: views of activations: shapes, aliases, micro-batches, bytes.
#include <doctest/doctest.h>
#include <cohort/core/tensor.hpp>

#include <numeric>
#include <vector>

using namespace cohort;

namespace {
static_assert(std::is_trivially_copyable_v<Tensor<float, 3>> &&
              std::is_trivially_copyable_v<Tokens>);
static_assert(std::is_convertible_v<Tensor<float, 3>, Tensor<const float, 3>>);
// Near misses: an alias does not become writable, extents and element types do not change.
static_assert(!std::is_convertible_v<Tensor<const float, 3>, Tensor<float, 3>>);
static_assert(!std::is_convertible_v<Tensor<float, 3>, Tensor<const float, 4>>);
static_assert(!std::is_convertible_v<Tensor<float, 3>, Tensor<const double, 3>>);
static_assert(std::is_same_v<value_of<Features<3>, float>, Tensor<const float, 3>>);
static_assert(std::is_same_v<value_of<Tokens, float>, Tokens>);

template <class E>
concept Extent = requires {
  typename cohort::detail::borrowed_value<E, float>::type;
};
static_assert(Extent<Tokens> && Extent<Features<4>>);
static_assert(!Extent<int> && !Extent<Tensor<float, 4>> && !Extent<NoGradient>);

static_assert(round_up(0, 64) == 0 && round_up(1, 64) == 64 && round_up(64, 64) == 64);
static_assert(round_up(65, 64) == 128);
static_assert(Rows{3, 5}.count() == 15 && Rows{3}.count() == 3 && Rows{}.count() == 0);
}  // namespace

// 3 x 5 floats = 60 bytes -> 64; 2 rows of 9 doubles = 144 -> 192; an alias owns nothing.
TEST_CASE("tensor: a fresh result occupies whole cache lines, an alias nothing") {
  CHECK(Tensor<float, 5>::bytes({3, 1}) == 64);
  CHECK(Tensor<float, 5>::bytes({3, 2}) == 128);
  CHECK(Tensor<double, 9>::bytes({1, 2}) == 192);
  CHECK(Tensor<float, 5>::bytes({0, 1}) == 0);
  CHECK(Tensor<const float, 5>::bytes({3, 2}) == 0);
  CHECK(Tokens::bytes({3, 2}) == 0);
  CHECK(NoGradient::bytes({3, 2}) == 0);
  CHECK(Features<5>::bytes<float>({3, 2}) == 128);
}

TEST_CASE("tensor: bytes of more rows than fit an int are counted right") {
  // 65536 rows of 50257 logits: 13.2 GB
  CHECK(Tensor<float, 50257>::bytes({64, 1024}) == std::size_t{65536} * 50257 * 4);
}

TEST_CASE("tensor: the map is row-major over the same memory") {
  std::vector<float> v(6);
  std::iota(v.begin(), v.end(), 0.0f);
  const Tensor<float, 3> x{v.data(), {2, 1}};
  CHECK(x.size() == 6);
  CHECK(x.map()(0, 2) == 2);
  CHECK(x.map()(1, 0) == 3);
  x.map()(1, 1) = 40;
  CHECK(v[4] == 40);
  CHECK(x.view().map()(1, 1) == 40);
  static_assert(std::is_const_v<std::remove_pointer_t<decltype(x.view().data)>>);
}

TEST_CASE("tensor: one feature is a column") {
  std::vector<float> v{1, 2, 3};
  const Tensor<float, 1> x{v.data(), {3, 1}};
  CHECK(x.map().rows() == 3);
  CHECK(x.map().cols() == 1);
  CHECK(x.map()(2, 0) == 3);
}

TEST_CASE("tensor: micro-batches cut by samples and cover every row once") {
  std::vector<float> v(4 * 3 * 2);
  std::iota(v.begin(), v.end(), 0.0f);
  const Tensor<const float, 2> x{v.data(), {4, 3}};
  const auto part = x.samples(2, 2);
  CHECK(part.rows == Rows{2, 3});
  CHECK(part.data == v.data() + 12);
  CHECK(part.map()(0, 0) == 12);

  std::vector<int> ids(12);
  std::iota(ids.begin(), ids.end(), 0);
  const Tokens t{ids.data(), {4, 3}};
  CHECK(t.size() == 12);
  CHECK(t.samples(1, 2).data == ids.data() + 3);
  CHECK(t.samples(1, 2).rows == Rows{2, 3});
}
