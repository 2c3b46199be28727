// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/averaged_storage.hpp: a strategy's storage and, beside it, averaged parameters, which every rank holds.
#pragma once
#include <cohort/comm/exchanged_memory.hpp>
#include <cohort/core/arena.hpp>
#include <cohort/core/said.hpp>
#include <cohort/ops/average.hpp>
#include <cohort/plan/held.hpp>
#include <cohort/plan/plan.hpp>
#include <cohort/policies/edited.hpp>
#include <cohort/policies/wire.hpp>
#include <type_traits>

namespace cohort::detail {

/// Base is the strategy's own storage, which knows nothing of averages. Values, sums of a step and the number
/// of samples behind them, rates by chunk: the classes of Plan::average_bytes.
///
/// Laws     all ranks hold the same values: one all-reduce gives all of them the same sums.
template <class Plan, class Comm, class Base> class AveragedStorage : public Base {
 public:
  using D = typename Plan::gradient;
  using Device = typename Plan::device;

  AveragedStorage(Comm& comm, const Device& device)
      : Base(comm, device),
        device_(device),
        values_(count * sizeof(D)),
        sums_((count + chunk) * sizeof(D)),
        rates_(round_up(count / chunk * sizeof(D), alignment)),
        world_{comm.size(), comm.rank()} {
    announce(comm, sums_);
    write_rates();
  }

  /// Where a unit's averages and their sums are.
  D* average(int unit) const { return values() + at(unit); }
  D* average_sums(int unit) const { return sums() + at(unit); }

  /// The sums that are reduced, of all averages; behind them the number of samples.
  D* step_sums() const { return sums(); }
  /// Begins sums over `samples` of this rank's samples, at step_sums() or elsewhere, on the stream that computes.
  void begin_averages(const Device& device, D* sums, int samples) const {
    ops::begin_average(device, count, sums, static_cast<D>(samples));
  }
  void run(const Op& op, Comm& world) {
    if (op.kind == OpKind::averages)
      world.all_reduce(sums(), op.count);
    else
      Base::run(op, world);
  }
  /// After the reduction, before the step's conclusion; on a GPU *found = 1 says no.
  bool averages_are_finite(const Device& device) const {
    return ops::averages_are_finite(device, count, static_cast<const D*>(sums()));
  }
  void find_non_finite_average(const Device& device, std::int32_t* found) const {
    ops::find_non_finite_average(device, count, static_cast<const D*>(sums()), found);
  }
  /// After the reduction, with the update. `skip`: see ops::average.
  template <class... Skip> void update_averages(const Device& device, Skip... skip) const {
    ops::average(device, count, values(), static_cast<const D*>(sums()),
                 rates_.template as<const D>(), skip...);
  }

  bool holds(const ParamInfo& p, std::size_t element) const {
    return p.averages() || Base::holds(p, element);
  }
  void write(const ParamInfo& p, std::size_t element, float value) const {
    if (!p.averages()) return Base::write(p, element, value);
    *values_.host(values() + (p.offset - first) + element) = static_cast<D>(value);
  }
  template <class F> void edit(F f) {
    values_.open(device_);
    Base::edit(f);
    values_.close(device_);
  }
  template <class W> void broadcast(W& world) {
    Base::broadcast(world);
    world.broadcast(values(), count, 0);
  }
  template <class W> void collect(W& world, bool gradients, float* flat) {
    Base::collect(world, gradients, flat);
    if (!gradients && flat != nullptr)
      fetch_converted(device_, count, static_cast<const D*>(values()), flat + first);
  }
  /// Every rank holds them, and answers for a part.
  Copies averaged_copies() const { return world_; }
  static constexpr std::size_t averaged_size() { return count; }
  template <class F> void for_each_held_average(F f) const {
    for_each_averaged_run(Plan::layout, [&](const HeldRun& run) { f(run, values() + run.local); });
  }

 private:
  static constexpr std::size_t count = Plan::layout.averaged, first = Plan::layout.first_averaged;
  static std::size_t at(int unit) {
    return Plan::layout.units[static_cast<std::size_t>(unit)].averaged_offset - first;
  }
  D* values() const { return values_.template as<D>(); }
  D* sums() const { return sums_.template as<D>(); }
  void write_rates() {
    const HostMemory image(on_host<Device> ? 0 : rates_.bytes());
    D* to = on_host<Device> ? rates_.template as<D>() : image.as<D>();
    for (const ParamInfo& p : Plan::layout.params)
      for (std::size_t k = 0; p.averages() && k < p.padded; k += chunk)
        to[(p.offset - first + k) / chunk] = static_cast<D>(p.rate);
    if constexpr (!on_host<Device>) device_.upload(rates_.template as<D>(), to, rates_.bytes());
  }

  [[no_unique_address]] Device device_;
  Edited<Device> values_;
  ExchangedMemory<Comm, Device> sums_;
  typename Device::Memory rates_;
  Copies world_;
};

/// What a run of the plan stores: the strategy's storage, with averages where the model has some.
template <class Plan, class Comm>
using RunStorage = std::conditional_t<
    Plan::averages, AveragedStorage<Plan, Comm, typename Plan::data::template Storage<Plan, Comm>>,
    typename Plan::data::template Storage<Plan, Comm>>;

}  // namespace cohort::detail
