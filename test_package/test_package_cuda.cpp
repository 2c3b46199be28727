// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// test_package/test_package_cuda.cpp: the CUDA runtime is found and linked; how many GPUs are here.
#include <cohort/device/cuda/context.hpp>
#include <cstdio>

int main() { std::printf("%d GPUs\n", cohort::cuda::num_gpus()); }
