#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/report/samples.py: made-up inputs of a report, the same ones every time: a run's log and a trace of its steps.
"""usage: samples.py FOLDER   writes one of each kind there"""

import json
import math
import pathlib
import random
import sys


def log_lines(steps=300, ranks=2, strategy="FullShard", seed=1, overflows=(40, 41)):
    """Every field that a run may log; two steps are skipped by the loss scale, as MixedPrecision<fp16> does."""
    draw = random.Random(seed)
    lines, done, scale = [], 0, 65536.0
    for attempt in range(1, steps + len(overflows) + 1):
        skipped = attempt in overflows
        done += not skipped
        scale = scale / 2 if skipped else scale
        loss = 1.6 + 4 * math.exp(-done / 60) + draw.gauss(0, 0.05)
        for rank in range(ranks):
            line = {"step": done, "loss": round(loss, 6), "lr": 1e-3 * min(1, done / 30), "grad_norm": round(0.4 + abs(draw.gauss(0, 0.2)), 5)}
            exposed = 0.002 + 0.001 * draw.random()
            line.update(tokens_per_s=round(45000 + draw.gauss(0, 600)), step_s=0.032 + exposed, comm_s=0.009, exposed_comm_s=exposed)
            line.update(memory_bytes=(96 << 20) + (rank << 20), rank=rank, ranks=ranks, strategy=strategy, loss_scale=scale)
            if skipped:
                line["skipped"] = True
            lines.append(json.dumps(line))
        if done % 50 == 0 and not skipped:
            lines.append(json.dumps({"step": done, "val_loss": round(1.7 + 4 * math.exp(-done / 60), 6)}))
    return lines


def span(name, kind, rank, stream, begin, duration, **args):
    return {"name": name, "cat": kind, "ph": "X", "ts": round(begin, 3), "dur": round(duration, 3), "pid": rank, "tid": stream, "args": args}


def trace(ranks=2, steps=5, layers=4, compute_us=1000.0, gather_us=400.0, seed=1):
    """FullShard's step: the gather of a layer runs beside the compute of the one before; the first one is waited for."""
    draw = random.Random(seed)
    events = []
    for rank in range(ranks):
        events.append({"name": "process_name", "ph": "M", "pid": rank, "tid": 0, "args": {"name": f"rank {rank}"}})
        events += [
            {"name": "thread_name", "ph": "M", "pid": rank, "tid": tid, "args": {"name": name}} for tid, name in enumerate(("compute", "communication"))
        ]
    at = 0.0
    for step in range(1, steps + 1):
        ends = []
        for rank in range(ranks):
            now, wire = at, at
            begin = at
            for phase, passes in (("forward", 1.0), ("backward", 2.0)):
                for layer in range(layers) if phase == "forward" else reversed(range(layers)):
                    took = gather_us * (1 + 0.1 * draw.random())
                    events.append(span(f"all_gather group {layer + 1}", "communication", rank, 1, wire, took, bytes=1 << 20))
                    wire += took
                    if wire > now:
                        events.append(span(f"wait for group {layer + 1}", "wait", rank, 0, now, wire - now))
                        now = wire
                    took = compute_us * passes * (1 + 0.05 * draw.random() + 0.1 * rank)
                    events.append(span(f"{phase} {layer + 1}", "compute", rank, 0, now, took, unit=layer + 1))
                    wire = max(wire, now)
                    now += took
                    if phase == "backward":
                        start = max(wire, now)
                        events.append(span(f"reduce_scatter group {layer + 1}", "communication", rank, 1, start, gather_us, bytes=1 << 20))
                        wire = start + gather_us
            events.append(span("wait for gradients", "wait", rank, 0, now, wire - now))
            now = wire
            events.append(span("update", "compute", rank, 0, now, 300.0))
            events.append(span(f"step {step}", "step", rank, 0, begin, now + 300.0 - begin, step=step))
            ends.append(now + 300.0)
        at = max(ends) + 20.0
    return {"displayTimeUnit": "ms", "traceEvents": events}


def write(folder):
    folder = pathlib.Path(folder)
    (folder / "run.jsonl").write_text("\n".join(log_lines()) + "\n")
    (folder / "trace.json").write_text(json.dumps(trace()))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    write(sys.argv[1])
