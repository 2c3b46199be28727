// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tools/checkpoint_arguments.cpp: the command line of cohort-checkpoint, in a file of its own: the parser's header
// takes as long to compile as the rest.
#include "checkpoint_arguments.hpp"

#include <CLI/CLI.hpp>

tools::Arguments tools::read_arguments(int argc, char** argv) {
  Arguments a;
  CLI::App app(
      "Looks at a checkpoint that a cohort program saved, checks it, or makes weights for other "
      "tools of it.");
  app.require_subcommand(1);
  app.footer(
      "DIR is a checkpoint (.../step-00001000) or a directory of them, whose latest is taken.\n"
      "The exit code is 0, 1 after an error or for a damaged checkpoint, more for a wrong command "
      "line.");
  const auto command = [&](const char* name, const char* what) {
    CLI::App* sub = app.add_subcommand(name, what);
    sub->add_option("DIR", a.directory, "checkpoint, or directory of checkpoints")->required();
    sub->callback([&a, name] { a.command = name; });
    return sub;
  };
  command("info", "What it holds: step, ranks, parameters with shapes and types, facts");
  command("check", "Reads every byte and compares it with its hash");
  CLI::App* full = command(
      "full", "Writes all parameters as one safetensors file, or as numbered ones with an index");
  full->add_option(
          "FILE", a.file,
          "model.safetensors, or where numbered files go: model-00001-of-00002.safetensors, ...")
      ->required();
  full->add_option("--max-file-bytes", a.max_file_bytes,
                   "begin another file after so many bytes; 0: one file")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
  full->add_option("--type", a.type, "round to this type; else the type they were trained in")
      ->check(CLI::IsMember({"F32", "BF16", "F16", "F64"}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    std::exit(app.exit(e));
  }
  return a;
}
