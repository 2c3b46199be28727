// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/data/epochs.hpp: this rank's batches of some epochs over a text, as one range.
#pragma once
#include <cohort/data/loader.hpp>
#include <cohort/data/windows.hpp>

namespace cohort::data {

/// Units    rows: this rank's rows of one step. epochs: how often every window of the text is dealt
///          out in all. from: where a resumed run goes on: position() of the run that ended. as_ranks:
///          deal out to so many ranks, of which each of the world takes neighbours, as Reproducible
///          needs it: Run::plan.order_ranks. 0: to the world's.
struct EpochOptions {
  int rows = 1;
  int block = 1;  // tokens of a row
  int epochs = 1;
  Position from = {};
  std::uint64_t seed = 0;
  bool shuffle = true;
  int workers = 0;
  int depth = 2;
  int as_ranks = 0;
};

/// `for (auto& batch : data::epochs(world, corpus.train(), {.rows = 12, .block = 64})) run.step(batch);`
///
/// Shapes   batches of [rows, block]; batches_per_epoch() of them in each whole epoch, the same number
///          on all ranks. Windows that do not fill a batch of every rank are left out, others next
///          epoch. A range that begins inside an epoch deals out exactly the windows that were not
///          consumed, also on other ranks or rows: no position is rounded, none comes twice.
/// Errors   InvalidInput: a text too short for one batch a rank, epochs below 0, a position that the
///          text does not have, and what Windows, DistributedSampler and Loader refuse.
/// Laws     the windows of epoch e are those of DistributedSampler after set_epoch(e), for any
///          workers; with as_ranks = R those of R ranks of rows * world / R each, one after the other; a
///          run that goes on from position() sees what the uninterrupted one would have seen
///          (tests/data/epochs_test.cpp).
class Epochs {
 public:
  Epochs(int rank, int world, Split split, EpochOptions options)
      : options_(options),
        world_(world),
        parts_(parts(options, world)),
        windows_(Windows(split, options.block).size()),
        sampler_(windows_, world * parts_, rank * parts_,
                 {.shuffle = options.shuffle, .seed = options.seed, .drop_last = true}),
        fill_(split, options.block, options.rows, sampler_, parts_),
        loader_(fill_, {.workers = options.workers, .depth = options.depth, .count = 0}) {
    check(split, world);
  }
  Epochs(const Epochs&) = delete;
  Epochs& operator=(const Epochs&) = delete;

  std::int64_t batches_per_epoch() const { return windows_ / global_rows(); }
  /// The epoch of the batch in use.
  std::int64_t epoch() const { return sampler_.epoch(); }
  /// Where the batch after the one in use begins: what a checkpoint keeps. After an epoch's last batch
  /// it is the beginning of the next.
  Position position() const {
    if (!begun_) return options_.from;
    if (loader_.done()) return {.epoch = start_.epoch + 1};
    return {start_.epoch, start_.samples + loader_.position() * global_rows()};
  }
  double seconds_waiting() const { return loader_.seconds_waiting(); }

  /// Of a range-for: every step takes the next batch.
  class Iterator {
   public:
    explicit Iterator(Epochs& epochs) : epochs_(&epochs) { ++*this; }
    TokenBatch& operator*() const { return *batch_; }
    Iterator& operator++() {
      batch_ = epochs_->reach_batch() ? &epochs_->loader_.next() : nullptr;
      return *this;
    }
    bool operator==(std::default_sentinel_t) const { return batch_ == nullptr; }

   private:
    Epochs* epochs_;
    TokenBatch* batch_ = nullptr;
  };
  /// Every loop begins at options.from.
  Iterator begin() {
    loader_.restart(0, 0);
    begun_ = false;
    return Iterator(*this);
  }
  std::default_sentinel_t end() const { return {}; }

 private:
  /// How many of options.as_ranks each rank of the world takes.
  static int parts(const EpochOptions& options, int world) {
    if (options.as_ranks == 0) return 1;
    const int parts = options.as_ranks > 0 && world > 0 ? options.as_ranks / world : 0;
    if (parts > 0 && options.as_ranks % world == 0 && options.rows % parts == 0) return parts;
    throw InvalidInput(-1, "epochs",
                       std::to_string(options.rows) + " rows on each of " + std::to_string(world) +
                           " ranks cannot be dealt out as to " + std::to_string(options.as_ranks) +
                           " ranks; give as_ranks a multiple of the ranks, and rows a multiple of "
                           "what each of them then takes");
  }
  std::int64_t global_rows() const { return std::int64_t{world_} * options_.rows; }

  /// Begins epochs until one has a batch; false when there is none left.
  bool reach_batch() {
    while (loader_.done()) {
      const Position next = position();
      if (next.epoch >= options_.epochs) return false;
      loader_.restart(0, (windows_ - next.samples) / global_rows(),
                      [&] { sampler_.set_position(next); });
      start_ = next;
      begun_ = true;
    }
    return true;
  }
  void check(const Split& split, int world) const {
    const Position from = options_.from;
    if (options_.epochs < 0 || from.epoch < 0 || from.samples < 0) {
      throw InvalidInput(-1, "epochs",
                         "epochs " + std::to_string(from.epoch) + " to " +
                             std::to_string(options_.epochs) + " from sample " +
                             std::to_string(from.samples) + " do not exist; give 0 or more");
    }
    if (from.samples > windows_) {
      throw InvalidInput(-1, "epochs",
                         "the run goes on after " + std::to_string(from.samples) +
                             " windows of an epoch, and the " + std::string(split.part) +
                             " part of '" + std::string(split.source) + "' has " +
                             std::to_string(windows_) + " of " + std::to_string(options_.block) +
                             " tokens; give the text and the block that the run began with");
    }
    if (batches_per_epoch() > 0) return;
    throw InvalidInput(-1, "epochs",
                       "the " + std::string(split.part) + " part of '" + std::string(split.source) +
                           "' has " + std::to_string(split.tokens.size()) +
                           " tokens, too few for one batch of " + std::to_string(options_.rows) +
                           " rows on each of " + std::to_string(world) +
                           " ranks; give a longer text, fewer rows or fewer ranks");
  }

  EpochOptions options_;
  int world_, parts_;
  std::int64_t windows_;  // of the text
  Position start_;        // of what the loader is dealing out
  bool begun_ = false;
  DistributedSampler sampler_;
  SampledWindows fill_;
  Loader<SampledWindows, TokenBatch> loader_;
};

/// The batches of this rank of a world.
template <class World> Epochs epochs(const World& world, Split split, EpochOptions options) {
  return Epochs(world.rank(), world.size(), split, options);
}

}  // namespace cohort::data
