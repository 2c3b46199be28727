// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/cuda/overlap_test.cpp: what benchmarks/gpu/trace.hpp calls hidden, by hand.
#include <doctest/doctest.h>

#include "../../../benchmarks/gpu/trace.hpp"

namespace {

using bench::Tracer;

Tracer::Span span(const char* name, Tracer::Row row, double from, double to) {
  Tracer::Span made{name, row};
  made.from_us = from, made.to_us = to;
  return made;
}

TEST_CASE("a collective runs from when the last rank begins it; what is before is a wait") {
  std::vector<Tracer::Span> early, late;
  early.push_back(span("backward of a block", Tracer::compute, 0, 100));
  early.push_back(span("all_reduce", Tracer::communication, 10, 90));
  early.push_back(span("head and loss", Tracer::compute, 100, 130));  // hides nothing
  early.push_back(span("all_reduce", Tracer::communication, 95, 120));
  late.push_back(span("backward of a block", Tracer::compute, 60, 110));
  late.push_back(span("all_reduce", Tracer::communication, 70, 90));
  late.push_back(span("all_reduce", Tracer::communication, 90, 120));
  const std::vector<std::vector<double>> begins{bench::begins_of_collectives(early),
                                                bench::begins_of_collectives(late)};
  CHECK(begins == std::vector<std::vector<double>>{{10, 95}, {70, 90}});
  const bench::Overlap first = bench::overlap_of(early, begins);
  CHECK(first.step_us == 130);
  CHECK(first.waits_us == 60);        // 10 to 70
  CHECK(first.collectives_us == 45);  // 70 to 90, 95 to 120
  CHECK(first.hidden_us == 20 + 5);   // of the second until the block ends at 100
  const bench::Overlap second = bench::overlap_of(late, begins);
  CHECK(second.step_us == 60);
  CHECK(second.waits_us == 5);  // 90 to 95
  CHECK(second.collectives_us == 45);
  CHECK(second.hidden_us == 20 + 15);  // until 110
}

}  // namespace
