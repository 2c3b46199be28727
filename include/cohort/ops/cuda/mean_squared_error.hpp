// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/mean_squared_error.hpp: the sum of squared differences and its gradient on a GPU.
#pragma once
#include <cohort/ops/cuda/loss_sum.hpp>
#include <cohort/ops/mean_squared_error.hpp>
#include <cohort/ops/register.hpp>
#include <cstddef>

namespace cohort::ops {

namespace kernels {

/// A row to a warp or a block; with Gradient dy = scale 2 (y - target) is written on the way.
template <int C, class T, bool Gradient, class Scale> struct SquaredErrorRows {
  using A = accumulator_t<T>;
  static constexpr int N = pack_size<C, T, A>();
  static constexpr int per_row = C <= 1024 ? 32 : 256, threads = 256,
                       rows_of_block = threads / per_row;
  static constexpr int warps = per_row / warp_size;
  struct Shared {
    double of_warp[warps];
  };
  int rows;
  const T* y;
  const A* target;
  T* dy;
  Scale scale;
  double* of_row;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const int thread = block.thread() % per_row;
    const int row = block.index() * rows_of_block + block.thread() / per_row;
    if (row >= rows) return;  // whole warps that share nothing with others, or nobody
    const std::size_t at = static_cast<std::size_t>(row) * C;
    const A factor = A(2) * scale_of<A>(scale);
    double sum = 0;
    for (int c = thread * N; c < C; c += per_row * N) {
      const auto v = widen(load<N>(y + at + c));
      const auto t = load<N>(target + at + c);
      Pack<A, N> slope;
      unrolled<N>([&](auto i) {
        const double difference = static_cast<double>(v[i]) - static_cast<double>(t[i]);
        sum = fma(difference, difference, sum);
        slope[i] = (v[i] - t[i]) * factor;
      });
      if constexpr (Gradient) store(dy + at + c, narrow<T>(slope));
    }
    sum = over_warps<warps>(block, over_warp(block, sum, Sum{}), shared.of_warp, Sum{});
    if (thread == 0) of_row[row] = sum;
  }
};

template <int C, bool Gradient, class T, class Scale>
LossOnDevice squared_error_rows(const Cuda& device, int rows, const T* y,
                                const accumulator_t<T>* target, T* dy, Scale scale) {
  using K = SquaredErrorRows<C, T, Gradient, Scale>;
  double* of_row = device.take<double>(static_cast<std::size_t>(rows), "mean_squared_error");
  cohort::cuda::launch(device, ceil_div(rows, K::rows_of_block),
                       K{rows, y, target, dy, scale, of_row});
  cohort::cuda::launch(device, 1, SumLosses{rows, of_row, nullptr, 0, double(C), device.loss});
  return {};
}

}  // namespace kernels

/// Cost     6 C bytes a row in 16 bits: y and the fp32 target read once.
/// Laws     fp64; the order of additions depends on rows and C only.
template <int C, class T>
LossOnDevice mean_squared_error(const Cuda& device, int rows, const T* y,
                                const accumulator_t<T>* target) {
  return kernels::squared_error_rows<C, false>(device, rows, y, target, static_cast<T*>(nullptr),
                                               1.0f);
}

/// Cost     8 C bytes a row in 16 bits.
/// Laws     dy has the CPU's bits. dy may be y.
template <int C, class T, class Scale>
LossOnDevice mean_squared_error_gradient(const Cuda& device, int rows, const T* y,
                                         const accumulator_t<T>* target, T* dy, Scale scale) {
  return kernels::squared_error_rows<C, true>(device, rows, y, target, dy, scale);
}

}  // namespace cohort::ops
