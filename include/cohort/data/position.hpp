// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/data/position.hpp: how far a run is through its data: what a checkpoint keeps of it.
#pragma once
#include <cstdint>

namespace cohort::data {

/// Where the next batch of all ranks begins. Valid on any number of ranks and rows: samples are dealt to
/// ranks in turn from one list, so whatever the split, those consumed are the first ones of the list.
///
/// Units    epoch: passes over the data that are complete. samples: of the epoch that follows them, those
///          that all ranks together have consumed.
struct Position {
  std::int64_t epoch = 0;
  std::int64_t samples = 0;

  friend constexpr bool operator==(const Position&, const Position&) = default;
};

}  // namespace cohort::data
