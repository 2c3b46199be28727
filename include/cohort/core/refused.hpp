// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/refused.hpp: one mistake, one sentence: what stands in for what was refused.
#pragma once
#include <cohort/core/params.hpp>
#include <cohort/core/said.hpp>

namespace cohort::detail {

/// Stands in for the saved value of a forward that was refused.
struct Refused {
  static constexpr std::size_t bytes(Rows) { return 0; }
};

/// Stands in for an activation that nobody knows: it becomes a tensor of any width.
struct RefusedTensor : Tensor<const float, Eigen::Dynamic> {
  constexpr RefusedTensor view() const { return *this; }
  template <class T, int C, class Where> constexpr operator Tensor<T, C, Where>() const {
    return {nullptr, rows};
  }
  static constexpr std::size_t bytes(Rows) { return 0; }
};

/// Stands in for a layer: any neighbour fits.
struct RefusedLayer {
  using Input = Features<1>;
  using Output = Features<1>;
  struct Forward {
    RefusedTensor y;
    Refused saved;
  };
  static Forward forward(auto&, const auto&, auto) { return {}; }
  static RefusedTensor backward(auto&, const auto&, const auto&, auto, const auto&) { return {}; }
};

/// Stands in for a parameter, gradient or child that the layer does not declare.
template <class T> struct RefusedView {
  using layer = RefusedLayer;
  static constexpr bool is_unit = false, owns_unit = false, wanted = true;
  struct Contribution {
    T* data = nullptr;
    bool first = true;
  };
  static T* data() { return nullptr; }
  static auto map() { return Eigen::Map<Eigen::MatrixX<accumulator_t<T>>>(nullptr, 0, 0); }
  static auto wide() { return map(); }
  static Contribution contribute() { return {}; }
};

/// Was L, or a layer inside it, refused? Then its sentence is said, and nothing else should be.
template <class L> consteval bool holds_refused() {
  if constexpr (std::is_base_of_v<RefusedLayer, L>) {
    return true;
  } else if constexpr (Repeated<L>) {
    return holds_refused<typename L::Element>();
  } else {
    bool any = false;
    for_each_index<children_of<L>::count>(
        [&](auto i) { any = any || holds_refused<child_of<L, i>>(); });
    return any;
  }
}

}  // namespace cohort::detail
