// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/tensor_test.cpp: views of activations: shapes, aliases, micro-batches, bytes.
#include <doctest/doctest.h>
#include <cohort/core/tensor.hpp>

#include <cmath>
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

namespace {
template <class X>
concept Assignable = requires(X x, Eigen::MatrixXf m) {
  x.assign(m);
};
template <class X>
concept AssignableFromDouble = requires(X x, Eigen::MatrixXd m) {
  x.assign(m);
};
// Aliases are not written, and values of another type are not rounded twice.
static_assert(Assignable<Tensor<bf16, 3>> && Assignable<Tensor<float, 3>>);
static_assert(!Assignable<Tensor<const bf16, 3>> && !Assignable<Tensor<const float, 3>>);
static_assert(!AssignableFromDouble<Tensor<bf16, 3>> && !AssignableFromDouble<Tensor<float, 3>>);
static_assert(AssignableFromDouble<Tensor<double, 3>> && !Assignable<Tensor<double, 3>>);
template <class X>
using WideScalar = typename std::remove_cvref_t<decltype(std::declval<X>().wide())>::Scalar;
static_assert(std::is_same_v<WideScalar<Tensor<bf16, 3>>, float> &&
              std::is_same_v<WideScalar<Tensor<const fp16, 1>>, float> &&
              std::is_same_v<WideScalar<Tensor<double, 3>>, double>);
static_assert(Tensor<bf16, 5>::bytes({3, 2}) == 64 && Tensor<bf16, 17>::bytes({2, 1}) == 128);
}  // namespace

TEST_CASE_TEMPLATE("tensor: wide gives every 16-bit value exactly, row-major", T, bf16, fp16) {
  std::vector<T> v(0x10000);
  for (std::uint32_t b = 0; b < 0x10000; ++b) v[b] = T::from_bits(static_cast<std::uint16_t>(b));
  const Tensor<const T, 16> x{v.data(), {0x1000, 1}};
  const Eigen::MatrixXf wide = x.wide();
  int wrong = 0;
  for (int r = 0; r < 0x1000; ++r)
    for (int c = 0; c < 16; ++c) {
      const float want = float(v[static_cast<std::size_t>(r * 16 + c)]);
      wrong += !(wide(r, c) == want || (std::isnan(want) && std::isnan(wide(r, c))));
    }
  CHECK(wrong == 0);
  const Tensor<const T, 1> column{v.data(), {3, 1}};
  CHECK(column.wide().rows() == 3);
  CHECK(column.wide()(1, 0) == float(v[1]));
  CHECK(Tensor<T, 4>{}.wide().size() == 0);  // no rows, no memory
}

TEST_CASE_TEMPLATE("tensor: assign evaluates in fp32 and rounds each value once", T, bf16, fp16) {
  std::vector<T> a(6), b(6), y(7, T(9.0f));
  for (std::size_t i = 0; i < 6; ++i) {
    a[i] = T(0.37f * static_cast<float>(i) - 1);
    b[i] = T(1.0f / static_cast<float>(i + 3));
  }
  const Tensor<const T, 3> A{a.data(), {2, 1}}, B{b.data(), {2, 1}};
  const Tensor<T, 3> Y{y.data(), {2, 1}};
  Y.assign(A.wide().cwiseProduct(B.wide()) * 0.3f);
  for (std::size_t i = 0; i < 6; ++i) CHECK(y[i].bits == T(float(a[i]) * float(b[i]) * 0.3f).bits);
  Y.assign(A.wide().array() + 1.0f);  // arrays too, and its own values
  Y.assign(Y.wide() + B.wide());
  for (std::size_t i = 0; i < 6; ++i)
    CHECK(y[i].bits == T(float(T(float(a[i]) + 1.0f)) + float(b[i])).bits);
  // A product is evaluated before it is written: it may read what it overwrites.
  Eigen::Matrix3f turn;
  turn << 0, 1, 0, 0, 0, 1, 1, 0, 0;
  const Eigen::MatrixXf before = Y.wide();
  Y.assign(Y.wide() * turn);
  for (int r = 0; r < 2; ++r)
    for (int c = 0; c < 3; ++c) CHECK(Y.wide()(r, (c + 1) % 3) == before(r, c));
  CHECK(float(y[6]) == 9.0f);
}

TEST_CASE("tensor: wide and assign of float and double are the elements themselves") {
  std::vector<double> v{1, 2, 3, 4};
  const Tensor<double, 2> x{v.data(), {2, 1}};
  CHECK(x.wide().data() == v.data());
  x.assign(x.wide() * 2.0);
  CHECK(v == std::vector<double>{2, 4, 6, 8});
  x.assign(x.wide() * (Eigen::Matrix2d() << 0, 1, 1, 0).finished());
  CHECK(v == std::vector<double>{4, 2, 8, 6});
}
