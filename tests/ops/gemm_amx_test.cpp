// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/gemm_amx_test.cpp: a block of sums in the tile registers of AMX; without them, one test that says so.
#include <doctest/doctest.h>

#include <cohort/ops/gemm_amx.hpp>
#include <cohort/ops/gemm_tiled.hpp>

#include "gemm_block.hpp"

#if defined(COHORT_HAS_AMX)
using namespace cohort;
using namespace cohort::detail;
using cohort::test::Block;

TEST_CASE("multiply_tiles: small integers are summed exactly, from zero, a block or a row") {
  alignas(64) float init[32 * 32], out[32 * 32], unused[32 * 32];
  for (float& x : init) x = 3;
  const FloatBlock starts[] = {{nullptr, 0}, {init, 128}, {init, 0}};
  const Tiles tiles;
  for (const FloatBlock& start : starts) {
    const Block x(start.at ? 3.0f : 0.0f);
    const char* right = reinterpret_cast<const char*>(x.right);
    Sums<float> none;
    int steps = 0;
    multiply_tiles<2, 2, true>(2, x.tiles(), right, start, {unused, 128}, none, 32,
                               [&] { ++steps; });
    CHECK(steps == 2);
    store_tiles({out, 128});
    for (int i = 0; i < 32 * 32; ++i) REQUIRE(out[i] == x.expected[i]);
    multiply_tiles<1, 1, false>(2, x.tiles(), right, start, {unused, 128}, none, 32, [] {});
    store_tiles({out, 128});
    for (int i = 0; i < 16; ++i)
      for (int j = 0; j < 16; ++j) REQUIRE(out[i * 32 + j] == x.expected[i * 32 + j]);
  }
}

TEST_CASE("multiply_tiles: the sums of the block before are written meanwhile") {
  const Block x(0);
  const char* right = reinterpret_cast<const char*>(x.right);
  alignas(64) float first[32 * 32], second[32 * 32];
  bf16 c[32 * 32];
  const Tiles tiles;
  Sums<bf16> before;
  multiply_tiles<2, 2, false>(2, x.tiles(), right, {nullptr, 0}, {second, 128}, before, 32, [] {});
  before = {first, c, 32, 32, 32};
  multiply_tiles<2, 2, false>(2, x.tiles(), right, {nullptr, 0}, {first, 128}, before, 32, [] {});
  for (int i = 0; i < 32 * 32; ++i) REQUIRE(c[i].bits == bf16(x.expected[i]).bits);
}
#else
TEST_CASE("gemm_amx: this target has no tile registers, and products of bf16 use none") {
  CHECK(cohort::detail::widest_dot != cohort::detail::Dot::tiles);
}
#endif
