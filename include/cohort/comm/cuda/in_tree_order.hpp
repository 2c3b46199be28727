// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/cuda/in_tree_order.hpp: a communicator of GPUs whose sums have the order of comm/sum.hpp.
#pragma once
#include <cohort/comm/cuda/tree_sum.hpp>
#include <cohort/comm/exchanged_memory.hpp>
#include <cohort/concepts/communicator.hpp>
#include <cohort/core/error.hpp>
#include <cohort/device/cuda/device.hpp>
#include <cohort/plan/exchange.hpp>

#include <cuda_runtime_api.h>

#include <concepts>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <utility>

namespace cohort {

/// Has exchange_slices beside collectives on device memory.
template <class C>
concept ExchangesSlices = requires(C& c, const float* in, float* out, Slices s) {
  { c.exchange_slices(in, out, s) } -> std::same_as<void>;
};

/// Wraps a communicator of GPUs that adds up in an order of its own (NcclStream): here ranks exchange what they
/// have, and each adds up its slice in the tree of comm/sum.hpp, 16-bit types in fp32, rounded once. The bits are
/// those of Threads and Mpi. Integers are added by the wrapped communicator: their sums have no order.
///
/// Shapes   as the wrapped communicator's; all_reduce and reduce_scatter in place, too.
/// Comm     reduce_scatter: exchange_slices, one kernel. all_reduce: the same of slices, then an all_gather;
///          short arrays: an all_gather and one kernel. A rank sends as many bytes as in a ring, but straight to
///          whom they are for: out of a machine of L GPUs go L times the bytes that rings send between machines.
/// Cost     exchange_bytes(...) of memory (plan/exchange.hpp), registered like other exchanged memory; reading
///          and writing the array once more on the GPU.
/// Errors   as the wrapped communicator's; ContractBroken for arrays that the memory does not hold.
/// Laws     tests/comm/cuda/in_tree_order_test.cpp.
/// Source   Megatron-Core's reduce_scatter_with_fp32_accumulation exchanges slices for the sake of fp32 sums.
template <ExchangesSlices C> class InTreeOrder {
  using Memory = detail::ExchangedMemory<C, Cuda>;

 public:
  static constexpr bool sums_in_tree_order = true;
  static constexpr int max_ranks = cuda::SumSlices<float, 13>::max_ranks;

  /// Takes so many bytes for what peers send. Collective.
  InTreeOrder(C comm, const Cuda& device, std::size_t bytes)
      : InTreeOrder(std::move(comm), device, std::make_shared<Memory>(bytes)) {}

  int rank() const { return comm_.rank(); }
  int size() const { return comm_.size(); }
  cudaStream_t stream() const { return comm_.stream(); }
  bool spins() const { return comm_.spins(); }

  template <Summable T> void all_reduce(T* inout, std::size_t count) {
    if constexpr (std::integral<T>) {
      comm_.all_reduce(inout, count);
    } else if (size() == 1 || count == 0) {
      return;
    } else if (exchanged_whole(count, sizeof(T), size())) {
      T* const all = room<T>("all_reduce", static_cast<std::size_t>(size()) * count);
      comm_.all_gather(static_cast<const T*>(inout), all, count);
      add_up<T>(all + static_cast<std::size_t>(rank()) * count, all, count, count, inout);
    } else {
      const Slices s = slices(count, sizeof(T), size());
      T* const others = room<T>("all_reduce", s.padded(size()));
      // Where slices do not fill the array, what the last ones lack stands in the memory behind it.
      T* const whole = s.padded(size()) == count ? inout : others;
      const std::size_t mine = static_cast<std::size_t>(rank()) * s.each;
      comm_.exchange_slices(static_cast<const T*>(inout), others, s);
      add_up<T>(inout + s.begin(rank()), others, s.each, s.size(rank()), whole + mine);
      comm_.all_gather(static_cast<const T*>(whole + mine), whole, s.each);
      if (whole != inout)
        cuda::check(
            cudaMemcpyAsync(inout, whole, count * sizeof(T), cudaMemcpyDeviceToDevice, stream()));
    }
  }

  template <Summable T> void reduce_scatter(const T* in, T* out, std::size_t count_per_rank) {
    if constexpr (!std::integral<T>) {
      if (size() > 1 && count_per_rank > 0) {
        const Slices s{static_cast<std::size_t>(size()) * count_per_rank, count_per_rank};
        T* const others = room<T>("reduce_scatter", s.count);
        comm_.exchange_slices(in, others, s);
        return add_up<T>(in + s.begin(rank()), others, s.each, s.each, out);
      }
    }
    comm_.reduce_scatter(in, out, count_per_rank);
  }
  template <class T> void all_gather(const T* in, T* out, std::size_t count_per_rank) {
    comm_.all_gather(in, out, count_per_rank);
  }
  template <class T> void broadcast(T* inout, std::size_t count, int root) {
    comm_.broadcast(inout, count, root);
  }
  void barrier() { comm_.barrier(); }

  /// One group per color, ranked by key, then by rank here. Groups share this one's memory: all of them are used
  /// on its stream. Collective.
  InTreeOrder split(int color, int key) {
    return InTreeOrder(comm_.split(color, key), device_, memory_);
  }
  InTreeOrder duplicate() { return InTreeOrder(comm_.duplicate(), device_, memory_); }
  void abort(std::exception_ptr error) { comm_.abort(std::move(error)); }

  void synchronize() { comm_.synchronize(); }
  void synchronize(cudaStream_t stream) { comm_.synchronize(stream); }
  template <class Done> void await(const Done& done) { comm_.await(done); }
  void abandon() requires requires(C& c) { c.abandon(); }
  { comm_.abandon(); }
  template <class F> auto before_abort(F f) requires requires(C& c) { c.before_abort(f); }
  { return comm_.before_abort(std::move(f)); }

  C& wrapped() { return comm_; }

 private:
  InTreeOrder(C comm, const Cuda& device, std::shared_ptr<Memory> memory)
      : comm_(std::move(comm)), device_(device), memory_(std::move(memory)) {
    device_.stream = comm_.stream();
    if (size() > max_ranks) {
      throw InvalidInput(rank(), "launch",
                         "sums in tree order are for at most " + std::to_string(max_ranks) +
                             " ranks, not " + std::to_string(size()) +
                             ". Leave TreeOrder or Reproducible out of Trainer's list.");
    }
    detail::announce(comm_, *memory_);
  }

  template <class T> T* room(const char* operation, std::size_t count) const {
    if (count * sizeof(T) > memory_->bytes()) {
      throw ContractBroken(rank(), operation,
                           "sums in tree order take " + std::to_string(count * sizeof(T)) +
                               " bytes here, and were given " + std::to_string(memory_->bytes()) +
                               ". The plan's exchange_bytes(ranks) covers all of its collectives.");
    }
    return memory_->template as<T>();
  }

  /// Queues out = the sum over ranks; rank r's `count` elements begin at others + r * stride.
  template <class T>
  void add_up(const T* own, const T* others, std::size_t stride, std::size_t count, T* out) {
    if (size() <= cuda::SumSlices<T, 4>::max_ranks)
      queue<T, 4>(own, others, stride, count, out);
    else if (size() <= cuda::SumSlices<T, 7>::max_ranks)
      queue<T, 7>(own, others, stride, count, out);
    else
      queue<T, 13>(own, others, stride, count, out);
  }
  template <class T, int Levels>
  void queue(const T* own, const T* others, std::size_t stride, std::size_t count, T* out) {
    const auto at = [](const T* p) { return reinterpret_cast<std::uintptr_t>(p); };
    const bool packed = (at(own) | at(others) | at(out) | stride * sizeof(T)) % 16 == 0;
    const cuda::SumSlices<T, Levels> kernel{own,   others, out,    stride,
                                            count, rank(), size(), packed};
    cuda::launch(device_, kernel.blocks(), kernel);
  }

  C comm_;
  Cuda device_;
  std::shared_ptr<Memory> memory_;  // gone before the communicators that know it: see announce()
};

}  // namespace cohort
