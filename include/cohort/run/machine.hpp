// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/machine.hpp: what one rank computes and communicates with: devices, communicator, streams.
#pragma once
#include <cohort/concepts/communicator.hpp>
#include <cohort/core/device_view.hpp>
#include <cohort/device/cpu.hpp>
#include <cohort/device/cpu_stream.hpp>
#include <cohort/ops/exact_sum.hpp>
#include <cohort/ops/loss_sum.hpp>
#include <cohort/run/formation.hpp>

namespace cohort::detail {

/// The headers with which runs execute on a device are there: run/cuda/machine.hpp says it for Cuda.
template <class Device> inline constexpr bool runs_on = on_host<Device>;

/// The device that a world's ranks compute on unless Run::on<Device> names one.
template <class World> struct device_of_world { using type = DefaultCpu; };
template <class World>
requires requires { typename World::device; }
struct device_of_world<World> {
  using type = typename World::device;
};

/// Steps of the world's ranks can add up over ranks in the tree of comm/sum.hpp; of GPUs run/cuda/machine.hpp says it.
template <class World, class Device>
inline constexpr bool adds_in_tree_order = SumsInTreeOrder<World>;

/// The same, where it is wanted; a device whose header is missing says that itself.
template <bool wanted, class World, class Device> consteval bool keeps_order() {
  if constexpr (wanted && runs_on<Device>)
    return adds_in_tree_order<World, Device>;
  else
    return true;
}

/// Owns a rank's places to compute: here the CPU, whose collectives are the world's own.
/// run/cuda/machine.hpp has the GPU's. in_tree_order: see adds_in_tree_order.
template <class World, class Device, bool in_tree_order = false> class Machine {
 public:
  using Comm = World;
  template <class Plan, class Executor> using Stream = CpuStream<Plan, Executor>;

  Machine(World& world, const auto&, bool, std::size_t = 0) : world_(world) {}

  /// Where layers compute, and where collectives and what goes with them run.
  const Device& compute() const { return device_; }
  const Device& communication() const { return device_; }
  Comm& comm() const { return world_; }
  /// Returns when everything that was queued is done.
  void settle() const {}
  /// What a GPU's machine does at each marker of a step, and before the run's memory is freed.
  static void keep_pace() {}
  static void end(bool) {}
  /// How many threads of the host a rank may use before its first step.
  static int spare_threads() { return 1; }

  template <class Plan, class Executor>
  Stream<Plan, Executor> stream(Executor& executor, StreamMode mode) const {
    return {executor, wants_worker(mode, world_), world_.spins(), world_.size()};
  }
  template <class D> GradCursor<D> gradients(D* at, std::uint8_t* touched) const {
    return {at, touched};
  }

 private:
  World& world_;
  [[no_unique_address]] Device device_;
};

/// What a step adds up and all ranks reduce: (sum, weight) of the loss, squares of the gradient.
template <class Plan, class Device> class Totals {
 public:
  template <class Machine> explicit Totals(const Machine&) {}
  LossSum& loss() { return loss_; }
  ops::ExactSum& squares() { return squares_; }
  double* loss_words() { return &loss_.sum; }
  std::int64_t* limbs() { return squares_.limbs().data(); }

 private:
  static_assert(sizeof(LossSum) == 2 * sizeof(double), "sum and weight are reduced as one pair");
  LossSum loss_;
  ops::ExactSum squares_;
};

}  // namespace cohort::detail
