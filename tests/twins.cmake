# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/twins.cmake: every include/cohort/X/y.hpp has its tests/X/y_test.cpp.

# Headers that only include others and so have nothing of their own to test.
set(HEADERS_WITHOUT_TEST checkpoint.hpp cohort.hpp cuda.hpp mpi.hpp nccl.hpp nvtx.hpp trace.hpp)

function(require_test_twins include_dir test_dir)
  file(GLOB_RECURSE headers CONFIGURE_DEPENDS RELATIVE "${include_dir}" "${include_dir}/*.hpp")
  file(GLOB_RECURSE tests CONFIGURE_DEPENDS RELATIVE "${test_dir}" "${test_dir}/*_test.cpp")
  set(missing "")
  foreach(header IN LISTS headers)
    string(REGEX REPLACE "\\.hpp$" "_test.cpp" twin "${header}")
    if(NOT twin IN_LIST tests AND NOT header IN_LIST HEADERS_WITHOUT_TEST)
      string(APPEND missing "\n  tests/${twin}  (for include/cohort/${header})")
    endif()
  endforeach()
  if(missing)
    message(FATAL_ERROR "Every header has a test file of its own. Missing:${missing}")
  endif()
endfunction()
