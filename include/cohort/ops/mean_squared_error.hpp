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
/// Shapes   y, target [rows, C]; targets of 16-bit y are fp32.
/// Laws     fp64, eight lanes by column within a row, rows in order.
template <int C, class G, class T>
LossSum mean_squared_error(const Cpu<G>&, int rows, const T* y, const accumulator_t<T>* target) {
  using A = accumulator_t<T>;
  double sum = 0;
  for (int row = 0; row < rows; ++row, y += C, target += C) {
    double lane[8] = {};
    for (int c = 0; c < C; ++c) {
      const double difference = double(A(y[c])) - double(target[c]);
      lane[c % 8] = fma(difference, difference, lane[c % 8]);
    }
    sum +=
        ((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7]));
  }
  return {sum, double(rows) * C};
}

/// The same, and its gradient dy = scale 2 (y - target), not divided by anything: scaled in
/// accumulator_t<T>, then rounded once. dy may be y.
template <int C, class G, class T>
LossSum mean_squared_error_gradient(const Cpu<G>& cpu, int rows, const T* y,
                                    const accumulator_t<T>* target, T* dy,
                                    accumulator_t<T> scale = 1) {
  const LossSum loss = mean_squared_error<C>(cpu, rows, y, target);
  const accumulator_t<T> factor = 2 * scale;
  map(
      static_cast<std::size_t>(rows) * C, [factor](auto u, auto v) { return (u - v) * factor; }, dy,
      y, target);
  return loss;
}

// The same on a GPU: ops/cuda/mean_squared_error.hpp. The loss is added to device.loss. `scale` may also be
// a `const float*`: a factor in device memory, 1 where it is nullptr.
template <int C, class T>
LossOnDevice mean_squared_error(const Cuda&, int rows, const T* y, const accumulator_t<T>* target);
template <int C, class T, class Scale = accumulator_t<T>>
LossOnDevice mean_squared_error_gradient(const Cuda&, int rows, const T* y,
                                         const accumulator_t<T>* target, T* dy,
                                         Scale scale = Scale(1));

}  // namespace cohort::ops
