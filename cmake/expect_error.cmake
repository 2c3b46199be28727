# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# cmake/expect_error.cmake: SOURCE must fail to compile, for the reason on its first line, briefly.
#
# cmake -DCXX=compiler -DFLAGS=flags [-DSEEN=flags] [-DTWIN=OFF] -DSOURCE=file.cpp -P expect_error.cmake
# The first line is "// expect-error: <text>". With -DVALID the file must compile (not asked with TWIN=OFF); without it the
# compiler must fail, print the text, at most 2 "error:" and at most 25 lines. SEEN puts a precompiled
# header before the file; its includes are more lines, so what is then over budget is counted without.
cmake_minimum_required(VERSION 3.24)
separate_arguments(flags UNIX_COMMAND "${FLAGS}")
separate_arguments(seen UNIX_COMMAND "${SEEN}")
file(STRINGS "${SOURCE}" first_line LIMIT_COUNT 1 ENCODING UTF-8)
if(NOT first_line MATCHES "^// expect-error: (.+)$")
  message(FATAL_ERROR "bad test: line 1 of ${SOURCE} is not '// expect-error: <text>'")
endif()
string(STRIP "${CMAKE_MATCH_1}" sentence)
set(ENV{LC_ALL} C)

macro(compile)
  execute_process(COMMAND "${CXX}" ${flags} ${seen} -fsyntax-only -fdiagnostics-color=never ${ARGN} "${SOURCE}"
    RESULT_VARIABLE status OUTPUT_VARIABLE text ERROR_VARIABLE text)
endmacro()

if(NOT DEFINED TWIN OR TWIN)
  compile(-DVALID)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "twin broken: ${SOURCE} does not compile with -DVALID:\n${text}")
  endif()
endif()
compile()
if(status EQUAL 0)
  message(FATAL_ERROR "compiled: ${SOURCE} must not compile without -DVALID")
endif()
string(FIND "${text}" "${sentence}" found)
if(found EQUAL -1)
  message(FATAL_ERROR "wrong reason: '${sentence}' is not what the compiler says:\n${text}")
endif()
macro(count)
  string(REGEX MATCHALL "error:" errors "${text}")
  list(LENGTH errors num_errors)
  string(REGEX MATCHALL "\n" newlines "${text}")
  list(LENGTH newlines num_lines)
endmacro()
count()
if(seen AND num_lines GREATER 25)
  set(seen "")
  compile()
  count()
endif()
if(num_errors GREATER 2 OR num_lines GREATER 25)
  message(FATAL_ERROR "over budget: ${num_errors} errors (at most 2) in ${num_lines} lines (at most 25):\n${text}")
endif()
message(STATUS "${num_errors} error(s) in ${num_lines} lines")
