// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt_bf16_files.cpp: saving and loading of gpt_bf16.cpp's run: a third of the program's code, compiled beside it.
#include "gpt_bf16_run.hpp"
#include "gpt_saving_bodies.hpp"

template class example::Saving<example::GptBf16Run::execution<cohort::Threads>>;
