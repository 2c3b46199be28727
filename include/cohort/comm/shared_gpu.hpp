// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/shared_gpu.hpp: several ranks on one GPU: threads whose collectives are kernels over peers' memory.
#pragma once
#include <cohort/comm/shared_gpu_kernels.hpp>
#include <cohort/comm/threads.hpp>
#include <cohort/concepts/communicator.hpp>
#include <cohort/device/cuda/device.hpp>
#include <cohort/device/cuda/error.hpp>
#include <cohort/device/cuda/event.hpp>

#include <cuda_runtime_api.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace cohort {

/// Collectives among threads of one process that share a GPU, each with streams and memory of its own:
/// the code of many GPUs on a single card. What NcclStream is among GPUs: members take device memory
/// and only queue work on one stream; hosts meet, the GPU is not waited for. Move-only.
///
/// Shapes   count and count_per_rank are elements. In place: all_gather with in == out + rank *
///          count_per_rank, reduce_scatter with out == in + rank * count_per_rank.
/// Comm     host threads show each other arrays and calls through a Threads handle, streams wait for
///          each other's events, each rank's kernel sums its slice of all arrays. Sums follow the tree
///          of comm/sum.hpp: the bits of Threads. At most max_ranks ranks.
/// Cost     per collective: two meetings of the hosts, one kernel or size() copies, 2 size() waits of
///          the stream. all_reduce of n bytes reads and writes size() * n on the GPU, all ranks together.
/// Errors   Mismatch (ranks make different calls; nothing was queued), PeerFailed, Timeout, InvalidInput
///          as Threads. What went wrong on the GPU itself: synchronize().
/// Laws     tests/comm/shared_gpu_test.cpp.
class SharedGpu {
 public:
  static constexpr int max_ranks = 64;
  static constexpr bool sums_in_tree_order = true;

  /// The ranks of the world, each with the stream of its device. Collective.
  SharedGpu(Threads& world, const Cuda& device) : SharedGpu(world.duplicate(), device) {}
  SharedGpu(SharedGpu&&) noexcept = default;
  SharedGpu& operator=(SharedGpu&&) noexcept = default;

  int rank() const { return host_.rank(); }
  int size() const { return host_.size(); }
  cudaStream_t stream() const { return device_.stream; }
  bool spins() const { return host_.spins(); }

  template <Summable T> void all_reduce(T* inout, std::size_t count) {
    run({CollectiveKind::all_reduce, dtype_of<T>, count, 0}, inout, inout, [&] {
      const std::size_t line = 64 / sizeof(T), ranks = static_cast<std::size_t>(size());
      const std::size_t share = (count + ranks * line - 1) / (ranks * line) * line;
      const std::size_t first = std::min(count, share * static_cast<std::size_t>(rank()));
      const auto at = [&](int r) { return static_cast<T*>(offer(r).out) + first; };
      if (size() > 1) sum<T>(at, at, size(), std::min(share, count - first));
    });
  }

  template <Summable T> void reduce_scatter(const T* in, T* out, std::size_t count_per_rank) {
    run({CollectiveKind::reduce_scatter, dtype_of<T>, count_per_rank, 0}, in, out, [&] {
      const std::size_t first = count_per_rank * static_cast<std::size_t>(rank());
      const auto from = [&](int r) { return static_cast<const T*>(offer(r).in) + first; };
      sum<T>(
          from, [&](int) { return out; }, 1, count_per_rank);
    });
  }

  template <class T> void all_gather(const T* in, T* out, std::size_t count_per_rank) {
    run({CollectiveKind::all_gather, dtype_of<T>, count_per_rank, 0}, in, out, [&] {
      for (int k = 0; k < size(); ++k) {
        const int r = (rank() + k) % size();  // everybody starts elsewhere
        T* const part = out + static_cast<std::size_t>(r) * count_per_rank;
        copy(static_cast<const T*>(offer(r).in), part, count_per_rank);
      }
    });
  }

  template <class T> void broadcast(T* inout, std::size_t count, int root) {
    const Collective call{CollectiveKind::broadcast, dtype_of<T>, count, root};
    if (root < 0 || root >= size()) {
      throw InvalidInput(rank(), text(call),
                         detail::phrase("the root must be a rank from 0 to ", size() - 1, "."));
    }
    run(call, inout, inout, [&] { copy(static_cast<const T*>(offer(root).in), inout, count); });
  }

  /// What is queued after it begins when every rank's stream has come this far.
  void barrier() {
    run({CollectiveKind::barrier, DType::u8, 0, 0}, nullptr, nullptr, [] {});
  }

  /// One group per color, ranked by key, then by rank here, on the same stream. Collective.
  SharedGpu split(int color, int key) { return SharedGpu(host_.split(color, key), device_); }
  /// The same ranks on a channel of their own, on the same stream. Collective.
  SharedGpu duplicate() { return SharedGpu(host_.duplicate(), device_); }

  /// Fails the world: see Threads::abort.
  void abort(std::exception_ptr error) { host_.abort(std::move(error)); }

  /// The host waits until the stream has done all that was queued on it. Every event that it waits
  /// for has been recorded, so this ends by itself.
  void synchronize() { synchronize(stream()); }
  void synchronize(cudaStream_t stream) { cuda::check(cudaStreamSynchronize(stream)); }
  /// Until done() says so, which asks the GPU for something that was queued. It needs no peer any more.
  template <class Done> void await(const Done& done) {
    for (int looks = 0; !done(); ++looks) {
      if (looks < 100)
        std::this_thread::yield();
      else
        std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
  }

 private:
  /// What a rank's peers hear of it: its arrays are ready to be used; all that it does with theirs is
  /// queued (the host's word); that is done.
  struct Signals {
    cuda::Event ready, done;
    std::atomic<std::uint64_t> queued{0};  // collectives
    std::atomic<int> taken{0};             // ranks that have their share of this
  };
  struct Queued {  // also when the queueing throws
    Signals& own;
    std::uint64_t number;
    ~Queued() { own.queued.store(number); }
  };

  /// What a rank shows the others.
  struct Offer {
    const void* in = nullptr;
    void* out = nullptr;
    Collective call;
  };

  SharedGpu(Threads&& host, const Cuda& device);
  template <class Queue>
  void run(const Collective& call, const void* in, void* out, const Queue& queue);
  void open(const Collective& call, const void* in, void* out);
  void close();
  void compare();

  Signals& signals(int r) const { return *signals_[static_cast<std::size_t>(r)]; }
  const Offer& offer(int r) const { return offers_[static_cast<std::size_t>(r)]; }
  template <class X> void show(const X& mine, X* all) {
    host_.all_gather(reinterpret_cast<const std::uint8_t*>(&mine),
                     reinterpret_cast<std::uint8_t*>(all), sizeof(X));
  }

  template <class T> void copy(const T* from, T* to, std::size_t count) {
    if (count == 0 || from == to) return;
    cuda::check(
        cudaMemcpyAsync(to, from, count * sizeof(T), cudaMemcpyDeviceToDevice, device_.stream));
  }

  /// Queues out(0 .. outs) = the sum over ranks of from(r), each of so many elements.
  template <class T, class From, class Out>
  void sum(const From& from, const Out& out, int outs, std::size_t count) {
    if (count == 0) return;
    if (size() <= 8) return queue<T, 4>(from, out, outs, count);
    queue<T, 7>(from, out, outs, count);
  }
  template <class T, int Levels, class From, class Out>
  void queue(const From& from, const Out& out, int outs, std::size_t count) {
    cuda::SumRanks<T, Levels> kernel{};
    std::uintptr_t bits = 0;
    for (int r = 0; r < size(); ++r) {
      kernel.in[r] = from(r);
      bits |= reinterpret_cast<std::uintptr_t>(kernel.in[r]);
    }
    for (int r = 0; r < outs; ++r) {
      kernel.out[r] = out(r);
      bits |= reinterpret_cast<std::uintptr_t>(kernel.out[r]);
    }
    kernel.ranks = size();
    kernel.num_outs = outs;
    kernel.count = count;
    kernel.packed = bits % 16 == 0;
    cuda::launch(device_, kernel.blocks(), kernel);
  }

  Threads host_;
  Cuda device_;
  std::vector<std::shared_ptr<Signals>>
      signals_;  // of every rank: one may end before others' waits
  std::vector<Offer> offers_;
  std::uint64_t number_ = 0;
};

/// Nobody leaves before all have taken their share of everybody's signals.
inline SharedGpu::SharedGpu(Threads&& host, const Cuda& device)
    : host_(std::move(host)),
      device_(device),
      signals_(static_cast<std::size_t>(host_.size())),
      offers_(static_cast<std::size_t>(host_.size())) {
  if (size() > max_ranks) {
    throw InvalidInput(
        rank(), "launch",
        detail::phrase("at most ", max_ranks, " ranks share a GPU, not ", size(), "."));
  }
  const auto mine = std::make_shared<Signals>();
  const std::shared_ptr<Signals>* const lent = &mine;
  std::vector<const std::shared_ptr<Signals>*> all(signals_.size());
  show(lent, all.data());
  for (std::size_t r = 0; r < all.size(); ++r) signals_[r] = *all[r];
  for (const auto& theirs : signals_) ++theirs->taken;
  while (mine->taken.load() < size()) std::this_thread::yield();
}

/// One collective: between open and close the stream may use every rank's arrays.
template <class Queue>
void SharedGpu::run(const Collective& call, const void* in, void* out, const Queue& queue) {
  ++number_;
  open(call, in, out);
  {
    const Queued mark{signals(rank()), number_};
    queue();
    signals(rank()).done.record(device_.stream);
  }
  close();
}

inline void SharedGpu::open(const Collective& call, const void* in, void* out) {
  signals(rank()).ready.record(device_.stream);
  show(Offer{in, out, call}, offers_.data());
  compare();
  for (int r = 0; r < size(); ++r) {
    if (r != rank()) signals(r).ready.delay(device_.stream);
  }
}

/// Events are recorded before any rank leaves the barrier, and not again before every rank has come to
/// the next call. If the world fails here, peers may still be queueing work on this rank's arrays,
/// which ends by itself: only then may they be freed.
inline void SharedGpu::close() {
  try {
    host_.barrier();
  } catch (...) {
    for (int r = 0; r < size(); ++r) {
      while (signals(r).queued.load() < number_) std::this_thread::yield();
    }
    throw;
  }
  for (int r = 0; r < size(); ++r) {
    if (r != rank()) signals(r).done.delay(device_.stream);
  }
}

inline void SharedGpu::compare() {
  for (int r = 1; r < size(); ++r) {
    if (offer(r).call == offer(0).call) continue;
    const Mismatch error(rank(), text(offer(rank()).call),
                         detail::phrase("rank 0 calls ", text(offer(0).call), " but rank ", r,
                                        " calls ", text(offer(r).call),
                                        ". All ranks must make the same calls in the same order."));
    abort(std::make_exception_ptr(error));
    throw error;
  }
}

static_assert(Communicator<SharedGpu>);

}  // namespace cohort
