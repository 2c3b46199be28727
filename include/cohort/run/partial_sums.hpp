// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/partial_sums.hpp: what a rank adds up of the parts that it does of Reproducible's ranks.
#pragma once
#include <bit>
#include <cohort/ops/pair_sums.hpp>
#include <cohort/plan/plan.hpp>
#include <cstddef>

namespace cohort::detail {

/// Each part's sums begin at zero and are added in pairs, pairs of pairs, and so on, as ranks would add them:
/// part p completes as many pairs as p has ones at its end. Sums without a partner wait here, those of the
/// most parts first; the last part's are added where the strategy keeps the rank's own, which it reduces.
///
/// Shapes   log2(parts) sums of Plan::partial_sum_bytes.
template <class Plan, bool used = Plan::has_parts> class PartialSums {
 public:
  using D = typename Plan::gradient;
  using Device = typename Plan::device;

  explicit PartialSums(int ranks)
      : parts_(Plan::parts(ranks)),
        memory_(static_cast<std::size_t>(Plan::sums_waiting(ranks)) * Plan::partial_sum_bytes) {}

  int parts() const { return parts_; }
  int part() const { return part_; }
  /// True where the micro-batch begins a part.
  bool begin(int micro_batch) {
    part_ = micro_batch / Plan::micro_batches;
    ends_ = (micro_batch + 1) % Plan::micro_batches == 0;
    return micro_batch % Plan::micro_batches == 0;
  }

  /// Where this part adds up a unit's gradients, `own` being the strategy's place for them.
  D* gradients(int unit, D* own) const { return waits() ? waiting(unit_at(unit)) : own; }
  /// The same for the sums of averages, all or from element `at` on.
  D* averages(D* own, std::size_t at = 0) const {
    return waits() ? waiting(averages_at + at) : own;
  }

  /// A unit's gradients of this micro-batch are there.
  void add_gradients(const Device& device, int unit, D* own) const {
    add(device, Plan::layout.units[static_cast<std::size_t>(unit)].size, unit_at(unit), own);
  }
  /// Those of all averages and their number of samples.
  void add_averages(const Device& device, D* own) const {
    add(device, Plan::layout.averaged + 1, averages_at, own);
  }
  /// The loss is added up in `own`, part by part.
  void begin_loss(const Device& device, double* own) const {
    if (part_ > 0) device.zero(own, 2 * sizeof(double));
  }
  void add_loss(const Device& device, double* own) const {
    if (waits() && ends_) device.copy(waiting<double>(loss_at), own, 2 * sizeof(double));
    add(device, 2, loss_at, own);
  }

 private:
  static constexpr std::size_t averages_at = Plan::layout.size;
  static constexpr std::size_t loss_at =
      (Plan::partial_sum_bytes - chunk * sizeof(D)) / sizeof(double);

  static std::size_t unit_at(int unit) {
    return Plan::layout.units[static_cast<std::size_t>(unit)].offset;
  }
  /// Of the part's pairs, how many it completes; and of the sums before it, how many wait.
  int pairs() const { return std::countr_one(static_cast<unsigned>(part_)); }
  int depth() const { return std::popcount(static_cast<unsigned>(part_)); }
  bool is_last() const { return part_ + 1 == parts_; }
  bool waits() const { return pairs() == 0 && !is_last(); }

  /// Element `at` of the sum that waits behind `before` others.
  template <class T = D> T* waiting(std::size_t at, int before) const {
    return reinterpret_cast<T*>(memory_.template as<std::byte>() +
                                static_cast<std::size_t>(before) * Plan::partial_sum_bytes) +
           at;
  }
  template <class T = D> T* waiting(std::size_t at) const { return waiting<T>(at, depth()); }
  template <class T> void add(const Device& device, std::size_t n, std::size_t at, T* own) const {
    if (!ends_ || pairs() == 0 || n == 0) return;
    T* const left = waiting<T>(at, depth() - pairs());
    ops::add_pairs(device, n, static_cast<const T*>(left), Plan::partial_sum_bytes / sizeof(T),
                   pairs(), static_cast<const T*>(own), is_last() ? own : left);
  }

  int parts_, part_ = 0;
  bool ends_ = true;
  typename Device::Memory memory_;
};

/// A rank has its own part only, where the strategy keeps it.
template <class Plan> class PartialSums<Plan, false> {
 public:
  using D = typename Plan::gradient;
  using Device = typename Plan::device;
  explicit PartialSums(int) {}
  static constexpr int parts() { return 1; }
  static constexpr int part() { return 0; }
  static bool begin(int micro_batch) { return micro_batch == 0; }
  static D* gradients(int, D* own) { return own; }
  static D* averages(D* own, std::size_t = 0) { return own; }
  static void add_gradients(const Device&, int, D*) {}
  static void add_averages(const Device&, D*) {}
  static void begin_loss(const Device&, double*) {}
  static void add_loss(const Device&, double*) {}
};

}  // namespace cohort::detail
