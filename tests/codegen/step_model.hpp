// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/codegen/step_model.hpp: the small GPT whose steps are looked at.
#pragma once
#include <cohort/cohort.hpp>

namespace {
using namespace cohort;

using Block = nn::Sequential<nn::Residual<nn::Sequential<nn::LayerNorm<16>, nn::Attention<16, 2>>>,
                             nn::Residual<nn::Sequential<nn::LayerNorm<16>, nn::Linear<16, 32>,
                                                         nn::Gelu<32>, nn::Linear<32, 16>>>>;
using Model = nn::Sequential<nn::Embedding<11, 16>, nn::AddPosition<8, 16>, nn::Repeat<2, Block>,
                             nn::LayerNorm<16>, nn::Linear<16, 11>>;
}  // namespace
