// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/run/agreement_test.cpp: what one rank throws every rank hears, and the world goes on.
#include <cohort/run/agreement.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
#include <functional>
#include <new>
#include <typeinfo>

using namespace cohort;

namespace {

/// What a rank caught: the type's name and the words; empty: nothing.
struct Heard {
  std::string type, text;
  int rank = -2;
};
template <class F> Heard heard(F f) {
  try {
    f();
  } catch (const Error& e) {
    return {typeid(e).name(), e.what(), e.rank()};
  }
  return {};
}
/// All ranks do the same together; `fails` says what a rank does. Afterwards they still understand each other.
std::vector<Heard> agree(int ranks, std::function<void(int)> fails) {
  std::vector<Heard> all(static_cast<std::size_t>(ranks));
  launch<Threads>({.ranks = ranks}, [&](Threads& world) {
    all[static_cast<std::size_t>(world.rank())] =
        heard([&] { detail::together(world, "save", [&] { fails(world.rank()); }); });
    std::int32_t one = 1;
    world.all_reduce(&one, std::size_t{1});
    if (one != ranks) throw Mismatch(world.rank(), "test", "the world is out of step");
  });
  return all;
}

constexpr int rank_counts[] = {1, 2, 5};

template <class E> void check_type() {
  for (int ranks : rank_counts)
    for (int bad = 0; bad < ranks; ++bad) {
      CAPTURE(ranks);
      CAPTURE(bad);
      const auto all = agree(ranks, [&](int rank) {
        if (rank == bad) throw E(-1, "write '/x'", "No space left on device (28); make room");
      });
      for (int rank = 0; rank < ranks; ++rank) {
        const Heard& h = all[static_cast<std::size_t>(rank)];
        const std::string whose = ranks > 1 ? "rank " + std::to_string(bad) + ": " : "";
        CHECK(h.type == typeid(E).name());
        CHECK(h.rank == rank);
        CHECK(h.text == "cohort: rank " + std::to_string(rank) + ": save: " + whose +
                            "write '/x': No space left on device (28); make room");
      }
    }
}

TEST_CASE("together: an error of one rank is every rank's, with its type and its sentence") {
  check_type<io::WriteFailed>();
  check_type<io::ReadFailed>();
  check_type<io::MalformedFile>();
  check_type<InvalidInput>();
  check_type<Error>();
}

TEST_CASE("together: what is no error of cohort is an Error with its words") {
  const auto memory = agree(2, [](int rank) {
    if (rank == 1) throw std::bad_alloc();
  });
  const auto number = agree(2, [](int rank) {
    if (rank == 1) throw 42;
  });
  for (const auto* all : {&memory, &number})
    for (const Heard& h : *all) {
      CHECK(h.type == typeid(Error).name());
      CHECK(h.text.find("save: rank 1: ") != std::string::npos);
    }
  CHECK(memory[0].text.ends_with("bad_alloc"));
}

TEST_CASE("together: the operation is said once, also where the error names it itself") {
  const auto all = agree(1, [](int) { throw InvalidInput(-1, "save", "no such type"); });
  CHECK(all[0].text == "cohort: rank 0: save: no such type");
}

TEST_CASE("together: where every rank is fine nothing is thrown, and each did it once") {
  for (int ranks : rank_counts) {
    std::atomic<int> calls{0};
    for (const Heard& h : agree(ranks, [&](int) { ++calls; })) CHECK(h.rank == -2);
    CHECK(calls == ranks);
  }
}

TEST_CASE("together: the first rank that failed is the one that is heard") {
  const auto all = agree(5, [](int rank) {
    if (rank == 2) throw io::ReadFailed(rank, "read", "two");
    if (rank >= 3) throw InvalidInput(rank, "read", "three or four");
  });
  for (const Heard& h : all) {
    CHECK(h.type == typeid(io::ReadFailed).name());
    CHECK(h.text.ends_with("save: rank 2: read: two"));
  }
}

TEST_CASE("together: words of any length arrive whole") {
  for (const std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{100000}}) {
    const std::string words(length, 'w');
    for (const Heard& h : agree(2, [&](int rank) {
           if (rank == 1) throw InvalidInput(-1, "load", words);
         }))
      CHECK(h.text.ends_with("load: " + words));
  }
}

TEST_CASE("text_of_rank_0: every rank has it, whatever it said itself") {
  for (int ranks : rank_counts)
    for (const std::string text : {"", "a", "/a directory/with\nlines"}) {
      std::vector<std::string> all(static_cast<std::size_t>(ranks));
      launch<Threads>({.ranks = ranks}, [&](Threads& world) {
        all[static_cast<std::size_t>(world.rank())] = detail::text_of_rank_0(
            world, world.rank() == 0 ? text : "another, much longer than that of rank 0");
      });
      for (const std::string& each : all) CHECK(each == text);
    }
}

}  // namespace
