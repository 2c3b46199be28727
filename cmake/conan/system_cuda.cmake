# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# cmake/conan/system_cuda.cmake: the Conan package's cohort::cuda with the system's CUDA; cohort::nccl where NCCL is.
include(CMakeFindDependencyMacro)
find_dependency(CUDAToolkit 12.4)
# CMake below 3.26 has no cuda_std_20. Kernels call our constexpr functions. nvcc warns of Eigen's
# functions though they are system headers.
target_compile_options(cohort::cuda INTERFACE
  "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20;--expt-relaxed-constexpr;-diag-suppress=20012,20015,20014,20011>")
target_link_libraries(cohort::cuda INTERFACE CUDA::cudart CUDA::cublasLt)

include(${CMAKE_CURRENT_LIST_DIR}/FindNccl.cmake)
if(TARGET cohort_nccl_library AND NOT TARGET cohort::nccl)
  add_library(cohort::nccl INTERFACE IMPORTED)
  target_link_libraries(cohort::nccl INTERFACE cohort::cuda cohort_nccl_library)
  if(TARGET cohort::mpi)
    add_library(cohort::nccl_mpi INTERFACE IMPORTED)
    target_link_libraries(cohort::nccl_mpi INTERFACE cohort::nccl cohort::mpi)
  endif()
endif()
