// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/plan/cluster.hpp: what ranks run on, in a few numbers, and how long a collective takes there.
#pragma once
#include <bit>
#include <cohort/plan/exchange.hpp>

namespace cohort {

/// How ranks reach each other.
///
/// Units    bandwidth: bytes a second. latency: seconds a message. start: seconds before a collective's first.
struct Link {
  double bandwidth = 1e12, latency = 0, start = 0;
};

/// Ranks in machines of equally many, neighbours first.
///
/// Units    flops: operations a second that a rank attains in forward and backward as a whole, in the type that it
///          computes in: simulate(plan, {.ranks = 1, ...}, c).work by the seconds that these take, measured. (An MFU counts
///          other operations.) memory_bandwidth: bytes a second that a rank reads and writes. inside.bandwidth: what a
///          rank sends in a ring; across.bandwidth: what all of a machine's ranks together send out of it.
struct Cluster {
  double flops = 1e12, memory_bandwidth = 1e11;
  int ranks_per_machine = 8;
  Link inside{}, across{};
};

/// 8 GPUs a machine on NVLink and eight network interfaces of 400 Gbit/s. The rate is 45 % of the sheet's 989 TFLOP/s in
/// bf16, for products in bf16: give what you measured. Out of a machine go 200 GB/s, what an all-gather over 32 machines
/// was seen to have, which is half of what the interfaces' sheets add up to. The memory has 90 % of the sheet's 3.35 TB/s,
/// as an H200's copy has of its own.
///
/// Source   bandwidths: nccl-tests issue 212 (inside, ring), nccl issue 1218 (across); latencies: NCCL 2.28's own table
///          for rings in LL128 (src/graph/tuning.cc), which trees are given too.
inline constexpr Cluster h100_cluster{.flops = 0.45 * 989e12,
                                      .memory_bandwidth = 3.0e12,
                                      .ranks_per_machine = 8,
                                      .inside = {370e9, 1.9e-6, 14e-6},
                                      .across = {200e9, 4.0e-6, 14e-6}};
/// The same with the memory of an H200, of which a copy was measured at 90 % of the sheet.
inline constexpr Cluster h200_cluster = [] {
  Cluster c = h100_cluster;
  c.memory_bandwidth = 4.3e12;
  return c;
}();

namespace detail {

/// A group of an axis on the machines: consecutive ranks, or every stride-th.
struct Placement {
  int machines, here;  // of a group: machines, and ranks on each
  int groups_here;     // that share a machine's way out

  constexpr Placement(int ranks, int stride, const Cluster& c) {
    const int on_machine = c.ranks_per_machine;
    here = stride >= on_machine ? 1 : on_machine / stride;
    if (here > ranks) here = ranks;
    machines = (ranks + here - 1) / here;
    groups_here = stride >= on_machine ? on_machine : stride == 1 ? on_machine / here : stride;
  }
};

/// Every rank sends `bytes` around rings: out of a machine each of its groups sends them once.
constexpr double ring_seconds(double bytes, int messages, int messages_out, const Placement& p,
                              const Cluster& c) {
  double seconds =
      c.inside.start + (messages - messages_out) * c.inside.latency + bytes / c.inside.bandwidth;
  if (p.machines > 1) {
    const double out = bytes * p.groups_here / c.across.bandwidth;
    const double in = p.here > 1 ? bytes / c.inside.bandwidth : 0;
    seconds = c.across.start + (messages - messages_out) * c.inside.latency +
              messages_out * c.across.latency + (in > out ? in : out);
  }
  return seconds;
}
/// Up and down a tree of machines, in which each rank of a machine passes on to the next.
constexpr double tree_seconds(double bytes, const Placement& p, const Cluster& c) {
  const int levels = std::bit_width(static_cast<unsigned>(p.machines - 1));
  const double out = p.machines > 1 ? bytes * p.groups_here / c.across.bandwidth : 0,
               in = bytes / c.inside.bandwidth;
  return (p.machines > 1 ? c.across.start : c.inside.start) +
         2 * ((p.here - 1) * c.inside.latency + levels * c.across.latency) +
         2 * (in > out ? in : out);
}
/// Every rank sends each other one its part straight, one message after the other, and adds up what came.
constexpr double exchange_seconds(double bytes, int ranks, const Placement& p, const Cluster& c) {
  const double away = bytes * (ranks - p.here) / (ranks - 1);
  const double out = away * p.here * p.groups_here / c.across.bandwidth,
               in = (bytes - away) / c.inside.bandwidth;
  return (p.machines > 1 ? c.across.start : c.inside.start) + (p.here - 1) * c.inside.latency +
         (ranks - p.here) * c.across.latency + (in > out ? in : out) +
         bytes * (ranks + 1) / (ranks - 1) / c.memory_bandwidth;
}

}  // namespace detail

/// How long one collective takes. The axis's ranks are `stride` apart (1, or S for HybridShard<S>'s copies).
/// in_tree_order: as TreeOrder sends it over NCCL.
///
/// Source   the terms of NCCL's own model: rings of n - 1 messages, an all-reduce twice that or a tree.
constexpr double collective_seconds(const IssuedOp& op, int stride, const Cluster& c,
                                    bool in_tree_order = false) {
  const int n = op.ranks;
  if (n == 1) return 0;
  const detail::Placement p(n, stride, c);
  const double payload = static_cast<double>(op.count) * static_cast<double>(bytes(op.dtype));
  const int out = p.machines > 1 ? p.machines - 1 : 0;
  const bool gathers = op.kind == OpKind::all_gather, scatters = op.kind == OpKind::reduce_scatter;
  const bool ordered = in_tree_order && !gathers && op.kind != OpKind::norm;
  if (gathers || scatters) {
    const double sent = payload * (n - 1);
    if (ordered) return detail::exchange_seconds(sent, n, p, c);
    return detail::ring_seconds(sent, n - 1, out, p, c);
  }
  const double sent = payload * (n - 1) / n;
  const double ring = detail::ring_seconds(2 * sent, 2 * (n - 1), 2 * out, p, c),
               tree = detail::tree_seconds(payload, p, c);
  if (ordered && exchanged_whole(op.count, bytes(op.dtype), n))
    return detail::ring_seconds(payload * (n - 1), n - 1, out, p, c);
  if (ordered)
    return detail::exchange_seconds(sent, n, p, c) + detail::ring_seconds(sent, n - 1, out, p, c);
  return ring < tree ? ring : tree;
}

}  // namespace cohort
