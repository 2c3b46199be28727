#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/run_gpu.py: cohort on a GPU against PyTorch and against the GPU's own ceilings, in one call.
"""Parts, all of them unless some are named with --parts:
  step       optimizer steps of GPT-2 124M: gpt2_step, gpt2_step --graph [--tune], PyTorch eager and compiled, in blocks
             of a few steps in turn, one program at a time. PyTorch trains under autocast (fp32 parameters, cast in
             every step); with --pure also with bf16 parameters only, which is less work and less exact.
  memory     cohort's alone: planned, counted (cudaMalloc) and taken bytes, and tokens a second, for all --batches; it
             fails where what was counted is not what was planned
  trace      gpt2_trace: two ranks on the GPU, the timeline of a step as Chrome trace JSON in --traces
  ops        gpu/ops, peers/gpu_ops.py, gpu/ops again: copy, matrix product, AdamW, norm of the gradient, LayerNorm,
             cross entropy, Linear. Each time is the median of replayed graphs; ours is the median of the rounds too.
  attention  the same for attention
Prints JSON lines: a machine line, then results with share_of_floor (the time that the least bytes and operations take
at the measured ceilings, over the time taken), and a peer's value and ratio where there is one. Parts that fail are
named at the end (exit code 1); what was measured stays, also when --deadline S seconds are over or SIGTERM comes.
tools/gpu-suite bench runs all of it on a machine with a GPU."""

import argparse
import contextlib
import json
import math
import os
import pathlib
import shlex
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
import driver  # noqa: E402

PARTS = ["step", "memory", "trace", "ops", "attention"]
PEAK = 989e12  # dense bf16 operations a second of H100 SXM and H200


class Late(Exception):
    """There is no time for this."""


class Stopped(BaseException):
    """SIGTERM: what is under way ends, what was measured is reported."""


# What makes a program fail, or a part of them; the others go on.
ERRORS = (Late, RuntimeError, OSError, SystemExit, KeyError, ValueError)


def stop(number, frame):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # once
    raise Stopped


@contextlib.contextmanager
def to_the_end():
    """SIGTERM waits until the block is over."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


class Clock:
    """What there is time for, and what went wrong in programs whose results were kept."""

    def __init__(self, seconds):
        self.seconds = seconds or math.inf
        self.end = time.monotonic() + self.seconds
        self.failed = []

    def left(self):
        return self.end - time.monotonic()

    @contextlib.contextmanager
    def limit(self, what, share=1.0):
        """Ends the block when this share of the time that is left is over."""

        def late(number, frame):
            raise Late(f"{what}: no time left for it")

        seconds = share * self.left()
        if seconds <= 0:
            late(None, None)
        signal.signal(signal.SIGALRM, late)
        signal.setitimer(signal.ITIMER_REAL, 0 if math.isinf(seconds) else seconds)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)

    @contextlib.contextmanager
    def fails_alone(self, what):
        """An error in the block is written down, and what comes after goes on."""
        try:
            yield
        except ERRORS as error:
            sentence = str(error)
            self.failed.append(sentence if what in sentence else f"{what}: {sentence}")


def read_lines(command, clock, take):
    """Gives take() each JSON object that a program prints, as it comes: a program that is cut has said something."""
    command = [str(word) for word in command]
    what = " ".join(command)
    with clock.limit(what):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            for line in process.stdout:
                if line.startswith("{"):
                    take(json.loads(line))
            code = process.wait()
        finally:
            if process.poll() is None:
                driver.signal_all(process.pid, signal.SIGKILL)
                process.wait()
    if code != 0:
        raise RuntimeError(f"{what}: ended with code {code}")


def run_ops(args, part, clock):
    """Rounds of ours, and PyTorch's after the first of them."""
    ours, theirs, lacked = {}, {}, {}
    more = ["--no-compile"] if args.no_compile else []
    peer = driver.peer_command(args.python, "gpu_ops.py", "--only", part, *more, *args.peer_arguments)

    def take_ours(row):
        if "metric" in row:
            ours.setdefault(row["metric"], []).append(row)
        elif "lacked" in row:
            lacked.update(row)

    def take_theirs(row):
        if "metric" in row:
            theirs.setdefault(row["metric"], {}).setdefault(row["way"], []).append(row["us"])

    try:
        for number in range(args.rounds):
            with clock.fails_alone(part):
                read_lines([args.programs / part, *args.program_arguments], clock, take_ours)
            if args.torch and number == 0:
                with clock.fails_alone("PyTorch's " + part):
                    read_lines(peer, clock, take_theirs)
    finally:
        with to_the_end():
            for metric, rows in ours.items():
                report_op(args.torch, part, metric, rows, theirs.get(metric, {}))
            if lacked:
                driver.emit("gpu_" + part, "fused_products_lacked", lacked["lacked"], "products", products=lacked["products"])


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
    """(name, command) of what trains GPT-2, the slowest to start last."""
    ours = [args.programs / "gpt2_step", "--batch", args.batch, *args.program_arguments]
    yield "cohort", ours
    yield "cohort CudaGraph", [*ours, "--graph"]
    yield "cohort CudaGraph tuned", [*ours, "--graph", "--tune"]
    if not args.torch:
        return
    for mode in ([],) if args.no_compile else ([], ["--compile"]):
        for way in ["autocast", "pure"] if args.pure else ["autocast"]:
            more = ["--batch", args.batch, "--way", way, *mode, *args.peer_arguments]
            name = f"torch {args.torch} {way} {'compiled' if mode else 'eager'}"
            yield name, driver.peer_command(args.python, "gpu_step.py", *more)


def start_step(args, clock):
    """What could be started, by name. The slowest begins, with at most half of the time; blocks keep a fifth."""
    commands = list(step_programs(args))
    programs = {}
    for name, command in reversed(commands):
        blocks = clock.seconds / 5
        share = 0.5 if math.isinf(blocks) else min(0.5, 1 - blocks / max(clock.left(), blocks))
        with clock.fails_alone(name), clock.limit(name, share):
            programs[name] = driver.Program(command)
    return {name: programs[name] for name, _ in commands if name in programs}


def run_step(args, clock):
    """Blocks of steps of every program in turn: the means of --blocks blocks of --steps steps. A program that fails is
    dropped with what it measured until then; one that hangs costs half of the time that is left."""
    programs = start_step(args, clock)
    running = list(programs)
    times = {name: [] for name in programs}
    try:
        for block in range(args.blocks):
            for name in running[:: 1 if block % 2 == 0 else -1]:
                failures = len(clock.failed)
                with clock.fails_alone(name), clock.limit(name, share=0.5):
                    times[name] += programs[name].run(args.steps)
                if len(clock.failed) > failures:
                    programs[name].end()
                    running.remove(name)
    finally:
        with to_the_end():
            report_steps(args, {name: (programs[name].info, t) for name, t in times.items() if len(t) > 1}, clock)
            for program in programs.values():
                program.end()


def rate_of(info, times):
    tokens = info.get("tokens_per_step") or info["batch"] * info["tokens"]
    return 1e6 * tokens / statistics.median(times)


def mfu_of(info, rate):
    """None for GPUs other than those whose peak is known."""
    known = any(name in info["gpu"] for name in ("H100", "H200"))
    return driver.rounded(rate * info["flops_per_token"] / PEAK) if known else None


def report_peak(bench, variant, info, clock):
    """Is what was counted what was planned?"""
    planned, counted = info["planned_bytes"], info["counted_bytes"]
    equal = planned == counted
    more = dict(planned_bytes=planned, counted_bytes=counted)
    driver.emit(bench, f"peak_equals_plan_{variant}", int(equal), "of 1", **more)
    if not equal:
        clock.failed.append(f"{variant}: counted {counted} bytes are not the {planned} planned ones")


def variant_of(name, args):
    return f"b{args.batch}" + ("_graph" if "Graph" in name else "") + ("_tuned" if "tuned" in name else "")


def report_steps(args, results, clock):
    ours = {name: r for name, r in results.items() if name.startswith("cohort")}
    theirs = {name: r for name, r in results.items() if not name.startswith("cohort")}
    for name, (info, times) in ours.items():
        variant = variant_of(name, args)
        metric = "tokens_per_s_" + variant
        rate = rate_of(info, times)
        more = dict(mfu=mfu_of(info, rate), step_ms=driver.rounded(statistics.median(times) / 1e3))
        more |= dict(samples=len(times), spread=driver.spread(times))
        if not theirs:
            driver.emit("gpu_step", metric, rate, "tokens/s", **more)
        for peer, (peer_info, peer_times) in theirs.items():
            details = dict(peer_spread=driver.spread(peer_times), peer_loss=peer_info.get("loss"))
            driver.emit("gpu_step", metric, rate, "tokens/s", peer, rate_of(peer_info, peer_times), **more, **details)
            if peer_info.get("peak_bytes"):
                peaks = info["counted_bytes"], "bytes", peer, peer_info["peak_bytes"]
                driver.emit("gpu_step", "peak_bytes_" + variant, *peaks)
        report_peak("gpu_step", variant, info, clock)
    for name, (info, times) in theirs.items():
        more = dict(samples=len(times), spread=driver.spread(times), peak_bytes=info.get("peak_bytes"))
        driver.emit("gpu_step", f"peer_tokens_per_s_b{args.batch}", rate_of(info, times), "tokens/s", name, **more)


def run_memory(args, clock):
    """One program at a time: each holds most of what it needs of the GPU."""
    for batch in args.batches:
        with clock.fails_alone(f"memory of batch {batch}"), clock.limit(f"memory of batch {batch}", share=0.5):
            run_memory_of(batch, args, clock)


def run_memory_of(batch, args, clock):
    program = driver.Program([args.programs / "gpt2_step", "--batch", batch, *args.program_arguments])
    try:
        times = [t for _ in range(5) for t in program.run(args.steps)]
        info = program.info
        rate = rate_of(info, times)
        keys = ("planned_bytes", "counted_bytes", "taken_bytes")
        more = {key: info[key] for key in keys} | dict(mfu=mfu_of(info, rate))
        driver.emit("gpu_memory", f"tokens_per_s_b{batch}", rate, "tokens/s", **more)
        report_peak("gpu_memory", f"b{batch}", info, clock)
    finally:
        program.end()


def run_trace(args, clock):
    """Each strategy by itself."""
    args.traces.mkdir(parents=True, exist_ok=True)
    for strategy, flags in (("replicate", []), ("full_shard", ["--full-shard"])):

        def take(row, strategy=strategy):
            share = row["hidden_us"] / row["collectives_us"] if row["collectives_us"] > 0 else 0
            metric = f"hidden_share_{strategy}_rank{row['rank']}"
            driver.emit("gpu_trace", metric, share, "of collectives", **row)

        file = args.traces / f"gpt2_{strategy}.json"
        command = [args.programs / "gpt2_trace", *flags, "--trace", file, *args.program_arguments]
        with clock.fails_alone(f"trace of {strategy}"):
            read_lines(command, clock, take)
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
    parse.add_argument("--torch", metavar="VERSION", help="that --python imports, or none; looked for where not given")
    parse.add_argument("--no-compile", action="store_true", help="leave torch.compile out: it takes a minute")
    parse.add_argument("--pure", action="store_true", help="PyTorch also with bf16 parameters only")
    parse.add_argument("--deadline", type=float, default=0, help="seconds after which nothing runs any more")
    parse.add_argument("--traces", type=pathlib.Path, default=pathlib.Path("build/traces"))
    parse.add_argument("--program-arguments", type=shlex.split, default=[], help="for all of cohort's programs")
    parse.add_argument("--peer-arguments", type=shlex.split, default=[], help="for all of PyTorch's")
    parse.add_argument("--without-gpu", action="store_true", help="run although nvidia-smi finds none (for trials)")
    return parse.parse_args(arguments)


def main(arguments=None):
    args = options(arguments)
    clock = Clock(args.deadline)
    if not args.without_gpu and not has_gpu():
        raise SystemExit("run_gpu: nvidia-smi finds no GPU here.")
    signal.signal(signal.SIGTERM, stop)
    if args.no_peers or args.torch == "none":
        args.torch = None
    elif args.torch is None:
        args.torch = driver.torch_version(args.python)
    driver.machine("gpu", torch=args.torch or "missing")
    run = dict(
        step=lambda: run_step(args, clock),
        memory=lambda: run_memory(args, clock),
        trace=lambda: run_trace(args, clock),
        ops=lambda: run_ops(args, "ops", clock),
        attention=lambda: run_ops(args, "attention", clock),
    )
    try:
        for part in args.parts:
            with clock.fails_alone(part):
                run[part]()
    except Stopped:
        clock.failed.append(f"{part}: stopped by SIGTERM")
        driver.signal_all(os.getpid(), signal.SIGKILL, begin=1)  # one that nobody has taken into his hands yet
    for sentence in clock.failed:
        print(f"run_gpu: {sentence}", file=sys.stderr)
    return 1 if clock.failed else 0


if __name__ == "__main__":
    sys.exit(main())
