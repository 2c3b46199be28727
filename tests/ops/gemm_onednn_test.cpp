// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/gemm_onednn_test.cpp: laws of the matrix product through oneDNN; empty without it.
#include <doctest/doctest.h>

#if __has_include(<dnnl.h>)
#include <cohort/ops/gemm_onednn.hpp>

#include "gemm_reference.hpp"

TEST_CASE_TEMPLATE("OneDnnGemm: equals the exact product within (k + 3) eps", T, float, double) {
  CHECK(gemm_test::worst_of_all<cohort::OneDnnGemm, T>({1, 7, 33, 65}) <= 1);
}
#endif
