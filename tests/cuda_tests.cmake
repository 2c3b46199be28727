# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/cuda_tests.cmake: the doubles of CUDA and NCCL, and how a test executable is built against them.
set(cuda_test_pattern "(^|/)cuda/|cuda_double|(^|/)(nccl|shared_gpu)")

# cohort_cuda_double and cohort_nccl_double, where the headers of CUDA and NCCL are found.
if(COHORT_CUDA AND CUDAToolkit_FOUND)
  set(cuda_system_dirs ${CUDAToolkit_INCLUDE_DIRS} ${COHORT_NCCL_INCLUDE_DIR})
  foreach(library IN ITEMS cuda nccl)
    file(GLOB sources CONFIGURE_DEPENDS support/${library}_double/*.cpp)
    list(FILTER sources EXCLUDE REGEX "_test\\.cpp$")
    if(sources AND (library STREQUAL "cuda" OR COHORT_NCCL_INCLUDE_DIR))
      add_library(cohort_${library}_double OBJECT ${sources})
      target_include_directories(cohort_${library}_double BEFORE PRIVATE support/cuda_double)
      target_include_directories(cohort_${library}_double SYSTEM PRIVATE ${cuda_system_dirs})
      target_link_libraries(cohort_${library}_double PRIVATE cohort_test_base)
      target_compile_options(cohort_${library}_double PRIVATE ${quick_options})
    endif()
  endforeach()
endif()

# The double's launch.hpp stands before ours; the runtimes are linked instead of CUDA's and NCCL's.
function(use_cuda_doubles target)
  target_include_directories(${target} BEFORE PRIVATE support/cuda_double)
  target_include_directories(${target} SYSTEM PRIVATE ${cuda_system_dirs})
  target_link_libraries(${target} PRIVATE cohort_cuda_double)
  if(TARGET cohort_nccl_double)
    target_link_libraries(${target} PRIVATE cohort_nccl_double)
  endif()
endfunction()
