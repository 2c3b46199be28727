#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/package/conan_test.sh: makes the Conan package with the system's Eigen, no remote, and builds and runs its consumer.
# usage: conan_test.sh SOURCE_DIR [CONAN_OPTION...], such as -o 'cohort/*:with_mpi=True'; exit status 77 (skipped) where there is
# no Conan 2. CONAN names its program; CC and CXX the compilers, as Conan reads them.
set -eu
conan=${CONAN:-conan}
source=$1
shift
command -v "$conan" >/dev/null || { echo "SKIPPED: there is no conan; python3 -m pip install conan in a virtual environment"; exit 77; }
case $("$conan" --version) in
  *" 2."*) ;;
  *) echo "SKIPPED: this is not Conan 2"; exit 77 ;;
esac

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export CONAN_HOME="$folder/home"
"$conan" profile detect
"$conan" create "$source" -s compiler.cppstd=20 -o 'cohort/*:system_eigen=True' --build=missing --no-remote \
  -c tools.build:jobs=1 -c "tools.cmake.cmake_layout:test_folder=$folder/test" "$@" >"$folder/log" 2>&1 ||
  { cat "$folder/log"; exit 1; }
grep "^step 1 of 2 ranks: loss " "$folder/log" || { cat "$folder/log"; exit 1; }
