// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/trainer.hpp: Trainer<Model, Loss, Policies...>: the one entry: a plan, and a run that
// executes it.
#pragma once
#include <cohort/concepts/layer.hpp>
#include <cohort/concepts/loss.hpp>
#include <cohort/ops/default_gemm.hpp>
#include <cohort/optim/adamw.hpp>
#include <cohort/optim/warmup_cosine.hpp>
#include <cohort/policies/buckets.hpp>
#include <cohort/policies/clip_grad_norm.hpp>
#include <cohort/policies/grad_accum.hpp>
#include <cohort/policies/groups.hpp>
#include <cohort/policies/hybrid_shard.hpp>
#include <cohort/policies/replicate.hpp>
#include <cohort/policies/shard_gradients.hpp>
#include <cohort/policies/shard_optimizer.hpp>
#include <cohort/run/execution.hpp>

namespace cohort {

namespace detail {
/// Every slot's policy: the list's, or the documented default.
template <class... Ps> struct ChosenPolicies {
  using data = policy_for<slots::data, DataParallel<Replicate>, Ps...>;
  using accumulation = policy_for<slots::accumulation, GradAccum<1>, Ps...>;
  using clipping = policy_for<slots::clipping, NoClip, Ps...>;
  using buckets = policy_for<slots::buckets, Buckets<>, Ps...>;
  using groups = policy_for<slots::groups, Groups<ByRepeat>, Ps...>;
  using optimizer = policy_for<slots::optimizer, optim::AdamW, Ps...>;
  using schedule = policy_for<slots::schedule, optim::ConstantRate, Ps...>;
};
/// The same, in one spelling whatever the order of the list: equal choices are one type.
template <class Data, class Accumulation, class Clipping, class Buckets, class Groups,
          class Optimizer, class Schedule>
struct Slots {
  using data = Data;
  using accumulation = Accumulation;
  using clipping = Clipping;
  using buckets = Buckets;
  using groups = Groups;
  using optimizer = Optimizer;
  using schedule = Schedule;
};
template <class C>
using slots_of =
    Slots<typename C::data, typename C::accumulation, typename C::clipping, typename C::buckets,
          typename C::groups, typename C::optimizer, typename C::schedule>;

/// What a strategy demands of the rest of the list.
template <class Model, class... Ps> struct Composition {
  using chosen = ChosenPolicies<Ps...>;
  using how = typename chosen::data::how;
  using groups = typename chosen::groups::how;
  static constexpr bool reduces_what_it_shards =
      !chosen::accumulation::reduces_each || how::shards_gradients;
  static constexpr bool has_groups = [] {
    if constexpr (!how::shards_params || std::is_same_v<groups, One>)
      return true;
    else
      return groups::assign(Layout<Model, typename groups::cut>{}, sizeof(float)).count > 1;
  }();
};

}  // namespace detail

/// Reducing every micro-batch is for strategies that shard gradients.
template <class Model, class... Ps>
concept ReducesWhatItShards = detail::Composition<Model, Ps...>::reduces_what_it_shards;
/// Sharded parameters need groups to be freed and gathered one by one, or Groups<One> said aloud.
template <class Model, class... Ps>
concept HasGroupsToShard = detail::Composition<Model, Ps...>::has_groups;

namespace detail {
/// Exactly one sentence, the most basic first.
template <class Model, class Loss, class... Ps> consteval bool explain() {
  if constexpr (!DeclaresExtents<Model>) {
    static_assert(
        DeclaresExtents<Model>,
        "cohort: the first argument of Trainer is not a layer. Give it 'using Input = "
        "cohort::Features<C>;' (or cohort::Tokens) and 'using Output = cohort::Features<D>;'. "
        "[cohort/concepts/layer.hpp]");
  } else if constexpr (!HasForward<Model>) {
    static_assert(HasForward<Model>,
                  "cohort: the model has no usable forward. Add 'static auto forward(auto& ctx, "
                  "const auto& p, "
                  "cohort::Tensor<const T, C> x)' that returns cohort::Out{y, keep(ctx, ...)}. "
                  "[cohort/concepts/layer.hpp]");
  } else if constexpr (!KeepsOnlyActivations<Model>) {
    static_assert(
        KeepsOnlyActivations<Model>,
        "cohort: the model's forward keeps something that is not an activation. Keep tensors, "
        "tokens and children's saved values only; backward gets p again. [cohort/core/saved.hpp]");
  } else if constexpr (!HasBackward<Model>) {
    static_assert(
        HasBackward<Model>,
        "cohort: the model has no usable backward. Add 'static auto backward(auto& ctx, const "
        "auto& p, "
        "const auto& saved, cohort::Tensor<const T, D> dy, const auto& g)' that adds into g and "
        "returns dx. [cohort/concepts/layer.hpp]");
  } else if constexpr (!LossFor<Loss, Model>) {
    static_assert(
        LossFor<Loss, Model>,
        "cohort: the second argument of Trainer is not a loss for this model's output. Use "
        "nn::CrossEntropy, nn::MeanSquaredError, or a type with Target, forward and evaluate. "
        "[cohort/concepts/loss.hpp]");
  } else if constexpr (!(Policy<Ps> && ...)) {
    static_assert(
        (Policy<Ps> && ...),
        "cohort: an argument after the loss is not a policy. Policies are empty types with a slot, "
        "such as DataParallel<Replicate>, GradAccum<4>, ClipGradNorm, optim::AdamW. "
        "[cohort/concepts/policy.hpp]");
  } else if constexpr (!OnePolicyPerSlot<Ps...>) {
    static_assert(OnePolicyPerSlot<Ps...>,
                  "cohort: two policies fill one slot. Keep one, e.g. DataParallel<Replicate> or "
                  "DataParallel<FullShard>. [cohort/concepts/policy.hpp]");
  } else if constexpr (!ReducesWhatItShards<Model, Ps...>) {
    static_assert(
        ReducesWhatItShards<Model, Ps...>,
        "cohort: GradAccum<N, ReduceEach> saves memory only where gradients are sharded. Use "
        "GradAccum<N>, or DataParallel<ShardGradients>, <FullShard> or <HybridShard<S>>. "
        "[cohort/policies/grad_accum.hpp]");
  } else {
    static_assert(
        HasGroupsToShard<Model, Ps...>,
        "cohort: every parameter is in the root group, so FullShard would hold the whole model "
        "while it computes. Put blocks in a Repeat, name them by Groups<Each<Block>>, or say "
        "Groups<One> if that is meant. [cohort/policies/groups.hpp]");
  }
  return true;
}

/// Absorbs every use of a trainer that was refused, so that one mistake gives one sentence.
struct RefusedRun {
  template <class... A> constexpr RefusedRun step(A&&...) { return {}; }
  template <class... A> constexpr RefusedRun evaluate(A&&...) { return {}; }
  template <class... A> constexpr RefusedRun predict(A&&...) { return {}; }
  double loss = 0, grad_norm = 0;
};
struct AnyOptions {
  std::uint64_t seed = 0;
  int batch = 0, tokens = 1;
  double learning_rate = 0;
};
struct AnyPlan {
  static constexpr std::size_t peak_bytes(auto&&...) { return 0; }
};
}  // namespace detail

/// A plan needs a model that is a layer, a loss for its output, and at most one policy in each
/// slot.
template <class Model, class Loss, class... Ps>
concept Trainable =
    Layer<Model> && LossFor<Loss, Model> &&(Policy<Ps>&&...) &&
    OnePolicyPerSlot<Ps...>&& ReducesWhatItShards<Model, Ps...>&& HasGroupsToShard<Model, Ps...>;

/// Chosen only when Trainable fails: says why in one sentence, then stops.
template <class Model, class Loss, class... Ps> struct Trainer {
  static_assert(detail::explain<Model, Loss, Ps...>());
  static constexpr detail::AnyPlan plan{};
  template <class World> static detail::RefusedRun on(World&, detail::AnyOptions = {}) {
    return {};
  }
};

/// A strategy as a type. Policies come in any order, each fills one slot, an absent slot has its
/// default.
///
///   using Run = Trainer<Model, nn::CrossEntropy, DataParallel<Replicate>, GradAccum<4>,
///   ClipGradNorm, optim::AdamW>; static_assert(Run::plan.peak_bytes({.ranks = 8, .batch = 64,
///   .tokens = 128}) < 2_GiB); auto run = Run::on(world, {.seed = 1337, .batch = 64, .tokens = 128,
///   .learning_rate = 1e-3}); run.step(batch);
///
/// Laws     the order of policies changes neither type of the plan nor bits
///          (tests/trainer_test.cpp).
template <class Model, class Loss, class... Ps>
requires Trainable<Model, Loss, Ps...>
struct Trainer<Model, Loss, Ps...> {
  using slots = detail::slots_of<detail::ChosenPolicies<Ps...>>;
  using plan_type = Plan<Model, Loss, slots, DefaultCpu>;
  using options = Options<slots>;
  template <class World, class Device = DefaultCpu>
  using execution = Execution<plan_type, World, Device>;

  static constexpr plan_type plan{};

  /// Forms the run on this rank: checks the options, compares them and the plan with the other
  /// ranks', takes all memory, draws the parameters and broadcasts rank 0's. Collective.
  template <class Device = DefaultCpu, class World>
  static Execution<plan_type, World, Device> on(World& world, const options& options) {
    return {world, options};
  }
};

}  // namespace cohort
