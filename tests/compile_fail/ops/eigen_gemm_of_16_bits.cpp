// expect-error: cohort: EigenGemm multiplies float and double.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/ops/eigen_gemm_of_16_bits.cpp: bf16 products by a backend that has none.
#include <cohort/ops/gemm_eigen.hpp>
#include <cohort/ops/matmul.hpp>

using namespace cohort;

#ifdef VALID
using T = float;
#else
using T = bf16;
#endif

int main() {
  const T a[4] = {}, b[4] = {};
  float c[4] = {};
  ops::matmul<false, false>(Cpu<EigenGemm>{}, 2, 2, 2, a, 2, b, 2, 0.0f, c, 2);
  return c[0] == 0 ? 0 : 1;
}
