// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/data_parallel.hpp: the data slot: how training state lies on the ranks.
#pragma once
#include <cohort/concepts/policy.hpp>

namespace cohort {

/// DataParallel<Replicate> (default). A strategy is a type with a program for each micro-batch, the
/// persistent bytes a rank, and a Storage that runs the program's collectives; see
/// policies/replicate.hpp.
template <class How> struct DataParallel {
  using slot = slots::data;
  using how = How;
};

}  // namespace cohort
