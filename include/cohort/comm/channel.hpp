// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/channel.hpp: where the ranks of one group of threads meet, compare calls and wait.
#pragma once
#include <cohort/comm/collective.hpp>
#include <cohort/comm/fate.hpp>

#include <array>
#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>

namespace cohort::detail {

/// What a rank shows its peers when it arrives: the call it makes and where its data lies.
struct Ticket {
  const void* data = nullptr;
  std::uint64_t count = 0;
  std::int32_t root = 0;
  CollectiveKind kind{};
  DType dtype{};

  Ticket() = default;
  Ticket(const Collective& call, const void* shown)
      : data(shown), count(call.count), root(call.root), kind(call.kind), dtype(call.dtype) {}

  Collective call() const { return {kind, dtype, count, root}; }
};

/// One rank's place, its contents in one cache line: a peer that sees it arrive holds its ticket already.
/// Tickets alternate by call: a peer may still read the last one while this rank shows the next.
struct alignas(128) Seat {                // cores fetch lines in pairs
  std::atomic<std::uint32_t> arrived{0};  // the last phase reached
  std::atomic<std::uint32_t> calls{0};    // collectives begun, for messages only
  std::array<Ticket, 2> tickets;
};
static_assert(8 + sizeof(Seat::tickets) <= 64, "a peer must see a seat by one fetch");

/// Phases are counted modulo 2^32 and never lie 2^31 apart.
constexpr bool reached(std::uint32_t at, std::uint32_t phase) {
  return static_cast<std::int32_t>(at - phase) >= 0;
}

/// A meeting place of a fixed set of ranks. A collective is open() by all ranks, then plain reads
/// and writes of each other's memory, then close() by all ranks where memory was lent.
///
/// A phase is complete when every rank has arrived at it. Between open and close nothing can fail:
/// either all ranks get through open() or none does, so no rank can unwind and free a buffer that
/// a peer still uses. See settle().
///
/// Cost     spinning: one store and one load per peer, all in the peers' own lines. Blocking: one
///          atomic addition; the last to arrive compares the calls and wakes the others once.
/// Errors   open: Mismatch, Timeout, PeerFailed on every rank. close: none.
class Channel {
 public:
  static constexpr std::size_t stage_bytes = 4096;

  Channel(std::shared_ptr<Fate> fate, std::vector<int> world_ranks)
      : fate_(std::move(fate)),
        world_ranks_(std::move(world_ranks)),
        seats_(world_ranks_.size()),
        stages_(std::make_unique_for_overwrite<Stage[]>(2 * world_ranks_.size())) {
    fate_->enroll(bell_);
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;
  ~Channel() { fate_->withdraw(bell_); }

  int size() const { return static_cast<int>(seats_.size()); }
  int world_rank(int rank) const { return world_ranks_[static_cast<std::size_t>(rank)]; }
  Fate& fate() const { return *fate_; }
  const std::shared_ptr<Fate>& shared_fate() const { return fate_; }

  /// What the rank showed in the call of this number.
  const void* data(int rank, std::uint32_t number) const { return ticket(rank, number).data; }

  /// True when a call is cheaper by copies to the stage than by lending memory: it saves a phase,
  /// but every rank reads everything. Measured on 2 spinning ranks: 480 ns against 600 at 512
  /// bytes, 790 against 580 at 1 KiB. A blocking phase costs microseconds per rank instead.
  bool is_small(std::size_t bytes) const {
    if (fate_->spins) return bytes <= 512;
    return bytes <= stage_bytes && bytes * seats_.size() <= 8 * stage_bytes;
  }
  void* stage(int rank, std::uint32_t number) {
    return stages_[2 * static_cast<std::size_t>(rank) + number % 2].bytes;
  }

  /// Shows the call and the data, waits until every rank has done so, and compares the calls.
  void open(int rank, std::uint32_t phase, std::uint32_t number, const Collective& call,
            const void* data) {
    if (fate_->failed()) fate_->raise(world_rank(rank), operation(call, number));
    Seat& own = seat(rank);
    own.tickets[number % 2] = Ticket(call, data);
    own.calls.store(number, std::memory_order_relaxed);
    arrive(own, phase, number);
    if (!await(phase)) sleep(rank, phase, number, call);
    if (fate_->failed() && !settle(phase)) {
      fate_->raise(world_rank(rank), operation(call, number));
    }
    if (fate_->spins && !agree(number)) {
      fate_->raise(world_rank(rank), operation(call, number));
    }
  }

  /// Waits until every rank is done with the memory that open() lent. Peers are in plain loops
  /// then, so this ends without a limit of its own, and a failure elsewhere must not end it.
  void close(int rank, std::uint32_t phase) {
    arrive(seat(rank), phase, none);
    if (await(phase)) return;
    sleepers_.fetch_add(1);
    for (std::uint32_t seen = bell_.value(); !complete(phase); seen = bell_.value()) {
      bell_.sleep(seen, std::chrono::seconds(1));
    }
    sleepers_.fetch_sub(1);
  }

 private:
  struct alignas(64) Stage {
    std::byte bytes[stage_bytes];
  };
  static constexpr std::uint32_t none = ~std::uint32_t{0};
  static constexpr int eager_limit = 64;   // looks before the first pause: saves 30 ns of 300
  static constexpr int spin_limit = 5000;  // about 0.15 ms: longer waits are cheaper asleep

  Seat& seat(int rank) { return seats_[static_cast<std::size_t>(rank)]; }
  const Ticket& ticket(int rank, std::uint32_t number) const {
    return seats_[static_cast<std::size_t>(rank)].tickets[number % 2];
  }
  static std::string operation(const Collective& call, std::uint32_t number) {
    return phrase(name(call.kind), " #", number);
  }

  bool complete(std::uint32_t phase) const {
    if (!fate_->spins) return reached(completed_.load(), phase);
    for (const Seat& s : seats_) {
      if (!reached(s.arrived.load(), phase)) return false;
    }
    return true;
  }

  /// All stores and loads here are sequentially consistent: of two ranks that arrive, or of one
  /// that arrives and one that goes to sleep, at least one sees the other.
  void arrive(Seat& own, std::uint32_t phase, std::uint32_t number) {
    own.arrived.store(phase);
    if (fate_->spins) return;
    if (count_.fetch_add(1) + 1 != static_cast<std::uint32_t>(seats_.size()) * phase) return;
    if (number != none && !agree(number)) return;
    completed_.store(phase);
  }

  /// True when the phase is complete; false when it is time to sleep. The last to arrive wakes
  /// the sleepers.
  bool await(std::uint32_t phase) {
    if (complete(phase)) {
      if (sleepers_.load() > 0) bell_.ring();
      return true;
    }
    if (!fate_->spins) return false;
    std::size_t r = 0;
    for (int i = 0; i < spin_limit; ++i) {
      while (reached(seats_[r].arrived.load(), phase)) {
        if (++r == seats_.size()) return true;
      }
      if (i >= eager_limit) pause();
    }
    return false;
  }

  /// Sleeps until the phase is complete or the world has failed; finds out who is missing.
  void sleep(int rank, std::uint32_t phase, std::uint32_t number, const Collective& call) {
    const auto deadline = std::chrono::steady_clock::now() + fate_->timeout;
    sleepers_.fetch_add(1);
    for (;;) {
      const std::uint32_t seen = bell_.value();
      if (complete(phase) || fate_->failed()) break;
      if (report_left(rank, phase, number, call)) break;
      const auto now = std::chrono::steady_clock::now();
      if (now >= deadline) {
        report_late(rank, phase, number, call);
        break;
      }
      bell_.sleep(seen, deadline - now);
    }
    sleepers_.fetch_sub(1);
  }

  /// Decides, once for all ranks, whether a phase that a failure hit went through. A rank that saw
  /// it complete before the failure agrees with any later look: arrivals are never taken back.
  bool settle(std::uint32_t phase) {
    std::lock_guard lock(settling_);
    const bool before_death = !dead_ || !reached(phase, died_at_);
    if (before_death && complete(phase)) return true;
    if (before_death) died_at_ = phase;
    dead_ = true;
    return false;
  }

  bool report_left(int rank, std::uint32_t phase, std::uint32_t number, const Collective& call) {
    for (int r = 0; r < size(); ++r) {
      if (reached(seat(r).arrived.load(), phase) || !fate_->has_left(world_rank(r))) continue;
      if (reached(seat(r).arrived.load(), phase)) continue;  // it arrived, then it left
      const auto calls = seat(r).calls.load(std::memory_order_relaxed);
      fail<PeerFailed>(Cause::left, rank, call, number,
                       phrase("rank ", world_rank(r), " left the world after ", calls,
                              " collectives while rank ", world_rank(rank), " waits in ",
                              operation(call, number),
                              ". Let every rank make the same calls before it returns."));
      return true;
    }
    return false;
  }

  void report_late(int rank, std::uint32_t phase, std::uint32_t number, const Collective& call) {
    std::string late;
    for (int r = 0; r < size(); ++r) {
      if (reached(seat(r).arrived.load(), phase)) continue;
      late += phrase(late.empty() ? "rank " : ", rank ", world_rank(r), " (after ",
                     seat(r).calls.load(std::memory_order_relaxed), " collectives)");
    }
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(fate_->timeout).count();
    fail<Timeout>(
        Cause::timeout, rank, call, number,
        phrase(late, " did not arrive at ", operation(call, number), ", ", text(call), ", within ",
               ms, " ms. Find what holds it up, or raise LaunchOptions::timeout."));
  }

  /// True when all tickets of this number show the same call; else fails the world.
  bool agree(std::uint32_t number) {
    const Collective first = ticket(0, number).call();
    for (int r = 1; r < size(); ++r) {
      const Collective other = ticket(r, number).call();
      if (other == first) continue;
      fail<Mismatch>(Cause::mismatch, r, other, number,
                     phrase("rank ", world_rank(0), " calls ", text(first), " but rank ",
                            world_rank(r), " calls ", text(other),
                            ". All ranks must make the same calls in the same order."));
      return false;
    }
    return true;
  }

  template <class E>
  void fail(Cause cause, int rank, const Collective& call, std::uint32_t number,
            const std::string& sentence) {
    const E error(world_rank(rank), operation(call, number), sentence);
    fate_->fail(cause, std::make_exception_ptr(error), sentence);
  }

  std::shared_ptr<Fate> fate_;
  std::vector<int> world_ranks_;
  std::vector<Seat> seats_;
  std::unique_ptr<Stage[]> stages_;
  alignas(64) std::atomic<std::uint32_t> count_{0};      // arrivals, blocking only
  alignas(64) std::atomic<std::uint32_t> completed_{0};  // the last complete phase, blocking only
  std::atomic<std::uint32_t> sleepers_{0};
  Bell bell_;
  std::mutex settling_;
  bool dead_ = false;
  std::uint32_t died_at_ = 0;  // the first phase that did not go through
};

}  // namespace cohort::detail
