#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/gpu_table.py: results of run_gpu.py as a table, and which goals they reach.
"""usage: benchmarks/gpu_table.py FILE.jsonl   Lines that are no JSON (a program was cut while it wrote) are counted."""

import json
import sys


def read(file):
    """(results, number of lines that cannot be read)"""
    rows, bad = [], 0
    for line in open(file, errors="replace"):
        try:
            row = json.loads(line)
            if "metric" in row:
                rows.append(dict(row, value=float(row["value"])))
        except (ValueError, TypeError, KeyError):
            bad += 1
    return rows, bad


def of(rows, bench, prefix):
    return [row for row in rows if row.get("bench") == bench and str(row["metric"]).startswith(prefix)]


def best(values):
    return max(values, default=None)


def worst(values):
    return min(values, default=None)


def compiled(rows):
    """Our quickest way against torch.compile under autocast."""
    peers = [row for row in rows if "autocast compiled" in str(row.get("peer"))]
    return best(row["ratio"] for row in peers if "ratio" in row)


def against_pytorch(rows, bench, prefix):
    """The op that does worst against PyTorch's quickest way of it."""
    ratios = {}
    for row in of(rows, bench, prefix):
        if "ratio" in row:
            ratios.setdefault(row["metric"], []).append(row["ratio"])
    return worst(min(of_one) for of_one in ratios.values())


def goals(rows):
    """(what, goal, measured or None)"""
    steps, updates = of(rows, "gpu_step", "tokens_per_s_b"), of(rows, "gpu_ops", "adamw_")
    yield "tokens/s of GPT-2 124M, our quickest", 550e3, best(r["value"] for r in steps)
    yield "times torch.compile's tokens/s", 1.3, compiled(steps)
    shares = [r["share_of_floor"] for r in updates if "share_of_floor" in r]
    yield "AdamW, share of the copy's bandwidth", 0.9, worst(shares)
    yield "LayerNorm, times PyTorch's speed", 1, against_pytorch(rows, "gpu_ops", "layer_norm_")
    yield "cross entropy, times PyTorch's speed", 1, against_pytorch(rows, "gpu_ops", "cross_entropy_")
    yield "attention, times PyTorch's speed", 1, against_pytorch(rows, "gpu_attention", "attention_")
    yield "communication that is hidden", 0.9, worst(r["value"] for r in of(rows, "gpu_trace", "hidden_share_"))
    peaks = of(rows, "gpu_memory", "peak_equals_plan_") + of(rows, "gpu_step", "peak_equals_plan_")
    yield "peak memory is the plan's (1: everywhere)", 1, worst(row["value"] for row in peaks)


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        raise SystemExit(__doc__)
    rows, bad = read(sys.argv[1])
    for r in rows:
        peer = r.get("peer", "")
        if r.get("peer_value"):
            peer += f' {r["peer_value"]:.6g}, ratio {r["ratio"]:.3g}'
        print(f'{r.get("bench", ""):<14} {r["metric"]:<40} {r["value"]:>12.6g} {r.get("unit", ""):<14} {peer}'.rstrip())
    if bad:
        print(f"{bad} lines cannot be read and are left out")
    print(f'\n{"goal":<44} {"at least":>10} {"measured":>10}')
    for what, goal, value in goals(rows):
        verdict = "not measured" if value is None else "reached" if value >= goal else "missed"
        print(f'{what:<44} {goal:>10.6g} {"" if value is None else format(value, ".6g"):>10}  {verdict}')


if __name__ == "__main__":
    main()
