// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/work.hpp: floating-point operations of a layer's matrix products, as functions of the rows.
#pragma once
#include <cohort/core/params.hpp>
#include <cohort/core/tensor.hpp>
#include <type_traits>

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
  if constexpr (requires { L::work(rows); }) {
    return L::work(rows);
  } else if constexpr (requires { typename L::Recomputed; }) {
    return own_work<typename L::Recomputed>(rows);
  } else if constexpr (requires { typename L::Thawed; }) {
    Work w = own_work<typename L::Thawed>(rows);
    if constexpr (params_of<L>::count > 0) w.backward /= 2;  // dx alone, of two products
    return w;
  } else {
    return work_of_matrices<L>(rows);
  }
}

/// What nn::Checkpointed makes again: L, or what was frozen around it; else nothing.
template <class L> struct recomputed { using type = void; };
template <class L>
requires requires { typename L::Recomputed; }
struct recomputed<L> {
  using type = typename L::Recomputed;
};
template <class L>
requires requires { typename L::Thawed::Recomputed; }
struct recomputed<L> {
  using type = typename L::Thawed::Recomputed;
};

/// The product at the end of L whose result nobody needs a second time.
template <class L> constexpr double skipped_forward(Rows rows) {
  constexpr int last = children_of<L>::count - 1;
  if constexpr (!requires { requires L::skips_forward; })
    return 0;
  else if constexpr (last < 0)
    return own_work<L>(rows).forward;
  else
    return skipped_forward<child_of<L, last>>(rows);
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
    using Again = typename detail::recomputed<L>::type;
    if constexpr (!std::is_void_v<Again>)
      sum.backward += sum.forward - detail::skipped_forward<Again>(rows);
    return sum;
  }
}

}  // namespace cohort
