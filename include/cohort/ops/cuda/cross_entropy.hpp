// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/cross_entropy.hpp: the loss -log softmax(logits)[target] and its gradient on a GPU.
#pragma once
#include <cmath>
#include <cohort/ops/cross_entropy.hpp>
#include <cohort/ops/cuda/fault.hpp>
#include <cohort/ops/cuda/loss_sum.hpp>
#include <cohort/ops/cuda/math.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace cohort::ops {

namespace kernels {

/// A row to a warp or a block: the maximum and the sum of exponentials in one pass, and with Gradient a
/// second one, whose reads the L2 cache answers, that writes dlogits. dlogits may be logits. Columns from K
/// on are passed over; a pack that has some of them reads them as -inf.
template <int V, int K, class T, bool Gradient, class Scale> struct CrossEntropyRows {
  static_assert(1 <= K && K <= V, "cohort: the classes [0, K) must be among the V logits.");
  using A = accumulator_t<T>;
  static constexpr int N = pack_size<V, T>(), together = 4;
  static constexpr int per_row = V <= 1024 ? 32 : V <= 8192 ? 128 : V <= 32768 ? 256 : 512;
  static constexpr int threads = per_row < 128 ? 128 : per_row, rows_of_block = threads / per_row;
  static constexpr int warps = per_row / warp_size, step = per_row * N;
  static constexpr A lowest = -std::numeric_limits<A>::infinity();
  struct Shared {
    A of_warp[warps];
  };
  int rows;
  const T* logits;
  const std::int32_t* targets;
  T* dlogits;
  std::int32_t ignored;
  Scale scale;
  double* of_row;
  cohort::cuda::Fault* fault;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const int thread = block.thread() % per_row;
    const int row = block.index() * rows_of_block + block.thread() / per_row;
    if (row >= rows) return;  // whole warps that share nothing with others, or nobody
    const T* x = logits + static_cast<std::size_t>(row) * V;
    const std::int32_t said = targets[row], target = clamped(said, K);
    if (said == ignored) {
      if constexpr (Gradient) clear(thread, row, 0);
      return;
    }
    if (said != target && thread == 0) report(block, fault, cohort::cuda::Fault::target, row, said);
    const A at_target = cohort::cuda::detail::widened(x[target]);
    A top = lowest, sum = 0;
    add_exponentials(thread, x, top, sum);
    const A all_top = over_row(block, shared, top, Max{});
    sum = top == lowest ? sum : sum * GpuMaths::exp(top - all_top);
    sum = over_row(block, shared, sum, Sum{});
    if (thread == 0)
      of_row[row] = std::log(static_cast<double>(sum)) +
                    (static_cast<double>(all_top) - static_cast<double>(at_target));
    if constexpr (Gradient) {
      block.sync_warp();  // at_target is read
      write(thread, row, x, target, all_top, sum);
    }
  }

 private:
  template <class Block, class F>
  COHORT_DEVICE static A over_row(const Block& block, Shared& shared, A value, F f) {
    return over_warps<warps>(block, over_warp(block, value, f), shared.of_warp, f);
  }
  /// f(c, pack of the row from c on) for the thread's packs, `together` of them in flight.
  template <class F> COHORT_DEVICE static void for_packs(int thread, const T* x, F f) {
    for (int first = thread * N; first < K; first += together * step) {
      Pack<T, N> packs[together] = {};
      unrolled<together>([&](auto k) {
        if (first + k * step < K) packs[k] = load<N>(x + first + k * step);
      });
      unrolled<together>([&](auto k) {
        if (first + k * step < K) f(first + k * step, packs[k]);
      });
    }
  }
  /// Of a pack from column c on, columns that are none of the K become `other`: some of the last one's.
  template <class P> COHORT_DEVICE static void set_others(int c, P& v, A other) {
    if (K % N != 0 && c + N > K) unrolled<N>([&](auto i) { v[i] = i < K % N ? v[i] : other; });
  }
  /// Online softmax: `sum` is relative to `top`, and scaled down when `top` grows.
  COHORT_DEVICE static void add_exponentials(int thread, const T* x, A& top, A& sum) {
    for_packs(thread, x, [&](int c, const Pack<T, N>& pack) {
      auto v = widen(pack);
      set_others(c, v, lowest);
      A most = v[0];
      unrolled<N>([&](auto i) { most = std::fmax(most, v[i]); });
      if (top < most) {
        sum *= GpuMaths::exp(top - most);
        top = most;
      }
      const A base = top == lowest ? A(0) : top;  // all -inf so far: exponentials are 0, not NaN
      unrolled<N>([&](auto i) { sum += GpuMaths::exp(v[i] - base); });
    });
  }
  COHORT_DEVICE void write(int thread, int row, const T* x, int target, A top, A sum) const {
    T* to = dlogits + static_cast<std::size_t>(row) * V;
    const A inverse = scale_of<A>(scale) / sum;
    for_packs(thread, x, [&](int c, const Pack<T, N>& pack) {
      auto v = widen(pack);
      unrolled<N>([&](auto i) { v[i] = GpuMaths::exp(v[i] - top); });
      if (c <= target && target < c + N)
        unrolled<N>([&](auto i) { v[i] = c + i == target ? v[i] - sum : v[i]; });
      unrolled<N>([&](auto i) { v[i] *= inverse; });
      set_others(c, v, 0);
      store(to + c, narrow<T>(v));
    });
    if constexpr (K < V) clear(thread, row, ceil_div(K, N) * N);
  }
  COHORT_DEVICE void clear(int thread, int row, int from) const {
    T* to = dlogits + static_cast<std::size_t>(row) * V;
    for (int c = from + thread * N; c < V; c += step) store(to + c, Pack<T, N>{});
  }
};

template <int V, int K, bool Gradient, class T, class Scale>
LossOnDevice cross_entropy_rows(const Cuda& device, int rows, const T* logits,
                                const std::int32_t* targets, T* dlogits, std::int32_t ignored,
                                Scale scale) {
  using Kernel = CrossEntropyRows<V, K, T, Gradient, Scale>;
  double* of_row = device.take<double>(static_cast<std::size_t>(rows), "cross_entropy");
  cohort::cuda::launch(
      device, ceil_div(rows, Kernel::rows_of_block),
      Kernel{rows, logits, targets, dlogits, ignored, scale, of_row, device.fault});
  cohort::cuda::launch(device, 1, SumLosses{rows, of_row, targets, ignored, 1.0, device.loss});
  return {};
}

}  // namespace kernels

/// Cost     2 K bytes a row in 16 bits: one read.
/// Laws     rows are summed in fp64 in an order that depends on their number only.
/// Errors   a target outside [0, K) that is not `ignored` is written to device.fault; 0 is taken instead.
template <int V, int K, class T>
LossOnDevice cross_entropy(const Cuda& device, int rows, const T* logits,
                           const std::int32_t* targets, std::int32_t ignored) {
  return kernels::cross_entropy_rows<V, K, false>(device, rows, logits, targets,
                                                  static_cast<T*>(nullptr), ignored, 1.0f);
}

/// Cost     2 (K + V) bytes a row in 16 bits: one read and one write; the second read is of L2 (a row of 50304
///          in 16 bits has 98 KB, and two rows a processor are in work).
/// Laws     of 16-bit logits all is fp32 and dlogits is rounded once. dlogits may be logits.
/// Errors   as cross_entropy.
template <int V, int K, class T, class Scale>
LossOnDevice cross_entropy_gradient(const Cuda& device, int rows, const T* logits,
                                    const std::int32_t* targets, T* dlogits, std::int32_t ignored,
                                    Scale scale) {
  return kernels::cross_entropy_rows<V, K, true>(device, rows, logits, targets, dlogits, ignored,
                                                 scale);
}

}  // namespace cohort::ops
