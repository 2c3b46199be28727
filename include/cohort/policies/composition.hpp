// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/composition.hpp: which models, losses and policies go together.
#pragma once
#include <bit>
#include <cohort/concepts/layer.hpp>
#include <cohort/concepts/loss.hpp>
#include <cohort/ops/default_gemm.hpp>
#include <cohort/policies/chosen.hpp>
#include <cohort/policies/hooks.hpp>

namespace cohort {

namespace detail {
/// What a strategy demands of the rest of the list.
template <class Model, class... Ps> struct Composition {
  using chosen = ChosenPolicies<Ps...>;
  using how = typename chosen::data::how;
  using groups = typename chosen::groups::how;
  using compute = typename chosen::precision::compute;
  using master = typename chosen::precision::master;
  static constexpr bool has_fp16 =
      std::is_same_v<compute, fp16> || std::is_same_v<typename chosen::precision::reduce, fp16>;
  static constexpr bool scales = chosen::scaling::scales;
  static constexpr bool rounds_what_is_16_bit =
      !chosen::rounding::at_random || !std::is_same_v<master, fp32>;
  static constexpr bool reduces_what_it_shards =
      !chosen::accumulation::reduces_each || how::shards_gradients;
  static constexpr bool is_reproducible = chosen::order::ranks > 0;
  static constexpr bool adds_parts_on_ranks =
      !is_reproducible || !chosen::accumulation::reduces_each;
  static constexpr bool rounds_no_part =
      !is_reproducible ||
      std::is_same_v<typename chosen::precision::reduce, accumulator_t<compute>>;
  static constexpr bool shards_subtrees =
      !is_reproducible || how::shard_ranks == 0 ||
      std::has_single_bit(static_cast<unsigned>(how::shard_ranks));
  static constexpr bool has_groups = [] {
    if constexpr (!how::shards_params || std::is_same_v<groups, One>)
      return true;
    else
      return groups::assign(Layout<Model, typename groups::cut>{}, sizeof(compute)).count > 1;
  }();
};

template <class... Ps> using compute_of = typename ChosenPolicies<Ps...>::precision::compute;

/// Have a model, and the loss over its output, bodies for a device?
template <class Model, class Loss, class Device>
concept HaveBodiesOn = Layer<Model, Device> &&
    (std::is_void_v<Loss> || LossFor<Loss, Model, Device>);

/// The device that a model is planned for where none is named: the CPU, or Cuda when a layer or the loss
/// has a body for GPUs only (and <cohort/cuda.hpp> was included).
template <class Model, class Loss> consteval auto home_device() {
  using Gpu = typename first_type<Cuda, Model>::type;
  if constexpr (HaveBodiesOn<Model, Loss, DefaultCpu> || !IsComplete<Gpu>) {
    return std::type_identity<DefaultCpu>{};
  } else if constexpr (!Layer<Model>) {
    // The layer that the CPU lacks is asked first: the others' bodies for it may say sentences on a GPU.
    if constexpr (!Layer<typename decltype(wrong_layer<Model>())::type, Gpu>)
      return std::type_identity<DefaultCpu>{};
    else if constexpr (HaveBodiesOn<Model, Loss, Gpu>)
      return std::type_identity<Gpu>{};
    else
      return std::type_identity<DefaultCpu>{};
  } else if constexpr (HaveBodiesOn<Model, Loss, Gpu>) {
    return std::type_identity<Gpu>{};
  } else {
    return std::type_identity<DefaultCpu>{};
  }
}
template <class Model, class Loss = void>
using home_of = typename decltype(home_device<Model, Loss>())::type;
}  // namespace detail

/// There is something to train.
template <class Model>
concept HasParameters = num_params<Model>()
> 0;
/// And not all of it is frozen.
template <class Model>
concept HasTrainedParameters = subtree<Model>()
.trained > 0;
/// Reducing every micro-batch is for strategies that shard gradients.
template <class Model, class... Ps>
concept ReducesWhatItShards = detail::Composition<Model, Ps...>::reduces_what_it_shards;
/// Reproducible adds whole gradients on each rank first, in the type that they are reduced in, and
/// HybridShard's groups are subtrees of its sum.
template <class Model, class... Ps>
concept AddsInOrder = detail::Composition<Model, Ps...>::adds_parts_on_ranks &&
    detail::Composition<Model, Ps...>::rounds_no_part &&
    detail::Composition<Model, Ps...>::shards_subtrees;
/// Sharded parameters need groups to be freed and gathered one by one, or Groups<One> said aloud.
template <class Model, class... Ps>
concept HasGroupsToShard = detail::Composition<Model, Ps...>::has_groups;

/// The model's layers and the loss compile for the compute type of the list, not for fp32 only.
template <class Model, class... Ps>
concept ComputesIn = Layer<Model, detail::home_of<Model>, detail::compute_of<Ps...>>;
/// The same of the loss.
template <class Loss, class Model, class... Ps>
concept LossComputesIn =
    LossFor<Loss, Model, detail::home_of<Model, Loss>, detail::compute_of<Ps...>>;
/// fp16 gradients have a loss scale.
template <class Model, class... Ps>
concept ScalesFp16 =
    !detail::Composition<Model, Ps...>::has_fp16 || detail::Composition<Model, Ps...>::scales;
/// Only fp16 gradients have a loss scale.
template <class Model, class... Ps>
concept ScalesFp16Only =
    detail::Composition<Model, Ps...>::has_fp16 || !detail::Composition<Model, Ps...>::scales;
/// With DynamicLossScale the loss takes its scale.
template <class Loss, class Model, class... Ps>
concept LossTakesScale =
    !detail::Composition<Model, Ps...>::scales ||
    ScalableLoss<Loss, Model, detail::home_of<Model, Loss>, detail::compute_of<Ps...>>;
/// Random rounding is for parameters without fp32 masters.
template <class Model, class... Ps>
concept RoundsWithoutMasters = detail::Composition<Model, Ps...>::rounds_what_is_16_bit;

/// All that the list says about element types fits.
template <class Model, class Loss, class... Ps>
concept TypesGoTogether = ComputesIn<Model, Ps...> && LossComputesIn<Loss, Model, Ps...> &&
    ScalesFp16<Model, Ps...> && ScalesFp16Only<Model, Ps...> &&
    LossTakesScale<Loss, Model, Ps...> && RoundsWithoutMasters<Model, Ps...>;

/// A plan needs a model that is a layer, a loss for its output, and at most one policy in each
/// slot.
template <class Model, class Loss, class... Ps>
concept Trainable = (!detail::holds_refused<Model>()) &&
                    Layer<Model, detail::home_of<Model, Loss>>&& HasTrainedParameters<
                        Model>&& LossFor<Loss, Model, detail::home_of<Model, Loss>> &&
                    (Policy<Ps> && ...) && OnePolicyPerSlot<Ps...> && (HasHooks<Ps> && ...) &&
                    ReducesWhatItShards<Model, Ps...>&& AddsInOrder<Model, Ps...>&& TypesGoTogether<
                        Model, Loss, Ps...>&& HasGroupsToShard<Model, Ps...>;

}  // namespace cohort
