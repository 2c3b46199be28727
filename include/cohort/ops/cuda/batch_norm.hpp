// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/batch_norm.hpp: BatchNorm on a GPU.
#pragma once
#include <cohort/ops/batch_norm.hpp>
#include <cohort/ops/cuda/partials.hpp>
#include <cohort/ops/cuda/strip.hpp>
#include <cstddef>

namespace cohort::ops {

namespace kernels {

/// The first stage of batch_moments: sum, and sum of squared differences from the part's own mean, of one
/// part's rows. They are read twice, the second time from a cache.
template <int C, class T> struct MomentPartials {
  using Strip = kernels::Strip<C, T>;
  using A = accumulator_t<T>;
  static constexpr int N = Strip::N, threads = Strip::threads;
  struct Shared {
    typename Strip::Sums of_warp;
    alignas(16) A mean[Strip::columns];
  };
  int rows, rows_per_part;
  const T* x;
  A* partials;  // of each part: C sums, C squares

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const Strip own(block, rows, rows_per_part);
    A* const to = partials + static_cast<std::size_t>(own.part) * (2 * C);
    Pack<A, N> sum{}, square{};
    own.for_rows(block, {x}, [&](int, const auto& packs) {
      const auto v = widen(packs[0]);
      unrolled<N>([&](auto i) { sum[i] += v[i]; });
    });
    own.over_warps(block, sum, shared.of_warp, [&](int c, A total) {
      shared.mean[c - own.first] = total / A(own.end - own.begin);
      to[c] = total;
    });
    block.sync();
    Pack<A, N> mean{};
    if (own.column < C) mean = load<N>(static_cast<const A*>(shared.mean) + block.lane() * N);
    own.for_rows(block, {x}, [&](int, const auto& packs) {
      const auto v = widen(packs[0]);
      unrolled<N>([&](auto i) { square[i] = fma(v[i] - mean[i], v[i] - mean[i], square[i]); });
    });
    own.over_warps(block, square, shared.of_warp, [&](int c, A total) { to[C + c] = total; });
  }
};

/// The second stage: parts in the order of SumPartials, their squares about the mean of all.
template <class A> struct CombineMoments {
  static constexpr int columns = 32, groups = 16, threads = columns * groups;
  struct Shared {
    A of_group[2][groups][columns];
  };
  int rows, rows_per_part, parts, width;
  const A* partials;
  A *mean, *variance;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const int lane = block.thread() % columns, group = block.thread() / columns;
    const int column = block.index() * columns + lane;
    const auto at = [&](int part, int offset) {
      return partials[static_cast<std::size_t>(part) * 2 * static_cast<std::size_t>(width) +
                      static_cast<std::size_t>(offset + column)];
    };
    A sum = 0;
    for (int i = group; i < parts && column < width; i += groups) sum += at(i, 0);
    const A m = over_groups(block, shared.of_group[0], lane, group, sum) / A(rows);
    A square = 0;
    for (int i = group; i < parts && column < width; i += groups) {
      const int left = rows - i * rows_per_part, n = left < rows_per_part ? left : rows_per_part;
      if (n <= 0) continue;
      const A off = at(i, 0) / A(n) - m;
      square += fma(product(A(n), off), off, at(i, width));
    }
    square = over_groups(block, shared.of_group[1], lane, group, square);
    if (group > 0 || column >= width) return;
    mean[column] = m;
    variance[column] = square / A(rows);
  }

 private:
  template <class Block>
  COHORT_DEVICE static A over_groups(const Block& block, A (&of_group)[groups][columns], int lane,
                                     int group, A value) {
    of_group[group][lane] = value;
    block.sync();
    A total = of_group[0][lane];
    for (int g = 1; g < groups; ++g) total += of_group[g][lane];
    return total;
  }
};

/// y = (x - mean) / sqrt(variance + epsilon) weight + bias; without a mean x as it is, without a bias none.
template <int C, class T, class S> struct NormaliseColumns {
  using Strip = kernels::Strip<C, T>;
  using A = accumulator_t<T>;
  static constexpr int N = Strip::N, threads = Strip::threads, rows_per_part = 64;
  struct Shared {};
  int rows;
  const T* x;
  const S *mean, *variance;
  const T *weight, *bias;
  T* y;
  A epsilon;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const Strip own(block, rows, rows_per_part);
    if (own.column >= C) return;
    Pack<A, N> centre{}, shift{}, factor = widen(load<N>(weight + own.column));
    const auto v = widen(load<N>(variance + own.column));
    if (mean != nullptr) centre = widen(load<N>(mean + own.column));
    if (bias != nullptr) shift = widen(load<N>(bias + own.column));
    unrolled<N>([&](auto i) { factor[i] *= A(1) / std::sqrt(v[i] + epsilon); });
    own.for_rows(block, {x}, [&](int row, const auto& packs) {
      auto out = widen(packs[0]);
      unrolled<N>([&](auto i) { out[i] = fma(out[i] - centre[i], factor[i], shift[i]); });
      cohort::cuda::store_whole(y + static_cast<std::size_t>(row) * C + own.column, narrow<T>(out));
    });
  }
};

/// The first stage of batch_norm_backward: sums of dy, and of dy times x's normal value, of one part.
template <int C, class T> struct BatchNormPartials {
  using Strip = kernels::Strip<C, T>;
  using A = accumulator_t<T>;
  static constexpr int N = Strip::N, threads = Strip::threads;
  struct Shared {
    typename Strip::Sums of_warp[2];
  };
  int rows, rows_per_part;
  const T* x;
  const A *mean, *variance;
  const T* dy;
  A* partials;  // of each part: C sums, C dots
  A epsilon;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    const Strip own(block, rows, rows_per_part);
    Pack<A, N> m{}, rstd{}, sum{}, dot{};
    if (own.column < C) {
      m = load<N>(mean + own.column);
      rstd = load<N>(variance + own.column);
      unrolled<N>([&](auto i) { rstd[i] = A(1) / std::sqrt(rstd[i] + epsilon); });
    }
    own.for_rows(block, {x, dy}, [&](int, const auto& packs) {
      const auto v = widen(packs[0]), d = widen(packs[1]);
      unrolled<N>([&](auto i) {
        sum[i] += d[i];
        dot[i] = fma(d[i], product(v[i] - m[i], rstd[i]), dot[i]);
      });
    });
    A* const to = partials + static_cast<std::size_t>(own.part) * (2 * C);
    own.over_warps(block, sum, shared.of_warp[0], [&](int c, A total) { to[c] = total; });
    own.over_warps(block, dot, shared.of_warp[1], [&](int c, A total) { to[C + c] = total; });
  }
};

/// dx from the sums over all rows; the blocks of the first part add these to dbias and dweight.
template <int C, class T, class D> struct BatchNormBackward {
  using Strip = kernels::Strip<C, T>;
  using A = accumulator_t<T>;
  static constexpr int N = Strip::N, threads = Strip::threads, rows_per_part = 64;
  struct Shared {};
  int rows;
  const T* x;
  const A *mean, *variance;
  const T *weight, *dy;
  const A* sums;  // C of dy, C of dy times the normal value
  T* dx;
  D *dweight, *dbias;
  bool contributes_first;
  A epsilon;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const Strip own(block, rows, rows_per_part);
    if (own.column >= C) return;
    auto sum = load<N>(sums + own.column), dot = load<N>(sums + C + own.column);
    if (own.begin == 0 && block.warp() == 0) {
      add(dbias + own.column, sum);
      add(dweight + own.column, dot);
    }
    const auto m = load<N>(mean + own.column);
    auto rstd = load<N>(variance + own.column), factor = widen(load<N>(weight + own.column));
    unrolled<N>([&](auto i) {
      rstd[i] = A(1) / std::sqrt(rstd[i] + epsilon);
      factor[i] *= rstd[i];
      sum[i] /= A(rows);
      dot[i] /= A(rows);
    });
    own.for_rows(block, {x, dy}, [&](int row, const auto& packs) {
      const auto v = widen(packs[0]), d = widen(packs[1]);
      Pack<A, N> out;
      unrolled<N>([&](auto i) {
        const A normal = (v[i] - m[i]) * rstd[i];
        out[i] = fma(normal, -dot[i], d[i] - sum[i]) * factor[i];
      });
      cohort::cuda::store_whole(dx + static_cast<std::size_t>(row) * C + own.column,
                                narrow<T>(out));
    });
  }

 private:
  COHORT_DEVICE void add(D* to, const Pack<A, N>& sum) const {
    Pack<D, N> out{};
    if (!contributes_first) out = load<N>(static_cast<const D*>(to));
    unrolled<N>([&](auto i) {
      out[i] = static_cast<D>(contributes_first ? sum[i] : static_cast<A>(out[i]) + sum[i]);
    });
    cohort::cuda::store_whole(to, out);
  }
};

/// One thread a column.
template <class A> struct AddMoments {
  static constexpr int threads = 256;
  struct Shared {};
  int width;
  A samples, unbiased;
  const A *mean, *variance;
  A *mean_sum, *variance_sum;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared&) const {
    const int c = block.index() * threads + block.thread();
    if (c >= width) return;
    mean_sum[c] = fma(samples, mean[c], mean_sum[c]);
    variance_sum[c] = fma(unbiased, variance[c], variance_sum[c]);
  }
};

/// Parts of rows whose 2 C sums are added in a second stage, and the rows of each.
template <int C, class A> struct TwoSumParts {
  int parts, rows_each;
  explicit constexpr TwoSumParts(int rows)
      : parts(num_parts(rows, 64, 256, 2 * C * sizeof(A))),
        rows_each(parts > 0 ? ceil_div(rows, parts) : 0) {}
  std::size_t partials() const { return static_cast<std::size_t>(parts) * 2 * C; }
};

}  // namespace kernels

/// Cost     x from memory once, and once more from a cache: 2 C bytes a row in 16 bits.
/// Laws     at most 256 parts of rows, each about its own mean, are put together in an order that no GPU
///          changes.
template <int C, class T, class A>
void batch_moments(const Cuda& device, int rows, const T* x, A* mean, A* variance) {
  using K = kernels::MomentPartials<C, T>;
  using Combine = kernels::CombineMoments<A>;
  const kernels::TwoSumParts<C, A> cut(rows);
  A* partials = device.take<A>(cut.partials(), "batch_moments");
  kernels::launch_strips(device, cut.parts, K{rows, cut.rows_each, x, partials});
  cohort::cuda::launch(device, kernels::ceil_div(C, Combine::columns),
                       Combine{rows, cut.rows_each, cut.parts, C, partials, mean, variance});
}

/// Cost     4 C bytes a row in 16 bits.
template <int C, class T, class S>
void normalise_columns(const Cuda& device, int rows, const T* x, const S* mean, const S* variance,
                       const T* weight, const T* bias, T* y, accumulator_t<T> epsilon) {
  using K = kernels::NormaliseColumns<C, T, S>;
  kernels::launch_strips(device, kernels::ceil_div(rows, K::rows_per_part),
                         K{rows, x, mean, variance, weight, bias, y, epsilon});
}

/// Cost     10 C bytes a row in 16 bits: x and dy read twice, dx written once.
template <int C, class T, class A, class D>
void batch_norm_backward(const Cuda& device, int rows, const T* x, const A* mean, const A* variance,
                         const T* weight, const T* dy, T* dx, D* dweight, D* dbias, bool first,
                         A epsilon) {
  using K = kernels::BatchNormPartials<C, T>;
  using Backward = kernels::BatchNormBackward<C, T, D>;
  const kernels::TwoSumParts<C, A> cut(rows);
  A* sums = device.take<A>(cut.partials() + 2 * C, "batch_norm_backward");
  A* partials = sums + 2 * C;
  kernels::launch_strips(device, cut.parts,
                         K{rows, cut.rows_each, x, mean, variance, dy, partials, epsilon});
  kernels::sum_partials(device, cut.parts, 2 * C, partials, sums, true);
  kernels::launch_strips(
      device, kernels::ceil_div(rows, Backward::rows_per_part),
      Backward{rows, x, mean, variance, weight, dy, sums, dx, dweight, dbias, first, epsilon});
}

/// Cost     4 C bytes a row in 16 bits.
template <int C, class T, class S>
void normalise_columns_backward(const Cuda& device, int rows, const S* variance, const T* weight,
                                const T* dy, T* dx, accumulator_t<T> epsilon) {
  using K = kernels::NormaliseColumns<C, T, S>;
  kernels::launch_strips(device, kernels::ceil_div(rows, K::rows_per_part),
                         K{rows, dy, nullptr, variance, weight, nullptr, dx, epsilon});
}

/// Laws     the CPU's bits.
template <int C, class A>
void add_moments(const Cuda& device, int rows, int samples, const A* mean, const A* variance,
                 A* mean_sum, A* variance_sum) {
  using K = kernels::AddMoments<A>;
  const A n = static_cast<A>(samples);
  cohort::cuda::launch(
      device, kernels::ceil_div(C, K::threads),
      K{C, n, n * (A(rows) / A(rows - 1)), mean, variance, mean_sum, variance_sum});
}

}  // namespace cohort::ops
