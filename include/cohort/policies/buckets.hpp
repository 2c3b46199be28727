// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/buckets.hpp: how many bytes of gradient Replicate reduces in one collective.
#pragma once
#include <cohort/concepts/policy.hpp>
#include <cohort/core/refused.hpp>
#include <cstddef>

namespace cohort {

/// What Buckets asks of its arguments.
template <std::size_t First, std::size_t Cap>
concept SizesAboveZero = First >
0 && Cap > 0;

namespace detail {
template <std::size_t First, std::size_t Cap> struct NoBytes {
  static void say() {
    static_assert(
        SizesAboveZero<First, Cap>,
        "cohort: Buckets<First, Cap> needs sizes above zero. Write Buckets<> for 1 MiB and "
        "25 MiB; Buckets<1, 1> gives every parameter a bucket of its own. "
        "[cohort/policies/buckets.hpp]");
  }
};
}  // namespace detail

/// Chosen only when a size is zero: says so in one sentence, then stops.
template <std::size_t First = std::size_t{1} << 20, std::size_t Cap = std::size_t{25} << 20>
struct Buckets {
  static_assert(detail::said<detail::NoBytes<First, Cap>>());
  using slot = slots::buckets;
  static constexpr std::size_t first_bytes = 1, cap_bytes = 1;
};

/// A small first bucket starts communication early; the cap keeps later ones at full bandwidth.
///
/// Units    bytes of the reduced type. A bucket closes when its bytes reach the limit after the
///          append.
/// Comm     one all-reduce a bucket, issued when backward has completed the bucket's last
///          parameter.
/// Source   PyTorch DDP: 1 MiB first, then bucket_cap_mb = 25 MiB.
template <std::size_t First, std::size_t Cap>
requires SizesAboveZero<First, Cap>
struct Buckets<First, Cap> {
  using slot = slots::buckets;
  static constexpr std::size_t first_bytes = First, cap_bytes = Cap;
};

static_assert(Policy<Buckets<>>);

}  // namespace cohort
