// expect-error: cohort: map(), wide() and assign() are for the host, and this tensor, parameter or gradient lies in a GPU's memory
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/core/gradient_map_on_a_gpu.cpp: gradients are added to with Eigen on a GPU.
#include <cohort/concepts/layer.hpp>

using namespace cohort;

struct Scale {
  using Params = cohort::Params<Param<"weight", 2>>;
  using Input = Features<2>;
  using Output = Features<2>;
  template <class T, class Where>
  static auto forward(auto& ctx, const auto&, Tensor<const T, 2, Where> x) {
    return Out{ctx.like(x), keep(ctx)};
  }
  template <class T, class Where>
  static auto backward(auto&, const auto&, const auto&, Tensor<const T, 2, Where> dy,
                       [[maybe_unused]] const auto& g) {
    [[maybe_unused]] const auto dw = g["weight"_p].map();
    return dy;
  }
};
#ifdef VALID
static_assert(Layer<Scale>);
#else
static_assert(Layer<Scale, Cuda>);
#endif
