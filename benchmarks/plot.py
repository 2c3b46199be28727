#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# benchmarks/plot.py: the newest results as figures in docs/figures/, drawn as tools/report draws them.
"""usage: plot.py [FOLDER]   writes all_reduce.svg, overlap.svg and strategies.svg there (docs/figures) from the newest
benchmarks/results/*.jsonl"""

import dataclasses
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))
from report_lib import result_plots, results  # noqa: E402
from report_lib.bars import bar_chart  # noqa: E402
from report_lib.figure_file import figure_file  # noqa: E402
from report_lib.readers import lines_of, text_of  # noqa: E402


def newest(bench):
    files = sorted((ROOT / "benchmarks" / "results").glob(f"*-{bench}.jsonl"))
    if not files:
        raise SystemExit(f"plot: no results of {bench}; run tools/bench --peers {bench}")
    return results.parse(str(files[-1]), *lines_of(files[-1], text_of(files[-1])))


def all_reduce():
    file = newest("all_reduce")
    ((name, family),) = result_plots.sizes(file.results)
    title = f"All-reduce of floats, 2 ranks on 2 cores ({file.date[:10]})"
    entries = [(line.name, line.style) for line in result_plots.lines_over_size(family)]
    return figure_file(title, result_plots.size_chart(family, f"{name} of all-reduce over sizes", family[0][1].unit, (700, 360)), entries)


def strategies(bench, title, names, ranks=""):
    """Grouped bars of the strategies' times: what is in `names`, under those names; ranks: only the groups of so many."""
    file = newest(bench)
    groups = [g for g in result_plots.strategy_groups(file.results)["ms"] if g.name.endswith(ranks)]
    for group in groups:
        group.name = group.name[: len(group.name) - len(ranks)]
        group.bars = [dataclasses.replace(bar, name=names[bar.name]) for bar in group.bars if bar.name in names]
    return figure_file(f"{title} ({file.date[:10]})", bar_chart(groups, result_plots.in_words(groups, "ms"), "ms", 700))


def main():
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    figures = {
        "all_reduce": all_reduce(),
        "overlap": strategies(
            "overlap",
            "A slow wire hides behind compute: GPT of 12 layers, 2 ranks, ms a step",
            {"compute alone": "compute alone", "step": "with the wire, overlapped", "inline step": "with the wire, inline"},
            ", 2 ranks",
        ),
        "strategies": strategies(
            "strategies", "A GPT's step under each strategy, 2 ranks x 1 thread, ms a step", {"2x1 threads": "threads", "2x1 mpi": "MPI"}
        ),
    }
    for name, text in figures.items():
        (folder / f"{name}.svg").write_text(text, encoding="utf-8")
        print(f"wrote {folder / name}.svg")


if __name__ == "__main__":
    main()
