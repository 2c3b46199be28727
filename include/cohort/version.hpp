// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/version.hpp: the version, as macros because the preprocessor must be able to ask.
#pragma once
#if __cplusplus < 202002L
#error "cohort: C++20 is needed: compile with -std=c++20 (g++ 12, clang 16, nvcc 12.4, or newer)."
#endif
/// Programs written for another one need work.
#define COHORT_VERSION_MAJOR 0
/// Below 1.0: what the major version is above it.
#define COHORT_VERSION_MINOR 1
/// Programs see no difference.
#define COHORT_VERSION_PATCH 0
