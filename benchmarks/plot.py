#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/plot.py: the newest results as figures in docs/figures/. Needs matplotlib.
"""Draws docs/figures/all_reduce.svg and docs/figures/overlap.svg from the newest benchmarks/results/*.jsonl."""

import json
import pathlib

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIGURES = ROOT / "docs" / "figures"
matplotlib.rcParams.update({
    "svg.hashsalt": "cohort", "font.size": 10, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.alpha": 0.3, "figure.figsize": (7, 4), "figure.constrained_layout.use": True,
})  # fmt: skip


def newest(bench):
    files = sorted((ROOT / "benchmarks" / "results").glob(f"*-{bench}.jsonl"))
    if not files:
        raise SystemExit(f"plot: no results of {bench}; run tools/bench --peers {bench}")
    rows = [json.loads(line) for line in files[-1].read_text().splitlines()]
    return files[-1].name[:10], [row for row in rows if "metric" in row]


def save(figure, name, title):
    figure.suptitle(title, fontsize=11)
    figure.savefig(FIGURES / f"{name}.svg", metadata={"Date": None})
    print(f"wrote docs/figures/{name}.svg")


def all_reduce():
    date, rows = newest("all_reduce")
    lines = {"cohort, threads": {}}
    for row in rows:
        size = int(row["metric"].removeprefix("time_"))
        lines["cohort, threads"][size] = row["value"]
        lines.setdefault(row["peer"], {})[size] = row["peer_value"]
    figure, axes = plt.subplots()
    for name, times in lines.items():
        dashed = "floor" in name
        axes.loglog(
            list(times), list(times.values()), "--" if dashed else "-o", label=name, markersize=4,
            color="gray" if dashed else None, linewidth=2.5 if name.startswith("cohort") else 1.2,
        )  # fmt: skip
    axes.set_xscale("log", base=2)
    axes.set_xticks([4 << 10, 64 << 10, 1 << 20, 16 << 20, 64 << 20], ["4 KiB", "64 KiB", "1 MiB", "16 MiB", "64 MiB"])
    axes.set_ylabel("microseconds (lower is better)")
    axes.legend(frameon=False)
    save(figure, "all_reduce", f"all-reduce of floats, 2 ranks on 2 cores ({date})")


def overlap():
    date, rows = newest("overlap")
    value = {row["metric"]: row for row in rows if "compute_ms" in row}
    names = ["Replicate", "FullShard"]
    compute = [value[f"{n}_step"]["compute_ms"] for n in names]
    overlapped = [value[f"{n}_step"]["value"] for n in names]
    inline = [value[f"{n}_inline_step"]["value"] for n in names]
    figure, axes = plt.subplots()
    width = 0.26
    for k, (times, label) in enumerate(
        ((compute, "compute alone"), (overlapped, "with the wire, overlapped"), (inline, "with the wire, inline"))
    ):
        bars = axes.bar([i + (k - 1) * width for i in range(len(names))], times, width * 0.95, label=label)
        axes.bar_label(bars, fmt="%.0f", fontsize=9)
    axes.set_xticks(range(len(names)), names)
    axes.set_ylabel("ms a step")
    axes.set_ylim(0, 1.25 * max(inline))
    axes.grid(axis="x", visible=False)
    axes.legend(frameon=False, ncols=3, loc="upper center", fontsize=9)
    save(figure, "overlap", f"a slow wire hides behind compute: GPT of 12 layers, 2 ranks ({date})")


if __name__ == "__main__":
    FIGURES.mkdir(parents=True, exist_ok=True)
    all_reduce()
    overlap()
