# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# cmake/conan/system_eigen.cmake: the Conan package's cohort::cohort with the system's Eigen.
include(CMakeFindDependencyMacro)
find_dependency(Eigen3 CONFIG)
if(Eigen3_VERSION VERSION_LESS 3.4)
  message(FATAL_ERROR "cohort needs Eigen >= 3.4, found ${Eigen3_VERSION} in ${Eigen3_DIR}.")
endif()
target_link_libraries(cohort::cohort INTERFACE Eigen3::Eigen)
