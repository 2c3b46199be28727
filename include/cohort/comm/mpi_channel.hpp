// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/mpi_channel.hpp: one group of processes that exchanges rounds of messages.
#pragma once
#include <cohort/comm/failure_report.hpp>
#include <cohort/comm/mpi_domain.hpp>
#include <cohort/comm/rounds.hpp>

#include <array>
#include <memory>
#include <utility>

namespace cohort::detail {

/// The messages of one channel. MPI never sees the user's memory: messages are copied to and from
/// the stage, which is taken once and outlives a failed world, so that a rank may unwind while MPI
/// still holds its messages.
///
/// A channel is a tag that its members share and no other channel of theirs has; MPI keeps messages
/// of equal tag in order.
///
/// Cost     one message to and from every peer a round. stage_bytes() of memory, taken by the
///          constructor; a round allocates nothing.
/// Errors   Mismatch, Timeout, PeerFailed, before anything was taken in round 0.
class MpiChannel {
 public:
  MpiChannel(std::shared_ptr<MpiDomain> domain, std::vector<int> world_ranks, int rank, int tag)
      : domain_(std::move(domain)),
        world_ranks_(std::move(world_ranks)),
        seating_{rank, static_cast<int>(world_ranks_.size()),
                 capacity(static_cast<int>(world_ranks_.size()))},
        tag_(tag) {
    if (size() == 1) return;
    late_.reserve(ranks());
    for (Bank& bank : banks_) {
      bank.slots = std::make_unique<Line[]>(2 * ranks() * slot_bytes() / sizeof(Line));
      bank.receives.assign(ranks(), MPI_REQUEST_NULL);
      bank.sends.assign(ranks(), MPI_REQUEST_NULL);
      bank.results.resize(ranks());
    }
  }
  MpiChannel(const MpiChannel&) = delete;
  MpiChannel& operator=(const MpiChannel&) = delete;
  ~MpiChannel() {
    for (Bank& bank : banks_) {
      if (abandoned_) (void)bank.slots.release();  // MPI may still write there
    }
  }

  /// Bytes of a message for so many ranks: the four sets of slots take 16 MiB at most, up to 1000
  /// ranks. 128 KiB stay in the second-level cache from the copy to the wire.
  static constexpr std::size_t capacity(int ranks) {
    const std::size_t fair = (std::size_t{1} << 22) / static_cast<std::size_t>(ranks) / 64 * 64;
    return std::clamp<std::size_t>(fair, 4096, std::size_t{1} << 17) - sizeof(Envelope);
  }
  /// Memory of a channel's stage.
  static constexpr std::size_t stage_bytes(int ranks) {
    if (ranks == 1) return 0;
    return 4 * static_cast<std::size_t>(ranks) * (sizeof(Envelope) + capacity(ranks));
  }

  int rank() const { return seating_.rank; }
  int size() const { return seating_.ranks; }
  const Seating& seating() const { return seating_; }
  int world_rank(int rank) const { return world_ranks_[static_cast<std::size_t>(rank)]; }
  const std::shared_ptr<MpiDomain>& domain() const { return domain_; }

  /// Makes one collective: its rounds, two at a time.
  template <Rounds R> void run(const Collective& call, R rounds) {
    ++number_;
    if (domain_->fate().failed()) raise(call);
    try {
      const std::uint32_t count = rounds.count();
      const bool alone = size() == 1;
      const auto at = [&](std::uint32_t i) { return [this, i](int r) { return received(i, r); }; };
      for (std::uint32_t i = 0; i < std::min(count, 2u) && !alone; ++i) post(call, i, rounds);
      for (std::uint32_t i = 0; i < count; ++i) {
        if (!alone) await(call, i, rounds);
        rounds.take(i, at(i));
        if (i + 2 < count && !alone) post(call, i + 2, rounds);
      }
    } catch (...) {
      const std::exception_ptr error = std::current_exception();
      domain_->fail(Cause::aborted, error, what(error));  // if MPI failed and nobody knows yet
      abandon();
      throw;
    }
  }

 private:
  struct alignas(64) Line {
    std::byte bytes[64];
  };
  struct Bank {
    std::unique_ptr<Line[]> slots;             // to send, then received, one of each a rank
    std::vector<MPI_Request> receives, sends;  // by peer
    std::vector<MPI_Status> results;
  };

  std::size_t ranks() const { return world_ranks_.size(); }
  std::size_t slot_bytes() const { return sizeof(Envelope) + seating_.capacity; }
  Bank& bank(std::uint32_t round) { return banks_[round % 2]; }
  std::byte* slot(std::uint32_t round, std::size_t index) {
    return reinterpret_cast<std::byte*>(bank(round).slots.get()) + index * slot_bytes();
  }
  std::byte* to_send(std::uint32_t round, int peer) {
    return slot(round, static_cast<std::size_t>(peer));
  }
  std::byte* to_receive(std::uint32_t round, int peer) {
    return slot(round, ranks() + static_cast<std::size_t>(peer));
  }
  const std::byte* received(std::uint32_t round, int peer) {
    return to_receive(round, peer) + sizeof(Envelope);
  }

  /// Packs and posts this rank's messages of a round, nearest rank first so that they spread.
  template <Rounds R> void post(const Collective& call, std::uint32_t round, R& rounds) {
    receive(round, rounds);
    std::byte* packed = nullptr;
    std::size_t bytes = 0;
    for (int k = 1; k < size(); ++k) {
      const int peer = (rank() + k) % size();
      if (!rounds.sends(round, peer)) continue;
      if (packed == nullptr || !rounds.same_to_all(round)) {
        packed = to_send(round, peer);
        bytes = rounds.give(round, peer, packed + sizeof(Envelope)) + sizeof(Envelope);
        const Envelope envelope{Envelope::protocol, number_,   call.count, round,
                                call.root,          call.kind, call.dtype};
        std::memcpy(packed, &envelope, sizeof envelope);
      }
      std::lock_guard lock(domain_->lock());
      domain_->check(MPI_Isend(packed, static_cast<int>(bytes), MPI_BYTE, world_rank(peer), tag_,
                               domain_->comm(), &bank(round).sends[static_cast<std::size_t>(peer)]),
                     "MPI_Isend");
    }
  }
  template <Rounds R> void receive(std::uint32_t round, const R& rounds) {
    std::lock_guard lock(domain_->lock());
    for (int k = 1; k < size(); ++k) {
      const int peer = (rank() - k + size()) % size();
      if (!rounds.expects(round, peer)) continue;
      domain_->check(MPI_Irecv(to_receive(round, peer), static_cast<int>(slot_bytes()), MPI_BYTE,
                               world_rank(peer), tag_, domain_->comm(),
                               &bank(round).receives[static_cast<std::size_t>(peer)]),
                     "MPI_Irecv");
    }
  }

  /// Waits for the round's messages in both directions, then compares what was asked for.
  template <Rounds R> void await(const Collective& call, std::uint32_t round, const R& rounds) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point deadline = Clock::now() + domain_->fate().timeout;
    Clock::time_point left_at{};
    for (Patience patience(domain_->fate().spins); !arrived(round); patience.wait()) {
      if (!patience.looks_up()) continue;
      domain_->listen_now();
      if (domain_->fate().failed()) raise(call);
      if (Clock::now() >= deadline) report_late(call, missing(round));  // unless none is now
      if (!domain_->anybody_left()) continue;
      const int gone = one_that_left(missing(round));
      if (gone < 0) continue;
      if (left_at == Clock::time_point{}) left_at = Clock::now();
      if (Clock::now() - left_at > last_words) report_left(call, gone);
    }
    for (int peer = 0; peer < size(); ++peer) {
      if (peer != rank() && rounds.expects(round, peer)) compare(call, round, peer);
    }
  }
  bool arrived(std::uint32_t round) {
    std::lock_guard lock(domain_->lock());
    Bank& b = bank(round);
    return complete(b.receives, b.results) && complete(b.sends, b.results);
  }
  bool complete(std::vector<MPI_Request>& requests, std::vector<MPI_Status>& results) const {
    int done = 0;
    const int code = MPI_Testall(size(), requests.data(), &done, results.data());
    for (int r = 0; r < size() && code == MPI_ERR_IN_STATUS; ++r) {
      const int error = results[static_cast<std::size_t>(r)].MPI_ERROR;
      if (error != MPI_ERR_PENDING)
        domain_->check(error, phrase("message with rank ", world_rank(r)));
    }
    domain_->check(code, "MPI_Testall");
    return done != 0;
  }

  /// The ranks that this one still waits for.
  const std::vector<int>& missing(std::uint32_t round) {
    std::lock_guard lock(domain_->lock());
    late_.clear();
    for (int r = 0; r < size(); ++r) {
      for (MPI_Request request : {bank(round).receives[static_cast<std::size_t>(r)],
                                  bank(round).sends[static_cast<std::size_t>(r)]}) {
        int done = 1;
        if (request != MPI_REQUEST_NULL) {
          MPI_Request_get_status(request, &done, MPI_STATUS_IGNORE);
        }
        if (done == 0 && (late_.empty() || late_.back() != r)) late_.push_back(r);
      }
    }
    return late_;
  }
  int one_that_left(const std::vector<int>& ranks) const {
    const auto left = [&](int r) { return domain_->fate().has_left(world_rank(r)); };
    const auto found = std::find_if(ranks.begin(), ranks.end(), left);
    return found == ranks.end() ? -1 : *found;
  }

  Envelope envelope(std::uint32_t round, int peer) {
    Envelope theirs;
    std::memcpy(&theirs, to_receive(round, peer), sizeof theirs);
    return theirs;
  }
  void compare(const Collective& call, std::uint32_t round, int peer) {
    const Envelope theirs = envelope(round, peer);
    if (theirs.magic == Envelope::protocol && theirs.number == number_ && theirs.call() == call &&
        theirs.round == round) {
      return;
    }
    // Every rank finds the same first difference, to rank 0 of this channel.
    const auto asked = [&](int r) { return r == rank() ? call : envelope(round, r).call(); };
    int other = 1;
    while (other < size() - 1 && asked(other) == asked(0)) ++other;
    fail<Mismatch>(Cause::mismatch, call,
                   phrase("rank ", world_rank(0), " calls ", text(asked(0)), " but rank ",
                          world_rank(other), " calls ", text(asked(other)),
                          ". All ranks must make the same calls in the same order."),
                   world_rank(0));
  }

  void report_late(const Collective& call, const std::vector<int>& ranks) {
    if (ranks.empty()) return;
    std::string late;
    for (int r : ranks) late += phrase(late.empty() ? "rank " : ", rank ", world_rank(r));
    const auto limit = domain_->fate().timeout;
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
    fail<Timeout>(
        Cause::timeout, call,
        phrase(late, " did not arrive at ", operation(call), ", ", text(call), ", within ", ms,
               " ms. Find what holds it up, or raise LaunchOptions::timeout."),
        domain_->rank());
  }
  void report_left(const Collective& call, int gone) {
    fail<PeerFailed>(Cause::left, call,
                     phrase("rank ", world_rank(gone), " left the world while rank ",
                            world_rank(rank()), " waits in ", operation(call),
                            ". Let every rank make the same calls before it returns."),
                     domain_->rank());
  }

  std::string operation(const Collective& call) const {
    return phrase(name(call.kind), " #", number_);
  }
  [[noreturn]] void raise(const Collective& call) {
    domain_->fate().raise(domain_->rank(), operation(call));
  }
  template <class E>
  [[noreturn]] void fail(Cause cause, const Collective& call, const std::string& sentence,
                         int speaker) {
    const E error(world_rank(rank()), operation(call), sentence);
    domain_->fail(cause, std::make_exception_ptr(error), sentence, speaker);
    raise(call);
  }

  /// After a failure nobody will complete what is under way.
  void abandon() {
    std::lock_guard lock(domain_->lock());
    abandoned_ = true;
    for (Bank& bank : banks_) {
      for (MPI_Request& request : bank.receives) {
        if (request == MPI_REQUEST_NULL) continue;
        MPI_Cancel(&request);
        MPI_Request_free(&request);
      }
    }
  }

  /// How long a message may take that was sent before its rank left.
  static constexpr std::chrono::milliseconds last_words{200};

  std::shared_ptr<MpiDomain> domain_;
  std::vector<int> world_ranks_;
  Seating seating_;
  int tag_;
  std::array<Bank, 2> banks_;
  std::vector<int> late_;
  std::uint32_t number_ = 0;
  bool abandoned_ = false;
};

}  // namespace cohort::detail
