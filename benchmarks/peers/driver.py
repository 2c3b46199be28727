# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/peers/driver.py: run measured programs in turn, one at a time, and print results as JSON lines.
"""Every line has bench, metric, value and unit; with a peer also peer, peer_value and ratio. The ratio is above 1 where
value is the better one: value / peer_value for rates, peer_value / value for times and bytes. See protocol.py for the
programs."""

import atexit
import contextlib
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys

BENCHMARKS = pathlib.Path(__file__).resolve().parents[1]
PEERS = BENCHMARKS / "peers"
BUILT = BENCHMARKS.parent / "build" / "release" / "benchmarks"


def descendants(pid):
    """pid and every process below it (Linux)."""
    children = {}
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            # Closed by hand: what a signal's handler raises while a forgotten file is closed is lost.
            with open(f"/proc/{entry}/stat") as stat:
                parent = int(stat.read().rsplit(")", 1)[1].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(entry))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def signal_all(pid, number, begin=0):
    """To pid and every process below it; without pid where begin is 1."""
    for one in descendants(pid)[begin:]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(one, number)


class Program:
    """A measured program, stopped (SIGSTOP) whenever it is not its turn, so that only one program computes."""

    def __init__(self, command):
        environment = dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1")
        self.command = [str(word) for word in command]
        try:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment,
            )
        except OSError as error:
            raise SystemExit(
                f"{self.command[0]}: {error.strerror}. Build it, or name it with --cohort."
            ) from error
        atexit.register(self.end)
        try:
            self.info = self.ready()
        except BaseException:  # one that is given up must not compute beside those that are measured
            self.end()
            raise
        self.signal(signal.SIGSTOP)

    def ready(self):
        """What the program says about itself once it can be measured."""
        line = self.process.stdout.readline().strip()
        if not line.startswith("ready"):
            raise RuntimeError(f"{' '.join(self.command)}: expected 'ready', got '{line}'")
        return json.loads(line[5:].strip() or "{}")

    def signal(self, number):
        signal_all(self.process.pid, number)

    def run(self, *arguments):
        """The times in us that the program answers with."""
        self.signal(signal.SIGCONT)
        try:
            self.process.stdin.write(" ".join(["run", *map(str, arguments)]) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # the empty answer below says it
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self.command)}: ended with code {self.process.wait()}")
        self.signal(signal.SIGSTOP)
        return json.loads(line)

    def quit(self):
        self.signal(signal.SIGCONT)
        try:
            self.process.stdin.write("quit\n")
            self.process.stdin.close()
            self.process.wait(timeout=20)
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self.end()

    def end(self):
        """Kills what still runs: a stopped program would wait for ever."""
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
            self.process.wait()


def interleave(programs, blocks, steps, skip):
    """Blocks of steps of each program in turn, the order reversed in every other block. Returns one list of times (us)
    a program, without the first `skip` of each block, which pay for cold caches."""
    times = [[] for _ in programs]
    for block in range(blocks):
        order = range(len(programs))
        for i in order if block % 2 == 0 else reversed(order):
            times[i] += programs[i].run(steps + skip)[skip:]
    return times


def torch_version(python):
    """The version of PyTorch that this interpreter imports within two minutes, or None."""
    try:
        probe = subprocess.run(
            [python, "-c", "import torch; print(torch.__version__)"],
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    except subprocess.TimeoutExpired:
        return None
    return probe.stdout.strip() if probe.returncode == 0 else None


def machine(bench, **more):
    """Prints the first line: what it ran on."""
    lines = open("/proc/cpuinfo").read().splitlines()
    cpu = next(
        (line.split(":")[1].strip() for line in lines if line.startswith("model name")),
        platform.processor(),
    )
    print(
        json.dumps(
            dict(
                bench=bench,
                machine=dict(cpu=cpu, cores=os.cpu_count(), system=platform.platform()),
                **more,
            )
        ),
        flush=True,
    )


def rounded(value):
    return float(f"{value:.5g}")


def emit(bench, metric, value, unit, peer=None, peer_value=None, **more):
    """Prints one result; peer_value is in the same unit."""
    row = dict(bench=bench, metric=metric, value=rounded(value), unit=unit)
    if peer_value is not None:
        ratio = value / peer_value if unit.endswith("/s") else peer_value / value
        row.update(peer=peer, peer_value=rounded(peer_value), ratio=rounded(ratio))
    elif peer is not None:
        row.update(peer=peer)
    print(json.dumps(dict(**row, **more)), flush=True)


def spread(times):
    """The distance of the quartiles over the median."""
    low, middle, high = statistics.quantiles(times, n=4)
    return rounded((high - low) / middle)


def peer_command(python, script, *arguments):
    return [python, "-B", PEERS / script, *arguments]


def options(parse, binary):
    """The options that every driver has."""
    parse.add_argument("--cohort", default=str(BUILT / binary), help="cohort's program")
    parse.add_argument(
        "--python",
        default=os.environ.get("COHORT_PEERS_PYTHON", sys.executable),
        help="an interpreter that has torch ($COHORT_PEERS_PYTHON)",
    )
    return parse
