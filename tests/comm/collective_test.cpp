// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/collective_test.cpp: collectives as values: equality and words.
#include <cohort/comm/collective.hpp>

#include <doctest/doctest.h>

using namespace cohort;

static_assert(Collective{CollectiveKind::barrier} == Collective{});
static_assert(Collective{CollectiveKind::all_reduce, DType::f32, 8, 0} !=
              Collective{CollectiveKind::all_reduce, DType::f64, 8, 0});
static_assert(Collective{CollectiveKind::broadcast, DType::f32, 8, 0} !=
              Collective{CollectiveKind::broadcast, DType::f32, 8, 1});
static_assert(name(CollectiveKind::duplicate) == "duplicate");

TEST_CASE("Collective: the text names kind, count, type and root") {
  CHECK(text(Collective{CollectiveKind::all_reduce, DType::f32, 1024, 0}) ==
        "all_reduce(1024 f32)");
  CHECK(text(Collective{CollectiveKind::reduce_scatter, DType::i64, 1, 0}) ==
        "reduce_scatter(1 i64)");
  CHECK(text(Collective{CollectiveKind::all_gather, DType::f64, 3, 0}) == "all_gather(3 f64)");
  CHECK(text(Collective{CollectiveKind::broadcast, DType::u8, 8, 2}) == "broadcast(8 u8, root 2)");
  CHECK(text(Collective{CollectiveKind::all_to_all, DType::bf16, 8, 0}) == "all_to_all(8 bf16)");
  CHECK(text(Collective{}) == "barrier()");
  CHECK(text(Collective{CollectiveKind::split, DType::u8, 0, 0}) == "split()");
}

TEST_CASE("phrase: words and numbers in the order given") {
  CHECK(detail::phrase("rank ", 3, " of ", std::size_t{8}, std::string("!")) == "rank 3 of 8!");
  CHECK(detail::phrase("", std::string_view(), -1, std::int64_t{1} << 40) == "-11099511627776");
}
