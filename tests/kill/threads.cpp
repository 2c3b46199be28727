// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/kill/threads.cpp: train.hpp with four threads that share the parameters.
#include "train.hpp"

int main(int argc, char** argv) {
  return victim::program<cohort::FullShard, cohort::Threads>(argc, argv, {.ranks = 4});
}
