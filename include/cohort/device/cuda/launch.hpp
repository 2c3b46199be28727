// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/device/cuda/launch.hpp: kernels as types: what a block offers them, and how they are launched.
#pragma once
#include <cohort/core/host_device.hpp>
#include <cohort/device/cuda/device.hpp>
#include <cohort/device/cuda/error.hpp>
#include <cstddef>
#include <source_location>
#include <type_traits>

#if !defined(__CUDACC__)
#error \
    "cohort: this file launches CUDA kernels: compile it with nvcc (a .cu file). [cohort/device/cuda/launch.hpp]"
#endif

namespace cohort::cuda {

/// Threads that execute together, on every GPU so far.
inline constexpr int warp_size = 32;

/// The block that a kernel runs in, seen by one of its threads. One dimension; kernels fold others.
/// Collective members are called by all threads of the block (sync), or of the warp, alike.
class Block {
 public:
  __device__ int thread() const { return static_cast<int>(threadIdx.x); }
  __device__ int threads() const { return static_cast<int>(blockDim.x); }
  __device__ int index() const { return static_cast<int>(blockIdx.x); }
  __device__ int count() const { return static_cast<int>(gridDim.x); }
  __device__ int lane() const { return thread() % warp_size; }
  __device__ int warp() const { return thread() / warp_size; }
  /// All threads of the block have arrived; what they wrote to memory is seen by all.
  __device__ void sync() const { __syncthreads(); }
  __device__ void sync_warp() const { __syncwarp(); }
  /// The value of another lane. T has 4 or 8 bytes.
  template <class T> __device__ T shuffle(T value, int lane) const {
    return __shfl_sync(0xffffffffu, value, lane);
  }
  template <class T> __device__ T shuffle_xor(T value, int mask) const {
    return __shfl_xor_sync(0xffffffffu, value, mask);
  }
  __device__ unsigned ballot(bool value) const { return __ballot_sync(0xffffffffu, value); }
  /// Adds without an order, so for integers only; any memory. Returns what was there.
  __device__ unsigned long long atomic_add(unsigned long long* to, unsigned long long value) const {
    return atomicAdd(to, value);
  }
  __device__ unsigned atomic_add(unsigned* to, unsigned value) const {
    return atomicAdd(to, value);
  }
  __device__ unsigned atomic_exchange_if(unsigned* at, unsigned expected, unsigned value) const {
    return atomicCAS(at, expected, value);
  }
  /// Everything this thread wrote before is seen by other blocks that see what it writes after.
  __device__ void fence() const { __threadfence(); }
};

namespace detail {
template <class K>
concept SaysBlocksPerProcessor = requires {
  K::blocks_per_processor;
};
template <class K> consteval int blocks_per_processor() {
  if constexpr (SaysBlocksPerProcessor<K>)
    return K::blocks_per_processor;
  else
    return 1;
}
template <class K>
inline constexpr std::size_t shared_bytes = std::is_empty_v<typename K::Shared>
                                                ? 0
                                                : sizeof(typename K::Shared);

[[noreturn]] inline void refuse_shared(std::size_t bytes, std::source_location place) {
  cudaGetLastError();  // it is reported here
  throw Error(
      -1, "CUDA",
      "the kernel launched at " + std::string(place.file_name()) + ":" +
          std::to_string(place.line()) + " takes " + std::to_string(bytes) +
          " bytes of shared memory a block, more than this GPU has. Use smaller tiles there, "
          "or a GPU with more (sm_90 has 227 KiB, sm_80 163, sm_86 and sm_89 99, sm_75 64).");
}
template <class K>
__global__ void __launch_bounds__(K::threads, blocks_per_processor<K>())
    run(const __grid_constant__ K kernel) {
  extern __shared__ __align__(128) unsigned char shared[];
  kernel(Block{}, *reinterpret_cast<typename K::Shared*>(shared));
}
}  // namespace detail

/// Runs `kernel` in `blocks` blocks of K::threads threads on the device's stream; 0 blocks do nothing.
///
/// K        copyable, its arguments are its members; `static constexpr int threads`; `struct Shared`,
///          the block's shared memory, uninitialised (may be empty); optional `static constexpr int
///          blocks_per_processor`; `COHORT_DEVICE void operator()(const Block&, Shared&) const`, a
///          template over Block so that tests can run it.
/// Errors   Error with the caller's place when the launch is refused. ContractBroken for fewer than 0 blocks, which
///          a count of 2^31 elements in an int gives.
template <class K>
void launch(const Cuda& device, int blocks, const K& kernel,
            std::source_location place = std::source_location::current()) {
  static_assert(K::threads % warp_size == 0 && K::threads > 0 && K::threads <= 1024,
                "cohort: a kernel's threads are whole warps: a multiple of 32, at most 1024. "
                "[cohort/device/cuda/launch.hpp]");
  static_assert(
      std::is_trivially_copyable_v<K> && sizeof(K) <= 32764,
      "cohort: a kernel's members are its arguments, which the driver copies bit by bit: "
      "numbers, pointers and plain structs of these, at most 32764 bytes. Give a vector's "
      "data() in device memory. [cohort/device/cuda/launch.hpp]");
  static_assert(
      std::is_trivially_default_constructible_v<typename K::Shared>,
      "cohort: a kernel's struct Shared is memory that nobody initialises: plain arrays and "
      "numbers without initial values. [cohort/device/cuda/launch.hpp]");
  static_assert(
      sizeof(typename K::Shared) <= 227 * 1024,
      "cohort: a kernel's struct Shared is larger than any GPU's shared memory for a block, "
      "227 KiB (sm_90; sm_80 163, sm_86 and sm_89 99, sm_75 64). "
      "[cohort/device/cuda/launch.hpp]");
  check_blocks(blocks, place);
  if (blocks == 0) return;
  constexpr std::size_t shared = detail::shared_bytes<K>;
  if constexpr (shared > 48 * 1024) {
    const cudaError_t given = cudaFuncSetAttribute(
        detail::run<K>, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared));
    if (given == cudaErrorInvalidValue) detail::refuse_shared(shared, place);
    check(given, place);
  }
  detail::run<K><<<static_cast<unsigned>(blocks), K::threads, shared, device.stream>>>(kernel);
  check(cudaGetLastError(), place);
}

}  // namespace cohort::cuda
