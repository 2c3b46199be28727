// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/nvcc/by_nvcc.cu: the training as nvcc compiles it, and a layer that is no template.
#include "training.hpp"

namespace {

/// Names of parameters must survive nvcc in a type that is written out.
struct Shift {
  using Params = cohort::Params<cohort::NoDecay<cohort::Param<"shift", 8>>,
                                cohort::Initialised<cohort::Param<"scale", 8>, cohort::init::Ones>>;
  using Input = cohort::Features<8>;
  using Output = cohort::Features<8>;
  template <class T> static auto forward(auto& ctx, const auto& p, cohort::Tensor<const T, 8> x) {
    using namespace cohort;
    const auto y = ctx.like(x);
    for (int i = 0; i < x.rows.count() * 8; ++i)
      y.data[i] = x.data[i] * p["scale"_p].data()[i % 8] + p["shift"_p].data()[i % 8];
    return Out{y, keep(ctx, "x"_p = x)};
  }
  template <class T>
  static auto backward(auto& ctx, const auto& p, const auto& saved, cohort::Tensor<const T, 8> dy,
                       const auto& g) {
    using namespace cohort;
    const auto dx = ctx.like(dy);
    g["shift"_p].map() += dy.map().colwise().sum();
    g["scale"_p].map() += dy.map().cwiseProduct(saved["x"_p].map()).colwise().sum();
    for (int i = 0; i < dy.rows.count() * 8; ++i)
      dx.data[i] = dy.data[i] * p["scale"_p].data()[i % 8];
    return dx;
  }
};
static_assert(cohort::Layer<Shift>);

}  // namespace

namespace two_compilers {

Results by_nvcc() {
  if (!cohort::check_gradients<Shift>().ok()) return {};
  return measure();
}

}  // namespace two_compilers
