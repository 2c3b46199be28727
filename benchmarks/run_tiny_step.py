#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/run_tiny_step.py: a step of MLP 64-64-10 on two ranks, cohort's against PyTorch DDP's, interleaved.
"""Runs `tiny_step --ranks 2` and peers/tiny_step.py in turn, a block of steps at a time, and prints medians as JSON lines.
Without PyTorch only cohort's are printed."""

import argparse
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
import driver  # noqa: E402


def main():
    parse = driver.options(argparse.ArgumentParser(), "tiny_step")
    parse.add_argument("--ranks", type=int, default=2)
    parse.add_argument("--blocks", type=int, default=6)
    parse.add_argument("--steps", type=int, default=200, help="timed steps a block")
    parse.add_argument(
        "--optimizers",
        nargs="*",
        default=["adamw_fused"],
        help="of the peer: adamw_fused, adamw_foreach, adamw_loop, sgd, sgd_fused",
    )
    args = parse.parse_args()
    torch = driver.torch_version(args.python)
    driver.machine("tiny_step", torch=torch or "missing", threads_per_rank=1)
    programs = [driver.Program([args.cohort, "--ranks", args.ranks])]
    names = []
    for optimizer in args.optimizers if torch else []:
        flags = ["--ranks", args.ranks, "--optimizer", optimizer]
        programs.append(driver.Program(driver.peer_command(args.python, "tiny_step.py", *flags)))
        names.append(f"torch {torch} DDP gloo {optimizer}")
    times = driver.interleave(programs, args.blocks, args.steps, 10)
    for program in programs:
        program.quit()
    ours, metric = times[0], f"step_us_{args.ranks}x1"
    common = dict(samples=len(ours), spread=driver.spread(ours))
    if not torch:
        driver.emit(
            "tiny_step", metric, statistics.median(ours), "us", peer="torch missing", **common
        )
    for name, theirs in zip(names, times[1:]):
        driver.emit(
            "tiny_step",
            metric,
            statistics.median(ours),
            "us",
            name,
            statistics.median(theirs),
            **common,
            peer_spread=driver.spread(theirs),
        )


if __name__ == "__main__":
    main()
