// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/step_times.hpp: where the time of steps went, of one rank and of all, and what follows for scaling.
#pragma once
#include <algorithm>
#include <cohort/run/options.hpp>
#include <vector>

namespace cohort {

/// Seconds of one rank, summed over `steps` steps.
///
/// Units    comm_s: durations of collectives, casts around them included, from the rank's entry to its
///          exit: a rank that comes early is in it until the others are there. exposed_comm_s: the part of
///          step_s in which compute did nothing but wait for collectives: all of comm_s where they run on
///          the compute thread. On a worker comm_s - exposed_comm_s was hidden behind compute; it is
///          negative where waking the worker takes longer than what it hides.
struct StepTimes {
  std::int64_t steps = 0;
  double step_s = 0, comm_s = 0, exposed_comm_s = 0;

  /// The part of the step that compute waited for communication: 0 .. 1.
  constexpr double communication_share() const { return step_s > 0 ? exposed_comm_s / step_s : 0; }
  constexpr StepTimes& operator+=(const StepTimes& other) {
    steps += other.steps;
    step_s += other.step_s;
    comm_s += other.comm_s;
    exposed_comm_s += other.exposed_comm_s;
    return *this;
  }
};

/// What a step did and where its time went, under Timed and Traced. The report is the same on every
/// rank, the times are this rank's; steps is 1.
struct TimedReport : StepReport, StepTimes {};

/// Seconds of a mean step on the ranks of a world: their mean, and the most of any rank.
struct WorldTimes {
  int ranks = 1;
  StepTimes mean, most;

  /// Of the mean rank.
  constexpr double communication_share() const { return mean.communication_share(); }
  /// An upper bound of the efficiency of weak scaling that one run can tell: (step - exposed) / step. It
  /// is the efficiency where a rank alone would compute exactly as fast. What ranks cost each other while
  /// they compute (memory bandwidth, clock rate, the worker's core) is not in it: scaling_efficiency()
  /// compares with a run that was made.
  constexpr double compute_share() const { return 1 - communication_share(); }
};

/// Tokens (or samples) a second on N ranks against N times those of one rank with the same rows a rank:
/// 1 is linear.
constexpr double scaling_efficiency(int ranks, double rate, double rate_of_one) {
  return rate / (ranks * rate_of_one);
}

namespace detail {
/// Every rank's mean step. Collective.
template <class World> WorldTimes times_of_all_ranks(World& world, const StepTimes& sum) {
  constexpr std::size_t words = 3;
  const double n = sum.steps > 0 ? static_cast<double>(sum.steps) : 1;
  const double mine[words] = {sum.step_s / n, sum.comm_s / n, sum.exposed_comm_s / n};
  std::vector<double> all(words * static_cast<std::size_t>(world.size()));
  world.all_gather(mine, all.data(), words);
  WorldTimes times{world.size(), {1}, {1}};
  for (std::size_t at = 0; at < all.size(); at += words) {
    const double share = 1.0 / world.size();
    times.mean += {0, share * all[at], share * all[at + 1], share * all[at + 2]};
    times.most = {1, std::max(times.most.step_s, all[at]), std::max(times.most.comm_s, all[at + 1]),
                  std::max(times.most.exposed_comm_s, all[at + 2])};
  }
  return times;
}
}  // namespace detail

}  // namespace cohort
