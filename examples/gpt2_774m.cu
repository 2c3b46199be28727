// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt2_774m.cu: GPT-2 774M, its optimizer sharded
#include "gpt2_training.hpp"

#include <cohort/comm/nccl.hpp>

int main(int argc, char** argv) {
  return example::gpt2_main<cohort::Nccl, example::Gpt2_774M,
                            cohort::DataParallel<cohort::ShardOptimizer>>(argc, argv);
}
