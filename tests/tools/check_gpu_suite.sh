#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/tools/check_gpu_suite.sh: tools/gpu-suite runs programs that were brought, counts what they say, and refuses what it does not know.
#
# The GPU, nvcc and the programs are shell scripts here.
set -uo pipefail
suite=$1/tools/gpu-suite
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

check() {  # SENTENCE COMMAND...
  local sentence=$1
  shift
  if "$@"; then
    echo "passed  $sentence"
  else
    echo "FAILED  $sentence"
    failures=$((failures + 1))
  fi
}
script() {  # PATH TEXT
  mkdir -p "$(dirname "$1")"
  printf '#!/bin/sh\n%s\n' "$2" >"$1"
  chmod +x "$1"
}
script "$work/cuda/bin/nvcc" 'echo "Cuda compilation tools, release 13.0, V13.0.88"'
script "$work/cuda/bin/nvidia-smi" 'case "$*" in -L) echo "GPU 0: a GPU";; *) echo "a GPU, 9.0, 580, 143771 MiB, 1980 MHz";; esac'
script "$work/cuda/bin/cmake" 'echo "cmake $*"; exit 1'
script "$work/cuda/bin/compute-sanitizer" 'echo "looked at $COHORT_SMALL: $*"'
script "$work/built/programs/gpu_test" 'case "$*" in
*--version*) ;;
*/ops_test.cu) echo "[doctest] test cases:  0 |  0 passed" ;;
*/laws_test.cu) echo "[doctest] test cases:  3 |  2 passed | 1 failed"; exit 1 ;;
*) echo "[doctest] test cases: 10 | 10 passed" ;;
esac'
export CUDACXX=$work/cuda/bin/nvcc COHORT_GPU_BUILT=$work/built PATH=$work/cuda/bin:$PATH
{ "$suite" sources; echo 90; } >"$work/built/sources"

run() {  # ARGUMENTS...: their exit code in $code, what is printed in $said
  said=$("$suite" "$@" 2>&1)
  code=$?
}
says() { grep -qE -- "$1" <<<"$said"; }

run test "$work/out" --minutes 0.2 --only golden
check "minutes are whole" [ $code -eq 2 ]
run test "$work/out" --only golden,nosuch
check "a part that is not there is refused" [ $code -eq 2 ]
check "and those that are there are named" says "'nosuch'; there are: .*golden.*memcheck"
run test "$work/out" --only golden,memcheck
check "parts that pass" [ $code -eq 0 ]
check "are run as they were brought" says '"built": "[^"]*/built/programs"'
check "alone" [ "$(grep -c '"outcome": "passed"' "$work/out/test.jsonl")" -eq 2 ]
check "the sanitizer sees small sizes" says "looked at 1: --tool memcheck"
check "and counts accesses, not calls that libraries try" says "--report-api-errors no"
script "$work/cuda/bin/python3" 'case "$*" in *"import nvidia;"*) echo "$WHEELS" ;; *) exit 1 ;; esac'
script "$work/cuda/bin/ldd" '[ -e "$COHORT_GPU_BUILT/programs/lib/libof.so.1" ] || echo "	libof.so.1 => not found"'
mkdir -p "$work/wheels/of/lib" "$work/cuda/lib64"
touch "$work/wheels/of/lib/libof.so.1"
export WHEELS=$work/wheels
run test "$work/out" --only golden
check "a library that CUDA's folder lacks is taken from PyTorch's" says '"built": "[^"]*/built/programs"'
rm "$work/cuda/bin/python3" "$work/cuda/bin/ldd"
run test "$work/out" --only golden,ops
check "a filter that meets no test is a failure" [ $code -eq 1 ]
check "and is named" says "gpu/ops +failed"
run test "$work/out" --only laws
check "a test that fails is one" says "gpu/laws +failed"
run test "$work/out" --only golden --minutes 0
check "without time nothing is begun" says "gpu/golden +no-time"
check "which is no success" [ $code -eq 1 ]
echo other >"$work/built/sources"
run test "$work/out" --only golden
check "programs of other sources are not run" says '"built": "here"'
check "but built anew" says "cmake -S . -B build/release"
check "where a warning of another compiler is no error" says "-DCOHORT_WARNINGS_ARE_ERRORS=OFF"
exit $((failures > 0))
