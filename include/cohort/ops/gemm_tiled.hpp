// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/gemm_tiled.hpp: matrix products by register tiles: no library, no heap, no threads.
#pragma once
#include <algorithm>
#include <cohort/ops/gemm_vector.hpp>
#include <cstddef>

namespace cohort {

namespace detail {

using std::ptrdiff_t;

#ifndef MR_
#define MR_ 12
#endif
#ifndef NV_
#define NV_ 2
#endif
#ifndef KC_
#define KC_ 256
#endif

template <class T, int Bytes>
struct Tile {
  using V = Vector<T, Bytes>;
  static constexpr int vectors = NV_;
  static constexpr int rows = Bytes == 64 ? MR_ : Bytes == 32 ? 6 : 4;
  static constexpr int columns = vectors * V::lanes;
  static constexpr int depth = KC_;
  static constexpr int width = 2048 / static_cast<int>(sizeof(T));
  static_assert(width % columns == 0);
};

enum class Into { store, add };

/// c[Rows, columns] = or += a * b over k steps
template <int Rows, int Vectors, class T, int Bytes>
[[gnu::noinline]] void multiply_tile(int k, const T* __restrict a, ptrdiff_t row_stride, ptrdiff_t k_stride, const T* __restrict b, ptrdiff_t b_stride,
                   T* __restrict c, ptrdiff_t ldc, int columns, Into into, const T* bias) {
  using V = Vector<T, Bytes>;
  V sum[Rows][Vectors];
#pragma GCC unroll 16
  for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) sum[i][v] = V::zero();
  if (into==Into::add)
  #pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) __builtin_prefetch(c + i*ldc,1);
  for (int p = 0; p < k; ++p, a += k_stride, b += b_stride) {
    V right[Vectors];
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) right[v] = V::load(b + v * V::lanes);
#ifdef PF_
#pragma GCC unroll 4
    for (int v = 0; v < Vectors; ++v) __builtin_prefetch(b+ v * V::lanes+PF_*Vectors*V::lanes);
#endif
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
      const V left = V::broadcast(a[i * row_stride]);
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[i][v] = V::multiply_add(left, right[v], sum[i][v]);
    }
  }
  if (columns == Vectors * V::lanes) {
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i)
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) {
        T* to = c + i * ldc + v * V::lanes;
        V out = sum[i][v];
        if (bias) out = out + V::load(bias + v * V::lanes);
        if (into == Into::add) out = V::load(to) + out;
        out.store(to);
      }
  } else {
    T spill[Vectors * V::lanes];
#pragma GCC unroll 16
    for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < Vectors; ++v) sum[i][v].store(spill + v * V::lanes);
      T* to = c + i * ldc;
      for (int j = 0; j < columns; ++j) {
        T out = spill[j];
        if (bias) out = out + bias[j];
        to[j] = into == Into::add ? to[j] + out : out;
      }
    }
  }
}

/// packed[k][columns] panels of op(b)
template <bool Trans, class T, int Bytes>
void pack_right(int k, int n, const T* b, ptrdiff_t ldb, T* to) {
  using V = Vector<T, Bytes>;
  constexpr int W = V::lanes, N = Tile<T, Bytes>::columns;
  for (int j = 0; j < n; j += N) {
    int wide = std::min(N, n - j);
    int pitch = (wide + W - 1) / W * W;
    for (int v = 0; v < pitch; v += W) {
      int cols = std::min(W, n - j - v);
      T* out = to + v;
      if constexpr (!Trans) {
        const T* in = b + j + v;
        if (cols == W) for (int p = 0; p < k; ++p) V::load(in + p * ldb).store(out + p * pitch);
        else for (int p = 0; p < k; ++p) for (int q = 0; q < W; ++q) out[p*pitch+q] = q < cols ? in[p*ldb+q] : T(0);
      } else {
        const T* in = b + (j + v) * ldb;
        int p = 0;
        if (cols == W)
          for (; p + W <= k; p += W) {
            V block[W];
#pragma GCC unroll 16
            for (int r = 0; r < W; ++r) block[r] = V::load(in + r * ldb + p);
            V::transpose(block);
#pragma GCC unroll 16
            for (int r = 0; r < W; ++r) block[r].store(out + (p + r) * pitch);
          }
        for (; p < k; ++p) for (int q = 0; q < W; ++q) out[p*pitch+q] = q < cols ? in[q*ldb+p] : T(0);
      }
    }
    to += pitch * k;
  }
}

template <class T, int Bytes>
void pack_left(int k, int m, const T* a, ptrdiff_t lda, T* to) {  // a is k x m: m <= rows
  constexpr int R = Tile<T, Bytes>::rows;
  if (m == R) for (int p = 0; p < k; ++p) std::memcpy(to + p * R, a + p * lda, R * sizeof(T));
  else for (int p = 0; p < k; ++p) for (int i = 0; i < m; ++i) to[p * R + i] = a[p * lda + i];
}

template <int Rows, class T, int Bytes>
void row_of_tiles(int k, int n, const T* a, ptrdiff_t rs, ptrdiff_t ks, const T* b, T* c, ptrdiff_t ldc, Into into, const T* bias) {
  constexpr int W = Vector<T, Bytes>::lanes, NV = Tile<T, Bytes>::vectors, N = W * NV;
  int j = 0;
  for (; j + N <= n; j += N) multiply_tile<Rows, NV, T, Bytes>(k, a, rs, ks, b + j * k, N, c + j, ldc, N, into, bias ? bias + j : bias);
  if (n - j > 2*W) { if constexpr (NV >= 3) multiply_tile<Rows, 3, T, Bytes>(k, a, rs, ks, b + j * k, 3*W, c + j, ldc, n - j, into, bias ? bias + j : bias); }
  else if (n - j > W) multiply_tile<Rows, 2, T, Bytes>(k, a, rs, ks, b + j * k, 2*W, c + j, ldc, n - j, into, bias ? bias + j : bias);
  else if (n > j) multiply_tile<Rows, 1, T, Bytes>(k, a, rs, ks, b + j * k, W, c + j, ldc, n - j, into, bias ? bias + j : bias);
}
}  // namespace detail

template <int Bytes>
struct TiledGemmOf {
  template <bool TransA, bool TransB, class T>
  static void multiply(int m, int n, int k, const T* a, int lda, const T* b, int ldb, T beta, T* c, int ldc) {
    run<TransA, TransB, T>(m, n, k, a, lda, b, ldb, beta, c, ldc, nullptr);
  }
  template <bool TransA, bool TransB, class T>
  static void run(int m, int n, int k, const T* a, std::ptrdiff_t lda, const T* b, std::ptrdiff_t ldb, T beta, T* c, std::ptrdiff_t ldc, const T* bias) {
    using X = detail::Tile<T, Bytes>;
    constexpr int R = X::rows;
    alignas(64) static thread_local T right[X::depth * X::width];
    alignas(64) static thread_local T left[X::depth * R];
    for (int jb = 0; jb < n; jb += X::width) {
      int wide = std::min(X::width, n - jb);
      for (int p = 0; p < k; p += X::depth) {
        int deep = std::min(X::depth, k - p);
        detail::Into into = p == 0 && beta == T(0) ? detail::Into::store : detail::Into::add;
        detail::pack_right<TransB, T, Bytes>(deep, wide, TransB ? b + jb * ldb + p : b + p * ldb + jb, ldb, right);
        for (int i = 0; i < m; i += R) {
          int high = std::min(R, m - i);
          const T* at = TransA ? a + p * lda + i : a + i * lda + p;
          std::ptrdiff_t rs = lda, ks = 1;
          if constexpr (TransA) { detail::pack_left<T, Bytes>(deep, high, at, lda, left); at = left; rs = 1; ks = R; }
          T* to = c + i * ldc + jb;
          const T* bi = bias ? bias + jb : bias;
          if (high == R) detail::row_of_tiles<R, T, Bytes>(deep, wide, at, rs, ks, right, to, ldc, into, bi);
          else {
            if (high & 8) { detail::row_of_tiles<8, T, Bytes>(deep, wide, at, rs, ks, right, to, ldc, into, bi); at += 8*rs; to += 8 * ldc; }
            if (high & 4) { detail::row_of_tiles<4, T, Bytes>(deep, wide, at, rs, ks, right, to, ldc, into, bi); at += 4*rs; to += 4 * ldc; }
            if (high & 2) { detail::row_of_tiles<2, T, Bytes>(deep, wide, at, rs, ks, right, to, ldc, into, bi); at += 2*rs; to += 2 * ldc; }
            if (high & 1) { detail::row_of_tiles<1, T, Bytes>(deep, wide, at, rs, ks, right, to, ldc, into, bi); at += rs; to += ldc; }
          }
        }
      }
    }
  }
};
using TiledGemm = TiledGemmOf<detail::widest_register>;

}  // namespace cohort
