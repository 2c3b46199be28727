// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/gemm_eigen_test.cpp: laws of the matrix product through Eigen.
#include <doctest/doctest.h>

#include <cohort/ops/gemm_eigen.hpp>

#include "gemm_reference.hpp"

using cohort::EigenGemm;

static_assert(EigenGemm::scratch_bytes<float> == 256 * (384 + 1024) * sizeof(float));

TEST_CASE_TEMPLATE("EigenGemm: equals the exact product within (k + 3) eps, at small and odd sizes", T,
                   float, double) {
  CHECK(gemm_test::worst_of_all<EigenGemm, T>({1, 2, 7, 33, 65}) <= 1);
}

TEST_CASE("EigenGemm: equals the exact product across its blocks") {
  CHECK(gemm_test::worst_of<EigenGemm, false, true, float>({5, 400}) <= 1);
  const gemm_test::Problem<true, false, float> x(1030, 390, 260);
  std::vector<float> c = x.c;
  EigenGemm::multiply<true, false, float>(1030, 390, 260, x.a.data(), x.lda, x.b.data(), x.ldb, 1.0f,
                                          c.data(), x.ldc);
  CHECK(x.worst(c, 1.0f) <= 1);
}
