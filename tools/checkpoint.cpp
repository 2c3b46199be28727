// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tools/checkpoint.cpp: cohort-checkpoint: looks at checkpoints, checks them, and turns them into weight files.
#include "checkpoint.hpp"

#include <unistd.h>

#include "checkpoint_arguments.hpp"

namespace {

/// A line on a terminal that says how far it is; nothing elsewhere.
tools::Progress percent(const char* word) {
  if (!::isatty(2)) return {};
  return [word, shown = std::uint64_t{101}](std::uint64_t done, std::uint64_t all) mutable {
    const std::uint64_t now = all == 0
                                  ? 100
                                  : static_cast<std::uint64_t>(100.0 * static_cast<double>(done) /
                                                               static_cast<double>(all));
    if (now == shown) return;
    shown = now;
    std::fprintf(stderr, "\r%s %3d %%%s", word, static_cast<int>(now),
                 now == 100 ? "\r\033[K" : "");
  };
}

int check(const tools::Arguments& arguments) {
  const auto checkpoint = cohort::io::CheckpointDirectory::resolve(arguments.directory);
  const std::vector<std::string> wrong = tools::check(checkpoint, percent("reading"));
  for (const std::string& sentence : wrong) std::fprintf(stderr, "damaged: %s\n", sentence.c_str());
  if (wrong.empty()) std::printf("%s: every byte is as it was written\n", checkpoint.c_str());
  return wrong.empty() ? 0 : 1;
}

int full(const tools::Arguments& arguments) {
  cohort::FullOptions options;
  options.max_file_bytes = arguments.max_file_bytes;
  if (!arguments.type.empty()) options.type = cohort::io::stored_type(arguments.type);
  tools::Full full(cohort::io::CheckpointDirectory::resolve(arguments.directory), arguments.file,
                   options);
  full.write(percent("writing"));
  for (const auto& path : full.written()) std::printf("%s\n", path.c_str());
  if (full.written().size() > 1) std::printf("%s.index.json\n", arguments.file.c_str());
  std::printf("%zu parameters, %s bytes\n", full.num_parameters(),
              tools::grouped(full.files().bytes).c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const tools::Arguments arguments = tools::read_arguments(argc, argv);
  try {
    if (arguments.command == "check") return check(arguments);
    if (arguments.command == "full") return full(arguments);
    std::fputs(tools::info(arguments.directory).c_str(), stdout);
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
