// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/data/loader.hpp: batches filled ahead of time by worker threads, handed out in order.
#pragma once
#include <algorithm>
#include <chrono>
#include <cohort/core/error.hpp>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <limits>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace cohort::data {

/// Writes batch number `index` into `batch`. Workers call one object from several threads at once,
/// in any order, so the call is const and its result depends on the index only.
template <class F, class Batch>
concept BatchFill = requires(const F& fill, std::int64_t index, Batch& batch) {
  fill(index, batch);
};

/// A fill that knows the shape of its batches.
template <class F>
concept ShapesBatch = requires(const F& fill) {
  fill.batch();
};

/// A number of batches that is never reached.
inline constexpr std::int64_t endless = std::numeric_limits<std::int64_t>::max();

/// Who fills batches, and how far ahead.
struct LoaderOptions {
  int workers = 1;               // 0: next() fills the batch itself
  int depth = 2;                 // batches that may be ready beyond the one in use
  std::int64_t first = 0;        // the first batch's number: a resumed run starts here
  std::int64_t count = endless;  // batches handed out before done()
};

/// Hands out batches first, first + 1, ... in this order for any number of workers.
///
/// Units    position() counts batches; seconds_waiting() is the time that next() spent not ready.
/// Cost     depth + 1 copies of the prototype batch; afterwards nothing is allocated. One lock for
///          each batch on either side; a hand-over between threads takes about 10 us, so a fill
///          that is quicker (text windows: below 1 us) is best served by workers = 0.
/// Errors   InvalidInput: workers < 0, depth < 1, first < 0, count < 0, or a thread did not start.
///          What fill throws for batch i comes out of next() when batch i is due, and again at
///          every later call. ContractBroken: next() past the end.
/// Laws     the batches do not depend on workers or depth; the destructor returns at any time, as
///          soon as the batches being filled are done (tests/data/loader_test.cpp).
template <class Fill, class Batch>
requires BatchFill<Fill, Batch>
class Loader {
 public:
  /// Takes the shape of every batch from `prototype`, whose buffers have their final size.
  Loader(Fill fill, const Batch& prototype, LoaderOptions options = {})
      : fill_(std::move(fill)), options_(options) {
    check();
    const std::size_t slots = options.workers == 0 ? 1 : std::size_t(options.depth) + 1;
    slots_.assign(slots, Slot{prototype, none, nullptr});
    set_range(options.first, options.count);
    start();
  }
  /// Takes the shape of every batch from the fill's own batch().
  explicit Loader(Fill fill, LoaderOptions options = {}) requires ShapesBatch<Fill>
      : Loader(fill, fill.batch(), options) {}
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;
  ~Loader() { stop(); }

  /// The next batch; it stays valid until the next call of next() or restart().
  Batch& next() {
    const auto begin = std::chrono::steady_clock::now();
    Slot& slot = options_.workers == 0 ? fill_here() : await();
    waited_ += std::chrono::steady_clock::now() - begin;
    return slot.batch;
  }

  /// True when next() has handed out the last batch.
  bool done() const { return position() >= last_; }
  /// The number of the batch that next() returns next.
  std::int64_t position() const { return front_ + (held_ ? 1 : 0); }
  double seconds_waiting() const { return std::chrono::duration<double>(waited_).count(); }

  /// Continues with batches first, first + 1, ...; `change` runs while no worker is filling: the
  /// place for sampler.set_epoch(). It may return how many batches there are then.
  template <class Change>
  requires std::is_invocable_r_v<std::int64_t, Change>
  void restart(std::int64_t first, Change change) {
    std::unique_lock lock(mutex_);
    last_ = 0;  // no worker claims another batch
    idle_.wait(lock, [&] { return active_ == 0; });
    set_range(first, change());
    work_.notify_all();
  }
  template <class Change> void restart(std::int64_t first, std::int64_t count, Change change) {
    restart(first, [&] {
      change();
      return count;
    });
  }
  void restart(std::int64_t first, std::int64_t count = endless) {
    restart(first, [&] { return count; });
  }

  /// `for (auto& batch : loader)` until done().
  class Iterator {
   public:
    explicit Iterator(Loader& loader) : loader_(&loader) { ++*this; }
    Batch& operator*() const { return *batch_; }
    Iterator& operator++() {
      batch_ = loader_->done() ? nullptr : &loader_->next();
      return *this;
    }
    bool operator==(std::default_sentinel_t) const { return batch_ == nullptr; }

   private:
    Loader* loader_;
    Batch* batch_ = nullptr;
  };
  Iterator begin() { return Iterator(*this); }
  std::default_sentinel_t end() const { return {}; }

 private:
  static constexpr std::int64_t none = -1;
  struct Slot {
    Batch batch;
    std::int64_t ready;        // the batch that it holds, or none
    std::exception_ptr error;  // why that batch could not be filled
  };

  Slot& slot_of(std::int64_t index) { return slots_[std::size_t(index) % slots_.size()]; }

  /// Gives the batch in use back and returns the one that is due.
  std::int64_t advance() {
    if (held_) ++front_;
    held_ = false;
    if (front_ < last_) return front_;
    throw ContractBroken(-1, "Loader",
                         "all batches up to number " + std::to_string(last_) +
                             " are used; ask done() first, or restart()");
  }

  Slot& fill_here() {
    const std::int64_t due = advance();
    fill_(due, slots_[0].batch);
    held_ = true;
    return slots_[0];
  }

  Slot& await() {
    std::unique_lock lock(mutex_);
    const std::int64_t due = advance();
    work_.notify_one();
    Slot& slot = slot_of(due);
    ready_.wait(lock, [&] { return slot.ready == due; });
    if (slot.error) std::rethrow_exception(slot.error);
    held_ = true;
    return slot;
  }

  void fill_ahead() {
    std::unique_lock lock(mutex_);
    const auto ahead = static_cast<std::int64_t>(slots_.size());
    while (true) {
      work_.wait(lock, [&] { return stop_ || (claimed_ < last_ && claimed_ - front_ < ahead); });
      if (stop_) return;
      const std::int64_t index = claimed_++;
      ++active_;
      lock.unlock();
      Slot& slot = slot_of(index);  // nobody else touches it before it is ready
      std::exception_ptr error;
      try {
        fill_(index, slot.batch);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      slot.error = std::move(error);
      slot.ready = index;
      ready_.notify_one();
      if (--active_ == 0) idle_.notify_one();
    }
  }

  void check() const {
    const auto refuse = [](const char* what, std::int64_t found, const char* expected) {
      throw InvalidInput(-1, "Loader",
                         std::string(what) + " is " + std::to_string(found) + "; " + expected);
    };
    if (options_.workers < 0) refuse("workers", options_.workers, "give 0 (no threads) or more");
    if (options_.depth < 1) refuse("depth", options_.depth, "give at least 1 batch ahead");
    check_range(options_.first, options_.count);
  }
  static void check_range(std::int64_t first, std::int64_t count) {
    if (first >= 0 && count >= 0) return;
    throw InvalidInput(-1, "Loader",
                       "batches " + std::to_string(first) + " and " + std::to_string(count) +
                           " more do not exist; give a first batch and a count of 0 or more");
  }

  void set_range(std::int64_t first, std::int64_t count) {
    check_range(first, count);
    for (Slot& slot : slots_) slot.ready = none, slot.error = nullptr;
    front_ = claimed_ = first;
    last_ = first + std::min(count, endless - first);
    held_ = false;
  }

  void start() {
    threads_.reserve(std::size_t(options_.workers));
    try {
      while (threads_.size() < std::size_t(options_.workers))
        threads_.emplace_back([this] { fill_ahead(); });
    } catch (const std::system_error& error) {
      stop();
      throw InvalidInput(-1, "Loader",
                         "the system started " + std::to_string(threads_.size()) + " of " +
                             std::to_string(options_.workers) + " workers (" + error.what() +
                             "); ask for fewer");
    }
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    work_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }

  Fill fill_;
  LoaderOptions options_;
  std::vector<Slot> slots_;  // batch i lives in slot i mod size
  std::mutex mutex_;  // guards what follows; front_, held_, last_ change on the user's thread only
  std::condition_variable work_, ready_, idle_;
  std::int64_t front_ = 0;    // the oldest batch not given back
  std::int64_t claimed_ = 0;  // the next batch for a worker
  std::int64_t last_ = 0;     // one past the last batch
  int active_ = 0;            // batches being filled
  bool held_ = false;         // batch front_ is in the user's hands
  bool stop_ = false;
  std::chrono::steady_clock::duration waited_{};
  std::vector<std::thread> threads_;
};

template <ShapesBatch Fill>
Loader(Fill, LoaderOptions = {}) -> Loader<Fill, decltype(std::declval<const Fill&>().batch())>;

}  // namespace cohort::data
