// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/cuda/capture.hpp: a step's work as a CUDA graph that is replayed.
#pragma once
#include <cohort/core/tensor.hpp>
#include <cohort/run/capture.hpp>
#include <cohort/run/cuda/machine.hpp>
#include <optional>

namespace cohort::detail {

/// Owns the graph of one size of step. Without CudaGraph in the list it queues kernel by kernel.
template <class Plan, class Machine> class Capture<Plan, Machine, Cuda> {
 public:
  static constexpr bool captures = Plan::slots::capture::captures;

  explicit Capture(const Machine& machine) : machine_(machine) {
    if constexpr (captures && std::is_same_v<typename Machine::Comm, SharedGpu>) {
      if (machine.comm().size() > 1)
        throw InvalidInput(machine.comm().rank(), "CudaGraph",
                           "ranks that are threads on one GPU wait for each other between "
                           "launches, which a graph cannot hold. Start one rank, use "
                           "launch<Nccl>, or leave CudaGraph out.");
    }
  }
  Capture(const Capture&) = delete;
  ~Capture() { forget(); }

  /// Queues what `queue` queues, which must be the same for every step of these rows.
  template <class F> void operator()(Rows rows, F queue) {
    if constexpr (!captures) {
      queue();
    } else if (graph_ != nullptr && rows == captured_) {
      cuda::check(cudaGraphLaunch(graph_, stream()));
    } else if (seen_ == rows) {
      capture(queue);
      captured_ = rows;
      cuda::check(cudaGraphLaunch(graph_, stream()));
    } else {  // once as it is: matrix products choose their algorithms
      seen_ = rows;
      queue();
    }
  }

  /// The next step is captured anew: something that the graph holds by value has changed.
  void forget() {
    if (graph_ != nullptr) cudaGraphExecDestroy(graph_);
    graph_ = nullptr;
  }

 private:
  cudaStream_t stream() const { return machine_.compute().stream; }
  template <class F> void capture(F queue) {
    forget();
    cuda::check(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal));
    cudaGraph_t graph = nullptr;
    try {
      queue();
    } catch (...) {
      cudaStreamEndCapture(stream(), &graph);
      if (graph != nullptr) cudaGraphDestroy(graph);
      throw;
    }
    cuda::check(cudaStreamEndCapture(stream(), &graph));
    const cudaError_t made = cudaGraphInstantiate(&graph_, graph, 0);
    cudaGraphDestroy(graph);
    cuda::check(made);
  }
  const Machine& machine_;
  cudaGraphExec_t graph_ = nullptr;
  Rows seen_{-1, 0}, captured_{};
};

}  // namespace cohort::detail
