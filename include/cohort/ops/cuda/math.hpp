// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/math.hpp: exponentials and reciprocals by the GPU's own instructions.
#pragma once
#include <cmath>
#include <cohort/device/cuda/mma.hpp>

namespace cohort::ops::kernels {

/// What activations and softmax compute with on a GPU, as ops::OwnMaths on a CPU: there a polynomial costs
/// more than the memory that it hides behind.
///
/// Units    float: e^x with a relative error below 3e-7 + 1e-7 |x| (the exponent is rounded before the
///          power of two is taken), 0 below 2^-126, infinity from e^88.8 on; 1 / x good to 1.5e-7 up to
///          2^126 and 0 beyond. double: <cmath>.
struct GpuMaths {
  COHORT_DEVICE static float exp(float x) { return cohort::cuda::exp2_fast(x * 1.44269504f); }
  COHORT_DEVICE static double exp(double x) { return std::exp(x); }
  template <class A> COHORT_DEVICE static A exp_flushed(A x) { return exp(x); }
  COHORT_DEVICE static float reciprocal(float x) {
#if defined(__CUDA_ARCH__)
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
#else
    return 1.0f / x;
#endif
  }
  COHORT_DEVICE static double reciprocal(double x) { return 1.0 / x; }
};

}  // namespace cohort::ops::kernels
