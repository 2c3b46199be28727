// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/comm/nccl_pending.hpp: in which collective, or replay of a graph that holds some, a rank's GPU is.
#pragma once
#include <cohort/comm/nccl_abort.hpp>
#include <cohort/comm/nccl_replays.hpp>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace cohort::detail {

/// Something that was queued and is not done. Exactly one of live and graph is there.
struct NcclPending {
  NcclLog::Entry entry;
  const NcclLive* live = nullptr;      // the communicator of a collective
  const NcclReplays* graph = nullptr;  // of a replay

  const std::vector<int>& members() const {
    return live != nullptr ? live->members : graph->members();
  }
  /// Can it not end here before this rank of the world has come to it?
  bool needs(int rank) const {
    if (graph != nullptr) return graph->needs(rank);
    const auto& all = live->members;
    return ends_together(entry.call) && std::find(all.begin(), all.end(), rank) != all.end();
  }
  /// "all_reduce #5, all_reduce(64 f32), of ranks 0, 1 (8 were queued)", "replay #3 of a captured step, 14
  /// collectives, of ranks 0, 1 (4 were queued)".
  std::string words() const {
    std::string ranks;
    for (const int r : members()) ranks += phrase(ranks.empty() ? "ranks " : ", ", r);
    if (members().size() > 16) ranks = phrase(members().size(), " ranks");
    const std::string what =
        live != nullptr
            ? phrase(name(entry.call.kind), " #", entry.number, ", ", text(entry.call))
            : phrase("replay #", entry.number, " of a captured step, ", graph->num_collectives(),
                     graph->num_collectives() == 1 ? " collective" : " collectives");
    const auto queued = live != nullptr ? live->number : graph->num_launched();
    return phrase(what, ", of ", ranks, " (", queued, " were queued)");
  }
};

/// What was queued first of what is not done, as far as logs reach.
inline std::optional<NcclPending> oldest_pending(const std::vector<NcclLive*>& live,
                                                 const NcclQueue& queue) {
  std::optional<NcclPending> oldest;
  const auto found = [&](const auto& entry, const NcclLive* comm, const NcclReplays* graph) {
    if (entry && (!oldest || entry->turn < oldest->entry.turn)) oldest = {*entry, comm, graph};
  };
  for (const NcclLive* one : live) found(one->log.oldest_pending(), one, nullptr);
  for (const NcclReplays* one : queue.graphs) found(one->oldest_pending(), nullptr, one);
  return oldest;
}

}  // namespace cohort::detail
