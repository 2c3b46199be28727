// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/gemm_bf16.hpp: matrix products of bf16 by the machine's dot products of pairs.
#pragma once
#include <cohort/ops/gemm_amx.hpp>
#include <cohort/ops/gemm_dot.hpp>
#include <cohort/ops/gemm_widened.hpp>

namespace cohort::detail {

/// How bf16 is multiplied: as float, or by dot products of pairs in vector or in tile registers.
enum class Dot { widened, registers, tiles };
#if defined(COHORT_HAS_AMX)
inline constexpr Dot widest_dot = Dot::tiles;
#elif defined(COHORT_HAS_PAIRS)
inline constexpr Dot widest_dot = Dot::registers;
#else
inline constexpr Dot widest_dot = Dot::widened;
#endif

#if defined(COHORT_HAS_PAIRS)

/// Products of bf16 by blocks of 32 x 32 sums: 2 x 2 tiles of AMX, or four times 8 x 2 vector registers. b is
/// packed; a is packed where it is transposed or tiles reach beyond it, and for AMX where its rows are
/// not whole cache lines; else it is read where it lies.
///
/// Shapes   as TiledGemmOf::multiply.
/// Cost     no heap; scratch_bytes of thread-local memory for any k: b is packed by up to 1024 steps of
///          k, and longer sums that end in bf16 wait in a float buffer of 1024 x 256.
/// Errors   run time: Error where the system refuses tile registers.
/// Laws     an element is ((beta c + bias) + t0) + t1 + ...: with AMX ti is the sum of 32 steps of k,
///          16 products of even steps by multiply-adds, 16 of odd ones, and their sum; else of two.
///          So parts of k that begin at multiples of 32, added one after the other, have the bits of
///          the whole. Denormal inputs and sums count as zero, whatever MXCSR says. `done` must not
///          multiply matrices.
/// Source   Intel, Architecture Instruction Set Extensions Programming Reference, TDPBF16PS.
template <Dot How> class Bf16Gemm {
 public:
  static constexpr bool by_tiles = How == Dot::tiles;
  static constexpr int depth = 1024, width = 1024;  // steps and columns packed at once
  static constexpr int most = 256 * 1024;           // numbers packed at once
  static constexpr int rows = 1024, columns = 256;  // of the float buffer

  struct alignas(64) Blocks {
    char right[2 * most];
    char left[2][32 * depth * 2];  // a strip, and the next
    float sums[2][32 * 32], init[32 * 32], bias[width];
    float total[rows * columns];
  };

  template <bool TransA, bool TransB, class O, class F>
  static void run(const Narrow<bf16, O>& all, F done) {
    [[maybe_unused]] const std::conditional_t<by_tiles, Tiles, int> held{};
    if constexpr (std::is_same_v<O, float>) {
      if (all.beta != 0.0f && all.beta != 1.0f) scale_rows(all.m, all.n, all.beta, all.c, all.ldc);
    }
    constexpr int most_deep = TransA ? depth / 2 : depth;  // else two packed strips leave L1
    const int times = (all.k + most_deep - 1) / most_deep;
    const int deep = whole((all.k + times - 1) / times);  // equal passes over k
    const bool kept = !std::is_same_v<O, float> && times > 1;
    const int wide = kept ? columns : std::min(width, most / deep / 32 * 32);
    const int tall = kept ? rows : all.m;
    for (int j = 0; j < all.n; j += wide) {
      for (int i = 0; i < all.m; i += tall) {
        for (int p = 0; p < all.k; p += deep) {
          const int m = std::min(tall, all.m - i), n = std::min(wide, all.n - j);
          const Part<O> part{all, i, m, j, n, p, std::min(deep, all.k - p), kept};
          pack<TransB>(part);
          multiply<TransA>(part, done);
        }
      }
    }
  }

 private:
  /// Rows i.. and columns j.. of c, steps p.. of k. kept: sums stay float until the last of k.
  template <class O> struct Part {
    const Narrow<bf16, O>& all;
    int i, m, j, n, p, k;
    bool kept;
    bool last() const { return p + k == all.k; }
    int steps() const { return whole(k) / tile_steps; }
    O* c(int row, int column) const { return all.c + (i + row) * all.ldc + j + column; }
  };

  static constexpr int whole(int n) { return (n + 31) / 32 * 32; }

  static Blocks& blocks() {
    static_assert(sizeof(Blocks) <= narrow_scratch_bytes);
    return *reinterpret_cast<Blocks*>(narrow_scratch());
  }

  template <bool TransB, class O> static void pack(const Part<O>& at) {
    Blocks& mine = blocks();
    const auto& all = at.all;
    char* to = mine.right;
    for (int j = 0; j < at.n; j += 32, to += at.steps() * tile_pair_bytes) {
      const int n = std::min(32, at.n - j);
      if constexpr (TransB)
        pack_right_columns(at.k, n, all.b + (at.j + j) * all.ldb + at.p, all.ldb, to);
      else
        pack_right_rows(at.k, n, all.b + at.p * all.ldb + at.j + j, all.ldb, to);
    }
    for (int j = 0; all.bias && j < at.n; ++j)
      mine.bias[j] = static_cast<float>(all.bias[at.j + j]);
  }

  /// Left tiles of the rows from i, packed to `to` if need be.
  template <class O> static LeftTiles left_tiles(const Part<O>& at, int i, char* to) {
    const std::ptrdiff_t lda = at.all.lda;
    const bf16* a = at.all.a + (at.i + i) * lda + at.p;
    const int m = std::min(32, at.m - i);
    const bool lines = !by_tiles || (reinterpret_cast<std::uintptr_t>(a) | (2 * lda)) % 64 == 0;
    if (lines && m == 32 && at.k % 32 == 0)
      return {reinterpret_cast<const char*>(a), 2 * lda, 64, 32 * lda};
    pack_left_rows(m, at.k, a, lda, to);
    return {to, 64, tile_pair_bytes, tile_bytes};
  }

  /// The packing of a strip of a transposed a; of none beyond the last row.
  template <class O> static LeftPacking left_packing(const Part<O>& at, int i, int strip) {
    const bf16* a = at.all.a + at.p * at.all.lda + at.i + i;
    return {std::min(strip, at.m - i), at.k, a, at.all.lda, blocks().left[i / strip % 2]};
  }

  template <bool TransA, class O, class F> static void multiply(const Part<O>& at, F done) {
    const int steps = at.steps(), panels = (at.n + 31) / 32;
    const int strip = 32 * (steps > 4 ? 1 : 8 / steps);    // rows whose left tiles fit half of L1
    const int halves = (2 * steps + panels - 1) / panels;  // of the next strip, beside a block
    Sums<O> before;
    FloatBlock out{blocks().sums[0], 128};
    LeftPacking next;
    if constexpr (TransA) left_packing(at, 0, strip).rest();
    for (int i = 0; i < at.m; i += strip) {
      const int end = std::min(i + strip, at.m);
      char* packed = blocks().left[i / strip % 2];
      LeftTiles a[8];
      if constexpr (TransA) next = left_packing(at, i + strip, strip);
      for (int r = i; r < end; r += 32, packed += steps * tile_pair_bytes) {
        if constexpr (TransA)
          a[(r - i) / 32] = {packed, 64, tile_pair_bytes, tile_bytes};
        else
          a[(r - i) / 32] = left_tiles(at, r, packed);
      }
      for (int j = 0; j < at.n; j += 32) {
        for (int r = i; r < end; r += 32) {
          int left = halves;
          block(at, r, j, a[(r - i) / 32], out, before, [&] {
            if constexpr (TransA) {
              if (left-- > 0) next.half();
            }
          });
          if (i > 0 && j == 0 && r == i && at.last()) done(at.i + i - strip, strip, at.j, at.n);
        }
      }
      next.rest();
    }
    if constexpr (by_tiles) store_tiles(out);
    before.write(32);
    const int last = (at.m - 1) / strip * strip;
    if (at.last()) done(at.i + last, at.m - last, at.j, at.n);
  }

  template <class O, class F>
  static void block(const Part<O>& at, int i, int j, const LeftTiles& a, FloatBlock& out,
                    Sums<O>& before, F beside) {
    const int steps = at.steps();
    const int m = std::min(32, at.m - i), n = std::min(32, at.n - j);
    const char* b = blocks().right + j / 32 * steps * tile_pair_bytes;
    const FloatBlock init = start(at, i, m, j, n);
    if constexpr (by_tiles) {
      tiles(steps, m, n, a, b, init, out, before, beside);
      finish(at, i, m, j, n, out, before);
    } else {
      before.write(32);
      finish(at, i, m, j, n, out, before);
      multiply_block(m, steps, a, b, init, out);
    }
  }

  template <class O, class F>
  static void tiles(int steps, int m, int n, const LeftTiles& a, const char* b, FloatBlock init,
                    FloatBlock out, Sums<O>& before, F beside) {
    const int count = steps > 1 ? (32 + steps - 2) / (steps - 1) : 32;  // rows of c a step
    if (m <= 16)
      n <= 16 ? multiply_tiles<1, 1, false>(steps, a, b, init, out, before, count, beside)
              : multiply_tiles<1, 2, false>(steps, a, b, init, out, before, count, beside);
    else if (n <= 16)
      multiply_tiles<2, 1, false>(steps, a, b, init, out, before, count, beside);
    else if (steps <= 8)
      multiply_tiles<2, 2, false>(steps, a, b, init, out, before, count, beside);
    else
      multiply_tiles<2, 2, true>(steps, a, b, init, out, before, count, beside);
  }

  /// Where the sums of a block start.
  template <class O> static FloatBlock start(const Part<O>& at, int i, int m, int j, int n) {
    Blocks& mine = blocks();
    if (at.p > 0 && at.kept) return {mine.total + i * columns + j, 4 * columns};
    if (at.p == 0 && at.all.beta == 0.0f) return {at.all.bias ? mine.bias + j : nullptr, 0};
    O* c = at.c(i, j);
    if (std::is_same_v<O, float> && m == 32 && n == 32)
      return {reinterpret_cast<float*>(c), 4 * at.all.ldc};
    const float beta = std::is_same_v<O, float> ? 1.0f : at.all.beta;
    for (int r = 0; r < m; ++r) {
      for (int s = 0; s < n; ++s)
        mine.init[r * 32 + s] = beta * static_cast<float>(c[r * at.all.ldc + s]);
    }
    return {mine.init, 128};
  }

  /// Where they go: to c, to the float buffer, or by way of a block to c.
  template <class O>
  static void finish(const Part<O>& at, int i, int m, int j, int n, FloatBlock& out,
                     Sums<O>& before) {
    Blocks& mine = blocks();
    O* c = at.c(i, j);
    if (at.kept && !at.last()) {
      out = {mine.total + i * columns + j, 4 * columns};
    } else if (std::is_same_v<O, float> && m == 32 && n == 32) {
      out = {reinterpret_cast<float*>(c), 4 * at.all.ldc};
    } else {
      out = {out.at == mine.sums[0] ? mine.sums[1] : mine.sums[0], 128};
      before = {out.at, c, at.all.ldc, m, n};
    }
  }
};

#endif

}  // namespace cohort::detail
