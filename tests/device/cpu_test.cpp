// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/device/cpu_test.cpp: a device is a tag, and its Gemm is the product that layers use.
#include <doctest/doctest.h>
#include <cohort/device/cpu.hpp>
#include <cohort/nn/linear.hpp>

#include <vector>

using namespace cohort;

namespace {
static_assert(std::is_empty_v<DefaultCpu> && std::is_same_v<DefaultCpu::gemm, DefaultGemm>);

/// A product of the user's own: counts and computes C = A B^T only, as Linear's forward wants.
struct CountingGemm {
  static inline int calls = 0;
  template <bool TransA, bool TransB, class T, class O>
  static void multiply(int m, int n, int k, const T* a, int lda, const T* b, int ldb, T beta, O* c,
                       int ldc) {
    static_assert(!TransA && TransB);
    ++calls;
    for (int i = 0; i < m; ++i)
      for (int j = 0; j < n; ++j) {
        T sum = beta == 0 ? 0 : beta * c[i * ldc + j];
        for (int p = 0; p < k; ++p) sum += a[i * lda + p] * b[j * ldb + p];
        c[i * ldc + j] = sum;
      }
  }
};
}  // namespace

TEST_CASE("cpu: layers multiply with the device's Gemm and no other") {
  using Device = Cpu<CountingGemm>;
  using L = nn::Linear<2, 3>;
  Device device;
  Arena results("activation", 256), scratch("scratch", 0);
  const Context<Device, float, Phase::evaluate> ctx(device, results, scratch);
  alignas(64) float params[128] = {1, 2, 3, 4, 5, 6};
  params[64] = 10, params[65] = 20, params[66] = 30;
  const float x[2] = {1, -1};
  const auto y = cohort::forward(ctx, FlatView<L, ParamCursor<float>>({params}),
                                 Tensor<const float, 2>{x, {1, 1}})
                     .y;
  CHECK(CountingGemm::calls == 1);
  CHECK(std::vector<float>(y.data, y.data + 3) == std::vector<float>{10 - 1, 20 - 1, 30 - 1});
}

TEST_CASE("cpu: zero clears bytes and copy moves them, and none beyond") {
  const DefaultCpu cpu;
  for (unsigned bytes : {0u, 1u, 7u, 64u, 131u}) {
    std::vector<unsigned char> memory(bytes + 1, 0xff), other(bytes + 1, 0x55);
    cpu.zero(memory.data(), bytes);
    for (std::size_t i = 0; i < bytes; ++i) REQUIRE(memory[i] == 0);
    CHECK(memory[bytes] == 0xff);
    cpu.copy(other.data(), memory.data(), bytes);
    for (std::size_t i = 0; i < bytes; ++i) REQUIRE(other[i] == 0);
    CHECK(other[bytes] == 0x55);
  }
  cpu.zero(nullptr, 0);
  cpu.copy(nullptr, nullptr, 0);
}
