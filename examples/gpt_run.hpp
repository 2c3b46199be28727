// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt_run.hpp: the run of gpt.cpp as a type.
#pragma once
#include "gpt_model.hpp"

namespace example {

using GptRun =
    cohort::Trainer<Model, cohort::nn::CrossEntropy, cohort::DataParallel<cohort::Replicate>,
                    cohort::ClipGradNorm, cohort::optim::AdamW, cohort::optim::WarmupCosine,
                    cohort::Traced<(1 << 12)>>;

}  // namespace example
