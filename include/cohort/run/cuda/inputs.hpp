// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/cuda/inputs.hpp: the rows of a step on their way to a GPU, through pinned memory.
#pragma once
#include <array>
#include <cohort/device/cuda/event.hpp>
#include <cohort/device/cuda/memory.hpp>
#include <cohort/run/cuda/machine.hpp>
#include <cohort/run/inputs.hpp>
#include <cstring>

namespace cohort::detail {

/// Owns two places on the GPU for one step's rows, and two in pinned host memory. The copy stream brings the next
/// step's rows to the first place while the GPU computes; layers, and graphs that were captured, read the
/// second, to which the compute stream moves them. The host writes to one pinned place while the other is
/// copied from.
///
/// Cost     a step waits for its rows only where the host brings them late, and moves them once inside the GPU.
template <class Plan, class Machine> class Inputs<Plan, Machine, Cuda> {
 public:
  using D = typename Plan::gradient;
  using X = typename Plan::model::Input;
  using Y = typename Plan::loss::Target;

  Inputs(const Machine& machine, Rows most)
      : machine_(machine),
        bytes_(Plan::staged_bytes(most)),
        target_at_(host_bytes<X, D>(most)),
        memory_(2 * bytes_),
        pinned_(slots * bytes_) {}

  template <class In, class Target> auto operator()(In x, Target y) {
    begin();
    const std::pair staged{queue(x, 0), queue(y, target_at_)};
    end();
    return staged;
  }
  template <class In> auto operator()(In x) {
    begin();
    const auto staged = queue(x, 0);
    end();
    return staged;
  }
  template <class T, int C> Tensor<const T, C> result(Tensor<const T, C, OnGpu> y) {
    const std::size_t bytes = y.size() * sizeof(T);
    if (result_.bytes() < bytes) result_ = HostMemory(bytes);
    machine_.settle();
    device().download(result_.as<T>(), y.data, bytes);
    return {result_.as<T>(), y.rows};
  }

 private:
  static constexpr std::size_t slots = 2;
  const Cuda& device() const { return machine_.compute(); }
  cudaStream_t copies() const { return machine_.copies(); }
  /// The pinned place is free, and the first on the GPU will be when the copy stream comes to it.
  void begin() {
    slot_ = (slot_ + 1) % slots;
    machine_.wait(arrived_[slot_]);
    moved_.delay(copies());
  }
  /// All has been queued: the compute stream moves it on.
  void end() {
    arrived_[slot_].record(copies());
    arrived_[slot_].delay(device().stream);
    if (used_ > 0) device().copy(memory_.as<std::byte>(), memory_.as<std::byte>() + bytes_, used_);
    moved_.record(device().stream);
  }
  /// A caller's rows may change when this returns; the GPU reads them at `at` in its own memory.
  template <class T, int C>
  Tensor<const T, C, OnGpu> queue(Tensor<const T, C> rows, std::size_t at) {
    return {static_cast<const T*>(copied(rows.data, rows.size() * sizeof(T), at)), rows.rows};
  }
  TokensIn<OnGpu> queue(Tokens rows, std::size_t at) {
    return {static_cast<const int*>(copied(rows.data, rows.size() * sizeof(int), at)), rows.rows};
  }
  const void* copied(const void* data, std::size_t bytes, std::size_t at) {
    std::byte* from = pinned_.as<std::byte>() + slot_ * bytes_ + at;
    std::byte* to = memory_.as<std::byte>() + at;
    if (bytes > 0) {
      std::memcpy(from, data, bytes);
      cuda::check(cudaMemcpyAsync(to + bytes_, from, bytes, cudaMemcpyHostToDevice, copies()));
    }
    used_ = at + bytes;
    return to;
  }

  const Machine& machine_;
  std::size_t bytes_, target_at_, slot_ = 0, used_ = 0;
  cuda::Memory memory_;
  cuda::PinnedMemory pinned_;
  HostMemory result_;
  std::array<cuda::Event, slots> arrived_;  // from the pinned place
  cuda::Event moved_;                       // from the first place on the GPU to the second
};

}  // namespace cohort::detail
