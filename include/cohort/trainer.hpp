// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/trainer.hpp: Trainer<Model, Loss, Policies...>: the one entry: a plan, and a run that
// executes it.
#pragma once
#include <cohort/core/said.hpp>
#include <cohort/policies/composition.hpp>
#include <cohort/run/execution.hpp>
#include <cohort/run/refused_run.hpp>

namespace cohort {

namespace detail {
/// Exactly one sentence about types; none where they go together.
template <class Model, class Loss, class... Ps> consteval bool explain_precision() {
  if constexpr (!ComputesIn<Model, Ps...>) {
    static_assert(
        never<Model, Loss>,
        "cohort: a layer of this model works in fp32 but not in the compute type of "
        "MixedPrecision. Write its forward and backward for any element type T, with wide() and "
        "assign() where it uses Eigen. [docs/writing_a_layer.md]");
  } else if constexpr (!LossComputesIn<Loss, Model, Ps...>) {
    static_assert(never<Model, Loss>,
                  "cohort: the loss works in fp32 but not in the compute type of MixedPrecision. "
                  "Write it for outputs Tensor<const T, C> of any T; Features targets are fp32. "
                  "[cohort/concepts/loss.hpp]");
  } else if constexpr (!ScalesFp16<Model, Ps...>) {
    static_assert(never<Model, Loss>,
                  "cohort: fp16 gradients underflow without a loss scale. Add DynamicLossScale<>, "
                  "or use bf16, which needs none. [cohort/policies/dynamic_loss_scale.hpp]");
  } else if constexpr (!ScalesFp16Only<Model, Ps...>) {
    static_assert(never<Model, Loss>,
                  "cohort: DynamicLossScale is for fp16: bf16 and fp32 have the range that "
                  "gradients need. Leave it out. [cohort/policies/dynamic_loss_scale.hpp]");
  } else if constexpr (!LossTakesScale<Loss, Model, Ps...>) {
    static_assert(never<Model, Loss>,
                  "cohort: with DynamicLossScale the loss must take its scale: add 'float scale' "
                  "after the target of its forward, and multiply dy with it before dy is rounded. "
                  "[cohort/concepts/loss.hpp]");
  } else {
    static_assert(never<Model, Loss>,
                  "cohort: StochasticRounding rounds parameters that have no fp32 masters. Write "
                  "MixedPrecision<bf16, bf16> with it, or leave it out. "
                  "[cohort/policies/stochastic_rounding.hpp]");
  }
  return true;
}
/// Exactly one sentence about what Reproducible cannot keep in order.
template <class C> consteval bool explain_order() {
  if constexpr (!C::adds_parts_on_ranks) {
    static_assert(never<C>,
                  "cohort: Reproducible adds a rank's parts before they are reduced, ReduceEach "
                  "after. Use GradAccum<N>. [cohort/policies/reproducible.hpp]");
  } else if constexpr (!C::rounds_no_part) {
    static_assert(never<C>,
                  "cohort: Reproducible needs reductions in the type of gradients: rounded sums "
                  "would depend on the number of ranks. Write MixedPrecision<bf16, fp32, fp32>. "
                  "[cohort/policies/reproducible.hpp]");
  } else {
    static_assert(never<C>,
                  "cohort: HybridShard<S> has Reproducible's order for S a power of two only. "
                  "Write HybridShard<4>, or FullShard. [cohort/policies/reproducible.hpp]");
  }
  return true;
}
/// Exactly one sentence about a policy that its slot cannot use.
template <class... Ps> consteval bool explain_hooks() {
  if constexpr (((Fills<Ps, slots::optimizer> && !HasHooks<Ps>) || ...)) {
    static_assert(
        never<Ps...>,
        "cohort: the optimizer lacks a hook. It needs 'struct Options', 'static constexpr "
        "int moments' and 'static void update(const D& device, const Shard<T>& s, "
        "UpdateStep now, const Options& o)' as a template of D and T. "
        "[docs/writing_a_policy.md]");
  } else if constexpr (((Fills<Ps, slots::schedule> && !HasHooks<Ps>) || ...)) {
    static_assert(never<Ps...>,
                  "cohort: the schedule lacks a hook. It needs 'struct Options' and 'static double "
                  "at(std::int64_t step, double learning_rate, const Options& o)'. "
                  "[docs/writing_a_policy.md]");
  } else {
    static_assert(never<Ps...>,
                  "cohort: a policy of the list lacks what its slot reads. Derive it from the "
                  "slot's default, such as GradAccum<1> or NoClip, and change what differs. "
                  "[docs/writing_a_policy.md]");
  }
  return true;
}
template <class Loss> struct NoLossOn {
  static void say() {
    static_assert(
        never<Loss>,
        "cohort: the loss has no body for this device. For both write Tensor<const T, C, Where>; "
        "a GPU's dy is a Tensor<T, C, OnGpu>, its totals are ops::LossOnDevice, and the scale of "
        "DynamicLossScale is a const float* there; gradient_bytes<Model, T>(rows) serves both. "
        "[docs/gpu.md]");
  }
};

/// Exactly one sentence, the most basic first; none when a part of the model has said its own.
template <class Model, class Loss, class... Ps> consteval bool explain() {
  if constexpr (holds_refused<Model>()) {
    return true;
  } else if constexpr (!Layer<Model, home_of<Model, Loss>>) {
    if constexpr (Layer<Model, home_of<Model>>)  // for GPUs only, which the loss is not
      said<NoLossOn<Loss>>();
    else
      return explain_layer<typename decltype(wrong_layer<Model>())::type>();
  } else if constexpr (!HasParameters<Model>) {
    static_assert(HasParameters<Model>,
                  "cohort: the model has no parameters, so there is nothing to train. Add a layer "
                  "with Params, such as nn::Linear. [cohort/trainer.hpp]");
  } else if constexpr (!HasTrainedParameters<Model>) {
    static_assert(HasTrainedParameters<Model>,
                  "cohort: every parameter of the model is frozen, so there is nothing to train. "
                  "Take nn::Frozen off a layer. [cohort/nn/frozen.hpp]");
  } else if constexpr (!LossFor<Loss, Model, home_of<Model, Loss>>) {
    static_assert(
        (LossFor<Loss, Model, home_of<Model, Loss>>),
        "cohort: the second argument of Trainer is not a loss for this model's output. Use "
        "nn::CrossEntropy, nn::MeanSquaredError, or a type with Target, forward and evaluate. "
        "[cohort/concepts/loss.hpp]");
  } else if constexpr (!(Policy<Ps> && ...)) {
    static_assert(
        (Policy<Ps> && ...),
        "cohort: an argument after the loss is not a policy. Policies are empty types with one of "
        "cohort::slots as slot, such as DataParallel<Replicate>, GradAccum<4>, ClipGradNorm, "
        "optim::AdamW. "
        "[cohort/concepts/policy.hpp]");
  } else if constexpr (!OnePolicyPerSlot<Ps...>) {
    static_assert(OnePolicyPerSlot<Ps...>,
                  "cohort: two policies fill one slot. Keep one, e.g. DataParallel<Replicate> or "
                  "DataParallel<FullShard>. [cohort/concepts/policy.hpp]");
  } else if constexpr (!(HasHooks<Ps> && ...)) {
    return explain_hooks<Ps...>();
  } else if constexpr (!ReducesWhatItShards<Model, Ps...>) {
    static_assert(
        ReducesWhatItShards<Model, Ps...>,
        "cohort: GradAccum<N, ReduceEach> saves memory only where gradients are sharded. Use "
        "GradAccum<N>, or DataParallel<ShardGradients>, <FullShard> or <HybridShard<S>>. "
        "[cohort/policies/grad_accum.hpp]");
  } else if constexpr (!AddsInOrder<Model, Ps...>) {
    return explain_order<Composition<Model, Ps...>>();
  } else if constexpr (!TypesGoTogether<Model, Loss, Ps...>) {
    return explain_precision<Model, Loss, Ps...>();
  } else {
    static_assert(
        HasGroupsToShard<Model, Ps...>,
        "cohort: every parameter is in the root group, so FullShard would hold the whole model "
        "while it computes. Put blocks in a Repeat, name them by Groups<Each<Block>>, or say "
        "Groups<One> if that is meant. [cohort/policies/groups.hpp]");
  }
  return true;
}

template <class L, bool on_host> struct NoBodyOn {
  static void say() {
    static_assert(
        never<L>,
        "cohort: this layer has no body for GPUs: its forward or backward takes "
        "Tensor<const T, C>, which is the host's, or not the compute type. Write "
        "Tensor<const T, C, Where> and call functions of cohort::ops, or add a forward and "
        "a backward over Tensor<const T, C, OnGpu>. [docs/gpu.md]");
  }
};
template <class L> struct NoBodyOn<L, true> {
  static void say() {
    static_assert(
        never<L>,
        "cohort: this layer has a body for GPUs only, in this compute type. Run it on one "
        "(launch<Nccl>, or Run::on<Cuda>), or add a forward and a backward over "
        "Tensor<const T, C>. [docs/gpu.md]");
  }
};
/// The plan of a model on a device; says one sentence and gives RefusedPlan where the model or the loss has
/// no body for it.
template <class Model, class Loss, class Slots, class Device> consteval auto planned_on() {
  using T = typename Slots::precision::compute;
  if constexpr (!Layer<Model, Device, T>) {
    said<NoBodyOn<typename decltype(wrong_layer<Model, Device, T>())::type, on_host<Device>>>();
    return std::type_identity<RefusedPlan>{};
  } else if constexpr (!LossFor<Loss, Model, Device, T> ||
                       (Slots::scaling::scales && !ScalableLoss<Loss, Model, Device, T>)) {
    said<NoLossOn<Loss>>();
    return std::type_identity<RefusedPlan>{};
  } else {
    return std::type_identity<Plan<Model, Loss, Slots, Device>>{};
  }
}
}  // namespace detail

/// Chosen only when Trainable fails: says why in one sentence, then stops.
template <class Model, class Loss, class... Ps> struct Trainer {
  static_assert(detail::explain<Model, Loss, Ps...>());
  using slots =
      detail::slots_of<std::conditional_t<((!Policy<Ps> || HasHooks<Ps>)&&...),
                                          detail::ChosenPolicies<Ps...>, detail::ChosenPolicies<>>>;
  using plan_type = detail::RefusedPlan;
  using options = Options<slots>;
  template <class, class = DefaultCpu> using execution = detail::RefusedRun;
  static constexpr plan_type plan{};
  template <class Device = DefaultCpu, class World>
  static detail::RefusedRun on(World&, const options&) {
    return {};
  }
};

/// A strategy as a type. Policies come in any order, each fills one slot, an absent slot has its
/// default.
///
///   using Run = Trainer<Model, nn::CrossEntropy, DataParallel<Replicate>, GradAccum<4>,
///                       ClipGradNorm, optim::AdamW>;
///   static_assert(Run::plan.peak_bytes({.ranks = 8, .batch = 64, .tokens = 128}) < 2_GiB);
///   auto run = Run::on(world, {.seed = 1337, .batch = 64, .tokens = 128, .learning_rate = 1e-3});
///   run.step(batch);
///
/// Laws     the order of policies changes neither type of the plan nor bits
///          (tests/trainer_test.cpp).
template <class Model, class Loss, class... Ps>
requires Trainable<Model, Loss, Ps...>
struct Trainer<Model, Loss, Ps...> {
  using slots = detail::slots_of<detail::ChosenPolicies<Ps...>>;
  /// The plan for a device: where scratch and staging differ, bytes do.
  template <class Device>
  using plan_on = typename decltype(detail::planned_on<Model, Loss, slots, Device>())::type;
  /// The CPU's plan, or a GPU's where a layer of the model has a body for GPUs only.
  using plan_type = plan_on<detail::home_of<Model, Loss>>;
  using options = Options<slots>;
  template <class World> using device_of = typename detail::device_of_world<World>::type;
  template <class World, class Device = device_of<World>>
  using execution = Execution<plan_on<Device>, World, Device>;

  static constexpr plan_type plan{};

  /// Forms the run on this rank: checks the options, compares them and the plan with the other
  /// ranks', takes all memory, draws the parameters and broadcasts rank 0's. Collective. The device is
  /// the world's (the CPU for Threads and Mpi, a GPU for Nccl); on<Cuda>(threads, ...) lets the ranks of
  /// Threads share a GPU.
  template <class Device = void, class World> static auto on(World& world, const options& options) {
    using D = std::conditional_t<std::is_void_v<Device>, device_of<World>, Device>;
    static_assert(!slots::precision::tf32_products || !on_host<D>,
                  "cohort: tf32 is a mode of a GPU's matrix products, and a CPU has none. Write "
                  "MixedPrecision<fp32> or <bf16, fp32> here. "
                  "[cohort/policies/mixed_precision.hpp]");
    static_assert(!slots::capture::captures || !on_host<D>,
                  "cohort: CudaGraph captures the launches of a GPU, and a CPU has none. Leave it "
                  "out, or run on a GPU. [cohort/policies/capture.hpp]");
    return formed<World, D>(world, options);
  }

 private:
  template <class World, class D> static auto formed(World& world, const options& options) {
    constexpr bool sees_the_work = !slots::profiling::times || on_host<D>;
    constexpr bool looks_at_the_host = !slots::anomalies::detects || on_host<D>;
    constexpr bool is_told = detail::IsComplete<detail::Timeline<plan_on<D>>>;
    static_assert(
        sees_the_work,
        "cohort: Timed and Traced read the host's clock, which says when a GPU's work was "
        "queued, not when it ran. Write Nvtx of <cohort/nvtx.hpp> here and look with "
        "Nsight Systems. [cohort/policies/profiling.hpp]");
    static_assert(is_told,
                  "cohort: Nvtx takes a header of its own. Add #include <cohort/nvtx.hpp>. "
                  "[cohort/policies/profiling.hpp]");
    static_assert(looks_at_the_host,
                  "cohort: DetectAnomaly looks at gradients in the host's memory, and a GPU's are "
                  "not there. Leave it out, or run these steps on a CPU: launch<Threads> and "
                  "Run::on(world, ...). [cohort/policies/detect_anomaly.hpp]");
    constexpr bool has_bodies = !std::is_same_v<plan_on<D>, detail::RefusedPlan>;
    constexpr bool updates = on_host<D> || requires {
      typename slots::optimizer::template Step<float>;
    };
    static_assert(
        updates,
        "cohort: this optimizer has no body for GPUs: add Step<T>, prepare and an update for "
        "Cuda, as cohort/optim/sgd.hpp has them, or run on a CPU. "
        "[docs/writing_a_policy.md]");
    constexpr bool sums_averages = detail::reduces_averages<plan_on<D>>();
    static_assert(
        sums_averages,
        "cohort: this strategy's program leaves out the sums of averaged parameters. End it "
        "with add_sums<Plan>(program) instead of adding OpKind::loss. "
        "[cohort/plan/schedule.hpp]");
    constexpr bool has_device = detail::runs_on<D>;
    constexpr bool adds_in_order = detail::keeps_order<slots::order::in_tree_order, World, D>();
    static_assert(adds_in_order,
                  "cohort: TreeOrder and Reproducible fix the order of sums over ranks, and this "
                  "communicator has its own. Use launch<Threads>, launch<Mpi> or launch<Nccl>, or "
                  "give it exchange_slices. [cohort/policies/tree_order.hpp]");
    constexpr bool may_run = sees_the_work && is_told && looks_at_the_host && has_bodies &&
                             sums_averages && updates && adds_in_order;
    static_assert(!may_run || has_device,
                  "cohort: a run on a GPU takes a header of its own. Add #include "
                  "<cohort/cuda.hpp> and compile the file with nvcc. [docs/gpu.md]");
    if constexpr (!may_run || !has_device)
      return detail::RefusedRun{};
    else
      return execution<World, D>(world, options);
  }
};

}  // namespace cohort
