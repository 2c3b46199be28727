// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/hyperparameter_search_arguments.cpp: the search's command line, apart: the parser's header is long.
#include "hyperparameter_search_arguments.hpp"

#include <CLI/CLI.hpp>

example::SearchArguments example::search_arguments(int argc, char** argv) {
  SearchArguments a;
  CLI::App app("Tries learning rates, each on a group of ranks of its own, and reports the best.");
  app.add_option("--ranks", a.ranks, "ranks: 4 where they are threads, else what mpirun started")
      ->check(CLI::Range(1, 1024));
  app.add_option("--groups", a.groups, "equal groups that the ranks are split into")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  app.add_option("--lr", a.rates, "learning rates to try, dealt out to the groups in turn")
      ->capture_default_str()
      ->check(CLI::Range(1e-9, 1e9));
  app.add_option("--steps", a.steps, "optimizer steps for each")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000'000));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    std::exit(app.exit(e));
  }
  return a;
}
