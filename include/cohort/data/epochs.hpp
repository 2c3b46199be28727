// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/data/epochs.hpp: this rank's batches of some epochs over a text, as one range.
#pragma once
#include <cohort/data/loader.hpp>
#include <cohort/data/windows.hpp>

namespace cohort::data {

/// Units    rows: this rank's rows of one step. epochs: how often every window of the text is dealt
///          out; first_epoch: where a resumed run goes on.
struct EpochOptions {
  int rows = 1;
  int block = 1;  // tokens of a row
  int epochs = 1;
  int first_epoch = 0;
  std::uint64_t seed = 0;
  bool shuffle = true;
  int workers = 0;
  int depth = 2;
};

/// `for (auto& batch : data::epochs(world, corpus.train(), {.rows = 12, .block = 64})) run.step(batch);`
///
/// Shapes   batches of [rows, block]; batches_per_epoch() of them in each epoch, the same number on
///          all ranks. Windows that do not fill a batch of every rank are left out, others next epoch.
/// Errors   InvalidInput: a text too short for one batch a rank, epochs or first_epoch below 0, and
///          what Windows, DistributedSampler and Loader refuse.
/// Laws     the windows of epoch e are those of DistributedSampler after set_epoch(e), for any
///          workers (tests/data/epochs_test.cpp).
class Epochs {
 public:
  Epochs(int rank, int world, Split split, EpochOptions options)
      : options_(options),
        sampler_(Windows(split, options.block).size(), world, rank,
                 {.shuffle = options.shuffle, .seed = options.seed, .drop_last = true}),
        fill_(split, options.block, options.rows, sampler_),
        loader_(fill_, {.workers = options.workers, .depth = options.depth, .count = 0}) {
    check(split, world);
  }
  Epochs(const Epochs&) = delete;
  Epochs& operator=(const Epochs&) = delete;

  std::int64_t batches_per_epoch() const { return fill_.num_batches(); }
  /// The epoch of the batch in use.
  std::int64_t epoch() const { return sampler_.epoch(); }
  double seconds_waiting() const { return loader_.seconds_waiting(); }

  class Iterator {
   public:
    explicit Iterator(Epochs& epochs) : epochs_(&epochs), next_(epochs.options_.first_epoch) {
      ++*this;
    }
    TokenBatch& operator*() const { return *batch_; }
    Iterator& operator++() {
      batch_ = nullptr;
      if (epochs_->loader_.done()) {
        if (next_ >= epochs_->options_.epochs) return *this;
        epochs_->begin_epoch(next_++);
      }
      batch_ = &epochs_->loader_.next();
      return *this;
    }
    bool operator==(std::default_sentinel_t) const { return batch_ == nullptr; }

   private:
    Epochs* epochs_;
    std::int64_t next_;  // epoch
    TokenBatch* batch_ = nullptr;
  };
  Iterator begin() {
    loader_.restart(0, 0);
    return Iterator(*this);
  }
  std::default_sentinel_t end() const { return {}; }

 private:
  void begin_epoch(std::int64_t epoch) {
    loader_.restart(0, batches_per_epoch(), [&] { sampler_.set_epoch(epoch); });
  }
  void check(const Split& split, int world) const {
    if (options_.epochs < 0 || options_.first_epoch < 0) {
      throw InvalidInput(-1, "epochs",
                         "epochs " + std::to_string(options_.first_epoch) + " to " +
                             std::to_string(options_.epochs) + " do not exist; give 0 or more");
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
  DistributedSampler sampler_;
  SampledWindows fill_;
  Loader<SampledWindows, TokenBatch> loader_;
};

/// The batches of this rank of a world.
template <class World> Epochs epochs(const World& world, Split split, EpochOptions options) {
  return Epochs(world.rank(), world.size(), split, options);
}

}  // namespace cohort::data
