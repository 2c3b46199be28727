// expect-error: cohort: check_gradients computes in fp64, and this layer takes float only
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/concepts/layer/checked_in_float_only.cpp: a body for float where one for any T is needed.
#include <cohort/run/check_gradients.hpp>

using namespace cohort;

#ifdef VALID
#define ANY template <class T>
#else
#define ANY
using T = float;
#endif

template <int C> struct Half {
  using Input = Features<C>;
  using Output = Features<C>;
  ANY static auto forward(auto& ctx, const auto&, Tensor<const T, C> x) {
    const auto y = ctx.like(x);
    y.assign(x.wide() / 2);
    return Out{y, keep(ctx)};
  }
  ANY static auto backward(auto& ctx, const auto&, const auto&, Tensor<const T, C> dy,
                           const auto&) {
    const auto dx = ctx.like(dy);
    dx.assign(dy.wide() / 2);
    return dx;
  }
};

int main() { return check_gradients<Half<3>>().ok() ? 0 : 1; }
