// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/groups.hpp: which units of the model are gathered and reduced together.
#pragma once
#include <cohort/concepts/policy.hpp>
#include <cohort/plan/groups.hpp>

namespace cohort {

/// Groups<ByRepeat> (default), Groups<Each<Block>>, Groups<BySize<1_MiB, 32_MiB>>, Groups<One>.
///
/// Comm     under Replicate none: buckets decide there. Strategies that shard parameters gather and
///          reduce-scatter group by group.
/// Errors   compile time: Each names a type that the model does not contain.
template <class How> struct Groups {
  using slot = slots::groups;
  using how = How;
};

static_assert(Policy<Groups<ByRepeat>>);

}  // namespace cohort
