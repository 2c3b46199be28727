// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/dynamic_loss_scale.hpp: keeps fp16 gradients inside the range of their type.
#pragma once
#include <bit>
#include <cohort/concepts/policy.hpp>
#include <cohort/core/refused.hpp>
#include <cstdint>

namespace cohort {

/// What a loss scale remembers from step to step; a checkpoint holds it.
struct LossScale {
  double scale = 1;
  std::int64_t good_steps = 0;  // updates since the scale last changed
  friend constexpr bool operator==(const LossScale&, const LossScale&) = default;
};

/// Powers of two, so that scaling changes no bit of a number that stays in range.
template <int Init, int Growth, int Backoff, int Interval>
concept ScalesByPowersOfTwo = Init >
0 && std::has_single_bit(unsigned(Init)) && Growth > 1 && std::has_single_bit(unsigned(Growth)) &&
    Backoff > 1 && std::has_single_bit(unsigned(Backoff)) && Interval > 0;

namespace detail {
template <int Init, int Growth, int Backoff, int Interval> struct OddScale {
  static void say() {
    static_assert(
        ScalesByPowersOfTwo<Init, Growth, Backoff, Interval>,
        "cohort: DynamicLossScale<Init, Growth, Backoff, Interval> needs powers of two, Growth and "
        "Backoff above one, and an interval above zero. Write DynamicLossScale<> for 65536, "
        "doubled after 2000 good steps, halved after an overflow. "
        "[cohort/policies/dynamic_loss_scale.hpp]");
  }
};
}  // namespace detail

/// Chosen only when an argument does not fit: says so in one sentence, then stops.
template <int Init = 65536, int Growth = 2, int Backoff = 2, int Interval = 2000>
struct DynamicLossScale {
  static_assert(detail::said<detail::OddScale<Init, Growth, Backoff, Interval>>());
  using slot = slots::scaling;
  static constexpr bool scales = true;
  static constexpr LossScale start{};
  static constexpr double least = 0;
  static constexpr LossScale next(LossScale s, bool) { return s; }
};

/// Multiplies the loss's gradient by a scale before it is rounded to fp16, and divides the summed
/// gradients by it in fp32 before norm, clipping and update. A step whose gradients hold an infinity
/// or a NaN on any rank is skipped on all: parameters, moments and step count stay, the scale is divided
/// by Backoff. After Interval updates in a row the scale is multiplied by Growth.
///
/// Units    the loss's gradient also carries 2^-e, 2^e the power of two nearest to a rank's rows a step,
///          so that gradients have the size of a mean's, as under PyTorch.
/// Comm     strategies that shard gradients exchange the norm's exact sum, which knows of overflows.
/// Errors   compile time: fp16 without it, or it without fp16; a loss that takes no scale. Run time:
///          NonFinite on every rank when gradients overflow even at a scale of 2^-24.
/// Laws     the scales and skipped steps of torch.amp.GradScaler with growth_factor = Growth,
///          backoff_factor = 1 / Backoff and growth_interval = Interval (tests/run/mixed_parity_test.cpp).
/// Source   Micikevicius et al. 2018, arXiv:1710.03740, section 3.2; torch.amp.GradScaler.
template <int Init, int Growth, int Backoff, int Interval>
requires ScalesByPowersOfTwo<Init, Growth, Backoff, Interval>
struct DynamicLossScale<Init, Growth, Backoff, Interval> {
  using slot = slots::scaling;
  static constexpr bool scales = true;
  static constexpr LossScale start{Init, 0};
  static constexpr double least = 1.0 / (1 << 24);

  /// The scale after a step that overflowed or did not. It grows only while the result is a finite fp32.
  static constexpr LossScale next(LossScale s, bool overflow) {
    if (overflow) return {s.scale / Backoff, 0};
    if (s.good_steps + 1 < Interval) return {s.scale, s.good_steps + 1};
    const double grown = s.scale * Growth;
    return {grown < 0x1p128 ? grown : s.scale, 0};
  }
};

/// The default of the slot: gradients are what they are.
struct NoScale {
  using slot = slots::scaling;
  static constexpr bool scales = false;
};

static_assert(Policy<DynamicLossScale<>> && Policy<NoScale>);

}  // namespace cohort
