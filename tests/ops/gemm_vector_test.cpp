// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/gemm_vector_test.cpp: laws of one SIMD register as a value.
#include <doctest/doctest.h>

#include <cmath>
#include <cohort/ops/gemm_vector.hpp>
#include <limits>

using cohort::detail::Vector;

static_assert(Vector<float, 64>::lanes == 16 && Vector<double, 64>::lanes == 8);
static_assert(sizeof(Vector<float, 32>) == 32);
static_assert(cohort::detail::widest_register >= 16);

namespace {

template <class V>
using element = std::remove_reference_t<decltype(std::declval<V>().value[0])>;

}  // namespace

// Every width up to the machine's own; wider ones compile too but may pass registers differently.
#if defined(__AVX512F__)
#define COHORT_TEST_VECTORS Vector<float, 64>, Vector<double, 64>, Vector<float, 32>, Vector<double, 32>,
#elif defined(__AVX2__)
#define COHORT_TEST_VECTORS Vector<float, 32>, Vector<double, 32>,
#else
#define COHORT_TEST_VECTORS
#endif

TEST_CASE_TEMPLATE("Vector: transpose of a block is its transpose, for every lane", V,
                   COHORT_TEST_VECTORS Vector<float, 16>, Vector<double, 16>) {
  using T = element<V>;
  V rows[V::lanes];
  for (int i = 0; i < V::lanes; ++i) {
    T row[V::lanes];
    for (int j = 0; j < V::lanes; ++j) row[j] = static_cast<T>(100 * i + j);
    rows[i] = V::load(row);
  }
  V::transpose(rows);
  for (int i = 0; i < V::lanes; ++i) {
    T row[V::lanes];
    rows[i].store(row);
    for (int j = 0; j < V::lanes; ++j) CHECK(row[j] == static_cast<T>(100 * j + i));
  }
}

TEST_CASE_TEMPLATE("Vector: broadcast keeps every bit, also the sign of zero; load is unaligned", V,
                   COHORT_TEST_VECTORS Vector<float, 16>, Vector<double, 16>) {
  using T = element<V>;
  T out[V::lanes + 1];
  V::broadcast(T(-0.0)).store(out + 1);
  for (int i = 1; i <= V::lanes; ++i) CHECK(std::signbit(out[i]));
  for (int i = 0; i <= V::lanes; ++i) out[i] = static_cast<T>(i);
  T again[V::lanes];
  V::load(out + 1).store(again);
  for (int i = 0; i < V::lanes; ++i) CHECK(again[i] == static_cast<T>(i + 1));
}

TEST_CASE_TEMPLATE("Vector: multiply_add rounds once where the machine can, on every lane alike", V,
                   COHORT_TEST_VECTORS Vector<float, 16>, Vector<double, 16>) {
  using T = element<V>;
  const T eps = std::numeric_limits<T>::epsilon();
  // (1 + eps)(1 - eps) - 1 = -eps^2 exactly; the product rounds to 1, so two roundings give 0.
  const V result =
      V::multiply_add(V::broadcast(1 + eps), V::broadcast(1 - eps), V::broadcast(T(-1)));
  T out[V::lanes];
  result.store(out);
  for (int i = 0; i < V::lanes; ++i) {
#if defined(__FMA__)
    CHECK(out[i] == -eps * eps);
#else
    CHECK((out[i] == T(0) || out[i] == -eps * eps));
#endif
  }
}
