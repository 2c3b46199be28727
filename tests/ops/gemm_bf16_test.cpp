// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/gemm_bf16_test.cpp: laws of products of bf16 by dot products of pairs; few without them.
#include <doctest/doctest.h>

#include <cohort/ops/gemm_tiled.hpp>
#include <thread>

#include "gemm_narrow.hpp"

using namespace cohort;

// What this machine can do, the product of this build first.
#if defined(COHORT_HAS_AMX)
#define COHORT_TEST_DOTS TiledGemm, TiledGemmOf<64, detail::Dot::registers>
static_assert(detail::widest_dot == detail::Dot::tiles);
#else
#define COHORT_TEST_DOTS TiledGemm
#endif

TEST_CASE_TEMPLATE("TiledGemm of bf16: the exact product within a float sum and one rounding", Gemm,
                   COHORT_TEST_DOTS) {
  using gemm_test::narrow_worst_of_all;
  const std::vector<int> sizes{0, 1, 15, 16, 17, 32, 33, 100}, depths{0, 1, 2, 31, 32, 33, 100};
  CHECK(narrow_worst_of_all<Gemm, bf16, bf16>(sizes, sizes, depths) <= 1);
  CHECK(narrow_worst_of_all<Gemm, bf16, float>(sizes, sizes, depths) <= 1);
  CHECK(narrow_worst_of_all<Gemm, bf16, bf16>({100}, {300}, {257, 1000}) <= 1);
  CHECK(narrow_worst_of_all<Gemm, bf16, float>({300}, {100}, {513, 1000}) <= 1);
  // More rows and columns than are packed, or wait as floats, at once.
  CHECK(gemm_test::narrow_worst<Gemm, false, true, bf16, bf16>({1060}, {290}, {1030}) <= 1);
  CHECK(gemm_test::narrow_worst<Gemm, true, false, bf16, float>({40}, {1100}, {530}) <= 1);
}

TEST_CASE_TEMPLATE("TiledGemm of bf16: a part of the rows and columns has the bits of the whole",
                   Gemm, COHORT_TEST_DOTS) {
  CHECK(gemm_test::all_parts_have_bits<Gemm, bf16, bf16>(70, 80, 300));
  CHECK(gemm_test::all_parts_have_bits<Gemm, bf16, bf16>(70, 80, 601));
  CHECK(gemm_test::all_parts_have_bits<Gemm, bf16, float>(210, 70, 41));
  CHECK(gemm_test::all_parts_have_bits<Gemm, bf16, float>(64, 96, 640));
}

TEST_CASE_TEMPLATE("TiledGemm of bf16: k cut at multiples of 256 composes, and rounding comes last",
                   Gemm, COHORT_TEST_DOTS) {
  CHECK(gemm_test::pieces_compose<Gemm, true, false, bf16>(65, 270, 600, {256, 512, 600}));
  CHECK(gemm_test::pieces_compose<Gemm, false, true, bf16>(200, 33, 1000, {512, 768, 1000}));
  CHECK(gemm_test::pieces_compose<Gemm, false, false, bf16>(64, 64, 1536, {256, 1536}));
}

TEST_CASE_TEMPLATE("TiledGemm of bf16: stays inside its matrices", Gemm, COHORT_TEST_DOTS) {
  gemm_test::all_stay_inside<Gemm, bf16>();
}

TEST_CASE_TEMPLATE("TiledGemm of bf16: NaN and infinity stay in their rows", Gemm,
                   COHORT_TEST_DOTS) {
  CHECK(gemm_test::rows_stay_apart<Gemm, bf16, bf16>());
  CHECK(gemm_test::rows_stay_apart<Gemm, bf16, float>());
}

TEST_CASE_TEMPLATE("TiledGemm of bf16: every element is handed over once, when it is final", Gemm,
                   COHORT_TEST_DOTS) {
  for (int k : {0, 1, 100, 600})
    for (int m : {1, 33, 200}) CHECK(gemm_test::pieces_cover<Gemm, bf16>(m, 300, k));
}

TEST_CASE("TiledGemm of bf16: threads do not share tiles or scratch") {
  const gemm_test::NarrowProblem<true, false, bf16, float> x(100, 90, 300);
  const auto product = [&] {
    std::vector<float> c = x.c;
    for (int i = 0; i < 20; ++i)
      TiledGemm::multiply<true, false, bf16, float>(100, 90, 300, x.a.data(), x.lda, x.b.data(),
                                                    x.ldb, 0.0f, c.data(), x.ldc);
    return c;
  };
  const auto alone = product();
  std::vector<std::vector<float>> each(4);
  std::vector<std::thread> threads;
  for (auto& c : each) threads.emplace_back([&] { c = product(); });
  for (auto& t : threads) t.join();
  for (const auto& c : each) CHECK(std::memcmp(c.data(), alone.data(), c.size() * 4) == 0);
}
