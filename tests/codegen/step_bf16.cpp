// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/codegen/step_bf16.cpp: step.cpp in bf16, fully sharded. Forming and ending a run may also split channels.
// root: ^\(anonymous namespace\)::one_step\(|CpuStream<.*>::work_of\(void\*\)
// allow: ^(void )?cohort::Threads::(run\(|abort\(|what\[|~Threads\()|^cohort::detail::Channel::~|^cohort::(detail::)?(Execution|CpuStream|Driver)<[^{}]*>::~?(Execution|CpuStream|Driver)\([^{}]*\)( \[.*\])?$|^cohort::(detail::)?(Axes|Sharded(Storage|Memory)|Driver|Execution)<.*>::~?(Axes|Sharded(Storage|Memory)|Driver|Execution)\(|^cohort::Threads::(Move::~Move|regroup|split|members)\(|^cohort::RunState<.*>::(end_saves|~RunState)\(|^(void )?cohort::detail::initialise<|__gnu_cxx::__to_xstring<
#include "step_model.hpp"

namespace {
using Run = Trainer<Model, nn::CrossEntropy, DataParallel<FullShard>, MixedPrecision<bf16, fp32>,
                    GradAccum<2>, ClipGradNorm, optim::AdamW, optim::WarmupCosine>;
}  // namespace

#include "step_main.hpp"
