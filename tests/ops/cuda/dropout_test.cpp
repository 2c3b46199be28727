// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/dropout_test.cpp: the CPU's bits, for whole packs and for what is left of them.
#include <cohort/ops/cuda/dropout.hpp>

#include "support.hpp"

using namespace cohort;
using namespace cohort::testing;

TEST_CASE_TEMPLATE("dropout on a GPU: the CPU's bits, at any length and address", T, double, float,
                   bf16, fp16) {
  Gpu gpu;
  const std::int64_t host_step = 12;
  GpuArray<std::int64_t> step(std::vector<std::int64_t>{host_step});
  const RandomSource source{.seed = 5, .steps = &host_step, .first = 3, .stride = 4};
  RandomSource on_gpu = source;
  on_gpu.steps = step.view();
  const ops::DropRate rate = ops::DropRate::of(1, 3);
  for (const Rows rows : {Rows{0, 3}, Rows{1, 1}, Rows{3, 2}, Rows{5, 67}}) {
    for (const std::size_t columns : {1, 5, 8, 96}) {
      for (const std::size_t offset : {0, 1}) {
        const auto n = static_cast<std::size_t>(rows.count()) * columns;
        auto v = normal<T>(n + offset, 1);
        const auto r = normal<T>(n + offset, 2);
        if (n > 40) v[offset] = T(INFINITY), v[offset + 1] = T(-INFINITY);
        std::vector<T> want(n), want_sum(n);
        ops::dropout(cpu, rows, columns, rate, Random(source, 2), v.data() + offset, want.data());
        ops::dropout_add(cpu, rows, columns, rate, Random(source, 2), r.data() + offset,
                         v.data() + offset, want_sum.data());
        GpuArray<T> x(v), residual(r), y(n), sum(n);
        const T* const from = x.view() + offset;
        ops::dropout(gpu, rows, columns, rate, Random(on_gpu, 2), from, y.data());
        ops::dropout_add(gpu, rows, columns, rate, Random(on_gpu, 2), residual.view() + offset,
                         from, sum.data());
        const auto got = y.get(), got_sum = sum.get();
        const auto same = [](T a, T b) {
          return same_bits(&a, &b, 1) || (std::isnan(value(a)) && std::isnan(value(b)));
        };
        for (std::size_t i = 0; i < n; ++i) {
          CHECK(same(got[i], want[i]));
          CHECK(same(got_sum[i], want_sum[i]));
        }
      }
    }
  }
}

TEST_CASE("dropout on a GPU: its division is the division") {
  for (const std::uint32_t d :
       {1u, 2u, 3u, 7u, 8u, 96u, 98304u, 65537u, 0x7fffffffu, 0xffffffffu}) {
    const ops::kernels::DividedBy by(d);
    for (const std::uint64_t q :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{12345}, 0xffffffff / std::uint64_t{d}})
      for (const std::int64_t off : {-1, 0, 1}) {
        const auto i = static_cast<std::uint32_t>(q * d + static_cast<std::uint64_t>(off));
        CHECK(by(i) == i / d);
      }
  }
}
