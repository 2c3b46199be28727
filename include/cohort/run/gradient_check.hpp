// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/run/gradient_check.hpp: what a check of gradients takes and what it found, also in words.
#pragma once
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
  int most_each = 40;    // elements checked of each parameter and of the input
};

}  // namespace cohort
