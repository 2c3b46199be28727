// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/data/windows.hpp: rows of tokens and their targets, cut out of a corpus.
#pragma once
#include <algorithm>
#include <cohort/core/error.hpp>
#include <cohort/core/rng.hpp>
#include <cohort/data/corpus.hpp>
#include <cohort/data/sampler.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace cohort::data {

/// The label that a loss skips: neither its sum nor its weight sees the row (PyTorch's number).
inline constexpr int ignored_label = -100;

/// This rank's rows of one step: inputs and targets are [samples, tokens], row-major.
struct TokenBatch {
  TokenBatch() = default;
  TokenBatch(int samples_, int tokens_)
      : inputs(std::size_t(samples_) * std::size_t(tokens_)),
        targets(inputs.size()),
        samples(samples_),
        tokens(tokens_) {}

  std::vector<int> inputs;
  std::vector<int> targets;  // targets[i] follows inputs[i] in the text; ignored_label: no target
  int samples = 0;
  int tokens = 0;
};

/// Which rows of a global batch are this rank's: rank * rows .. rank * rows + rows - 1.
struct Place {
  int rank = 0;
  int world = 1;
  int rows = 1;  // per rank

  void check() const {
    if (world >= 1 && rank >= 0 && rank < world && rows >= 1) return;
    throw InvalidInput(-1, "Place",
                       std::to_string(rows) + " rows for rank " + std::to_string(rank) + " of " +
                           std::to_string(world) +
                           " ranks; give at least 1 row and a rank from 0 to world - 1");
  }
};

/// All windows of `block` tokens of a split: window k is tokens [k, k + block), and its targets are
/// tokens [k + 1, k + block].
///
/// Shapes   size() = tokens - block; the last window's last target is the split's last token.
/// Errors   InvalidInput: the split has fewer than block + 1 tokens.
class Windows {
 public:
  Windows(Split split, int block) : split_(split), block_(block) { split_.require_block(block); }

  std::int64_t size() const { return static_cast<std::int64_t>(split_.tokens.size()) - block_; }
  int block() const { return block_; }

  /// Writes window k into row `row` of the batch.
  void copy(std::int64_t k, TokenBatch& batch, int row) const {
    const std::uint8_t* from = split_.tokens.data() + k;
    const std::size_t at = std::size_t(row) * std::size_t(block_);
    std::copy_n(from, block_, batch.inputs.begin() + std::ptrdiff_t(at));
    std::copy_n(from + 1, block_, batch.targets.begin() + std::ptrdiff_t(at));
  }

 private:
  Split split_;
  int block_;
};

/// Fills batch `step` with windows at random places, as nanoGPT does: drawn anew each step, with
/// replacement, from (seed, step, global row) alone, so a step sees the same rows on any world size
/// that cuts the same global batch.
class RandomWindows {
 public:
  RandomWindows(Split split, int block, Place place, std::uint64_t seed)
      : windows_(split, block), place_(place), seed_(seed) {
    place.check();
  }

  TokenBatch batch() const { return TokenBatch(place_.rows, windows_.block()); }

  void operator()(std::int64_t step, TokenBatch& out) const {
    const auto stream = random_stream(RandomUse::data, static_cast<std::uint64_t>(step));
    const auto count = static_cast<std::uint64_t>(windows_.size());
    for (int row = 0; row < place_.rows; ++row) {
      const auto global =
          std::uint64_t(place_.rank) * std::uint64_t(place_.rows) + std::uint64_t(row);
      windows_.copy(static_cast<std::int64_t>(uniform_below(count, seed_, stream, global)), out,
                    row);
    }
  }

 private:
  Windows windows_;
  Place place_;
  std::uint64_t seed_;
};

/// Fills batch b with this rank's samples b * rows .. b * rows + rows - 1 of the sampler's epoch; of `parts`
/// ranks of the sampler's, rows / parts of each, one rank after the other. A last batch that the samples do not
/// fill is left out.
///
/// Borrows the sampler, whose rank is the first: call set_epoch only while no loader is filling
/// (Loader::restart waits).
class SampledWindows {
 public:
  SampledWindows(Split split, int block, int rows, const DistributedSampler& sampler, int parts = 1)
      : windows_(split, block), rows_(rows), parts_(parts), sampler_(&sampler) {
    Place{.rows = rows}.check();
  }

  TokenBatch batch() const { return TokenBatch(rows_, windows_.block()); }
  std::int64_t num_batches() const { return sampler_->size() / (rows_ / parts_); }

  void operator()(std::int64_t b, TokenBatch& out) const {
    const int each = rows_ / parts_;
    for (int row = 0; row < rows_; ++row)
      windows_.copy(sampler_->of(sampler_->rank() + row / each, b * each + row % each), out, row);
  }

 private:
  Windows windows_;
  int rows_, parts_;
  const DistributedSampler* sampler_;
};

/// Fills batch b with consecutive rows that do not overlap: together they predict every token of
/// the split but the first, exactly once. Global row k holds tokens [k * block, k * block + block).
///
/// Shapes   num_batches() is the same on all ranks. Where the split ends inside a row or before it,
///          the remaining inputs are 0 and their targets ignored_label; a causal model's other
///          outputs do not see them. A rank may get a batch without any target: weight 0.
/// Errors   InvalidInput: the split has fewer than block + 1 tokens.
class EvaluationBlocks {
 public:
  EvaluationBlocks(Split split, int block, Place place)
      : split_(split), block_(block), place_(place) {
    split.require_block(block);
    place.check();
  }

  TokenBatch batch() const { return TokenBatch(place_.rows, block_); }
  std::int64_t num_targets() const { return std::int64_t(split_.tokens.size()) - 1; }
  std::int64_t num_batches() const {
    const std::int64_t per_batch = std::int64_t(block_) * place_.world * place_.rows;
    return (num_targets() + per_batch - 1) / per_batch;
  }

  void operator()(std::int64_t b, TokenBatch& out) const {
    const std::int64_t row = (b * place_.world + place_.rank) * place_.rows;
    const std::int64_t first = std::min(row * block_, num_targets());
    const auto wanted = static_cast<std::int64_t>(out.inputs.size());
    const auto here = std::min(wanted, num_targets() - first);
    const std::uint8_t* from = split_.tokens.data() + first;
    std::fill(std::copy_n(from, here, out.inputs.begin()), out.inputs.end(), 0);
    std::fill(std::copy_n(from + 1, here, out.targets.begin()), out.targets.end(), ignored_label);
  }

 private:
  Split split_;
  int block_;
  Place place_;
};

}  // namespace cohort::data
