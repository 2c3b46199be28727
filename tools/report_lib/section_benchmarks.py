# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/section_benchmarks.py: benchmark results, topic by topic: plots of the newest file, a history, a table.
from __future__ import annotations

import datetime
import statistics
from typing import Dict, List, Optional, Sequence, Tuple

from .bars import Bar, Group, dot_chart
from .chart import Line, escape, line_chart, shortened
from .parts import by_width, details, figure, filled, legend, paragraph, table
from .result_plots import BOTH, SIZES, WIDE, about, capital, plots, ratio_text
from .results import Result, ResultFile, counted
from .scale import number

MOST_FIGURES = 60  # of a topic, and rows of the overview
MOST_LISTED = 2000  # results in a table


def section(files: Sequence[ResultFile]) -> str:
    topics: Dict[str, List[ResultFile]] = {}
    for file in sorted(files, key=lambda f: f.date):
        topics.setdefault(file.topic, []).append(file)
    out = [overview(topics)]
    for topic, history in sorted(topics.items()):
        out.append(of_topic(topic, history))
    return "".join(out)


def overview(topics: Dict[str, List[ResultFile]]) -> str:
    """The ratios to every peer, as a plot; what was measured when, as a table."""
    rows, spans = [], []
    for topic, history in sorted(topics.items()):
        newest = history[-1]
        peers: Dict[str, List[float]] = {}
        for r in newest.results:
            if r.peer and r.ratio is not None:
                peers.setdefault(r.peer, []).append(r.ratio)
        rows.append([topic, day(newest.date), str(len(history)), str(len(newest.results)), ", ".join(peers)])
        for peer, ratios in peers.items():
            low, high = min(ratios), max(ratios)
            if low > 0:
                note = f"{len(ratios)} result{'s' if len(ratios) > 1 else ''}"
                bar = Bar("median ratio", statistics.median(ratios), note, (low, high) if high > low else None, range_name="from")
                spans.append(Group(f"{topic} / {peer}", [bar]))
    listed = table(["benchmark", "newest", "files", "results", "against"], rows)
    if not spans:
        return listed
    left = f" The first {MOST_FIGURES} of {len(spans)}." if len(spans) > MOST_FIGURES else ""
    spans = spans[:MOST_FIGURES]
    label = "ratios: " + "; ".join(f"{g.name} {ratio_text(g.bars[0].value)}" for g in spans)
    chart = by_width(*(dot_chart(spans, label, "ratio, logarithmic; above 1: cohort is better", True, 860, 1.0, narrow) for narrow in BOTH))
    note = (
        "Marks are medians of a benchmark's ratios to a peer, lines reach from the least to the greatest. Peers are also bounds, such as memcpy."
        + left
    )
    return figure("Benchmarks against their peers", chart, note, css="overview") + details(counted("benchmarks", str(len(rows))), listed)


def of_topic(topic: str, history: Sequence[ResultFile]) -> str:
    newest = history[-1]
    figures: List[str] = []
    by_bench: Dict[str, List[Result]] = {}
    for r in newest.results:
        by_bench.setdefault(r.bench, []).append(r)
    for bench, found in by_bench.items():
        figures += plots(bench if len(by_bench) > 1 else "", found)
    if len(history) > 1:
        figures += histories(history)
    if len(figures) > MOST_FIGURES:
        newest.notes.append(f"the first {MOST_FIGURES} of {len(figures)} plots; the table has all numbers")
        del figures[MOST_FIGURES:]
    facts = [newest.machine(), newest.date, f"command: {newest.head['command']}" if newest.head.get("command") else ""]
    facts += [f"{name} {newest.head[name]}" for name in ("commit", "compiler", "flags", "model") if newest.head.get(name)]
    out = [f'<section class="topic" data-scope><h3>{escape(topic)}</h3>', paragraph("; ".join(f for f in facts if f), "facts")]
    out += [paragraph(capital(note) + ".", "note") for note in newest.notes]
    out.append(f'<div class="grid wide">{"".join(figures)}</div>')
    results = counted("results", str(len(newest.results)))
    if len(newest.results) > MOST_LISTED:
        results = f"The first {MOST_LISTED} of {results}"
    out.append(details(capital(results), numbers(newest.results)))
    return "".join(out) + "</section>"


def numbers(found: Sequence[Result]) -> str:
    """Every number as it was recorded, and the ratios that the files leave out or turn round."""
    head = ["metric", "bench", "value", "unit", "spread", "peer", "peer value", "peer's spread", "ratio", "samples", "also recorded"]
    rows = []
    for r in found[:MOST_LISTED]:
        more = {k: v for k, v in r.more.items() if k != "samples"}
        ratio = "" if r.ratio is None else recorded(float(f"{r.ratio:.5g}"))
        rows.append(
            [
                r.label,
                r.bench,
                "not finite" if r.value is None else recorded(r.value),
                r.unit,
                spread(r.spread) or (f"{number(r.quartiles[0])} to {number(r.quartiles[1])}" if r.quartiles else ""),
                r.peer,
                recorded(r.peer_value),
                spread(r.peer_spread),
                recorded(r.recorded_ratio) if r.recorded_ratio and not r.recorded_inverted else ratio,
                str(r.more.get("samples", "")),
                shortened(", ".join(f"{k} {v}" for k, v in more.items()), 400),
            ]
        )
    if len({r.bench for r in found}) < 2:
        rows = [row[:1] + row[2:] for row in rows]
        head = head[:1] + head[2:]
    return table(*filled(head, rows))


def recorded(value: Optional[float]) -> str:
    if value is None:
        return ""
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def spread(value: Optional[float]) -> str:
    return "" if value is None else f"{100 * value:.1f} %"


def moment(date: str) -> Optional[float]:
    """Seconds of an ISO date or time."""
    try:
        parsed = datetime.datetime.fromisoformat(date.replace("Z", "+00:00"))
    except ValueError:
        return None
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=datetime.timezone.utc)).timestamp()


def day(date: str) -> str:
    return date[:10]


def histories(history: Sequence[ResultFile]) -> List[str]:
    """The metrics of a topic over its files, a plot a unit, and the ratios to peers."""
    dated = [(moment(file.date), file) for file in history]
    missing = [file for at, file in dated if at is None]
    series: Dict[Tuple[str, str], Dict[str, List[Tuple[float, float]]]] = {}  # by (title, axis), then name
    for at, file in dated:
        if at is None:
            continue
        once = set()
        for r in file.results:
            name = f"{r.bench} {r.label}" if r.bench != file.topic else r.label
            if r.value is not None and (r.unit, name) not in once:
                once.add((r.unit, name))
                series.setdefault((f"History: {r.unit}", about(r.unit)), {}).setdefault(name, []).append((at, r.value))
            if r.peer and r.ratio is not None:
                series.setdefault(("History: ratio to the peer", "above 1: cohort is better"), {}).setdefault(f"{name} against {r.peer}", []).append(
                    (at, r.ratio)
                )
    ticks = [(at, day(file.date)) for at, file in dated if at is not None]
    out = []
    for (title, axis), lines in series.items():
        followed = {name: points for name, points in lines.items() if len(points) > 1}
        if not followed:
            continue
        drawn = [Line(name, points, i) for i, (name, points) in enumerate(list(followed.items())[:8])]
        values = [abs(y) for line in drawn for _, y in line.points]
        log = min(values) > 0 and max(values) > WIDE * min(values)
        label = f"{title} on {len(ticks)} dates: " + "; ".join(
            f"{line.name} from {number(line.points[0][1])} to {number(line.points[-1][1])}" for line in drawn
        )
        notes = [f"The first 8 of {len(followed)} metrics measured more than once."] if len(followed) > 8 else []
        notes += [f"{len(missing)} files without a date are left out."] if missing else []
        ones = 1.0 if "ratio" in title else None
        zero = not log and ones is None
        chart = by_width(*(line_chart(drawn, label, axis, "date", log, zero=zero, x_ticks=ticks, reference=ones, size=s) for s in SIZES))
        out.append(figure(title, chart, " ".join(notes), legend([(line.name, line.style) for line in drawn])))
    return out
