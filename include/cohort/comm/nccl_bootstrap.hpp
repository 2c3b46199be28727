// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/nccl_bootstrap.hpp: which rank this is, on which GPU, and where the ranks of NCCL meet.
#pragma once
#include <cohort/comm/launch_options.hpp>
#include <cohort/comm/launcher_environment.hpp>
#include <cohort/comm/meeting_point.hpp>
#include <cohort/comm/nccl_domain.hpp>

#include <nccl.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

namespace cohort::detail {

/// A rank's number, how many there are, and the ordinal of its GPU among those that its process sees.
struct NcclSeat {
  int rank = 0;
  int size = 1;
  int gpu = 0;

  friend constexpr bool operator==(const NcclSeat&, const NcclSeat&) = default;
};

/// The GPUs of the ranks that one process runs as threads: --gpus, or the first --ranks, or one.
///
/// Errors   InvalidInput: more ranks than GPUs, a GPU that is not there or named twice, --ranks that
///          contradicts --gpus.
inline std::vector<int> nccl_gpus(const LaunchOptions& options, int visible) {
  std::vector<int> gpus = options.gpus;
  if (gpus.empty()) {
    for (int gpu = 0; gpu < std::max(1, options.ranks); ++gpu) gpus.push_back(gpu);
  }
  const int ranks = static_cast<int>(gpus.size());
  if (options.ranks != 0 && options.ranks != ranks) {
    throw InvalidInput(-1, "launch",
                       phrase(options.ranks, " ranks were asked for on ", ranks,
                              " GPUs: every rank has one of its own. Leave out --ranks."));
  }
  for (int gpu : gpus) {
    if (gpu < 0 || gpu >= visible) {
      throw InvalidInput(
          -1, "launch",
          phrase(ranks, ranks == 1 ? " rank" : " ranks", " would need GPU ", gpu,
                 " but this process sees ", visible,
                 " (nvidia-smi -L; CUDA_VISIBLE_DEVICES). Use fewer ranks; several on "
                 "one GPU are launch<Threads> with SharedGpu."));
    }
    if (std::count(gpus.begin(), gpus.end(), gpu) > 1) {
      throw InvalidInput(-1, "launch",
                         phrase("GPU ", gpu,
                                " is named twice: NCCL wants one rank on each. Several "
                                "ranks on one GPU are launch<Threads> with SharedGpu."));
    }
  }
  return gpus;
}

/// Where the launcher put this process. Its GPU is the one of its number on this machine, or the only
/// one that it sees if the launcher shows each process its own.
///
/// Errors   InvalidInput: --gpus or another --ranks than the launcher's; more processes on a machine
///          than GPUs; a launcher that does not number them.
template <class Lookup>
NcclSeat nccl_seat(const LaunchOptions& options, const Launcher& launcher, int visible,
                   const Lookup& lookup) {
  if (!options.gpus.empty()) {
    throw InvalidInput(-1, "launch",
                       phrase("--gpus is for one process with a thread per GPU, and ",
                              name(launcher.kind), " started ", launcher.size,
                              " processes. Leave it out, or set CUDA_VISIBLE_DEVICES instead."));
  }
  if (options.ranks != 0 && options.ranks != launcher.size) {
    throw InvalidInput(-1, "launch",
                       phrase(options.ranks, " ranks were asked for but ", name(launcher.kind),
                              " started ", launcher.size, ". Leave the number to the launcher."));
  }
  const char* shown = lookup("CUDA_VISIBLE_DEVICES");
  const int local = launcher.size == 1 && launcher.local_rank < 0 ? 0 : launcher.local_rank;
  if (visible == 1 && (local <= 0 || shown != nullptr)) return {launcher.rank, launcher.size, 0};
  if (local < 0) {
    throw InvalidInput(launcher.rank, "launch",
                       phrase(name(launcher.kind),
                              " does not say which process of this machine this "
                              "is, so it cannot choose among ",
                              visible,
                              " GPUs: set LOCAL_RANK, or show each process its own by "
                              "CUDA_VISIBLE_DEVICES."));
  }
  if (local >= visible) {
    throw InvalidInput(
        launcher.rank, "launch",
        phrase("this is process ", local, " (from 0) on this machine but it sees ", visible,
               visible == 1 ? " GPU" : " GPUs", " (CUDA_VISIBLE_DEVICES is ",
               shown == nullptr ? "not set" : phrase("'", shown, "'"),
               "): start at most one process per GPU."));
  }
  return {launcher.rank, launcher.size, local};
}

/// Are the ranks threads of this process? Then, if they are several, CUDA shall load all kernels when it starts,
/// unless the environment says otherwise; so before the first call of CUDA.
///
/// Source   CUDA C++ Programming Guide, lazy loading: a kernel's first launch may wait for those that run, and they, in
///          NCCL, for the thread that launches. CUDA reads CUDA_MODULE_LOADING when the driver is initialised.
inline bool nccl_in_threads(const LaunchOptions& options, const std::vector<Launcher>& found) {
  if (!found.empty() && (found[0].size > 1 || options.gpus.empty())) return false;
  if (options.ranks > 1 || options.gpus.size() > 1) setenv("CUDA_MODULE_LOADING", "EAGER", 0);
  return true;
}

/// NCCL_COMM_BLOCKING=1 overrides what a program asks of its communicators, and no wait of NCCL's own ends at a
/// timeout. Asked once NCCL has read its files, which it puts into the environment.
///
/// Errors   InvalidInput.
/// Source   NCCL 2.27 to 2.30: ncclParamCommBlocking in init.cc, read by strtoll.
template <class Lookup> void refuse_blocking(int rank, const Lookup& lookup) {
  const char* const text = lookup("NCCL_COMM_BLOCKING");
  if (text == nullptr || std::strtoll(text, nullptr, 0) != 1) return;
  throw InvalidInput(rank, "launch",
                     "NCCL_COMM_BLOCKING=1 makes NCCL wait without limit, and no failure of a rank "
                     "would reach the "
                     "others. Unset it (it may stand in /etc/nccl.conf or ~/.nccl.conf).");
}

/// How often NCCL shall try to reach the meeting point so that it does for the whole timeout, but no longer than ten
/// minutes, or sleeps between attempts would hold up an abort; and never less than it does by itself.
///
/// Source   NCCL 2.27 to 2.30: socketConnectCheck (misc/socket.cc, in 2.30.7 os/linux.cc) sleeps 100 ms x n before attempt n, 34 times.
constexpr int nccl_retries(std::chrono::milliseconds timeout) {
  constexpr int least = 34, most = 110;  // 59.5 s, 610.5 s
  int n = least;
  while (n < most && std::chrono::milliseconds(100) * (n * (n + 1) / 2) < timeout) ++n;
  return n;
}

/// The id under which ranks meet. With a meeting point every process makes the same one by itself, and waits for
/// rank 0 to be there; without one ("") it must be passed on.
inline ncclUniqueId nccl_unique_id(const std::string& meeting_point,
                                   std::chrono::milliseconds timeout = {}) {
  if (!meeting_point.empty()) {
    setenv("NCCL_COMM_ID", meeting_point.c_str(), 1);
    setenv("NCCL_SOCKET_RETRY_CNT", std::to_string(nccl_retries(timeout)).c_str(), 0);
  }
  ncclUniqueId id;
  check_nccl(ncclGetUniqueId(&id), -1, "launch");
  return id;
}

}  // namespace cohort::detail
