// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/work.hpp: floating-point operations of a layer's matrix products, as functions of the rows.
#pragma once
#include <cohort/core/params.hpp>
#include <cohort/core/tensor.hpp>

namespace cohort {

/// Operations (a multiplication and an addition are two) of a layer in one micro-batch.
struct Work {
  double forward = 0, backward = 0;
  constexpr Work& operator+=(Work w) {
    forward += w.forward;
    backward += w.backward;
    return *this;
  }
};

namespace detail {
/// A matrix of parameters meets every row once in forward, and in backward for dx and, where it trains, for dW.
/// A layer over tokens looks its rows up.
template <class L> constexpr Work work_of_matrices(Rows rows) {
  Work sum;
  if constexpr (!std::is_same_v<typename L::Input, Tokens>) {
    for_each_index<params_of<L>::count>([&](auto i) {
      using P = typename params_of<L>::template at<i>;
      const double product = P::rank < 2 ? 0 : 2.0 * rows.count() * P::numel;
      sum += {product, (P::trains ? 2 : 1) * product};
    });
  }
  return sum;
}
template <class L> constexpr Work own_work(Rows rows) {
  if constexpr (requires { L::work(rows); })
    return L::work(rows);
  else
    return work_of_matrices<L>(rows);
}
}  // namespace detail

/// The matrix products of L and its children. A layer whose products are not those of its parameters with its rows,
/// as attention's, says `static constexpr Work work(Rows)`, without its children's. What is bound by memory (norms,
/// activations, lookups) is not in it.
template <class L> constexpr Work work_of(Rows rows) {
  if constexpr (Repeated<L>) {
    const Work w = work_of<typename L::Element>(rows);
    return {L::repeat * w.forward, L::repeat * w.backward};
  } else {
    Work sum = detail::own_work<L>(rows);
    for_each_index<children_of<L>::count>([&](auto i) { sum += work_of<child_of<L, i>>(rows); });
    if constexpr (requires { typename L::Recomputed; }) sum.backward += sum.forward;
    return sum;
  }
}

}  // namespace cohort
