// expect-error: cohort: forward keeps something that is not an activation
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/core/keeps_parameter_map.cpp: forward keeps an Eigen map of a parameter.
#include <cohort/concepts/layer.hpp>

using namespace cohort;

struct Scale {
  using Params = cohort::Params<Param<"weight", 3>>;
  using Input = Features<3>;
  using Output = Features<3>;
#ifdef VALID
  static auto forward(auto& ctx, const auto& p, auto x) {
    const auto y = ctx.like(x);
    y.map() = x.map() * p["weight"_p].map().row(0).asDiagonal();
    return Out{y, keep(ctx, "x"_p = x)};
  }
#else
  static auto forward(auto& ctx, const auto& p, auto x) {
    const auto y = ctx.like(x);
    y.map() = x.map() * p["weight"_p].map().row(0).asDiagonal();
    return Out{y, keep(ctx, "x"_p = x, "w"_p = p["weight"_p].map())};
  }
#endif
#ifdef VALID
  static auto backward(auto& ctx, const auto& p, const auto& s, auto dy, const auto& g) {
    g["weight"_p].map() += dy.map().cwiseProduct(s["x"_p].map()).colwise().sum();
    const auto dx = ctx.like(dy);
    dx.map() = dy.map() * p["weight"_p].map().row(0).asDiagonal();
    return dx;
  }
#else
  static auto backward(auto& ctx, const auto& p, const auto& s, auto dy, const auto& g) {
    g["weight"_p].map() += dy.map().cwiseProduct(s["x"_p].map()).colwise().sum();
    const auto dx = ctx.like(dy);
    dx.map() = dy.map() * s["w"_p].map().row(0).asDiagonal();
    return dx;
  }
#endif
};
static_assert(Layer<Scale>);
