// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/layer_alone_test.cpp: what its memory holds.
#include <cohort/run/layer_alone.hpp>

#include <doctest/doctest.h>

using namespace cohort;

namespace {

/// Remembers what its forward and backward find in memory that nobody wrote.
struct Looks {
  using Input = Features<2>;
  using Output = Features<2>;
  static inline bool zero_result = false, zero_scratch = false;
  static constexpr std::size_t scratch_bytes(Rows) { return 64; }
  template <class T> static auto forward(auto& ctx, const auto&, Tensor<const T, 2> x) {
    const auto y = ctx.like(x);
    zero_result = y.data[0] == 0;
    zero_scratch = ctx.template scratch<T>(1)[0] == 0;
    y.assign(x.wide());
    return Out{y, keep(ctx)};
  }
  template <class T>
  static auto backward(auto& ctx, const auto&, const auto&, Tensor<const T, 2> dy, const auto&) {
    const auto dx = ctx.like(dy);
    dx.assign(dy.wide());
    return dx;
  }
};
}  // namespace

TEST_CASE("LayerAlone: memory is NaN, but the kind that is asked for") {
  using detail::Zeroed;
  detail::LayerAlone<Looks> layer({});
  layer.gradients();
  CHECK((!Looks::zero_result && !Looks::zero_scratch));
  layer.gradients(true, Zeroed::results);
  CHECK((Looks::zero_result && !Looks::zero_scratch));
  layer.gradients(true, Zeroed::scratch);
  CHECK((!Looks::zero_result && Looks::zero_scratch));
  CHECK(layer.not_finite().empty());
}
