// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/gemm_amx.hpp: the tile registers of AMX, and a block of a product of bf16 in them.
#pragma once
#include <cohort/ops/gemm_pairs.hpp>

#if defined(COHORT_HAS_PAIRS) && defined(__AMX_TILE__) && defined(__AMX_BF16__) && \
    defined(__linux__)
#define COHORT_HAS_AMX
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cohort/core/error.hpp>
#endif

#if defined(COHORT_HAS_AMX)
namespace cohort::detail {

/// Asks the kernel, once a process, for the state of tile registers.
inline void permit_tiles() {
  static const bool permitted = [] {
    constexpr long request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM
    if (syscall(SYS_arch_prctl, request_permission, tile_data) == 0) return true;
    throw Error(-1, "AMX",
                "this system does not grant tile registers to processes. Compile with "
                "-mno-amx-bf16 or for this machine's processor.");
  }();
  static_cast<void>(permitted);
}

/// What the processor reads as the shape of its tile registers: eight of 16 rows of 64 bytes.
struct alignas(64) TileLayout {
  std::uint8_t palette = 1, start = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
static_assert(sizeof(TileLayout) == 64);

/// The eight tile registers, 16 rows of 64 bytes each, while this object lives.
class Tiles {
 public:
  Tiles() {
    permit_tiles();
    _tile_loadconfig(&layout);
  }
  ~Tiles() { _tile_release(); }
  Tiles(const Tiles&) = delete;

 private:
  static constexpr TileLayout layout{};
};

// Tile numbers are literals: tiles 0 to 3 are sums (upper left, upper right, lower left, lower right),
// 4 and 5 left tiles, 6 and 7 right ones.

/// One step of k of a block: up to four products of tiles. Stream: right tiles pass by the L1 cache.
template <int Rows, int Columns, bool Stream>
[[gnu::always_inline]] inline void multiply_step(const LeftTiles& a, const char* left,
                                                 const char* right) {
  _tile_loadd(4, left, a.pitch);
  if constexpr (Stream)
    _tile_stream_loadd(6, right, 64);
  else
    _tile_loadd(6, right, 64);
  _tile_dpbf16ps(0, 4, 6);
  if constexpr (Columns > 1) {
    if constexpr (Stream)
      _tile_stream_loadd(7, right + tile_bytes, 64);
    else
      _tile_loadd(7, right + tile_bytes, 64);
    _tile_dpbf16ps(1, 4, 7);
  }
  if constexpr (Rows > 1) {
    _tile_loadd(5, left + a.below, a.pitch);
    _tile_dpbf16ps(2, 5, 6);
  }
  if constexpr (Rows > 1 && Columns > 1) _tile_dpbf16ps(3, 5, 7);
}

/// The first step of a block: each tile of sums goes to `out`, starts again from `init` (null: zero),
/// and takes its first product, one after the other, so that the stores overlap with products.
template <int Rows, int Columns>
[[gnu::always_inline]] inline void exchange_step(const LeftTiles& a, const char* right,
                                                 FloatBlock init, FloatBlock out) {
  _tile_loadd(4, a.at, a.pitch);
  _tile_loadd(6, right, 64);
  _tile_stored(0, out.at, out.pitch);
  if (init.at)
    _tile_loadd(0, init.at, init.pitch);
  else
    _tile_zero(0);
  _tile_dpbf16ps(0, 4, 6);
  _tile_stored(1, out.at + 16, out.pitch);
  if constexpr (Columns > 1) {
    _tile_loadd(7, right + tile_bytes, 64);
    if (init.at)
      _tile_loadd(1, init.at + 16, init.pitch);
    else
      _tile_zero(1);
    _tile_dpbf16ps(1, 4, 7);
  }
  _tile_stored(2, out.below(), out.pitch);
  if constexpr (Rows > 1) {
    _tile_loadd(5, a.at + a.below, a.pitch);
    if (init.at)
      _tile_loadd(2, init.below(), init.pitch);
    else
      _tile_zero(2);
    _tile_dpbf16ps(2, 5, 6);
  }
  _tile_stored(3, out.below() + 16, out.pitch);
  if constexpr (Rows > 1 && Columns > 1) {
    if (init.at)
      _tile_loadd(3, init.below() + 16, init.pitch);
    else
      _tile_zero(3);
    _tile_dpbf16ps(3, 5, 7);
  }
}

/// Starts a block of up to 32 x 32 sums and adds `steps` tiles of k to it. The sums stay in the tiles.
/// Meanwhile those of the block before go to `out` and from there, `count` rows a step, to c, and
/// beside() is called at every step: work in the shadow of the products.
template <int Rows, int Columns, bool Stream, class O, class F>
[[gnu::always_inline]] inline void multiply_tiles(int steps, LeftTiles a, const char* right,
                                                  FloatBlock init, FloatBlock out, Sums<O>& before,
                                                  int count, F beside) {
  __asm__ volatile("" ::: "memory");  // g++ 12 does not know that tile loads read memory
  exchange_step<Rows, Columns>(a, right, init, out);
  beside();
  const char* left = a.at;
  for (int s = 1; s < steps; ++s) {
    left += a.step;
    right += tile_pair_bytes;
    multiply_step<Rows, Columns, Stream>(a, left, right);
    before.write(count);
    beside();
  }
  before.write(2 * tile_rows);
}

/// The sums that are left in the tiles.
inline void store_tiles(FloatBlock out) {
  _tile_stored(0, out.at, out.pitch);
  _tile_stored(1, out.at + 16, out.pitch);
  _tile_stored(2, out.below(), out.pitch);
  _tile_stored(3, out.below() + 16, out.pitch);
}

}  // namespace cohort::detail
#elif defined(COHORT_HAS_PAIRS)
namespace cohort::detail {

struct Tiles {};  // never asked for
template <int, int, bool, class O, class F>
void multiply_tiles(int, LeftTiles, const char*, FloatBlock, FloatBlock, Sums<O>&, int, F);
void store_tiles(FloatBlock);

}  // namespace cohort::detail
#endif
