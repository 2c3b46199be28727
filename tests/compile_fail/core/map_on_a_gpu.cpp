// expect-error: cohort: map(), wide() and assign() are for the host, and this tensor, parameter or gradient lies in a GPU's memory
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/core/map_on_a_gpu.cpp: a body for every device uses Eigen.
#include <cohort/concepts/layer.hpp>

using namespace cohort;

struct Twice {
  using Input = Features<2>;
  using Output = Features<2>;
  static auto forward(auto& ctx, const auto&, const auto& x) {
    const auto y = ctx.like(x);
    y.map() = 2 * x.wide();
    return Out{y, keep(ctx)};
  }
  template <class T, class Where>
  static auto backward(auto&, const auto&, const auto&, Tensor<const T, 2, Where> dy, const auto&) {
    return dy;
  }
};
#ifdef VALID
static_assert(Layer<Twice>);
#else
static_assert(Layer<Twice, Cuda>);
#endif
