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

/// Owns a place on the GPU for one step's rows, and two in pinned host memory: while one is copied from,
/// the next step's rows are written to the other.
template <class Plan, class Machine> class Inputs<Plan, Machine, Cuda> {
 public:
  using D = typename Plan::gradient;
  using X = typename Plan::model::Input;
  using Y = typename Plan::loss::Target;

  Inputs(const Machine& machine, Rows most)
      : machine_(machine),
        bytes_(Plan::staged_bytes(most)),
        target_at_(host_bytes<X, D>(most)),
        memory_(bytes_),
        pinned_(slots * bytes_) {}

  template <class In, class Target> auto operator()(In x, Target y) {
    take_slot();
    const std::pair staged{queue(x, 0), queue(y, target_at_)};
    copied_[slot_].record(device().stream);
    return staged;
  }
  template <class In> auto operator()(In x) {
    take_slot();
    const auto staged = queue(x, 0);
    copied_[slot_].record(device().stream);
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
  void take_slot() {
    slot_ = (slot_ + 1) % slots;
    machine_.wait(copied_[slot_]);
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
      cuda::check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, device().stream));
    }
    return to;
  }

  const Machine& machine_;
  std::size_t bytes_, target_at_, slot_ = 0;
  cuda::Memory memory_;
  cuda::PinnedMemory pinned_;
  HostMemory result_;
  std::array<cuda::Event, slots> copied_;
};

}  // namespace cohort::detail
