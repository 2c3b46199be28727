// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/attention_tiles_test.cpp: copies into tiles, both products of tiles, and rows out of them.
#include <doctest/doctest.h>

#include <cohort/ops/cuda/attention_tiles.hpp>
#include <set>

#include "attention_case.hpp"

using namespace cohort;
using namespace cohort::testing;
namespace kernels = cohort::ops::kernels;

namespace {
/// y = (a b^T) b for a[32, D], b[64, D] of which `there` rows exist, by one warp, two parts of 16 rows.
template <int D, bool Held, class T> struct TwoProducts {
  static constexpr int threads = 32, stride = D + 8;
  struct Shared {
    alignas(128) std::uint16_t a[32 * D], b[64 * D];
  };
  const T *a, *b;
  int there;
  float* s;
  T* y;

  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    copy(block, shared.a, a, 32, 32);
    copy(block, shared.b, b, 64, there);
    cuda::cp_async_commit();
    cuda::cp_async_wait<0>();
    block.sync();
    kernels::LeftRows<D, Held> left[2];
    for (int p = 0; p < 2; ++p) left[p].tile = shared.a, left[p].row = 16 * p, left[p].load(block);
    float scores[2][8][4], o[2][D / 8][4] = {};
    kernels::scores<T, 2, 64>(block, scores, left, shared.b);
    for (int p = 0; p < 2; ++p)
      for (int n = 0; n < 8; ++n)
        for (int i = 0; i < 4; ++i)
          s[(16 * p + block.lane() / 4 + i / 2 * 8) * 64 + 8 * n + block.lane() % 4 * 2 + i % 2] =
              scores[p][n][i];
    kernels::accumulate<T, 2, 64, D>(block, o, scores, shared.b);
    const float factor[2] = {1, 0.5f};
    for (int p = 0; p < 2; ++p)
      kernels::store_rows<T, D>(block, o[p], factor, shared.a, 16 * p, y + 16 * p * stride, stride,
                                30 - 16 * p);
  }
  /// By eighths, which is what 32 threads and rows of 64 or 128 features allow.
  template <class Block>
  COHORT_DEVICE void copy(const Block& block, std::uint16_t* to, const T* from, int rows,
                          int there) const {
    for (int i = block.lane(); i < rows * D / 8; i += 32) {
      const int row = i / (D / 8), chunk = i % (D / 8);
      cuda::cp_async<16>(to + kernels::tile_at<D>(row, chunk), from + row * stride + chunk * 8,
                         row < there);
    }
  }
};

template <int D, bool Held, class T> void check(int there) {
  constexpr int stride = D + 8;
  const auto a = normal<T>(32 * stride, 1), b = normal<T>(64 * stride, 2);
  GpuArray<T> left(a), right(b), product(32 * stride);
  GpuArray<float> all_scores(32 * 64);
  const BareStream stream;
  cuda::launch(
      stream.device, 1,
      TwoProducts<D, Held, T>{left.view(), right.view(), there, all_scores.data(), product.data()});
  const auto s = all_scores.get();
  const auto y = product.get();
  bool good = true;
  for (int i = 0; i < 32; ++i)
    for (int d = 0; d < D; ++d) {
      double sum = 0, size = 0;
      for (int j = 0; j < there; ++j) {
        double exact = 0, terms = 0;
        for (int e = 0; e < D; ++e) {
          const double term = value(a[i * stride + e]) * value(b[j * stride + e]);
          exact += term, terms += std::fabs(term);
        }
        good = good && std::fabs(s[i * 64 + j] - exact) <= D * unit<float> * terms;
        const double part = double(s[i * 64 + j]) * value(b[j * stride + d]);
        sum += part, size += std::fabs(part);
      }
      const double factor = i % 16 < 8 ? 1 : 0.5, error = (unit<T> + 70 * unit<float>)*size;
      const double off = std::fabs(value(y[i * stride + d]) - factor * sum);
      if (i < 30)  // scores rounded to T for their product, fp32 sums, the result rounded once
        good = good && off <= factor * error + half_ulp<T>(factor * (std::fabs(sum) + error));
      else
        good = good && y[i * stride + d].bits == 0xffff;  // rows beyond the end are left alone
    }
  CHECK(good);
}

/// A tile copied by a whole block, read back row by row.
struct Copied {
  static constexpr int threads = 128, rows = 64, D = 64, stride = 3 * 64;
  struct Shared {
    alignas(128) std::uint16_t tile[rows * D];
    float floats[rows];
  };
  const bf16* from;
  const float* numbers;
  int there;
  std::uint16_t* to;
  float* numbers_to;
  template <class Block> COHORT_DEVICE void operator()(const Block& block, Shared& shared) const {
    kernels::copy_tile<rows, D, stride, threads>(block, shared.tile, from, there);
    kernels::copy_floats<rows>(block, shared.floats, numbers, there);
    cuda::cp_async_commit();
    cuda::cp_async_wait<0>();
    block.sync();
    for (int i = block.thread(); i < rows * D; i += threads)
      to[i] = shared.tile[kernels::tile_at<D>(i / D, i % D / 8) + i % 8];
    for (int i = block.thread(); i < rows; i += threads) numbers_to[i] = shared.floats[i];
  }
};
}  // namespace

TEST_CASE_TEMPLATE("attention tiles: two products in a row agree with fp64", T, bf16, fp16) {
  for (int there : {64, 33, 1}) {
    check<64, true, T>(there);
    check<64, false, T>(there);
    check<128, false, T>(there);
  }
}

TEST_CASE("attention tiles: a copy brings the rows that are there and zeros for the others") {
  const auto from = normal<bf16>(64 * Copied::stride, 3);
  const auto numbers = normal<float>(64, 4);
  for (int there : {64, 5, 0, -3}) {
    GpuArray<bf16> tile(from);
    GpuArray<float> floats(numbers), copied_floats(64);
    GpuArray<std::uint16_t> copied(64 * 64);
    const BareStream stream;
    cuda::launch(stream.device, 1,
                 Copied{tile.view(), floats.view(), there, copied.data(), copied_floats.data()});
    const auto to = copied.get();
    const auto got = copied_floats.get();
    bool good = true;
    for (int i = 0; i < 64 * 64; ++i)
      good = good && to[i] == (i / 64 < there ? from[i / 64 * Copied::stride + i % 64].bits : 0);
    for (int i = 0; i < 64; ++i) good = good && got[i] == (i < there ? numbers[i] : 0);
    CHECK(good);
  }
}

TEST_CASE("attention tiles: eight rows of a chunk, and a row's chunks, lie in different banks") {
  for (int chunk = 0; chunk < 16; ++chunk) {
    std::set<int> rows, chunks;
    for (int i = 0; i < 8; ++i) {
      rows.insert(kernels::tile_at<128>(i + 8, chunk) * 2 / 16 % 8);  // banks in groups of 16 bytes
      chunks.insert(kernels::tile_at<128>(chunk, i) * 2 / 16 % 8);
    }
    CHECK(rows.size() == 8);
    CHECK(chunks.size() == 8);
  }
}

#if !defined(__CUDACC__)  // asks a function of the GPU on the host
TEST_CASE("attention tiles: each tile of each head once, long causal ones first") {
  for (int tokens : {1, 64, 65, 200})
    for (bool last_first : {false, true}) {
      std::set<int> seen;
      const int count = kernels::HeadTile::count(2, 3, tokens, 64), tiles = (tokens + 63) / 64;
      for (int block = 0; block < count; ++block) {
        const auto tile = kernels::HeadTile::of(block, 3, tokens, 64, last_first);
        CHECK(tile.first < tokens);
        seen.insert((tile.sample * 3 + tile.head) * tiles + tile.first / 64);
      }
      CHECK(static_cast<int>(seen.size()) == count);
      CHECK(kernels::HeadTile::of(0, 3, tokens, 64, last_first).first ==
            (last_first ? (tiles - 1) * 64 : 0));
    }
}
#endif
