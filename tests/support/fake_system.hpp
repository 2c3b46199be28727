// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/support/fake_system.hpp: a machine made of files, for the checks of doctor().
#pragma once
#include <cohort/doctor/finding.hpp>
#include <cohort/doctor/system.hpp>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "temporary_directory.hpp"

namespace cohort::test {

/// No file, no variable, until a test adds them.
class FakeSystem {
 public:
  FakeSystem() : system{dir_.path(), checkup::Environment::Variables(), dir_.path()} {}

  FakeSystem& file(const std::string& path, const std::string& text) {
    const auto at = dir_.path() / std::filesystem::path(path).relative_path();
    std::filesystem::create_directories(at.parent_path());
    std::ofstream(at, std::ios::binary) << text;
    return *this;
  }
  /// An executable file that prints `text`.
  FakeSystem& program(const std::string& path, const std::string& text) {
    file(path, "#!/bin/sh\necho '" + text + "'\n");
    std::filesystem::permissions(dir_.path() / std::filesystem::path(path).relative_path(),
                                 std::filesystem::perms::owner_all);
    return *this;
  }
  FakeSystem& variables(checkup::Environment::Variables all) {
    system.environment = checkup::Environment(std::move(all));
    return *this;
  }
  const std::filesystem::path& path() const { return dir_.path(); }

 private:
  TemporaryDirectory dir_;

 public:
  checkup::System system;
};

/// The finding of this name; one that says there is none.
inline Finding found(const std::vector<Finding>& findings, const std::string& name) {
  for (const Finding& finding : findings)
    if (finding.name == name) return finding;
  return {"", name, "no such finding", Verdict::problem, ""};
}
inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Whatever is not ok says what helps, in a sentence.
inline bool all_say_what_helps(const std::vector<Finding>& findings) {
  for (const Finding& f : findings) {
    if (f.area.empty() || f.name.empty() || f.found.empty()) return false;
    if (f.verdict == Verdict::ok ? !f.fix.empty() : !f.fix.ends_with('.')) return false;
  }
  return !findings.empty();
}

}  // namespace cohort::test
