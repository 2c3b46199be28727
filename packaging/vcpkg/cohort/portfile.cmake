# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# packaging/vcpkg/cohort/portfile.cmake: cohort as a vcpkg port: the headers and CMake files of the clone that it lies in.
# (A port in vcpkg's registry takes them from a release by vcpkg_from_github instead.)
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)
set(VCPKG_BUILD_TYPE release)  # headers are the same in both

# Which components a program can ask for does not depend on what the port was built with: features only bring what they need.
vcpkg_cmake_configure(
  SOURCE_PATH "${SOURCE_PATH}"
  OPTIONS
    -DCOHORT_BUILD_TESTS=OFF
    -DCOHORT_BUILD_EXAMPLES=OFF
    -DCOHORT_BUILD_BENCHMARKS=OFF
    -DCOHORT_MPI=OFF
    -DCOHORT_CUDA=OFF
    -DCOHORT_ONEDNN=OFF)
vcpkg_cmake_install()
vcpkg_cmake_config_fixup(CONFIG_PATH share/cmake/cohort)
vcpkg_fixup_pkgconfig()

file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/share/doc")  # the licence once more
