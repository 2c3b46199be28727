// expect-error: cohort: 16-bit elements have no arithmetic and so no map()
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/core/map_of_16_bits.cpp: a layer in bf16 that maps its tensors instead of widening them.
#include <cohort/concepts/layer.hpp>

using namespace cohort;

struct Scale {
  using Params = cohort::Params<Param<"weight", 3>>;
  using Input = Features<3>;
  using Output = Features<3>;
  static auto forward(auto& ctx, const auto& p, auto x) {
    const auto y = ctx.like(x);
#ifdef VALID
    y.assign(x.wide() * p["weight"_p].wide().row(0).asDiagonal());
#else
    y.assign(x.map() * p["weight"_p].wide().row(0).asDiagonal());
#endif
    return Out{y, keep(ctx, "x"_p = x)};
  }
  static auto backward(auto& ctx, const auto& p, const auto& s, auto dy, const auto& g) {
    g["weight"_p].map() += dy.wide().cwiseProduct(s["x"_p].wide()).colwise().sum();
    const auto dx = ctx.like(dy);
    dx.assign(dy.wide() * p["weight"_p].wide().row(0).asDiagonal());
    return dx;
  }
};
static_assert(Layer<Scale, DefaultCpu, bf16>);
