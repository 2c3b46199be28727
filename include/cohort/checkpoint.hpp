// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/checkpoint.hpp: what run.save(), run.load(), run.save_full() and run.load_full() take beside cohort.hpp.
#pragma once
#include <cohort/run/state_files.hpp>
