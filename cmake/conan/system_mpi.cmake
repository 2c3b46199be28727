# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# cmake/conan/system_mpi.cmake: the Conan package's cohort::mpi with the system's MPI, its C interface.
include(CMakeFindDependencyMacro)
if(NOT CMAKE_C_COMPILER_LOADED)
  enable_language(C)
endif()
find_dependency(MPI COMPONENTS C)
target_link_libraries(cohort::mpi INTERFACE MPI::MPI_C)
