// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt2_full_shard.cu: GPT-2 124M, fully sharded, four micro-batches a step: other policies, same program.
#include "gpt2_training.hpp"

#include <cohort/comm/nccl.hpp>

int main(int argc, char** argv) {
  return example::gpt2_main<cohort::Nccl, example::Gpt2_124M,
                            cohort::DataParallel<cohort::FullShard>, cohort::GradAccum<4>>(argc,
                                                                                           argv);
}
