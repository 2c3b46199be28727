// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/data/randperm.hpp: the random permutations of torch.randperm on the CPU, bit for bit.
#pragma once
#include <cohort/core/error.hpp>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <random>
#include <span>
#include <string>
#include <utility>

namespace cohort::data {

/// The largest permutation: from 2^32 / 20 on, PyTorch draws 64-bit numbers in another order.
inline constexpr std::int64_t max_permutation = 0xFFFFFFFF / 20;

/// Throws InvalidInput if `len` elements are too many for randperm.
inline void require_permutable(std::int64_t len) {
  if (len < max_permutation) return;
  throw InvalidInput(-1, "randperm",
                     std::to_string(len) + " samples cannot be shuffled, the limit is " +
                         std::to_string(max_permutation - 1) +
                         "; use RandomWindows instead of a shuffled sampler");
}

/// Writes torch.randperm(out.size(), generator=torch.Generator().manual_seed(seed)) into `out`.
///
/// Cost     one mt19937 draw for each element but the last; no allocation.
/// Errors   InvalidInput: max_permutation elements or more.
/// Laws     equals PyTorch's lists (tests/data/sampler_test.cpp). Only the low 32 bits of the seed
///          count, as in PyTorch.
/// Source   PyTorch, aten/src/ATen/native/TensorFactories.cpp, randperm_cpu.
inline void randperm(std::uint64_t seed, std::span<std::uint32_t> out) {
  require_permutable(static_cast<std::int64_t>(out.size()));
  std::iota(out.begin(), out.end(), std::uint32_t{0});
  std::mt19937 generator(static_cast<std::uint32_t>(seed));
  for (std::size_t i = 0; i + 1 < out.size(); ++i) {
    std::swap(out[i], out[i + generator() % (out.size() - i)]);
  }
}

}  // namespace cohort::data
