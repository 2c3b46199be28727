// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/fate_test.cpp: the first failure wins, and its cause decides the exception.
#include <cohort/comm/fate.hpp>

#include <doctest/doctest.h>

#include <stdexcept>

using namespace std::chrono_literals;
using namespace cohort;
using namespace cohort::detail;

namespace {

template <class E> std::string raised(const Fate& fate, int rank) {
  try {
    fate.raise(rank, "all_reduce #4");
  } catch (const E& e) {
    CHECK(e.rank() == rank);
    CHECK(e.operation() == "all_reduce #4");
    return e.what();
  } catch (...) {
  }
  return "another exception";
}

TEST_CASE("Fate: the first failure is kept, later ones change nothing") {
  Fate fate(2, true, 1000ms);
  CHECK(!fate.failed());
  fate.fail(Cause::aborted, std::make_exception_ptr(std::runtime_error("first")), "the first");
  fate.fail(Cause::timeout, std::make_exception_ptr(std::runtime_error("second")), "the second");
  CHECK(fate.failed());
  CHECK(fate.sentence() == "the first");
  CHECK_THROWS_WITH_AS(std::rethrow_exception(fate.first()), "first", std::runtime_error);
  CHECK(raised<PeerFailed>(fate, 1) == "cohort: rank 1: all_reduce #4: the first");
}

TEST_CASE("Fate: the cause decides which exception ranks see") {
  const std::exception_ptr none;
  Fate aborted(1, true, 1s), mismatch(1, true, 1s), timeout(1, true, 1s), left(1, true, 1s);
  aborted.fail(Cause::aborted, none, "a");
  mismatch.fail(Cause::mismatch, none, "m");
  timeout.fail(Cause::timeout, none, "t");
  left.fail(Cause::left, none, "l");
  CHECK(raised<PeerFailed>(aborted, 0) == "cohort: rank 0: all_reduce #4: a");
  CHECK(raised<Mismatch>(mismatch, 0) == "cohort: rank 0: all_reduce #4: m");
  CHECK(raised<Timeout>(timeout, 0) == "cohort: rank 0: all_reduce #4: t");
  CHECK(raised<PeerFailed>(left, 0) == "cohort: rank 0: all_reduce #4: l");
}

TEST_CASE("Fate: failing and leaving ring every enrolled bell") {
  Fate fate(2, true, 1s);
  Bell here, gone;
  fate.enroll(here);
  fate.enroll(gone);
  fate.withdraw(gone);
  fate.leave(1);
  CHECK(here.value() == 1);
  CHECK(fate.has_left(1));
  CHECK(!fate.has_left(0));
  fate.fail(Cause::aborted, nullptr, "");
  CHECK(here.value() == 2);
  CHECK(gone.value() == 0);
}

}  // namespace
