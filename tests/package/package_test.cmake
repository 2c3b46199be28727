# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/package/package_test.cmake: the steps of somebody who takes cohort, each in an empty folder.
#
# cmake -DSTEP=... -DSOURCE_DIR=... -DWORK_DIR=... -DGENERATOR=... -DMAKE_PROGRAM=... -DCXX=...
#   -DPKG_CONFIG=... -DHAS_MPI=0|1 -DHAS_CUDA=0|1 -P package_test.cmake
# install leaves the package in WORK_DIR/prefix, and in WORK_DIR/moved one that was installed elsewhere.
cmake_minimum_required(VERSION 3.24)
set(here "${CMAKE_CURRENT_LIST_DIR}")
set(dir "${WORK_DIR}/step_${STEP}")
set(trained "2 ranks trained, loss 0[.]357\n")

# Runs a command; its output is in `output`, and it must succeed.
macro(run)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY "${dir}" RESULT_VARIABLE status
    OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    string(REPLACE ";" " " command "${ARGN}")
    message(FATAL_ERROR "${command}\nended with ${status}:\n${output}")
  endif()
endmacro()

# The consumer's output, which it leaves in `output`, is what two trained ranks print.
macro(run_consumer program)
  run("${program}")
  if(NOT output MATCHES "^${trained}$")
    message(FATAL_ERROR "${program} printed\n${output}")
  endif()
  message(STATUS "${output}")
endmacro()

set(configure "${CMAKE_COMMAND}" -G "${GENERATOR}" "-DCMAKE_MAKE_PROGRAM=${MAKE_PROGRAM}"
  "-DCMAKE_CXX_COMPILER=${CXX}" "-DCMAKE_CXX_FLAGS=-O0 -Wall -Wextra -Wpedantic -Werror")

# Builds the project that lies in dir as a user does, and runs it.
macro(build_consumer)
  run(${configure} -S . -B build ${ARGN})
  run("${CMAKE_COMMAND}" --build build)
  run_consumer("${dir}/build/consumer")
endmacro()

# Every file below a folder with its hash, sorted.
function(read_tree result folder)
  file(GLOB_RECURSE files RELATIVE "${folder}" "${folder}/*")
  list(SORT files)
  set(tree "")
  foreach(file IN LISTS files)
    file(SHA256 "${folder}/${file}" hash)
    list(APPEND tree "${file} ${hash}")
  endforeach()
  set(${result} "${tree}" PARENT_SCOPE)
endfunction()

function(expect_equal_trees what a b)
  read_tree(tree_a "${a}")
  read_tree(tree_b "${b}")
  if(NOT tree_a STREQUAL tree_b)
    set(only_b ${tree_b})
    list(REMOVE_ITEM only_b ${tree_a})
    list(REMOVE_ITEM tree_a ${tree_b})
    message(FATAL_ERROR "${what}:\n${a} alone has ${tree_a}\n${b} alone has ${only_b}")
  endif()
endfunction()

# From a build that has none of MPI, CUDA and oneDNN: the package has every component all the same.
function(step_install)
  file(REMOVE_RECURSE "${WORK_DIR}/prefix" "${WORK_DIR}/moved" "${WORK_DIR}/first")
  run(${configure} -S "${SOURCE_DIR}" -B build -DCOHORT_BUILD_TESTS=OFF -DCOHORT_BUILD_EXAMPLES=OFF
    -DCOHORT_BUILD_BENCHMARKS=OFF -DCOHORT_MPI=OFF -DCOHORT_CUDA=OFF -DCOHORT_ONEDNN=OFF)
  run("${CMAKE_COMMAND}" --install build --prefix "${WORK_DIR}/first")
  file(RENAME "${WORK_DIR}/first" "${WORK_DIR}/moved")
  run("${CMAKE_COMMAND}" --install build --prefix "${WORK_DIR}/prefix")
  run("${CMAKE_COMMAND}" --install build --prefix "${WORK_DIR}/prefix")
  expect_equal_trees("installing twice differs" "${WORK_DIR}/moved" "${WORK_DIR}/prefix")
  expect_equal_trees("headers are missing" "${SOURCE_DIR}/include" "${WORK_DIR}/prefix/include")
  file(GLOB_RECURSE files "${WORK_DIR}/prefix/share/*")
  foreach(file IN LISTS files)
    file(READ "${file}" text)
    foreach(path IN ITEMS "${WORK_DIR}" "${SOURCE_DIR}")
      string(FIND "${text}" "${path}" at)
      if(NOT at EQUAL -1)
        message(FATAL_ERROR "${file} names the path ${path}, so it cannot be moved")
      endif()
    endforeach()
  endforeach()
endfunction()

# Nothing in the cache of the build speaks of what was not asked for.
function(expect_nothing_else_looked_for)
  file(STRINGS "${dir}/build/CMakeCache.txt" lines REGEX "^(MPI|CUDA|COHORT|NCCL)")
  if(lines)
    message(FATAL_ERROR "components that nobody asked for were looked for: ${lines}")
  endif()
endfunction()

function(step_find_package)
  build_consumer("-DCMAKE_PREFIX_PATH=${WORK_DIR}/prefix")
  expect_nothing_else_looked_for()
endfunction()

function(step_moved)
  build_consumer("-DCMAKE_PREFIX_PATH=${WORK_DIR}/moved")
endfunction()

function(step_pkg_config)
  set(ENV{PKG_CONFIG_PATH} "${WORK_DIR}/moved/share/pkgconfig")
  run("${PKG_CONFIG}" --cflags --libs cohort)
  separate_arguments(flags UNIX_COMMAND "${output}")
  run("${CXX}" -std=c++20 main.cpp ${flags} -o consumer)
  run_consumer("${dir}/consumer")
endfunction()

# A project with these LANGUAGES says find_package(cohort ARGUMENTS): what CMake prints must contain TEXT.
# More arguments go to cmake.
function(expect_message text languages arguments)
  file(WRITE "${dir}/CMakeLists.txt" "cmake_minimum_required(VERSION 3.24)
project(consumer LANGUAGES ${languages})
find_package(cohort ${arguments})
message(STATUS \"cohort_FOUND ${arguments}: \${cohort_FOUND}\")
foreach(component IN ITEMS cohort onednn mpi cuda nccl nccl_mpi)
  if(TARGET cohort::\${component})
    message(STATUS \"has cohort::\${component}\")
  endif()
endforeach()\n")
  file(REMOVE_RECURSE "${dir}/build")
  execute_process(COMMAND ${configure} -S . -B build "-DCMAKE_PREFIX_PATH=${WORK_DIR}/moved" ${ARGN}
    WORKING_DIRECTORY "${dir}" OUTPUT_VARIABLE output ERROR_VARIABLE output)
  string(REGEX REPLACE "[ \n]+" " " words "${output}")  # CMake breaks lines
  string(FIND "${words}" "${text}" at)
  if(at EQUAL -1)
    message(FATAL_ERROR "find_package(cohort ${arguments}): no '${text}' in\n${output}")
  endif()
endfunction()

function(step_components)
  set(no_mpi -DCMAKE_DISABLE_FIND_PACKAGE_MPI=ON)
  set(no_cuda -DCMAKE_DISABLE_FIND_PACKAGE_CUDAToolkit=ON)
  expect_message("cohort::mpi was not found: it needs MPI for C" "C CXX" "CONFIG REQUIRED COMPONENTS mpi" ${no_mpi})
  expect_message("cohort::mpi was not found: it needs MPI for C" "CXX" "CONFIG REQUIRED COMPONENTS mpi")
  expect_message("cohort::cuda was not found: it needs CUDA >= 12.4" "CXX" "CONFIG REQUIRED COMPONENTS cuda" ${no_cuda})
  expect_message("cohort::cuda was not found: it needs CUDA >= 12.4" "CXX" "CONFIG REQUIRED COMPONENTS nccl" ${no_cuda})
  expect_message("cohort::onednn was not found: it needs oneDNN" "CXX" "CONFIG REQUIRED COMPONENTS onednn"
    "-DCMAKE_FIND_ROOT_PATH=${dir}" -DCMAKE_FIND_ROOT_PATH_MODE_LIBRARY=ONLY)
  expect_message("cohort::cohort was not found: it needs Eigen >= 3.4" "CXX" "CONFIG REQUIRED"
    -DCMAKE_DISABLE_FIND_PACKAGE_Eigen3=ON)
  expect_message("cohort has no component tpu; it has cohort, onednn, mpi, cuda, nccl and nccl_mpi." "CXX"
    "CONFIG REQUIRED COMPONENTS tpu")
  expect_message("cohort_FOUND CONFIG QUIET COMPONENTS mpi: 0" "C CXX"
    "CONFIG QUIET COMPONENTS mpi" ${no_mpi})
  expect_message("cohort_FOUND CONFIG REQUIRED OPTIONAL_COMPONENTS mpi cuda: 1 -- has cohort::cohort -- Configuring done"
    "C CXX" "CONFIG REQUIRED OPTIONAL_COMPONENTS mpi cuda" ${no_mpi} ${no_cuda})
  expect_message("CONFIG REQUIRED: 1 -- has cohort::cohort -- Configuring done" "C CXX" "CONFIG REQUIRED")
  expect_nothing_else_looked_for()
  # Below 1.0 a program gets the minor version that it was written for.
  expect_message("cohort_FOUND 0.0 CONFIG QUIET: 0" "CXX" "0.0 CONFIG QUIET")
  expect_message("cohort_FOUND 0.2 CONFIG QUIET: 0" "CXX" "0.2 CONFIG QUIET")
  expect_message("cohort_FOUND 0.1.0 CONFIG QUIET: 1" "CXX" "0.1.0 CONFIG QUIET")
  # What this machine has is there when it is asked for.
  if(HAS_MPI)
    expect_message("1 -- has cohort::cohort -- has cohort::mpi -- Configuring done" "C CXX"
      "CONFIG REQUIRED COMPONENTS mpi")
  endif()
  if(HAS_CUDA)
    expect_message("1 -- has cohort::cohort -- has cohort::cuda -- Configuring done" "CXX"
      "CONFIG REQUIRED COMPONENTS cuda")
  endif()
endfunction()

function(step_add_subdirectory)
  build_consumer("-DCOHORT_DIR=${SOURCE_DIR}")
  # What a parent asks for must be there.
  execute_process(COMMAND ${configure} -S . -B build "-DCOHORT_DIR=${SOURCE_DIR}" -DCOHORT_MPI=ON
    WORKING_DIRECTORY "${dir}" OUTPUT_QUIET ERROR_VARIABLE output)
  if(NOT output MATCHES "COHORT_MPI is ON, but cohort::mpi was not found: it needs MPI for C")
    message(FATAL_ERROR "COHORT_MPI=ON in a project without C:\n${output}")
  endif()
endfunction()

function(step_fetch_content)  # from a folder instead of a URL; Eigen brought by the parent
  run(${configure} -S . -B build "-DCOHORT_DIR=${SOURCE_DIR}" -DFETCH=ON)
endfunction()

# The port of packaging/vcpkg, by doubles of vcpkg's functions; its manifest says what the code says.
function(step_vcpkg)
  set(port "${SOURCE_DIR}/packaging/vcpkg/cohort")
  file(READ "${port}/vcpkg.json" json)
  string(JSON name GET "${json}" name)
  string(JSON version GET "${json}" version)
  file(STRINGS "${SOURCE_DIR}/CMakeLists.txt" project REGEX "^project\\(${name} VERSION ${version} ")
  if(NOT project)
    message(FATAL_ERROR "${port}/vcpkg.json is ${name} ${version}, CMakeLists.txt something else")
  endif()
  foreach(feature IN ITEMS mpi cuda)
    string(JSON description GET "${json}" features ${feature} description)
  endforeach()
  run("${CMAKE_COMMAND}" "-DPORTFILE=${port}/portfile.cmake" "-DCURRENT_PACKAGES_DIR=${dir}/packages"
    "-DBUILD_DIR=${dir}/port-build" -DGENERATOR=${GENERATOR} -DMAKE_PROGRAM=${MAKE_PROGRAM} -DCXX=${CXX}
    -P "${here}/vcpkg_double.cmake")
  file(RENAME "${dir}/packages" "${dir}/installed")  # as vcpkg does, in effect
  build_consumer("-DCMAKE_PREFIX_PATH=${dir}/installed")
  expect_nothing_else_looked_for()
endfunction()

file(REMOVE_RECURSE "${dir}")
if(STEP MATCHES "add_subdirectory|fetch_content")
  file(COPY "${here}/parent/CMakeLists.txt" "${here}/consumer/main.cpp" DESTINATION "${dir}")
elseif(STEP MATCHES "find_package|moved|pkg_config|vcpkg")
  file(COPY "${here}/consumer/CMakeLists.txt" "${here}/consumer/main.cpp" DESTINATION "${dir}")
else()
  file(MAKE_DIRECTORY "${dir}")
endif()
cmake_language(CALL "step_${STEP}")
