# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# cmake/Install.cmake: headers, CMake package and pkg-config file, none of which depends on the machine or
# on the folder that they are installed in.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
set(package_dir "${CMAKE_INSTALL_DATADIR}/cmake/cohort")

# A file of targets per component: what one component links need not exist for a consumer of another.
foreach(component IN ITEMS cohort onednn mpi cuda nccl nccl_mpi)
  set(target cohort_${component})
  if(component STREQUAL "cohort")
    set(target cohort)
  endif()
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${component})
  get_target_property(header_sets ${target} INTERFACE_HEADER_SETS)
  set(destinations "")
  foreach(header_set IN LISTS header_sets)
    list(APPEND destinations
      FILE_SET ${header_set} DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" COMPONENT cohort)
  endforeach()
  install(TARGETS ${target} EXPORT cohort_${component} ${destinations})
  install(EXPORT cohort_${component} FILE cohort-${component}.cmake NAMESPACE cohort::
    DESTINATION "${package_dir}" COMPONENT cohort)
endforeach()

# Below 1.0 a minor version may change what programs see.
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/cmake/cohortConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
install(FILES cmake/cohortConfig.cmake cmake/Needs.cmake cmake/FindOneDnn.cmake cmake/FindNccl.cmake
  "${CMAKE_CURRENT_BINARY_DIR}/cmake/cohortConfigVersion.cmake"
  DESTINATION "${package_dir}" COMPONENT cohort)

file(RELATIVE_PATH includes_from_pc "${CMAKE_INSTALL_FULL_DATADIR}/pkgconfig"
  "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
configure_file(cmake/cohort.pc.in cmake/cohort.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/cmake/cohort.pc"
  DESTINATION "${CMAKE_INSTALL_DATADIR}/pkgconfig" COMPONENT cohort)
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT cohort)
