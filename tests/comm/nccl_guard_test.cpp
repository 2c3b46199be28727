// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/nccl_guard_test.cpp: what NCCL never comes back from ends the process, and says what failed.
#include <cohort/comm/nccl_guard.hpp>

#include <doctest/doctest.h>

#include <chrono>
#include <cohort/comm/nccl_channel.hpp>
#include <thread>

#include "support/child.hpp"
#include "support/nccl_double/ranks.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

static_assert(!std::is_copy_constructible_v<detail::NcclGuard> &&
              !std::is_move_constructible_v<detail::NcclGuard>);

namespace {

/// What a process says whose NCCL does not return from this function: f ends its communicator.
struct Stuck {
  template <class F> Stuck(const char* function, F f) {
    Child child([&](const Child& self) {
      self.say_errors();
      cuda_double::reset();
      nccl_double::reset();
      const auto fate = std::make_shared<detail::Fate>(1, false, 50ms);
      auto domain = std::make_shared<detail::NcclDomain>(fate, 0, 1, 0, 100ms);
      auto channel = std::make_shared<detail::NcclChannel>(
          domain, std::make_shared<detail::NcclStage>(1), detail::nccl_unique_id(""));
      nccl_double::block(function);
      std::jthread late([] { std::this_thread::sleep_for(10s), std::_Exit(7); });
      f(*domain, channel);
    });
    text = child.wait();
    code = child.code();
  }
  std::string text;
  int code = -1;
};

}  // namespace

TEST_CASE("NcclGuard: a call that returns in time is let be, and costs no wait") {
  const auto start = std::chrono::steady_clock::now();
  for (int k = 0; k < 20; ++k) const detail::NcclGuard guard(3, "closing a communicator", 60s);
  CHECK(std::chrono::steady_clock::now() - start < 5s);
}

TEST_CASE("NcclGuard: at the limit the process ends with status 1, the rank and the words") {
  Child child([](const Child& self) {
    self.say_errors();
    const detail::NcclGuard guard(3, "closing a communicator", 20ms);
    std::this_thread::sleep_for(20s);
    self.say("came back");
  });
  const std::string text = child.wait();
  CHECK(text.starts_with("cohort: rank 3: closing a communicator\ncohort: rank 3: NCCL has not "));
  CHECK(contains(text, "for 20 ms"));
  CHECK(!contains(text, "came back"));
  CHECK(child.code() == 1);
}

TEST_CASE("NcclGuard: an abort that does not return, with the failure's own words") {
  const Stuck stuck("ncclCommAbort", [](detail::NcclDomain& domain, auto&) {
    domain.fail(detail::Cause::aborted, nullptr, "rank 0 failed: the roof is on fire");
  });
  CHECK(contains(stuck.text, "cohort: rank 0: rank 0 failed: the roof is on fire\n"));
  CHECK(stuck.code == 1);
}

TEST_CASE("NcclGuard: a communicator that is closed in peace") {
  const Stuck stuck("ncclCommDestroy", [](auto&, auto& channel) { channel.reset(); });
  CHECK(contains(stuck.text, "cohort: rank 0: closing a communicator\n"));
  CHECK(stuck.code == 1);
}

TEST_CASE("NcclGuard: memory that is given back") {
  const Stuck stuck("ncclCommDeregister", [](auto&, auto& channel) {
    void* memory = nullptr;
    ncclMemAlloc(&memory, 64);
    channel->leave(channel->enter(memory, 64));
  });
  CHECK(contains(stuck.text, "cohort: rank 0: giving registered memory back\n"));
  CHECK(stuck.code == 1);
}

TEST_CASE("NcclGuard: a group that arrived and cannot be used") {
  const Stuck stuck("ncclCommAbort", [](auto&, auto& channel) {
    nccl_double::set_polls(1);
    nccl_double::fail_later("ncclCommSplit", ncclSystemError);
    channel->split(CollectiveKind::split, 0, 0);
  });
  CHECK(contains(stuck.text, "unhandled system error"));
  CHECK(stuck.code == 1);
}
