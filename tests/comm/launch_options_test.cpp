// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/launch_options_test.cpp: --ranks is read or refused with a sentence, never guessed.
#include <cohort/comm/launch_options.hpp>

#include <doctest/doctest.h>

#include <vector>

using namespace cohort;
using namespace std::chrono_literals;

namespace {

int ranks_of(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "program");
  return detail::parse_launch_options(static_cast<int>(arguments.size()), arguments.data()).ranks;
}

std::string refusal(std::vector<const char*> arguments) {
  try {
    ranks_of(std::move(arguments));
  } catch (const InvalidInput& e) {
    return e.what();
  }
  return "accepted";
}

TEST_CASE("--ranks: both spellings, the last one counts, others are left alone") {
  CHECK(ranks_of({}) == 0);
  CHECK(ranks_of({"--ranks", "4"}) == 4);
  CHECK(ranks_of({"--ranks=12"}) == 12);
  CHECK(ranks_of({"--ranks", "4", "--steps", "100", "--ranks=2", "file"}) == 2);
  CHECK(ranks_of({"--rank", "x", "--ranksy=3", "-v"}) == 0);
  CHECK(ranks_of({"--", "--ranks", "many"}) == 0);
  CHECK(ranks_of({"--ranks", "1024"}) == 1024);
}

TEST_CASE(
    "--ranks: what is not a number of ranks is refused with the flag, the limit and the value") {
  for (const char* bad :
       {"abc", "0", "-1", "99999", "", "2x", "1.5", " 2", "99999999999999999999"}) {
    CAPTURE(bad);
    CHECK(refusal({"--ranks", bad}) ==
          detail::phrase("cohort: launch: --ranks wants a whole number from 1 to 1024, not '", bad,
                         "'. Write e.g. --ranks 4."));
    CHECK(refusal({detail::phrase("--ranks=", bad).c_str()}) == refusal({"--ranks", bad}));
  }
  CHECK(refusal({"--ranks"}) == refusal({"--ranks", ""}));
}

TEST_CASE(
    "--gpus: ordinals in the order given; anything else is refused with the flag and the value") {
  const auto gpus_of = [](std::vector<const char*> arguments) {
    arguments.insert(arguments.begin(), "program");
    return detail::parse_launch_options(static_cast<int>(arguments.size()), arguments.data()).gpus;
  };
  CHECK(gpus_of({}).empty());
  CHECK(gpus_of({"--gpus", "0"}) == std::vector{0});
  CHECK(gpus_of({"--gpus=3,0,12", "--ranks", "3"}) == std::vector{3, 0, 12});
  CHECK(gpus_of({"--", "--gpus", "many"}).empty());
  for (const char* bad : {"", ",", "0,", ",1", "1;2", "-1", "a", "0,1x", "0 ,1", "99999999999"}) {
    CAPTURE(bad);
    CHECK(refusal({"--gpus", bad})
              .find("--gpus wants ordinals of GPUs separated by commas, not '" + std::string(bad) +
                    "'") != std::string::npos);
    CHECK(refusal({detail::phrase("--gpus=", bad).c_str()}) == refusal({"--gpus", bad}));
  }
  CHECK_THROWS_AS(detail::checked({.gpus = {0}}), InvalidInput);  // for worlds of CPUs
}

TEST_CASE("checked: 0 ranks become the hardware's threads, impossible options are refused") {
  CHECK(detail::checked({}).ranks == usable_cores());
  CHECK(detail::checked({.ranks = 7}).ranks == 7);
  CHECK_THROWS_AS(detail::checked({.ranks = -1}), InvalidInput);
  CHECK_THROWS_AS(detail::checked({.ranks = 1025}), InvalidInput);
  CHECK_THROWS_AS(detail::checked({.ranks = 1, .streams_per_rank = 0}), InvalidInput);
  CHECK_THROWS_AS(detail::checked({.ranks = 1, .timeout = 0ms}), InvalidInput);
  CHECK_THROWS_AS(detail::checked({.ranks = 1, .timeout = std::chrono::milliseconds::max()}),
                  InvalidInput);
}

}  // namespace
