// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/mpi_channel_test.cpp: messages reach their call, or all ranks hear why not.
#include <cohort/comm/mpi_channel.hpp>

#include <doctest/doctest.h>

#include <chrono>

#include "mpi/support.hpp"
#include "support/allocations.hpp"

using namespace cohort;
using namespace cohort::detail;
using namespace std::chrono_literals;

namespace {

std::vector<int> all_ranks(int size) {
  std::vector<int> ranks;
  for (int r = 0; r < size; ++r) ranks.push_back(r);
  return ranks;
}
bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

constexpr Collective barrier{CollectiveKind::barrier, DType::u8, 0, 0};

TEST_CASE("capacity: whole cache lines behind the envelope, less for more ranks, never too few") {
  static_assert(sizeof(Envelope) == 64);
  for (int ranks : {2, 3, 7, 64, 1000, 100000}) {
    CHECK(MpiChannel::capacity(ranks) % 64 == 0);
    CHECK(MpiChannel::capacity(ranks) >= 4096 - 64);
    CHECK(MpiChannel::capacity(ranks) <= (1u << 17));
  }
}

TEST_CASE("run: a round allocates nothing of ours") {
  if (!test::Allocations::available) return;
  const auto domain = std::make_shared<MpiDomain>(5s, 1);
  {
    MpiChannel channel(domain, all_ranks(domain->size()), domain->rank(), 1);
    std::vector<float> mine(100000, 1);
    const auto reduce = [&] {
      channel.run({CollectiveKind::all_reduce, DType::f32, mine.size(), 0},
                  AllReduceRounds<float>(channel.seating(), mine.data(), mine.size()));
    };
    for (int k = 0; k < 20; ++k) reduce();  // MPI takes its buffers
    test::Allocations counter;
    for (int k = 0; k < 20; ++k) reduce();
    counter.stop();
    const std::string report = counter.report();
    CAPTURE(report);
    for (const auto& part : counter.by_library()) {  // MPI may enlarge its own lists
      CHECK(!contains(part.library, "mpi_test"));
    }
  }
  CHECK(domain->part());
}

TEST_CASE("envelopes: another number of calls before is a mismatch too") {
  if (test::num_processes() == 1) return;
  const auto domain = std::make_shared<MpiDomain>(5s, 1);
  auto* channel = new MpiChannel(domain, all_ranks(domain->size()), domain->rank(), 1);
  if (domain->rank() == 1) {  // a foreign message in the place of this rank's first
    const Envelope other{Envelope::protocol, 7, 0, 0, 0, CollectiveKind::barrier, DType::u8};
    std::array<std::byte, 64> bytes{};
    std::memcpy(bytes.data(), &other, sizeof other);
    MPI_Request request = MPI_REQUEST_NULL;
    MPI_Isend(bytes.data(), 64, MPI_BYTE, 0, 1, domain->comm(), &request);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
  }
  bool refused = false;
  try {
    channel->run(barrier, GatherRounds(channel->seating(), nullptr, nullptr, 0));
    channel->run(barrier, GatherRounds(channel->seating(), nullptr, nullptr, 0));
  } catch (const Mismatch&) {
    refused = true;
  }
  CHECK(refused);
  domain->dissolve(2s);
}

}  // namespace
