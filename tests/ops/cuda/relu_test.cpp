// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/relu_test.cpp: the CPU's bits, with zeros of both signs and NaN.
#include <cohort/ops/cuda/relu.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

TEST_CASE_TEMPLATE("relu on a GPU: the CPU's bits, zeros and NaN included", T, double, float, bf16,
                   fp16) {
  Gpu gpu;
  for (const std::size_t n : {0, 1, 3, 64, 131, 9001}) {
    auto v = normal<T>(n, 1);
    if (n >= 3) v[0] = T(0.0f), v[1] = T(-0.0f), v[2] = T(NAN);
    const auto dv = normal<T>(n, 2);
    std::vector<T> y(n), dx(n);
    ops::relu_forward(cpu, n, v.data(), y.data());
    ops::relu_backward(cpu, n, v.data(), dv.data(), dx.data());
    GpuArray<T> x(v), dy(dv);
    ops::relu_backward(gpu, n, x.view(), dy.view(), dy.data());
    ops::relu_forward(gpu, n, x.view(), x.data());
    CHECK(same_bits(x.get(), y));
    CHECK(same_bits(dy.get(), dx));
  }
}
