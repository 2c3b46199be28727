// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// support/cuda_double/double.hpp: what tests ask of, and tell, the CUDA that runs on the CPU.
#pragma once
#include <cuda_runtime_api.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

/// A link-time double of the CUDA runtime and of cublasLt: memory is host memory, a stream is a worker
/// thread with a queue, an event is a dependency between two of them, a kernel is run block by block
/// with a fiber per thread. ThreadSanitizer sees these dependencies and no others: a missing wait is a
/// race. Only what runs on streams, or asks about them, is executed by the double; the program is real.
///
/// Switches concern the whole process. Reset restores defaults between tests.
namespace cohort::cuda_double {

/// Restores every switch below, forgets logs and counts (not allocations). No work may be queued.
void reset();

// ---- streams -------------------------------------------------------------------------------------
/// Queues host work on a stream as if it were a kernel (in capture: records it). On nullptr, CUDA's
/// default stream, it is done on return, after everything that blocking streams hold.
cudaError_t enqueue(cudaStream_t stream, std::function<void()> work);
/// Has a stream of the calling thread's GPU work that is not done?
bool busy();
/// Every later task of the stream waits this long before it begins; nullptr: every stream's.
void delay(cudaStream_t stream, std::chrono::microseconds time);
/// A call that queues work where so much is not done yet waits until less is, as CUDA does with about a
/// thousand launches; 0: never.
void limit_queues(std::uint32_t most);
/// Streams and events that were created and not destroyed.
std::size_t live_streams();
std::size_t live_events();

// ---- what is executed ----------------------------------------------------------------------------
/// false: kernels, copies, fills and matrix products are logged but do nothing. For control flow of
/// models that are too large to compute.
void set_execute(bool);
bool executes();
/// false: ThreadSanitizer does not compare the threads of a kernel with each other, only kernels with
/// other work; a tenth of the time.
void watch_kernels(bool);
/// The order in which blocks, and the threads of a block, begin; and in which a graph runs work that
/// has no order. Results that differ show a missing sync() or dependency.
enum class Order { forward, backward };
void set_order(Order);
Order order();

/// The flags of the last cudaGraphInstantiate.
unsigned long long graph_flags();

// ---- what went wrong on a stream -----------------------------------------------------------------
/// The first mistake of a kernel (a barrier that some threads miss ...) or exception on a stream since
/// the last call, "" if there was none. Unless a test takes it, it ends the process with status 86.
/// As on a GPU every later call returns an error (cudaErrorLaunchFailure) until it is taken.
std::string take_failure();
void report_failure(const std::string& what);

// ---- memory --------------------------------------------------------------------------------------
struct Memory {
  std::size_t live_bytes = 0, peak_bytes = 0;  // as asked for
  int allocations = 0;                         // made so far, freed or not
  std::vector<std::size_t> sizes;              // of live allocations, in order of allocation
};
/// Of one GPU, or of all (-1).
Memory device_memory(int device = -1);
Memory pinned_memory();
/// Peaks and counts begin again from what is live.
void reset_peaks();
/// Beyond so many bytes in all, cudaMalloc of a GPU returns cudaErrorMemoryAllocation.
void limit_memory(std::size_t bytes);
/// Is [p, p + bytes) within one live allocation of a GPU?
bool on_device(const void* p, std::size_t bytes = 1);
/// The live allocation around an address, of a GPU or pinned: its begin and bytes (0: there is none).
std::pair<const void*, std::size_t> allocation(const void* p);

// ---- the machine ---------------------------------------------------------------------------------
/// How many GPUs there are (1 by default); 0: cudaErrorNoDevice.
void set_devices(int count);
void set_properties(int multiprocessors, int major, int minor);
/// As CUDA has them: 13000 is 13.0; driver 0: none.
void set_versions(int driver, int runtime);
/// May GPUs read each other's memory? (true by default)
void set_peer_access(bool);

// ---- mistakes on demand --------------------------------------------------------------------------
/// The n-th call (from 1) of `function` from now on, e.g. "cudaMalloc", returns `error` and does
/// nothing else. Kernel launches are "launch"; functions of cublasLt take a cublasStatus_t.
void fail(const std::string& function, int nth, int error);
/// Calls of `function` since the last reset().
int calls(const std::string& function);
/// First statement of each function of the double: counts, and says what the call shall return (0:
/// go on).
int entered(const char* function);

// ---- cublasLt ------------------------------------------------------------------------------------
/// false: the heuristic knows no product with an epilogue (CUBLAS_STATUS_NOT_SUPPORTED).
void support_epilogues(bool);
/// The heuristic knows three algorithms for each product; this one takes so much longer.
void slow_algorithm(int index, std::chrono::microseconds);
/// The schemes of reduction (cublasLtReductionScheme_t) that the last heuristic might choose from.
unsigned reductions();
/// Handles, descriptors, layouts and preferences that were created and not destroyed.
int live_blas_objects();

// ---- the log -------------------------------------------------------------------------------------
struct Record {
  enum Kind { kernel, copy, fill, product, host } kind;
  cudaStream_t stream;
  std::string name;   // kernel: its type; copy: "host to device" ...; product: "m x n x k"
  int blocks = 0;     // of a kernel
  int threads = 0;    // of its blocks
  std::size_t bytes;  // copied, filled, or a kernel's shared memory
  bool pageable;      // a copy from or to host memory that is not pinned
  bool captured;      // queued into a graph
};
/// What was queued since reset() or the last call, in order of the calls, when recording is on.
void record(bool);
std::vector<Record> take_log();
void log(Record);

// ---- kernels (for launch.hpp) --------------------------------------------------------------------
class Team;
std::string demangled(const char* name);
struct KernelType {
  const char* mangled_name;
  int threads;
  std::size_t shared_bytes;
  std::size_t bytes, alignment;  // of the functor
  void (*run)(const void* kernel, Team& team, int thread, int block, void* shared);
};
/// Copies the kernel and queues it.
cudaError_t launch(cudaStream_t stream, int blocks, const KernelType& type, const void* kernel);
/// Logs a kernel and queues what does its work on its stream.
cudaError_t launch(Record what, std::function<void()> work);
/// What cudaFuncSetAttribute allows `function` of shared memory: 48 KiB by default.
std::size_t shared_limit(const void* function);

}  // namespace cohort::cuda_double
