// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/interrupt_test.cpp: the first signal is noted, the second acts, all ranks agree.
#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cohort/comm/threads.hpp>
#include <cohort/io/interrupt.hpp>
#include <cohort/launch.hpp>
#include <csignal>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <vector>

using namespace cohort;
using io::Interrupt;

static_assert(!std::is_copy_constructible_v<Interrupt>);

namespace {

/// The rest of a world in which this process's rank is one of three.
struct OneOfThree {
  int interrupted, terminated;  // other ranks whose processes received a signal
  int rank() const { return 0; }
  int size() const { return 3; }
  template <class T> void all_reduce(T* counts, std::size_t n) {
    CHECK(n == 2);
    counts[0] += interrupted;
    counts[1] += terminated;
  }
};
static_assert(requires(OneOfThree & world) { io::agreed(world); });
struct NoWorld {};
template <class W>
concept Agrees = requires(W& world) {
  io::agreed(world);
};
static_assert(!Agrees<NoWorld>);

std::atomic<int> heard = 0;
void hear(int number) { heard = number; }

/// Sets a handler for the test and puts back what was there.
class Handler {
 public:
  Handler(int number, void (*f)(int)) : number_(number) {
    struct sigaction mine {};
    mine.sa_handler = f;
    ::sigaction(number, &mine, &before_);
    heard = 0;
  }
  ~Handler() { ::sigaction(number_, &before_, nullptr); }

 private:
  int number_;
  struct sigaction before_ {};
};
bool is_heard_by(int number, void (*f)(int)) {
  struct sigaction now {};
  ::sigaction(number, nullptr, &now);
  return now.sa_handler == f;
}

/// How a child that runs f ends: its exit code, or 1000 + the signal that ended it.
int ending(const std::function<int()>& f) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    for (const int number : {SIGINT, SIGTERM}) ::signal(number, SIG_DFL);  // not doctest's
    ::_exit(f());
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
}

TEST_CASE("Interrupt: the first signal of each kind is noted and does nothing else") {
  for (const int number : {SIGINT, SIGTERM}) {
    const Interrupt interrupt;
    CHECK(Interrupt::signal() == 0);
    std::raise(number);
    CHECK(Interrupt::signal() == number);
    std::raise(number == SIGINT ? SIGTERM : SIGINT);  // the first is remembered
    CHECK(Interrupt::signal() == number);
  }
  const Interrupt again;
  CHECK(Interrupt::signal() == 0);  // a new one knows nothing of the past
}

TEST_CASE("Interrupt: a second signal of the same kind acts as without it") {
  const Handler handler(SIGTERM, hear);
  const Interrupt interrupt;
  std::raise(SIGTERM);
  CHECK(heard == 0);
  std::raise(SIGTERM);
  CHECK(heard == SIGTERM);
}

TEST_CASE("Interrupt: handlers are restored, whether a signal came or not") {
  for (const int signals : {0, 1, 2}) {
    const Handler of_int(SIGINT, hear), of_term(SIGTERM, hear);
    {
      const Interrupt interrupt;
      CHECK(!is_heard_by(SIGINT, hear));
      for (int i = 0; i < signals; ++i) std::raise(SIGINT);
    }
    CHECK(is_heard_by(SIGINT, hear));
    CHECK(is_heard_by(SIGTERM, hear));
    CHECK(Interrupt::signal() == 0);
    std::raise(SIGTERM);
    CHECK(heard == SIGTERM);
  }
}

TEST_CASE("Interrupt: those that exist at the same time are one") {
  const Handler handler(SIGINT, hear);
  std::optional<Interrupt> outer(std::in_place), inner(std::in_place);
  std::raise(SIGINT);
  CHECK(Interrupt::signal() == SIGINT);
  {
    const Interrupt third;
    CHECK(Interrupt::signal() == SIGINT);  // still the same note
  }
  outer.reset();  // the first to come may be the first to leave
  CHECK(Interrupt::signal() == SIGINT);
  CHECK(heard == 0);
  inner.reset();
  CHECK(Interrupt::signal() == 0);
  CHECK(is_heard_by(SIGINT, hear));

  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([] {
      for (int k = 0; k < 200; ++k) const Interrupt interrupt;
    });
  threads.clear();
  CHECK(is_heard_by(SIGINT, hear));
}

TEST_CASE("Interrupt: what was ignored stays ignored") {
  const Handler handler(SIGINT, SIG_IGN);
  const Interrupt interrupt;
  std::raise(SIGINT);
  CHECK(Interrupt::signal() == 0);
  std::raise(SIGTERM);
  CHECK(Interrupt::signal() == SIGTERM);
}

TEST_CASE("Interrupt: system calls and errno are not disturbed") {
  int pipe[2];
  REQUIRE(::pipe(pipe) == 0);
  const Interrupt interrupt;
  const auto reader = ::pthread_self();
  std::jthread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ::pthread_kill(reader, SIGTERM);  // while it reads
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    CHECK(::write(pipe[1], "x", 1) == 1);
  });
  char c = 0;
  errno = 77;
  CHECK(::read(pipe[0], &c, 1) == 1);
  CHECK(errno == 77);
  CHECK(c == 'x');
  CHECK(Interrupt::signal() == SIGTERM);
  other.join();
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST_CASE("Interrupt: a child that is killed once leaves by itself, twice by the signal") {
  for (const int number : {SIGINT, SIGTERM}) {
    const auto leave = [&] {
      const Interrupt interrupt;
      ::kill(::getpid(), number);
      return Interrupt::signal() == number ? 128 + number : 1;
    };
    CHECK(ending(leave) == 128 + number);
    const auto hang = [&] {
      const Interrupt interrupt;
      ::kill(::getpid(), number);
      ::kill(::getpid(), number);
      return 1;
    };
    CHECK(ending(hang) == 1000 + number);
    const auto late = [&] {
      { const Interrupt interrupt; }
      ::kill(::getpid(), number);
      return 1;
    };
    CHECK(ending(late) == 1000 + number);
  }
}

TEST_CASE("agreed: a signal of any rank's process is everybody's, SIGTERM before SIGINT") {
  const Interrupt interrupt;
  const auto ask = [](int interrupted, int terminated) {
    OneOfThree world{interrupted, terminated};
    return io::agreed(world);
  };
  CHECK(ask(0, 0) == 0);
  CHECK(ask(1, 0) == SIGINT);
  CHECK(ask(0, 2) == SIGTERM);
  CHECK(ask(1, 1) == SIGTERM);
  std::raise(SIGINT);
  CHECK(ask(0, 0) == SIGINT);
  CHECK(ask(0, 1) == SIGTERM);
}

TEST_CASE("agreed: threads that look at different instants leave after the same step") {
  for (int round = 0; round < 20; ++round) {
    const Interrupt interrupt;
    std::vector<int> last(4), signals(4);
    std::jthread sender([round] {
      std::this_thread::sleep_for(std::chrono::microseconds(50 * round));
      ::kill(::getpid(), SIGTERM);
    });
    launch<Threads>({.ranks = 4}, [&](auto& world) {
      const auto me = static_cast<std::size_t>(world.rank());
      while (signals[me] == 0) {
        ++last[me];
        signals[me] = io::agreed(world);
      }
    });
    for (std::size_t r = 0; r < 4; ++r) {
      CHECK(signals[r] == SIGTERM);
      CHECK(last[r] == last[0]);
    }
  }
}

}  // namespace
