// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/plan/ledger_test.cpp: bytes on the wire and of memory, by formula.
#include <doctest/doctest.h>
#include <cohort/plan/ledger.hpp>

using namespace cohort;

namespace {
/// An operation over `count` elements in all: gathers and scatters count each rank's part.
constexpr IssuedOp op(OpKind kind, std::size_t count, int ranks, DType dtype = DType::f32) {
  const bool in_parts = kind == OpKind::reduce_scatter || kind == OpKind::all_gather;
  return {kind, dtype, in_parts ? count / static_cast<std::size_t>(ranks) : count, ranks};
}
// 2 (N-1)/N of the payload for an all-reduce, (N-1)/N for its halves: Thakur et al. 2005 (ring).
static_assert(wire_bytes(op(OpKind::all_reduce, 1024, 1)) == 0);
static_assert(wire_bytes(op(OpKind::all_reduce, 1024, 2)) == 4096);
static_assert(wire_bytes(op(OpKind::all_reduce, 1024, 8)) == 2 * 4096 * 7 / 8);
static_assert(wire_bytes(op(OpKind::reduce_scatter, 1024, 8)) == 4096 * 7 / 8);
static_assert(wire_bytes(op(OpKind::all_gather, 1024, 8)) == 4096 * 7 / 8);
static_assert(wire_bytes(op(OpKind::loss, 2, 2, DType::f64)) == 16);
static_assert(wire_bytes(op(OpKind::all_reduce, 1024, 2, DType::f64)) == 8192);

static_assert(1_KiB == 1024 && 3_MiB == 3145728 && 2_GiB == std::size_t{1} << 31);
static_assert(80_GiB > 0xffffffffu);  // beyond 32 bits
}  // namespace

TEST_CASE("ledger: an all-reduce sends what its reduce-scatter and its all-gather send") {
  for (int ranks : {1, 2, 3, 5, 8, 64, 512})
    for (std::size_t each : {std::size_t{64}, std::size_t{960}, std::size_t{124439808}}) {
      const std::size_t count = each * static_cast<std::size_t>(ranks);  // whole parts
      CHECK(wire_bytes(op(OpKind::all_reduce, count, ranks)) ==
            wire_bytes(op(OpKind::reduce_scatter, count, ranks)) +
                wire_bytes(op(OpKind::all_gather, count, ranks)));
    }
}

TEST_CASE("ledger: bytes grow with the ranks towards twice the payload and stay below") {
  std::size_t before = 0;
  for (int ranks = 1; ranks <= 1024; ranks *= 2) {
    const std::size_t bytes = wire_bytes(op(OpKind::all_reduce, 1 << 20, ranks));
    CHECK((ranks == 1 || bytes > before));
    CHECK(bytes < (std::size_t{8} << 20));
    before = bytes;
  }
}

TEST_CASE("ledger: payloads beyond 4 GiB do not wrap") {
  // 70 G parameters, fp32, 512 ranks: 2 x 280e9 x 511 / 512
  CHECK(wire_bytes(op(OpKind::all_reduce, 70'000'000'000, 512)) ==
        2 * (std::size_t{280'000'000'000} * 511 / 512));
}

TEST_CASE("ledger: the total is the sum of the classes") {
  constexpr MemoryBytes m{1, 20, 300, 4000, 50000, 600000, 7000000};
  CHECK(m.total() == 7654321);
  CHECK(MemoryBytes{}.total() == 0);
}
