#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/tools/check_run_gpu.py: benchmarks/run_gpu.py keeps what was measured when a program fails, hangs or is cut.
"""The programs are scripts here: what they do wrong is named in FAULT, by the program's arguments."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

STEP = """#!/usr/bin/env python3
import json, os, sys, time
words = " ".join(sys.argv[1:])
def fault(kind):
    return any(f in words for f in os.environ.get(kind, "").split(",") if f)
open(os.environ["STARTS"], "a").write(words + "\\n")
if fault("SLOW_START"): time.sleep(60)
batch = int(sys.argv[sys.argv.index("--batch") + 1])
counted = 11 if fault("MORE_MEMORY") else 10
print("ready " + json.dumps(dict(gpu="none", batch=batch, tokens=1024, tokens_per_step=batch * 1024, flops_per_token=1,
      planned_bytes=10, counted_bytes=counted, taken_bytes=12, peak_bytes=20)), flush=True)
for number, line in enumerate(sys.stdin):
    if line.startswith("quit"): break
    if number == 3 and fault("CRASH"): sys.exit(3)
    if number == 3 and fault("HANG"): time.sleep(60)
    time.sleep(float(os.environ.get("PACE", "0")))
    print("[1000.0]", flush=True)
"""
OPS = """#!/usr/bin/env python3
import json, os, pathlib, time
row = dict(metric="copy", us=2.0, way="eager", gb_s=1, tflop_s=0, floor_us=1, share_of_floor=0.5)
print(json.dumps(row), flush=True)
print(json.dumps(dict(lacked=1, products="8 x 8 x 8 NT bf16 -> bf16, dgelu")), flush=True)
round_ = pathlib.Path(os.environ["STARTS"])
round_.open("a").write("ops\\n")
if round_.read_text().count("ops") == int(os.environ.get("HANG_ROUND", "0")): time.sleep(60)
"""
TRACE = """#!/usr/bin/env python3
import json, sys
if "--full-shard" not in sys.argv: sys.exit(1)
print(json.dumps(dict(rank=0, hidden_us=1.0, collectives_us=2.0)))
open(sys.argv[sys.argv.index("--trace") + 1], "w").write('{"traceEvents": []}')
"""


def check(sentence, holds):
    print(f"{'passed' if holds else 'FAILED'}  {sentence}")
    check.failures += not holds


check.failures = 0


class Bench:
    """run_gpu.py over these programs, PyTorch's among them."""

    def __init__(self, root, folder):
        self.script = root / "benchmarks/run_gpu.py"
        self.folder = folder
        for name, text in (("gpt2_step", STEP), ("ops", OPS), ("gpt2_trace", TRACE)):
            self.program(name, text)
        # The interpreter of the peers: takes -B and the script's path, and is the same scripts.
        self.program("python", '#!/bin/sh\ncase "$2" in *gpu_step.py) p=gpt2_step ;; *) p=ops ;; esac\n'
                     f'shift 2; exec "{folder}/$p" torch "$@"\n')

    def program(self, name, text):
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o755)

    def start(self, part, *more, **environment):
        self.starts = self.folder / "starts"
        self.starts.write_text("")
        command = [sys.executable, "-B", self.script, "--without-gpu", "--programs", self.folder, "--parts", part]
        command += ["--python", self.folder / "python", "--torch", "9", "--traces", self.folder, *more]
        environment = dict(os.environ, STARTS=str(self.starts), **environment)
        pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return subprocess.Popen(list(map(str, command)), env=environment, **pipes)

    def end(self, process):
        said, self.errors = process.communicate(timeout=60)
        self.rows = [row for row in map(json.loads, said.splitlines()) if "metric" in row]
        self.code = process.returncode

    def run(self, part, *more, **environment):
        self.end(self.start(part, *more, **environment))

    def metrics(self):
        return {row["metric"] for row in self.rows}


def left_over(folder):
    """Processes that run a program of this folder."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        found += [words] if any(word.startswith(bytes(folder)) for word in words[:2]) else []
    return found


def check_step(bench):
    bench.run("step", "--blocks", 6)
    check("a step is measured", bench.code == 0 and "tokens_per_s_b32_graph_tuned" in bench.metrics())
    starts = bench.starts.read_text().splitlines()
    check("the slowest starts first", "--compile" in starts[0] and starts[-1] == "--batch 32")
    check("PyTorch's peak is there", any(r["metric"] == "peak_bytes_b32" and r["ratio"] == 2 for r in bench.rows))
    check("the peak is the plan's", any(r["metric"] == "peak_equals_plan_b32" and r["value"] == 1 for r in bench.rows))
    for kind in ("CRASH", "HANG"):
        bench.run("step", "--blocks", 6, "--deadline", 8, **{kind: "--tune"})
        samples = {r["metric"]: r.get("samples") for r in bench.rows}
        check(f"{kind}: the others go on", all(samples.get("tokens_per_s_b32" + v) == 6 for v in ("", "_graph")))
        check(f"{kind}: what one measured stays", samples.get("tokens_per_s_b32_graph_tuned") == 3)
        check(f"{kind}: the part has failed", bench.code == 1 and "cohort CudaGraph tuned" in bench.errors)
    bench.run("step", "--blocks", 3, "--deadline", 6, SLOW_START="--compile")
    check("a late program is left out alone", bench.code == 1 and "compiled: no time left" in bench.errors)
    check("and the others are measured", "tokens_per_s_b32_graph_tuned" in bench.metrics())
    process = bench.start("step", "--blocks", 1000, SLOW_START="--compile", PACE="0.02")
    while not bench.starts.read_text():
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    bench.end(process)
    check("stopped as it starts, none is left", bench.code == 1 and not left_over(bench.folder))
    process = bench.start("step", "--blocks", 1000, PACE="0.02")
    time.sleep(3)
    process.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    bench.end(process)
    check("SIGTERM: what was measured is reported", "tokens_per_s_b32" in bench.metrics() and "SIGTERM" in bench.errors)
    check("SIGTERM: at once", time.monotonic() - begin < 3 and bench.code == 1 and not left_over(bench.folder))


def check_late(bench):
    """In one process, a program that is given up must be gone before the others are measured."""
    sys.path.insert(0, str(bench.script.parent / "peers"))
    import driver

    class Late(Exception):
        pass

    def late(number, frame):
        raise Late

    os.environ.update(STARTS=str(bench.starts), SLOW_START="--batch")
    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, 1)
    try:
        driver.Program([bench.folder / "gpt2_step", "--batch", 1])
        given_up = False
    except Late:
        given_up = True
    check("a program that starts late is stopped", given_up and not left_over(bench.folder))


def check_others(bench):
    bench.run("ops", "--deadline", 3, HANG_ROUND="3")
    kept = any(r.get("samples") == 2 for r in bench.rows)
    check("ops: a round that hangs leaves the others", kept and bench.code == 1)
    bench.run("ops", "--deadline", 3, HANG_ROUND="2")
    lacked = [r["value"] for r in bench.rows if r["metric"] == "fused_products_lacked"]
    check("ops: what cuBLASLt lacks is told once", lacked == [1])
    check("ops: PyTorch's lines are kept when it hangs", bench.rows[0].get("peer_value") == 2 and bench.code == 1)
    bench.run("memory", "--batches", 8, 16, MORE_MEMORY="--batch 8")
    peaks = [r["value"] for r in bench.rows if r["metric"].startswith("peak_equals_plan")]
    check("memory: other bytes than planned are a failure", peaks == [0, 1] and bench.code == 1)
    bench.run("trace")
    check("trace: FullShard follows where Replicate fails", bench.metrics() == {"hidden_share_full_shard_rank0"})
    check("trace: and the part has failed", bench.code == 1)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(root, pathlib.Path(folder))
        check_step(bench)
        check_others(bench)
        check_late(bench)
    return 1 if check.failures else 0


if __name__ == "__main__":
    sys.exit(main())
