// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/nccl_replays.hpp: a graph that holds collectives of NCCL: who takes part, which replays are not done.
#pragma once
#include <cohort/comm/nccl_log.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace cohort::detail {

class NcclReplays;

/// What one rank has queued, over all its communicators.
struct NcclQueue {
  std::uint64_t queued = 0;          // collectives and replays
  NcclReplays* capturing = nullptr;  // whose graph collectives go into; nullptr: none's
  std::vector<const NcclReplays*> graphs;
};

/// Does no rank end it before all have come? (A broadcast's root may be done before others begin, as may a rank
/// that only sends; NCCL does nothing about no elements.)
constexpr bool ends_together(const Collective& call) {
  if (call.kind == CollectiveKind::broadcast || call.kind == CollectiveKind::all_to_all)
    return false;
  return call.count > 0 || call.kind >= CollectiveKind::barrier;
}

/// Owns what is known of one graph: the collectives that it holds, and an event behind each of its last replays. (No
/// log of a communicator sees them.) A replay is done when all its work is, also what follows its last collective.
/// Used by the rank's host thread; the communicator outlives it.
///
/// Cost     one event record per replay, none of a graph without collectives. Allocates while it is made and
///          while a graph is captured, not when one is launched.
/// Errors   Error as cuda::check.
/// Laws     tests/comm/nccl_replays_test.cpp.
class NcclReplays {
 public:
  /// As long as it lives the rank's collectives go into the graph.
  class Capturing {
   public:
    explicit Capturing(NcclReplays& graph) : graph_(graph) {
      graph_.captured_ = {};
      graph_.queue_.capturing = &graph_;
    }
    Capturing(const Capturing&) = delete;
    Capturing& operator=(const Capturing&) = delete;
    ~Capturing() {
      graph_.queue_.capturing = nullptr;
      graph_.held_ = std::move(graph_.captured_);
    }

   private:
    NcclReplays& graph_;
  };

  explicit NcclReplays(NcclQueue& queue) : queue_(queue) { queue_.graphs.push_back(this); }
  NcclReplays(const NcclReplays&) = delete;
  NcclReplays& operator=(const NcclReplays&) = delete;
  ~NcclReplays() {
    queue_.graphs.erase(std::find(queue_.graphs.begin(), queue_.graphs.end(), this));
  }

  /// A graph is captured, in place of the last one.
  [[nodiscard]] Capturing capture() { return Capturing(*this); }
  /// A collective of these ranks of the world is added to it.
  void add(const Collective& call, const std::vector<int>& members) {
    ++captured_.num_collectives;
    unite(captured_.members, members);
    if (ends_together(call)) unite(captured_.needed, members);
  }
  /// The graph was launched on the stream just now.
  void launched(cudaStream_t stream) {
    if (held_.num_collectives == 0) return;
    log_.note({{}, ++num_launched_, ++queue_.queued}, stream);
  }

  std::uint64_t num_collectives() const { return held_.num_collectives; }
  std::uint64_t num_launched() const { return num_launched_; }
  /// The ranks that take part, ascending.
  const std::vector<int>& members() const { return held_.members; }
  /// Can no replay end here before this rank has come to it?
  bool needs(int rank) const {
    return std::binary_search(held_.needed.begin(), held_.needed.end(), rank);
  }
  std::optional<NcclLog::Entry> oldest_pending() const { return log_.oldest_pending(); }

 private:
  struct Held {
    std::uint64_t num_collectives = 0;
    std::vector<int> members, needed;  // ascending
  };
  static void unite(std::vector<int>& all, const std::vector<int>& more) {
    for (const int rank : more) {
      const auto at = std::lower_bound(all.begin(), all.end(), rank);
      if (at == all.end() || *at != rank) all.insert(at, rank);
    }
  }

  NcclQueue& queue_;
  Held held_, captured_;
  std::uint64_t num_launched_ = 0;
  NcclLog log_;
};

}  // namespace cohort::detail
