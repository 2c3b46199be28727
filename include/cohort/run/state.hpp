// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/state.hpp: parameters and gradients by name, without padding: for reading, comparing,
// loading.
#pragma once
#include <cohort/core/error.hpp>
#include <cohort/plan/layout.hpp>
#include <span>
#include <string>
#include <vector>

namespace cohort {

/// One whole parameter (or its gradient) on the host, row-major, without padding.
struct NamedTensor {
  std::string name;
  std::vector<int> extents;
  std::vector<float> values;
};

/// Who receives what is gathered by name. The other ranks take part, get an empty list and need
/// memory for the largest group only.
enum class Receivers { all_ranks, rank_0 };

namespace detail {
/// Copies every parameter's range, or every gradient's, out of a flat buffer in the order of `layout`.
/// Frozen parameters have no gradient.
template <class Plan, class T> std::vector<NamedTensor> by_name(const T* flat, bool gradients) {
  const std::vector<std::string> names = parameter_names<typename Plan::model>();
  std::vector<NamedTensor> out;
  out.reserve(names.size());
  cohort::for_each_parameter<typename Plan::model>([&]<class P>(int index) {
    const std::size_t i = static_cast<std::size_t>(index);
    if (gradients && !P::trains) return;
    const T* from = flat + Plan::layout.params[i].offset;
    out.push_back({names[i], {P::extents.begin(), P::extents.end()}, {from, from + P::numel}});
  });
  return out;
}

/// Writes one named parameter into a flat buffer; says which names exist when it is not one of
/// them.
template <class Plan, class Storage>
void write_by_name(int rank, const Storage& storage, const std::string& name,
                   std::span<const float> values) {
  const std::vector<std::string> names = parameter_names<typename Plan::model>();
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] != name) continue;
    const ParamInfo& p = Plan::layout.params[i];
    if (values.size() != p.numel) {
      throw InvalidInput(rank, "set_parameter",
                         "'" + name + "' has " + std::to_string(p.numel) + " elements, not " +
                             std::to_string(values.size()) + ".");
    }
    for (std::size_t k = 0; k < values.size(); ++k) {
      if (auto* to = storage.param_at(p, k)) *to = values[k];
    }
    return;
  }
  std::string known;
  for (std::size_t i = 0; i < names.size() && i < 8; ++i) known += (i ? ", " : "") + names[i];
  throw InvalidInput(rank, "set_parameter",
                     "the model has no parameter '" + name + "'; it has " + known +
                         (names.size() > 8 ? ", ..." : "") + ".");
}
}  // namespace detail

}  // namespace cohort
