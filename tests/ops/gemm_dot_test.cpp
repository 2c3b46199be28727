// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/gemm_dot_test.cpp: a block of sums in vector registers; without AVX512_BF16, one test that says so.
#include <doctest/doctest.h>

#include <cohort/ops/gemm_dot.hpp>
#include <cohort/ops/gemm_tiled.hpp>

#include "gemm_block.hpp"

#if defined(COHORT_HAS_PAIRS)
using namespace cohort;
using namespace cohort::detail;
using cohort::test::Block;

TEST_CASE("multiply_block: small integers are summed exactly, from zero, a block or a row") {
  alignas(64) float init[32 * 32], out[32 * 32];
  for (float& x : init) x = 3;
  const FloatBlock starts[] = {{nullptr, 0}, {init, 128}, {init, 0}};
  for (const FloatBlock& start : starts) {
    const Block x(start.at ? 3.0f : 0.0f);
    multiply_block(32, 2, x.tiles(), reinterpret_cast<const char*>(x.right), start, {out, 128});
    for (int i = 0; i < 32 * 32; ++i) REQUIRE(out[i] == x.expected[i]);
  }
}
#else
TEST_CASE("gemm_dot: this target has no dot products of pairs, and products of bf16 use none") {
  CHECK(cohort::detail::widest_dot == cohort::detail::Dot::widened);
}
#endif
