#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/run_cpu_step.py: cohort's GPT step on the CPU against PyTorch's, interleaved, with equal ranks x threads.
"""Runs `cpu_step --ranks R`, `cpu_step_accum` (the same optimizer step in four micro-batches) and peers/cpu_step.py
--ranks R (eager, and torch.compile as a further row) for R = 1, 2 in blocks of a few steps, one program at a time, and
prints medians as JSON lines. Without PyTorch only cohort's are printed.
With --bf16: `cpu_step`, `cpu_step_bf16`, torch in fp32 and in bf16 (the fastest of the ways of peers/bf16.py); each is
compared with its own kind, and cohort's bf16 with cohort's fp32 too.
With --llama: `cpu_step_llama`, a Llama of the same size, and PyTorch's (peers/llama.py).
With --reproducible: `cpu_step_reproducible`, one rank that does four ranks' parts, and `cpu_step_accum` as its peer."""

import argparse
import pathlib
import statistics
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
import driver  # noqa: E402

TOKENS = 12 * 64  # of a rank's step
OURS = {  # program and the suffix of its metrics
    "gpt": {"cohort": ("cpu_step", ""), "cohort GradAccum<4>": ("cpu_step_accum", "_accum4")},
    "bf16": {"cohort": ("cpu_step", ""), "cohort bf16": ("cpu_step_bf16", "_bf16")},
    "llama": {"cohort": ("cpu_step_llama", "_llama")},
    "reproducible": {"cohort Reproducible<4>": ("cpu_step_reproducible", "_reproducible4")},
}


def peers(args, ranks, torch):
    """Yields (name, command) of PyTorch's programs. The way to bf16 is chosen once, by the first."""
    if args.kind == "reproducible":
        yield "cohort GradAccum<4>", [pathlib.Path(args.cohort).with_name("cpu_step_accum"), "--ranks", ranks]
    if args.kind == "reproducible" or not torch:
        return
    modes = [("", [])] if args.no_compile else [("", []), (" compiled", ["--compile"])]
    for label, flags in modes:
        for precision in ("", " bf16") if args.kind == "bf16" else ("",):
            way = ["--bf16", args.way] if precision else []
            name = f"torch {torch}{precision}{label}" + (" DDP gloo" if ranks > 1 else "")
            model = ["--model", "llama"] if args.kind == "llama" else []
            yield name, driver.peer_command(args.python, "cpu_step.py", "--ranks", ranks, *model, *flags, *way)


def measure(args, ranks, torch):
    programs = {
        name: driver.Program([pathlib.Path(args.cohort).with_name(program), "--ranks", ranks])
        for name, (program, _) in OURS[args.kind].items()
    }
    for name, command in peers(args, ranks, torch):
        try:
            programs[name] = driver.Program(command)
            args.way = programs[name].info.get("bf16") or args.way
        except RuntimeError as error:
            print(error, file=sys.stderr)
    times = driver.interleave(list(programs.values()), args.blocks, args.steps, 1)
    for program in programs.values():
        program.quit()
    return {name: (program.info, one) for (name, program), one in zip(programs.items(), times)}


def report(kind, ranks, results):
    ours = {name: results.pop(name)[1] for name in OURS[kind]}
    for variant, times in ours.items():
        step, shape = statistics.median(times), f"{ranks}x1{OURS[kind][variant][1]}"
        common = dict(samples=len(times), spread=driver.spread(times))
        tokens = 1e6 * ranks * TOKENS
        if not results:
            missing = dict(peer="torch missing", **common)
            driver.emit("cpu_step", f"tokens_per_s_{shape}", tokens / step, "tokens/s", **missing)
            driver.emit("cpu_step", f"step_ms_{shape}", step / 1e3, "ms", **missing)
        alike = {n: r for n, r in results.items() if (" bf16" in n) == (" bf16" in variant)}
        if " bf16" in variant:
            alike["cohort"] = ({}, ours["cohort"])
        for name, (info, theirs) in alike.items():
            other = statistics.median(theirs)
            more = dict(**common, peer_spread=driver.spread(theirs))
            more |= {f"peer_{k}": info[v] for k, v in (("adamw", "optimizer"), ("way", "bf16")) if info.get(v)}
            driver.emit("cpu_step", f"tokens_per_s_{shape}", tokens / step, "tokens/s", name, tokens / other, **more)
            driver.emit("cpu_step", f"step_ms_{shape}", step / 1e3, "ms", name, other / 1e3, **more)


def main(arguments=None):
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
    parse.set_defaults(kind="gpt")
    kind = dict(dest="kind", action="store_const")
    parse.add_argument("--bf16", const="bf16", **kind, help="bf16 beside fp32, instead of GradAccum<4>")
    parse.add_argument("--llama", const="llama", **kind, help="a Llama of the same size")
    parse.add_argument("--reproducible", const="reproducible", **kind, help="--ranks 1: four parts beside four micro-batches")
    parse.add_argument("--way", default="fastest", help="how PyTorch trains in bf16: see peers/bf16.py")
    args = parse.parse_args(arguments)
    torch = driver.torch_version(args.python)
    driver.machine("cpu_step", torch=torch or "missing", threads_per_rank=1)
    for ranks in args.ranks:
        report(args.kind, ranks, measure(args, ranks, torch))


if __name__ == "__main__":
    main()
