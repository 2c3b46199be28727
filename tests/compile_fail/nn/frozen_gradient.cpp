// expect-error: cohort: a backward writes the gradient of a frozen parameter
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/frozen_gradient.cpp: a layer says that it asks what is wanted, and does not.
#include <cohort/nn/frozen.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

struct Scale {
  using Params = cohort::Params<Param<"weight", 4>>;
  using Input = Features<4>;
  using Output = Features<4>;
  static constexpr bool asks_what_is_wanted = true;

  static auto forward(auto& ctx, const auto& p, auto x) {
    const auto y = ctx.like(x);
    y.map().array() = x.map().array().rowwise() * p["weight"_p].map().array().row(0);
    return Out{y, keep(ctx, "x"_p = x)};
  }
  template <class G>
  static auto backward(auto& ctx, const auto& p, const auto& saved, auto dy, const G& g) {
#ifdef VALID
    if constexpr (wants<G, "weight">)
#endif
      g["weight"_p].map().array() +=
          (dy.map().array() * saved["x"_p].map().array()).colwise().sum();
    const auto dx = ctx.like(dy);
    dx.map().array() = dy.map().array().rowwise() * p["weight"_p].map().array().row(0);
    return dx;
  }
};
using Model = nn::Sequential<nn::Frozen<Scale>, nn::Linear<4, 2>>;
using Run = Trainer<Model, nn::MeanSquaredError<2>>;
constexpr auto plan = Run::plan;
