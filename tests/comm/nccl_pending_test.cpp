// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/nccl_pending_test.cpp: what was queued first of what is not done, in words.
#include <cohort/comm/nccl_pending.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <chrono>
#include <numeric>
#include <thread>

#include "support/nccl_double/ranks.hpp"

using namespace cohort;
using namespace cohort::test;

namespace {

TEST_CASE("oldest_pending: over communicators and graphs, in the order of the calls") {
  const Machine machine;
  detail::NcclQueue queue;
  detail::NcclReplays graph(queue);
  {
    const auto into_graph = graph.capture();
    graph.add({CollectiveKind::all_reduce, DType::f32, 8, 0}, {1, 3});
    graph.add({CollectiveKind::broadcast, DType::f32, 8, 0}, {2, 1});
  }
  detail::NcclLive first, second;
  first.members = {5, 3, 1};
  second.members = {1, 3};
  const std::vector<detail::NcclLive*> live{&first, &second};
  cuda::Stream stream;
  CHECK_FALSE(detail::oldest_pending(live, queue));
  std::atomic<int> open{0};
  const auto hold = [&](int until) {
    cuda::check(cuda_double::enqueue(stream.native(), [&open, until] {
      while (open.load() < until) std::this_thread::sleep_for(std::chrono::microseconds(50));
    }));
  };
  const auto call = [&](detail::NcclLive& one, const Collective& collective) {
    one.log.note({collective, ++one.number, ++queue.queued}, stream.native());
  };
  hold(1);
  call(second, {CollectiveKind::all_gather, DType::bf16, 4, 0});
  hold(2);
  graph.launched(stream.native());
  hold(3);
  call(first, {CollectiveKind::broadcast, DType::f32, 64, 1});
  const auto pending = [&](int opened) {
    open = opened;
    auto now = detail::oldest_pending(live, queue);
    while (now && now->entry.turn <= static_cast<std::uint64_t>(opened)) {
      std::this_thread::yield();
      now = detail::oldest_pending(live, queue);
    }
    return now;
  };
  const auto gather = pending(0), replay = pending(1), broadcast = pending(2);
  REQUIRE((gather && replay && broadcast));
  CHECK(gather->words() == "all_gather #1, all_gather(4 bf16), of ranks 1, 3 (1 were queued)");
  CHECK((gather->needs(3) && !gather->needs(5)));
  CHECK(replay->words() ==
        "replay #1 of a captured step, 2 collectives, of ranks 1, 2, 3 (1 were queued)");
  CHECK((replay->needs(1) && replay->needs(3) && !replay->needs(2)));
  CHECK(broadcast->words() ==
        "broadcast #1, broadcast(64 f32, root 1), of ranks 5, 3, 1 (1 were queued)");
  CHECK((!broadcast->needs(1) && !broadcast->needs(3)));
  CHECK_FALSE(pending(3));
}

TEST_CASE("words: many ranks are counted") {
  detail::NcclLive live;
  live.members.resize(17);
  std::iota(live.members.begin(), live.members.end(), 0);
  const detail::NcclPending stuck{{{CollectiveKind::barrier}, 2, 3}, &live, nullptr};
  CHECK(stuck.words() == "barrier #2, barrier(), of 17 ranks (0 were queued)");
}

}  // namespace
