// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/finding.hpp: one line of a check-up: what was looked at, what was found, how bad it is, what helps.
#pragma once
#include <cohort/comm/collective.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cohort {

/// ok: as it should be. note: good to know, often as it should be. warning: training works, but more
/// slowly, or not on several machines. problem: something that was asked for here will fail.
enum class Verdict : std::uint8_t { ok, note, warning, problem };

/// The verdict's word in tables and JSON.
constexpr std::string_view name(Verdict verdict) {
  constexpr std::string_view names[] = {"ok", "note", "warning", "problem"};
  return names[static_cast<int>(verdict)];
}

/// One line of a check-up. The fix is one sentence, empty only where the verdict is ok.
struct Finding {
  std::string area, name, found;
  Verdict verdict = Verdict::ok;
  std::string fix;

  friend bool operator==(const Finding&, const Finding&) = default;
};

/// The worst of them; ok if there are none.
inline Verdict worst(const std::vector<Finding>& findings) {
  Verdict verdict = Verdict::ok;
  for (const Finding& finding : findings) verdict = std::max(verdict, finding.verdict);
  return verdict;
}

namespace checkup {

using cohort::detail::phrase;

/// Collects the findings of one area.
class Findings {
 public:
  explicit Findings(std::string area) : area_(std::move(area)) {}

  void ok(std::string name, std::string found) {
    add(std::move(name), std::move(found), Verdict::ok, "");
  }
  void note(std::string name, std::string found, std::string fix) {
    add(std::move(name), std::move(found), Verdict::note, std::move(fix));
  }
  void warning(std::string name, std::string found, std::string fix) {
    add(std::move(name), std::move(found), Verdict::warning, std::move(fix));
  }
  void problem(std::string name, std::string found, std::string fix) {
    add(std::move(name), std::move(found), Verdict::problem, std::move(fix));
  }
  void add(std::string name, std::string found, Verdict verdict, std::string fix) {
    all_.push_back({area_, std::move(name), std::move(found), verdict, std::move(fix)});
  }

  std::vector<Finding> take() { return std::move(all_); }

 private:
  std::string area_;
  std::vector<Finding> all_;
};

/// "1 core", "2 cores", "2 processes".
inline std::string counted(std::int64_t n, std::string_view one, std::string_view more = "") {
  if (n == 1 || !more.empty()) return phrase(n, " ", n == 1 ? one : more);
  return phrase(n, " ", one, "s");
}

/// Texts with commas between them.
inline std::string listed(const std::vector<std::string>& texts, std::string_view between = ", ") {
  std::string out;
  for (const std::string& text : texts) out.append(out.empty() ? "" : between).append(text);
  return out;
}

}  // namespace checkup
}  // namespace cohort
