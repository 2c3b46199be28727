#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/run_cpu_step.py: cohort's GPT step on the CPU against PyTorch's, interleaved, with equal ranks x threads.
"""Runs `cpu_step --ranks R`, `cpu_step_accum` (the same optimizer step in four micro-batches) and peers/cpu_step.py --ranks R (eager, and torch.compile as a further row) for R = 1, 2 in
blocks of a few steps, one program at a time, and prints medians as JSON lines. Without PyTorch only cohort's are printed."""

import argparse
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
import driver  # noqa: E402

TOKENS = 12 * 64  # of a rank's step


def measure(args, ranks, torch):
    accum = pathlib.Path(args.cohort).with_name("cpu_step_accum")
    programs = {
        "cohort": driver.Program([args.cohort, "--ranks", ranks]),
        "cohort GradAccum<4>": driver.Program([accum, "--ranks", ranks]),
    }
    if torch:
        modes = [("", [])] if args.no_compile else [("", []), (" compiled", ["--compile"])]
        for label, flags in modes:
            name = f"torch {torch}{label}" + (" DDP gloo" if ranks > 1 else "")
            try:
                programs[name] = driver.Program(
                    driver.peer_command(args.python, "cpu_step.py", "--ranks", ranks, *flags)
                )
            except RuntimeError as error:
                print(error, file=sys.stderr)
    times = driver.interleave(list(programs.values()), args.blocks, args.steps, 1)
    for program in programs.values():
        program.quit()
    return {name: (program.info, one) for (name, program), one in zip(programs.items(), times)}


def report(ranks, results):
    ours = {name: results.pop(name)[1] for name in ("cohort", "cohort GradAccum<4>")}
    for (variant, times), suffix in zip(ours.items(), ("", "_accum4")):
        step, shape = statistics.median(times), f"{ranks}x1{suffix}"
        common = dict(samples=len(times), spread=driver.spread(times))
        tokens = 1e6 * ranks * TOKENS
        if not results:
            missing = dict(peer="torch missing", **common)
            driver.emit("cpu_step", f"tokens_per_s_{shape}", tokens / step, "tokens/s", **missing)
            driver.emit("cpu_step", f"step_ms_{shape}", step / 1e3, "ms", **missing)
        for name, (info, theirs) in results.items():
            other = statistics.median(theirs)
            more = dict(**common, peer_spread=driver.spread(theirs), peer_adamw=info.get("optimizer"))
            driver.emit("cpu_step", f"tokens_per_s_{shape}", tokens / step, "tokens/s", name, tokens / other, **more)
            driver.emit("cpu_step", f"step_ms_{shape}", step / 1e3, "ms", name, other / 1e3, **more)


def main():
    parse = driver.options(argparse.ArgumentParser(), "cpu_step")
    parse.add_argument("--ranks", type=int, nargs="*", default=[1, 2])
    parse.add_argument("--blocks", type=int, default=10)
    parse.add_argument(
        "--steps",
        type=int,
        default=6,
        help="timed steps a block; blocks x steps should be 50 or more",
    )
    parse.add_argument("--no-compile", action="store_true", help="leave the torch.compile row out")
    args = parse.parse_args()
    torch = driver.torch_version(args.python)
    driver.machine("cpu_step", torch=torch or "missing", threads_per_rank=1)
    for ranks in args.ranks:
        report(ranks, measure(args, ranks, torch))


if __name__ == "__main__":
    main()
