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
template <class Plan> std::vector<NamedTensor> by_name(const float* flat, bool gradients) {
  const std::vector<std::string> names = parameter_names<typename Plan::model>();
  std::vector<NamedTensor> out;
  out.reserve(names.size());
  cohort::for_each_parameter<typename Plan::model>([&]<class P>(int index) {
    const std::size_t i = static_cast<std::size_t>(index);
    if (gradients && !P::trains) return;
    const float* from = flat + Plan::layout.params[i].offset;
    out.push_back({names[i], {P::extents.begin(), P::extents.end()}, {from, from + P::numel}});
  });
  return out;
}

/// Every parameter, or the last gradients times `factor`, which is a power of two. Collective.
template <class Plan, class Storage, class World>
std::vector<NamedTensor> gather_by_name(Storage& storage, World& world, bool gradients,
                                        Receivers to, double factor = 1) {
  if (to == Receivers::rank_0 && world.rank() != 0) {
    storage.collect(world, gradients, nullptr);
    return {};
  }
  std::vector<float> flat(Plan::layout.size + Plan::layout.frozen + Plan::layout.averaged);
  storage.collect(world, gradients, flat.data());
  if (gradients && factor != 1)
    for (float& value : flat) value *= static_cast<float>(factor);
  return by_name<Plan>(flat.data(), gradients);
}

/// Writes one named parameter into a flat buffer; says which names exist when it is not one of
/// them.
template <class Plan, class Storage>
void write_by_name(int rank, Storage& storage, const std::string& name,
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
    storage.edit([&] {
      for (std::size_t k = 0; k < values.size(); ++k) storage.write(p, k, values[k]);
    });
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
