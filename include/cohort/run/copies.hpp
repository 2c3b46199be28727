// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/copies.hpp: the tensors that a strategy keeps on several ranks, and which ranks hold the same.
#pragma once
#include <cohort/plan/held.hpp>
#include <string>

namespace cohort::detail {

/// What of a parameter several ranks may hold: the values that layers read, masters, moments.
inline constexpr int held_value = 0, held_master = 1, held_moment = 2;
template <class Optimizer> std::string held_name(int kind) {
  if (kind == held_value) return "parameter";
  if (kind == held_master) return "master";
  if constexpr (requires { Optimizer::moment_names; })
    return Optimizer::moment_names[kind - held_moment];
  else
    return "moment " + std::to_string(kind - held_moment);
}

/// Ranks r and r + period<Plan>(ranks) hold the same tensors. Averages all ranks hold.
template <class Plan> constexpr int period(int ranks) {
  return Plan::data::shards_params ? Plan::shard_group(ranks) : 1;
}
template <class Plan> constexpr int period(int ranks, int param) {
  return Plan::layout.params[static_cast<std::size_t>(param)].averages() ? 1 : period<Plan>(ranks);
}

/// Calls f(kind, HeldRun, const T* at) for all that other ranks hold too, without padding; `at` is in the
/// device's memory.
template <class Plan, class Storage, class F> void for_each_copy(const Storage& storage, F f) {
  constexpr bool whole = !Plan::data::shards_params;
  if (storage.copies().count > 1) {
    storage.for_each_held([&](const HeldRun& run, const auto* values, const auto* moment) {
      if constexpr (Plan::has_masters)
        f(held_master, run, values);
      else if constexpr (!whole)
        f(held_value, run, values);
      for (int m = 0; m < Plan::slots::optimizer::moments; ++m)
        f(held_moment + m, run, moment + static_cast<std::size_t>(m) * storage.size());
    });
  }
  if constexpr (Plan::averages) {
    if (storage.averaged_copies().count > 1)
      storage.for_each_held_average(
          [&](const HeldRun& run, const auto* values) { f(held_value, run, values); });
  }
  if (storage.frozen_copies().count <= 1) return;
  storage.for_each_held_frozen(
      [&](const HeldRun& run, const auto* values) { f(held_value, run, values); });
  if constexpr (whole) {
    for_each_whole_run(Plan::layout, true, [&](const HeldRun& run) {
      const ParamInfo& p = Plan::layout.params[static_cast<std::size_t>(run.param)];
      const auto& unit = Plan::layout.units[static_cast<std::size_t>(p.unit)];
      const typename Plan::compute* at = storage.param(p.unit) + (p.offset - unit.offset);
      f(held_value, run, at);
    });
  }
}

}  // namespace cohort::detail
