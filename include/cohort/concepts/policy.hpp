// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/concepts/policy.hpp: slots, what a policy is, and how a slot finds its policy.
#pragma once
#include <cohort/core/members.hpp>
#include <type_traits>

namespace cohort {

/// The things that policies decide; each type list fills each slot at most once.
namespace slots {
struct data {};          // how parameters, gradients and optimizer state lie on the ranks
struct accumulation {};  // how many micro-batches make one update
struct order {};         // in which order gradients are added up
struct precision {};     // the types of compute, masters and reductions
struct scaling {};       // what fp16 gradients are multiplied with on their way
struct rounding {};      // how parameters without masters are rounded
struct clipping {};      // what happens to gradients before the update
struct buckets {};       // what Replicate reduces together
struct groups {};        // what is gathered and reduced together
struct optimizer {};
struct schedule {};   // learning rate as a function of the step
struct capture {};    // how a step's work reaches a GPU
struct anomalies {};  // what is done to find where a NaN began
struct profiling {};  // what is noted of a step while it runs
}  // namespace slots

namespace detail {
template <class S, class... Slots>
inline constexpr bool is_one_of = (std::is_same_v<S, Slots> || ...);
template <class S>
inline constexpr bool is_slot =
    is_one_of<S, slots::data, slots::accumulation, slots::order, slots::precision, slots::scaling,
              slots::rounding, slots::clipping, slots::buckets, slots::groups, slots::optimizer,
              slots::schedule, slots::capture, slots::anomalies, slots::profiling>;
}  // namespace detail

/// An empty type that names the slot it fills: one that is read, or it would change nothing.
template <class P>
concept Policy = std::is_empty_v<P> && requires {
  typename P::slot;
} && detail::is_slot<typename P::slot>;

/// A policy for this slot.
template <class P, class Slot>
concept Fills = Policy<P> && std::is_same_v<typename P::slot, Slot>;

/// How many policies of the list fill the slot.
template <class Slot, class... Ps> inline constexpr int num_in = (0 + ... + Fills<Ps, Slot>);

/// No two policies of the list fill one slot.
template <class... Ps>
concept OnePolicyPerSlot = ((num_in<typename Ps::slot, Ps...> == 1) && ...);

namespace detail {
template <class Slot, class Default, class... Ps> struct policy_for_slot { using type = Default; };
template <class Slot, class Default, class P, class... Ps>
struct policy_for_slot<Slot, Default, P, Ps...> {
  using type =
      std::conditional_t<Fills<P, Slot>, P, typename policy_for_slot<Slot, Default, Ps...>::type>;
};
}  // namespace detail

/// The policy of the list that fills Slot, wherever it stands; Default when none does.
template <class Slot, class Default, class... Ps>
using policy_for = typename detail::policy_for_slot<Slot, Default, Ps...>::type;

/// An option that only a policy outside the list reads: setting it does not compile. The default of
/// a slot has one for each option of the policies that it stands in for.
struct Unset {
  constexpr Unset() = default;
  template <class V>
  requires(!std::is_same_v<V, detail::AnyValue>) Unset(const V&) {
    static_assert(std::is_void_v<V>,
                  "cohort: this option belongs to a policy that is not in the list of Trainer. "
                  "Add the policy (.clip needs ClipGradNorm or ClipGradValue, .schedule needs "
                  "optim::WarmupCosine) "
                  "or leave the option out. [cohort/concepts/policy.hpp]");
  }
  template <class V>
  Unset& operator=(const V&) = delete;  // cohort: add the policy that reads it to Trainer's list.
};

}  // namespace cohort
