// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/plan/exchange_test.cpp: slices cover an array once, and begin where 16 bytes do.
#include <cohort/plan/exchange.hpp>

#include <doctest/doctest.h>

using namespace cohort;

static_assert(slices(64, 4, 8).each == 8 && slices(64, 4, 8).padded(8) == 64);
static_assert(slices(65, 4, 8).each == 12 && slices(65, 4, 8).size(5) == 5);
static_assert(slices(65, 4, 8).size(6) == 0 && slices(65, 4, 8).begin(7) == 65);
static_assert(slices(2, 8, 512).each == 2 && slices(0, 4, 3).each == 0);
// Whole chunks of 64 elements over 2, 4 or 8 ranks are whole slices in every type.
static_assert(slices(64, 2, 8).padded(8) == 64 && slices(192, 2, 8).padded(8) == 192);

TEST_CASE("slices: one after the other, each element in one, beginnings of 16 bytes") {
  for (std::size_t bytes : {2, 4, 8}) {
    for (int ranks : {1, 2, 3, 7, 64}) {
      for (std::size_t count : {0, 1, 5, 64, 1000, 4096}) {
        const Slices s = slices(count, bytes, ranks);
        CHECK(s.each * bytes % 16 == 0);
        CHECK(s.padded(ranks) >= count);
        std::size_t at = 0;
        for (int r = 0; r < ranks; ++r) {
          CHECK(s.begin(r) == at);
          CHECK(s.size(r) <= s.each);
          at += s.size(r);
        }
        CHECK(at == count);
      }
    }
  }
}

TEST_CASE(
    "exchange_bytes: what all ranks send one; short arrays whole; integers and gathers none") {
  const auto bytes = [](OpKind kind, DType type, std::size_t count, int ranks) {
    return exchange_bytes({kind, type, count, ranks});
  };
  CHECK(bytes(OpKind::reduce_scatter, DType::bf16, 1000, 8) == 16000);
  CHECK(bytes(OpKind::all_reduce, DType::f32, 1 << 20, 8) == 4 << 20);
  CHECK(bytes(OpKind::all_reduce, DType::f32, 100001, 3) == 3 * 33336 * 4);
  CHECK(bytes(OpKind::loss, DType::f64, 2, 8) == 128);
  CHECK(bytes(OpKind::averages, DType::f32, 8192, 2) == 65536);  // the longest that goes whole
  CHECK(bytes(OpKind::averages, DType::f32, 8193, 2) == 2 * 4100 * 4);
  CHECK(bytes(OpKind::norm, DType::i64, 1000, 8) == 0);
  CHECK(bytes(OpKind::all_gather, DType::bf16, 1000, 8) == 0);
  CHECK(bytes(OpKind::all_reduce, DType::f32, 1 << 20, 1) == 0);
}
