// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/report.hpp: findings as a table for people, and as JSON for machines.
#pragma once
#include <algorithm>
#include <cohort/doctor/finding.hpp>
#include <cohort/io/metrics.hpp>
#include <cohort/io/utf8.hpp>
#include <cohort/version.hpp>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace cohort {

/// width: columns of the terminal; 0: lines are not wrapped.
struct ReportOptions {
  int width = 0;
  bool colour = false;
};

namespace checkup::detail {

/// The text, further lines indented, no line wider than the width where words allow it.
inline std::string wrapped(std::string_view text, std::size_t indent, std::size_t width) {
  std::string out;
  std::size_t column = indent;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    const std::string_view word = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (column > indent && width > 0 && column + 1 + word.size() > width) {
      out.append(1, '\n').append(indent, ' ');
      column = indent;
    } else if (column > indent) {
      out += ' ';
      ++column;
    }
    out += word;
    column += word.size();
  }
  return out;
}

inline std::string_view colour_of(Verdict verdict) {
  constexpr std::string_view codes[] = {"\033[32m", "\033[36m", "\033[33m", "\033[1;31m"};
  return codes[static_cast<int>(verdict)];
}

/// Without what a terminal would obey or not understand.
inline std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto byte = static_cast<unsigned char>(text[0]);
    const std::size_t n = byte < 0x80 ? std::size_t{1} : io::utf8_length(text);
    if (n == 0 || byte < 0x20 || byte == 0x7f)
      out += '?';
    else
      out += text.substr(0, n);
    text.remove_prefix(std::max<std::size_t>(n, 1));
  }
  return out;
}

inline int count(const std::vector<Finding>& findings, Verdict verdict) {
  return static_cast<int>(std::count_if(findings.begin(), findings.end(),
                                        [&](const Finding& f) { return f.verdict == verdict; }));
}

}  // namespace checkup::detail

/// A block for each area, in it a line for each finding and its fix below it; last a line that counts.
inline std::string report(const std::vector<Finding>& findings, ReportOptions options = {}) {
  using checkup::counted, checkup::phrase;
  using checkup::detail::colour_of, checkup::detail::count, checkup::detail::printable,
      checkup::detail::wrapped;
  constexpr std::size_t verdict_width = 9, indent = 2 + verdict_width;
  std::size_t names = 0;
  for (const Finding& f : findings) names = std::max(names, f.name.size());
  const auto width = static_cast<std::size_t>(std::max(0, options.width));
  const bool narrow = width > 0 && width < 72;  // no column of names
  std::string out, area;
  for (const Finding& f : findings) {
    if (f.area != area) out.append(out.empty() ? "" : "\n").append(area = f.area).append("\n");
    const std::string_view verdict = name(f.verdict);
    out += "  ";
    if (options.colour) out += colour_of(f.verdict);
    out += verdict;
    if (options.colour) out += "\033[0m";
    out.append(verdict_width - verdict.size(), ' ');
    if (narrow) {
      out += wrapped(printable(f.name + ": " + f.found), indent, width);
    } else {
      out.append(printable(f.name)).append(names + 2 - f.name.size(), ' ');
      out += wrapped(printable(f.found), indent + names + 2, width);
    }
    out += '\n';
    if (!f.fix.empty())
      out.append(indent, ' ')
          .append("-> ")
          .append(wrapped(printable(f.fix), indent + 3, width))
          .append("\n");
  }
  const int problems = count(findings, Verdict::problem);
  const int warnings = count(findings, Verdict::warning);
  return out.append("\n").append(
             wrapped(phrase(problems == 0 ? "no problem" : counted(problems, "problem"), ", ",
                            counted(warnings, "warning"), ", ",
                            counted(count(findings, Verdict::note), "note"),
                            problems + warnings == 0 ? "" : ": what to do stands behind ->"),
                     0, width)) +
         "\n";
}

/// One JSON object: {"cohort": "0.1.0", "worst": "note", "findings": [{"area": ..., "name": ...,
/// "verdict": ..., "found": ..., "fix": ...}, ...]}.
inline std::string report_json(const std::vector<Finding>& findings) {
  std::string out =
      "{\"cohort\": \"" +
      checkup::phrase(COHORT_VERSION_MAJOR, ".", COHORT_VERSION_MINOR, ".", COHORT_VERSION_PATCH) +
      "\", \"worst\": \"";
  out.append(name(worst(findings))).append("\", \"findings\": [");
  bool first = true;
  for (const Finding& f : findings) {
    out += first ? "\n  " : ",\n  ";
    first = false;
    out += io::json({{"area", f.area},
                     {"name", f.name},
                     {"verdict", name(f.verdict)},
                     {"found", f.found},
                     {"fix", f.fix}});
  }
  return out + "\n]}\n";
}

}  // namespace cohort
