// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/device/cuda/mma_test.cpp: where each lane's fragments lie, against products in fp64.
#include <doctest/doctest.h>

#include <cohort/device/cuda/launch.hpp>
#include <cohort/device/cuda/mma.hpp>
#include <vector>

#include "ops/support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
/// c[16, 8] += a[16, 16] b[16, 8] from shared memory, as kernels do it: a by ldmatrix, b by its transpose.
template <class T> struct Product {
  static constexpr int threads = 32;
  struct Shared {
    alignas(16) std::uint16_t a[16 * 16], b[16 * 8], b_T[8 * 16];
  };
  const T *a, *b;
  float *c, *c_again;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const int lane = block.lane(), g = lane / 4, t = lane % 4;
    cuda::cp_async<16>(shared.a + lane * 8, a + lane * 8, true);
    if (lane < 16) cuda::cp_async<16>(shared.b + lane * 8, b + lane * 8, true);
    cuda::cp_async_commit();
    cuda::cp_async_wait<0>();
    for (int i = lane; i < 128; i += 32) shared.b_T[i % 8 * 16 + i / 8] = b[i].bits;
    block.sync_warp();
    std::uint32_t left[4], right[4], same[4];
    const auto bytes = [](int elements) { return static_cast<unsigned>(2 * elements); };
    cuda::ldmatrix_x4(block, left, shared.a, bytes(lane % 16 * 16 + lane / 16 * 8));
    cuda::ldmatrix_x4_trans(block, right, shared.b, bytes(lane % 16 * 8));
    cuda::ldmatrix_x4(block, same, shared.b_T, bytes(lane % 8 * 16 + lane / 8 % 2 * 8));
    float sum[4] = {1, 2, 3, 4}, again[4] = {1, 2, 3, 4};
    cuda::mma_16816<T>(block, sum, left, right[0], right[1]);
    cuda::mma_16816<T>(block, again, left, same[0], same[1]);
    for (int i = 0; i < 4; ++i) {
      const int at = (g + i / 2 * 8) * 8 + 2 * t + i % 2;
      c[at] = sum[i], c_again[at] = again[i];
    }
  }
};

struct Stream {
  Cuda device;
  Stream() { cuda::check(cudaStreamCreate(&device.stream)); }
  ~Stream() { cudaStreamDestroy(device.stream); }
  void wait() const { cuda::check(cudaStreamSynchronize(device.stream)); }
};

struct Copies {
  static constexpr int threads = 32;
  struct Shared {
    alignas(16) std::uint32_t words[8];
  };
  const std::uint32_t* from;
  std::uint32_t* to;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    if (block.thread() == 0) {
      cuda::cp_async<16>(shared.words, from, false);
      cuda::cp_async<4>(shared.words + 4, from + 1, true);
      cuda::cp_async<4>(shared.words + 5, from, false);
    }
    cuda::cp_async_commit();
    cuda::cp_async_wait<0>();
    block.sync();
    if (block.thread() < 6) to[block.thread()] = shared.words[block.thread()];
  }
};
}  // namespace

TEST_CASE_TEMPLATE("mma: fragments from ldmatrix, plain and transposed, multiply as matrices", T,
                   bf16, fp16) {
  const auto a = normal<T>(256, 1), b = normal<T>(128, 2);
  std::vector<float> c(128), again(128);
  const Stream stream;
  cuda::launch(stream.device, 1, Product<T>{a.data(), b.data(), c.data(), again.data()});
  stream.wait();
  CHECK(same_bits(c, again));
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 8; ++j) {
      double sum = 1 + j % 2 + i / 8 * 2, size = sum;  // what c held: 1, 2, 3, 4 by lane
      for (int k = 0; k < 16; ++k) {
        const double term = value(a[i * 16 + k]) * value(b[k * 8 + j]);
        sum += term, size += std::fabs(term);
      }
      CHECK(std::fabs(c[i * 8 + j] - sum) <= 16 * unit<float> * size);  // 16 additions in fp32
    }
}

TEST_CASE("mma: what is not there is copied as zeros") {
  const std::vector<std::uint32_t> from = {7, 8};
  std::vector<std::uint32_t> to(6, 9);
  const Stream stream;
  cuda::launch(stream.device, 1, Copies{from.data(), to.data()});
  stream.wait();
  CHECK(to == std::vector<std::uint32_t>{0, 0, 0, 0, 8, 0});
}

TEST_CASE_TEMPLATE("mma: pack2 rounds each half as the type does", T, bf16, fp16) {
  for (const float x : {0.0f, -1.0f, 1.00390625f, 3.14159274f, 65519.0f, 1e-6f})
    CHECK(cuda::pack2<T>(x, -2 * x) == (T(x).bits | std::uint32_t{T(-2 * x).bits} << 16));
  CHECK(cuda::exp2_fast(3.0f) == 8.0f);
  CHECK(cuda::exp2_fast(-INFINITY) == 0.0f);
}
static_assert(cuda::TensorCoreType<bf16> && cuda::TensorCoreType<fp16> &&
              !cuda::TensorCoreType<float>);
