// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/run_profile.hpp: what a run says of where its time went: sums, comparisons of ranks, a trace.
#pragma once
#include <cohort/core/said.hpp>
#include <cohort/run/step_times.hpp>
#include <string>

namespace cohort {

/// Of which of the newest steps write_trace() writes the spans; 0: of all that are left.
struct TraceOptions {
  int steps = 0;
};

namespace detail {
/// Writes the spans of all ranks: run/trace_file.hpp.
template <class Run> struct TraceFile;
template <class Run> struct NoTraceFile {
  static void say() {
    static_assert(never<Run>,
                  "cohort: writing a trace takes a header of its own. Add #include "
                  "<cohort/trace.hpp>. [cohort/run/run_profile.hpp]");
  }
};

template <class Run> inline constexpr bool is_timed = Run::plan_type::slots::profiling::times;
template <class Run>
inline constexpr bool is_traced = Run::plan_type::slots::profiling::max_spans > 0;
}  // namespace detail

/// What Execution offers of its times, under Timed and Traced; without them these functions say which
/// policy they need.
template <class Run> class RunProfile {
 public:
  /// This rank's times, summed over the steps since the run was made or forget_times() was called.
  template <class R = Run> StepTimes times() const {
    if constexpr (keeps_times<R>()) return static_cast<const R&>(*this).timeline().sum();
    return {};
  }
  /// Begins a new sum: without the first steps, which are slower.
  template <class R = Run> void forget_times() {
    if constexpr (keeps_times<R>()) static_cast<R&>(*this).timeline().forget();
  }
  /// The mean steps of all ranks over the same sum. Collective.
  template <class R = Run> WorldTimes times_of_all_ranks() {
    if constexpr (keeps_times<R>())
      return detail::times_of_all_ranks(static_cast<R&>(*this).world_, times<R>());
    return {};
  }
  /// Writes what all ranks did in the newest steps as one file for Perfetto or chrome://tracing. Rank 0
  /// writes it; readers see the old file or the whole new one. Collective.
  ///
  /// Errors   on every rank alike: WriteFailed. The run can go on.
  template <class R = Run>
  void write_trace(const std::string& file, const TraceOptions& options = {}) {
    if constexpr (!detail::is_traced<R>) {
      static_assert(detail::is_traced<R>,
                    "cohort: this run keeps no spans to write. Add Traced<> to the list of "
                    "Trainer, on the CPU. [cohort/policies/profiling.hpp]");
    } else if constexpr (detail::IsComplete<detail::TraceFile<R>>) {
      detail::TraceFile<R>::write(static_cast<R&>(*this), file, options);
    } else {
      detail::said<detail::NoTraceFile<R>>();
    }
  }
  /// On a GPU, after a step: measures cuBLASLt's algorithms for each product of the model and uses the quickest
  /// from now on. Each rank for itself; `for (const auto& p : run.tune_products()) puts(to_string(p).c_str());`
  ///
  /// Cost     some 100 calls of each product, in the memory of activations: about a second for a GPT-2.
  /// Laws     changes roundings, and may choose otherwise in another run: leave it out of runs that must
  ///          repeat each other's bits (ops/cuda/tune.hpp).
  template <class R = Run> auto tune_products() {
    static_assert(
        !R::computes_on_host,
        "cohort: tune_products() chooses among cuBLASLt's algorithms: it is for runs on a "
        "GPU, Run::on<Cuda>. [cohort/run/run_profile.hpp]");
    if constexpr (!R::computes_on_host) {
      R& run = static_cast<R&>(*this);
      return run.guarded("tune_products", [&] {
        auto measured = run.driver_.machine().tune_products(run.activations_);
        run.capture_.forget();
        return measured;
      });
    }
  }

 private:
  template <class R> static consteval bool keeps_times() {
    static_assert(detail::is_timed<R>,
                  "cohort: this run keeps no times. Add Timed or Traced<> to the list of Trainer. "
                  "[cohort/policies/profiling.hpp]");
    return detail::is_timed<R>;
  }
};

}  // namespace cohort
