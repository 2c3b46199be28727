// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/unit_names.hpp: units by the names of their parameters.
#pragma once
#include <algorithm>
#include <cohort/plan/layout.hpp>

namespace cohort {

namespace detail {
/// What all of a unit's parameters begin with, whole components only: "2.0" of "2.0.0.weight" and
/// "2.0.3.bias". Where they share nothing, the first of them.
inline std::string common_name(const std::string* first, const std::string* last) {
  std::size_t length = first->rfind('.');
  if (length == std::string::npos) return *first;
  for (const std::string* name = first + 1; name != last; ++name) {
    std::size_t same = 0;
    while (same < std::min(length, name->size()) && (*name)[same] == (*first)[same]) ++same;
    const bool whole =
        (same == length || (*first)[same] == '.') && (same == name->size() || (*name)[same] == '.');
    if (!whole) same = first->rfind('.', same == 0 ? 0 : same - 1);
    if (same == std::string::npos || same == 0) return *first;
    length = same;
  }
  return first->substr(0, length);
}
}  // namespace detail

/// A name for every unit, in forward order: the place of its layer in the model, as in
/// parameter_names().
template <class Plan> std::vector<std::string> unit_names() {
  const std::vector<std::string> params = parameter_names<typename Plan::model>();
  std::vector<std::string> names;
  for (const UnitInfo& unit : Plan::layout.units) {
    const std::string* first = params.data() + unit.first_param;
    names.push_back(unit.own ? *first : detail::common_name(first, first + unit.num_params));
  }
  return names;
}

}  // namespace cohort
