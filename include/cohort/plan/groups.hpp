// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/groups.hpp: which units are gathered and reduced together; group 0 is the root.
#pragma once
#include <cohort/plan/layout.hpp>

namespace cohort {

/// Unit -> group. Groups are numbered in forward order from 1; 0 is the root group.
template <int U> struct GroupTable {
  std::array<int, U> of{};
  int count = 1;
};

/// The default: every element of a Repeat is a group, and so is every direct child of the model of
/// at least 1 MiB; the rest is the root.
struct ByRepeat {
  using cut = CutAtRepeat;
  template <class Model, class Cut>
  static constexpr auto assign(const Layout<Model, Cut>& layout, std::size_t element_bytes) {
    GroupTable<Layout<Model, Cut>::num_units> table;
    for (int u = 0; u < layout.num_units; ++u) {
      const UnitInfo& unit = layout.units[u];
      const std::size_t bytes = (unit.size + unit.frozen_size) * element_bytes;
      const bool big = unit.direct_child && bytes >= (std::size_t{1} << 20);
      if (!unit.own && (unit.element || big)) table.of[u] = table.count++;
    }
    return table;
  }
};

/// Every layer of one of these types is a group, wherever it stands; the rest is the root.
template <class... Bs> struct Each {
  using cut = CutAt<Bs...>;
  template <class Model, class Cut>
  static constexpr auto assign(const Layout<Model, Cut>&, std::size_t) {
    static_assert(
        Cut::template divides<Model>(),
        "cohort: Groups<Each<...>> names a layer type that the model does not contain. Name the "
        "type as it stands in the model. [cohort/plan/groups.hpp]");
    GroupTable<Layout<Model, Cut>::num_units> table;
    mark<Model>(table, 0);
    return table;
  }

 private:
  template <class L, class Table> static constexpr int mark(Table& table, int unit) {
    if constexpr (flat_size<L>() == 0) {
      return unit;
    } else if constexpr (cut::template names<L>) {
      table.of[unit] = table.count++;
      return unit + 1;
    } else if constexpr (cut::template whole<L, false>()) {
      return unit + 1;
    } else if constexpr (Repeated<L>) {
      for (int i = 0; i < L::repeat; ++i) unit = mark<typename L::Element>(table, unit);
      return unit;
    } else {
      unit += params_of<L>::count > 0 ? 1 : 0;
      for_each_index<children_of<L>::count>(
          [&](auto i) { unit = mark<child_of<L, i>>(table, unit); });
      return unit;
    }
  }
};

/// What BySize asks of its arguments.
template <std::size_t Min, std::size_t Max>
concept MinNotAboveMax = Min <= Max;

namespace detail {
template <std::size_t Min, std::size_t Max> struct MinAboveMax {
  static void say() {
    static_assert(
        MinNotAboveMax<Min, Max>,
        "cohort: Groups<BySize<Min, Max>> needs Min <= Max. Both are bytes: exchange them. "
        "[cohort/plan/groups.hpp]");
  }
};
}  // namespace detail

/// Chosen only when Min is above Max: says so in one sentence, then stops.
template <std::size_t Min, std::size_t Max> struct BySize : BySize<Max, Min> {
  static_assert(detail::said<detail::MinAboveMax<Min, Max>>());
};

/// Neighbouring units join until a group has at least Min bytes, and none grows beyond Max by
/// joining.
template <std::size_t Min, std::size_t Max>
requires MinNotAboveMax<Min, Max>
struct BySize<Min, Max> {
  using cut = CutAtRepeat;
  template <class Model, class Cut>
  static constexpr auto assign(const Layout<Model, Cut>& layout, std::size_t element_bytes) {
    GroupTable<Layout<Model, Cut>::num_units> table;
    std::size_t bytes = 0;
    bool open = false;
    for (int u = 0; u < layout.num_units; ++u) {
      const UnitInfo& unit = layout.units[u];
      if (unit.own) continue;
      const std::size_t more = (unit.size + unit.frozen_size) * element_bytes;
      if (!open || bytes >= Min || bytes + more > Max) {
        open = true;
        bytes = 0;
        ++table.count;
      }
      bytes += more;
      table.of[u] = table.count - 1;
    }
    return table;
  }
};

/// Everything in the root group.
struct One {
  using cut = CutAtRepeat;
  template <class Model, class Cut>
  static constexpr auto assign(const Layout<Model, Cut>&, std::size_t) {
    return GroupTable<Layout<Model, Cut>::num_units>{};
  }
};

}  // namespace cohort
