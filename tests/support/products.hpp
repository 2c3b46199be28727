// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/products.hpp: the loops of matrix products are compiled once, at -O3 (products.cpp), not in each test.
#pragma once
#include <cohort/ops/gemm_tiled.hpp>
#include <cstddef>

/// Explicit instantiations of what TiledGemm calls per strip of rows and per panel: `WHERE` is extern, or nothing.
#define COHORT_TEST_STRIP(WHERE, A, B, ROWS, T)                                                  \
  WHERE template void multiply_rows<Left::A, Right::B, ROWS, widest_register, T>(const Pass<T>&, \
                                                                                 int, const T*);
#define COHORT_TEST_STRIPS(WHERE, A, B, T)                            \
  COHORT_TEST_STRIP(WHERE, A, B, (Tile<T, widest_register>::rows), T) \
  COHORT_TEST_STRIP(WHERE, A, B, 8, T)                                \
  COHORT_TEST_STRIP(WHERE, A, B, 4, T)                                \
  COHORT_TEST_STRIP(WHERE, A, B, 2, T)                                \
  COHORT_TEST_STRIP(WHERE, A, B, 1, T)
#define COHORT_TEST_PRODUCTS(WHERE, T)                                                             \
  COHORT_TEST_STRIPS(WHERE, rows, packed, T)                                                       \
  COHORT_TEST_STRIPS(WHERE, rows, in_place, T)                                                     \
  COHORT_TEST_STRIPS(WHERE, columns, packed, T)                                                    \
  COHORT_TEST_STRIPS(WHERE, columns, in_place, T)                                                  \
  WHERE template void pack_panel_rows<widest_register, T>(int, int, const T*, std::ptrdiff_t, T*); \
  WHERE template void pack_panel_columns<widest_register, T>(int, int, const T*, std::ptrdiff_t,   \
                                                             T*);

namespace cohort::detail {
#if !defined(__CUDACC__)  // there float64 references alone are computed on the CPU
COHORT_TEST_PRODUCTS(extern, float)
#endif
COHORT_TEST_PRODUCTS(extern, double)
}  // namespace cohort::detail
