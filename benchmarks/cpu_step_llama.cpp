// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/cpu_step_llama.cpp: one training step of a Llama of that size: its blocks are not computed again.
#include "../examples/llama_model.hpp"
#include "cpu_step.hpp"

namespace {
namespace nn = cohort::nn;
using Llama =
    nn::Sequential<nn::Embedding<65, 128>, nn::Repeat<4, example::LlamaBlock<128, 4, 2, 32, 352>>,
                   nn::RmsNorm<128>, nn::Linear<128, 65, nn::NoBias>>;
}  // namespace

int main(int argc, char** argv) { return bench::serve_cpu_step<Llama>(argc, argv); }
