// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/gemm_widened_test.cpp: laws of products of 16-bit types by way of float blocks.
#include <doctest/doctest.h>

#include <cohort/ops/gemm_tiled.hpp>

#include "gemm_narrow.hpp"

using namespace cohort;
using Widened = TiledGemmOf<detail::widest_register, detail::Dot::widened>;

static_assert(Widened::scratch_bytes<bf16> == Widened::scratch_bytes<fp16>);

TEST_CASE_TEMPLATE("WidenedGemm: the exact product within a float sum and one rounding", T, bf16,
                   fp16) {
  using gemm_test::narrow_worst_of_all;
  const std::vector<int> sizes{1, 15, 17, 33}, depths{0, 1, 31, 100};
  CHECK(narrow_worst_of_all<Widened, T, T>(sizes, sizes, depths) <= 1);
  CHECK(narrow_worst_of_all<Widened, T, float>(sizes, sizes, depths) <= 1);
  CHECK(narrow_worst_of_all<Widened, T, T>({200}, {300}, {257, 600}) <= 1);
  CHECK(narrow_worst_of_all<Widened, T, float>({200}, {300}, {257, 600}) <= 1);
}

TEST_CASE_TEMPLATE("WidenedGemm: a part of the rows and columns has the bits of the whole", T, bf16,
                   fp16) {
  CHECK(gemm_test::all_parts_have_bits<Widened, T, T>(70, 80, 300));
  CHECK(gemm_test::all_parts_have_bits<Widened, T, float>(210, 70, 41));
}

TEST_CASE_TEMPLATE("WidenedGemm: k cut at multiples of 256 composes, and rounding comes last", T,
                   bf16, fp16) {
  CHECK(gemm_test::pieces_compose<Widened, true, false, T>(65, 270, 600, {256, 512, 600}));
  CHECK(gemm_test::pieces_compose<Widened, false, true, T>(200, 33, 1000, {512, 768, 1000}));
}

TEST_CASE_TEMPLATE("WidenedGemm: stays inside its matrices, keeps rows apart, hands over pieces", T,
                   bf16, fp16) {
  gemm_test::all_stay_inside<Widened, T>();
  CHECK(gemm_test::rows_stay_apart<Widened, T, T>());
  CHECK(gemm_test::rows_stay_apart<Widened, T, float>());
  for (int k : {0, 1, 300}) CHECK(gemm_test::pieces_cover<Widened, T>(200, 300, k));
}
