// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/nccl_domain.hpp: one rank's communicators of NCCL: how the rank waits for them, how they fail.
#pragma once
#include <cohort/comm/fate.hpp>
#include <cohort/comm/nccl_guard.hpp>
#include <cohort/comm/nccl_pending.hpp>
#include <cohort/comm/patience.hpp>

#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace cohort::detail {

/// What NCCL says about a result: its name for it and the last words of the communicator.
inline std::string nccl_text(ncclResult_t result, ncclComm_t comm) {
  const char* last = ncclGetLastError(comm);
  const std::string more = last == nullptr || *last == '\0' ? "" : phrase(" (", last, ")");
  return phrase("NCCL reports: ", ncclGetErrorString(result), more,
                ". NCCL_DEBUG=WARN in the environment makes it say more.");
}

/// For calls without a communicator.
inline void check_nccl(ncclResult_t result, int rank, std::string_view operation) {
  if (result == ncclSuccess || result == ncclInProgress) return;
  throw Error(rank, operation, nccl_text(result, nullptr));
}

/// The failure domain of one rank: all its communicators, on one GPU, used by one host thread.
///
/// No call of NCCL or CUDA that could wait for a peer is made: communicators do not block, and
/// every wait is a loop that looks at what it waits for, at NCCL's asynchronous errors, at the
/// fate that ranks of one process share, and at the clock. On a failure all communicators of the
/// rank are aborted before the exception leaves, so that memory can be freed.
///
/// Errors   PeerFailed: a rank of this process failed or left, or NCCL lost a connection.
///          Timeout: LaunchOptions::timeout has passed. InvalidInput: NCCL calls it wrong use (two
///          ranks on one GPU). Error: anything else that NCCL or CUDA reports.
class NcclDomain {
 public:
  /// grace: how long an abort may take before the process is ended.
  NcclDomain(std::shared_ptr<Fate> fate, int rank, int size, int gpu,
             std::chrono::nanoseconds grace = NcclGuard::grace)
      : fate_(std::move(fate)), rank_(rank), size_(size), gpu_(gpu), grace_(grace) {}
  NcclDomain(const NcclDomain&) = delete;
  NcclDomain& operator=(const NcclDomain&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  int gpu() const { return gpu_; }
  Fate& fate() const { return *fate_; }

  void enroll(NcclLive& live) { live_.push_back(&live); }
  void withdraw(NcclLive& live) {
    live_.erase(std::remove(live_.begin(), live_.end(), &live), live_.end());
  }

  /// Where a communicator arrives that NCCL makes meanwhile, and may after this rank gave up waiting.
  ncclComm_t& slot() { return slots_.emplace_back(nullptr); }
  /// The same for a window.
  ncclWindow_t& window_slot() { return windows_.emplace_back(nullptr); }

  /// Throws if the world has failed. what(): the operation, in words.
  template <class What> void look(const What& what) {
    if (fate_->failed()) [[unlikely]]
      fall(what());
  }

  /// Waits until a call on the communicator that returned `result` is done.
  template <class What> void settle(NcclLive& live, ncclResult_t result, const What& what) {
    if (result == ncclSuccess) return;
    if (result != ncclInProgress) broken(result, live.comm, what());
    const auto done = [&] {
      ncclResult_t state = ncclSuccess;
      const ncclResult_t asked = ncclCommGetAsyncError(live.comm, &state);
      if (asked != ncclSuccess) broken(asked, live.comm, what());
      if (state != ncclSuccess && state != ncclInProgress) broken(state, live.comm, what());
      return state == ncclSuccess;
    };
    await(done, what, yields_for_a_call);
  }
  /// The same for ncclCommSplit and ncclCommWindowRegister, which return ncclSuccess when they have begun.
  template <class What> void settle_begun(NcclLive& live, ncclResult_t result, const What& what) {
    settle(live, result == ncclSuccess ? ncclInProgress : result, what);
  }
  /// The same for whatever is under way on any communicator, after a group.
  template <class What> void settle_all(ncclResult_t result, const What& what) {
    if (result != ncclSuccess && result != ncclInProgress) broken(result, any(), what());
    for (NcclLive* live : live_) settle(*live, ncclInProgress, what);
  }

  /// Waits until all that was queued on the stream so far is done.
  template <class What> void await_stream(cudaStream_t stream, const What& what) {
    const auto done = [&] {
      const cudaError_t state = cudaStreamQuery(stream);
      if (state == cudaSuccess) return true;
      if (state != cudaErrorNotReady) broken_device(state, what());
      cudaGetLastError();  // not being ready is no error, but CUDA remembers it as one
      return false;
    };
    await(done, what);
    check_async(what);
  }

  /// NCCL starts a thread for each call, which takes tens of microseconds: so many yields of a core that
  /// nobody else wants take about 100. Each sleep is 50 and the timer's slack, for every collective.
  static constexpr std::uint32_t yields_for_a_call = 256;

  /// Waits for done() with an eye on everything that could go wrong meanwhile.
  template <class Done, class What>
  void await(const Done& done, const What& what, std::uint32_t yields = 8) {
    const auto start = std::chrono::steady_clock::now();
    auto missing_since = start;
    Missing missing;
    look(what);
    for (Patience patience(fate_->spins, yields); !done(); patience.wait()) {
      look(what);
      if (!patience.looks_up()) continue;
      check_async(what);
      const auto now = std::chrono::steady_clock::now();
      if (now - start > fate_->timeout) late(what());
      const Missing found = missing_member();
      if (found != missing || found.rank < 0) missing_since = now;
      missing = found;
      if (missing.rank >= 0 && now - missing_since > last_words)
        left_without_us(missing.rank, what());
    }
  }

  /// Fails the world. On the rank's own thread its communicators are aborted at once.
  void fail(Cause cause, const std::exception_ptr& error, const std::string& sentence) {
    fate_->fail(cause, error, sentence);
    if (std::this_thread::get_id() == owner_) abort_all();
  }
  template <class E>
  [[noreturn]] void fail(Cause cause, const std::string& operation, const std::string& sentence) {
    const E error(rank_, operation, sentence);
    fail(cause, std::make_exception_ptr(error), phrase("rank ", rank_, " failed: ", sentence));
    throw error;
  }

  /// Ends the rank's communicators without a wait for any peer. On the rank's own thread.
  void abort_all() {
    if (live_.empty()) return;
    const NcclGuard guard = guard_abort();
    abort_(live_);
  }
  /// Held around an abort.
  NcclGuard guard_abort() const {
    return {rank_, fate_->failed() ? fate_->sentence() : "an exception ends this rank", grace_};
  }
  /// Held around calls of a world that is well: peers may come as late as to any call.
  NcclGuard guard_end(const char* what) const {
    return {rank_, what, std::max(fate_->timeout, grace_)};
  }
  /// How they end: for whoever has a group open, or captures calls into a graph.
  NcclAbort& ending() { return abort_; }
  NcclQueue& queue() { return queue_; }

 private:
  /// How long after a peer's end its last collectives may take here.
  static constexpr std::chrono::milliseconds last_words{1000};

  [[noreturn]] void fall(const std::string& operation) {
    abort_all();
    fate_->raise(rank_, operation);
  }

  template <class What> void check_async(const What& what) {
    for (NcclLive* live : live_) {
      ncclResult_t state = ncclSuccess;
      if (live->comm == nullptr) continue;
      const ncclResult_t asked = ncclCommGetAsyncError(live->comm, &state);
      if (asked != ncclSuccess) broken(asked, live->comm, what());
      if (state != ncclSuccess && state != ncclInProgress) broken(state, live->comm, what());
    }
  }

  /// NCCL has an error: by its kind a peer's, the caller's or its own.
  [[noreturn]] void broken(ncclResult_t result, ncclComm_t comm, const std::string& operation) {
    const std::string text = nccl_text(result, comm);
    const std::string stuck = phrase(pending(operation), ": ", text);
    if (result == ncclRemoteError) {
      fail<PeerFailed>(Cause::left, operation,
                       phrase(stuck,
                              " A peer's process ended or the network failed: the peer's "
                              "own output, or the launcher's, has the cause."));
    }
    if (result == ncclInvalidUsage || result == ncclInvalidArgument) {
      fail<InvalidInput>(Cause::aborted, operation, stuck);
    }
    fail<Error>(Cause::aborted, operation, stuck);
  }
  [[noreturn]] void broken_device(cudaError_t error, const std::string& operation) {
    try {
      cuda::check(error);
    } catch (const Error& e) {
      fail<Error>(Cause::aborted, operation, e.what());
    }
    std::terminate();  // check() throws for every error
  }

  [[noreturn]] void late(const std::string& operation) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(fate_->timeout).count();
    const bool stuck = oldest_pending(live_, queue_).has_value();
    fail<Timeout>(
        Cause::timeout, operation,
        phrase(pending(operation), " was not done within ", ms, " ms",
               stuck ? ": a rank is late, gone, or made another call; the output of the ranks that "
                       "do not say this shows which"
                     : ", though no collective is under way",
               ". Find what holds it up, or raise LaunchOptions::timeout."));
  }
  [[noreturn]] void left_without_us(int gone, const std::string& operation) {
    fail<PeerFailed>(
        Cause::left, operation,
        phrase("rank ", gone, " left the world while rank ", rank_, " waits in ",
               pending(operation), ". Let every rank make the same calls before it returns."));
  }

  /// What the GPU is in, where that is known, with its number and the ranks.
  std::string pending(const std::string& operation) const {
    const auto stuck = oldest_pending(live_, queue_);
    return stuck ? stuck->words() : operation;
  }

  struct Missing {
    int rank = -1;           // -1: none
    std::uint64_t turn = 0;  // of what it is missing in
    friend bool operator==(const Missing&, const Missing&) = default;
  };
  /// A rank of this process that has returned though something that needs it is under way here.
  Missing missing_member() const {
    int r = 0;
    while (r < size_ && !fate_->has_left(r)) ++r;
    if (r == size_) return {};
    const auto stuck = oldest_pending(live_, queue_);
    for (; stuck && r < size_; ++r)
      if (fate_->has_left(r) && stuck->needs(r)) return {r, stuck->entry.turn};
    return {};
  }
  ncclComm_t any() const { return live_.empty() ? nullptr : live_.front()->comm; }

  std::shared_ptr<Fate> fate_;
  int rank_, size_, gpu_;
  std::chrono::nanoseconds grace_;
  std::thread::id owner_ = std::this_thread::get_id();
  std::vector<NcclLive*> live_;
  NcclQueue queue_;
  std::deque<ncclComm_t> slots_;
  std::deque<ncclWindow_t> windows_;
  NcclAbort abort_;
};

}  // namespace cohort::detail
