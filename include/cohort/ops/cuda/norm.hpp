// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/norm.hpp: what LayerNorm and RMSNorm share on a GPU: a row in registers, read and written once.
#pragma once
#include <cohort/ops/cuda/partials.hpp>
#include <cohort/ops/register.hpp>
#include <cstddef>

namespace cohort::ops::kernels {

/// y = (x - mean) rstd weight + bias, or without mean and bias when not Centred.
///
/// Shapes   x, y [rows, C]; weight, bias [C], bias may be nullptr; mean, rstd [rows].
/// Laws     two passes over registers: the variance is the mean of squared differences.
template <int C, class T, bool Centred> struct NormForward {
  using A = accumulator_t<T>;
  static constexpr int N = pack_size<C, T>();
  using Row = RowShape<C, N>;
  static constexpr int threads = Row::threads;
  struct Shared {
    A of_warp[Row::warps];
  };
  int rows;
  const T *x, *weight, *bias;
  T* y;
  A *mean, *rstd;
  A epsilon;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const int row = Row::row(block), thread = Row::thread(block);
    if (row >= rows) return;  // whole warps that share nothing with others, or nobody
    const std::size_t at = static_cast<std::size_t>(row) * C;
    Pack<T, N> raw[Row::each] = {};
    Row::for_packs(thread, [&](auto k, int c) { raw[k] = load<N>(x + at + c); });
    Pack<A, N> v[Row::each] = {};
    Row::for_packs(thread, [&](auto k, int) { v[k] = widen(raw[k]); });
    A m = 0;
    if constexpr (Centred) {
      Row::for_packs(thread, [&](auto k, int) { unrolled<N>([&](auto i) { m += v[k][i]; }); });
      m = Row::over_row(block, m, shared.of_warp, Sum{}) / A(C);
    }
    A square = 0;
    Row::for_packs(thread, [&](auto k, int) {
      unrolled<N>([&](auto i) { square = fma(v[k][i] - m, v[k][i] - m, square); });
    });
    square = Row::over_row(block, square, shared.of_warp, Sum{}) / A(C);
    const A r = A(1) / std::sqrt(square + epsilon);
    write(thread, at, v, m, r);
    if (thread != 0) return;
    if constexpr (Centred) mean[row] = m;
    rstd[row] = r;
  }

 private:
  COHORT_DEVICE void write(int thread, std::size_t at, const Pack<A, N> (&v)[Row::each], A m,
                           A r) const {
    Row::for_packs(thread, [&](auto k, int c) {
      const auto w = widen(load<N>(weight + c));
      Pack<A, N> shift{};
      if constexpr (Centred)
        if (bias != nullptr) shift = widen(load<N>(bias + c));
      Pack<A, N> out;
      unrolled<N>([&](auto i) { out[i] = fma((v[k][i] - m) * r, w[i], shift[i]); });
      store(y + at + c, narrow<T>(out));
    });
  }
};

/// dx (with Added residual + dx), and for each part of the rows the partial sums [dweight | dbias]
/// (dweight alone when not Centred). dx may be dy or residual.
template <int C, class T, bool Centred, bool Added> struct NormBackward {
  using A = accumulator_t<T>;
  static constexpr int N = pack_size<C, T>(), width = Centred ? 2 * C : C;
  using Row = RowShape<C, N>;
  static constexpr int threads = Row::threads;
  // Two sums, x and dy of each element are in registers; 128 of them a thread hold 72 and the rest.
  static constexpr int held = Row::each * N * (2 + 2 * static_cast<int>(sizeof(T)) / 4);
  static constexpr int threads_at_once = held <= 72 ? 512 : 256;
  static constexpr int blocks_per_processor =
      threads < threads_at_once ? threads_at_once / threads : 1;
  static constexpr bool shares = Row::rows > 1;  // several rows of a block add to the same columns
  struct Shared {
    A of_warp[Row::warps];
    alignas(16) A sums[shares ? width : N];
  };
  int rows, parts;
  const T* x;
  const T* weight;
  const A *mean, *rstd;
  const T *dy, *residual;
  T* dx;
  A* partials;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const int thread = Row::thread(block);
    Pack<A, N> dw[Row::each] = {}, db[Row::each] = {};
    for (int row = Row::row(block); row < rows; row += parts * Row::rows)
      add_row(block, shared, thread, row, dw, db);
    A* to = partials + static_cast<std::size_t>(block.index()) * width;
    if constexpr (!shares) {
      Row::for_packs(thread, [&](auto k, int c) {
        store(to + c, dw[k]);
        if constexpr (Centred) store(to + C + c, db[k]);
      });
    } else {
      for (int turn = 0; turn < Row::rows; ++turn) {
        if (block.thread() / Row::per_row == turn) add_sums(shared, thread, turn == 0, dw, db);
        block.sync();
      }
      for (int c = block.thread(); c < width; c += threads) to[c] = shared.sums[c];
    }
  }

 private:
  template <class Block>
  COHORT_DEVICE void add_row(const Block& block, Shared& shared, int thread, int row,
                             Pack<A, N> (&dw)[Row::each], Pack<A, N> (&db)[Row::each]) const {
    const std::size_t at = static_cast<std::size_t>(row) * C;
    const A m = Centred ? mean[row] : A(0), r = rstd[row];
    Pack<T, N> raw_x[Row::each] = {}, raw_dy[Row::each] = {};
    Row::for_packs(thread, [&](auto k, int c) {
      raw_x[k] = load<N>(x + at + c);
      raw_dy[k] = load<N>(dy + at + c);
    });
    A sum = 0, dot = 0;
    Row::for_packs(thread, [&](auto k, int c) {
      const auto v = widen(raw_x[k]), d = widen(raw_dy[k]), w = widen(load<N>(weight + c));
      unrolled<N>([&](auto i) {
        const A normal = (v[i] - m) * r, g = product(d[i], w[i]);
        sum += g;
        dot = fma(g, normal, dot);
        dw[k][i] = fma(d[i], normal, dw[k][i]);
        db[k][i] += d[i];
      });
    });
    A c1 = 0;
    if constexpr (Centred) c1 = Row::over_row(block, sum, shared.of_warp, Sum{}) / A(C);
    const A c2 = Row::over_row(block, dot, shared.of_warp, Sum{}) / A(C);
    Row::for_packs(thread, [&](auto k, int c) {
      const auto v = widen(raw_x[k]), d = widen(raw_dy[k]), w = widen(load<N>(weight + c));
      Pack<A, N> out;
      unrolled<N>([&](auto i) {
        const A normal = (v[i] - m) * r, g = fma(d[i], w[i], -c1);
        out[i] = fma(normal, -c2, g);
      });
      if constexpr (Added) {  // loaded late: beside x and dy it would take registers that dw needs
        const auto added = widen(load<N>(residual + at + c));
        if constexpr (Float16<T>) {
          unrolled<N>([&](auto i) { out[i] *= r; });
          out = widen(narrow<T>(out));
          unrolled<N>([&](auto i) { out[i] += added[i]; });
        } else {
          unrolled<N>([&](auto i) { out[i] = fma(out[i], r, added[i]); });
        }
      } else {
        unrolled<N>([&](auto i) { out[i] *= r; });
      }
      store(dx + at + c, narrow<T>(out));
    });
  }
  /// The rows of a block take turns, so the order is fixed.
  COHORT_DEVICE void add_sums(Shared& shared, int thread, bool fresh,
                              const Pack<A, N> (&dw)[Row::each],
                              const Pack<A, N> (&db)[Row::each]) const {
    const auto add = [&](A* to, Pack<A, N> sum) {
      if (!fresh) {
        const auto there = load<N>(static_cast<const A*>(to));
        unrolled<N>([&](auto i) { sum[i] = there[i] + sum[i]; });
      }
      store(to, sum);
    };
    Row::for_packs(thread, [&](auto k, int c) {
      add(shared.sums + c, dw[k]);
      if constexpr (Centred) add(shared.sums + C + c, db[k]);
    });
  }
};

/// Both stages of the backward pass; dbias only when Centred, residual only when Added.
template <int C, bool Centred, bool Added, class T, class D>
void norm_backward(const Cuda& device, int rows, const T* x, const T* weight,
                   const accumulator_t<T>* mean, const accumulator_t<T>* rstd, const T* dy,
                   const T* residual, T* dx, D* dweight, D* dbias, bool first, const char* op) {
  using A = accumulator_t<T>;
  using K = NormBackward<C, T, Centred, Added>;
  const int parts = num_parts(rows, 4 * K::Row::rows, 512, K::width * sizeof(A));
  A* partials = device.take<A>(static_cast<std::size_t>(parts) * K::width, op);
  cohort::cuda::launch(device, parts,
                       K{rows, parts, x, weight, mean, rstd, dy, residual, dx, partials});
  if constexpr (Centred)
    sum_two_partials(device, parts, C, partials, dweight, dbias, first);
  else
    sum_partials(device, parts, C, partials, dweight, first);
}

}  // namespace cohort::ops::kernels
