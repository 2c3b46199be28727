// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/cuda.hpp: everything for GPUs: cohort.hpp, the CUDA bodies of ops, and runs on the device Cuda.
// For files that nvcc compiles.
#pragma once
#include <cohort/cohort.hpp>

// The device.
#include <cohort/device/cuda/context.hpp>
#include <cohort/device/cuda/device.hpp>
#include <cohort/device/cuda/event.hpp>
#include <cohort/device/cuda/launch.hpp>
#include <cohort/device/cuda/stream.hpp>

// Bodies of ops.
#include <cohort/ops/cuda/activation.hpp>
#include <cohort/ops/cuda/adam.hpp>
#include <cohort/ops/cuda/adamw.hpp>
#include <cohort/ops/cuda/attention.hpp>
#include <cohort/ops/cuda/average.hpp>
#include <cohort/ops/cuda/batch_norm.hpp>
#include <cohort/ops/cuda/column_sum.hpp>
#include <cohort/ops/cuda/convert.hpp>
#include <cohort/ops/cuda/cross_entropy.hpp>
#include <cohort/ops/cuda/dropout.hpp>
#include <cohort/ops/cuda/elementwise.hpp>
#include <cohort/ops/cuda/embedding.hpp>
#include <cohort/ops/cuda/grad_norm.hpp>
#include <cohort/ops/cuda/layer_norm.hpp>
#include <cohort/ops/cuda/linear.hpp>
#include <cohort/ops/cuda/matmul.hpp>
#include <cohort/ops/cuda/mean_squared_error.hpp>
#include <cohort/ops/cuda/pair_sums.hpp>
#include <cohort/ops/cuda/position.hpp>
#include <cohort/ops/cuda/rms_norm.hpp>
#include <cohort/ops/cuda/rope.hpp>
#include <cohort/ops/cuda/sgd.hpp>
#include <cohort/ops/cuda/swiglu.hpp>

// Runs.
#include <cohort/comm/shared_gpu.hpp>
#include <cohort/run/cuda/capture.hpp>
#include <cohort/run/cuda/finish.hpp>
#include <cohort/run/cuda/inputs.hpp>
