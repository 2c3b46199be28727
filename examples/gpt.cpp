// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt.cpp: trains a small GPT on any text file and prints a sample. Try: gpt --data FILE --ranks 2
#include "gpt_training.hpp"

using namespace cohort;

using Run = Trainer<example::Model, nn::CrossEntropy, DataParallel<Replicate>, ClipGradNorm,
                    optim::AdamW, optim::WarmupCosine>;

int main(int argc, char** argv) { return example::gpt_main<Run>(argc, argv); }
