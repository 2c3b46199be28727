// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/gradient_check.hpp: what a check of gradients takes, how it compares, what it found, also in words.
#pragma once
#include <algorithm>
#include <cmath>
#include <cohort/core/tensor.hpp>
#include <cstdint>
#include <cstdio>
#include <string>

namespace cohort {

/// What check_gradients found: the worst relative error over all parameters and the input.
struct GradientCheck {
  double worst = 0;   // |analytic - numeric| / max(1, |analytic|, |numeric|)
  std::string where;  // name of the parameter, or "input"
  double analytic = 0, numeric = 0;
  int checked = 0;  // derivatives compared
  std::string
      cause{};  // a sentence, where the layer breaks a rule of memory; then worst is infinite
  bool ok(double tolerance = 1e-6) const { return checked > 0 && worst <= tolerance; }
};

/// For people: "weight: backward says 2, differences say 1", or the rule that was broken.
inline std::string to_string(const GradientCheck& check) {
  if (!check.cause.empty()) return check.where + ": " + check.cause;
  if (check.checked == 0) return "nothing was compared";
  char numbers[120];
  std::snprintf(numbers, sizeof numbers, ": backward says %.9g, differences say %.9g",
                check.analytic, check.numeric);
  return check.where + numbers + ", the worst of " + std::to_string(check.checked) + " derivatives";
}

/// What the check is made with; the defaults are for small layers.
struct GradientCheckOptions {
  Rows rows{2, 3};
  std::uint64_t seed = 1;
  int tokens_below = 2;  // ids are drawn from [0, tokens_below) when Input is Tokens
  int most_each = 40;    // of a parameter, and of the input, fewer than twice as many are checked
};

namespace detail {
/// df / dx by central differences of fourth order; x is put back.
template <class F> double derivative(double& x, F f) {
  const double kept = x, h = 1e-5;
  const auto at = [&](double value) {
    x = value;
    return f();
  };
  const double slope =
      (8 * (at(kept + h) - at(kept - h)) - (at(kept + 2 * h) - at(kept - 2 * h))) / (12 * h);
  x = kept;
  return slope;
}
/// Notes one derivative of what `where` names, by backward and by differences, if it is the worst.
inline void compare(GradientCheck& check, double analytic, double numeric,
                    const std::string& where) {
  const double error =
      std::abs(analytic - numeric) / std::max({1.0, std::abs(analytic), std::abs(numeric)});
  ++check.checked;
  if (error > check.worst || std::isnan(error))
    check = {std::isnan(error) ? HUGE_VAL : error, where, analytic, numeric, check.checked, {}};
}
/// Notes a rule that `where` breaks.
inline void fail(GradientCheck& check, const std::string& where, const char* cause) {
  check.worst = HUGE_VAL;
  check.where = where;
  check.cause = cause;
}
}  // namespace detail

}  // namespace cohort
