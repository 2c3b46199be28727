// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/step_span.hpp: what a rank did from when to when, in the plan's numbers.
#pragma once
#include <cstdint>
#include <string_view>

namespace cohort {

/// What a stream can be seen doing. All but `operation` is on the compute stream.
enum class Activity : std::uint8_t {
  step,
  micro_batch,
  forward,  // of a unit
  loss,
  backward,  // of a unit
  norm,
  update,
  evaluation,  // these four between steps
  prediction,
  save,
  load,
  wait,      // for an operation; it also covers those that run on the compute thread
  operation  // of the plan's program
};

/// The name that traces show.
constexpr std::string_view name(Activity a) {
  constexpr std::string_view names[] = {
      "step",       "micro-batch", "forward", "loss", "backward", "norm",     "update",
      "evaluation", "prediction",  "save",    "load", "wait",     "operation"};
  return names[static_cast<int>(a)];
}

/// One stretch of time of one stream.
///
/// Units    begin, end: nanoseconds of the host's monotonic clock. number: the unit of forward and
///          backward, or an operation's place in the program of the micro-batch. step: the optimizer step
///          that was made, from 1; of what is between steps, the last one before. micro_batch: from 0.
struct StepSpan {
  std::int64_t begin = 0, end = 0;
  std::int32_t step = 0, micro_batch = 0, number = -1;
  Activity what = Activity::step;
};
static_assert(sizeof(StepSpan) == 32, "plans count spans by this size");

}  // namespace cohort
