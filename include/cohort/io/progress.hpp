// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/io/progress.hpp: how far the run is: a bar on a terminal, now and then a line elsewhere.
#pragma once
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace cohort::io {

/// What one line shows; what is not known is left out.
struct ProgressState {
  std::int64_t step = 0;                       // done so far
  std::int64_t steps = 0;                      // in all
  std::optional<double> epoch = {};            // passes over the data
  std::optional<double> loss = {};             // of the latest step
  std::optional<double> validation_loss = {};  // the latest
  std::optional<double> learning_rate = {};
  std::optional<double> tokens_per_second = {};  // of all ranks
  std::optional<double> waiting_share = {};      // of the time, spent waiting for data, 0 .. 1
  std::optional<double> seconds_left = {};
};

namespace detail {
inline std::string printed(const char* format, double value) {
  if (std::isnan(value)) return "nan";  // printf may write -nan
  char text[64];
  const int n = std::snprintf(text, sizeof text, format, value);
  return {text, static_cast<std::size_t>(std::clamp(n, 0, 63))};
}
}  // namespace detail

/// 950 -> "950", 12345 -> "12.3k", 5.6e6 -> "5.60M": three digits or more of what matters.
inline std::string format_count(double n) {
  for (const auto& [unit, suffix] : {std::pair{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}}) {
    const double shown = n / unit;
    if (shown >= 0.9995)
      return detail::printed(shown < 9.995   ? "%.2f"
                             : shown < 99.95 ? "%.1f"
                                             : "%.0f",
                             shown) +
             suffix;
  }
  return detail::printed("%.0f", n);
}

/// 75 -> "1:15", 3675 -> "1:01:15", 200000 -> "2d07h". Negative or unknown times are "?".
inline std::string format_duration(double seconds) {
  if (!(seconds >= 0.0 && seconds < 1e9)) return "?";
  const auto s = static_cast<long long>(std::ceil(seconds));
  char text[64];
  if (s >= 86400)
    std::snprintf(text, sizeof text, "%lldd%02lldh", s / 86400, s / 3600 % 24);
  else if (s >= 3600)
    std::snprintf(text, sizeof text, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
  else
    std::snprintf(text, sizeof text, "%lld:%02lld", s / 60, s % 60);
  return text;
}

/// "step 120/2000  epoch 0.08  loss 2.4531  val 2.5012  lr 9.8e-04  41.2k tok/s  wait 2%  eta 1:15"
inline std::string format_line(const ProgressState& p) {
  std::string out = "step " + std::to_string(p.step) + "/" + std::to_string(p.steps);
  const auto add = [&](std::string_view name, std::optional<double> value, auto format) {
    if (value) (out += "  ").append(name) += format(*value);
  };
  const auto as = [](const char* format) {
    return [format](double value) { return detail::printed(format, value); };
  };
  add("epoch ", p.epoch, as("%.2f"));
  add("loss ", p.loss, as("%.4f"));
  add("val ", p.validation_loss, as("%.4f"));
  add("lr ", p.learning_rate, as("%.1e"));
  add("", p.tokens_per_second, [](double n) { return format_count(n) + " tok/s"; });
  add("wait ", p.waiting_share,
      [](double share) { return detail::printed("%.0f%%", 100 * share); });
  add("eta ", p.seconds_left, format_duration);
  return out;
}

/// The line behind a bar "[=====>    ] ", together at most `width` columns: the bar gives way
/// first, then the end of the line.
inline std::string format_bar(const ProgressState& p, int width) {
  constexpr int widest = 30, narrowest = 8;  // of the bar, without its frame
  const std::string line = format_line(p);
  const int room = width - static_cast<int>(line.size()) - 3;
  if (room < narrowest) return line.substr(0, static_cast<std::size_t>(std::max(width, 0)));
  const int cells = std::min(room, widest);
  const double share = p.steps > 0 ? std::clamp(double(p.step) / double(p.steps), 0.0, 1.0) : 0.0;
  const int full = static_cast<int>(share * cells);
  std::string bar(static_cast<std::size_t>(full), '=');
  if (full < cells) bar += '>';
  bar.resize(static_cast<std::size_t>(cells), ' ');
  return "[" + bar + "] " + line;
}

/// What the progress line is about, and how often it is written.
struct ProgressOptions {
  std::int64_t steps = 0;         // of the whole run
  std::int64_t first = 0;         // steps done before this run: a resumed run
  double tokens_per_step = 0;     // of all ranks; 0: no rate is shown
  double steps_per_epoch = 0;     // 0: no epoch is shown
  double terminal_seconds = 0.1;  // between two updates of the bar
  double plain_seconds = 10;      // between two lines where there is no terminal
};

/// Shows the progress of rank 0 on `out`; other ranks stay silent. The first and the last step are
/// always shown. Borrows the stream.
///
/// Cost     one clock reading a step; formatting at most every terminal_seconds. Meant for outside
///          the step: it allocates.
template <class Clock = std::chrono::steady_clock> class Progress {
 public:
  Progress(int rank, ProgressOptions options, std::FILE* out = stderr)
      : options_(options),
        out_(rank == 0 ? out : nullptr),
        terminal_(out_ != nullptr && ::isatty(::fileno(out)) == 1),
        shown_step_(options.first) {
    state_.steps = options.steps;
    state_.step = options.first;
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { finish(); }

  /// Call after each step; seconds_waiting is the loader's sum so far.
  void update(double loss, double learning_rate, std::optional<double> seconds_waiting = {}) {
    ++state_.step;
    if (!out_) return;
    const double now = seconds();
    const bool last = state_.step >= state_.steps;
    const bool due =
        now - shown_ >= (terminal_ ? options_.terminal_seconds : options_.plain_seconds);
    if (!due && !last && state_.step != options_.first + 1) return;
    state_.loss = loss;
    state_.learning_rate = learning_rate;
    measure(now, seconds_waiting);
    show();
  }
  void validation(double loss) { state_.validation_loss = loss; }

  /// Prints a whole line, e.g. a validation result, without tearing the bar.
  void note(const std::string& text) {
    if (!out_) return;
    clear();
    std::fprintf(out_, "%s\n", text.c_str());
    std::fflush(out_);
  }

  /// Ends the bar's line. The destructor does it too.
  void finish() {
    if (!bar_shown_) return;
    std::fputc('\n', out_);
    std::fflush(out_);
    bar_shown_ = false;
  }
  const ProgressState& state() const { return state_; }

 private:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  /// Rates are ratios of sums in which the past fades within memory_seconds.
  void measure(double now, std::optional<double> seconds_waiting) {
    constexpr double memory_seconds = 10;
    const double span = now - shown_;
    const double fade = std::exp(-span / memory_seconds);
    steps_ = steps_ * fade + static_cast<double>(state_.step - shown_step_);
    time_ = time_ * fade + span;
    if (time_ > 0 && steps_ > 0) {
      const double rate = steps_ / time_;
      if (options_.tokens_per_step > 0) state_.tokens_per_second = options_.tokens_per_step * rate;
      state_.seconds_left =
          static_cast<double>(std::max<std::int64_t>(state_.steps - state_.step, 0)) / rate;
    }
    if (now > 0 && seconds_waiting)
      state_.waiting_share = std::clamp(*seconds_waiting / now, 0.0, 1.0);
    if (options_.steps_per_epoch > 0) {
      state_.epoch = static_cast<double>(state_.step) / options_.steps_per_epoch;
    }
    shown_ = now;
    shown_step_ = state_.step;
  }

  void show() {
    if (terminal_) {
      const std::string bar = format_bar(state_, columns() - 1);
      std::fprintf(out_, "\r%s\033[K", bar.c_str());
      bar_shown_ = true;
    } else {
      std::fprintf(out_, "%s\n", format_line(state_).c_str());
    }
    std::fflush(out_);
  }
  void clear() {
    if (bar_shown_) std::fputs("\r\033[K", out_);
    bar_shown_ = false;
  }
  int columns() const {
    winsize size{};
    const bool known = ::ioctl(::fileno(out_), TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
  }

  ProgressOptions options_;
  std::FILE* out_;
  bool terminal_;
  ProgressState state_;
  typename Clock::time_point start_ = Clock::now();
  double shown_ = 0;         // when the latest display was
  std::int64_t shown_step_;  // and after which step
  double steps_ = 0;         // recent steps
  double time_ = 0;          // and the seconds they took
  bool bar_shown_ = false;
};

}  // namespace cohort::io
