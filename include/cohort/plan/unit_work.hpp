// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/unit_work.hpp: the operations of each unit of a model, and of what lies between units.
#pragma once
#include <array>
#include <cohort/core/units.hpp>
#include <cohort/core/work.hpp>

namespace cohort {

/// By unit. What a divided layer does itself comes behind its children in forward and before them in backward (a
/// head that shares the embedding's table); so does, of the unit before it, what has no parameters.
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
