// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/axes.hpp: a world as a grid: ranks that share one copy of the model, and ranks that hold the same part.
#pragma once
#include <cohort/core/error.hpp>
#include <optional>
#include <string>

namespace cohort {

/// shard_ranks = 0: the shard axis is the whole world. Otherwise rank r shares a copy with the ranks of
/// r / shard_ranks, and holds the same part as the ranks of r % shard_ranks. Construction is collective.
///
/// Errors   InvalidInput on every rank when shard_ranks does not divide the world.
template <class Comm> class Axes {
 public:
  Axes(Comm& world, int shard_ranks)
      : size_(shard_ranks > 0 ? shard_ranks : world.size()), rank_(world.rank() % size_) {
    if (world.size() % size_ != 0) {
      throw InvalidInput(world.rank(), "HybridShard",
                         "groups of " + std::to_string(size_) + " ranks do not fill a world of " +
                             std::to_string(world.size()) + ": start a multiple of " +
                             std::to_string(size_) + " ranks, or name another HybridShard<S>.");
    }
    if (shard_ranks == 0) return;
    shard_.emplace(world.split(world.rank() / size_, world.rank()));
    replicate_.emplace(world.split(world.rank() % size_, world.rank()));
  }
  int shard_size() const { return size_; }
  int shard_rank() const { return rank_; }
  Comm& shard(Comm& world) { return shard_ ? *shard_ : world; }
  Comm& replicate(Comm& world) { return replicate_ ? *replicate_ : world; }

 private:
  int size_, rank_;
  std::optional<Comm> shard_, replicate_;
};

}  // namespace cohort
