// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt_files.cpp: saving and loading of gpt.cpp's run: a third of the program's code, compiled beside it.
#include "gpt_run.hpp"
#include "gpt_saving_bodies.hpp"

template class example::Saving<example::GptRun::execution<cohort::Threads>>;
