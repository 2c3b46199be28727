// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// cohort/ops/default_gemm.hpp: the matrix product that runs use unless told otherwise.
#pragma once
#include <cohort/ops/gemm_tiled.hpp>
#include <cohort/ops/matmul.hpp>

/// Our own tiles: no library, no threads, no heap, the same bits for a row whatever the batch around it
/// (docs/decisions/0001-gemm-backends.md compares it with Eigen and oneDNN).
struct cohort::DefaultGemm : cohort::TiledGemm {};
