# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# cmake/Needs.cmake: what each component needs of the machine, for messages to whoever asked for it.
set(cohort_needs_cohort "Eigen >= 3.4 (Debian: libeigen3-dev) and threads")
set(cohort_needs_onednn "oneDNN (dnnl.h and libdnnl; Debian: libdnnl-dev)")
set(cohort_needs_mpi "MPI for C (Debian: libopenmpi-dev) and a project with LANGUAGES C CXX")
set(cohort_needs_cuda "CUDA >= 12.4 with cudart and cublasLt (CUDAToolkit_ROOT says where)")
set(cohort_needs_nccl "NCCL (nccl.h and libnccl; the variable NCCL_ROOT says where) besides cohort::cuda")
set(cohort_needs_nccl_mpi "cohort::nccl and cohort::mpi")
