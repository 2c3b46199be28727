# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# cmake/Cuda.cmake: what the machine has of CUDA, and which headers belong to cohort::cuda and cohort::nccl.
#
# After this file: CUDAToolkit_FOUND and CUDA::cudart, CUDA::cublasLt where CUDA's headers and libraries
# are; CMAKE_CUDA_COMPILER where our own .cu files can be compiled; cohort_nccl_library where NCCL is.
if(COHORT_CUDA AND PROJECT_IS_TOP_LEVEL AND NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES AND NOT DEFINED ENV{CUDAARCHS})
    # That of this machine's GPU; without one, Hopper.
    execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
      OUTPUT_VARIABLE capability ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
    string(REGEX MATCH "^[0-9]+\\.[0-9]" capability "${capability}")
    string(REPLACE "." "" capability "${capability}")
    if(NOT capability)
      set(capability 90)
    endif()
    set(CMAKE_CUDA_ARCHITECTURES ${capability} CACHE STRING "GPUs to compile for")
  endif()
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    enable_language(CUDA)
    set(CMAKE_CUDA_RUNTIME_LIBRARY Shared)
  endif()
endif()
if(COHORT_CUDA)
  find_package(CUDAToolkit 12.4)
  include(${CMAKE_CURRENT_LIST_DIR}/FindNccl.cmake)
endif()

# Headers that need CUDA, of which those that launch kernels (whatever includes launch.hpp, however
# indirectly) are for .cu files; those named nccl need NCCL too.
function(sort_cuda_headers)
  set(cuda ${headers})
  list(FILTER cuda INCLUDE REGEX "/cohort/.*(cuda|nccl|shared_gpu|nvtx)")
  set(kernels "")
  set(found "device/cuda/launch.hpp")
  while(found)
    string(REPLACE ";" "|" pattern "${found}")
    string(REPLACE "." "\\." pattern "${pattern}")
    set(found "")
    foreach(header IN LISTS cuda)
      if(NOT header IN_LIST kernels)
        file(STRINGS "${header}" line LIMIT_COUNT 1 REGEX "^#include <cohort/(${pattern})>")
        if(line OR header MATCHES "/device/cuda/launch\\.hpp$")
          list(APPEND kernels "${header}")
          string(REGEX REPLACE "^.*/include/cohort/" "" short "${header}")
          list(APPEND found "${short}")
        endif()
      endif()
    endforeach()
  endwhile()
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${cuda})
  set(nccl ${cuda})
  list(FILTER nccl INCLUDE REGEX "nccl")
  list(REMOVE_ITEM cuda ${nccl} "")
  set(nccl_kernels ${nccl})
  list(REMOVE_ITEM nccl ${kernels} "")
  list(REMOVE_ITEM nccl_kernels ${nccl} "")
  list(REMOVE_ITEM cuda ${kernels} "")
  list(REMOVE_ITEM kernels ${nccl_kernels} "")
  set(cuda_headers ${cuda} PARENT_SCOPE)             # for any compiler
  set(cuda_kernel_headers ${kernels} PARENT_SCOPE)   # for nvcc
  set(nccl_headers ${nccl} PARENT_SCOPE)
  set(nccl_kernel_headers ${nccl_kernels} PARENT_SCOPE)
endfunction()
