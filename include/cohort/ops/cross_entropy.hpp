// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cross_entropy.hpp: the loss -log softmax(logits)[target] and its gradient.
#pragma once
#include <cmath>
#include <cohort/core/dtype.hpp>
#include <cohort/core/error.hpp>
#include <cohort/device/cpu.hpp>
#include <cohort/ops/loss_sum.hpp>
#include <cohort/ops/math.hpp>
#include <cohort/ops/vector.hpp>
#include <cstdint>
#include <limits>
#include <string>

namespace cohort::ops {

/// The label that PyTorch ignores: such rows count for nothing.
inline constexpr std::int32_t ignored_label = -100;

namespace detail {

template <int V> void check_targets(int rows, const std::int32_t* targets, std::int32_t ignored) {
  const auto good = [ignored](std::int32_t t) {
    return (std::uint32_t(t) < std::uint32_t(V)) | (t == ignored);
  };
  bool inside = true;
  for (int row = 0; row < rows; ++row) inside &= good(targets[row]);
  if (inside) return;
  int row = 0;
  while (good(targets[row])) ++row;
  throw InvalidInput(-1, "cross_entropy",
                     "target " + std::to_string(targets[row]) + " at row " + std::to_string(row) +
                         " is outside the " + std::to_string(V) + " classes [0, " +
                         std::to_string(V) + ") and is not the ignored label " +
                         std::to_string(ignored) + ". Check the labels.");
}

template <int V, class T> accumulator_t<T> row_max(const T* x) {
  using A = accumulator_t<T>;
  constexpr A lowest = -std::numeric_limits<A>::infinity();
  Vec<A> top = broadcast(lowest);
  for_vectors<V, A>([&](int c, auto count) {
    const Vec<A> v = load(x + c, count, lowest);
    top = select(top < v, v, top);
  });
  return max_lanes<A>(top);
}

/// exp(x - top) summed over a row; `keep` gets each vector of exponentials.
template <int V, class T, class F>
accumulator_t<T> exp_sum(const T* x, accumulator_t<T> top, F keep) {
  using A = accumulator_t<T>;
  Vec<A> sum{};
  for_vectors<V, A>([&](int c, auto count) {
    const Vec<A> e = ExpFlushed{}(load(x + c, count, -std::numeric_limits<A>::infinity()) - top);
    keep(c, e, count);
    sum += e;
  });
  return sum_lanes<A>(sum);
}

/// log(sum) + top - x[target] in fp64.
template <class A> double row_loss(A sum, A top, A at_target) {
  return std::log(double(sum)) + (double(top) - double(at_target));
}

}  // namespace detail

/// Sum and weight of the loss; nothing is written.
///
/// Shapes   logits[rows, V], targets[rows]; a row whose target is `ignored` has weight 0. The classes are
///          the first K columns; nothing depends on the others, the padding of a table.
/// Units    natural logarithms, not divided by anything; the sum is taken in fp64, rows in order.
/// Errors   a target outside [0, K) that is not `ignored`: InvalidInput.
template <int V, int K = V, class G, class T>
LossSum cross_entropy(const Cpu<G>&, int rows, const T* logits, const std::int32_t* targets,
                      std::int32_t ignored = ignored_label) {
  static_assert(1 <= K && K <= V, "cohort: the classes [0, K) must be among the V logits.");
  detail::check_targets<K>(rows, targets, ignored);
  using A = accumulator_t<T>;
  LossSum loss;
  for (int row = 0; row < rows; ++row, logits += V) {
    if (targets[row] == ignored) continue;
    const A top = detail::row_max<K>(logits);
    const A sum = detail::exp_sum<K>(logits, top, [](auto...) {});
    loss += {detail::row_loss(sum, top, A(logits[targets[row]])), 1.0};
  }
  return loss;
}

/// The same, and its gradient: dlogits = scale (softmax(logits) - onehot(target)), 0 for ignored rows and
/// from column K on. The caller divides by the global weight later. dlogits may be logits. 16-bit logits
/// are widened first: exponentials, their sum and the scaled gradient are fp32, and dlogits is rounded once.
template <int V, int K = V, class G, class T>
LossSum cross_entropy_gradient(const Cpu<G>&, int rows, const T* logits,
                               const std::int32_t* targets, T* dlogits,
                               std::int32_t ignored = ignored_label, accumulator_t<T> scale = 1) {
  static_assert(1 <= K && K <= V, "cohort: the classes [0, K) must be among the V logits.");
  detail::check_targets<K>(rows, targets, ignored);
  using A = accumulator_t<T>;
  alignas(register_bytes) A e[K];
  LossSum loss;
  for (int row = 0; row < rows; ++row, logits += V, dlogits += V) {
    if (targets[row] == ignored) {
      for (int c = 0; c < V; ++c) dlogits[c] = T(0);
      continue;
    }
    const A* x = widened<K>(logits, e);
    const A top = detail::row_max<K>(x), at_target = x[targets[row]];
    const A sum =
        detail::exp_sum<K>(x, top, [&](int c, Vec<A> v, auto count) { store(e + c, v, count); });
    const A inverse = scale / sum;
    e[targets[row]] -= sum;
    for_vectors<K, A>([&](int c, auto count) {
      store(dlogits + c, load(static_cast<const A*>(e) + c, count) * inverse, count);
    });
    for (int c = K; c < V; ++c) dlogits[c] = T(0);
    loss += {detail::row_loss(sum, top, at_target), 1.0};
  }
  return loss;
}

// The same on a GPU: ops/cuda/cross_entropy.hpp. The loss is added to device.loss; a bad target does not
// throw, it is written to device.fault. `scale` may also be a `const float*`: a factor in device memory, 1
// where it is nullptr.
template <int V, int K = V, class T>
LossOnDevice cross_entropy(const Cuda&, int rows, const T* logits, const std::int32_t* targets,
                           std::int32_t ignored = ignored_label);
template <int V, int K = V, class T, class Scale = accumulator_t<T>>
LossOnDevice cross_entropy_gradient(const Cuda&, int rows, const T* logits,
                                    const std::int32_t* targets, T* dlogits,
                                    std::int32_t ignored = ignored_label, Scale scale = Scale(1));

}  // namespace cohort::ops
