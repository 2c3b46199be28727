// expect-error: cohort: what forward keeps has a name: write keep(ctx, "x"_p = x)
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/core/kept_without_a_name.cpp: keep(ctx, x) does not say what it is called in backward.
#include <cohort/run/check_gradients.hpp>

using namespace cohort;

template <int C> struct Square {
  using Input = Features<C>;
  using Output = Features<C>;
  template <class T> static auto forward(auto& ctx, const auto&, Tensor<const T, C> x) {
    const auto y = ctx.like(x);
    y.assign(x.wide().cwiseAbs2());
#ifdef VALID
    return Out{y, keep(ctx, "x"_p = x)};
#else
    return Out{y, keep(ctx, x)};
#endif
  }
  template <class T>
  static auto backward(auto& ctx, const auto&, const auto& s, Tensor<const T, C> dy, const auto&) {
    const auto dx = ctx.like(dy);
#ifdef VALID
    dx.assign(2 * dy.wide().cwiseProduct(s["x"_p].wide()));
#else
    dx.assign(2 * dy.wide());
#endif
    return dx;
  }
};

int main() { return check_gradients<Square<3>>().ok() ? 0 : 1; }
