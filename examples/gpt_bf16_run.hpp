// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt_bf16_run.hpp: the run of gpt_bf16.cpp as a type.
#pragma once
#include "gpt_model.hpp"

namespace example {

using GptBf16Run =
    cohort::Trainer<Model, cohort::nn::CrossEntropy, cohort::DataParallel<cohort::FullShard>,
                    cohort::MixedPrecision<cohort::bf16, cohort::fp32>, cohort::ClipGradNorm,
                    cohort::optim::AdamW, cohort::optim::WarmupCosine, cohort::Traced<(1 << 12)>>;

}  // namespace example
