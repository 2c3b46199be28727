// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/nccl_double/double.hpp: what tests ask of, and tell, the NCCL that runs on threads.
#pragma once
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

/// A link-time double of NCCL over the double of CUDA (support/cuda_double): ranks are threads of this
/// process, a collective is a task on each rank's stream that meets the others' tasks. Only communicators
/// that do not block are offered. Sums add rank after rank from the last to the first and round each
/// time: neither the order nor the rounding of cohort's own sums. ncclSend and ncclRecv are offered in groups to
/// which every rank of the communicator comes with something.
///
/// Hosts and streams share relaxed atomics only, so that ThreadSanitizer sees a missing wait. A program
/// that NCCL would leave undefined (calls that differ between ranks, a dead handle, a communicator used
/// while a call is in progress, by two threads, or destroyed with work under way or with windows, memory that is
/// freed while it is registered or work may use it) is reported to
/// cuda_double::report_failure, which ends the process unless the test takes it. So is an abort that would
/// never return: it waits for the communicator's kernels, which may stand behind those of another that was
/// not told to quit, and for graphs that hold its calls.
///
/// Source   NCCL 2.28.9: ncclCommWindowRegister (dev_runtime.cc) and ncclCommSplit (init.cc) return
///          ncclSuccess while they are in progress; commDestroySync (init.cc) is what an abort waits in.
///          Kernels on symmetric memory look at the abort flag since 2.29.7 (testAbort in nccl_device).
namespace cohort::nccl_double {

/// Restores the defaults of everything below and forgets the log and dead communicators.
void reset();

/// So many looks at the asynchronous error find a call in progress before it takes effect; 0: calls
/// take effect at once.
void set_polls(int looks);
/// Whether ranks hear of a peer's abort as over a network (ncclRemoteError), or not at all, as over
/// NVLink.
void set_peers_hear(bool);

/// What ncclGetVersion says, and which NCCL the double behaves like; by default that of nccl.h.
void set_version(int code);
/// The most that memory can be registered as; whoever asks for more, or for anything where there is none,
/// gets ncclSuccess and no handle, as on machines without symmetric memory.
enum class Registration { none, buffers, windows };
void set_registration(Registration most);
/// From now on this function does not return. For processes that are ended.
void block(const std::string& function);

/// The rank's number-th collective (from 1) on any communicator of `size` ranks, by its rank there:
/// never ends (a kernel that hangs), or never ends and shows an asynchronous error.
void hang(int size, int rank, std::uint64_t number);
void break_async(int size, int rank, std::uint64_t number, ncclResult_t error);
/// The next call of this function returns the error, on whichever rank.
void fail(const std::string& function, ncclResult_t error);
/// The next ncclCommSplit begins well and fails later; NCCL then hands out a communicator that serves for
/// an abort only.
void fail_later(const std::string& function, ncclResult_t error);

/// Communicators that were neither destroyed nor aborted.
int live();
/// Pieces of memory of ncclMemAlloc that were not freed.
int live_memory();
/// How communicators ended since reset().
int destroyed();
int aborted();

/// One call of a collective as it was issued.
struct Call {
  std::string function;
  std::size_t count;
  ncclDataType_t type;
  ncclRedOp_t op;  // ncclSum where there is none
  int root;        // 0 where there is none; the peer of ncclSend and ncclRecv
  int rank, size;  // of the communicator
  cudaStream_t stream;
  bool grouped;
  bool registered = false;  // both arrays lie in memory that is registered with the communicator
  bool in_windows = false;  // in symmetric windows

  friend bool operator==(const Call&, const Call&) = default;
};
/// All calls of communicators of this size by this rank, in order.
std::vector<Call> calls(int size, int rank);

}  // namespace cohort::nccl_double
