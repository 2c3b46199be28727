// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/work.hpp: floating-point operations of a model's units, as functions of the rows.
#pragma once
#include <array>
#include <cohort/core/tensor.hpp>
#include <cohort/core/units.hpp>

namespace cohort {

/// Operations (a multiplication and an addition are two) of a layer in one micro-batch.
struct Work {
  double forward = 0, backward = 0;
  constexpr Work& operator+=(Work w) {
    forward += w.forward;
    backward += w.backward;
    return *this;
  }
};

namespace detail {
/// A matrix of parameters meets every row once in forward, and in backward for dx and, where it trains, for dW.
/// A layer over tokens looks its rows up.
template <class L> constexpr Work work_of_matrices(Rows rows) {
  Work sum;
  if constexpr (!std::is_same_v<typename L::Input, Tokens>) {
    for_each_index<params_of<L>::count>([&](auto i) {
      using P = typename params_of<L>::template at<i>;
      const double product = P::rank < 2 ? 0 : 2.0 * rows.count() * P::numel;
      sum += {product, (P::trains ? 2 : 1) * product};
    });
  }
  return sum;
}
template <class L> constexpr Work own_work(Rows rows) {
  if constexpr (requires { L::work(rows); })
    return L::work(rows);
  else
    return work_of_matrices<L>(rows);
}
}  // namespace detail

/// The matrix products of L and its children. A layer whose products are not those of its parameters with its rows,
/// as attention's, says `static constexpr Work work(Rows)`, without its children's. What is bound by memory (norms,
/// activations, lookups) is not in it.
template <class L> constexpr Work work_of(Rows rows) {
  if constexpr (Repeated<L>) {
    const Work w = work_of<typename L::Element>(rows);
    return {L::repeat * w.forward, L::repeat * w.backward};
  } else {
    Work sum = detail::own_work<L>(rows);
    for_each_index<children_of<L>::count>([&](auto i) { sum += work_of<child_of<L, i>>(rows); });
    if constexpr (requires { typename L::Recomputed; }) sum.backward += sum.forward;
    return sum;
  }
}

/// The same by unit. What a divided layer does itself comes behind its children in forward and before them in
/// backward (a head that shares the embedding's table).
template <class Model, class Cut> class UnitWork {
 public:
  static constexpr int num_units = cohort::num_units<Model, Cut>();

  constexpr explicit UnitWork(Rows rows) { walk<Model, false>(rows); }

  std::array<double, num_units> forward{}, backward{}, before_backward{};

  constexpr Work total() const {
    Work sum;
    for (int u = 0; u < num_units; ++u) sum += {forward[u], backward[u] + before_backward[u]};
    return sum;
  }

 private:
  int units_ = 0;

  constexpr void add(Work w, bool between) {
    const int u = units_ > 0 ? units_ - 1 : 0;
    forward[u] += w.forward;
    (between ? before_backward : backward)[u] += w.backward;
  }
  template <class L, bool IsElement> constexpr void walk(Rows rows) {
    if constexpr (flat_size<L>() == 0) {
      add(work_of<L>(rows), true);
    } else if constexpr (Cut::template whole<L, IsElement>()) {
      ++units_;
      add(work_of<L>(rows), false);
    } else if constexpr (Repeated<L>) {
      for (int i = 0; i < L::repeat; ++i) walk<typename L::Element, true>(rows);
    } else {
      if (params_of<L>::count > 0) ++units_;
      for_each_index<children_of<L>::count>([&](auto i) { walk<child_of<L, i>, false>(rows); });
      add(detail::own_work<L>(rows), true);
    }
  }
};

}  // namespace cohort
