// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/mpi_domain_test.cpp: what one rank tells reaches all; the first failure counts.
#include <cohort/comm/mpi_domain.hpp>

#include <doctest/doctest.h>

#include "mpi/support.hpp"

using namespace cohort;
using namespace cohort::detail;
using namespace std::chrono_literals;

namespace {

/// Listens until the world has failed; false after two seconds without.
bool hears_failure(MpiDomain& domain) {
  const auto deadline = std::chrono::steady_clock::now() + 2s;
  while (!domain.fate().failed() && std::chrono::steady_clock::now() < deadline) {
    std::lock_guard lock(domain.lock());
    domain.listen();
  }
  return domain.fate().failed();
}

TEST_CASE("part: true on every rank once all have left") {
  for (int k = 0; k < 20; ++k) {
    MpiDomain domain(2s, 1);
    CHECK(domain.size() == test::num_processes());
    CHECK(!domain.fate().failed());
    CHECK(domain.part());
    for (int r = 0; r < domain.size(); ++r) CHECK(domain.fate().has_left(r));
  }
}

TEST_CASE("fail: every rank hears the first failure, with its cause; one rank speaks") {
  auto* domain = new MpiDomain(2s, 1);  // MPI keeps its buffers after a failure
  const int last = domain->size() - 1;
  const auto boom = std::make_exception_ptr(std::runtime_error("boom"));
  if (domain->rank() == last) {
    domain->fail(Cause::timeout, boom, "the first");
    domain->fail(Cause::aborted, boom, "the second");
  }
  CHECK(hears_failure(*domain));
  domain->fail(Cause::aborted, boom, "the third");
  CHECK(domain->speaks() == (domain->rank() == last));
  try {
    domain->fate().raise(domain->rank(), "test");
  } catch (const Timeout& e) {
    CHECK(std::string(e.what()).find("the first") != std::string::npos);
  }
  domain->dissolve(2s);
}

TEST_CASE("part: false where a peer fails while this rank waits to part") {
  if (test::num_processes() == 1) return;
  auto* domain = new MpiDomain(2s, 1);
  if (domain->rank() == 0) {
    std::this_thread::sleep_for(20ms);
    domain->fail(Cause::aborted, nullptr, "late failure");
  } else {
    CHECK(!domain->part());
  }
  CHECK(domain->fate().failed());
  domain->dissolve(2s);
}

TEST_CASE("tags: each one is taken once, and the last one is refused") {
  MpiDomain domain(2s, 1);
  const int first = domain.next_tag();
  CHECK(first > 0);
  domain.took_tag(first);
  CHECK(domain.next_tag() == first + 1);
  CHECK_THROWS_AS(domain.took_tag(std::numeric_limits<int>::max()), InvalidInput);
  CHECK(domain.part());
}

TEST_CASE("a sentence longer than a notice is cut, not lost") {
  auto* domain = new MpiDomain(2s, 1);
  if (domain->rank() == 0) domain->fail(Cause::aborted, nullptr, std::string(5000, 'x'));
  CHECK(hears_failure(*domain));
  try {
    domain->fate().raise(domain->rank(), "test");
  } catch (const PeerFailed& e) {
    CHECK(std::string(e.what()).find(std::string(2000, 'x')) != std::string::npos);
  }
  domain->dissolve(2s);
}

}  // namespace
