# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/package/vcpkg_double.cmake: runs a portfile with doubles of vcpkg's functions that do what vcpkg's do to our files.
#
# cmake -DPORTFILE=... -DCURRENT_PACKAGES_DIR=... -DBUILD_DIR=... -DGENERATOR=... -DMAKE_PROGRAM=... -DCXX=... -P vcpkg_double.cmake
# An argument that vcpkg's function does not have is an error here too.
cmake_minimum_required(VERSION 3.24)
set(PORT cohort)

macro(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${ARGN}\nended with ${status}:\n${output}")
  endif()
endmacro()

macro(take options one many)
  cmake_parse_arguments(PARSE_ARGV 0 arg "${options}" "${one}" "${many}")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "${CMAKE_CURRENT_FUNCTION} has no ${arg_UNPARSED_ARGUMENTS}")
  endif()
endmacro()

function(vcpkg_cmake_configure)
  take("" "SOURCE_PATH" "OPTIONS")
  run("${CMAKE_COMMAND}" -G "${GENERATOR}" "-DCMAKE_MAKE_PROGRAM=${MAKE_PROGRAM}" "-DCMAKE_CXX_COMPILER=${CXX}"
    -S "${arg_SOURCE_PATH}" -B "${BUILD_DIR}" "-DCMAKE_INSTALL_PREFIX=${CURRENT_PACKAGES_DIR}"
    -DCMAKE_BUILD_TYPE=Release ${arg_OPTIONS})
endfunction()

function(vcpkg_cmake_install)
  take("" "" "")
  run("${CMAKE_COMMAND}" --build "${BUILD_DIR}" --target install)
endfunction()

# CMake files must lie in share/PORT; what they say of the way up to the prefix becomes right for that place.
function(vcpkg_cmake_config_fixup)
  take("" "PACKAGE_NAME;CONFIG_PATH" "")
  set(to "${CURRENT_PACKAGES_DIR}/share/${PORT}")
  file(GLOB files "${CURRENT_PACKAGES_DIR}/${arg_CONFIG_PATH}/*")
  if(NOT files)
    message(FATAL_ERROR "there is no ${arg_CONFIG_PATH}")
  endif()
  file(COPY ${files} DESTINATION "${to}")
  cmake_path(GET arg_CONFIG_PATH PARENT_PATH parent)
  file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/${parent}")
  file(GLOB files "${to}/*.cmake")
  set(up "get_filename_component(_IMPORT_PREFIX \"\${_IMPORT_PREFIX}\" PATH)")
  foreach(file IN LISTS files)
    file(READ "${file}" text)
    string(REPLACE "${up}\n${up}\n${up}\n" "${up}\n${up}\n" text "${text}")
    file(WRITE "${file}" "${text}")
  endforeach()
endfunction()

# A .pc file that says where it lies needs no repair.
function(vcpkg_fixup_pkgconfig)
  take("" "" "")
  file(GLOB files "${CURRENT_PACKAGES_DIR}/share/pkgconfig/*.pc")
  foreach(file IN LISTS files)
    file(STRINGS "${file}" lines REGEX "${CURRENT_PACKAGES_DIR}")
    if(lines)
      message(FATAL_ERROR "${file} names the folder that it was installed in: ${lines}")
    endif()
  endforeach()
endfunction()

function(vcpkg_install_copyright)
  take("" "" "FILE_LIST")
  file(READ "${arg_FILE_LIST}" text)
  file(WRITE "${CURRENT_PACKAGES_DIR}/share/${PORT}/copyright" "${text}")
endfunction()

include("${PORTFILE}")

# What vcpkg checks after a port of headers: the licence, nothing in lib and debug, no empty folder.
foreach(file IN ITEMS copyright usage ${PORT}Config.cmake ${PORT}ConfigVersion.cmake)
  if(NOT EXISTS "${CURRENT_PACKAGES_DIR}/share/${PORT}/${file}")
    message(FATAL_ERROR "there is no share/${PORT}/${file}")
  endif()
endforeach()
file(GLOB_RECURSE entries LIST_DIRECTORIES true RELATIVE "${CURRENT_PACKAGES_DIR}" "${CURRENT_PACKAGES_DIR}/*")
foreach(entry IN LISTS entries)
  file(GLOB inside "${CURRENT_PACKAGES_DIR}/${entry}/*")
  if(entry MATCHES "^(lib|debug|bin|share/cmake|share/doc)(/|$)" OR (IS_DIRECTORY "${CURRENT_PACKAGES_DIR}/${entry}" AND NOT inside))
    message(FATAL_ERROR "the port leaves ${entry}")
  endif()
endforeach()
