// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt_bf16.cpp: the gpt example in bf16, fully sharded: one more policy, nothing else changes.
#include "gpt_training.hpp"

using namespace cohort;

using Run = Trainer<example::Model, nn::CrossEntropy, DataParallel<FullShard>,
                    MixedPrecision<bf16, fp32>, ClipGradNorm, optim::AdamW, optim::WarmupCosine>;

int main(int argc, char** argv) { return example::gpt_main<Run>(argc, argv); }
