// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/elementwise_test.cpp: the CPU's bits, for every size, type and alignment.
#include <cohort/ops/cuda/elementwise.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
// Around packs, a block's tile (2048 to 8192 elements) and several of them.
constexpr std::size_t sizes[] = {0, 1, 3, 7, 8, 15, 64, 131, 2048, 8191, 8192, 20011};
}  // namespace

TEST_CASE_TEMPLATE("elementwise on a GPU: the CPU's bits, also in place and from odd addresses", T,
                   double, float, bf16, fp16) {
  Gpu gpu;
  for (const std::size_t n : sizes)
    for (const std::size_t offset : {0, 1}) {
      CAPTURE(n);
      const auto a = normal<T>(n + offset, 1), b = normal<T>(n + offset, 2);
      auto want = a;
      GpuArray<T> x(a), y(b), z(n + offset);
      const T* from = b.data() + offset;
      const auto agrees = [&](GpuArray<T>& got) {
        const auto values = got.get();
        return same_bits(values.data() + offset, want.data() + offset, n);
      };
      ops::add(cpu, n, a.data() + offset, from, want.data() + offset);
      ops::add(gpu, n, x.data() + offset, y.data() + offset, z.data() + offset);
      CHECK(agrees(z));
      ops::add_to(gpu, n, x.data() + offset, y.view() + offset);
      CHECK(agrees(x));
      ops::multiply(cpu, n, want.data() + offset, from, want.data() + offset);
      ops::multiply(gpu, n, x.data() + offset, y.data() + offset, x.data() + offset);
      CHECK(agrees(x));
      ops::scale(cpu, n, want.data() + offset, accumulator_t<T>(0.3));
      ops::scale(gpu, n, x.data() + offset, accumulator_t<T>(0.3));
      CHECK(agrees(x));
    }
}

TEST_CASE_TEMPLATE("elementwise on a GPU: fill and zero write n elements", T, double, float, bf16,
                   fp16) {
  Gpu gpu;
  for (const std::size_t n : sizes) {
    GpuArray<T> a(n + 3), b(n + 3);
    ops::fill(gpu, n, a.data(), T(2));
    gpu.device().zero(b.data(), n * sizeof(T));
    const auto filled = a.get(), zeroed = b.get();
    bool right = true;
    for (std::size_t i = 0; i < n; ++i) right &= value(filled[i]) == 2 && value(zeroed[i]) == 0;
    CHECK(right);
    for (std::size_t i = n; i < n + 3; ++i) CHECK(std::isnan(value(filled[i]) + value(zeroed[i])));
  }
}

TEST_CASE_TEMPLATE(
    "elementwise on a GPU: a 16-bit array is added to an fp32 one without a rounding", T, bf16,
    fp16) {
  Gpu gpu;
  for (const std::size_t n : sizes) {
    auto want = normal<float>(n, 1);
    const auto b = normal<T>(n, 2);
    GpuArray<float> a(want);
    GpuArray<T> from(b);
    ops::add_to(cpu, n, want.data(), b.data());
    ops::add_to(gpu, n, a.data(), from.view());
    CHECK(same_bits(a.get(), want));
  }
}
