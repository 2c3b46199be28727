// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/core/readable_bytes.hpp: sizes for people.
#pragma once
#include <cstddef>
#include <cstdio>
#include <string>

namespace cohort {

/// "1.50 MiB", "768 B": bytes as people read them.
inline std::string readable_bytes(std::size_t n) {
  constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(n);
  int unit = 0;
  for (; value >= 1024 && unit < 4; ++unit) value /= 1024;
  char text[32];
  std::snprintf(text, sizeof text, unit == 0 ? "%.0f %s" : "%.2f %s", value, units[unit]);
  return text;
}

}  // namespace cohort
