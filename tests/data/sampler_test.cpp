// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/data/sampler_test.cpp: DistributedSampler against PyTorch's rules and lists.
#include <doctest/doctest.h>

#include <algorithm>
#include <cohort/data/sampler.hpp>
#include <limits>
#include <vector>

#include "sampler_golden.hpp"

using cohort::data::DistributedSampler;
using List = std::vector<std::int64_t>;

namespace {
/// The rule of torch/utils/data/distributed.py, step by step with lists.
List by_the_book(std::int64_t len, int world, int rank, bool drop_last, List list) {
  std::int64_t total = (len + world - 1) / world * world;
  if (drop_last) total = len / world * world;
  if (drop_last) list.resize(std::size_t(total));
  const List head = list;
  while (std::int64_t(list.size()) < total) {
    const auto missing = std::min(std::size_t(total) - list.size(), head.size());
    list.insert(list.end(), head.begin(), head.begin() + std::ptrdiff_t(missing));
  }
  List out;
  for (std::size_t i = std::size_t(rank); i < list.size(); i += std::size_t(world))
    out.push_back(list[i]);
  return out;
}
List in_order(std::int64_t len, int world, int rank, bool drop_last = false) {
  return DistributedSampler(len, world, rank, {.shuffle = false, .drop_last = drop_last}).indices();
}
}  // namespace

TEST_CASE("DistributedSampler: deals in strides and pads with the head of the list") {
  CHECK(in_order(10, 3, 0) == List{0, 3, 6, 9});
  CHECK(in_order(10, 3, 1) == List{1, 4, 7, 0});
  CHECK(in_order(10, 3, 2) == List{2, 5, 8, 1});
}

TEST_CASE("DistributedSampler: drop_last leaves the tail out") {
  CHECK(in_order(10, 3, 0, true) == List{0, 3, 6});
  CHECK(in_order(10, 3, 2, true) == List{2, 5, 8});
  CHECK(in_order(2, 3, 0, true).empty());
}

TEST_CASE("DistributedSampler: fewer samples than ranks repeat the list as often as needed") {
  for (int rank = 0; rank < 8; ++rank) CHECK(in_order(3, 8, rank) == List{rank % 3});
  for (int rank = 0; rank < 7; ++rank) CHECK(in_order(1, 7, rank) == List{0});
}

TEST_CASE("DistributedSampler: shuffles with seed + epoch") {
  // torch.randperm(10) after manual_seed(0), dealt to 3 ranks.
  const List order = {4, 1, 7, 5, 3, 9, 0, 8, 6, 2};
  for (int rank = 0; rank < 3; ++rank) {
    DistributedSampler a(10, 3, rank, {.seed = 0}), b(10, 3, rank, {.seed = 7});
    CHECK(a.indices() == by_the_book(10, 3, rank, false, order));
    a.set_epoch(9);
    b.set_epoch(2);
    CHECK(a.indices() == b.indices());
    a.set_epoch(0);
    CHECK(a.indices() == by_the_book(10, 3, rank, false, order));
  }
}

TEST_CASE("DistributedSampler: equals the lists that PyTorch wrote") {
  const auto lines = sampler_golden::lines("sampler", 7);
  CHECK(lines.size() > 300);
  for (const auto& line : lines) {
    const auto& a = line.arguments;  // length, world, rank, seed, epoch, drop_last, shuffle
    const auto len = static_cast<std::int64_t>(a[0]);
    const int world = static_cast<int>(a[1]), rank = static_cast<int>(a[2]);
    DistributedSampler sampler(len, world, rank, {a[6] != 0, a[3], a[5] != 0});
    sampler.set_epoch(std::int64_t(a[4]));
    INFO(line.text);
    CHECK(sampler_golden::equals(line, sampler.indices()));
  }
}

TEST_CASE("DistributedSampler: the ranks together hold the list, for every length and world") {
  for (const bool drop_last : {false, true}) {
    for (const bool shuffle : {false, true}) {
      for (std::int64_t len = 0; len <= 40; ++len) {
        List whole = DistributedSampler(len, 1, 0, {.shuffle = shuffle, .seed = 3}).indices();
        for (int world = 1; world <= 17; ++world) {
          for (int rank = 0; rank < world; ++rank) {
            const DistributedSampler s(len, world, rank, {shuffle, 3, drop_last});
            REQUIRE(s.indices() == by_the_book(len, world, rank, drop_last, whole));
            REQUIRE(s.size() == std::int64_t(s.indices().size()));
          }
        }
      }
    }
  }
}

TEST_CASE("DistributedSampler: refuses what cannot be dealt, with the numbers") {
  CHECK_THROWS_WITH_AS(DistributedSampler(10, 2, 2),
                       "cohort: DistributedSampler: rank 2 of 2 ranks does not exist; give a rank "
                       "from 0 to world - 1",
                       cohort::InvalidInput);
  CHECK_THROWS_AS(DistributedSampler(10, 2, -1), cohort::InvalidInput);
  CHECK_THROWS_AS(DistributedSampler(10, 0, 0), cohort::InvalidInput);
  CHECK_THROWS_WITH_AS(DistributedSampler(-1, 2, 1),
                       "cohort: rank 1: DistributedSampler: the data set has -1 samples; give 0 or "
                       "more",
                       cohort::InvalidInput);
  constexpr auto huge = std::numeric_limits<std::int64_t>::max();
  CHECK_THROWS_AS(DistributedSampler(huge, 2, 0), cohort::InvalidInput);
  CHECK(DistributedSampler(huge, 2, 0, {.shuffle = false}).size() == (huge >> 1) + 1);
}
