#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/run_compile_time.py: how long the compiler takes for the gpt example, and how that grows with depth.
"""Compiles the two files of the gpt example (the training at -O3, its command line at -O0 as examples/CMakeLists.txt has it),
and a trainer of the same model with 12 and with 126 layers in turn, and prints the CPU seconds (user + system) of the
compiler as JSON lines: medians of --rounds interleaved rounds."""

import argparse
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks" / "peers"))
import driver  # noqa: E402

DEEP = """#include "gpt_model.hpp"
using namespace cohort;
using Run = Trainer<example::Gpt<256, 64, {layers}, 128, 4>, nn::CrossEntropy, DataParallel<Replicate>, ClipGradNorm,
                    optim::AdamW>;
static_assert(Run::plan.hash() != 0);
int main(int argc, char** argv) {{
  return launch<Threads>(argc, argv, [](auto& world) {{
    auto run = Run::on(world, {{.batch = 1, .tokens = 64}});
    const std::vector<int> ids(64, 7);
    run.step(Tokens{{ids.data(), {{1, 64}}}}, Tokens{{ids.data(), {{1, 64}}}});
  }});
}}
"""


def seconds(compiler, source, folder, level="-O3"):
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [compiler, "-std=c++20", level, "-march=native", "-DNDEBUG", "-I", ROOT / "include", "-I", ROOT / "examples",
         "-isystem", "/usr/include/eigen3", "-c", source, "-o", folder / "object.o"],
        check=True,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parse = argparse.ArgumentParser(description=__doc__)
    parse.add_argument("--compiler", default="g++")
    parse.add_argument("--rounds", type=int, default=3)
    args = parse.parse_args()
    version = subprocess.run([args.compiler, "--version"], capture_output=True, text=True, check=True)
    driver.machine("compile_time", compiler=version.stdout.splitlines()[0])
    folder = pathlib.Path(tempfile.mkdtemp(prefix="compile-time-"))
    sources = {"gpt": ROOT / "examples" / "gpt.cpp", "arguments": ROOT / "examples" / "gpt_arguments.cpp"}
    for layers in (12, 126):
        sources[f"{layers}_layers"] = folder / f"deep_{layers}.cpp"
        sources[f"{layers}_layers"].write_text(DEEP.format(layers=layers))
    times = {name: [] for name in sources}
    for _ in range(args.rounds):
        for name, source in sources.items():
            times[name].append(seconds(args.compiler, source, folder, "-O0" if name == "arguments" else "-O3"))
    shutil.rmtree(folder)
    middle = {name: statistics.median(t) for name, t in times.items()}
    driver.emit("compile_time", "gpt_example_cpu_s", middle["gpt"] + middle["arguments"], "s", goal=15)
    driver.emit("compile_time", "gpt_training_cpu_s", middle["gpt"], "s")
    driver.emit("compile_time", "12_layers_cpu_s", middle["12_layers"], "s")
    driver.emit(
        "compile_time", "126_layers_cpu_s", middle["126_layers"], "s",
        growth=driver.rounded(middle["126_layers"] / middle["12_layers"]), goal_growth=1.3,
    )  # fmt: skip


if __name__ == "__main__":
    main()
