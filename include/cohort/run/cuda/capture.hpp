// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/cuda/capture.hpp: a step's work as a CUDA graph that is replayed.
#pragma once
#include <cohort/comm/exchanged_memory.hpp>
#include <cohort/core/tensor.hpp>
#include <cohort/run/capture.hpp>
#include <cohort/run/cuda/machine.hpp>
#include <memory>
#include <type_traits>
#include <utility>

namespace cohort::detail {

/// What a communicator that has no use for it is told of replays.
struct NoReplays {
  static NoReplays capture() { return {}; }
  static void launched(cudaStream_t) {}
};
template <bool captures, class Comm> auto replays_of(Comm& comm) {
  if constexpr (captures && requires { comm.replays(); })
    return comm.replays();
  else
    return NoReplays();
}

/// Owns the graph of one size of step. Without CudaGraph in the list it queues kernel by kernel. Gives the
/// graph up, done or half captured, before the communicator whose calls it holds is aborted; a replay that
/// runs then is freed when it ends (cuda.h, cuGraphExecDestroy).
template <class Plan, class Machine> class Capture<Plan, Machine, Cuda> {
 public:
  static constexpr bool captures = Plan::slots::capture::captures;

  explicit Capture(const Machine& machine)
      : machine_(machine), replays_(replays_of<captures>(innermost(machine.comm()))) {
    using Inner = std::remove_cvref_t<decltype(innermost(machine.comm()))>;
    if constexpr (captures && std::is_same_v<Inner, SharedGpu>) {
      if (machine.comm().size() > 1)
        throw InvalidInput(machine.comm().rank(), "CudaGraph",
                           "ranks that are threads on one GPU wait for each other between "
                           "launches, which a graph cannot hold. Start one rank, use "
                           "launch<Nccl>, or leave CudaGraph out.");
    }
    if constexpr (captures && requires(Forget f) { machine.comm().before_abort(f); })
      before_abort_ = machine.comm().before_abort(Forget{this});
  }
  Capture(const Capture&) = delete;
  ~Capture() { forget(); }

  /// Queues what `queue` queues, which must be the same for every step of these rows.
  template <class F> void operator()(Rows rows, F queue) {
    if constexpr (!captures) {
      queue();
    } else if (graph_ != nullptr && rows == captured_) {
      launch();
    } else if (seen_ == rows) {
      capture(queue);
      captured_ = rows;
      launch();
    } else {  // once as it is: matrix products choose their algorithms
      seen_ = rows;
      queue();
    }
  }

  /// The next step is captured anew: something that the graph holds by value has changed.
  void forget() {
    give_up();
    if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
    graph_ = nullptr;
  }

 private:
  struct Forget {
    Capture* capture;
    void operator()() const { capture->forget(); }
  };
  cudaStream_t stream() const { return machine_.compute().stream; }
  void launch() {
    cuda::check(cudaGraphLaunch(graph_, stream()));
    replays_.launched(stream());
  }
  template <class F> void capture(F queue) {
    forget();
    cuda::check(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal));
    under_way_ = true;
    try {
      [[maybe_unused]] const auto into_graph = replays_.capture();
      queue();
    } catch (...) {
      give_up();
      throw;
    }
    under_way_ = false;
    cudaGraph_t graph = nullptr;
    cuda::check(cudaStreamEndCapture(stream(), &graph));
    // Communication keeps the priority of its stream.
    const cudaError_t made =
        cudaGraphInstantiate(&graph_, graph, cudaGraphInstantiateFlagUseNodePriority);
    cudaGraphDestroy(graph);
    cuda::check(made);
  }
  /// Ends the capture that is under way, if one is, and drops what came of it.
  void give_up() {
    if (!std::exchange(under_way_, false)) return;
    cudaGraph_t graph = nullptr;
    if (cudaStreamEndCapture(stream(), &graph) != cudaSuccess) cudaGetLastError();
    if (graph != nullptr) cudaGraphDestroy(graph);
  }

  const Machine& machine_;
  std::shared_ptr<void> before_abort_;
  decltype(replays_of<captures>(innermost(std::declval<const Machine&>().comm()))) replays_;
  bool under_way_ = false;
  cudaGraphExec_t graph_ = nullptr;
  Rows seen_{-1, 0}, captured_{};
};

}  // namespace cohort::detail
