// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/linear.hpp: the products of a dense layer on a GPU, with what cuBLASLt fuses into them.
#pragma once
#include <cohort/ops/cuda/activation.hpp>
#include <cohort/ops/cuda/column_sum.hpp>
#include <cohort/ops/cuda/elementwise.hpp>
#include <cohort/ops/cuda/matmul.hpp>
#include <cohort/ops/linear.hpp>

namespace cohort::ops {

/// As on the CPU (ops/linear.hpp).
///
/// Cost     one product; the bias is added in its pass over y.
template <int In, int Out, class T>
void linear_forward(const Cuda& device, int rows, const T* x, const T* w, const T* bias, T* y) {
  if (bias)
    matmul_bias<false, true>(device, rows, Out, In, x, In, w, In, bias, y, Out);
  else
    matmul<false, true>(device, rows, Out, In, x, In, w, In, accumulator_t<T>(0), y, Out);
}

/// y = residual + x w^T + bias as one product, which reads residual in its pass over y.
///
/// Laws     the sum of all three is rounded once; of doubles, or where cuBLASLt has no such product, x w^T +
///          bias is rounded before.
template <int In, int Out, class T>
void linear_forward(const Cuda& device, int rows, const T* x, const T* w, const T* bias, T* y,
                    const T* residual) {
  if (rows == 0) return;
  cuda::Fused fused{.addend = residual};
  if (bias != nullptr) fused.what = cuda::Epilogue::bias, fused.vector = const_cast<T*>(bias);
  if (cuda::multiply<false, true>(device, rows, Out, In, x, In, w, In, accumulator_t<T>(1), y, Out,
                                  fused))
    return;
  linear_forward<In, Out>(device, rows, x, w, bias, y);
  add_to(device, static_cast<std::size_t>(rows) * Out, y, residual);
}

namespace kernels {
/// dw (+)= dy^T x and db (+)= column sums of dy as one product, which overwrites sums: later contributions
/// to db are made at the end of the workspace and added. false: cuBLASLt has no such product for these
/// types and shapes, or the workspace no room; nothing was queued.
template <int In, int Out, class T>
bool product_with_sums(const Cuda& device, int rows, const T* x, const T* dy, accumulator_t<T>* dw,
                       accumulator_t<T>* db, bool first) {
  using D = accumulator_t<T>;
  constexpr std::size_t sums = (Out * sizeof(D) + 1023) / 1024 * 1024;
  if (rows == 0 || device.workspace_bytes < sums) return false;
  Cuda rest = device;
  rest.workspace_bytes = (device.workspace_bytes - sums) / 1024 * 1024;
  D* added = reinterpret_cast<D*>(device.workspace + rest.workspace_bytes);
  const cuda::Fused fused{.what = cuda::Epilogue::sums_of_a, .vector = first ? db : added};
  if (!cuda::multiply<true, false>(rest, Out, In, rows, dy, Out, x, In, D(first ? 0 : 1), dw, In,
                                   fused))
    return false;
  if (!first) add_to(device, Out, db, static_cast<const D*>(added));
  return true;
}
}  // namespace kernels

namespace kernels {
/// dw and db, either of which may be nullptr. db falls out of the product that makes dw; types or shapes for
/// which cuBLASLt has no such product take a pass over dy.
template <int In, int Out, class T>
void linear_gradients(const Cuda& device, int rows, const T* x, const T* dy, accumulator_t<T>* dw,
                      accumulator_t<T>* db, bool first) {
  using D = accumulator_t<T>;
  const bool together = dw != nullptr && db != nullptr &&
                        kernels::product_with_sums<In, Out>(device, rows, x, dy, dw, db, first);
  if (db != nullptr && !together) column_sum<Out>(device, rows, dy, db, first);
  if (dw != nullptr && !together)
    matmul<true, false>(device, Out, In, rows, dy, Out, x, In, D(first ? 0 : 1), dw, In);
}
}  // namespace kernels

/// As on the CPU.
///
/// Cost     two products; db by itself reads 2 Out bytes a row in 16 bits.
template <int In, int Out, class T>
void linear_backward(const Cuda& device, int rows, const T* x, const T* w, const T* dy,
                     accumulator_t<T>* dw, accumulator_t<T>* db, bool first, T* dx) {
  kernels::linear_gradients<In, Out>(device, rows, x, dy, dw, db, first);
  matmul<false, false>(device, rows, In, Out, dy, Out, w, In, accumulator_t<T>(0), dx, In);
}

/// dx = residual + dy w, rounded once, as one product.
template <int In, int Out, class T>
void linear_backward(const Cuda& device, int rows, const T* x, const T* w, const T* dy,
                     accumulator_t<T>* dw, accumulator_t<T>* db, bool first, T* dx,
                     const T* residual) {
  kernels::linear_gradients<In, Out>(device, rows, x, dy, dw, db, first);
  if (rows == 0) return;
  cuda::multiply<false, false>(device, rows, In, Out, dy, Out, w, In, accumulator_t<T>(1), dx, In,
                               cuda::Fused{.addend = residual});
}

namespace kernels {
/// Does cuBLASLt apply gelu of this kind to a product with rows of N elements, and is it worth it? Older
/// GPUs write c twice for it, which is slower than a pass of gelu.
template <class How, int N, class T> bool fuses_gelu(const Cuda& device) {
  if constexpr (std::is_same_v<How, GeluTanh> && Float16<T> && N % 8 == 0)
    return device.context->compute_capability() >= 90;
  else
    return false;
}
}  // namespace kernels

/// dx = (dy w) gelu'(slope.at), gelu's input, which forward left there.
///
/// Cost     GeluTanh from sm_90 on: two products, of which one reads slope. Else a pass of gelu's gradient
///          over dx follows.
/// Laws     as one product dy w is not rounded before.
template <int In, int Out, class T, class How>
void linear_backward(const Cuda& device, int rows, const T* x, const T* w, const T* dy,
                     accumulator_t<T>* dw, accumulator_t<T>* db, bool first, T* dx,
                     GeluSlope<How, T> slope) {
  kernels::linear_gradients<In, Out>(device, rows, x, dy, dw, db, first);
  if (rows == 0) return;
  const cuda::Fused dgelu{
      .what = cuda::Epilogue::dgelu, .aux = const_cast<T*>(slope.at), .aux_stride = In};
  if (kernels::fuses_gelu<How, In, T>(device) &&
      cuda::multiply<false, false>(device, rows, In, Out, dy, Out, w, In, accumulator_t<T>(0), dx,
                                   In, dgelu))
    return;
  matmul<false, false>(device, rows, In, Out, dy, Out, w, In, accumulator_t<T>(0), dx, In);
  activation_backward<How>(device, static_cast<std::size_t>(rows) * In, slope.at,
                           static_cast<const T*>(dx), dx);
}

namespace kernels {
/// y = gelu(x w^T + bias), and `before` = what gelu was given unless nullptr, as one product. false:
/// cuBLASLt has none, nothing was queued.
template <int In, int Out, class T>
bool product_with_gelu(const Cuda& device, int rows, const T* x, const T* w, const T* bias, T* y,
                       T* before) {
  using E = cuda::Epilogue;
  const E what = before ? (bias ? E::gelu_aux_bias : E::gelu_aux) : (bias ? E::gelu_bias : E::gelu);
  return cuda::multiply<false, true>(
      device, rows, Out, In, x, In, w, In, accumulator_t<T>(0), y, Out,
      cuda::Fused{.what = what, .vector = const_cast<T*>(bias), .aux = before, .aux_stride = Out});
}
}  // namespace kernels

/// y = gelu(x w^T + bias). `slope`, unless nullptr, gets gelu's input, not its slope.
///
/// Cost     GeluTanh from sm_90 on: one product. Else gelu is a pass of its own over y.
/// Laws     as one product x w^T + bias is not rounded before gelu; gelu's input is rounded to T.
template <class How, int In, int Out, class T>
void linear_gelu_forward(const Cuda& device, int rows, const T* x, const T* w, const T* bias, T* y,
                         T* slope) {
  if (rows == 0) return;
  if (kernels::fuses_gelu<How, Out, T>(device) &&
      kernels::product_with_gelu<In, Out>(device, rows, x, w, bias, y, slope))
    return;
  T* before = slope ? slope : y;
  linear_forward<In, Out>(device, rows, x, w, bias, before);
  activation_forward<How>(device, static_cast<std::size_t>(rows) * Out,
                          static_cast<const T*>(before), y);
}

/// As on the CPU, but `slope` holds gelu's input, as linear_gelu_forward left it.
///
/// Shapes   scratch[linear_gelu_scratch_on_cuda<Out>(rows)].
/// Cost     a pass of gelu's gradient, then linear_backward.
template <class How, int In, int Out, class T>
void linear_gelu_backward(const Cuda& device, int rows, const T* x, const T* w, const T* slope,
                          const T* dy, accumulator_t<T>* dw, accumulator_t<T>* db, bool first,
                          T* dx, T* scratch) {
  activation_backward<How>(device, static_cast<std::size_t>(rows) * Out, slope, dy, scratch);
  linear_backward<In, Out>(device, rows, x, w, static_cast<const T*>(scratch), dw, db, first, dx);
}

}  // namespace cohort::ops
