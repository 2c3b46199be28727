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
    """kind: the event's category; None: as run.write_trace() writes it, without one."""
    event = {"name": name, "ph": "X", "ts": round(begin, 3), "dur": round(duration, 3), "pid": rank, "tid": stream, "args": args}
    return event if kind is None else {**event, "cat": kind}


class Rank:
    """One rank's compute and communication streams, as FullShard's schedule drives them."""

    def __init__(self, rank, at, step, events):
        self.rank, self.now, self.wire, self.step, self.events = rank, at, at, step, events

    def compute(self, name, took):
        self.events.append(span(name, None, self.rank, 0, self.now, took, step=self.step))
        self.now += took

    def collective(self, name, took):
        """Begins when the stream is free and compute has come this far."""
        begin = max(self.wire, self.now) if name.startswith("reduce") else self.wire
        self.events.append(span(name, None, self.rank, 1, begin, took, step=self.step, bytes=1 << 20))
        self.wire = begin + took

    def wait(self, name):
        if self.wire > self.now:
            self.compute(f"wait for {name}", self.wire - self.now)


def trace(ranks=2, steps=5, layers=4, compute_us=1000.0, gather_us=400.0, seed=1):
    """FullShard's steps: the gather of a layer runs beside the compute of the one before; the first one is waited for.
    Names and arguments are those of run.write_trace()."""
    draw = random.Random(seed)
    events = []
    for rank in range(ranks):
        events.append({"name": "process_name", "ph": "M", "pid": rank, "tid": 0, "args": {"name": f"rank {rank}"}})
        events += [
            {"name": "thread_name", "ph": "M", "pid": rank, "tid": tid, "args": {"name": name}}
            for tid, name in enumerate(("compute", "communication"))
        ]
    at = 0.0
    for step in range(1, steps + 1):
        all_ranks = [Rank(rank, at, step, events) for rank in range(ranks)]
        for one in all_ranks:
            for phase, cost in (("forward", 1.0), ("backward", 2.0)):
                order = range(1, layers + 1) if phase == "forward" else range(layers, 0, -1)
                one.collective(f"all_gather group {order[0]}", gather_us * (1 + 0.1 * draw.random()))
                for layer, following in zip(order, [*order[1:], None]):
                    one.wait(f"all_gather group {layer}")
                    one.wire = max(one.wire, one.now)
                    if following:
                        one.collective(f"all_gather group {following}", gather_us * (1 + 0.1 * draw.random()))
                    one.compute(f"{phase} block {layer}", compute_us * cost * (1 + 0.05 * draw.random() + 0.1 * one.rank))
                    if phase == "backward":
                        one.collective(f"reduce_scatter group {layer}", gather_us)
            one.wait("reduce_scatter group 1")
            events.append(span("micro-batch 0", None, one.rank, 0, at, one.now - at, step=step, micro_batch=0))
            one.compute("norm", 60.0)
            one.compute("update", 300.0)
            events.append(span(f"step {step}", None, one.rank, 0, at, one.now - at, step=step))
        at = max(one.now for one in all_ranks) + 20.0
    return {"displayTimeUnit": "ms", "traceEvents": events, "otherData": {"ranks": ranks, "lost_spans": 0, "clock_error_us": 0.4}}


def write(folder):
    folder = pathlib.Path(folder)
    (folder / "run.jsonl").write_text("\n".join(log_lines()) + "\n")
    (folder / "trace.json").write_text(json.dumps(trace()))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    write(sys.argv[1])
