// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt2_1558m.cu: GPT-2 1.6B, fully sharded
#include "gpt2_training.hpp"

#include <cohort/comm/nccl.hpp>

int main(int argc, char** argv) {
  return example::gpt2_main<cohort::Nccl, example::Gpt2_1558M,
                            cohort::DataParallel<cohort::FullShard>>(argc, argv);
}
