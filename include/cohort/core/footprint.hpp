// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/footprint.hpp: bytes that a layer's backward and scratch need, as functions of the
// rows.
#pragma once
#include <algorithm>
#include <cohort/core/params.hpp>
#include <cohort/core/tensor.hpp>

namespace cohort {

/// Bytes of gradients of activations: the most that live at once inside backward, and what is left
/// when it returns (its dx).
struct BackwardBytes {
  std::size_t peak = 0;
  std::size_t result = 0;
};

namespace detail {
template <class L, class T, class Device> constexpr std::size_t own_scratch(Rows rows) {
  if constexpr (requires { L::template scratch_bytes<T, Device>(rows); })
    return L::template scratch_bytes<T, Device>(rows);
  else if constexpr (requires { L::template scratch_bytes<T>(rows); })
    return L::template scratch_bytes<T>(rows);
  else if constexpr (requires { L::scratch_bytes(rows); })
    return L::scratch_bytes(rows);
  else
    return 0;
}
}  // namespace detail

/// Bytes of scratch that L asks for in one call, children included (they stack on top of their
/// parent's).
///
/// A layer that uses ctx.scratch declares `template <class T> static constexpr std::size_t
/// scratch_bytes(Rows)`, or `template <class T, class Device>` where devices need different ones; void
/// stands for the host.
template <class L, class T, class Device = void> constexpr std::size_t scratch_bytes(Rows rows) {
  std::size_t most = 0;
  if constexpr (Repeated<L>) {
    most = scratch_bytes<typename L::Element, T, Device>(rows);
  } else {
    for_each_index<children_of<L>::count>(
        [&](auto i) { most = std::max(most, scratch_bytes<child_of<L, i>, T, Device>(rows)); });
  }
  return round_up(detail::own_scratch<L, T, Device>(rows), alignment) + most;
}

/// The backward footprint of L. A layer with children may say better by a `template <class T>
/// static constexpr BackwardBytes backward_bytes(Rows)` of its own (Sequential, Repeat and Residual
/// do); without one, its own dx and every child's are assumed to live together.
template <class L, class T> constexpr BackwardBytes backward_bytes(Rows rows) {
  if constexpr (requires { L::template backward_bytes<T>(rows); }) {
    return L::template backward_bytes<T>(rows);
  } else {
    std::size_t results = detail::gradient_bytes<typename L::Input, T>(rows), transient = 0;
    for_each_index<children_of<L>::count>([&](auto i) {
      const BackwardBytes c = backward_bytes<child_of<L, i>, T>(rows);
      results += c.result;
      transient = std::max(transient, c.peak - c.result);
    });
    return {results + transient, results};
  }
}

}  // namespace cohort
