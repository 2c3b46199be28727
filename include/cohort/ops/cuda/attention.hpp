// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/cuda/attention.hpp: multi-head attention on a GPU: tensor cores where heads fit, else rows.
#pragma once
#include <cohort/device/cuda/context.hpp>
#include <cohort/ops/attention.hpp>
#include <cohort/ops/cuda/attention_backward.hpp>
#include <cohort/ops/cuda/attention_forward.hpp>
#include <cohort/ops/cuda/attention_rows.hpp>

namespace cohort::ops {

namespace kernels {
/// Tensor cores multiply 16-bit types, tiles are 64 or 128 features wide.
template <int HeadDim, class T>
inline constexpr bool tiles_fit_heads = Float16<T> && (HeadDim == 64 || HeadDim == 128);

/// Can this GPU run tiles of T that need so many bytes of shared memory? What else a GPU lacks for T,
/// says the exception.
template <class T> bool runs_tiles(const Cuda& device, std::size_t shared_bytes) {
  const int capability = device.context->compute_capability();
  if (std::is_same_v<T, bf16> && capability < 80)
    throw InvalidInput(-1, "attention",
                       "bf16 needs sm_80 or newer, and this GPU is sm_" +
                           std::to_string(capability) +
                           ". Use MixedPrecision<fp16, fp32> with DynamicLossScale.");
  constexpr std::size_t turing = 64 * 1024,
                        all_later = 99 * 1024;  // the most that a block may have
  return shared_bytes <= (capability < 80 ? turing : all_later);
}
}  // namespace kernels

/// As on the CPU (ops/attention.hpp). 16-bit heads of 64 or 128 features go through tensor cores
/// (attention_forward.hpp), others a warp a row (attention_rows.hpp); so do GPUs without the shared
/// memory, 64 KiB on sm_75, for heads of 128.
///
/// Cost     2 (row + width) bytes a token in 16 bits, beside the products.
/// Errors   run time: InvalidInput for bf16 on a GPU older than sm_80.
/// Laws     no atomics: the bits repeat on one GPU model. In tiles the probabilities are rounded to T for
///          their product with v, which the CPU does not do.
template <class H, bool Causal, class T>
void attention_forward(const Cuda& device, int samples, int tokens, const T* qkv, T* y,
                       accumulator_t<T>* lse, accumulator_t<T>* /*scratch*/) {
  if constexpr (kernels::tiles_fit_heads<H::head_dim, T>) {
    using K = kernels::TiledAttentionForward<H, Causal, T>;
    if (kernels::runs_tiles<T>(device, sizeof(typename K::Shared))) {
      const int blocks = kernels::HeadTile::count(samples, H::heads, tokens, K::rows);
      return cuda::launch(device, blocks, K{tokens, qkv, y, lse});
    }
  }
  using K = kernels::AttentionForwardRows<H, Causal, T>;
  cuda::launch(device, K::Row::blocks(samples, tokens), K{samples, tokens, qkv, y, lse});
}

/// Shapes   scratch[attention_scratch_on_cuda<H>(samples, tokens)].
/// Cost     in tiles 14 head_dim operations a score, 7 products instead of the least 5: dq has a pass of its
///          own, so that nothing is added in the order of blocks' arrival.
/// Laws, Errors   as attention_forward; delta, the sum of dy y, is of y as it was rounded.
template <class H, bool Causal, class T>
void attention_backward(const Cuda& device, int samples, int tokens, const T* qkv, const T* y,
                        const T* dy, const accumulator_t<T>* lse, T* dqkv,
                        accumulator_t<T>* scratch) {
  using Delta = kernels::AttentionDelta<H, T>;
  cuda::launch(device, Delta::blocks(samples, tokens), Delta{samples, tokens, y, dy, scratch});
  const accumulator_t<T>* delta = scratch;
  if constexpr (kernels::tiles_fit_heads<H::head_dim, T>) {
    using Keys = kernels::TiledAttentionKeyGradients<H, Causal, T>;
    using Queries = kernels::TiledAttentionQueryGradients<H, Causal, T>;
    constexpr std::size_t keys = sizeof(typename Keys::Shared);
    constexpr std::size_t queries = sizeof(typename Queries::Shared);
    if (kernels::runs_tiles<T>(device, keys > queries ? keys : queries)) {
      const auto blocks = [&](int heads, int rows) {
        return kernels::HeadTile::count(samples, heads, tokens, rows);
      };
      cuda::launch(device, blocks(H::kv_heads, Keys::rows),
                   Keys{{}, tokens, qkv, dy, lse, delta, dqkv});
      cuda::launch(device, blocks(H::heads, Queries::rows),
                   Queries{{}, tokens, qkv, dy, lse, delta, dqkv});
      return;
    }
  }
  using Keys = kernels::AttentionBackwardRows<H, Causal, true, T>;
  using Queries = kernels::AttentionBackwardRows<H, Causal, false, T>;
  cuda::launch(device, Keys::Row::blocks(samples, tokens),
               Keys{samples, tokens, qkv, dy, lse, delta, dqkv});
  cuda::launch(device, Queries::Row::blocks(samples, tokens),
               Queries{samples, tokens, qkv, dy, lse, delta, dqkv});
}

}  // namespace cohort::ops
