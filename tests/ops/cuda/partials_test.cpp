// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/partials_test.cpp: partial sums are added in the stated order, to one vector or two.
#include <cohort/ops/cuda/partials.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;
using namespace cohort::ops::kernels;

static_assert(num_parts(0, 64, 256, 4) == 0 && num_parts(1, 64, 256, 4) == 1);
static_assert(num_parts(65, 64, 256, 4) == 2 && num_parts(1 << 20, 64, 256, 4) == 256);
static_assert(num_parts(1 << 20, 64, 256, 50304 * 4) == 83);  // 16 MiB
static_assert(num_parts(1 << 20, 64, 256, std::size_t{1} << 40) == 1);

namespace {
/// Groups of sixteen, then the groups in order: what the kernel says it does.
template <class A> A in_order(const std::vector<A>& partials, int count, int width, int column) {
  A total = 0;
  for (int g = 0; g < 16; ++g) {
    A sum = 0;
    for (int i = g; i < count; i += 16)
      sum += partials[static_cast<std::size_t>(i * width + column)];
    total = g == 0 ? sum : total + sum;
  }
  return total;
}
}  // namespace

TEST_CASE_TEMPLATE("partials: added in the stated order, overwriting or adding to what is there", A,
                   float, double) {
  Gpu gpu;
  for (const int count : {0, 1, 16, 37})
    for (const int width : {1, 32, 100})
      for (const bool first : {true, false}) {
        CAPTURE(count);
        const auto v = normal<A>(static_cast<std::size_t>(count * width), 1);
        const auto start = before<A>(static_cast<std::size_t>(width), first);
        GpuArray<A> partials(v), to(start);
        sum_partials(gpu, count, width, partials.view(), to.data(), first);
        const auto got = to.get();
        for (int c = 0; c < width; ++c) {
          const A sum = in_order(v, count, width, c);
          const auto at = static_cast<std::size_t>(c);
          REQUIRE(got[at] == (first ? sum : start[at] + sum));
        }
      }
}

TEST_CASE("partials: halves of the columns go to two vectors, of which one may be missing") {
  Gpu gpu;
  const int count = 5, half = 33;
  const auto v = normal<float>(static_cast<std::size_t>(count * 2 * half), 1);
  GpuArray<float> partials(v), a(half), b(half), c(half);
  sum_two_partials(gpu, count, half, partials.view(), a.data(), b.data(), true);
  sum_two_partials(gpu, count, half, partials.view(), c.data(), static_cast<float*>(nullptr), true);
  const auto left = a.get(), right = b.get();
  for (int i = 0; i < half; ++i) {
    REQUIRE(left[static_cast<std::size_t>(i)] == in_order(v, count, 2 * half, i));
    REQUIRE(right[static_cast<std::size_t>(i)] == in_order(v, count, 2 * half, half + i));
  }
  CHECK(same_bits(c.get(), left));
}
