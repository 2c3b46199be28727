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
inline std::vector<NamedTensor> by_name(const std::vector<std::string>& names,
                                        std::span<const ParamInfo> params, const float* flat,
                                        bool gradients) {
  std::vector<NamedTensor> out;
  out.reserve(names.size());
  for (std::size_t i = 0; i < params.size(); ++i) {
    const ParamInfo& p = params[i];
    if (gradients && !p.trains) continue;
    const float* from = flat + p.offset;
    out.push_back({names[i], {p.extents().begin(), p.extents().end()}, {from, from + p.numel}});
  }
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
  return by_name(parameter_names<typename Plan::model>(), Plan::layout.params, flat.data(),
                 gradients);
}

/// The number of the parameter of this name and this many elements; says which names exist when it is not
/// one of them.
inline std::size_t parameter_number(int rank, const std::vector<std::string>& names,
                                    std::span<const ParamInfo> params, const std::string& name,
                                    std::size_t elements) {
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] != name) continue;
    if (elements != params[i].numel) {
      throw InvalidInput(rank, "set_parameter",
                         "'" + name + "' has " + std::to_string(params[i].numel) +
                             " elements, not " + std::to_string(elements) + ".");
    }
    return i;
  }
  std::string known;
  for (std::size_t i = 0; i < names.size() && i < 8; ++i) known += (i ? ", " : "") + names[i];
  throw InvalidInput(rank, "set_parameter",
                     "the model has no parameter '" + name + "'; it has " + known +
                         (names.size() > 8 ? ", ..." : "") + ".");
}

/// Writes one named parameter into a storage.
template <class Plan, class Storage>
void write_by_name(int rank, Storage& storage, const std::string& name,
                   std::span<const float> values) {
  const std::size_t i = parameter_number(rank, parameter_names<typename Plan::model>(),
                                         Plan::layout.params, name, values.size());
  storage.edit([&] {
    for (std::size_t k = 0; k < values.size(); ++k)
      storage.write(Plan::layout.params[i], k, values[k]);
  });
}
}  // namespace detail

}  // namespace cohort
