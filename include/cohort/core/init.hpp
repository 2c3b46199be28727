// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/init.hpp: initialisers of parameters: each element from (seed, parameter, index)
// alone.
#pragma once
#include <cmath>
#include <cohort/core/rng.hpp>
#include <cstddef>
#include <cstdint>

namespace cohort {

/// Where a drawn element stands. Values depend on nothing else, so they are the same on every rank,
/// under every strategy and world size.
struct Draw {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;  // the parameter's number in forward order
  std::uint64_t index = 0;   // the element's row-major index
  int rank = 1;              // dimensions of the parameter
  int fan_in = 1;            // its last extent
};

/// An initialiser is a type with `static float value(const Draw&)`. Constants are ratios because
/// floating-point template arguments are not yet portable.
namespace init {

/// Every element 0: biases.
struct Zeros {
  static float value(const Draw&) { return 0.0f; }
};
/// Every element 1: scales of norms.
struct Ones {
  static float value(const Draw&) { return 1.0f; }
};
/// Normal with mean 0 and standard deviation Num / Den / sqrt(Root).
template <int Num, int Den, int Root = 1> struct Normal {
  static float value(const Draw& d) {
    const double deviation = double(Num) / Den / std::sqrt(double(Root));
    return static_cast<float>(deviation * normal(d.seed, d.stream, d.index));
  }
};
/// Uniform in [-1/sqrt(fan_in), 1/sqrt(fan_in)): PyTorch's default for weights of Linear.
struct UniformFanIn {
  static float value(const Draw& d) {
    const double bound = 1.0 / std::sqrt(double(d.fan_in));
    return static_cast<float>(bound * (2.0 * uniform01(d.seed, d.stream, d.index) - 1.0));
  }
};
/// What a Param without ::init gets: UniformFanIn for matrices, zeros for vectors.
struct Default {
  static float value(const Draw& d) { return d.rank >= 2 ? UniformFanIn::value(d) : 0.0f; }
};

}  // namespace init

/// What Init gives to `count` elements, of which `first` is one and the others follow it.
template <class Init> void draw_values(Draw first, float* values, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i, ++first.index) values[i] = Init::value(first);
}
}  // namespace cohort
