#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/run_compile_time.py: how long compilers take for the examples, and how that grows with depth.
"""Compiles every example with g++, clang++ and, for .cu files, nvcc (sm_90), at -O3 (command lines at -O0, as
examples/CMakeLists.txt has them), and a sharded model with 12 and with 126 layers, in turn. Prints the CPU seconds
(user + system) of the compiler as JSON lines: medians of --rounds interleaved rounds. An example made of several files is
their sum; twins of examples that need MPI are left out."""

import argparse
import pathlib
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks" / "peers"))
import driver  # noqa: E402

COMMON = ["-std=c++20", "-DNDEBUG", f"-I{ROOT / 'include'}", f"-I{ROOT / 'examples'}", "-isystem", "/usr/include/eigen3"]
NVCC = ["-arch=sm_90", "--expt-relaxed-constexpr", "-diag-suppress=20012,20015,20014,20011"]


def seconds(command, folder):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([*command, *COMMON, "-c", "-o", folder / "object.o"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def files_of(example):
    """The example's own file, its command line and the part that saves, as examples/CMakeLists.txt joins them."""
    folder, name = example.parent, example.stem
    prefixes = [name[: end.start()] for end in re.finditer(r"_|$", name)]
    parts = [folder / f"{prefix}_arguments.cpp" for prefix in prefixes] + [folder / f"{name}_files.cpp"]
    return [example] + [part for part in parts if part.exists()]


def units(compilers):
    """(metric, compiler, command) for everything that is compiled in a round."""
    examples = [
        path for path in sorted((ROOT / "examples").glob("*.cpp")) if not path.stem.endswith(("_arguments", "_files", "_mpi"))
    ]  # fmt: skip
    for name, compiler in compilers.items():
        if name == "nvcc":
            for path in (ROOT / "examples" / "gpt2.cu", ROOT / "examples" / "gpt2_full_shard.cu"):
                yield path.stem, name, [compiler, "-O3", *NVCC, path]
            continue
        for path in examples:
            for file in files_of(path):
                level = ["-O0"] if file.stem.endswith("_arguments") else ["-O3"]
                yield path.stem, name, [compiler, *level, "-march=native", "-pthread", file]
        for layers in (12, 126):
            source = ROOT / "tests" / "compile_time" / "layers.cpp"
            yield f"{layers}_layers", name, [compiler, "-O3", "-march=native", "-pthread", f"-DLAYERS={layers}", source]


def main():
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--gxx", default="g++")
    parse.add_argument("--clang", default="clang++-16", help="left out where it is not found, as is nvcc")
    parse.add_argument("--nvcc", default=shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc")
    parse.add_argument("--only", default="", help="a regular expression: examples to compile")
    parse.add_argument("--rounds", type=int, default=3)
    args = parse.parse_args()
    compilers = {"g++": args.gxx, "clang++": args.clang, "nvcc": args.nvcc}
    compilers = {name: path for name, path in compilers.items() if shutil.which(path)}
    version = {
        name: subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout.strip()
        for name, path in compilers.items()
    }
    driver.machine(
        "compile_time", **{name: text.splitlines()[-2 if name == "nvcc" else 0] for name, text in version.items()}
    )  # fmt: skip
    folder = pathlib.Path(tempfile.mkdtemp(prefix="compile-time-"))
    times = {}
    try:
        for _ in range(args.rounds):
            this_round = {}
            for metric, name, command in units(compilers):
                if re.search(args.only, metric):
                    key = (metric, name)
                    this_round[key] = this_round.get(key, 0) + seconds(command, folder)
            for key, value in this_round.items():
                times.setdefault(key, []).append(value)
    finally:
        shutil.rmtree(folder)
    middle = {key: statistics.median(values) for key, values in times.items()}
    for (metric, name), value in middle.items():
        more = {"goal": 15} if (metric, name) == ("gpt", "g++") else {}
        if metric == "126_layers" and ("12_layers", name) in middle:
            more = {"growth": driver.rounded(value / middle["12_layers", name]), "goal_growth": 1.3}
        driver.emit("compile_time", f"{metric}_cpu_s", value, "s", compiler=name, **more)


if __name__ == "__main__":
    main()
