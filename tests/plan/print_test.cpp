// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/plan/print_test.cpp: the printed plan, line by line.
#include <cohort/plan/print.hpp>
#include <cohort/trainer.hpp>
#include <doctest/doctest.h>

#include <sstream>
#include <string>

#include "support/models.hpp"

using namespace cohort;

namespace {
template <class Run> std::string printed(Sizes s) {
  std::ostringstream out;
  print(Run::plan, s, out);
  return out.str();
}
}  // namespace

TEST_CASE("print: bytes as people read them") {
  CHECK(readable_bytes(0) == "0 B");
  CHECK(readable_bytes(1023) == "1023 B");
  CHECK(readable_bytes(1024) == "1.00 KiB");
  CHECK(readable_bytes(1536) == "1.50 KiB");
  CHECK(readable_bytes(25 << 20) == "25.00 MiB");
  CHECK(readable_bytes(497759232) == "474.70 MiB");
  CHECK(readable_bytes(80_GiB) == "80.00 GiB");
  CHECK(readable_bytes(std::size_t{5000} << 40) == "5000.00 TiB");
}

TEST_CASE("print: a small plan under accumulation, whole") {
  using Model = nn::Sequential<nn::Linear<3, 5>, nn::Repeat<2, nn::LayerNorm<5>>,
                               nn::Linear<5, 70, nn::NoBias>>;
  using Run = Trainer<Model, nn::CrossEntropy, GradAccum<2>, Buckets<256, 600>>;
  CHECK(printed<Run>({.ranks = 4, .batch = 6, .tokens = 2}) == R"(?)");
}

TEST_CASE("print: long tables show both ends and say how much is between") {
  using Run = Trainer<nn::Repeat<30, nn::Linear<2, 2>>, nn::MeanSquaredError<2>>;
  const std::string text = printed<Run>({});
  CHECK(text.find("     11     12           2             128\n"
                  "    ...  (6 more)\n"
                  "     18     19           2             128\n") != std::string::npos);
}

TEST_CASE("print: own parameters of a divided layer are marked, no collective is said in words") {
  using Run = Trainer<zoo::TiedGpt, nn::CrossEntropy, GradAccum<3>>;
  const std::string text = printed<Run>({.ranks = 1, .batch = 3, .tokens = 5});
  CHECK(text.find("      0      0           1             128  own parameters of a divided layer\n") !=
        std::string::npos);
  CHECK(text.find("collectives of the middle micro-batch, in order of issue\n   none\n") !=
        std::string::npos);
}

TEST_CASE("print: every place where a collective can wait has words") {
  using M = Markers<2>;
  CHECK(cohort::detail::marker_name<M>(M::begin, 2) == "begin");
  CHECK(cohort::detail::marker_name<M>(M::forward(0), 2) == "forward of unit 0");
  CHECK(cohort::detail::marker_name<M>(M::forward(1), 2) == "forward of unit 1");
  CHECK(cohort::detail::marker_name<M>(M::forward_ended, 2) == "end of forward");
  CHECK(cohort::detail::marker_name<M>(M::backward(1), 2) == "begin of backward of unit 1");
  CHECK(cohort::detail::marker_name<M>(M::backward_ended(1), 2) == "end of backward of unit 1");
  CHECK(cohort::detail::marker_name<M>(M::backward_ended(0), 2) == "end of backward of unit 0");
}
