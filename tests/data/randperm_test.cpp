// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/data/randperm_test.cpp: permutations against published values of PyTorch.
#include <doctest/doctest.h>

#include <algorithm>
#include <cohort/data/randperm.hpp>
#include <vector>

#include "sampler_golden.hpp"

namespace {
std::vector<std::uint32_t> permutation(std::uint64_t seed, std::size_t n) {
  std::vector<std::uint32_t> out(n);
  cohort::data::randperm(seed, out);
  return out;
}
}  // namespace

TEST_CASE("randperm: equals the well-known torch.manual_seed(0); torch.randperm(10)") {
  CHECK(permutation(0, 10) == std::vector<std::uint32_t>{4, 1, 7, 5, 3, 9, 0, 8, 6, 2});
}

TEST_CASE("randperm: equals the lists that PyTorch wrote") {
  const auto lines = sampler_golden::lines("randperm", 2);
  CHECK(lines.size() > 5);
  for (const auto& line : lines) {
    INFO(line.text);
    CHECK(sampler_golden::equals(line, permutation(line.arguments[1], line.arguments[0])));
  }
}

TEST_CASE("randperm: holds every index once, also for no element and one") {
  CHECK(permutation(1, 0).empty());
  CHECK(permutation(1, 1) == std::vector<std::uint32_t>{0});
  auto p = permutation(1337, 100'003);
  CHECK(p != permutation(1338, 100'003));
  std::sort(p.begin(), p.end());
  for (std::uint32_t i = 0; i < p.size(); ++i) REQUIRE(p[i] == i);
}

TEST_CASE("randperm: only the low 32 bits of the seed count, as in PyTorch") {
  CHECK(permutation(5, 50) == permutation(5 + (1ull << 32), 50));
}

TEST_CASE("randperm: refuses the lengths at which PyTorch draws otherwise") {
  CHECK_NOTHROW(cohort::data::require_permutable(214748363));
  CHECK_THROWS_WITH_AS(cohort::data::require_permutable(214748364),
                       "cohort: randperm: 214748364 samples cannot be shuffled, the limit is "
                       "214748363; use RandomWindows instead of a shuffled sampler",
                       cohort::InvalidInput);
}
