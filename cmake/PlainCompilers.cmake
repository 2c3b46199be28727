# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# cmake/PlainCompilers.cmake: compilers and options for tests that call a compiler directly.
#
# COHORT_CLANG is a clang++ >= 16 (the oldest found: it knows least), or empty.
if(NOT DEFINED CACHE{COHORT_CLANG})
  set(found "")
  foreach(name clang++-16 clang++-17 clang++-18 clang++-19 clang++-20 clang++-21 clang++)
    find_program(candidate ${name} NO_CACHE)
    if(candidate)
      execute_process(COMMAND ${candidate} -dumpversion OUTPUT_VARIABLE version
        OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
      if(version VERSION_GREATER_EQUAL 16)
        set(found "${candidate}")
        break()
      endif()
    endif()
    unset(candidate)
  endforeach()
  set(COHORT_CLANG "${found}" CACHE FILEPATH "clang++ >= 16 for the tests of messages and headers")
endif()

# The options a compiler needs to see cohort's headers outside a cmake target, as a list.
get_target_property(eigen_include_dirs Eigen3::Eigen INTERFACE_INCLUDE_DIRECTORIES)
set(COHORT_PLAIN_FLAGS -std=c++20 -pthread -I${PROJECT_SOURCE_DIR}/include)
foreach(dir IN LISTS eigen_include_dirs)
  list(APPEND COHORT_PLAIN_FLAGS -isystem${dir})
endforeach()
