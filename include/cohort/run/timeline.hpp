// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/timeline.hpp: the clock of a rank's steps: which stream did what from when to when.
#pragma once
#include <algorithm>
#include <chrono>
#include <cohort/core/arena.hpp>
#include <cohort/plan/schedule.hpp>
#include <cohort/plan/step_span.hpp>
#include <cohort/policies/profiling.hpp>
#include <cohort/run/step_times.hpp>

namespace cohort::detail {

/// Stands for a span that nobody looks at.
struct Unwatched {
  constexpr Unwatched() {}
};

/// What the driver tells of a step while it runs. This one hears nothing: every call is empty, and so is
/// the object.
template <class Plan, class Profiling = typename Plan::slots::profiling> class Timeline {
 public:
  using Report = StepReport;

  template <class Number> static void begin_step(Number) {}
  static void end_step() {}
  template <MicroBatch M> static void begin() {}
  /// A span that lasts as long as what is returned.
  template <Activity A> static Unwatched span(int = -1) { return {}; }
  template <Activity A, class Number> static Unwatched between_steps(Number) { return {}; }
  static Unwatched wait(int, bool) { return {}; }
  static Unwatched wait_for_all(bool) { return {}; }
  static Unwatched operation(const Op&, bool) { return {}; }
};

/// Tells Nsight Systems: run/cuda/nvtx.hpp.
template <class Plan> class Timeline<Plan, Nvtx>;

inline std::int64_t monotonic_ns() {
  using namespace std::chrono;
  return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
}

/// The newest spans of one stream, written by one thread.
template <std::size_t Most> class Track {
 public:
  void keep_at(StepSpan* at) { at_ = at; }
  void add(const StepSpan& s) { at_[added_++ % Most] = s; }
  /// Of calls that follow each other with nothing between them one span is kept, which ends with the last.
  void add_to_last(const StepSpan& s) {
    StepSpan& last = at_[(added_ + Most - 1) % Most];
    if (added_ > 0 && last.what == s.what && last.step == s.step)
      last.end = s.end;
    else
      add(s);
  }

  std::uint64_t added() const { return added_; }
  std::uint64_t lost() const { return added_ - size(); }
  std::size_t size() const { return added_ < Most ? static_cast<std::size_t>(added_) : Most; }
  /// The i-th of those that are left, the oldest first: in order of their ends.
  const StepSpan& operator[](std::size_t i) const { return at_[(lost() + i) % Most]; }

 private:
  StepSpan* at_ = nullptr;
  std::uint64_t added_ = 0;
};

/// Timed and Traced. The compute thread writes all but what is marked as the communication stream's;
/// each reads what the other wrote behind the stream's two counters only.
template <class Plan, class Profiling>
requires(Profiling::times) class Timeline<Plan, Profiling> {
  static constexpr std::size_t most = Profiling::max_spans;
  static constexpr bool traces = most > 0;

 public:
  using Report = TimedReport;
  using Spans = Track<std::max<std::size_t>(most, 1)>;

  /// Measures from its construction to its destruction.
  template <Activity A> class Watched {
   public:
    Watched(Timeline& timeline, bool on, int number, bool waits = false)
        : timeline_(timeline), on_(on), waits_(waits), number_(number) {
      if (on_) begin_ = monotonic_ns();
    }
    Watched(const Watched&) = delete;
    ~Watched() {
      if (on_) timeline_.template end<A>(begin_, number_, waits_);
    }

   private:
    Timeline& timeline_;
    bool on_, waits_;
    int number_;
    std::int64_t begin_ = 0;
  };

  Timeline() : memory_(Profiling::trace_bytes) {
    compute_.keep_at(memory_.template as<StepSpan>());
    communication_.spans.keep_at(memory_.template as<StepSpan>() + most);
  }

  /// number(): the optimizer step that begins, from 1.
  template <class Number> void begin_step(Number number) {
    step_ = static_cast<std::int32_t>(number());
    inside_ = true;
    waited_ = communication_.time = 0;
    step_began_ = monotonic_ns();
  }
  /// All operations of the step are done.
  void end_step() {
    const std::int64_t now = monotonic_ns();
    inside_ = false;
    last_ = {1, 1e-9 * double(now - step_began_), 1e-9 * double(communication_.time),
             1e-9 * double(waited_)};
    sum_ += last_;
    if constexpr (traces) compute_.add({step_began_, now, step_, 0, -1, Activity::step});
  }
  template <MicroBatch M> void begin() {
    micro_batch_ = is_first(M) ? 0 : micro_batch_ + 1;
    program_ = Plan::template program<M>.begin();
    num_ops_ = Plan::template program<M>.count;
    awaited_ = 0;
  }
  template <Activity A> auto span(int number = -1) {
    if constexpr (traces)
      return Watched<A>(*this, inside_, number);
    else
      return Unwatched{};
  }
  /// The same of what is not a step; number(): the optimizer steps that were made.
  template <Activity A, class Number> auto between_steps([[maybe_unused]] Number number) {
    if constexpr (traces) {
      step_ = static_cast<std::int32_t>(number());
      micro_batch_ = 0;
      return Watched<A>(*this, true, -1);
    } else {
      return Unwatched{};
    }
  }
  /// Compute waits for the first `ops` operations of the micro-batch, unless it has before; there is
  /// nothing to wait for where they run on the compute thread.
  auto wait(int ops, bool has_worker) {
    const bool on = has_worker && ops > awaited_;
    if (on) awaited_ = ops;
    return Watched<Activity::wait>(*this, on, ops - 1);
  }
  auto wait_for_all(bool has_worker) { return wait(num_ops_, has_worker); }
  /// Called by the stream, on its thread; `on_compute`: compute does nothing meanwhile.
  auto operation(const Op& op, bool on_compute) {
    return Watched<Activity::operation>(*this, true, static_cast<int>(&op - program_), on_compute);
  }
  TimedReport report(const StepReport& r) const { return {r, last_}; }

  /// Since the run was made or the times were forgotten.
  const StepTimes& sum() const { return sum_; }
  void forget() { sum_ = {}; }
  const Spans& compute() const { return compute_; }
  const Spans& communication() const { return communication_.spans; }

 private:
  template <Activity A> void end(std::int64_t begin, int number, bool waits) {
    const std::int64_t now = monotonic_ns();
    const StepSpan span{begin, now, step_, micro_batch_, number, A};
    if constexpr (A == Activity::operation) {
      communication_.time += now - begin;
      if constexpr (traces) communication_.spans.add(span);
      if (waits) end_wait(span);
    } else if constexpr (A == Activity::wait) {
      end_wait(span);
    } else if constexpr (A == Activity::evaluation || A == Activity::prediction) {
      compute_.add_to_last(span);
    } else {
      compute_.add(span);
    }
  }
  void end_wait(StepSpan span) {
    waited_ += span.end - span.begin;
    span.what = Activity::wait;
    if constexpr (traces) compute_.add(span);
  }

  HostMemory memory_;
  Spans compute_;
  StepTimes last_, sum_;
  std::int64_t step_began_ = 0, waited_ = 0;
  bool inside_ = false;
  std::int32_t step_ = 0, micro_batch_ = 0, num_ops_ = 0, awaited_ = 0;
  const Op* program_ = nullptr;
  struct alignas(64) Communication {  // written by the communication stream's thread
    Spans spans;
    std::int64_t time = 0;
  } communication_;
};

}  // namespace cohort::detail
