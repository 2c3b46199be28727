// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/nccl_abort_test.cpp: communicators end together, after graphs and groups.
#include <cohort/comm/nccl_abort.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cohort/comm/nccl_channel.hpp>

#include "support/nccl_double/ranks.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

TEST_CASE("before: called before communicators end, as long as it is held") {
  const Machine machine;
  const auto domain =
      std::make_shared<detail::NcclDomain>(std::make_shared<detail::Fate>(1, false, 10s), 0, 1, 0);
  detail::NcclChannel channel(domain, std::make_shared<detail::NcclStage>(1),
                              detail::nccl_unique_id(""));
  int held = 0, dropped = 0, live = -1;
  const auto first = domain->ending().before([&] { ++held, live = nccl_double::live(); });
  domain->ending().before([&] { ++dropped; });
  domain->abort_all();
  CHECK(live == 1);
  CHECK(nccl_double::live() == 0);
  CHECK((held == 1 && dropped == 0));
  domain->abort_all();  // nothing is left to abort
  CHECK(held == 1);
}

TEST_CASE("before: a call that is being added to a graph ends before the capture does") {
  const Machine machine;
  const auto domain =
      std::make_shared<detail::NcclDomain>(std::make_shared<detail::Fate>(1, false, 10s), 0, 1, 0);
  detail::NcclChannel channel(domain, std::make_shared<detail::NcclStage>(1),
                              detail::nccl_unique_id(""));
  cuda::Stream stream;
  const auto end = domain->ending().before([&] {
    cudaGraph_t graph = nullptr;
    CHECK(cudaStreamEndCapture(stream.native(), &graph) == cudaSuccess);
    cudaGraphDestroy(graph);
  });
  nccl_double::set_polls(5);
  cuda::check(cudaStreamBeginCapture(stream.native(), cudaStreamCaptureModeThreadLocal));
  const auto call = [&](ncclComm_t comm) {
    const auto begun =
        ncclAllReduce(channel.zero(), channel.zero(), 1, ncclInt32, ncclSum, comm, stream.native());
    CHECK(begun == ncclInProgress);
    domain->abort_all();
    return ncclSuccess;
  };
  channel.issue({CollectiveKind::barrier}, stream.native(), call);
  CHECK(nccl_double::live() == 0);
}

TEST_CASE("groups: one that is open ends before an abort, and only once") {
  const Machine machine;
  detail::NcclAbort abort;
  std::vector<detail::NcclLive*> live;
  abort(live);  // nothing to end
  CHECK(abort.end_group() == ncclSuccess);
  detail::NcclLive unformed;
  live = {&unformed};
  CHECK(abort.begin_group() == ncclSuccess);
  abort(live);
  CHECK(live.empty());
  CHECK(abort.end_group() == ncclSuccess);
}

}  // namespace
