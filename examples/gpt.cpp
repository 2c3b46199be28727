// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt.cpp: trains a small GPT on any text file and prints a sample. Try: gpt --data FILE --ranks 2
#include "gpt_run.hpp"
#include "gpt_training.hpp"

int main(int argc, char** argv) { return example::gpt_main<example::GptRun>(argc, argv); }
