#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/run_raw_twin.py: the generated step against its hand-written twin: time on 1 and 2 ranks, and instructions.
"""Runs raw_twin on 1 and 2 ranks (it interleaves the two itself) and, where valgrind is installed, counts the instructions
of one step of each on one rank with callgrind, as the difference of runs of 2 steps and 1. Valgrind does not know AVX-512:
the program that it counts is compiled here for AVX2."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
import driver  # noqa: E402


ROOT = pathlib.Path(__file__).resolve().parent.parent


def build_for_valgrind(folder):
    program = pathlib.Path(folder) / "raw_twin"
    subprocess.run(
        ["g++", "-std=c++20", "-O3", "-DNDEBUG", "-march=haswell", "-pthread", "-w", "-I", ROOT / "include",
         "-isystem", "/usr/include/eigen3", ROOT / "benchmarks" / "raw_twin.cpp", "-o", program],
        check=True,
    )  # fmt: skip
    return program


def instructions(program, which, steps, folder):
    run = subprocess.run(
        ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", program, "--only", which, str(steps)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return int(re.search(r"Collected : (\d+)", run.stderr).group(1))


def main():
    program = driver.BUILT / "raw_twin"
    driver.machine("raw_twin")
    for ranks in (1, 2):
        print(subprocess.run([program, "--ranks", str(ranks)], capture_output=True, text=True, check=True).stdout, end="")
    if not shutil.which("valgrind"):
        print(json.dumps(dict(bench="raw_twin", metric="instructions", note="valgrind is not installed")))
        return
    with tempfile.TemporaryDirectory(prefix="raw-twin-") as folder:
        program = build_for_valgrind(folder)
        step = {w: instructions(program, w, 2, folder) - instructions(program, w, 1, folder) for w in ("cohort", "raw")}
    print(json.dumps(dict(
        bench="raw_twin", metric="instructions_1x1", value=step["cohort"], unit="instructions",
        peer="hand-written twin", peer_value=step["raw"], ratio=round(step["cohort"] / step["raw"], 5), flags="-O3 -march=haswell",
    )))  # fmt: skip


if __name__ == "__main__":
    main()
