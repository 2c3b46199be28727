// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/cuda/machine.hpp: a rank's GPU: its streams, its memory for ops, its communicator.
#pragma once
#include <algorithm>
#include <array>
#include <cohort/comm/cuda/in_tree_order.hpp>
#include <cohort/comm/recorder.hpp>
#include <cohort/comm/shared_gpu.hpp>
#include <cohort/comm/threads.hpp>
#include <cohort/core/arena.hpp>
#include <cohort/device/cores.hpp>
#include <cohort/device/cuda/context.hpp>
#include <cohort/device/cuda/event.hpp>
#include <cohort/device/cuda/plan_stream.hpp>
#include <cohort/device/cuda/stream.hpp>
#include <cohort/ops/cuda/tune.hpp>
#include <cohort/run/machine.hpp>
#include <cstdint>
#include <exception>
#include <vector>

namespace cohort::detail {

template <> inline constexpr bool runs_on<Cuda> = true;

/// How steps of a world communicate on a GPU: by the world's own collectives bound to a stream, or, for
/// ranks that are threads, by kernels on the GPU that they share. in_tree_order: sums are, where that can be;
/// exchange: bytes for it.
template <bool in_tree_order, class World>
auto bound_to(World& world, const Cuda& device, [[maybe_unused]] std::size_t exchange) {
  if constexpr (requires { world.on(device.stream); }) {
    auto comm = world.on(device.stream);
    using C = decltype(comm);
    if constexpr (in_tree_order && !SumsInTreeOrder<C> && ExchangesSlices<C>)
      return InTreeOrder<C>(std::move(comm), device, exchange);
    else
      return comm;
  } else {
    return SharedGpu(world, device);
  }
}
template <bool in_tree_order, class C>
auto bound_to(Recorder<C>& world, const Cuda& device, std::size_t exchange) {
  auto comm = bound_to<in_tree_order>(world.wrapped(), device, exchange);
  return Recorder<decltype(comm)>(std::move(comm), world.capacity());
}
template <class World> int gpu_of(const World& world) {
  if constexpr (requires { world.gpu(); })
    return world.gpu();
  else
    return 0;
}

/// Owns a rank's streams on its GPU: compute; communication with the highest priority, so that a collective's
/// few blocks do not wait behind compute's many; copies from the host.
template <class World, bool in_tree_order> class Machine<World, Cuda, in_tree_order> {
 public:
  using Comm = decltype(bound_to<in_tree_order>(std::declval<World&>(), std::declval<const Cuda&>(),
                                                std::size_t{}));
  template <class Plan, class Executor> using Stream = CudaStream<Plan, Executor>;

  Machine(World& world, const auto&, bool tf32, std::size_t exchange = 0)
      : context_(gpu_of(world)),
        compute_stream_(cuda::Priority::normal),
        communication_stream_(cuda::Priority::high),
        copy_stream_(cuda::Priority::normal),
        workspace_(workspace_bytes<Cuda>),
        state_(state_bytes<Cuda>),
        compute_{compute_stream_.native(), &context_, workspace_.as<std::byte>(),
                 workspace_.bytes()},
        communication_{communication_stream_.native(), &context_, workspace_.as<std::byte>(),
                       workspace_.bytes()},
        comm_(bound_to<in_tree_order>(world, communication_, exchange)) {
    compute_.tf32 = tf32;
  }

  /// Ops on the communication stream need no workspace while a step runs.
  const Cuda& compute() const { return compute_; }
  const Cuda& communication() const { return communication_; }
  /// Where rows come from the host.
  cudaStream_t copies() const { return copy_stream_.native(); }
  Comm& comm() const { return comm_; }
  /// Returns when everything that was queued is done; throws when a peer or the GPU has failed.
  void settle() const {
    comm_.synchronize(compute_.stream);
    comm_.synchronize(communication_.stream);
  }
  static int spare_threads() { return std::min(usable_cores(), 16); }
  /// Returns when the event is passed; looks after the communicator when that takes long, so that a peer
  /// that is gone ends the wait.
  void wait(const cuda::Event& event) const {
    comm_.await([&] { return event.done(); });
  }
  /// At each marker of a step: the host is some hundred launches ahead of the GPU and no more. CUDA queues about
  /// a thousand; a host in the next one would not see that peers, for whom the GPU waits, are gone, and nothing
  /// would end that launch.
  void keep_pace() const {
    if (comm_.size() == 1 || cuda::calls() - marked_ < apart || cuda::captures(compute_.stream))
      return;
    cuda::Event& mark = marks_[next_mark_++ % marks];
    wait(mark);
    mark.record(compute_.stream);
    marked_ = cuda::calls();
  }
  /// Before the run's memory is freed, which waits for the GPU without a limit: everything that was queued is done, or,
  /// where the run has failed or an exception passes, waits for no peer any more.
  void end(bool failed) const noexcept {
    try {
      if (!failed && std::uncaught_exceptions() == 0) return settle();
      if constexpr (requires { comm_.abandon(); }) comm_.abandon();
    } catch (...) {  // a peer has failed, and every communicator of this rank was aborted
    }
  }
  /// Measures products on the compute stream, in an arena that nobody needs now (ops/cuda/tune.hpp).
  std::vector<cuda::MeasuredProduct> tune_products(Arena& arena) const {
    settle();
    arena.release({});
    const std::size_t bytes = arena.capacity() / alignment * alignment;
    const auto measured = cuda::tune_products(compute_, arena.take<std::byte>(bytes), bytes);
    arena.release({});
    return measured;
  }
  /// Device memory of state_bytes<Cuda>, zero at first.
  std::byte* state() const { return state_.as<std::byte>(); }
  /// Where losses add their totals, and kernels report bad data, from now on.
  void report_to(double* loss, cuda::Fault* fault) const {
    compute_.loss = loss;
    compute_.fault = fault;
  }

  template <class Plan, class Executor>
  Stream<Plan, Executor> stream(Executor& executor, StreamMode) const {
    return {executor, compute_, communication_};
  }
  template <class D> DeviceGradCursor<D, Cuda> gradients(D* at, std::uint8_t* touched) const {
    return {at, touched, &compute_};
  }

 private:
  cuda::Context context_;
  cuda::Stream compute_stream_, communication_stream_, copy_stream_;
  cuda::Memory workspace_, state_;
  mutable Cuda compute_;
  Cuda communication_;
  mutable Comm comm_;
  static constexpr std::size_t marks = 8;
  static constexpr std::uint64_t apart = 64;  // and what one marker adds
  mutable std::array<cuda::Event, marks> marks_;
  mutable std::size_t next_mark_ = 0;
  mutable std::uint64_t marked_ = 0;
};

template <class World>
inline constexpr bool adds_in_tree_order<World, Cuda> =
    SumsInTreeOrder<typename Machine<World, Cuda, true>::Comm>;

}  // namespace cohort::detail
