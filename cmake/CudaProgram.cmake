# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# cmake/CudaProgram.cmake: a program with .cu files as part of the target cuda_compile.

# At -O3 the host's compiler takes a quarter of nvcc's time, for code that nothing waits for without a GPU. What is
# made for GPUs is the same. tools/test asks for it; examples stay optimised: people run them afterwards.
option(COHORT_QUICK_CUDA "Compile what .cu files run on the CPU at -Og: for tests without a GPU" OFF)

# For the .cu files of the calling folder. (nvcc's own -O3 would come last on the host compiler's command line.)
macro(compile_cuda_quickly)
  if(COHORT_QUICK_CUDA)
    string(REGEX REPLACE "-O[0-9]" "" CMAKE_CUDA_FLAGS_RELEASE "${CMAKE_CUDA_FLAGS_RELEASE}")
    add_compile_options("$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Og>")
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      add_compile_options("$<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=--param=ggc-min-expand=400,--param=ggc-min-heapsize=500000>")
    endif()
  endif()
endmacro()

# Not part of `all`: nvcc takes long, and nothing of it runs without a GPU. ON_DEMAND: not of cuda_compile either,
# only of cuda_compile_all. BF16: not for GPUs below compute capability 8.0, whose matrix units lack it.
function(add_cuda_program target)
  cmake_parse_arguments(PARSE_ARGV 1 program "ON_DEMAND;BF16" "" "")
  add_executable(${target} EXCLUDE_FROM_ALL ${program_UNPARSED_ARGUMENTS})
  if(NOT TARGET cuda_compile_all)
    add_custom_target(cuda_compile_all)
    add_dependencies(cuda_compile_all cuda_compile)
  endif()
  add_dependencies(cuda_compile_all ${target})
  if(NOT program_ON_DEMAND)
    add_dependencies(cuda_compile ${target})
  endif()
  if(program_BF16)
    set(architectures ${CMAKE_CUDA_ARCHITECTURES})
    list(FILTER architectures EXCLUDE REGEX "^[5-7][0-9]")
    if(architectures)
      set_target_properties(${target} PROPERTIES CUDA_ARCHITECTURES "${architectures}")
    endif()
  endif()
  target_link_libraries(${target} PRIVATE cohort::cuda)
  if(TARGET cohort::nccl)
    target_link_libraries(${target} PRIVATE cohort::nccl)
  endif()
endfunction()
