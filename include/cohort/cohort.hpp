// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/cohort.hpp: everything for CPU use, in reading order. Backends are added by their own
// umbrellas.
#pragma once
#include <cohort/version.hpp>

// Say what a layer is.
#include <cohort/concepts/layer.hpp>
#include <cohort/concepts/loss.hpp>

// Built-in layers and losses.
#include <cohort/nn/activations.hpp>
#include <cohort/nn/attention.hpp>
#include <cohort/nn/batch_norm.hpp>
#include <cohort/nn/checkpointed.hpp>
#include <cohort/nn/dropout.hpp>
#include <cohort/nn/embedding.hpp>
#include <cohort/nn/frozen.hpp>
#include <cohort/nn/layer_norm.hpp>
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/nn/repeat.hpp>
#include <cohort/nn/residual.hpp>
#include <cohort/nn/rms_norm.hpp>
#include <cohort/nn/sequential.hpp>
#include <cohort/nn/swiglu.hpp>

// Name the strategy, read the plan, run it.
#include <cohort/optim/adam.hpp>
#include <cohort/optim/adamw.hpp>
#include <cohort/optim/sgd.hpp>
#include <cohort/optim/warmup_cosine.hpp>
#include <cohort/plan/print.hpp>
#include <cohort/run/check_gradients.hpp>
#include <cohort/trainer.hpp>

// Ranks.
#include <cohort/comm/recorder.hpp>
#include <cohort/comm/threads.hpp>
#include <cohort/launch.hpp>
