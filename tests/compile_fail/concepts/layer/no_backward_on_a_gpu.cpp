// expect-error: cohort: this layer has a forward for GPUs and no usable backward there
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/concepts/layer/no_backward_on_a_gpu.cpp: a layer for GPUs only, half of it.
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/trainer.hpp>

struct cohort::Cuda {};  // as a program sees it that includes cohort/cuda.hpp

using namespace cohort;

struct OnlyThere {
  using Input = Features<2>;
  using Output = Features<2>;
  template <class T> static auto forward(auto& ctx, const auto&, Tensor<const T, 2, OnGpu> x) {
    return Out{ctx.like(x), keep(ctx)};
  }
#ifdef VALID
  template <class T>
  static auto backward(auto& ctx, const auto&, const auto&, Tensor<const T, 2, OnGpu> dy,
                       const auto&) {
    return ctx.like(dy);
  }
#endif
};
#ifdef VALID
static_assert(Layer<OnlyThere, Cuda>);
#else
using Run = Trainer<OnlyThere, nn::MeanSquaredError<2> >;
constexpr auto plan = Run::plan;
#endif
