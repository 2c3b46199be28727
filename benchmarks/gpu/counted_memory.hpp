// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// benchmarks/gpu/counted_memory.hpp: how much GPU memory this program's own code holds, seen from outside of it.
#pragma once
#include <cstddef>

namespace bench {

/// Bytes that cudaMalloc gave to code of this program (cohort's headers; not cuBLASLt, NCCL or CUDA itself),
/// now and at the most. Counted by functions that the linker puts in its place (--wrap).
std::size_t counted_bytes();
std::size_t most_counted_bytes();

}  // namespace bench
