// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/hyperparameter_search.cpp: one learning rate a group of ranks, the best reported. Try: --lr 0.1 0.2 0.4
#include "hyperparameter_search.hpp"

int main(int argc, char** argv) {
  const auto arguments = example::search_arguments(argc, argv);
  const auto search = [&](auto& world) { example::search(world, arguments); };
  return cohort::launch<cohort::Threads>(argc, argv, search, {.ranks = 4});
}
