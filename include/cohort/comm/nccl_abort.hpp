// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/nccl_abort.hpp: how a rank's communicators of NCCL end when no peer may be waited for.
#pragma once
#include <cohort/comm/nccl_log.hpp>

#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace cohort::detail {

/// One communicator of a rank as its failure domain knows it.
struct NcclLive {
  ncclComm_t comm = nullptr;  // nullptr: aborted or closed
  std::vector<int> members;   // ranks of the world
  std::uint64_t number = 0;   // collectives so far
  NcclLog log;
};

/// Aborts a rank's communicators, all as one group: an abort waits for its communicator's kernels, and they
/// may stand behind another's that peers will not join. It also waits until no graph holds a call of the
/// communicator: who captures has a word before. Members are those of the rank's host thread.
///
/// Source   NCCL 2.28.9: ncclCommAbort and commDestroySync (init.cc); groups with an abort block until all
///          have ended, whatever the communicators (ncclAsyncLaunch in group.cc).
class NcclAbort {
 public:
  /// f is called before communicators are aborted, as long as what this returns is held.
  std::shared_ptr<void> before(std::function<void()> f) {
    const auto gone = [](const auto& call) { return call.expired(); };
    before_.erase(std::remove_if(before_.begin(), before_.end(), gone), before_.end());
    const auto call = std::make_shared<std::function<void()>>(std::move(f));
    before_.push_back(call);
    return call;
  }

  /// Within a group NCCL puts aborts off, so one that is open ends first.
  ncclResult_t begin_group() {
    const ncclResult_t result = ncclGroupStart();
    open_groups_ += result == ncclSuccess;
    return result;
  }
  /// Nothing where an abort has ended it.
  ncclResult_t end_group() {
    if (open_groups_ == 0) return ncclSuccess;
    --open_groups_;
    return ncclGroupEnd();
  }

  /// Returns when all have ended; the list is empty then.
  void operator()(std::vector<NcclLive*>& live) {
    if (live.empty()) return;
    while (open_groups_ > 0) end_group();
    let_go(live);
    ncclGroupStart();
    // All are told to quit before any is waited for, and one that NCCL's thread is still busy with, which
    // is waited for at once, comes last.
    for (const bool last : {false, true}) {
      for (NcclLive* one : live)
        if (one->comm != nullptr && (last || !busy(*one)))
          ncclCommAbort(std::exchange(one->comm, nullptr));
    }
    ncclGroupEnd();
    live.clear();
  }

 private:
  static bool busy(const NcclLive& live) {
    ncclResult_t state = ncclSuccess;
    return live.comm != nullptr && ncclCommGetAsyncError(live.comm, &state) == ncclSuccess &&
           state == ncclInProgress;
  }
  void let_go(const std::vector<NcclLive*>& live) {
    if (before_.empty()) return;
    // A call in progress may be adding to a graph: a moment for it to end.
    const auto any_busy = [&] {
      return std::any_of(live.begin(), live.end(), [](const NcclLive* one) { return busy(*one); });
    };
    const auto limit = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
    while (any_busy() && std::chrono::steady_clock::now() < limit) std::this_thread::yield();
    for (const auto& held : before_)
      if (const auto call = held.lock()) (*call)();
  }

  std::vector<std::weak_ptr<std::function<void()>>> before_;
  int open_groups_ = 0;
};

}  // namespace cohort::detail
