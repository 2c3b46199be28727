// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tools/checkpoint_arguments.hpp: the command line of cohort-checkpoint.
#pragma once
#include "checkpoint.hpp"

namespace tools {

/// Ends the program with a message where the command line cannot be read, and for --help.
Arguments read_arguments(int argc, char** argv);

}  // namespace tools
