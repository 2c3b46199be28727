// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/comm/mpi_message_test.cpp: envelopes fill a cache line, notices are compared but for their ranks' names.
#include <cohort/comm/mpi_message.hpp>

#include <doctest/doctest.h>

using namespace cohort;
using namespace cohort::detail;

namespace {

static_assert(sizeof(Envelope) == 64 && std::is_trivially_copyable_v<Envelope>);
static_assert(std::is_trivially_copyable_v<Notice>);

Notice notice(int rank, const std::string& sentence) {
  Notice made{.what = 0, .rank = rank};
  sentence.copy(made.sentence.data(), made.sentence.size() - 1);
  return made;
}

TEST_CASE("Envelope: the call that a message belongs to, as it was asked for") {
  const Collective call{CollectiveKind::broadcast, DType::f64, 12, 3};
  const Envelope envelope{Envelope::protocol, 7, call.count, 0, call.root, call.kind, call.dtype};
  CHECK(envelope.call() == call);
}

TEST_CASE("same_words: what two ranks say of themselves differs in their own names only") {
  const auto says = [](int rank, const char* words) {
    return notice(rank, phrase("rank ", rank, " failed: cohort: rank ", rank, ": ", words));
  };
  CHECK(same_words(says(0, "ranks 0 and 1 differ"), says(2, "ranks 0 and 1 differ")));
  CHECK(!same_words(says(0, "ranks 0 and 1 differ"), says(2, "ranks 0 and 2 differ")));
  CHECK(!same_words(says(0, "boom"), says(1, "")));
  CHECK(same_words(notice(3, ""), notice(1, "")));
}

}  // namespace
