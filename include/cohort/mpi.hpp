// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/mpi.hpp: cohort.hpp and worlds of MPI processes: launch<Mpi>. Link cohort::mpi.
#pragma once
#include <cohort/cohort.hpp>
#include <cohort/comm/mpi.hpp>
