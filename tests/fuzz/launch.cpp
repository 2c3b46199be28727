// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/fuzz/launch.cpp: any command line and environment gives a world that can be, or one sentence.
#include <cohort/comm/launch_options.hpp>
#include <cohort/comm/launcher_environment.hpp>

#include <map>
#include <vector>

#include "fuzz.hpp"

using namespace cohort;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Bytes bytes(data, size);
  std::vector<std::string> words{"program"};
  for (int n = bytes.below(5); n > 0; --n) {
    const int kind = bytes.below(4);
    const std::string text = bytes.text(static_cast<std::size_t>(bytes.below(12)));
    const std::string clean = text.substr(0, text.find('\0'));
    words.push_back(kind == 0 ? "--ranks" : kind == 1 ? "--ranks=" + clean : clean);
  }
  std::vector<const char*> argv;
  for (const auto& word : words) argv.push_back(word.c_str());
  refuses_only_with<InvalidInput>([&] {
    const LaunchOptions o =
        detail::checked(detail::parse_launch_options(static_cast<int>(argv.size()), argv.data()));
    must(o.ranks >= 1 && o.ranks <= detail::max_ranks);
  });

  std::map<std::string, std::string> environment;
  for (const auto& names : detail::launcher_variables) {
    for (const char* variable : {names.rank, names.size, names.local_rank, names.local_size}) {
      if (variable == nullptr || bytes.below(2) == 0) continue;
      std::string text = bytes.text(static_cast<std::size_t>(bytes.below(5)));
      if (bytes.below(2)) text = std::to_string(bytes.below(5));  // often a likely number
      environment[variable] = text.substr(0, text.find('\0'));
    }
  }
  if (bytes.below(2)) environment["SLURM_STEP_ID"] = "0";
  refuses_only_with<InvalidInput>([&] {
    const auto all = launchers([&](const char* variable) {
      const auto found = environment.find(variable);
      return found == environment.end() ? nullptr : found->second.c_str();
    });
    for (const Launcher& l : all) {
      must(l.size >= 1 && l.rank >= 0 && l.rank < l.size);
      must(std::string(name(l.kind)).size() > 2);
    }
  });
  return 0;
}
