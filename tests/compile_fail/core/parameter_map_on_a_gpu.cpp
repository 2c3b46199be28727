// expect-error: cohort: map(), wide() and assign() are for the host, and this tensor, parameter or gradient lies in a GPU's memory
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/core/parameter_map_on_a_gpu.cpp: parameters are read with Eigen on a GPU.
#include <cohort/concepts/layer.hpp>

using namespace cohort;

struct Scale {
  using Params = cohort::Params<Param<"weight", 2>>;
  using Input = Features<2>;
  using Output = Features<2>;
  template <class T, class Where>
  static auto forward(auto& ctx, const auto& p, Tensor<const T, 2, Where> x) {
    const auto y = ctx.like(x);
#ifdef VALID
    y.map() = x.map() * p["weight"_p].wide().asDiagonal();
#else
    [[maybe_unused]] const auto w = p["weight"_p].wide();
#endif
    return Out{y, keep(ctx)};
  }
  template <class T, class Where>
  static auto backward(auto&, const auto&, const auto&, Tensor<const T, 2, Where> dy,
                       [[maybe_unused]] const auto& g) {
    return dy;
  }
};
#ifdef VALID
static_assert(Layer<Scale>);
#else
static_assert(Layer<Scale, Cuda>);
#endif
