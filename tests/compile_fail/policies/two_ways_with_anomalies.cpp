// expect-error: cohort: two policies fill one slot
// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// tests/compile_fail/policies/two_ways_with_anomalies.cpp: looking for a NaN and not looking for it.
#include <cohort/nn/linear.hpp>
#include <cohort/nn/losses.hpp>
#include <cohort/trainer.hpp>

using namespace cohort;

#ifdef VALID
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, DetectAnomaly>;
#else
using Run = Trainer<nn::Linear<3, 2>, nn::MeanSquaredError<2>, DetectAnomaly, IgnoreAnomalies>;
#endif
static_assert(Run::plan.layout.num_params > 0);
