// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/device/cuda/pack_test.cpp: packs hold what memory holds, and their sizes fit rows and accesses.
#include <cohort/device/cuda/pack.hpp>

#include <doctest/doctest.h>

#include <cmath>
#include <vector>

using namespace cohort;
namespace cuda = cohort::cuda;

static_assert(cuda::pack_size<50304, bf16>() == 8 && cuda::pack_size<50257, bf16>() == 1);
static_assert(cuda::pack_size<768, float, bf16>() == 4 &&
              cuda::pack_size<768, double, bf16>() == 2);
static_assert(cuda::pack_size<6, float>() == 2 && cuda::pack_size<1, float>() == 1);
static_assert(std::is_trivially_copyable_v<cuda::Pack<bf16>> && alignof(cuda::Pack<double>) == 16);
static_assert(alignof(cuda::Pack<bf16, 1>) == 2 && sizeof(cuda::Pack<float, 8>) == 32);

TEST_CASE_TEMPLATE("Pack: a store writes what the load read, and no more", T, double, float, bf16,
                   fp16) {
  constexpr int N = cuda::Pack<T>::size;
  alignas(16) T from[2 * N], to[2 * N];
  for (int i = 0; i < 2 * N; ++i) from[i] = T(static_cast<float>(i) + 0.5f), to[i] = T(-1.0f);
  cuda::store(to, cuda::load<N>(from + N));
  for (int i = 0; i < N; ++i) CHECK(float(to[i]) == float(from[N + i]));
  for (int i = N; i < 2 * N; ++i) CHECK(float(to[i]) == -1.0f);
  cuda::store_once(to + N, cuda::load_once<N>(from));
  for (int i = 0; i < N; ++i) CHECK(float(to[N + i]) == float(from[i]));
}

TEST_CASE_TEMPLATE("Pack: the end of an array is read and written up to its last element", T,
                   double, float, bf16, fp16) {
  constexpr int N = cuda::Pack<T>::size;
  for (int count = 0; count <= N; ++count) {
    std::vector<T> from(static_cast<std::size_t>(count),
                        T(3.0f));  // the sanitizer sees a read beyond
    const auto pack = cuda::load_first<N>(from.data(), from.size());
    for (int i = 0; i < N; ++i) CHECK(float(pack[i]) == (i < count ? 3.0f : 0.0f));
    std::vector<T> to(from.size());
    cuda::store_first(to.data(), pack, to.size());
    for (const T x : to) CHECK(float(x) == 3.0f);
  }
}

TEST_CASE_TEMPLATE("Pack: widening is exact and narrowing rounds once", T, float, bf16, fp16) {
  cuda::Pack<float, 4> wide{{1.0f / 3, -70000.0f, 1e-7f, INFINITY}};
  const auto pack = cuda::narrow<T>(wide);
  for (int i = 0; i < 4; ++i) {
    CHECK(float(pack[i]) == float(T(wide[i])));
    CHECK(cuda::widen(pack)[i] == float(pack[i]));
  }
}
