// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/optim/support.hpp: runs an optimizer over PyTorch's five steps on one shard.
#pragma once
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cohort/core/arena.hpp>
#include <cohort/core/params.hpp>
#include <cohort/device/cpu.hpp>
#include <cohort/optim/shard.hpp>
#include <cstring>
#include <string>
#include <vector>

#include "golden/golden.hpp"

namespace cohort::testing {

inline const golden::Golden& pytorch() {
  static const golden::Golden file = golden::Golden::load(COHORT_TEST_DIR "/golden/ops.bin");
  return file;
}
inline double note_or(const std::string& key, double otherwise) {
  try {
    return pytorch().number(key);
  } catch (const std::runtime_error&) {
    return otherwise;
  }
}
template <class T> inline constexpr double unit = sizeof(T) == 4 ? 5.9604645e-8 : 1.1102230e-16;

/// A flat range of whole chunks with its moments; every chunk decays unless told otherwise.
template <class O, class T> struct Flat {
  explicit Flat(std::size_t count)
      : size(round_up(count, chunk)),
        params(size * sizeof(T)),
        grads(size * sizeof(T)),
        moments(size * sizeof(T) * O::moments),
        decays(size / chunk, 1) {}
  Shard<T> shard() {
    return {params.as<T>(), grads.as<T>(), moments.as<T>(), decays.data(), size, size};
  }
  std::size_t size;
  HostMemory params, grads, moments;
  std::vector<std::uint8_t> decays;
};

/// The largest distance to PyTorch's float64 run over all five steps. `scale` is how much larger
/// than PyTorch's our gradient is, undone by grad_scale.
template <class O, class T>
double distance_to_pytorch(const std::string& name, const typename O::Options& options,
                           double scale = 1) {
  constexpr std::size_t n = 37, steps = 5;
  Flat<O, T> flat(n);
  const auto start = pytorch().as<T>(name + ".in.start"),
             grads = pytorch().as<T>(name + ".in.grads");
  const auto& rates = pytorch().values(name + ".in.lr");
  const auto& expected = pytorch().values(name + ".f64.params");
  REQUIRE(expected.size() == steps * n);
  std::copy(start.begin(), start.end(), flat.params.template as<T>());
  double most = 0;
  for (std::size_t s = 0; s < steps; ++s) {
    for (std::size_t i = 0; i < n; ++i)
      flat.grads.template as<T>()[i] = static_cast<T>(grads[s * n + i] * static_cast<T>(scale));
    O::update(DefaultCpu{}, flat.shard(), {static_cast<std::int64_t>(s + 1), rates[s], 1 / scale},
              options);
    for (std::size_t i = 0; i < n; ++i) {
      const double error = std::abs(double(flat.params.template as<T>()[i]) - expected[s * n + i]);
      if (!(error <= most)) most = error;
    }
    for (std::size_t i = n; i < flat.size; ++i) REQUIRE(flat.params.template as<T>()[i] == T(0));
  }
  return most;
}
inline double largest_start(const std::string& name) {
  double most = 0;
  for (double v : pytorch().values(name + ".in.start")) most = std::max(most, std::abs(v));
  return most;
}

/// Any split of a flat range at whole chunks gives the same bits: what sharding rests upon.
template <class O> void check_splits(const typename O::Options& options) {
  constexpr std::size_t n = 6 * chunk;
  Flat<O, float> whole(n), parts(n);
  for (std::size_t i = 0; i < n; ++i) {
    const float v = static_cast<float>(static_cast<int>(i * 37 % 101) - 50) / 13;
    whole.params.template as<float>()[i] = parts.params.template as<float>()[i] = v;
    whole.grads.template as<float>()[i] = parts.grads.template as<float>()[i] = v * v - 3;
    whole.decays[i / chunk] = parts.decays[i / chunk] = i / chunk % 2;
  }
  for (int step = 1; step <= 3; ++step) {
    O::update(DefaultCpu{}, whole.shard(), {step, 0.01, 0.5}, options);
    std::size_t at = 0;
    for (const std::size_t count : {chunk, 3 * chunk, 2 * chunk}) {
      O::update(DefaultCpu{},
                Shard<float>{parts.params.template as<float>() + at,
                             parts.grads.template as<float>() + at,
                             parts.moments.template as<float>() + at,
                             parts.decays.data() + at / chunk, count, n},
                {step, 0.01, 0.5}, options);
      at += count;
    }
  }
  CHECK(std::memcmp(whole.params.template as<float>(), parts.params.template as<float>(),
                    n * sizeof(float)) == 0);
  CHECK(std::memcmp(whole.moments.template as<float>(), parts.moments.template as<float>(),
                    n * O::moments * sizeof(float)) == 0);
}

}  // namespace cohort::testing
