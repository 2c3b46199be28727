// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/nvtx.hpp: what the policy Nvtx takes beside cohort.hpp or cuda.hpp: the headers of NVTX 3.
#pragma once
#include <cohort/run/cuda/nvtx.hpp>
