// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/launch_test.cpp: worlds form, fail with their own words, and form again.
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include <unistd.h>

using namespace cohort;

namespace {

struct NotAWorld {};
static_assert(Launches<Threads, void (*)(Threads&)>);
static_assert(!Launches<NotAWorld, void (*)(Threads&)>);

/// Sets an environment variable for one scope.
struct Environment {
  Environment(const char* variable, const char* text) : name(variable) { setenv(name, text, 1); }
  ~Environment() { unsetenv(name); }
  const char* name;
};

struct Run {
  int code;
  std::string errors;  // what came on stderr
};

/// launch() as main() calls it, with stderr caught in a file.
template <class F>
Run main_like(std::vector<const char*> arguments, F f, const LaunchOptions& options = {}) {
  arguments.insert(arguments.begin(), "program");
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), &std::fclose);
  std::fflush(stderr);
  const int saved = dup(2);
  dup2(fileno(file.get()), 2);
  const int code =
      launch<Threads>(static_cast<int>(arguments.size()), arguments.data(), f, options);
  std::fflush(stderr);
  dup2(saved, 2);
  close(saved);
  std::string text;
  std::rewind(file.get());
  for (int c = std::fgetc(file.get()); c != EOF; c = std::fgetc(file.get())) {
    text += static_cast<char>(c);
  }
  return {code, text};
}

TEST_CASE("launch: f runs once on every rank, and rank 0 is the calling thread") {
  std::atomic<int> mask{0};
  const auto caller = std::this_thread::get_id();
  std::atomic<bool> same{false};
  launch<Threads>({.ranks = 5}, [&](Threads& world) {
    CHECK(world.size() == 5);
    mask += 1 << (4 * world.rank());
    if (world.rank() == 0) same = std::this_thread::get_id() == caller;
  });
  CHECK(mask == 0x11111);
  CHECK(same);
}

TEST_CASE("launch: ranks spin only while ranks x streams fit on the hardware") {
  const int cores = usable_cores();
  const auto spins = [](const LaunchOptions& options) {
    std::atomic<int> spinning{0};
    launch<Threads>(options, [&](Threads& world) { spinning += world.spins() ? 1 : 0; });
    CHECK((spinning == 0 || spinning == options.ranks));
    return spinning > 0;
  };
  CHECK(spins({.ranks = cores}));
  CHECK(!spins({.ranks = cores + 1}));
  CHECK(!spins({.ranks = cores, .streams_per_rank = 2}));
  CHECK(spins({.ranks = 1, .streams_per_rank = cores}));
}

TEST_CASE("launch: the exception of the rank that failed first, with its type, not its echo") {
  struct Own : std::runtime_error {
    using std::runtime_error::runtime_error;
  };
  CHECK_THROWS_WITH_AS(launch<Threads>({.ranks = 4},
                                       [](Threads& world) {
                                         if (world.rank() == 2) throw Own("the cause");
                                         world.barrier();
                                       }),
                       "the cause", Own);
}

TEST_CASE("launch: 100 failed worlds leave nothing behind that a new one minds") {
  for (int k = 0; k < 100; ++k) {
    CHECK_THROWS_AS(launch<Threads>({.ranks = 3},
                                    [&](Threads& world) {
                                      float x = 1;
                                      if (world.rank() == k % 3) throw std::runtime_error("no");
                                      for (;;) world.all_reduce(&x, 1);
                                    }),
                    std::runtime_error);
    std::atomic<int> right{0};
    launch<Threads>({.ranks = 3}, [&](Threads& world) {
      float x = 1;
      world.all_reduce(&x, 1);
      right += x == 3;
    });
    CHECK(right == 3);
  }
}

TEST_CASE("launch: a world inside a rank of another world works") {
  std::atomic<int> inner{0};
  launch<Threads>({.ranks = 2}, [&](Threads& outer) {
    launch<Threads>({.ranks = 2}, [&](Threads& world) {
      std::int32_t x = 1;
      world.all_reduce(&x, 1);
      inner += x;
    });
    outer.barrier();
  });
  CHECK(inner == 8);
}

TEST_CASE("launch in main: --ranks decides, 0 is returned, nothing is printed") {
  std::atomic<int> ranks{0};
  const auto count = [&](Threads&) { ++ranks; };
  const Run run = main_like({"--ranks", "3", "--steps", "9"}, count);
  CHECK(run.code == 0);
  CHECK(run.errors.empty());
  CHECK(ranks == 3);
  ranks = 0;
  CHECK(main_like({}, count, {.ranks = 2}).code == 0);  // the program's own default
  CHECK(ranks == 2);
}

TEST_CASE("launch in main: an error is one line on stderr and code 1") {
  Run run = main_like({"--ranks=2"}, [](Threads& world) {
    if (world.rank() == 1) throw InvalidInput(1, "open corpus.txt", "no such file.");
    world.barrier();
  });
  CHECK(run.code == 1);
  CHECK(run.errors == "cohort: rank 1: open corpus.txt: no such file.\n");
  run = main_like({"--ranks=abc"}, [](Threads&) {});
  CHECK(run.code == 1);
  CHECK(run.errors ==
        "cohort: launch: --ranks wants a whole number from 1 to 1024, not 'abc'. Write e.g. "
        "--ranks 4.\n");
  run = main_like({"--ranks=1"}, [](Threads&) { throw 42; });
  CHECK(run.code == 1);
  CHECK(run.errors == "cohort: a rank threw something that is not a std::exception\n");
}

std::string refusal() {
  try {
    launch<Threads>({.ranks = 1}, [](Threads&) {});
  } catch (const InvalidInput& e) {
    return e.what();
  }
  return "";
}

TEST_CASE("launch<Threads> under a launcher of several processes names launch<Mpi> and mpirun") {
  const std::string advice =
      ", and launch<Threads> would train a separate copy in each; use launch<Mpi> under mpirun, or "
      "start one process with --ranks N.";
  CHECK(refusal().empty());
  {
    Environment rank("RANK", "0");
    CHECK(refusal().empty());  // half of torchrun's pair says nothing
    Environment size("WORLD_SIZE", "2");
    CHECK(refusal() ==
          "cohort: launch: this is one of 2 processes of torchrun (RANK and "
          "WORLD_SIZE are set)" +
              advice);
  }
  {
    Environment size("OMPI_COMM_WORLD_SIZE", "4");
    CHECK(refusal() == "cohort: launch: this is one of 4 processes of mpirun" + advice);
  }
  {
    Environment tasks("SLURM_NTASKS", "8");
    CHECK(refusal().empty());  // an allocation without a step: no srun
    Environment step("SLURM_STEP_ID", "0");
    CHECK(refusal() == "cohort: launch: this is one of 8 processes of srun" + advice);
  }
  Environment rank("RANK", "0"), world("WORLD_SIZE", "1"), mpi("OMPI_COMM_WORLD_SIZE", "1");
  CHECK(refusal().empty());  // one process is no harm
}

}  // namespace
