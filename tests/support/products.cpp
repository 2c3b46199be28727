// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/products.cpp: the products that products.hpp promises.
#include "products.hpp"

namespace cohort::detail {
#if !defined(__CUDACC__)
COHORT_TEST_PRODUCTS(, float)
#endif
COHORT_TEST_PRODUCTS(, double)
}  // namespace cohort::detail
