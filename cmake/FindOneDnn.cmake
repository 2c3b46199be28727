# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# cmake/FindOneDnn.cmake: the imported target cohort_dnnl, where oneDNN is installed.
#
# Looked up by file: Debian's dnnl-config.cmake demands OpenCL's development files, which a program
# that uses the CPU does not need.
find_path(COHORT_DNNL_INCLUDE_DIR dnnl.h)
find_library(COHORT_DNNL_LIBRARY dnnl)
mark_as_advanced(COHORT_DNNL_INCLUDE_DIR COHORT_DNNL_LIBRARY)
if(COHORT_DNNL_INCLUDE_DIR AND COHORT_DNNL_LIBRARY AND NOT TARGET cohort_dnnl)
  add_library(cohort_dnnl UNKNOWN IMPORTED)
  set_target_properties(cohort_dnnl PROPERTIES
    IMPORTED_LOCATION "${COHORT_DNNL_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${COHORT_DNNL_INCLUDE_DIR}")
endif()
