// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/random.hpp: the random numbers of one call of a layer, the same in forward and in backward.
#pragma once
#include <cohort/core/host_device.hpp>
#include <cohort/core/rng.hpp>
#include <cohort/core/tensor.hpp>
#include <cstddef>
#include <cstdint>

namespace cohort {

/// What a step's random numbers follow from, beside the place in the model.
///
/// Units    steps: in memory of the device that computes, the number of updates done. Sample k of a micro-batch
///          is sample first + k stride of the step's, all ranks' together: rank r of n holds r, r + n, ...,
///          as data::DistributedSampler deals them out.
struct RandomSource {
  std::uint64_t seed = 0;
  const std::int64_t* steps = nullptr;
  std::uint64_t first = 0, stride = 1;
};

/// The random numbers of one call of one layer: `const auto random = ctx.random();` in forward, kept by
/// keep(ctx, "random"_p = random) where backward needs them again. It has no state: backward, and a forward
/// that is run again, read the same numbers.
///
/// Units    a number belongs to (seed, step, which of the forward's calls of ctx.random() this is, sample,
///          element), an element being counted within its sample: the row's place times C, plus the column.
/// Shapes   samples of a step below 2^29, elements of a sample below 2^34, calls in a forward below 2^20.
/// Cost     no bytes of activations. A number is one block of Philox, some 100 instructions; ops share blocks.
/// Laws     the numbers do not depend on the world's size, the strategy, or the cut into micro-batches; those
///          of a resumed run are those of the uninterrupted one (tests/nn/dropout_test.cpp, tests/run/run_state_test.cpp).
class Random {
 public:
  Random() = default;
  constexpr explicit Random(const RandomSource& source, std::uint32_t place = 0)
      : source_(source), place_(place) {}

  /// A multiple of 2^-24 in [0, 1) for an element of a sample of this call.
  COHORT_HOST_DEVICE float uniform01(int sample, std::uint64_t element) const {
    return cohort::uniform01(seed(), stream(), first_block(sample) * 4 + element);
  }
  /// 64 random bits.
  COHORT_HOST_DEVICE std::uint64_t bits(int sample, std::uint64_t element) const {
    return random_bits(seed(), stream(), first_block(sample) * 2 + element);
  }
  /// Normal with mean 0 and deviation 1.
  COHORT_HOST_DEVICE float normal(int sample, std::uint64_t element) const {
    return cohort::normal(seed(), stream(), first_block(sample) * 2 + element);
  }

  /// The same for ops that make whole blocks: Philox(seed())(stream(), first_block(sample) + i).
  COHORT_HOST_DEVICE std::uint64_t seed() const { return source_.seed; }
  /// Reads the device's memory: for code that runs there.
  COHORT_HOST_DEVICE std::uint64_t stream() const {
    const std::uint64_t step = static_cast<std::uint64_t>(*source_.steps);
    constexpr std::uint64_t below = (std::uint64_t{1} << 56) - 1;
    return random_stream(RandomUse::layers, (step << 20 | place_) & below);
  }
  COHORT_HOST_DEVICE std::uint64_t first_block(int sample) const {
    return (source_.first + static_cast<std::uint64_t>(sample) * source_.stride) << 33;
  }

  /// Which call of ctx.random() of a forward this is, from 0.
  constexpr std::uint32_t place() const { return place_; }
  /// What the next call in a forward returns.
  constexpr Random next() const { return Random(source_, place_ + 1); }

  /// Keeping one takes no memory for activations.
  static constexpr std::size_t bytes(Rows) { return 0; }

 private:
  RandomSource source_;
  std::uint32_t place_ = 0;
};

}  // namespace cohort
