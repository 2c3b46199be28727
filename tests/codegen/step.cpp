// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/codegen/step.cpp: a small GPT's steps on two ranks, each with a worker stream.
//
// Checked: all that a step reaches, on the compute thread (one_step) and on the worker (the function that
// its std::thread is given), and every other function of cohort. Allowed, none of it in a step that succeeds:
// starting and ending ranks, workers and runs (std::thread, shared_ptr; initial values), the what() of a failure, and
// numbers in its text (std::to_string hands vsnprintf on as a pointer).
// root: ^\(anonymous namespace\)::one_step\(|CpuStream<.*>::work_of\(void\*\)
// allow: ^(void )?cohort::Threads::(run\(|abort\(|what\[|~Threads\()|^cohort::detail::Channel::~|^cohort::(detail::)?(Execution|CpuStream|Driver)<[^{}]*>::~?(Execution|CpuStream|Driver)\([^{}]*\)( \[.*\])?$|^cohort::RunState<.*>::(end_saves|~RunState)\(|^(void )?cohort::(detail::initialise<|Execution<.*>::Execution\()|__gnu_cxx::__to_xstring<
#include "step_model.hpp"

namespace {
using Run = Trainer<Model, nn::CrossEntropy, DataParallel<Replicate>, GradAccum<2>, Buckets<4096>,
                    ClipGradNorm, optim::AdamW, optim::WarmupCosine>;
}  // namespace

#include "step_main.hpp"
