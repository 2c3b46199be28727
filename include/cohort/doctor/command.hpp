// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/command.hpp: programs that are asked for their version, several at a time, for a bounded time.
#pragma once
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cohort/doctor/system.hpp>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cohort::checkup {

/// The first executable file of this name in PATH; empty: none.
inline std::string find_program(const Environment& environment, std::string_view name) {
  for (const std::string& folder : split(environment.text("PATH"), ':')) {
    const std::filesystem::path file = std::filesystem::path(folder) / name;
    std::error_code ignored;
    if (std::filesystem::is_regular_file(file, ignored) && ::access(file.c_str(), X_OK) == 0)
      return file.string();
  }
  return {};
}

/// A program that was started, with no input, to hear what it says. It is killed when nobody wants to
/// hear it any more.
class Command {
 public:
  /// The first argument is the path of the program.
  explicit Command(std::vector<std::string> arguments) {
    std::array<int, 2> pipe{};
    if (arguments.empty() || ::pipe2(pipe.data(), O_CLOEXEC) != 0) return;
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, pipe[1], 1);
    posix_spawn_file_actions_adddup2(&actions, pipe[1], 2);
    if (::posix_spawn(&process_, argv[0], &actions, nullptr, argv.data(), environ) != 0) {
      process_ = -1;
    }
    posix_spawn_file_actions_destroy(&actions);
    ::close(pipe[1]);
    if (process_ < 0)
      ::close(pipe[0]);
    else
      pipe_ = pipe[0];
  }
  Command(Command&& other) noexcept
      : process_(std::exchange(other.process_, -1)), pipe_(std::exchange(other.pipe_, -1)) {}
  Command& operator=(Command&&) = delete;
  ~Command() { end(); }

  /// What it says until it closes its output and ends with status 0; nothing if it ends in another way,
  /// could not be started, or is not done by then.
  std::optional<std::string> output(std::chrono::steady_clock::time_point until) {
    constexpr std::size_t most = 1 << 16;
    std::string text;
    while (pipe_ >= 0 && text.size() < most) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
      pollfd ready{pipe_, POLLIN, 0};  // what was said before the time was over is heard after it
      const auto wait = static_cast<int>(std::max<std::int64_t>(0, left.count()));
      if (::poll(&ready, 1, wait) <= 0) return {};
      std::array<char, 4096> some{};
      const ssize_t n = ::read(pipe_, some.data(), some.size());
      if (n < 0) return {};
      if (n > 0) {
        text.append(some.data(), static_cast<std::size_t>(n));
        continue;
      }
      if (end() != 0) return {};
      return text;
    }
    return {};
  }

 private:
  /// Its status. Whoever has closed its output is about to end: a moment is waited for that.
  int end() {
    if (process_ < 0) return -1;
    ::close(std::exchange(pipe_, -1));
    int status = -1;
    for (int i = 0; i < 50 && ::waitpid(process_, &status, WNOHANG) == 0; ++i) {
      if (i == 49) {
        ::kill(process_, SIGKILL);
        ::waitpid(process_, &status, 0);
        break;
      }
      ::poll(nullptr, 0, 1);
    }
    process_ = -1;
    return status;
  }

  pid_t process_ = -1;
  int pipe_ = -1;
};

/// The numbers of a version: "12.2.0" is {12, 2, 0}.
struct Version {
  std::array<int, 3> numbers{};

  friend auto operator<=>(const Version&, const Version&) = default;
};
/// "12.2.0"
inline std::string text(const Version& v) {
  return std::to_string(v.numbers[0]) + "." + std::to_string(v.numbers[1]) +
         (v.numbers[2] == 0 ? "" : "." + std::to_string(v.numbers[2]));
}

/// The first version in a text, two or three numbers with points between them; or, where it begins
/// with one, that number alone.
inline std::optional<Version> version_in(std::string_view text) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (!digit(text[at]) || (at > 0 && (digit(text[at - 1]) || text[at - 1] == '.'))) continue;
    Version version;
    std::size_t i = at, n = 0;
    for (; n < 3 && i < text.size() && digit(text[i]); ++n) {
      int value = 0;
      for (; i < text.size() && digit(text[i]) && value < 1'000'000; ++i)
        value = value * 10 + (text[i] - '0');
      version.numbers[n] = value;
      if (i >= text.size() || text[i] != '.') {
        ++n;
        break;
      }
      ++i;
    }
    if (n >= 2 || at == 0) return version;
  }
  return {};
}

}  // namespace cohort::checkup
