// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/chosen.hpp: every slot's policy of a type list, in one spelling.
#pragma once
#include <cohort/optim/adamw.hpp>
#include <cohort/optim/warmup_cosine.hpp>
#include <cohort/policies/buckets.hpp>
#include <cohort/policies/capture.hpp>
#include <cohort/policies/clip_grad_norm.hpp>
#include <cohort/policies/clip_grad_value.hpp>
#include <cohort/policies/detect_anomaly.hpp>
#include <cohort/policies/dynamic_loss_scale.hpp>
#include <cohort/policies/grad_accum.hpp>
#include <cohort/policies/groups.hpp>
#include <cohort/policies/hybrid_shard.hpp>
#include <cohort/policies/mixed_precision.hpp>
#include <cohort/policies/profiling.hpp>
#include <cohort/policies/replicate.hpp>
#include <cohort/policies/reproducible.hpp>
#include <cohort/policies/shard_gradients.hpp>
#include <cohort/policies/shard_optimizer.hpp>
#include <cohort/policies/stochastic_rounding.hpp>
#include <cohort/policies/tree_order.hpp>

namespace cohort::detail {

/// Every slot's policy: the list's, or the documented default.
template <class... Ps> struct ChosenPolicies {
  using data = policy_for<slots::data, DataParallel<Replicate>, Ps...>;
  using accumulation = policy_for<slots::accumulation, GradAccum<1>, Ps...>;
  using order = policy_for<slots::order, Fastest, Ps...>;
  using precision = policy_for<slots::precision, MixedPrecision<fp32>, Ps...>;
  using scaling = policy_for<slots::scaling, NoScale, Ps...>;
  using rounding = policy_for<slots::rounding, NearestRounding, Ps...>;
  using clipping = policy_for<slots::clipping, NoClip, Ps...>;
  using buckets = policy_for<slots::buckets, Buckets<>, Ps...>;
  using groups = policy_for<slots::groups, Groups<ByRepeat>, Ps...>;
  using optimizer = policy_for<slots::optimizer, optim::AdamW, Ps...>;
  using schedule = policy_for<slots::schedule, optim::ConstantRate, Ps...>;
  using capture = policy_for<slots::capture, Eager, Ps...>;
  using anomalies = policy_for<slots::anomalies, IgnoreAnomalies, Ps...>;
  using profiling = policy_for<slots::profiling, NoProfile, Ps...>;
};
/// The same, in one spelling whatever the order of the list: equal choices are one type.
template <class Data, class Accumulation, class Order, class Precision, class Scaling,
          class Rounding, class Clipping, class Buckets, class Groups, class Optimizer,
          class Schedule, class Capture, class Anomalies, class Profiling>
struct Slots {
  using data = Data;
  using accumulation = Accumulation;
  using order = Order;
  using precision = Precision;
  using scaling = Scaling;
  using rounding = Rounding;
  using clipping = Clipping;
  using buckets = Buckets;
  using groups = Groups;
  using optimizer = Optimizer;
  using schedule = Schedule;
  using capture = Capture;
  using anomalies = Anomalies;
  using profiling = Profiling;
};
template <class C>
using slots_of =
    Slots<typename C::data, typename C::accumulation, typename C::order, typename C::precision,
          typename C::scaling, typename C::rounding, typename C::clipping, typename C::buckets,
          typename C::groups, typename C::optimizer, typename C::schedule, typename C::capture,
          typename C::anomalies, typename C::profiling>;

}  // namespace cohort::detail
