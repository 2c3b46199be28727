// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/nccl_memory.hpp: memory of a GPU that NCCL's collectives read and write without copies of their own.
#pragma once
#include <cohort/comm/nccl_channel.hpp>
#include <cohort/core/tensor.hpp>
#include <cohort/device/cuda/error.hpp>

#include <cuda_runtime_api.h>
#include <nccl.h>

#include <cstddef>
#include <exception>
#include <memory>
#include <vector>

static_assert(
    NCCL_VERSION_CODE >= NCCL_VERSION(2, 27, 0),
    "cohort: NCCL 2.27 or newer is needed: it registers memory. [cohort/comm/nccl_memory.hpp]");

namespace cohort {

/// Owns one zeroed piece of the current GPU's memory, from ncclMemAlloc, and what NCCL was told of it. Stays
/// where it is; its communicators outlive it.
///
/// Cost     NCCL rounds up to whole pages of the GPU (2 MiB); the plan counts bytes(). Taking, sharing and
///          giving back wait: before step 0 and after the last only.
/// Errors   Error with the bytes when the GPU has no room; share() as every collective.
/// Source   NCCL, user buffer registration. From 2.29.7 on it is symmetric memory where all ranks reach each
///          other's (NVLink in one machine), else and before a registered buffer; NCCL_WIN_ENABLE=0,
///          NCCL_LOCAL_REGISTER=0 and NCCL_CUMEM_ENABLE=0 turn one, the other or both off.
class NcclMemory {
 public:
  NcclMemory() = default;
  explicit NcclMemory(std::size_t bytes) : bytes_(round_up(bytes, alignment)) {
    if (bytes_ == 0) return;
    void* taken = nullptr;
    const ncclResult_t result = ncclMemAlloc(&taken, bytes_);
    if (result != ncclSuccess || taken == nullptr) {
      cudaGetLastError();  // it is reported here: the next launch is not to blame
      throw Error(
          -1, "memory",
          detail::phrase("NCCL refused ", bytes_, " bytes of the GPU (", ncclGetErrorString(result),
                         "). Use a smaller batch, more ranks with sharding, or a smaller "
                         "model; print(plan) lists what is needed."));
    }
    memory_.reset(taken);
    cuda::check(cudaMemset(taken, 0, bytes_));
    cuda::check(
        cudaStreamSynchronize(nullptr));  // cohort's streams do not wait for the default stream
  }
  NcclMemory(const NcclMemory&) = delete;
  NcclMemory& operator=(const NcclMemory&) = delete;
  ~NcclMemory() {
    if (memory_ == nullptr) return;
    // A collective that peers will not join would never let go of this memory.
    if (std::uncaught_exceptions() > 0)
      for (const Share& s : shares_)
        if (s.channel != nullptr) s.channel->domain().abort_all();
    cudaDeviceSynchronize();  // ncclMemFree does not wait for work that uses it, as cudaFree does
    for (const Share& s : shares_)
      if (s.channel != nullptr) s.channel->leave(s.registration);
  }

  template <class T> T* as() const { return static_cast<T*>(memory_.get()); }
  std::size_t bytes() const { return memory_ ? bytes_ : 0; }

  /// Registers it with a communicator. Collective.
  template <class Comm> void share(Comm& comm) {
    if (memory_ == nullptr) return;
    Share& s = shares_.emplace_back();
    s.registration = comm.channel()->enter(memory_.get(), bytes_);
    s.channel = comm.channel();
  }

 private:
  struct Share {
    std::shared_ptr<detail::NcclChannel> channel;
    detail::NcclRegistration registration;
  };
  struct Free {
    void operator()(void* memory) const { ncclMemFree(memory); }
  };
  std::unique_ptr<void, Free> memory_;
  std::size_t bytes_ = 0;
  std::vector<Share> shares_;
};

}  // namespace cohort
