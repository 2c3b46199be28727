// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: The cohort authors
// examples/gpt2_mpi.cu: GPT-2 124M where MPI starts the processes and introduces them: mpirun -n 8 gpt2_mpi
#include "gpt2_training.hpp"

#include <cohort/comm/nccl_mpi.hpp>

int main(int argc, char** argv) {
  return example::gpt2_main<cohort::NcclMpi, example::Gpt2_124M,
                            cohort::DataParallel<cohort::Replicate>>(argc, argv);
}
