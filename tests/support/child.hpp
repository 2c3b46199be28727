// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/child.hpp: runs a part of a test in a process of its own, which may be killed.
#pragma once
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace cohort::test {

/// A forked process that calls f(child): child.say() is heard by the parent even if the process is killed
/// afterwards. What escapes from f is said as "exception: ...". For tests without other threads.
class Child {
 public:
  template <class F> explicit Child(F f) {
    std::array<int, 2> pipe{};
    if (::pipe(pipe.data()) != 0 || (process_ = ::fork()) < 0) throw std::runtime_error("no child");
    pipe_ = pipe[process_ == 0];
    ::close(pipe[process_ != 0]);
    if (process_ != 0) return;
    try {
      f(*this);
    } catch (const std::exception& e) {
      say(std::string("exception: ") + e.what());
    }
    ::_exit(0);
  }
  ~Child() {
    if (process_ > 0) kill();
    ::close(pipe_);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  /// In the child.
  void say(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t n = ::write(pipe_, text.data(), text.size());
      if (n <= 0) ::_exit(1);
      text.remove_prefix(static_cast<std::size_t>(n));
    }
  }

  /// In the child: what it writes to stderr is heard, too.
  void say_errors() const { ::dup2(pipe_, STDERR_FILENO); }

  /// In the parent: what it says next, as soon as it says something; empty: it ended.
  std::string hear() const {
    std::array<char, 4096> text{};
    const ssize_t n = ::read(pipe_, text.data(), text.size());
    return {text.data(), n < 0 ? 0 : static_cast<std::size_t>(n)};
  }
  /// All that it says until it ends by itself; afterwards killed() says how.
  std::string wait() {
    std::string all;
    for (std::string more; !(more = hear()).empty();) all += more;
    end();
    return all;
  }
  void kill() {
    ::kill(process_, SIGKILL);
    end();
  }
  bool killed() const { return WIFSIGNALED(status_) && WTERMSIG(status_) == SIGKILL; }
  /// What it ended with by itself; -1: it did not.
  int code() const { return WIFEXITED(status_) ? WEXITSTATUS(status_) : -1; }

 private:
  void end() { ::waitpid(std::exchange(process_, 0), &status_, 0); }

  pid_t process_ = 0;
  int pipe_ = -1, status_ = 0;
};

}  // namespace cohort::test
