// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/nccl_guard.hpp: ends the process where a call of NCCL does not come back.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace cohort::detail {

/// Held around calls of NCCL that end communicators, which wait where nobody can look: for local peers to let go
/// of their connections, for NCCL's own threads, for the GPU. If it is still held at the limit, it says on stderr
/// what failed and ends the process with status 1: a thread inside NCCL cannot be stopped.
///
/// Cost     a thread while it is held.
/// Errors   none. Where the system refuses a thread, the call goes unguarded.
/// Laws     tests/comm/nccl_guard_test.cpp.
/// Source   NCCL 2.27 to 2.30: commFree (init.cc) joins the proxy's thread, which serves until the last local peer
///          is gone (ncclProxyService in proxy.cc; not in an abort of processes with cuMem host memory);
///          ncclShmemAllgather (shmutils.cc), by which ranks register buffers for NVLS, heeds no abort since 2.28.
class NcclGuard {
 public:
  /// How long an abort may take, whatever the timeout: the world has failed already. NCCL's kernels and threads hear
  /// of it in milliseconds; one that sleeps before it tries to connect again, in 11 s (nccl_retries); and work of
  /// a step or two may stand before its kernels on the GPU.
  static constexpr std::chrono::seconds grace{60};

  /// what: "closing a communicator".
  NcclGuard(int rank, std::string what, std::chrono::nanoseconds limit) noexcept {
    try {
      thread_ = std::thread([this, rank, what = std::move(what), limit] {
        std::unique_lock lock(mutex_);
        if (!gone_.wait_for(lock, limit, [this] { return over_; })) end(rank, what, limit);
      });
    } catch (const std::system_error&) {
    }
  }
  NcclGuard(const NcclGuard&) = delete;
  NcclGuard& operator=(const NcclGuard&) = delete;
  ~NcclGuard() {
    if (!thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      over_ = true;
    }
    gone_.notify_one();
    thread_.join();
  }

 private:
  [[noreturn]] static void end(int rank, const std::string& what, std::chrono::nanoseconds limit) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(limit).count();
    std::fprintf(
        stderr,
        "cohort: rank %d: %s\n"
        "cohort: rank %d: NCCL has not come back from ending this for %lld ms and cannot be "
        "stopped: it waits for another process of this machine, or for the GPU. This "
        "process ends now. End the job's other processes before you start it again "
        "(nvidia-smi shows them).\n",
        rank, what.c_str(), rank, static_cast<long long>(ms));
    std::fflush(stderr);
    std::_Exit(1);
  }

  std::mutex mutex_;
  std::condition_variable gone_;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace cohort::detail
