// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt2.cu: GPT-2 124M, replicated: one GPU, or several that each hold it whole. Try: gpt2 --data train.bin
#include "gpt2_training.hpp"

#include <cohort/comm/nccl.hpp>

int main(int argc, char** argv) {
  return example::gpt2_main<cohort::Nccl, example::Gpt2_124M,
                            cohort::DataParallel<cohort::Replicate>>(argc, argv);
}
