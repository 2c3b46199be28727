// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/buckets.hpp: how many bytes of gradient Replicate reduces in one collective.
#pragma once
#include <cohort/concepts/policy.hpp>
#include <cstddef>

namespace cohort {

/// A small first bucket starts communication early; the cap keeps later ones at full bandwidth.
///
/// Units    bytes of the reduced type. A bucket closes when its bytes reach the limit after the
///          append.
/// Comm     one all-reduce a bucket, issued when backward has completed the bucket's last
///          parameter.
/// Source   PyTorch DDP: 1 MiB first, then bucket_cap_mb = 25 MiB.
template <std::size_t First = std::size_t{1} << 20, std::size_t Cap = std::size_t{25} << 20>
requires(First > 0 && Cap > 0) struct Buckets {
  using slot = slots::buckets;
  static constexpr std::size_t first_bytes = First, cap_bytes = Cap;
};

static_assert(Policy<Buckets<>>);

}  // namespace cohort
