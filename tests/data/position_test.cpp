// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/data/position_test.cpp: what one world has consumed, another one of any size goes on from.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <cohort/data/position.hpp>
#include <cohort/data/sampler.hpp>
#include <cohort/data/token_file.hpp>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

using namespace cohort;
using namespace cohort::data;
using List = std::vector<std::int64_t>;

static_assert(Position{} == Position{0, 0} && Position{1, 0} != Position{0, 1});

namespace {

/// Samples number first .. first + count - 1 of each rank of a world.
List dealt(const Position& from, std::int64_t len, int world, std::int64_t first,
           std::int64_t count, SamplerOptions options) {
  List out;
  for (int rank = 0; rank < world; ++rank) {
    DistributedSampler sampler(len, world, rank, options);
    sampler.set_position(from);
    for (std::int64_t i = first; i < std::min(first + count, sampler.size()); ++i)
      out.push_back(sampler[i]);
  }
  return out;
}

TEST_CASE("Position: consumed by one world and dealt to another, each sample comes once") {
  for (const bool shuffle : {true, false}) {
    const SamplerOptions options{.shuffle = shuffle, .seed = 4, .drop_last = true};
    for (const std::int64_t len : {48, 53}) {
      for (int before : {1, 2, 3, 4}) {
        for (int after : {1, 2, 3, 4}) {
          for (std::int64_t each = 0; each <= len / before; ++each) {
            const Position at{2, each * before};
            List all = dealt({2, 0}, len, before, 0, each, options);
            REQUIRE(std::int64_t(all.size()) == at.samples);
            const List rest = dealt(at, len, after, 0, len, options);
            CHECK(std::int64_t(rest.size()) == (len - at.samples) / after * after);
            all.insert(all.end(), rest.begin(), rest.end());
            std::sort(all.begin(), all.end());
            CHECK(std::adjacent_find(all.begin(), all.end()) == all.end());
          }
        }
      }
    }
  }
}

TEST_CASE("Position: on as many ranks each goes on where it was") {
  for (const bool drop_last : {true, false}) {
    for (int rank = 0; rank < 3; ++rank) {
      const SamplerOptions options{.seed = 9, .drop_last = drop_last};
      DistributedSampler whole(50, 3, rank, options), rest(50, 3, rank, options);
      whole.set_epoch(1);
      const List expected = whole.indices();
      for (std::int64_t n = 0; n <= whole.size(); ++n) {
        rest.set_position({1, n * 3});
        CHECK(rest.epoch() == 1);
        CHECK(rest.indices() == List(expected.begin() + n, expected.end()));
      }
      rest.set_epoch(1);
      CHECK(rest.indices() == expected);
    }
  }
}

TEST_CASE("Position: past the last sample nothing is left; below zero is refused") {
  DistributedSampler sampler(10, 3, 1, {});
  for (const std::int64_t samples : {10, 12, 1000}) {
    sampler.set_position({0, samples});
    CHECK(sampler.size() == 0);
  }
  CHECK_THROWS_AS(sampler.set_position({0, -1}), InvalidInput);
  CHECK_THROWS_AS(sampler.set_position({-1, 0}), InvalidInput);
}

TEST_CASE("Position: samples that were dealt out are not dealt again") {
  for (const bool drop_last : {true, false}) {
    DistributedSampler sampler(10, 3, 1, {.drop_last = drop_last});
    for (const std::int64_t samples : {0, 6, 10}) {
      sampler.set_position({2, samples});
      const std::string last =
          "rank 1: DistributedSampler: sample " + std::to_string(sampler.size());
      CHECK_THROWS_WITH_AS(sampler[sampler.size()], doctest::Contains(last.c_str()), InvalidInput);
      CHECK_THROWS_AS(sampler[-1], InvalidInput);
    }
  }
}

struct CountingFile {
  std::string path = (std::filesystem::temp_directory_path() / "cohort-position-XXXXXX").string();
  explicit CountingFile(int tokens) {
    const int file = ::mkstemp(path.data());
    REQUIRE(file >= 0);
    ::close(file);
    std::vector<std::uint16_t> all(static_cast<std::size_t>(tokens));
    std::iota(all.begin(), all.end(), std::uint16_t{0});
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(all.data()),
               static_cast<std::streamsize>(all.size() * sizeof(all[0])));
  }
  ~CountingFile() { std::filesystem::remove(path); }
};

TEST_CASE("Position: TokenBlocks go on from it with every row, on any ranks and rows") {
  const CountingFile file(7 * 4 + 2);  // 7 rows of 4: epochs end inside batches
  const TokenFile tokens(file.path, TokenFormat::raw);
  const auto first_tokens = [&](Place place, Position from, std::int64_t begin, std::int64_t end) {
    List out;  // of the global rows, in their order
    for (std::int64_t step = begin; step < end; ++step) {
      for (place.rank = 0; place.rank < place.world; ++place.rank) {
        const TokenBlocks blocks(tokens, 4, place, 65536, from);
        auto batch = blocks.batch();
        blocks(step, batch);
        for (int row = 0; row < place.rows; ++row)
          out.push_back(batch.inputs[std::size_t(row) * 4]);
      }
    }
    return out;
  };
  for (const Place before : {Place{0, 1, 3}, Place{0, 2, 2}, Place{0, 4, 1}}) {
    const TokenBlocks blocks(tokens, 4, before);
    for (const Place after : {Place{0, 1, 3}, Place{0, 2, 2}, Place{0, 3, 2}}) {
      for (std::int64_t n = 0; n < 12; ++n) {
        const Position at = blocks.position(n);
        const std::int64_t consumed = n * before.world * before.rows;
        CHECK(at == Position{consumed / 7, consumed % 7});
        List expected;
        for (std::int64_t k = 0; k < 5 * after.world * after.rows; ++k)
          expected.push_back((consumed + k) % 7 * 4);
        CHECK(first_tokens(after, at, 0, 5) == expected);
        CHECK(TokenBlocks(tokens, 4, after, 65536, at).position(0) == at);
      }
      CHECK(first_tokens(before, blocks.position(4), 0, 6) == first_tokens(before, {}, 4, 10));
    }
  }
  CHECK_THROWS_AS(TokenBlocks(tokens, 4, {}, 65536, {0, 7}), InvalidInput);
  CHECK_THROWS_AS(TokenBlocks(tokens, 4, {}, 65536, {0, -1}), InvalidInput);
  CHECK_THROWS_AS(TokenBlocks(tokens, 4, {}, 65536, {-1, 0}), InvalidInput);
}

}  // namespace
