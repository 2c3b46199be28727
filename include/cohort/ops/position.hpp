// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/position.hpp: learned positions added to the rows of each sample, and their gradient.
#pragma once
#include <cohort/core/dtype.hpp>
#include <cohort/ops/elementwise.hpp>
#include <cstddef>

namespace cohort::ops {

/// y[s, t] = x[s, t] + w[t].
///
/// Shapes   x, y [samples * tokens, C]; w [at least tokens, C]. y may be x.
/// Laws     of 16-bit elements added in fp32, rounded once.
template <int C, class G, class T>
void position_forward(const Cpu<G>& cpu, int samples, int tokens, const T* x, const T* w, T* y) {
  const std::size_t n = static_cast<std::size_t>(tokens) * C;
  for (int s = 0; s < samples; ++s, x += n, y += n) add(cpu, n, x, w, y);
}

/// dw[t] (+)= the sum over samples, in order, of dy[s, t].
///
/// Shapes   dy [samples * tokens, C]; dw [MaxTokens, C], tokens <= MaxTokens. `first`: dw is overwritten,
///          also beyond `tokens`, else added to.
/// Laws     sums in the type of dw: fp32 for 16-bit dy.
template <int MaxTokens, int C, class G, class T, class D>
void position_backward(const Cpu<G>& cpu, int samples, int tokens, const T* dy, D* dw, bool first) {
  const std::size_t n = static_cast<std::size_t>(tokens) * C;
  if (first) cpu.zero(dw, sizeof(D) * static_cast<std::size_t>(MaxTokens) * C);
  for (int s = 0; s < samples; ++s, dy += n) add_to(cpu, n, dw, dy);
}

// The same on a GPU: ops/cuda/position.hpp.
template <int C, class T>
void position_forward(const Cuda&, int samples, int tokens, const T* x, const T* w, T* y);
template <int MaxTokens, int C, class T, class D>
void position_backward(const Cuda&, int samples, int tokens, const T* dy, D* dw, bool first);

}  // namespace cohort::ops
