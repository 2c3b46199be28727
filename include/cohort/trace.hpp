// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/trace.hpp: what run.write_trace() and write_simulated_trace() take beside cohort.hpp.
#pragma once
#include <cohort/run/simulated_trace.hpp>
#include <cohort/run/trace_file.hpp>
