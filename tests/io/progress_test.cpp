// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/io/progress_test.cpp: what the progress line says, and when it is shown.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cohort/io/progress.hpp>
#include <cstdio>
#include <limits>
#include <string>

using namespace cohort::io;

namespace {
/// Time that moves only when the test says so.
struct TestClock {
  using duration = std::chrono::nanoseconds;
  using time_point = std::chrono::time_point<TestClock, duration>;
  static inline time_point time{};
  static time_point now() { return time; }
  static void pass(double seconds) {
    time += std::chrono::duration_cast<duration>(std::chrono::duration<double>(seconds));
  }
};

struct File {
  std::FILE* file = std::tmpfile();
  ~File() { std::fclose(file); }
  std::string text() const {
    std::string out;
    std::fflush(file);
    std::rewind(file);
    for (int c; (c = std::fgetc(file)) != EOF;) out += static_cast<char>(c);
    return out;
  }
};
std::ptrdiff_t lines(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }
}  // namespace

TEST_CASE("format_count: three significant digits with a suffix, right at the borders too") {
  CHECK(format_count(0) == "0");
  CHECK(format_count(950) == "950");
  CHECK(format_count(999.4) == "999");
  CHECK(format_count(999.6) == "1.00k");
  CHECK(format_count(12345) == "12.3k");
  CHECK(format_count(99949) == "99.9k");
  CHECK(format_count(99951) == "100k");
  CHECK(format_count(999499) == "999k");
  CHECK(format_count(999501) == "1.00M");
  CHECK(format_count(5.6e6) == "5.60M");
  CHECK(format_count(9.996e9) == "10.0G");
  CHECK(format_count(3e14) == "300T");
  CHECK(format_count(std::nan("")) == "nan");
}

TEST_CASE("format_duration: minutes, hours, days; rounds up; ? for what is no time") {
  CHECK(format_duration(0) == "0:00");
  CHECK(format_duration(0.2) == "0:01");
  CHECK(format_duration(59.9) == "1:00");
  CHECK(format_duration(75) == "1:15");
  CHECK(format_duration(3599) == "59:59");
  CHECK(format_duration(3675) == "1:01:15");
  CHECK(format_duration(86399) == "23:59:59");
  CHECK(format_duration(200000) == "2d07h");
  for (const double bad : {-1.0, std::nan(""), std::numeric_limits<double>::infinity(), 1e300}) {
    CHECK(format_duration(bad) == "?");
  }
}

TEST_CASE("format_line: says what is known and leaves out the rest") {
  CHECK(format_line({.step = 1, .steps = 10}) == "step 1/10");
  const ProgressState all{.step = 120,
                          .steps = 2000,
                          .epoch = 0.081,
                          .loss = 2.45314,
                          .validation_loss = 2.5012,
                          .learning_rate = 9.8e-4,
                          .tokens_per_second = 41234.0,
                          .waiting_share = 0.021,
                          .seconds_left = 75.0};
  CHECK(format_line(all) ==
        "step 120/2000  epoch 0.08  loss 2.4531  val 2.5012  lr 9.8e-04  41.2k tok/s  wait 2%  eta "
        "1:15");
}

TEST_CASE("format_line: a loss that is NaN is shown, not hidden") {
  CHECK(format_line({.step = 1, .steps = 2, .loss = -std::nan("")}) == "step 1/2  loss nan");
  CHECK(format_line({.step = 1, .steps = 2, .loss = HUGE_VAL}) == "step 1/2  loss inf");
}

TEST_CASE("format_bar: fills with the steps, from empty to full") {
  const auto bar = [](std::int64_t step, std::int64_t steps) {
    const std::string text = format_bar({.step = step, .steps = steps}, 100);
    return text.substr(0, text.find(']') + 1);
  };
  CHECK(bar(0, 30) == "[>                             ]");
  CHECK(bar(15, 30) == "[===============>              ]");
  CHECK(bar(29, 30) == "[=============================>]");
  CHECK(bar(30, 30) == "[==============================]");
  CHECK(bar(31, 30) == bar(30, 30));
  CHECK(bar(5, 0) == bar(0, 30));
}

TEST_CASE("format_bar: never exceeds the width, whatever the state") {
  const ProgressState wide{.step = 1'000'000'000'000,
                           .steps = 9'000'000'000'000,
                           .epoch = 1e300,
                           .loss = -1e300,
                           .validation_loss = 1e300,
                           .learning_rate = 1e-300,
                           .tokens_per_second = 1e300,
                           .waiting_share = 1.0,
                           .seconds_left = 1e8};
  for (int width = -3; width <= 200; ++width) {
    REQUIRE(int(format_bar(wide, width).size()) <= std::max(width, 0));
    REQUIRE(int(format_bar({.step = 3, .steps = 9}, width).size()) <= std::max(width, 0));
  }
  CHECK(format_bar({.step = 3, .steps = 9}, 18) == "step 3/9");  // no room for a bar
  CHECK(format_bar({.step = 3, .steps = 9}, 19) == "[==>     ] step 3/9");
}

TEST_CASE("Progress: plain output is the first step, the last step and one line each interval") {
  const File out;
  {
    Progress<TestClock> progress(
        0, {.steps = 100, .tokens_per_step = 10, .steps_per_epoch = 50, .plain_seconds = 10},
        out.file);
    for (int step = 0; step < 100; ++step) {
      TestClock::pass(1);
      progress.update(3.0, 1e-3, 0.5 * (step + 1));
    }
    CHECK(progress.state().step == 100);
    // One step a second: 10 tokens a second at any smoothing, half of the time spent waiting.
    CHECK(*progress.state().tokens_per_second == doctest::Approx(10).epsilon(1e-12));
    CHECK(*progress.state().waiting_share == 0.5);
    CHECK(*progress.state().epoch == 2);
  }
  const std::string text = out.text();
  CHECK(text.starts_with(
      "step 1/100  epoch 0.02  loss 3.0000  lr 1.0e-03  10 tok/s  wait 50%  eta 1:39\n"));
  CHECK(text.find(
            "step 11/100  epoch 0.22  loss 3.0000  lr 1.0e-03  10 tok/s  wait 50%  eta 1:29\n") !=
        std::string::npos);
  CHECK(text.ends_with(
      "step 100/100  epoch 2.00  loss 3.0000  lr 1.0e-03  10 tok/s  wait 50%  eta 0:00\n"));
  CHECK(lines(text) == 11);  // steps 1, 11, 21, ..., 91, 100
  CHECK(text.find('\r') == std::string::npos);
}

TEST_CASE("Progress: a slow first step is forgotten") {
  const File out;
  Progress<TestClock> progress(0, {.steps = 1000, .tokens_per_step = 1, .plain_seconds = 1},
                               out.file);
  TestClock::pass(20);
  progress.update(1, 1);
  CHECK(*progress.state().tokens_per_second == doctest::Approx(0.05));
  for (int step = 0; step < 100; ++step) {
    TestClock::pass(1);
    progress.update(1, 1);
  }
  // After 100 s the first step's 20 s have faded to 20 e^-10, and the steps of 1 s since then weigh
  // 1 / (1 - e^-0.1): the ratio is below 1e-4.
  CHECK(*progress.state().tokens_per_second == doctest::Approx(1).epsilon(1e-4));
  CHECK(!progress.state().waiting_share);
}

TEST_CASE("Progress: a resumed run starts where the last one ended") {
  const File out;
  Progress<TestClock> progress(0, {.steps = 10, .first = 8, .tokens_per_step = 6}, out.file);
  TestClock::pass(2);
  progress.update(1, 1);
  CHECK(out.text() == "step 9/10  loss 1.0000  lr 1.0e+00  3 tok/s  eta 0:02\n");
}

TEST_CASE("Progress: only rank 0 speaks") {
  const File out;
  Progress<TestClock> progress(1, {.steps = 3}, out.file);
  for (int step = 0; step < 3; ++step) progress.update(1, 1);
  progress.note("validation");
  progress.finish();
  CHECK(out.text().empty());
  CHECK(progress.state().step == 3);
}

TEST_CASE("Progress: on a terminal one line is rewritten, within the terminal's width") {
  const int master = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (master < 0 || ::grantpt(master) != 0 || ::unlockpt(master) != 0) return;  // no terminals here
  std::FILE* terminal = std::fopen(::ptsname(master), "w");
  REQUIRE(terminal != nullptr);
  winsize size{.ws_row = 10, .ws_col = 40, .ws_xpixel = 0, .ws_ypixel = 0};
  REQUIRE(::ioctl(master, TIOCSWINSZ, &size) == 0);
  {
    Progress<TestClock> progress(0, {.steps = 4, .terminal_seconds = 1}, terminal);
    TestClock::pass(0.25);
    progress.update(1, 1);  // shown: the first
    TestClock::pass(0.25);
    progress.update(2, 1);  // not shown: too soon
    progress.note("note");
    TestClock::pass(2);
    progress.update(3, 1);
    progress.update(4, 1);
  }
  // The terminal turns \n into \r\n, and hands on what it got in pieces of its choice.
  const std::string expected =
      "\rstep 1/4  loss 1.0000  lr 1.0e+00  eta \033[K"
      "\r\033[Knote\r\n"
      "\rstep 3/4  loss 3.0000  lr 1.0e+00  eta \033[K"
      "\rstep 4/4  loss 4.0000  lr 1.0e+00  eta \033[K\r\n";
  std::string text;
  pollfd readable{.fd = master, .events = POLLIN, .revents = 0};
  while (text.size() < expected.size() && ::poll(&readable, 1, 5000) == 1) {
    char buffer[4096];
    const auto n = ::read(master, buffer, sizeof buffer);
    if (n <= 0) break;
    text.append(buffer, static_cast<std::size_t>(n));
  }
  CHECK(text == expected);
  std::fclose(terminal);
  ::close(master);
}
