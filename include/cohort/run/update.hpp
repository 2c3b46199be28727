// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/update.hpp: one update of a rank's shard: the optimizer, and parameters that follow their masters.
#pragma once
#include <algorithm>
#include <cohort/ops/convert.hpp>
#include <cohort/ops/elementwise.hpp>
#include <cohort/optim/shard.hpp>
#include <cstdint>
#include <type_traits>

namespace cohort::detail {

/// Updates a shard. Masters in fp32 are updated where they are, piece by piece, and each piece's 16-bit
/// parameters are written while it is in cache. 16-bit parameters without masters are widened into
/// scratch, updated there and rounded back, to nearest or at random. Gradients whose elements have a
/// limit are limited on their way, into scratch.
///
/// Laws     pieces are whole chunks, which optimizers update independently: cutting changes no bit.
template <class Plan, class Device> class Update {
 public:
  using M = typename Plan::master;
  using C = typename Plan::compute;
  using D = typename Plan::gradient;
  using Optimizer = typename Plan::slots::optimizer;
  using Options = typename Optimizer::Options;

  /// `scratch` holds Plan::update_bytes; `numbers` are those of the shard's chunks (number_chunks);
  /// `most` is the largest element of the mean gradient, where Plan::clips_values.
  Update(const Device& device, UpdateStep now, const Options& options, std::uint64_t seed,
         D* scratch, const std::uint32_t* numbers, double most = 0)
      : device_(device),
        now_(now),
        options_(options),
        seed_(seed),
        scratch_(scratch),
        numbers_(numbers),
        limit_(Plan::clips_values ? static_cast<D>(most / now.grad_scale) : D(0)) {}

  /// `first` is where the shard begins in all that this rank updates.
  void operator()(const Shard<M>& shard, C* copies, std::size_t first) const {
    if constexpr (std::is_same_v<M, D> && !Plan::has_masters && !Plan::clips_values) {
      Optimizer::update(device_, shard, now_, options_);
    } else {
      for (std::size_t at = 0; at < shard.size; at += Plan::update_piece) {
        const std::size_t n = std::min(Plan::update_piece, shard.size - at);
        if constexpr (std::is_same_v<M, D>)
          with_copies(limited(shard.piece(at, n, shard.params + at)),
                      copies ? copies + at : nullptr);
        else
          without_masters(limited(shard.piece(at, n, shard.params + at)), first + at);
      }
    }
  }

 private:
  template <class T> Shard<T> limited(Shard<T> piece) const {
    if constexpr (Plan::clips_values) {
      D* const to = scratch_ + (std::is_same_v<M, D> ? 0 : Plan::update_piece);
      ops::clamp(device_, piece.size, piece.grads, limit_, to);
      piece.grads = to;
    }
    return piece;
  }
  void with_copies(const Shard<D>& piece, C* copies) const {
    Optimizer::update(device_, piece, now_, options_);
    if (copies != nullptr)
      ops::convert(device_, piece.size, static_cast<const D*>(piece.params), copies);
  }
  void without_masters(const Shard<M>& piece, std::size_t first) const {
    ops::convert(device_, piece.size, static_cast<const M*>(piece.params), scratch_);
    Optimizer::update(device_, piece.piece(0, piece.size, scratch_), now_, options_);
    const D* wide = scratch_;
    if constexpr (!Plan::rounds_at_random) {
      ops::convert(device_, piece.size, wide, piece.params);
    } else {
      const std::uint64_t stream =
          random_stream(RandomUse::rounding, static_cast<std::uint64_t>(now_.step));
      for (std::size_t i = 0; i < piece.size; i += chunk) {
        const std::uint64_t number = numbers_[(first + i) / chunk];
        ops::convert_at_random(device_, chunk, wide + i, piece.params + i, seed_, stream,
                               number * chunk);
      }
    }
  }

  const Device& device_;
  UpdateStep now_;
  const Options& options_;
  std::uint64_t seed_;
  D* scratch_;
  const std::uint32_t* numbers_;
  D limit_;  // of gradients that are sums over the batch
};

}  // namespace cohort::detail
