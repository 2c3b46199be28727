// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/hyperparameter_search_arguments.hpp: what the search reads from its command line.
#pragma once
#include <vector>

namespace example {

struct SearchArguments {
  int ranks = 0, groups = 2, steps = 200;  // ranks: launch reads them
  std::vector<double> rates = {1e-3, 1e-2, 1e-1, 1e1};
};

/// Reads the command line. Exits with a message where it cannot be read, and for --help.
SearchArguments search_arguments(int argc, char** argv);

}  // namespace example
