// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt_bf16.cpp: the gpt example in bf16, fully sharded: one more policy, nothing else changes.
#include "gpt_bf16_run.hpp"
#include "gpt_training.hpp"

int main(int argc, char** argv) { return example::gpt_main<example::GptBf16Run>(argc, argv); }
