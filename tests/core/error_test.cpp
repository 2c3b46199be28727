// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/core/error_test.cpp: messages carry rank and operation, and each kind can be caught alone.
#include <doctest/doctest.h>
#include <cohort/core/error.hpp>

#include <string>

using namespace cohort;

namespace {
static_assert(std::is_base_of_v<std::runtime_error, Error>);
template <class E, class Other>
inline constexpr bool apart = std::is_base_of_v<Error, E> && !std::is_base_of_v<Other, E>;
static_assert(apart<InvalidInput, Mismatch> && apart<Mismatch, PeerFailed>);
static_assert(apart<PeerFailed, Timeout> && apart<Timeout, ContractBroken>);
static_assert(apart<ContractBroken, NonFinite> && apart<NonFinite, InvalidInput>);
}  // namespace

TEST_CASE("error: the text is cohort, rank, operation, sentence") {
  const Mismatch e(3, "all_reduce", "rank 1 gave 5 elements, rank 3 gave 6.");
  CHECK(std::string(e.what()) ==
        "cohort: rank 3: all_reduce: rank 1 gave 5 elements, rank 3 gave 6.");
  CHECK(e.rank() == 3);
  CHECK(e.operation() == "all_reduce");
}

TEST_CASE("error: without a world there is no rank in the text") {
  const InvalidInput e(-1, "corpus", "the file is empty.");
  CHECK(std::string(e.what()) == "cohort: corpus: the file is empty.");
  CHECK(e.rank() == -1);
}

TEST_CASE("error: rank 0 is a rank") {
  CHECK(std::string(Timeout(0, "barrier", "late.").what()) == "cohort: rank 0: barrier: late.");
}

TEST_CASE("error: a copy, as exception_ptr makes one, keeps everything") {
  std::string text;
  try {
    std::rethrow_exception(std::make_exception_ptr(NonFinite(2, "step 7", "loss nan.")));
  } catch (const Error& e) {
    text = e.what() + std::string("|") + e.operation();
  }
  CHECK(text == "cohort: rank 2: step 7: loss nan.|step 7");
}
