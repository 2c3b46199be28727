// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/mean_squared_error.hpp: the sum of squared differences and its gradient.
#pragma once
#include <cohort/core/dtype.hpp>
#include <cohort/device/cpu.hpp>
#include <cohort/ops/loss_sum.hpp>
#include <cohort/ops/vector.hpp>
#include <cstddef>

namespace cohort::ops {

/// The sum of (y - target)^2 and the number of elements, rows * C.
///
/// Shapes   y, target [rows, C].
/// Laws     fp64, eight lanes by column within a row, rows in order.
template <int C, class G, class T>
LossSum mean_squared_error(const Cpu<G>&, int rows, const T* y, const T* target) {
  using A = accumulator_t<T>;
  double sum = 0;
  for (int row = 0; row < rows; ++row, y += C, target += C) {
    double lane[8] = {};
    for (int c = 0; c < C; ++c) {
      const double difference = double(A(y[c])) - double(A(target[c]));
      lane[c % 8] = fma(difference, difference, lane[c % 8]);
    }
    sum +=
        ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
  }
  return {sum, double(rows) * C};
}

/// The same, and its gradient dy = 2 (y - target), not divided by anything. dy may be y.
template <int C, class G, class T>
LossSum mean_squared_error_gradient(const Cpu<G>& cpu, int rows, const T* y, const T* target,
                                    T* dy) {
  using A = accumulator_t<T>;
  const LossSum loss = mean_squared_error<C>(cpu, rows, y, target);
  for (std::ptrdiff_t i = 0; i < std::ptrdiff_t(rows) * C; ++i)
    dy[i] = T(A(2) * (A(y[i]) - A(target[i])));
  return loss;
}

}  // namespace cohort::ops
