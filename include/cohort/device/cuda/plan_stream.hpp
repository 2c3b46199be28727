// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/device/cuda/plan_stream.hpp: the communication stream of a GPU rank: events instead of a worker.
#pragma once
#include <cohort/device/cuda/device.hpp>
#include <cohort/device/cuda/event.hpp>
#include <cohort/plan/schedule.hpp>
#include <vector>

namespace cohort {

/// Queues the plan's operations on the communication stream: each starts when the compute stream has
/// passed its marker, and compute goes on when those that it waits for are done. CpuStream with CUDA's
/// events for its two counters; the host never waits.
///
/// Cost     an event for each marker that an operation waits for, and one for each operation.
template <class Plan, class Executor> class CudaStream {
 public:
  CudaStream(Executor& executor, const Cuda& compute, const Cuda& communication)
      : executor_(&executor),
        compute_(compute.stream),
        communication_(communication.stream),
        done_(most_ops()) {}
  CudaStream(const CudaStream&) = delete;
  static constexpr bool has_worker() { return false; }

  template <MicroBatch M> void begin() {
    begin_ = next_ = Plan::template program<M>.begin();
    end_ = Plan::template program<M>.end();
    waited_ = 0;
  }
  /// The compute stream has been given everything before `marker` of this micro-batch.
  void reached(int marker) {
    if (next_ == end_ || next_->after > marker) return;
    follows(communication_, compute_);
    for (; next_ != end_ && next_->after <= marker; ++next_) {
      executor_->run_op(*next_);
      done_[static_cast<std::size_t>(next_ - begin_)].record(communication_);
    }
  }
  /// What compute is given next starts when the first `ops` operations of this micro-batch are done.
  void wait(int ops) {
    if (ops <= waited_) return;
    waited_ = ops;
    done_[static_cast<std::size_t>(ops - 1)].delay(compute_);
  }
  void finish() { wait(static_cast<int>(end_ - begin_)); }

  /// Queues what is no part of a program, between steps.
  template <class F> void outside(F f) {
    follows(communication_, compute_);
    f();
    follows(compute_, communication_);
  }

 private:
  static constexpr std::size_t most_ops() {
    int most = 0;
    Plan::for_each_kind([&]<MicroBatch M>() {
      most = Plan::template program<M>.count > most ? Plan::template program<M>.count : most;
    });
    return static_cast<std::size_t>(most);
  }
  /// What `stream` is given next starts when `other` has done what it was given so far.
  void follows(cudaStream_t stream, cudaStream_t other) {
    mark_.record(other);
    mark_.delay(stream);  // as it was recorded now: the next record does not move it
  }

  Executor* executor_;
  cudaStream_t compute_, communication_;
  const Op* begin_ = nullptr;
  const Op* next_ = nullptr;
  const Op* end_ = nullptr;
  int waited_ = 0;
  cuda::Event mark_;
  std::vector<cuda::Event> done_;
};

}  // namespace cohort
