// expect-error: cohort: the body of TiedEmbedding<V, C, Body> must take and give Features<C>.
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/nn/tied_embedding_body.cpp: a body of another width.
#include <cohort/nn/embedding.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Model = nn::TiedEmbedding<10, 4, nn::Linear<4, 4>>;
#else
using Model = nn::TiedEmbedding<10, 4, nn::Linear<4, 3>>;
#endif
using Run = Trainer<Model, nn::CrossEntropy>;
constexpr auto plan = Run::plan;
