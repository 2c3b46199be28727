// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/data/synthetic_tokens.hpp: rows of random tokens, for trials and timing without a data set.
#pragma once
#include <algorithm>
#include <bit>
#include <cohort/core/error.hpp>
#include <cohort/core/rng.hpp>
#include <cohort/data/windows.hpp>
#include <cstddef>
#include <cstdint>
#include <string>

namespace cohort::data {

/// What synthetic rows look like.
enum class SyntheticPattern : std::uint8_t {
  uniform,   // every id equally likely: no loss below log(vocabulary)
  counting,  // ids count upwards from a random one: the loss can reach that of the first token alone
  octaves,  // ids 2^n - 1 to 2^(n+1) - 2 are together as likely for every n: about 1/rank, as words of texts
};

/// Fills batch `step` with random tokens: a function of (seed, step, global row) alone, so a step sees the
/// same global batch on any world that cuts it.
///
/// Cost     about 10 ns a token, for counting far less.
/// Errors   InvalidInput: no vocabulary, no tokens, a place that is none.
/// Laws     tests/data/synthetic_tokens_test.cpp.
class SyntheticTokens {
 public:
  SyntheticTokens(int vocabulary, int block, Place place, std::uint64_t seed,
                  SyntheticPattern pattern = SyntheticPattern::uniform)
      : vocabulary_(vocabulary), block_(block), place_(place), seed_(seed), pattern_(pattern) {
    place.check();
    if (vocabulary >= 1 && block >= 1) return;
    throw InvalidInput(-1, "SyntheticTokens",
                       "a vocabulary of " + std::to_string(vocabulary) + " and rows of " +
                           std::to_string(block) + " tokens do not exist; give at least 1 of each");
  }

  TokenBatch batch() const { return TokenBatch(place_.rows, block_); }

  void operator()(std::int64_t step, TokenBatch& out) const {
    const auto stream = random_stream(RandomUse::data, static_cast<std::uint64_t>(step));
    for (int row = 0; row < place_.rows; ++row) {
      const auto global =
          std::uint64_t(place_.rank) * std::uint64_t(place_.rows) + std::uint64_t(row);
      const std::size_t to = std::size_t(row) * std::size_t(block_);
      const auto draws = global * (std::uint64_t(block_) + 1);
      int token = draw(stream, draws);
      for (int i = 0; i < block_; ++i) {
        out.inputs[to + std::size_t(i)] = token;
        token = pattern_ == SyntheticPattern::counting ? (token + 1) % vocabulary_
                                                       : draw(stream, draws + std::uint64_t(i) + 1);
        out.targets[to + std::size_t(i)] = token;
      }
    }
  }

 private:
  int draw(std::uint64_t stream, std::uint64_t index) const {
    const auto all = static_cast<std::uint64_t>(vocabulary_);
    if (pattern_ != SyntheticPattern::octaves)
      return static_cast<int>(uniform_below(all, seed_, stream, index));
    const std::uint64_t bits = random_bits(seed_, stream, index);
    const std::uint64_t octave = bits % static_cast<std::uint64_t>(std::bit_width(all));
    const std::uint64_t first = (std::uint64_t{1} << octave) - 1;
    return static_cast<int>(first + (bits >> 32) % std::min(first + 1, all - first));
  }

  int vocabulary_;
  int block_;
  Place place_;
  std::uint64_t seed_;
  SyntheticPattern pattern_;
};

}  // namespace cohort::data
