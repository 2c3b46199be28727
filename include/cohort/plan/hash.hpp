// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/hash.hpp: a model's types, names and extents as one number, for plans that ranks compare.
#pragma once
#include <bit>
#include <cohort/core/units.hpp>
#include <cstdint>
#include <string_view>

namespace cohort::detail {

constexpr std::uint64_t mix(std::uint64_t h, std::uint64_t v) {
  return (h ^ v) * 1099511628211ull;
}  // FNV-1a

/// A type by its name, as the compiler spells it.
template <class T> constexpr std::uint64_t hash_type(std::uint64_t h) {
  for (char c : std::string_view(__PRETTY_FUNCTION__)) h = mix(h, static_cast<unsigned char>(c));
  return h;
}

/// Names and extents of a subtree: two models of equal sizes but other names have other plans.
template <class L> constexpr std::uint64_t hash_names(std::uint64_t h) {
  if constexpr (Repeated<L>) {
    return hash_names<typename L::Element>(mix(h, L::repeat));
  } else {
    for_each_index<params_of<L>::count>([&](auto i) {
      using P = typename params_of<L>::template at<i>;
      for (char c : P::name::view()) h = mix(h, static_cast<unsigned char>(c));
      for (int e : P::extents) h = mix(h, static_cast<std::uint64_t>(e));
      h = mix(mix(h, P::trains), std::bit_cast<std::uint64_t>(P::rate));
    });
    for_each_index<children_of<L>::count>([&](auto i) {
      for (char c : children_of<L>::template name_at<i>::view())
        h = mix(h, static_cast<unsigned char>(c));
      h = hash_names<child_of<L, i>>(h);
    });
    return h;
  }
}

}  // namespace cohort::detail
