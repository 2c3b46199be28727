// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/simulate.hpp: a step of a plan on a cluster that is not there: the very tables, with times instead of work.
#pragma once
#include <cohort/core/error.hpp>
#include <cohort/plan/cluster.hpp>
#include <cohort/plan/plan.hpp>
#include <cohort/plan/step_span.hpp>
#include <cohort/plan/unit_work.hpp>
#include <cstdio>
#include <iostream>

namespace cohort {

/// What one rank's step took.
///
/// Units    seconds. seconds = forward_backward + update + waits. communication: all collectives, beside compute or
///          not; waits: what compute waited for them. work: operations of matrix products, those done again included.
struct SimulatedStep {
  double seconds = 0, forward_backward = 0, update = 0, waits = 0, communication = 0;
  double work = 0;
  Sizes sizes{};

  /// Of one rank.
  constexpr double tokens_per_second() const {
    return static_cast<double>(sizes.batch) * sizes.tokens / seconds;
  }
};

namespace detail {

/// Hears of nothing.
struct Unseen {
  constexpr void operator()(Activity, int, int, double, double) const {}
};

/// Compute and communication as the run has them (device/cpu_stream.hpp): operations one after the other, each from
/// its marker on; compute waits for counts of them. seen(activity, number, micro_batch, begin, end) hears of each
/// stretch of time, its number as a StepSpan's, in seconds from the step's begin.
template <class Plan, class Seen = Unseen> class Simulation {
 public:
  constexpr Simulation(Sizes sizes, const Cluster& cluster, Seen seen = {})
      : sizes_(sizes),
        cluster_(checked(sizes, cluster)),
        seen_(seen),
        work_(Rows{Plan::micro_batch(sizes), sizes.tokens}) {}

  constexpr SimulatedStep operator()() {
    Plan::for_each_micro_batch([&]<MicroBatch M>() { micro_batch<M>(); }, sizes_.ranks);
    step_.seconds = now_;
    step_.sizes = sizes_;
    return step_;
  }

 private:
  using markers = typename Plan::markers;

  static constexpr const Cluster& checked(Sizes s, const Cluster& c) {
    const auto refuse = [](const char* why) { throw InvalidInput(-1, "simulate", why); };
    if (!(c.flops > 0 && c.memory_bandwidth > 0 && c.ranks_per_machine > 0 &&
          c.inside.bandwidth > 0 && c.across.bandwidth > 0 && c.inside.latency >= 0 &&
          c.across.latency >= 0 && c.inside.start >= 0 && c.across.start >= 0))
      refuse(
          "a cluster's rates, bandwidths and ranks a machine must be above zero, and its times not "
          "below. Begin with h100_cluster and change what differs.");
    if (s.ranks < 1 || s.batch < 1 || s.tokens < 1)
      refuse(
          "there must be at least one rank, sample and token: {.ranks = 8, .batch = 4, .tokens = "
          "1024}.");
    const int group = Plan::shard_group(s.ranks), here = c.ranks_per_machine;
    if (s.batch % Plan::micro_batches_on(s.ranks) != 0)
      refuse(
          "the batch is no multiple of the micro-batches of GradAccum (and Reproducible): a run "
          "refuses it too.");
    if (s.ranks % group != 0)
      refuse(
          "HybridShard's groups do not fill the ranks: a run refuses them too. Give a multiple of "
          "S ranks.");
    if (s.ranks > here && group < s.ranks && group % here != 0 && here % group != 0)
      refuse(
          "HybridShard's groups would lie across machines' borders in several ways, which is not "
          "simulated. Choose S as a divisor or a multiple of the ranks a machine.");
    return c;
  }

  template <MicroBatch M> constexpr void micro_batch() {
    const double begin = now_;
    constexpr const auto& waits = Plan::template waits<M>;
    ops_ = Plan::template program<M>.begin();
    done_ = 0;
    reached(markers::begin);
    for (int u = 0; u < Plan::num_units; ++u) {
      reached(markers::forward(u));
      wait(waits.forward[u]);
      compute(Activity::forward, u, work_.forward[u]);
    }
    reached(markers::forward_ended);
    for (int u = Plan::num_units - 1; u >= 0; --u) {
      compute(Activity::backward, u, work_.before_backward[u]);
      reached(markers::backward(u));
      wait(waits.backward[u]);
      compute(Activity::backward, u, work_.backward[u]);
      reached(markers::backward_ended(u));
    }
    if constexpr (is_last(M)) {
      wait(waits.reduced);
      if constexpr (Plan::needs_norm)
        pass(Activity::norm, shard() * sizeof(typename Plan::gradient));
      reached(markers::squared);
      if constexpr (Plan::needs_norm) wait(waits.normed);
      pass(Activity::update, shard() * update_bytes);
      reached(markers::updated);
    }
    wait(Plan::template program<M>.count);  // the next micro-batch begins behind all of this one's
    seen_(Activity::micro_batch, -1, micro_batch_++, begin, now_);
  }

  constexpr void reached(int marker) { reached_[marker] = now_; }
  constexpr void take(Activity what, int number, double seconds, double& of) {
    if (seconds <= 0) return;
    seen_(what, number, micro_batch_, now_, now_ + seconds);
    of += seconds;
    now_ += seconds;
  }
  constexpr void compute(Activity what, int unit, double operations) {
    step_.work += operations;
    take(what, unit, operations / cluster_.flops, step_.forward_backward);
  }
  /// Over so many bytes of memory.
  constexpr void pass(Activity what, double bytes) {
    take(what, -1, bytes / cluster_.memory_bandwidth, step_.update);
  }
  /// Until the first `count` operations are done; what they wait for has been reached.
  constexpr void wait(int count) {
    for (; done_ < count; ++done_) {
      const Op& op = ops_[done_];
      const int stride = op.axis == Axis::replicate ? Plan::shard_group(sizes_.ranks) : 1;
      const double seconds =
          collective_seconds(Plan::issued(op, sizes_.ranks), stride, cluster_, exchanges);
      const double begin = std::max(reached_[op.after], free_);
      ends_[done_] = free_ = begin + seconds;
      step_.communication += seconds;
      if (seconds > 0) seen_(Activity::operation, done_, micro_batch_, begin, free_);
    }
    if (count > 0) take(Activity::wait, count - 1, ends_[count - 1] - now_, step_.waits);
  }
  /// Elements that this rank updates.
  constexpr double shard() const {
    if constexpr (requires { Plan::data::reshards; }) {
      double sum = 0;
      for (int g = 0; g < Plan::groups.count; ++g)
        sum += static_cast<double>(Plan::shards.per_rank(g, Plan::shard_group(sizes_.ranks)));
      return sum;
    } else {
      return static_cast<double>(Plan::layout.size);
    }
  }
  static constexpr std::size_t most_operations() {
    std::size_t most = 1;
    Plan::for_each_kind([&]<MicroBatch M>() {
      most = std::max(most, static_cast<std::size_t>(Plan::template program<M>.count));
    });
    return most;
  }
  static constexpr bool exchanges = Plan::in_tree_order && !on_host<typename Plan::device>;
  /// Gradients are read, moments and masters read and written, copies written.
  static constexpr double update_bytes =
      (2 * Plan::slots::optimizer::moments + 1) * sizeof(typename Plan::gradient) +
      2 * sizeof(typename Plan::master) +
      (Plan::has_masters && !Plan::data::shards_params ? sizeof(typename Plan::compute) : 0);

  Sizes sizes_;
  Cluster cluster_;
  [[no_unique_address]] Seen seen_;
  UnitWork<typename Plan::model, typename Plan::cut> work_;
  SimulatedStep step_;
  std::array<double, markers::count> reached_{};
  std::array<double, most_operations()> ends_{};
  const Op* ops_ = nullptr;
  int done_ = 0, micro_batch_ = 0;
  double now_ = 0, free_ = 0;
};

}  // namespace detail

/// A step of one of s.ranks ranks, all of which are alike. What compute takes follows from the model's matrix products
/// and the cluster's attained rate, collectives from their bytes, messages and ranks; when each of them begins and what waits
/// for what is the plan's: the step executes these very tables. On a CPU as with a worker (StreamMode::worker).
///
///   constexpr auto step = simulate(Run::plan_on<Cuda>{}, {.ranks = 512, .batch = 8, .tokens = 2048}, h100_cluster);
///   static_assert(step.waits < 0.1 * step.seconds);
///
/// Where NCCL will carry it, give plan_on<Cuda>: the CPU's plan knows of no exchange for TreeOrder.
///
/// Errors   InvalidInput (in a constant: no constant) for sizes that a run refuses and clusters that cannot be.
/// Laws     a run whose layers and collectives take the times that they take here takes this long
///          (tests/plan/simulate_test.cpp); published tables: docs/decisions/0021-simulation.md.
template <class Model, class Loss, class Slots, class Device>
constexpr SimulatedStep simulate(const Plan<Model, Loss, Slots, Device>&, Sizes s,
                                 const Cluster& cluster) {
  return detail::Simulation<Plan<Model, Loss, Slots, Device>>(s, cluster)();
}

/// In a few lines, for people.
inline void print(const SimulatedStep& step, std::ostream& out = std::cout) {
  char text[512];
  const auto share = [&](double part) { return 100 * part / step.seconds; };
  std::snprintf(text, sizeof text,
                "simulated step of %d ranks: %.4g ms, %.4g tokens/s a rank\n"
                "   forward and backward %10.4g ms  %5.1f %%  (%.4g TFLOP)\n"
                "   norm and update      %10.4g ms  %5.1f %%\n"
                "   waits                %10.4g ms  %5.1f %%  for collectives of %.4g ms\n",
                step.sizes.ranks, 1e3 * step.seconds, step.tokens_per_second(),
                1e3 * step.forward_backward, share(step.forward_backward), 1e-12 * step.work,
                1e3 * step.update, share(step.update), 1e3 * step.waits, share(step.waits),
                1e3 * step.communication);
  out << text;
}

}  // namespace cohort
