// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/nccl_domain_test.cpp: every wait ends: done, failed, or late.
#include <cohort/comm/nccl_domain.hpp>

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <chrono>
#include <thread>

#include "support/nccl_double/ranks.hpp"

using namespace cohort;
using namespace cohort::test;
using namespace std::chrono_literals;

namespace {

std::string waiting() { return "waiting"; }
detail::NcclDomain domain_of(std::chrono::milliseconds timeout) {
  return {std::make_shared<detail::Fate>(4, false, timeout), 2, 4, 0};
}

TEST_CASE("await: returns when it is done; Timeout with the rank, the operation and the limit") {
  detail::NcclDomain domain = domain_of(50ms);
  int looks = 0;
  domain.await([&] { return ++looks == 20; }, waiting);
  CHECK(looks == 20);
  CHECK_THROWS_WITH_AS(
      domain.await([] { return false; }, waiting),
      doctest::Contains("rank 2: waiting: waiting was not done within 50 ms, though no collective"),
      Timeout);
  CHECK_THROWS_AS(domain.look(waiting), Timeout);  // and the world has failed
}

TEST_CASE("await: a failure elsewhere in the process ends it, in the words of whoever failed") {
  detail::NcclDomain domain = domain_of(60s);
  std::jthread peer([&] {
    std::this_thread::sleep_for(5ms);
    domain.fate().fail(detail::Cause::aborted, nullptr, "rank 0 failed: boom");
  });
  CHECK_THROWS_WITH_AS(domain.await([] { return false; }, waiting),
                       doctest::Contains("rank 0 failed: boom"), PeerFailed);
}

TEST_CASE(
    "await_stream: what went wrong on the GPU is an Error with CUDA's name, and fails the world") {
  const Machine machine;
  detail::NcclDomain domain = domain_of(60s);
  cuda::Stream stream;
  domain.await_stream(stream.native(), waiting);
  cuda_double::fail("cudaStreamQuery", 1, cudaErrorIllegalAddress);
  CHECK_THROWS_WITH_AS(domain.await_stream(stream.native(), waiting),
                       doctest::Contains("cudaErrorIllegalAddress"), Error);
  CHECK(domain.fate().failed());
}

TEST_CASE("await: a call that NCCL's thread does meanwhile is not slept through") {
  const auto sleeps = [] {  // a yield gives the core away unwillingly
    rusage usage{};
    getrusage(RUSAGE_THREAD, &usage);
    return usage.ru_nvcsw;
  };
  detail::NcclDomain domain = domain_of(60s);
  const auto sleeps_in = [&](auto... yields) {
    int looks = 0;
    const auto before = sleeps();
    domain.await([&] { return ++looks == 200; }, waiting, yields...);
    return sleeps() - before;
  };
  CHECK(sleeps_in() > 150);
  CHECK(sleeps_in(detail::NcclDomain::yields_for_a_call) < 20);
}

TEST_CASE("check_nccl: NCCL's words, and what to set to hear more") {
  detail::check_nccl(ncclSuccess, 1, "op");
  detail::check_nccl(ncclInProgress, 1, "op");
  CHECK_THROWS_WITH_AS(
      detail::check_nccl(ncclSystemError, 1, "op"),
      doctest::Contains(
          "cohort: rank 1: op: NCCL reports: unhandled system error. NCCL_DEBUG=WARN"),
      Error);
}

}  // namespace
