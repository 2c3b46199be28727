// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/data/sampler.hpp: which samples of a data set this rank sees in an epoch.
#pragma once
#include <algorithm>
#include <cohort/core/error.hpp>
#include <cohort/data/position.hpp>
#include <cohort/data/randperm.hpp>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

namespace cohort::data {

/// Which samples a rank gets, in which order.
struct SamplerOptions {
  bool shuffle = true;
  std::uint64_t seed = 0;
  bool drop_last = false;
};

/// Deals the indices 0 .. len-1 to `world` ranks: rank r gets places r, r + world, r + 2 world, ...
/// of one list that is the same on all ranks, shuffled anew for each epoch.
///
/// Shapes   size(): samples of this rank; equal on all ranks. Without drop_last it is len / world
///          rounded up and the list is continued with its own head, as often as needed; with
///          drop_last it is rounded down and the tail is left out (none may remain). After
///          set_position the same holds for what is left of the epoch.
/// Cost     4 bytes for each of len samples; set_epoch and set_position shuffle in place and allocate
///          nothing.
/// Errors   InvalidInput: len < 0, len too large to shuffle, world < 1, rank outside 0 .. world-1, a
///          position below zero, a sample outside [0, size()).
/// Laws     the lists equal PyTorch's (tests/data/sampler_test.cpp). (seed, position) is the whole
///          state: what a world of any size has not consumed, another one deals out
///          (tests/data/position_test.cpp).
/// Source   torch/utils/data/distributed.py.
class DistributedSampler {
 public:
  DistributedSampler(std::int64_t len, int world, int rank, SamplerOptions options = {})
      : len_(len), world_(world), rank_(rank), options_(options) {
    check();
    if (options.shuffle) order_.resize(static_cast<std::size_t>(len));
    set_epoch(0);
  }

  /// Without this call every epoch has the same order, as in PyTorch.
  void set_epoch(std::int64_t epoch) { set_position({.epoch = epoch}); }

  /// Deals out what is left of an epoch when its first position.samples places are consumed: place
  /// samples + rank is this rank's first. Past the last place nothing is left.
  void set_position(Position position) {
    check(position);
    epoch_ = position.epoch;
    first_ = std::min(position.samples, len_);
    const std::int64_t left = len_ - first_;
    size_ = left / world_ + (!options_.drop_last && left % world_ != 0 ? 1 : 0);
    if (options_.shuffle) randperm(options_.seed + static_cast<std::uint64_t>(epoch_), order_);
  }

  int rank() const { return rank_; }
  std::int64_t size() const { return size_; }
  std::int64_t epoch() const { return epoch_; }

  /// The i-th sample of this rank, 0 <= i < size(); InvalidInput for others, which were dealt out before.
  std::int64_t operator[](std::int64_t i) const { return of(rank_, i); }
  /// The same for any rank of this world.
  std::int64_t of(int rank, std::int64_t i) const {
    if (i < 0 || i >= size_) [[unlikely]]
      throw_outside(i);
    const std::int64_t place = (first_ + rank + i * world_) % len_;
    return options_.shuffle ? order_[static_cast<std::size_t>(place)] : place;
  }

  /// All samples of this rank in this epoch, as a list.
  std::vector<std::int64_t> indices() const {
    std::vector<std::int64_t> out(static_cast<std::size_t>(size_));
    for (std::int64_t i = 0; i < size_; ++i) out[static_cast<std::size_t>(i)] = (*this)[i];
    return out;
  }

 private:
  void check() const {
    if (len_ < 0) {
      throw InvalidInput(rank_, "DistributedSampler",
                         "the data set has " + std::to_string(len_) + " samples; give 0 or more");
    }
    if (world_ < 1 || rank_ < 0 || rank_ >= world_) {
      throw InvalidInput(-1, "DistributedSampler",
                         "rank " + std::to_string(rank_) + " of " + std::to_string(world_) +
                             " ranks does not exist; give a rank from 0 to world - 1");
    }
    if (options_.shuffle) require_permutable(len_);
  }

  [[noreturn]] void throw_outside(std::int64_t i) const {
    throw InvalidInput(rank_, "DistributedSampler",
                       "sample " + std::to_string(i) + " was asked for, and this rank has " +
                           std::to_string(size_) + " of what is left of epoch " +
                           std::to_string(epoch_) +
                           ": take size() / rows batches, anew after set_position");
  }
  static void check(Position position) {
    if (position.epoch >= 0 && position.samples >= 0) return;
    throw InvalidInput(-1, "DistributedSampler",
                       "epoch " + std::to_string(position.epoch) + " after " +
                           std::to_string(position.samples) +
                           " samples does not exist; give 0 or more of both");
  }

  std::int64_t len_;
  int world_;
  int rank_;
  SamplerOptions options_;
  std::int64_t size_ = 0;
  std::int64_t epoch_ = 0;
  std::int64_t first_ = 0;  // place of the list that is rank 0's first
  std::vector<std::uint32_t>
      order_;  // one list for all ranks; empty where it would be 0, 1, 2, ...
};

}  // namespace cohort::data
