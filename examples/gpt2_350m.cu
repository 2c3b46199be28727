// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt2_350m.cu: GPT-2 350M, replicated
#include "gpt2_training.hpp"

#include <cohort/comm/nccl.hpp>

int main(int argc, char** argv) {
  return example::gpt2_main<cohort::Nccl, example::Gpt2_350M,
                            cohort::DataParallel<cohort::Replicate>>(argc, argv);
}
