#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/tools/check_gpu_suite.sh: tools/gpu-suite runs programs that were brought, counts what they say, leaves none
# behind, and refuses what it does not know.
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
# shellcheck disable=SC2016  # what the scripts expand
{
script "$work/cuda/bin/nvidia-smi" 'case "$*" in
-L) echo "GPU 0: a GPU" ;;
*clocks.sm*) echo "1755, 2619, 51, 690.12, 0x4"; echo "1980, 2619, 43, 300.5, 0x1"; exec sleep 60 ;;
*) echo "a GPU, 9.0, 580, 143771 MiB, 1980 MHz" ;;
esac'
script "$work/cuda/bin/cmake" 'echo "cmake $*"; exit 1'
script "$work/cuda/bin/compute-sanitizer" 'if [ -n "$UNKNOWN_GPU" ]; then
echo "Error: Device not supported."
exit 1
fi
echo "looked at $COHORT_SMALL: $*"'
script "$work/built/programs/gpu_test" 'case "$*" in
*--version*) ;;
*--list-test-cases*) printf "GPU: a GPU\n=====\nfirst, of two\nsecond\n=====\n" ;;
*/ops_test.cu) echo "[doctest] test cases:  0 |  0 passed" ;;
*/laws_test.cu) echo "[doctest] test cases:  3 |  2 passed | 1 failed"; exit 1 ;;
*/losses_test.cu*first?*|*/losses_test.cu) kill -SEGV $$ ;;
*/products_test.cu)
  trap "echo last words; exit 1" TERM
  echo begins
  (trap "" TERM; exec sleep 300) & echo $! >"$ORPHAN"
  wait ;;
*/updates_test.cu) trap "" TERM; echo begins; echo $$ >"$ORPHAN"; sleep 300; sleep 300 ;;
*) echo "[doctest] test cases: 10 | 10 passed" ;;
esac'
script "$work/built/programs/ops" \
  'echo "{\"metric\": \"copy\", \"us\": 2, \"gb_s\": 1, \"tflop_s\": 0, \"floor_us\": 1, \"share_of_floor\": 1}"'
script "$work/built/programs/gpt2_trace" 'exit 1'
}
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
check "alone" [ "$(grep -o '"name": "[^"]*", "outcome": "passed"' "$work/out/test.jsonl" | grep -vc memcheck/)" -eq 1 ]
check "the sanitizer sees every file" \
  [ "$(grep -c memcheck/ "$work/out/test.jsonl")" -eq "$(ls "$1"/tests/gpu/*_test.cu | wc -l)" ]
check "the command is recorded whole" grep -q "gpu-suite test $work/out --only golden,memcheck" "$work/out/test.jsonl"
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
check "the first run's results are kept" [ "$(ls "$work"/out/test*.jsonl | wc -l)" -gt 3 ]
UNKNOWN_GPU=yes run test "$work/unknown" --only golden,memcheck
check "a GPU that the sanitizer does not know is no failure" [ $code -eq 0 ]
check "but said, in its words" grep -q '"skipped".*Device not supported' "$work/unknown/test.jsonl"
run test "$work/crash" --only losses
check "after a crash cases run one by one" says "gpu/losses alone: second +passed"
check "with those that crash" says "gpu/losses alone: first, of two +failed"

export ORPHAN=$work/orphan
# stopped FILE: the suite is stopped while the test file runs.
stopped() {
  rm -f "$ORPHAN"
  "$suite" test "$work/stopped" --only "$1" >"$work/said" 2>&1 &
  local suite_pid=$!
  until [ -s "$ORPHAN" ]; do sleep 0.1; done
  kill -TERM $suite_pid
  wait $suite_pid
  code=$?
  said=$(cat "$work/said")
}
gone() {  # a moment later: init buries the dead
  local tries
  for ((tries = 0; tries < 20; ++tries)); do
    kill -0 "$(cat "$ORPHAN")" 2>/dev/null || return 0
    sleep 0.1
  done
  return 1
}
stopped products
check "a program that is stopped has last words" says "last words"
check "which are in the log" grep -q "last words" "$work/stopped/test.log"
check "is a failure" [ $code -eq 1 ]
check "and leaves no process behind" gone
stopped updates
check "one that ignores SIGTERM is killed" gone
check "and the table is there" says "gpu/updates +timeout"

printf '#!/bin/sh\ncase "$*" in *"import torch"*|*"import nvidia"*) exit 1 ;; esac\nexec %s "$@"\n' \
  "$(command -v python3)" >"$work/cuda/bin/python3"
chmod +x "$work/cuda/bin/python3"
run bench "$work/bench" --only ops,trace --minutes 3
check "a part that fails is a failure" [ $code -eq 1 ]
check "others are kept" says "gpu_ops +copy +2 us"
check "goals are listed" says "AdamW.* 0.9 +not measured"
echo '{"metric": "cu' >>"$work/bench/bench.jsonl"
said=$(python3 -B "$1/benchmarks/gpu_table.py" "$work/bench/bench.jsonl")
check "a line that was cut is no end" says "1 lines cannot be read"
check "the state of the GPU is recorded" \
  grep -q '"gpu_state": "ops", "samples": 2, "sm_mhz": 1980.*"celsius": 51, "watts": 690.12.*"0x4 0x1"' \
  "$work/bench/bench.jsonl"
rm "$work/cuda/bin/python3"
echo other >"$work/built/sources"
run test "$work/out" --only golden
check "programs of other sources are not run" says '"built": "here"'
check "but built anew" says "cmake -S . -B build/release"
check "where a warning of another compiler is no error" says "-DCOHORT_WARNINGS_ARE_ERRORS=OFF"
exit $((failures > 0))
