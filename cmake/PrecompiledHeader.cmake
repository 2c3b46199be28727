# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# cmake/PrecompiledHeader.cmake: a precompiled header for tests that call a compiler directly.

# precompile_header(OUT COMPILER HEADER FLAGS...): a target of `all` compiles HEADER; OUT becomes the options that
# put it before a source file compiled with the same FLAGS.
function(precompile_header out compiler header)
  get_filename_component(compiler_name "${compiler}" NAME)
  get_filename_component(name "${header}" NAME)
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/${compiler_name}")
  file(MAKE_DIRECTORY "${folder}")
  set(unit "${folder}/${name}")
  file(CONFIGURE OUTPUT "${unit}" CONTENT "#include \"${header}\"\n")
  # g++ takes the .gch beside the name it is given, clang++ the file itself.
  if(compiler_name MATCHES "clang" OR (compiler STREQUAL CMAKE_CXX_COMPILER AND CMAKE_CXX_COMPILER_ID MATCHES "Clang"))
    set(compiled "${unit}.pch")
    set(use -include-pch "${compiled}")
  else()
    set(compiled "${unit}.gch")
    set(use -Winvalid-pch -include "${unit}")
  endif()
  add_custom_command(OUTPUT "${compiled}"
    COMMAND "${compiler}" ${ARGN} -x c++-header -MD -MF "${compiled}.d" -MT "${compiled}" "${unit}" -o "${compiled}"
    DEPENDS "${unit}" DEPFILE "${compiled}.d" VERBATIM)
  string(MAKE_C_IDENTIFIER "precompiled_${compiler_name}_${name}" target)
  add_custom_target(${target} ALL DEPENDS "${compiled}")
  set(${out} ${use} PARENT_SCOPE)
endfunction()
