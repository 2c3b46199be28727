// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/units.hpp: where hooks fire: the cut of a model into units, and the views that fire
// them.
#pragma once
#include <cohort/core/view.hpp>

namespace cohort {

/// Cuts at each element of an outermost Repeat; the default.
struct CutAtRepeat {
  template <class L> static consteval bool divides() {  // is there a Repeat in L?
    if constexpr (Repeated<L>) {
      return true;
    } else {
      bool any = false;
      for_each_index<children_of<L>::count>(
          [&](auto i) { any = any || divides<child_of<L, i>>(); });
      return any;
    }
  }
  template <class L, bool IsElement> static consteval bool whole() {
    return IsElement || !divides<L>();
  }
};

namespace detail {
/// Is L one of Bs, with nn::Frozen or nn::Checkpointed around it or not?
template <class L, class... Bs> consteval bool stands_for() {
  if constexpr ((std::is_same_v<L, Bs> || ...))
    return true;
  else if constexpr (requires { typename L::Thawed; })
    return stands_for<typename L::Thawed, Bs...>();
  else if constexpr (requires { typename L::Recomputed; })
    return stands_for<typename L::Recomputed, Bs...>();
  else
    return false;
}
}  // namespace detail

/// Cuts at every layer of one of these types, wherever it stands, frozen or checkpointed or not.
template <class... Bs> struct CutAt {
  template <class L> static constexpr bool names = detail::stands_for<L, Bs...>();
  template <class L> static consteval bool divides() {
    if constexpr (names<L>) {
      return true;
    } else if constexpr (Repeated<L>) {
      return divides<typename L::Element>();
    } else {
      bool any = false;
      for_each_index<children_of<L>::count>(
          [&](auto i) { any = any || divides<child_of<L, i>>(); });
      return any;
    }
  }
  template <class L, bool> static consteval bool whole() { return names<L> || !divides<L>(); }
};

/// Number of units in L: each whole subtree is one, the own parameters of a divided layer are one,
/// and what has no parameters is none. Own parameters come before the children, in order of
/// forward.
template <class L, class Cut, bool IsElement = false> consteval int num_units() {
  if constexpr (flat_size<L>() == 0) {
    return 0;
  } else if constexpr (Cut::template whole<L, IsElement>()) {
    return 1;
  } else if constexpr (Repeated<L>) {
    return L::repeat * num_units<typename L::Element, Cut, true>();
  } else {
    int sum = params_of<L>::count > 0 ? 1 : 0;
    for_each_index<children_of<L>::count>([&](auto i) { sum += num_units<child_of<L, i>, Cut>(); });
    return sum;
  }
}
/// Units of L that come before those of its child I.
template <class L, int I, class Cut> consteval int child_first_unit() {
  int sum = params_of<L>::count > 0 ? 1 : 0;
  for_each_index<I>([&](auto i) { sum += num_units<child_of<L, i>, Cut>(); });
  return sum;
}

namespace detail {
template <class L> struct CalledDirectly {
  static void say() {
    static_assert(
        never<L>,
        "cohort: a child's forward or backward was called directly. Call "
        "cohort::forward(ctx, p[\"name\"_p], x) and cohort::backward(ctx, p[...], s[...], "
        "dy, g[...]): there strategies gather and reduce. [cohort/core/call.hpp]");
  }
};
}  // namespace detail

/// A child that is one unit: entering it fires the store's hooks, which make its memory valid.
template <class L, class Store> class UnitView : public Borrowed {
 public:
  using layer = L;
  using store_type = Store;
  static constexpr bool is_unit = true, owns_unit = true;
  UnitView(const Store& in_store, int number) : store(in_store), unit(number) {}
  /// Who is in a unit has what open() gives.
  template <class N> auto operator[](N) const {
    detail::said<detail::CalledDirectly<L>>();
    return detail::RefusedView<typename Store::cursor::scalar>{};
  }
  auto open() const { return FlatView<L, typename Store::cursor>(store.at(unit)); }
  const Store& store;
  int unit;
};

/// A layer that several units share: its own parameters are one unit, its children others.
template <class L, class Store> class DividedView : public Borrowed {
 public:
  using layer = L;
  using store_type = Store;
  using cut = typename Store::cut;
  static constexpr bool is_unit = false, owns_unit = params_of<L>::count > 0 && !Repeated<L>;
  DividedView(const Store& in_store, int number) : store(in_store), unit(number) {}

  template <class N> auto operator[](N) const {
    if constexpr (!detail::knows_name<L, N>) {
      detail::said<detail::UnknownName<L, N>>();
      return detail::RefusedView<typename Store::cursor::scalar>{};
    } else {
      constexpr int i = params_of<L>::template find<N>, c = children_of<L>::template find<N>;
      if constexpr (i >= 0) {
        using P = typename params_of<L>::template at<i>;
        return store.at(unit).advanced(params_of<L>::template before<i>()).template open<P>();
      } else {
        return child<c>();
      }
    }
  }
  template <int I> auto child() const {
    return view_of<child_of<L, I>, false>(store, unit + child_first_unit<L, I, cut>());
  }
  auto element(int i) const requires Repeated<L> {
    using E = typename L::Element;
    return view_of<E, true>(store, unit + i * num_units<E, cut, true>());
  }
  /// The view through which a layer at this place is called.
  template <class C, bool IsElement> static auto view_of(const Store& in_store, int number) {
    if constexpr (flat_size<C>() == 0)
      return FlatView<C, typename Store::cursor>({});
    else if constexpr (cut::template whole<C, IsElement>())
      return UnitView<C, Store>(in_store, number);
    else
      return DividedView<C, Store>(in_store, number);
  }
  const Store& store;
  int unit;
};

}  // namespace cohort
