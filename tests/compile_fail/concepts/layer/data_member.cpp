// expect-error: cohort: this layer has data members, but nobody makes an object of it
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/concepts/layer/data_member.cpp: state that would be forgotten.
#include <cohort/run/check_gradients.hpp>

using namespace cohort;

template <int C> struct Half {
  using Input = Features<C>;
  using Output = Features<C>;
#ifndef VALID
  int calls = 0;
#endif
  template <class T> static auto forward(auto& ctx, const auto&, Tensor<const T, C> x) {
    const auto y = ctx.like(x);
    y.assign(x.wide() / 2);
    return Out{y, keep(ctx)};
  }
  template <class T>
  static auto backward(auto& ctx, const auto&, const auto&, Tensor<const T, C> dy, const auto&) {
    const auto dx = ctx.like(dy);
    dx.assign(dy.wide() / 2);
    return dx;
  }
};

int main() { return check_gradients<Half<3>>().ok() ? 0 : 1; }
