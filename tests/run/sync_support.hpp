// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/sync_support.hpp: trainings whose ranks are parted on purpose, past every function that would refuse it.
#pragma once
#include <atomic>
#include <cohort/run/check_sync.hpp>
#include <mutex>

#include "../policies/sharding.hpp"

namespace cohort::test {

/// Trains on batches of 6 samples a rank that go by the number of the step.
template <class Case, class Run> void train_on(Run& run, int steps) {
  for (int i = 0; i < steps; ++i) {
    const zoo::Batch<Case> batch(6 * run.size(), 1 + static_cast<std::uint64_t>(run.steps_done()));
    const int first = run.rank() * 6;
    run.step(batch.x().samples(first, 6), batch.y().samples(first, 6));
  }
}

/// Adds `by` to one number in the memory of a device; returns what it was.
template <class Device, class T> double add_to(const Device& device, T* at, double by) {
  T value;
  cohort::detail::fetch_bytes(device, reinterpret_cast<const std::byte*>(at),
                              std::as_writable_bytes(std::span(&value, 1)));
  const auto old = static_cast<double>(static_cast<float>(value));
  const T changed = static_cast<T>(static_cast<float>(old + by));
  if constexpr (on_host<Device>)
    *at = changed;
  else
    device.upload(at, &changed, sizeof(T));
  return old;
}
inline int index_of(const std::vector<std::string>& names, const std::string& name) {
  return static_cast<int>(std::find(names.begin(), names.end(), name) - names.begin());
}

/// Adds `by` to an element of the parameter as layers read it; strategies that keep parameters whole. An
/// element beyond the last is padding.
template <class Run>
double damage_parameter(Run& run, const std::string& name, std::size_t element, double by = 1) {
  using Plan = typename Run::plan_type;
  const auto names = parameter_names<typename Plan::model>();
  const ParamInfo& p = Plan::layout.params[static_cast<std::size_t>(index_of(names, name))];
  const auto& unit = Plan::layout.units[static_cast<std::size_t>(p.unit)];
  return run.inspect([&](auto&, const auto& device, auto& storage) {
    auto* at = p.trains ? storage.param(p.unit) + (p.offset - unit.offset)
                        : storage.frozen(p.unit) + (p.offset - unit.frozen_offset);
    return add_to(device, at + element, by);
  });
}
/// Adds `by` to an element of what the optimizer updates (moment -1), or of a moment, where this rank has
/// it.
template <class Run>
void damage_shard(Run& run, const std::string& name, int moment, std::size_t element,
                  double by = 1) {
  const auto names = parameter_names<typename Run::plan_type::model>();
  run.inspect([&](auto&, const auto& device, auto& storage) {
    storage.for_each_held([&](const HeldRun& r, auto* values, auto* moments) {
      if (r.param != index_of(names, name)) return;
      if (element < r.first || element >= r.first + r.count) return;
      const std::size_t at = element - r.first;
      if (moment < 0)
        add_to(device, values + at, by);
      else
        add_to(device, moments + static_cast<std::size_t>(moment) * storage.size() + at, by);
    });
  });
}

/// What every rank said, in rank order.
struct Said {
  std::vector<SyncReport> reports;
  std::vector<std::string> errors;  // of require_sync
  bool same() const {
    for (std::size_t r = 1; r < reports.size(); ++r)
      if (reports[r].first != reports[0].first || reports[r].text() != reports[0].text())
        return false;
    return true;
  }
  const Difference& first() const { return *reports[0].first; }
};

/// Trains two steps, lets damage(run, rank) part the ranks, and asks.
template <class Run, class Case, class Device = void, class F> Said parted(int ranks, F damage) {
  Said said{std::vector<SyncReport>(static_cast<std::size_t>(ranks)),
            std::vector<std::string>(static_cast<std::size_t>(ranks))};
  launch<Threads>({.ranks = ranks}, [&](Threads& world) {
    auto run = Run::template on<Device>(world, options_of<Run, Case>({.ranks = ranks}));
    train_on<Case>(run, 2);
    damage(run, world.rank());
    const auto r = static_cast<std::size_t>(world.rank());
    said.reports[r] = check_sync(run);
    try {
      require_sync(run);
    } catch (const OutOfSync& e) {
      said.errors[r] = e.what();
    }
    world.barrier();  // the world is whole
  });
  return said;
}

}  // namespace cohort::test
