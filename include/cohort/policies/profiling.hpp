// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/policies/profiling.hpp: what is noted of a step while it runs: nothing, its times, or every span.
#pragma once
#include <cohort/concepts/policy.hpp>
#include <cohort/core/refused.hpp>
#include <cohort/core/tensor.hpp>
#include <cohort/plan/step_span.hpp>

namespace cohort {

/// A trace has room for a span.
template <std::size_t MaxSpans>
concept AtLeastOneSpan = (MaxSpans >= 1);

namespace detail {
template <std::size_t MaxSpans> struct NoSpan {
  static void say() {
    static_assert(
        AtLeastOneSpan<MaxSpans>,
        "cohort: Traced<max_spans> keeps at least one span of each stream. Write Traced<> "
        "for the default, or Timed where only the times of a step are wanted. "
        "[cohort/policies/profiling.hpp]");
  }
};
}  // namespace detail

/// The default of the slot: the step holds no clock.
struct NoProfile {
  using slot = slots::profiling;
  static constexpr bool times = false;
  static constexpr std::size_t max_spans = 0, trace_bytes = 0;
};

/// run.step() returns a TimedReport: StepReport, and the seconds of this rank's step, of its
/// communication, and of that part of it that compute waited for. run.times() sums them up,
/// run.times_of_all_ranks() compares ranks.
///
/// Comm     none in a step.
/// Cost     two readings of the host's clock a step, two an operation, two a wait.
/// Errors   compile time: on a GPU, where the host's clock says when work was queued, not when it ran.
/// Laws     no bit of a step changes (tests/run/timeline_test.cpp).
struct Timed {
  using slot = slots::profiling;
  static constexpr bool times = true;
  static constexpr std::size_t max_spans = 0, trace_bytes = 0;
};

/// Chosen only when MaxSpans is below one: says so in one sentence, then stops.
template <std::size_t MaxSpans = std::size_t{1} << 16> struct Traced : Timed {
  static_assert(detail::said<detail::NoSpan<MaxSpans>>());
};

/// Timed, and a span for everything that the compute and the communication stream do in a step;
/// run.write_trace(file) of <cohort/trace.hpp> writes those of all ranks for Perfetto. The newest
/// MaxSpans of each stream are kept, and the file says how many older ones are not in it.
///
/// Comm     none in a step.
/// Cost     two readings of the clock and a store of 32 bytes a span; 64 bytes of host memory for each of
///          MaxSpans, taken before step 0 and planned (MemoryBytes::trace).
/// Errors   compile time: MaxSpans < 1 (AtLeastOneSpan); on a GPU.
/// Laws     the spans of the communication stream are the plan's program; spans of a stream nest; no bit
///          of a step changes (tests/run/timeline_test.cpp).
template <std::size_t MaxSpans>
requires AtLeastOneSpan<MaxSpans>
struct Traced<MaxSpans> {
  using slot = slots::profiling;
  static constexpr bool times = true;
  static constexpr std::size_t max_spans = MaxSpans;
  static constexpr std::size_t trace_bytes = round_up(2 * MaxSpans * sizeof(StepSpan), alignment);
};

/// Ranges for Nsight Systems and other tools that listen to NVTX: steps, micro-batches, forward and backward
/// of units, loss, norm, update, and the plan's operations where they are issued. On a GPU a tool shows with
/// each range the kernels and collectives that were queued inside it.
///
/// Cost     nothing but a test of a pointer a range while no tool listens. NVTX itself calls the tool
///          through pointers: the only policy with an indirect call in a step.
/// Errors   compile time: without #include <cohort/nvtx.hpp>, which needs the headers of NVTX 3 (CUDA has
///          them) and no library.
struct Nvtx {
  using slot = slots::profiling;
  static constexpr bool times = false;
  static constexpr std::size_t max_spans = 0, trace_bytes = 0;
};

static_assert(Policy<NoProfile> && Policy<Timed> && Policy<Traced<>> && Policy<Nvtx>);

}  // namespace cohort
