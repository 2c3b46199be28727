// expect-error: cohort: a name in brackets is no string: write p["weight"_p]
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/core/name_without_p.cpp: a parameter asked for by a string.
#include <cohort/run/check_gradients.hpp>

using namespace cohort;

template <int C> struct Scale {
  using Params = cohort::Params<Param<"weight", C>>;
  using Input = Features<C>;
  using Output = Features<C>;
  template <class T> static auto forward(auto& ctx, const auto& p, Tensor<const T, C> x) {
    const auto y = ctx.like(x);
#ifdef VALID
    y.assign(x.wide() * p["weight"_p].wide().row(0).asDiagonal());
#else
    y.assign(x.wide() * p["weight"].wide().row(0).asDiagonal());
#endif
    return Out{y, keep(ctx, "x"_p = x)};
  }
  template <class T>
  static auto backward(auto& ctx, const auto& p, const auto& s, Tensor<const T, C> dy,
                       const auto& g) {
    g["weight"_p].map() += dy.wide().cwiseProduct(s["x"_p].wide()).colwise().sum();
    const auto dx = ctx.like(dy);
    dx.assign(dy.wide() * p["weight"_p].wide().row(0).asDiagonal());
    return dx;
  }
};

int main() { return check_gradients<Scale<3>>().ok() ? 0 : 1; }
