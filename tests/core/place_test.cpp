// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/place_test.cpp: what lies on a GPU has a type of its own, as small as the host's.
#include <cohort/core/place.hpp>

#include <cohort/core/device_view.hpp>
#include <cohort/core/saved.hpp>
#include <cohort/device/cpu.hpp>

#include <doctest/doctest.h>

using namespace cohort;

namespace {

static_assert(std::is_same_v<place_of<DefaultCpu>, OnHost> && on_host<DefaultCpu>);
static_assert(std::is_same_v<place_of<Cuda>, OnGpu> && !on_host<Cuda>);

template <class Where> using X = Tensor<float, 4, Where>;
static_assert(std::is_same_v<Tensor<float, 4>, X<OnHost>> &&
              std::is_same_v<Tokens, TokensIn<OnHost>>);
static_assert(sizeof(X<OnGpu>) == sizeof(X<OnHost>));
static_assert(X<OnGpu>::bytes({3, 5}) == X<OnHost>::bytes({3, 5}));
static_assert(Tensor<const float, 4, OnGpu>::bytes({3, 5}) == 0);

// Neither place is taken for the other; a fresh result becomes an alias where it lies.
static_assert(!std::is_convertible_v<X<OnGpu>, X<OnHost>>);
static_assert(!std::is_convertible_v<X<OnHost>, Tensor<const float, 4, OnGpu>>);
static_assert(!std::is_convertible_v<TokensIn<OnGpu>, Tokens>);
static_assert(std::is_convertible_v<X<OnGpu>, Tensor<const float, 4, OnGpu>>);

static_assert(std::is_same_v<value_of<Features<4>, bf16, OnGpu>, Tensor<const bf16, 4, OnGpu>>);
static_assert(std::is_same_v<value_of<Tokens, bf16, OnGpu>, TokensIn<OnGpu>>);
static_assert(std::is_same_v<value_of<Features<4>, bf16>, Tensor<const bf16, 4>>);

static_assert(std::is_same_v<param_cursor_on<bf16, Cuda>, ParamCursor<bf16, OnGpu>>);
static_assert(std::is_same_v<param_cursor_on<float, DefaultCpu>, ParamCursor<float>>);
static_assert(std::is_same_v<grad_cursor_on<float, Cuda>, DeviceGradCursor<float, Cuda>>);
static_assert(std::is_same_v<grad_cursor_on<float, DefaultCpu>, GradCursor<float>>);

// All of it may be kept.
static_assert(Keepable<X<OnGpu>> && Keepable<Tensor<const float, 4, OnGpu>>);
static_assert(Keepable<TokensIn<OnGpu>>);

TEST_CASE("place: samples of a tensor or of tokens stay where they lie") {
  float values[24] = {};
  const auto x = Tensor<const float, 4, OnGpu>{values, {3, 2}}.samples(1, 2);
  static_assert(std::is_same_v<decltype(x), const Tensor<const float, 4, OnGpu>>);
  CHECK(x.data == values + 8);
  CHECK(x.rows == Rows{2, 2});
  const int ids[6] = {};
  const auto t = TokensIn<OnGpu>{ids, {3, 2}}.samples(2, 1);
  CHECK(t.data == ids + 4);
  CHECK(t.rows == Rows{1, 2});
}

}  // namespace
