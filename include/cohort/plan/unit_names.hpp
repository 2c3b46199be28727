// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/unit_names.hpp: units by the places of their layers in the model.
#pragma once
#include <cohort/plan/layout.hpp>

namespace cohort {

namespace detail {
template <class L, class Cut, bool IsElement = false>
void append_unit_names(std::vector<std::string>& out, const std::string& prefix) {
  const auto name = [&] { return prefix.substr(0, prefix.empty() ? 0 : prefix.size() - 1); };
  if constexpr (flat_size<L>() == 0) {
    return;
  } else if constexpr (Cut::template whole<L, IsElement>()) {
    out.push_back(name());
  } else if constexpr (Repeated<L>) {
    for (int i = 0; i < L::repeat; ++i)
      append_unit_names<typename L::Element, Cut, true>(out, prefix + std::to_string(i) + ".");
  } else {
    if (params_of<L>::count > 0) out.push_back(name());
    for_each_index<children_of<L>::count>([&](auto i) {
      append_unit_names<child_of<L, i>, Cut>(
          out, prefix + std::string(children_of<L>::template name_at<i>::view()) + ".");
    });
  }
}
}  // namespace detail

/// The dotted name of the layer that each unit is, or whose own parameters it is; "" is the model.
template <class Model, class Cut> std::vector<std::string> unit_names() {
  std::vector<std::string> names;
  detail::append_unit_names<Model, Cut>(names, "");
  return names;
}

/// The same of a plan, for people to read: the model itself is called "model".
template <class Plan> std::vector<std::string> unit_names() {
  auto names = unit_names<typename Plan::model, typename Plan::cut>();
  for (std::string& name : names)
    if (name.empty()) name = "model";
  return names;
}

}  // namespace cohort
