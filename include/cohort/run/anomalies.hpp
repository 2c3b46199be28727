// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/anomalies.hpp: looks for what is not finite while it is still known whose it is.
#pragma once
#include <array>
#include <bit>
#include <cmath>
#include <cohort/core/tensor.hpp>
#include <cohort/ops/loss_sum.hpp>
#include <cohort/plan/held.hpp>
#include <cohort/plan/unit_names.hpp>
#include <cohort/run/finding.hpp>

namespace cohort::detail {

/// Without DetectAnomaly in the list: nothing, not even a byte.
template <class Plan, bool Detects> class Anomalies {};

/// The first finding of this rank in the step that runs. Looks at a micro-batch's loss, its gradients unit
/// by unit and what units pass back; looks at rows and outputs where the loss is no number, and at
/// parameters where the step has failed.
template <class Plan> class Anomalies<Plan, true> {
 public:
  using C = typename Plan::compute;
  using D = typename Plan::gradient;

  void begin_micro_batch(bool first) {
    num_outputs_ = 0;
    ++micro_batch_;
    if (!first) return;
    micro_batch_ = 0;
    found_ = {};
    loss_ = {};
    bad_gradient_ = false;
  }
  /// Remembers where a unit's result lies; it stays there until backward has passed.
  template <int Width> void output(int unit, const Tensor<const C, Width>& y) {
    if (num_outputs_ < outputs_.size()) outputs_[num_outputs_++] = {unit, y.data, y.size()};
  }
  /// With the loss of a micro-batch: everything that it came from, in the order of its coming.
  template <class X, class Y, class Target, class Loss>
  void after_loss(const X& x, const Y& y, const Target& target, const Loss& loss) {
    loss_ += loss.total;
    if (found_) return;
    if (std::isfinite(loss.total.sum) && std::isfinite(loss.total.weight))
      return look(Place::loss_gradient, -1, loss.dy);
    look(Place::input, -1, x);
    look(Place::target, -1, target);
    for (std::size_t i = 0; i < num_outputs_ && !found_; ++i)
      look(Place::output, outputs_[i].unit, outputs_[i].data, outputs_[i].size);
    look(Place::output, -1, y);
    if (found_) return;
    const double bad = std::isfinite(loss.total.sum) ? loss.total.weight : loss.total.sum;
    found_ = {Place::loss, micro_batch_, -1, 1, std::isnan(bad), std::isinf(bad), 0, bad};
  }
  /// At the gradients of a unit on this rank, before anything is sent. `grad` is where the unit's begin.
  void after_backward(int unit, const D* grad) {
    const auto& u = Plan::layout.units[static_cast<std::size_t>(unit)];
    for (int i = u.first_param; i < u.first_param + u.num_params && !bad_gradient_; ++i) {
      const ParamInfo& p = Plan::layout.params[static_cast<std::size_t>(i)];
      if (!p.trains) continue;
      const D* at = grad + (p.offset - u.offset);
      bad_gradient_ = !ops::all_finite(at, p.numel);
      if (bad_gradient_) look(Place::gradient, i, at, p.numel);
    }
  }
  /// At the sums of a unit's averages on this rank so far. They stop no step here: all ranks' sums decide.
  /// Backward comes by the last unit first, and forward has summed up: of a micro-batch the first counts.
  void after_averages(int unit, const D* sums) {
    if (found_ && (found_.place != Place::average || found_.micro_batch != micro_batch_)) return;
    const auto& u = Plan::layout.units[static_cast<std::size_t>(unit)];
    for (int i = u.first_param; i < u.first_param + u.num_params; ++i) {
      const ParamInfo& p = Plan::layout.params[static_cast<std::size_t>(i)];
      if (!p.averages()) continue;
      const auto count = ops::count_non_finite(sums + (p.offset - u.averaged_offset), p.numel);
      if (!count) continue;
      found_ = finding(Place::average, micro_batch_, i, p.numel, count);
      return;
    }
  }
  template <class T, int Width> void passed_back(int unit, const Tensor<T, Width>& dx) {
    look(Place::passed_back, unit, dx);
  }
  void passed_back(int, const NoGradient&) {}

  /// A gradient of this rank is not finite: the step must not update.
  bool bad_gradient() const { return bad_gradient_; }

  /// Tells all ranks what each has found, and the loss, which bad_gradient() may have hidden. Collective,
  /// on the compute thread when nothing is under way.
  template <class World, class Storage>
  std::string explain(World& world, const Storage& storage, ops::LossSum& loss) const {
    struct Words {
      Finding parameter, found;
      double sum, weight;
    };
    constexpr std::size_t count = sizeof(Words) / sizeof(std::int64_t);
    using Numbers = std::array<std::int64_t, count>;
    const auto mine =
        std::bit_cast<Numbers>(Words{bad_parameter(storage), found_, loss_.sum, loss_.weight});
    const auto ranks = static_cast<std::size_t>(world.size());
    std::vector<Numbers> all(ranks);
    world.all_gather(mine.data(), all[0].data(), count);
    std::vector<Finding> parameters(ranks), found(ranks);
    loss = {};
    for (std::size_t r = 0; r < ranks; ++r) {
      const auto words = std::bit_cast<Words>(all[r]);
      parameters[r] = words.parameter;
      found[r] = words.found;
      loss += {words.sum, words.weight};
    }
    using Model = typename Plan::model;
    return findings_text(parameters, found, Plan::micro_batches_on(world.size()),
                         parameter_names<Model>(), unit_names<Model, typename Plan::cut>());
  }

 private:
  struct Output {
    int unit;
    const C* data;
    std::size_t size;
  };

  template <class T> void look(Place place, int id, const T* at, std::size_t size) {
    if (found_) return;
    const ops::NonFiniteCount count = ops::count_non_finite(at, size);
    if (count) found_ = finding(place, micro_batch_, id, size, count);
  }
  template <class T, int Width> void look(Place place, int id, const Tensor<T, Width>& x) {
    using V = std::remove_const_t<T>;
    look(place, id, static_cast<const V*>(x.data), x.size());
  }
  void look(Place, int, const Tokens&) {}

  /// The first parameter that is not finite where this rank holds it, as layers read it.
  template <class Storage> static Finding bad_parameter(const Storage& storage) {
    Finding first;
    const auto check = [&](const HeldRun& run, const auto* values) {
      if (first && first.id <= run.param) return;
      ops::NonFiniteCount count;
      for (std::size_t k = 0; k < run.count; ++k) {
        const C read = static_cast<C>(values[k]);
        const auto one = ops::count_non_finite(&read, 1);
        if (!one) continue;
        if (!count) count = {0, 0, run.first + k, one.value};
        count.nans += one.nans;
        count.infinities += one.infinities;
      }
      if (count) first = finding(Place::parameter, 0, run.param, run.count, count);
    };
    storage.for_each_held(
        [&](const HeldRun& run, const auto* values, const auto*) { check(run, values); });
    storage.for_each_held_frozen(check);
    if constexpr (Plan::averages) storage.for_each_held_average(check);
    return first;
  }

  std::int64_t micro_batch_ = 0;
  std::size_t num_outputs_ = 0;
  std::array<Output, static_cast<std::size_t>(Plan::num_units)> outputs_;
  Finding found_;
  ops::LossSum loss_;
  bool bad_gradient_ = false;
};

}  // namespace cohort::detail
