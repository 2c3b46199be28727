// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nn/norm_epsilon.hpp: the small number that norms add under the root, as a type.
#pragma once
#include <ratio>

namespace cohort::nn {

/// PyTorch's eps where nothing else is said.
using NormEpsilon = std::ratio<1, 100000>;

namespace detail {
/// A std::ratio between 0 and 1.
template <class E>
concept SmallRatio = requires {
  requires(E::num > 0) && (E::num < E::den);
};
template <class Epsilon, class A>
inline constexpr A epsilon = static_cast<A>(double(Epsilon::num) / double(Epsilon::den));
}  // namespace detail

}  // namespace cohort::nn
