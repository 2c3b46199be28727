# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# conanfile.py: cohort as a Conan 2 package: headers, the licence, and CMake files that find the system's parts.
import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy, load
from conan.tools.layout import basic_layout
from conan.tools.scm import Version

required_conan_version = ">=2.0.9"


class CohortConan(ConanFile):
    name = "cohort"
    description = "Parallel training strategies as C++20 types"
    license = "Apache-2.0"
    topics = ("machine-learning", "distributed-training", "data-parallel", "fsdp", "mpi", "nccl", "header-only")
    package_type = "header-library"
    settings = "os", "arch", "compiler", "build_type"
    options = {
        "with_mpi": [True, False],      # the system's MPI, found by CMake
        "with_cuda": [True, False],     # the system's CUDA toolkit, and NCCL where it is found
        "system_eigen": [True, False],  # the system's Eigen instead of Conan's
    }
    default_options = {"with_mpi": False, "with_cuda": False, "system_eigen": False}
    no_copy_source = True
    exports_sources = "include/*", "cmake/conan/*", "cmake/FindNccl.cmake", "LICENSE"

    def set_version(self):
        header = load(self, os.path.join(self.recipe_folder, "include", "cohort", "version.hpp"))
        words = header.split()
        self.version = ".".join(words[words.index(f"COHORT_VERSION_{part}") + 1]
                                for part in ("MAJOR", "MINOR", "PATCH"))

    def layout(self):
        basic_layout(self, src_folder=".")

    def requirements(self):
        if not self.options.system_eigen:
            self.requires("eigen/[>=3.4.0 <6]", transitive_headers=True)

    def package_id(self):
        self.info.clear()

    def validate(self):
        check_min_cppstd(self, 20)
        compiler, version = str(self.settings.compiler), Version(self.settings.compiler.version)
        least = {"gcc": "12", "clang": "16"}.get(compiler)
        if least is None:
            raise ConanInvalidConfiguration(f"{self.ref} is built with gcc and clang, not with {compiler}.")
        if version < least:
            raise ConanInvalidConfiguration(f"{self.ref} needs {compiler} {least} or newer, not {version}.")
        if str(self.settings.os) == "Windows":
            raise ConanInvalidConfiguration(f"{self.ref} needs a POSIX system.")

    def build(self):
        pass

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        copy(self, "*.hpp", os.path.join(self.source_folder, "include"), os.path.join(self.package_folder, "include"))
        modules = os.path.join(self.package_folder, "lib", "cmake", "cohort")
        copy(self, "*.cmake", os.path.join(self.source_folder, "cmake", "conan"), modules)
        copy(self, "FindNccl.cmake", os.path.join(self.source_folder, "cmake"), modules)

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "cohort")
        self.cpp_info.set_property("cmake_target_name", "cohort::all")  # cohort::cohort is a component
        self.cpp_info.bindirs = []
        self.cpp_info.libdirs = []
        modules = []

        headers = self._component("cohort", [])
        if self.options.system_eigen:
            modules.append("system_eigen.cmake")
        else:
            headers.requires = ["eigen::eigen"]
        if self.settings.os in ("Linux", "FreeBSD"):
            headers.system_libs = ["m", "pthread"]
        if self.options.with_mpi:
            self._component("mpi", ["cohort"]).defines = ["OMPI_SKIP_MPICXX", "MPICH_SKIP_MPICXX"]
            modules.append("system_mpi.cmake")
        if self.options.with_cuda:
            self._component("cuda", ["cohort"])
            modules.append("system_cuda.cmake")
        self.cpp_info.set_property("cmake_build_modules",
                                   [os.path.join("lib", "cmake", "cohort", module) for module in modules])

    def _component(self, name, requires):
        component = self.cpp_info.components[name]
        component.set_property("cmake_target_name", f"cohort::{name}")
        component.set_property("pkg_config_name", "cohort" if name == "cohort" else f"cohort-{name}")
        component.bindirs = []
        component.libdirs = []
        component.requires = requires
        return component
