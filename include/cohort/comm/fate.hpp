// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/fate.hpp: what all channels of a world of threads share: how they wait, how they fail.
#pragma once
#include <cohort/comm/bell.hpp>
#include <cohort/core/error.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <string>
#include <vector>

namespace cohort::detail {

/// Why a world failed; decides which exception the ranks see.
enum class Cause : std::uint8_t { aborted, mismatch, timeout, left };

/// The failure domain of one world: the first failure wins, is kept, and wakes every sleeper.
///
/// Cost     failed(): one load of a word that nobody writes while all is well.
/// Errors   raise() throws Mismatch, Timeout or PeerFailed by cause, on whichever rank calls it.
class Fate {
 public:
  Fate(int ranks, bool spin, std::chrono::milliseconds wait_limit)
      : spins(spin), timeout(wait_limit), left_(static_cast<std::size_t>(ranks)) {}
  Fate(const Fate&) = delete;
  Fate& operator=(const Fate&) = delete;

  const bool spins;
  const std::chrono::nanoseconds timeout;

  bool failed() const { return failed_.load(); }

  /// Records the first failure and wakes everyone; later ones change nothing.
  void fail(Cause cause, const std::exception_ptr& own, const std::string& sentence) {
    std::lock_guard lock(mutex_);
    if (failed_.load()) return;
    cause_ = cause;
    first_ = own;
    sentence_ = sentence;
    failed_.store(true);
    for (Bell* bell : bells_) bell->ring();
  }

  /// Throws this world's failure as the given rank sees it. Only after failed() was true.
  [[noreturn]] void raise(int rank, const std::string& operation) const {
    if (cause_ == Cause::mismatch) throw Mismatch(rank, operation, sentence_);
    if (cause_ == Cause::timeout) throw Timeout(rank, operation, sentence_);
    throw PeerFailed(rank, operation, sentence_);
  }

  /// What failed. Only after failed() was true.
  const std::string& sentence() const { return sentence_; }

  /// The exception that began it all; null if the world is well. Only after all ranks were joined.
  std::exception_ptr first() const { return first_; }

  /// The rank's function returned: whoever waits for it must hear of it now.
  void leave(int rank) {
    std::lock_guard lock(mutex_);
    left_[static_cast<std::size_t>(rank)].store(true);
    for (Bell* bell : bells_) bell->ring();
  }
  bool has_left(int rank) const { return left_[static_cast<std::size_t>(rank)].load(); }

  void enroll(Bell& bell) {
    std::lock_guard lock(mutex_);
    bells_.push_back(&bell);
  }
  void withdraw(Bell& bell) {
    std::lock_guard lock(mutex_);
    bells_.erase(std::find(bells_.begin(), bells_.end(), &bell));
  }

 private:
  std::atomic<bool> failed_{false};
  Cause cause_{};
  std::exception_ptr first_;
  std::string sentence_;
  std::vector<std::atomic<bool>> left_;
  std::mutex mutex_;
  std::vector<Bell*> bells_;
};

}  // namespace cohort::detail
