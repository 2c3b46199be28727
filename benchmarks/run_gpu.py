#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/run_gpu.py: cohort on a GPU against PyTorch and against the GPU's own ceilings, in one call.
"""Parts, all of them unless some are named with --parts:
  step       optimizer steps of GPT-2 124M: gpt2_step, gpt2_step --graph [--tune], PyTorch eager and compiled, in blocks of a
             few steps in turn, one program at a time. PyTorch trains under autocast (fp32 parameters, cast in every
             step); with --pure also with bf16 parameters only, which is less work and less exact.
  ops        gpu/ops, peers/gpu_ops.py, gpu/ops again: copy, matrix product, AdamW, norm of the gradient, LayerNorm,
             cross entropy, Linear. Each time is the median of replayed graphs; ours is the median of the rounds too.
  attention  the same for attention
  memory     cohort's alone: planned, counted (cudaMalloc) and taken bytes, and tokens a second, for all --batches
  trace      gpt2_trace: two ranks on the GPU, the timeline of a step as Chrome trace JSON in --traces
Prints JSON lines: a machine line, then results with share_of_floor (the time that the least bytes and operations take
at the measured ceilings, over the time taken), and a peer's value and ratio where there is one. Parts that fail are
named at the end (exit code 1); what was measured stays. --deadline S leaves out what would start later than S seconds.
tools/gpu-suite bench runs all of it on a machine with a GPU."""

import argparse
import contextlib
import json
import pathlib
import shlex
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
import driver  # noqa: E402

PARTS = ["step", "ops", "attention", "memory", "trace"]
PEAK = 989e12  # dense bf16 operations a second of H100 SXM and H200


class Late(Exception):
    """There is no time for this."""


class Clock:
    """What there is time for, and what went wrong in programs whose results were kept."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds if seconds else None
        self.failed = []

    def left(self):
        return None if self.end is None else self.end - time.monotonic()

    def check(self, what):
        if self.end is not None and self.left() <= 0:
            raise Late(f"{what}: left out, --deadline is over")

    @contextlib.contextmanager
    def limit(self, what, reserve):
        """Ends the block when no more than `reserve` seconds are left."""

        def late(number, frame):
            raise Late(f"{what}: left out, it did not start in time")

        self.check(what)
        signal.signal(signal.SIGALRM, late)
        signal.alarm(0 if self.end is None else max(1, int(self.left() - reserve)))
        try:
            yield
        finally:
            signal.alarm(0)


def lines(command, clock):
    """The JSON objects that a program prints."""
    command = [str(word) for word in command]
    clock.check(" ".join(command))
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=clock.left(), check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0:
        clock.failed.append(f"{' '.join(command)}: ended with code {done.returncode}")
    return rows


def run_ops(args, part, clock):
    """Rounds of ours, and PyTorch's after the first of them."""
    ours, theirs = {}, {}
    more = ["--no-compile"] if args.no_compile else []
    peer = driver.peer_command(args.python, "gpu_ops.py", "--only", part, *more, *args.peer_arguments)
    for number in range(args.rounds):
        for row in lines([args.programs / part, *args.program_arguments], clock):
            if "metric" in row:
                ours.setdefault(row["metric"], []).append(row)
        if args.torch and number == 0:
            for row in lines(peer, clock):
                if "metric" in row:
                    theirs.setdefault(row["metric"], {}).setdefault(row["way"], []).append(row["us"])
    for metric, rows in ours.items():
        report_op(args.torch, part, metric, rows, theirs.get(metric, {}))


def report_op(torch, part, metric, rows, peers):
    times = [row["us"] for row in rows]
    middle = statistics.median(times)
    row = min(rows, key=lambda r: abs(r["us"] - middle))
    more = {k: driver.rounded(row[k]) for k in ("gb_s", "tflop_s", "floor_us", "share_of_floor")}
    more |= dict(samples=len(times), range=driver.rounded((max(times) - min(times)) / middle))
    if not peers:
        driver.emit("gpu_" + part, metric, middle, "us", **more)
    for way, theirs in peers.items():
        peer = f"torch {torch} {way}"
        driver.emit("gpu_" + part, metric, middle, "us", peer, statistics.median(theirs), **more)


def step_programs(args):
    """Yields (name, command) of what trains GPT-2."""
    ours = [args.programs / "gpt2_step", "--batch", args.batch, *args.program_arguments]
    yield "cohort", ours
    yield "cohort CudaGraph", [*ours, "--graph"]
    yield "cohort CudaGraph tuned", [*ours, "--graph", "--tune"]
    for way in ["autocast", "pure"] if args.pure else ["autocast"]:
        for mode in ([], ["--compile"]) if not args.no_compile else ([],):
            if args.torch:
                more = ["--batch", args.batch, "--way", way, *mode, *args.peer_arguments]
                name = f"torch {args.torch} {way} {'compiled' if mode else 'eager'}"
                yield name, driver.peer_command(args.python, "gpu_step.py", *more)


def run_step(args, clock):
    """Blocks of steps of every program in turn: the means of --blocks blocks of --steps steps."""
    programs = {}
    for name, command in step_programs(args):
        try:
            with clock.limit(name, reserve=60):
                programs[name] = driver.Program(command)
        except (Late, RuntimeError, SystemExit) as error:
            clock.failed.append(f"{name}: {error}")
    times = {name: [] for name in programs}
    for block in range(args.blocks):
        for name in list(programs) if block % 2 == 0 else reversed(list(programs)):
            if clock.end is None or clock.left() > 0:
                times[name] += programs[name].run(args.steps)
    for program in programs.values():
        program.quit()
    report_steps(args, {name: (programs[name].info, t) for name, t in times.items() if len(t) > 1})


def rate_of(info, times):
    return 1e6 * info["tokens_per_step"] / statistics.median(times)


def mfu_of(info, rate):
    """None for GPUs other than those whose peak is known."""
    known = any(name in info["gpu"] for name in ("H100", "H200"))
    return driver.rounded(rate * info["flops_per_token"] / PEAK) if known else None


def report_steps(args, results):
    ours = {name: r for name, r in results.items() if name.startswith("cohort")}
    theirs = {name: r for name, r in results.items() if not name.startswith("cohort")}
    for name, (info, times) in ours.items():
        metric = f"tokens_per_s_b{args.batch}" + ("_graph" if "Graph" in name else "")
        metric += "_tuned" if "tuned" in name else ""
        rate = rate_of(info, times)
        more = dict(mfu=mfu_of(info, rate), step_ms=driver.rounded(statistics.median(times) / 1e3))
        more |= dict(samples=len(times), spread=driver.spread(times))
        if not theirs:
            driver.emit("gpu_step", metric, rate, "tokens/s", **more)
        for peer, (peer_info, peer_times) in theirs.items():
            tokens = dict(peer_info, tokens_per_step=info["tokens_per_step"])
            details = dict(peer_spread=driver.spread(peer_times), peer_loss=peer_info.get("loss"))
            driver.emit("gpu_step", metric, rate, "tokens/s", peer, rate_of(tokens, peer_times), **more, **details)


def run_memory(args, clock):
    """One program at a time: each holds most of what it needs of the GPU."""
    for batch in args.batches:
        clock.check(f"memory of batch {batch}")
        command = [args.programs / "gpt2_step", "--batch", batch, *args.program_arguments]
        program = driver.Program(command)
        times = [t for _ in range(5) for t in program.run(args.steps)]
        program.quit()
        info = program.info
        rate = rate_of(info, times)
        keys = ("planned_bytes", "counted_bytes", "taken_bytes")
        more = {key: info[key] for key in keys} | dict(mfu=mfu_of(info, rate))
        driver.emit("gpu_memory", f"tokens_per_s_b{batch}", rate, "tokens/s", **more)
        if info["counted_bytes"] != info["planned_bytes"]:
            print(f"batch {batch}: counted bytes are not the planned ones", file=sys.stderr)


def run_trace(args, clock):
    args.traces.mkdir(parents=True, exist_ok=True)
    for strategy, flags in (("replicate", []), ("full_shard", ["--full-shard"])):
        file = args.traces / f"gpt2_{strategy}.json"
        command = [args.programs / "gpt2_trace", *flags, "--trace", file, *args.program_arguments]
        for row in lines(command, clock):
            share = row["hidden_us"] / row["collectives_us"] if row["collectives_us"] > 0 else 0
            metric = f"hidden_share_{strategy}_rank{row['rank']}"
            driver.emit("gpu_trace", metric, share, "of collectives", **row)
        events = json.loads(file.read_text())["traceEvents"]
        print(f"trace: {file}, {len(events)} events", file=sys.stderr)


def has_gpu():
    try:
        return subprocess.run(["nvidia-smi", "-L"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def options(arguments):
    parse = argparse.ArgumentParser(formatter_class=argparse.RawDescriptionHelpFormatter, description=__doc__)
    driver.options(parse, "gpu")
    built = driver.BUILT / "gpu"
    parse.add_argument("--programs", type=pathlib.Path, default=built, help="folder of cohort's")
    parse.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    parse.add_argument("--rounds", type=int, default=2, help="of ops and attention")
    parse.add_argument("--batch", type=int, default=32, help="rows of 1024 tokens, of the step")
    parse.add_argument("--batches", type=int, nargs="*", default=[8, 16, 32, 64], help="of memory")
    parse.add_argument("--blocks", type=int, default=15, help="of the step")
    parse.add_argument("--steps", type=int, default=10, help="a block")
    parse.add_argument("--no-peers", action="store_true", help="cohort's programs alone")
    parse.add_argument("--no-compile", action="store_true", help="leave torch.compile out: it takes a minute")
    parse.add_argument("--pure", action="store_true", help="PyTorch also with bf16 parameters only")
    parse.add_argument("--deadline", type=float, default=0, help="seconds after which nothing is begun")
    parse.add_argument("--traces", type=pathlib.Path, default=pathlib.Path("build/traces"))
    parse.add_argument("--program-arguments", type=shlex.split, default=[], help="for all of cohort's programs")
    parse.add_argument("--peer-arguments", type=shlex.split, default=[], help="for all of PyTorch's")
    parse.add_argument("--without-gpu", action="store_true", help="run although nvidia-smi finds none (for trials)")
    return parse.parse_args(arguments)


def main(arguments=None):
    args = options(arguments)
    if not args.without_gpu and not has_gpu():
        raise SystemExit("run_gpu: nvidia-smi finds no GPU here.")
    args.torch = None if args.no_peers else driver.torch_version(args.python)
    driver.machine("gpu", torch=args.torch or "missing")
    clock = Clock(args.deadline)
    run = dict(
        ops=lambda: run_ops(args, "ops", clock),
        attention=lambda: run_ops(args, "attention", clock),
        step=lambda: run_step(args, clock),
        memory=lambda: run_memory(args, clock),
        trace=lambda: run_trace(args, clock),
    )
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(1))  # ends programs that are stopped, too
    for part in args.parts:
        try:
            run[part]()
        except (Late, RuntimeError, OSError, SystemExit, subprocess.TimeoutExpired, KeyError, ValueError) as error:
            clock.failed.append(f"{part}: {error}")
    for sentence in clock.failed:
        print(f"run_gpu: {sentence}", file=sys.stderr)
    return 1 if clock.failed else 0


if __name__ == "__main__":
    sys.exit(main())
