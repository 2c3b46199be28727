// expect-error: cohort: add 'using Input = cohort::Features<C>
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/concepts/layer/no_input.cpp: a layer that does not say what goes in.
#include <cohort/concepts/layer.hpp>

using namespace cohort;

struct Scale {
  using Params = cohort::Params<Param<"weight", 3>>;
#ifdef VALID
  using Input = Features<3>;
#endif
  using Output = Features<3>;
  static auto forward(auto& ctx, const auto& p, auto x) {
    const auto y = ctx.like(x);
    y.map() = x.map() * p["weight"_p].map().row(0).asDiagonal();
    return Out{y, keep(ctx, "x"_p = x)};
  }
  static auto backward(auto& ctx, const auto& p, const auto& s, auto dy, const auto& g) {
    g["weight"_p].map() += dy.map().cwiseProduct(s["x"_p].map()).colwise().sum();
    const auto dx = ctx.like(dy);
    dx.map() = dy.map() * p["weight"_p].map().row(0).asDiagonal();
    return dx;
  }
};
static_assert(Layer<Scale>);
