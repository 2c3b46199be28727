// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/hooks.hpp: what each slot asks of its policy, as concepts.
#pragma once
#include <cohort/concepts/policy.hpp>
#include <cohort/ops/default_gemm.hpp>
#include <cohort/optim/shard.hpp>
#include <concepts>
#include <type_traits>

namespace cohort {

/// Has options, says how many arrays it keeps beside the parameters, and updates a flat range of any
/// type on the CPU; or brings the Step of an update on GPUs (optim/sgd.hpp has both).
template <class P>
concept UpdatesShards = requires {
  typename P::Options;
  typename std::integral_constant<int, P::moments>;
}
&&(
    requires(const Shard<float>& s, UpdateStep now, const typename P::Options& o) {
      P::update(DefaultCpu{}, s, now, o);
    } ||
    requires { typename P::template Step<float>; });

/// Has options, and gives the learning rate of a step, counted from 1.
template <class P>
concept SetsRates = requires(std::int64_t step, const typename P::Options& o) {
  { P::at(step, 1e-3, o) } -> std::convertible_to<double>;
};

namespace detail {
template <class P>
concept KnowsClipping = requires {
  typename P::Options;
  typename std::bool_constant<P::needs_norm>;
  typename std::bool_constant<P::clips_values>;
};
template <class P>
concept KnowsAccumulation = requires {
  typename std::integral_constant<int, P::micro_batches>;
  typename std::bool_constant<P::reduces_each>;
};
template <class P>
concept KnowsOrder = requires {
  typename std::integral_constant<int, P::ranks>;
  typename std::bool_constant<P::in_tree_order>;
};
template <class P>
concept KnowsTypes = requires {
  typename P::compute;
  typename P::master;
  typename P::reduce;
  typename std::bool_constant<P::tf32_products>;
};
template <class P>
concept KnowsBytes = requires {
  typename std::integral_constant<std::size_t, P::first_bytes>;
  typename std::integral_constant<std::size_t, P::cap_bytes>;
};
template <class P>
concept KnowsSpans = requires {
  typename std::bool_constant<P::times>;
  typename std::integral_constant<std::size_t, P::max_spans>;
  typename std::integral_constant<std::size_t, P::trace_bytes>;
};

template <class P> consteval bool has_hooks() {
  using S = typename P::slot;
  if constexpr (std::is_same_v<S, slots::optimizer>)
    return UpdatesShards<P>;
  else if constexpr (std::is_same_v<S, slots::schedule>)
    return SetsRates<P>;
  else if constexpr (std::is_same_v<S, slots::clipping>)
    return KnowsClipping<P>;
  else if constexpr (std::is_same_v<S, slots::accumulation>)
    return KnowsAccumulation<P>;
  else if constexpr (std::is_same_v<S, slots::order>)
    return KnowsOrder<P>;
  else if constexpr (std::is_same_v<S, slots::precision>)
    return KnowsTypes<P>;
  else if constexpr (std::is_same_v<S, slots::buckets>)
    return KnowsBytes<P>;
  else if constexpr (std::is_same_v<S, slots::groups>)
    return requires { typename P::how::cut; };
  else if constexpr (std::is_same_v<S, slots::data>)
    return requires { typename P::how; };
  else if constexpr (std::is_same_v<S, slots::scaling>)
    return requires { typename std::bool_constant<P::scales>; };
  else if constexpr (std::is_same_v<S, slots::rounding>)
    return requires { typename std::bool_constant<P::at_random>; };
  else if constexpr (std::is_same_v<S, slots::capture>)
    return requires { typename std::bool_constant<P::captures>; };
  else if constexpr (std::is_same_v<S, slots::anomalies>)
    return requires { typename std::bool_constant<P::detects>; };
  else
    return KnowsSpans<P>;
}
}  // namespace detail

/// A policy that offers what its slot reads.
template <class P>
concept HasHooks = Policy<P> && detail::has_hooks<P>();

}  // namespace cohort
