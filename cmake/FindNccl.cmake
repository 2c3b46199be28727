# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# cmake/FindNccl.cmake: the imported target cohort_nccl_library, where NCCL is installed.
#
# NCCL brings no CMake package; it lies beside CUDA, in the system's folders or in NCCL_ROOT (CMake or environment).
find_path(COHORT_NCCL_INCLUDE_DIR nccl.h HINTS ${NCCL_ROOT} ENV NCCL_ROOT
  ${CUDAToolkit_INCLUDE_DIRS} PATH_SUFFIXES include)
find_library(COHORT_NCCL_LIBRARY NAMES nccl libnccl.so.2 HINTS ${NCCL_ROOT} ENV NCCL_ROOT
  ${CUDAToolkit_LIBRARY_DIR} ${CUDAToolkit_LIBRARY_ROOT} PATH_SUFFIXES lib lib64)
mark_as_advanced(COHORT_NCCL_INCLUDE_DIR COHORT_NCCL_LIBRARY)
if(COHORT_NCCL_INCLUDE_DIR AND COHORT_NCCL_LIBRARY AND NOT TARGET cohort_nccl_library)
  add_library(cohort_nccl_library UNKNOWN IMPORTED)
  set_target_properties(cohort_nccl_library PROPERTIES
    IMPORTED_LOCATION "${COHORT_NCCL_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${COHORT_NCCL_INCLUDE_DIR}")
endif()
