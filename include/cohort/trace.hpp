// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/trace.hpp: what run.write_trace() takes beside cohort.hpp.
#pragma once
#include <cohort/run/trace_file.hpp>
