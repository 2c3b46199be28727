// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/layout.hpp: every parameter's offset and unit, and every unit's range, as constexpr
// tables.
#pragma once
#include <array>
#include <cohort/core/units.hpp>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace cohort {

/// One parameter in forward order. Offsets and sizes count elements; padded = rounded up to whole
/// chunks. What happens before step 0 and between steps reads these tables, and is not compiled for each parameter.
struct ParamInfo {
  std::size_t offset = 0, numel = 0, padded = 0;
  int unit = 0;
  int rank = 0, fan_in = 0;
  bool decays = false, trains = true;
  double rate = 0;                    // at which it follows an average; 0: it is none
  const int* first_extent = nullptr;  // of `rank`
  void (*draw)(Draw, float*, std::size_t) = nullptr;  // draw_values by its initialiser
  constexpr bool averages() const { return rate > 0; }
  constexpr std::span<const int> extents() const {
    return {first_extent, static_cast<std::size_t>(rank)};
  }
};

/// What one hook covers: a contiguous range of trained parameters in forward order, one of frozen and one
/// of averaged parameters.
struct UnitInfo {
  std::size_t offset = 0, size = 0;
  int first_param = 0, num_params = 0;
  bool own = false;           // the own parameters of a layer that other units divide
  bool element = false;       // an element of a Repeat
  bool direct_child = false;  // a direct child of the model
  std::size_t frozen_offset = 0, frozen_size = 0;
  std::size_t averaged_offset = 0, averaged_size = 0;
};

/// The flat order of a model's parameters: own before children, children as declared; first all that
/// are trained, then all that are frozen (nn::Frozen), then all that are averages (Averaged). Gradients and
/// optimizer state have the first range only. Padding is between parameters only and stays zero.
template <class Model, class Cut> struct Layout {
  static constexpr int num_units = cohort::num_units<Model, Cut>();
  static constexpr int num_params = cohort::num_params<Model>();
  static constexpr std::size_t size = subtree<Model>().trained;       // elements, padding included
  static constexpr std::size_t frozen = subtree<Model>().frozen;      // behind them
  static constexpr std::size_t averaged = subtree<Model>().averaged;  // behind those
  static constexpr std::size_t first_averaged = size + frozen;

  std::array<UnitInfo, num_units> units{};
  std::array<ParamInfo, num_params> params{};

  constexpr Layout() { walk<Model>(0, false, false); }

  /// Elements without padding: the number people quote.
  constexpr std::size_t num_elements() const {
    std::size_t sum = 0;
    for (const ParamInfo& p : params) sum += p.numel;
    return sum;
  }
  constexpr std::size_t num_frozen_elements() const {
    std::size_t sum = 0;
    for (const ParamInfo& p : params) sum += p.trains || p.averages() ? 0 : p.numel;
    return sum;
  }
  constexpr std::size_t num_averaged_elements() const {
    std::size_t sum = 0;
    for (const ParamInfo& p : params) sum += p.averages() ? p.numel : 0;
    return sum;
  }

 private:
  int unit_ = 0, param_ = 0;
  std::size_t at_ = 0, frozen_at_ = size, averaged_at_ = first_averaged;

  constexpr void begin_unit(const FlatCount& p, bool own, bool element, bool direct) {
    units[unit_++] = {at_,    p.trained,  param_,   p.params,     own,       element,
                      direct, frozen_at_, p.frozen, averaged_at_, p.averaged};
  }
  template <class L> constexpr void own_params() {
    for_each_index<params_of<L>::count>([&](auto i) {
      using P = typename params_of<L>::template at<i>;
      std::size_t& at = P::trains ? at_ : P::averages ? averaged_at_ : frozen_at_;
      params[param_++] = {at,
                          P::numel,
                          P::padded,
                          unit_ - 1,
                          P::rank,
                          P::cols,
                          P::decays,
                          P::trains,
                          P::rate,
                          P::extents.data(),
                          draw_values<typename P::initialiser>};
      at += P::padded;
    });
  }
  template <class L> constexpr void inside() {  // a subtree that is wholly in the current unit
    if constexpr (Repeated<L>) {
      for (int i = 0; i < L::repeat; ++i) inside<typename L::Element>();
    } else {
      own_params<L>();
      for_each_index<children_of<L>::count>([&](auto i) { inside<child_of<L, i>>(); });
    }
  }
  template <class L, bool IsElement = false>
  constexpr void walk(int depth, bool element, bool direct) {
    if constexpr (flat_size<L>() == 0) {
      return;
    } else if constexpr (Cut::template whole<L, IsElement>()) {
      begin_unit(subtree<L>(), false, element, direct);
      inside<L>();
    } else if constexpr (Repeated<L>) {
      for (int i = 0; i < L::repeat; ++i) walk<typename L::Element, true>(depth + 1, true, false);
    } else {
      if (params_of<L>::count > 0) begin_unit(params_of<L>::size, true, element, direct);
      own_params<L>();
      for_each_index<children_of<L>::count>(
          [&](auto i) { walk<child_of<L, i>>(depth + 1, element, depth == 0); });
    }
  }
};

namespace detail {
template <class L, class F> void for_each_parameter(F& f, int& index) {
  if constexpr (Repeated<L>) {
    for (int i = 0; i < L::repeat; ++i) for_each_parameter<typename L::Element>(f, index);
  } else {
    for_each_index<params_of<L>::count>(
        [&](auto i) { f.template operator()<typename params_of<L>::template at<i>>(index++); });
    for_each_index<children_of<L>::count>(
        [&](auto i) { for_each_parameter<child_of<L, i>>(f, index); });
  }
}
}  // namespace detail

/// Calls f.operator()<P>(index) for every parameter in forward order.
template <class Model, class F> void for_each_parameter(F&& f) {
  int index = 0;
  detail::for_each_parameter<Model>(f, index);
}

namespace detail {
/// The names in a layer, as a tree of tables: own parameters, then children; of a Repeat its element alone.
struct NamesOf {
  struct Below {
    std::string_view name;
    const NamesOf* tree;
  };
  std::span<const std::string_view> params;
  std::span<const Below> children;
  const NamesOf* element = nullptr;
  int repeat = 0;
};
template <class Params, class I> inline constexpr int own_names = 0;
template <class Params, int... I>
inline constexpr std::array<std::string_view, sizeof...(I)>
    own_names<Params, std::integer_sequence<int, I...>>{Params::template at<I>::name::view()...};
template <class L> struct Names;
template <class Children, class I> inline constexpr int names_below = 0;
template <class Children, int... I>
inline constexpr std::array<NamesOf::Below, sizeof...(I)>
    names_below<Children, std::integer_sequence<int, I...>>{NamesOf::Below{
        Children::template name_at<I>::view(), &Names<typename Children::template at<I>>::tree}...};
template <class L> constexpr NamesOf names_of() {
  if constexpr (Repeated<L>)
    return {{}, {}, &Names<typename L::Element>::tree, L::repeat};
  else
    return {own_names<params_of<L>, std::make_integer_sequence<int, params_of<L>::count>>,
            names_below<children_of<L>, std::make_integer_sequence<int, children_of<L>::count>>};
}
template <class L> struct Names { static constexpr NamesOf tree = names_of<L>(); };

inline void append_names(std::vector<std::string>& out, const std::string& prefix,
                         const NamesOf& names) {
  for (int i = 0; i < names.repeat; ++i)
    append_names(out, prefix + std::to_string(i) + ".", *names.element);
  for (const std::string_view name : names.params) out.push_back(prefix + std::string(name));
  for (const auto& [name, tree] : names.children)
    append_names(out, prefix + std::string(name) + ".", *tree);
}
}  // namespace detail

/// The dotted name of every parameter, in forward order: "2.0.inner.weight".
template <class Model> std::vector<std::string> parameter_names() {
  std::vector<std::string> names;
  detail::append_names(names, "", detail::Names<Model>::tree);
  return names;
}

}  // namespace cohort
