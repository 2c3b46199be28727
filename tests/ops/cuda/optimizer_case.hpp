// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/ops/cuda/optimizer_case.hpp: a shard on the GPU and on the CPU, and what must be equal after steps.
#pragma once
#include <cohort/core/rng.hpp>
#include <cohort/ops/convert.hpp>
#include <cohort/ops/device_step.hpp>

#include "support.hpp"

namespace cohort::testing {

/// n parameters of T with their gradient and moments in D, on both. `run_cpu(p, g, m, v, decay)` and
/// `run_gpu(p, g, m, v, decay, step, copies, rounding)` do one step.
template <class T> struct OptimizerCase {
  using D = accumulator_t<T>;
  std::size_t n;
  std::vector<T> p;
  std::vector<D> g, m, v;
  std::vector<std::uint8_t> decay;
  std::vector<std::uint32_t> numbers;  // of chunks, as a rank of several has them

  explicit OptimizerCase(std::size_t n)
      : n(n),
        p(normal<T>(n, 1)),
        g(normal<D>(n, 2)),
        m(normal<D>(n, 3, 0.1)),
        v(normal<D>(n, 4, 0.1)) {
    for (D& x : v) x *= x;
    for (std::size_t i = 0; i < n / 64 + 3; ++i) {
      decay.push_back(i % 3 == 0);
      numbers.push_back(static_cast<std::uint32_t>(5 * i + 2));
    }
  }

  /// Parameters are T and nothing else is kept of them: widened, updated, rounded, as run/update.hpp.
  template <class F>
  void on_cpu(F run_cpu, const ops::RandomRounding* random, std::int64_t number) {
    std::vector<D> wide = as<D>(p);
    run_cpu(wide.data(), g.data(), m.data(), v.data(), decay.data());
    if constexpr (std::is_same_v<T, bf16>) {
      if (random != nullptr) {
        for (std::size_t i = 0; i < n; i += 64)
          ops::convert_at_random(cpu, std::min<std::size_t>(64, n - i), wide.data() + i,
                                 p.data() + i, random->seed,
                                 random_stream(RandomUse::rounding, number),
                                 std::uint64_t{numbers[(random->first + i) / 64]} * 64);
        return;
      }
    }
    p = as<T>(wide);
  }

  /// Both do one step from the same state; the CPU's result is kept.
  template <class S, class Cpu, class Gpu_>
  void compare(const S& step, Cpu run_cpu, Gpu_ run_gpu, ops::RandomRounding* random = nullptr) {
    CAPTURE(n);
    Gpu gpu;
    GpuArray<T> gp(p);
    GpuArray<D> gg(g), gm(m), gv(v);
    GpuArray<std::uint8_t> gdecay(decay);
    GpuArray<std::uint32_t> gnumbers(numbers);
    GpuArray<bf16> copies(n);
    GpuArray<ops::DeviceStep<S>> state(std::vector<ops::DeviceStep<S>>{{step, 9, 0}});
    const auto go = [&](auto rounding) {
      run_gpu(gpu, gp.data(), gg.view(), gm.data(), gv.data(), gdecay.view(), state.view(),
              copies.data(), rounding);
    };
    if constexpr (std::is_same_v<T, bf16>) {
      if (random != nullptr) {
        random->chunk_numbers = gnumbers.view();
        go(*random);
      } else {
        go(ops::NearestRounding{});
      }
    } else {
      go(ops::NearestRounding{});
    }
    const auto before_p = p;
    on_cpu(run_cpu, random, 9);
    CHECK(same_bits(gp.get(), p));
    CHECK(same_bits(gm.get(), m));
    CHECK(same_bits(gv.get(), v));
    if (n >= 64) CHECK(!same_bits(before_p, p));
    CHECK(same_bits(copies.get(), as<bf16>(p)));
  }
};

inline constexpr std::size_t shard_sizes[] = {0, 1, 5, 64, 2048, 2048 + 64 * 3 + 21};

}  // namespace cohort::testing
