# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/compile_fail/driver/driver_test.cmake: the driver accepts only what it should.
cmake_minimum_required(VERSION 3.24)

# The case must be rejected with `verdict`, or accepted where the verdict is empty.
function(expect case verdict)
  execute_process(COMMAND ${CMAKE_COMMAND} "-DCXX=${CXX}" "-DFLAGS=${FLAGS}" "-DSEEN=${SEEN}"
      "-DSOURCE=${CMAKE_CURRENT_LIST_DIR}/${case}.cpp" -P "${DRIVER}"
    RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE text)
  if(verdict STREQUAL "")
    if(NOT status EQUAL 0)
      message(SEND_ERROR "${case}: rejected, but it is good:\n${text}")
    endif()
  elseif(status EQUAL 0)
    message(SEND_ERROR "${case}: accepted, but it is '${verdict}'")
  elseif(NOT text MATCHES "${verdict}:")
    message(SEND_ERROR "${case}: rejected, but not as '${verdict}':\n${text}")
  endif()
endfunction()

expect(good "")
expect(compiles "compiled")
expect(only_warns "compiled")
expect(wrong_reason "wrong reason")
expect(twin_broken "twin broken")
expect(many_errors "over budget")
expect(many_lines "over budget")
expect(no_sentence "bad test")
