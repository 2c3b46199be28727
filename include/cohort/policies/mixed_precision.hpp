// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/mixed_precision.hpp: the types of compute, of masters and of what is reduced.
#pragma once
#include <cohort/concepts/policy.hpp>
#include <cohort/core/dtype.hpp>
#include <cohort/core/refused.hpp>
#include <type_traits>

namespace cohort {

/// A type that forward and backward, and reductions over ranks, can have.
template <class T>
concept TrainingType =
    std::is_same_v<T, fp32> || std::is_same_v<T, bf16> || std::is_same_v<T, fp16>;

/// Masters are fp32. bf16 parameters can do without: then they are their own masters.
template <class Compute, class Master>
concept MasterFor = std::is_same_v<Master, fp32> ||
    (std::is_same_v<Master, bf16>&& std::is_same_v<Compute, bf16>);

namespace detail {
template <class Compute, class Master, class Reduce> struct NoSuchPrecision {
  static void say() {
    if constexpr (!TrainingType<Compute> || !TrainingType<Reduce>)
      static_assert(TrainingType<Compute> && TrainingType<Reduce>,
                    "cohort: MixedPrecision<Compute, Master, Reduce> computes and reduces in "
                    "cohort::fp32, bf16 or fp16. Write MixedPrecision<bf16, fp32>, or "
                    "<bf16, fp32, fp32> to reduce in fp32. [cohort/policies/mixed_precision.hpp]");
    else
      static_assert(MasterFor<Compute, Master>,
                    "cohort: the masters of MixedPrecision<Compute, Master> are fp32: smaller "
                    "updates would be lost. Write MixedPrecision<Compute, fp32>; only <bf16, bf16> "
                    "does without masters. [cohort/policies/mixed_precision.hpp]");
  }
};
}  // namespace detail

/// Chosen only when the types do not go together: says so in one sentence, then stops.
template <class Compute, class Master = fp32, class Reduce = Compute> struct MixedPrecision {
  static_assert(detail::said<detail::NoSuchPrecision<Compute, Master, Reduce>>());
  using slot = slots::precision;
  using compute = std::conditional_t<TrainingType<Compute>, Compute, fp32>;
  using master = fp32;
  using reduce = std::conditional_t<TrainingType<Reduce>, Reduce, fp32>;
  static constexpr bool tf32_products = false;
};

/// MixedPrecision<bf16, fp32>: activations and the parameters that layers read are bf16; masters, main
/// gradients and moments are fp32. MixedPrecision<bf16, fp32, fp32> also reduces in fp32.
///
/// Shapes   beside main gradients (fp32) and moments (fp32): parameters of type Compute whole where
///          the strategy keeps them whole, and masters in shards where it shards the optimizer.
///          FullShard keeps the shards of masters only and converts them as it gathers. Frozen
///          parameters exist in Compute only.
/// Units    conversions round to nearest, ties to even. Layers add into fp32 gradients, so micro-batches
///          accumulate in fp32; inputs given in fp32 are converted once, at the start of a step.
/// Comm     gathers move Compute. Reductions move Reduce: each rank's gradient is rounded once, sums
///          over ranks are taken in fp32 and rounded once (on Threads and Mpi), and come back to fp32.
///          In fp16 they are divided by a power of two before, so that no sum overflows earlier.
/// Cost     AdamW, bf16: Replicate 18 bytes a parameter, FullShard 16/N and the slots.
/// Errors   compile time: other types (TrainingType, MasterFor); fp16 without DynamicLossScale.
/// Laws     the same bits under every strategy; HybridShard rounds 16-bit sums twice and agrees within
///          rounding (tests/policies/mixed_precision_test.cpp). PyTorch's values within the formats'
///          rounding (tests/run/mixed_parity_test.cpp).
/// Source   Micikevicius et al. 2018, arXiv:1710.03740; torch.distributed.fsdp.MixedPrecisionPolicy.
template <class Compute, class Master, class Reduce>
requires TrainingType<Compute> && TrainingType<Reduce> && MasterFor<Compute, Master>
struct MixedPrecision<Compute, Master, Reduce> {
  using slot = slots::precision;
  using compute = Compute;
  using master = Master;
  using reduce = Reduce;
  static constexpr bool tf32_products = false;
};

/// MixedPrecision<tf32>: everything is fp32, but a GPU multiplies matrices in TF32, at several times the
/// speed.
///
/// Errors   compile time: on the CPU, which has no such mode.
template <class Reduce>
requires TrainingType<Reduce> || std::is_same_v<Reduce, tf32>
struct MixedPrecision<tf32, fp32, Reduce> {
  using slot = slots::precision;
  using compute = fp32;
  using master = fp32;
  using reduce = std::conditional_t<std::is_same_v<Reduce, tf32>, fp32, Reduce>;
  static constexpr bool tf32_products = true;
};

static_assert(Policy<MixedPrecision<bf16, fp32>> && Policy<MixedPrecision<tf32>>);

}  // namespace cohort
