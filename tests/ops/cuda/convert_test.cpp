// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/convert_test.cpp: every pair of types, and the CPU's random roundings.
#include <cohort/ops/cuda/convert.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

namespace {
template <class From, class To> void check(std::size_t n, std::size_t offset) {
  Gpu gpu;
  auto v = normal<From>(n + offset, 1, 100.0);
  if (n > 5)
    v[offset + 2] = From(INFINITY), v[offset + 3] = From(-1e-7f), v[offset + 4] = From(1e6f);
  std::vector<To> want(n + offset);
  if (!want.empty()) std::memset(static_cast<void*>(want.data()), poison, want.size() * sizeof(To));
  GpuArray<From> in(v);
  GpuArray<To> out(n + offset);
  for (std::size_t i = offset; i < n + offset; ++i) want[i] = To(accumulator_t<From>(v[i]));
  ops::convert(gpu, n, in.view() + offset, out.data() + offset);
  CHECK(same_bits(out.get(), want));
}
template <class From> void check_from() {
  for (const std::size_t n : {0, 1, 7, 64, 4099})
    for (const std::size_t offset : {0, 1}) {
      check<From, double>(n, offset);
      check<From, float>(n, offset);
      check<From, bf16>(n, offset);
      check<From, fp16>(n, offset);
    }
}
}  // namespace

TEST_CASE("convert on a GPU: one rounding, for every pair of types") {
  check_from<double>();
  check_from<float>();
  check_from<bf16>();
  check_from<fp16>();
}

TEST_CASE_TEMPLATE("convert_scaled on a GPU: the CPU's bits", T, float, bf16, fp16) {
  Gpu gpu;
  const auto v = normal<float>(1031, 1);
  std::vector<T> want(v.size());
  GpuArray<float> in(v);
  GpuArray<T> out(v.size());
  ops::convert_scaled(cpu, v.size(), 0.3f, v.data(), want.data());
  ops::convert_scaled(gpu, v.size(), 0.3f, in.view(), out.data());
  CHECK(same_bits(out.get(), want));
}

TEST_CASE("convert_at_random on a GPU: the CPU's bits, from any element of the stream on") {
  Gpu gpu;
  for (const std::size_t n : {0, 1, 3, 64, 1031})
    for (const std::uint64_t first : {0, 1, 4, 6, 7, 64, 1000003}) {
      auto v = normal<float>(n, 1);
      if (n > 3) v[0] = INFINITY, v[1] = -INFINITY, v[2] = 0;
      std::vector<bf16> want(n), nearest(n);
      GpuArray<float> in(v);
      GpuArray<bf16> out(n);
      ops::convert_at_random(cpu, n, v.data(), want.data(), 42, 7, first);
      ops::convert_at_random(gpu, n, in.view(), out.data(), 42, 7, first);
      CHECK(same_bits(out.get(), want));
      ops::convert(cpu, n, v.data(), nearest.data());
      if (n >= 64) CHECK(!same_bits(want, nearest));
    }
}
