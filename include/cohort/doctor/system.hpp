// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/doctor/system.hpp: where a check-up looks: files below a root, variables, a directory. Tests give their own.
#pragma once
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cohort::checkup {

/// The variables of a process, as they were when this was made.
class Environment {
 public:
  using Variables = std::map<std::string, std::string, std::less<>>;

  Environment(Variables variables) : variables_(std::move(variables)) {}

  static Environment of_this_process() {
    Variables variables;
    for (char** each = environ; each != nullptr && *each != nullptr; ++each) {
      const std::string_view text(*each);
      const std::size_t equals = text.find('=');
      if (equals == text.npos) continue;
      variables.emplace(text.substr(0, equals), text.substr(equals + 1));
    }
    return variables;
  }

  /// The value, or nullptr: what launchers() and the like ask for.
  const char* operator()(std::string_view name) const {
    const auto found = variables_.find(name);
    return found == variables_.end() ? nullptr : found->second.c_str();
  }
  /// The same as a text; empty where it is not set.
  std::string_view text(std::string_view name) const {
    const char* value = (*this)(name);
    return value == nullptr ? std::string_view() : value;
  }
  const Variables& all() const { return variables_; }

 private:
  Variables variables_;
};

/// What a check-up looks at.
struct System {
  std::filesystem::path root = "/";  // proc, sys and usr are below it
  Environment environment = Environment::of_this_process();
  std::filesystem::path directory = ".";  // where checkpoints would go
};

/// The text without white space at its ends.
inline std::string_view trimmed(std::string_view text) {
  constexpr std::string_view space = " \t\r\n";
  const std::size_t begin = text.find_first_not_of(space);
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(space) - begin + 1);
}

/// The parts between separators, trimmed, empty ones left out.
inline std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(separator), text.size());
    if (const auto part = trimmed(text.substr(0, end)); !part.empty()) parts.emplace_back(part);
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return parts;
}

/// A whole number in plain digits, or nothing.
inline std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

/// The head of a file below the root, at most a megabyte of it; nothing if it cannot be read.
inline std::optional<std::string> read(const System& system, std::string_view path) {
  constexpr std::size_t most = 1 << 20;
  const std::filesystem::path file = system.root / std::filesystem::path(path).relative_path();
  std::error_code ignored;
  if (std::filesystem::is_directory(file, ignored)) return {};
  std::ifstream in(file, std::ios::binary);
  if (!in) return {};
  std::string text(most, '\0');
  in.read(text.data(), static_cast<std::streamsize>(most));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (in.bad()) return {};
  return text;
}
/// Its text without the newline at the end; empty if it cannot be read.
inline std::string read_line(const System& system, std::string_view path) {
  const auto text = read(system, path);
  return text ? std::string(trimmed(*text)) : std::string();
}

/// What follows "name:" or "name =" at the head of a line, as /proc has it; empty if there is no such line.
inline std::string field(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.starts_with(name)) continue;
    line = trimmed(line.substr(name.size()));
    if (line.starts_with(':') || line.starts_with('=')) return std::string(trimmed(line.substr(1)));
  }
  return {};
}

/// The names in a directory below the root, in order; empty if it cannot be read.
inline std::vector<std::string> names_in(const System& system, std::string_view path) {
  std::vector<std::string> names;
  std::error_code error;
  std::filesystem::directory_iterator each(
      system.root / std::filesystem::path(path).relative_path(), error);
  for (; !error && each != std::filesystem::directory_iterator(); each.increment(error))
    names.push_back(each->path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

/// The numbers of a list as the kernel writes it: "0-3,8"; empty if it is none.
inline std::vector<int> number_list(std::string_view text) {
  std::vector<int> numbers;
  for (const std::string& part : split(text, ',')) {
    const std::size_t dash = part.find('-');
    const auto low = number(std::string_view(part).substr(0, dash));
    const auto high = dash == part.npos ? low : number(std::string_view(part).substr(dash + 1));
    if (!low || !high || *high < *low || *high > 1'000'000) return {};
    for (std::uint64_t n = *low; n <= *high; ++n) numbers.push_back(static_cast<int>(n));
  }
  return numbers;
}

}  // namespace cohort::checkup
