// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/nccl_channel_test.cpp: communicators form without blocking, know their members, end in peace or not.
#include <cohort/comm/nccl_channel.hpp>

#include <doctest/doctest.h>

#include <memory>

#include "support/nccl_double/ranks.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

std::shared_ptr<detail::NcclChannel> alone() {
  auto fate = std::make_shared<detail::Fate>(1, false, 10s);
  auto domain = std::make_shared<detail::NcclDomain>(std::move(fate), 0, 1, 0);
  return std::make_shared<detail::NcclChannel>(
      std::move(domain), std::make_shared<detail::NcclStage>(1), detail::nccl_unique_id(""));
}

TEST_CASE("nccl_config: communicators do not block") { CHECK(detail::nccl_config().blocking == 0); }

TEST_CASE("NcclChannel: one rank, its groups, and their numbers; all are destroyed in peace") {
  const Machine machine;
  for (int polls : {0, 1, 7}) {
    nccl_double::reset();
    nccl_double::set_polls(polls);
    {
      const auto channel = alone();
      CHECK(channel->rank() == 0);
      CHECK(channel->size() == 1);
      CHECK(channel->number() == 0);
      const auto group = channel->split(CollectiveKind::split, 3, 0);
      CHECK(group->members() == std::vector{0});
      CHECK(channel->number() == 1);
      CHECK(nccl_double::live() == 2);
    }
    CHECK(nccl_double::destroyed() == 2);
    CHECK(nccl_double::aborted() == 0);
  }
}

TEST_CASE("NcclChannel: the parent of a group is free again when the group is there") {
  const Machine machine;
  for (int polls : {0, 1, 7, 40}) {
    nccl_double::reset();
    nccl_double::set_polls(polls);
    const auto channel = alone();
    const auto first = channel->split(CollectiveKind::split, 0, 0);
    int count = 0;
    for (const auto& one : {channel, first}) {
      const auto call = [&](ncclComm_t comm) { return ncclCommCount(comm, &count); };
      one->issue({CollectiveKind::barrier}, one->stage().stream(), call);
      CHECK(count == 1);
    }
    CHECK(cuda_double::take_failure() == "");
  }
}

TEST_CASE("NcclChannel: while an exception passes it is aborted, which waits for nobody") {
  const Machine machine;
  try {
    const auto channel = alone();
    throw Boom("boom");
  } catch (const Boom&) {
  }
  CHECK(nccl_double::aborted() == 1);
  CHECK(nccl_double::destroyed() == 0);
}

TEST_CASE("NcclChannel: a close that fails aborts instead, and does not throw") {
  const Machine machine;
  {
    const auto channel = alone();
    nccl_double::fail("ncclCommFinalize", ncclInternalError);
  }
  CHECK(nccl_double::aborted() == 1);
}

TEST_CASE("NcclChannel: a split that fails leaves nothing behind, and the world has failed") {
  const Machine machine;
  const auto channel = alone();
  nccl_double::fail("ncclCommSplit", ncclInternalError);
  CHECK_THROWS_AS(channel->split(CollectiveKind::split, 0, 0), Error);
  CHECK(nccl_double::live() == 0);
  CHECK_THROWS_AS(channel->split(CollectiveKind::split, 0, 0), PeerFailed);
}

TEST_CASE("NcclChannel: a split that fails later: its communicator is not used, and aborted") {
  const Machine machine;
  for (int polls : {1, 2, 7}) {
    nccl_double::reset();
    nccl_double::set_polls(polls);
    const auto channel = alone();
    nccl_double::fail_later("ncclCommSplit", ncclSystemError);
    CHECK_THROWS_WITH_AS(channel->split(CollectiveKind::split, 0, 0),
                         doctest::Contains("unhandled system error"), Error);
    CHECK(nccl_double::live() == 0);
    CHECK(nccl_double::aborted() == 2);
  }
}

TEST_CASE("NcclChannel: a group that cannot be used takes all of the rank's communicators along") {
  const Machine machine;
  const auto channel = alone();
  const auto other = channel->split(CollectiveKind::split, 0, 0);
  cuda_double::fail("cudaMemcpyAsync", 1, cudaErrorIllegalAddress);  // when members are exchanged
  CHECK_THROWS_AS(channel->split(CollectiveKind::split, 0, 0), Error);
  CHECK(nccl_double::live() == 0);
  CHECK_THROWS_AS(other->split(CollectiveKind::split, 0, 0), PeerFailed);
}

}  // namespace
