# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/result_plots.py: results as plots: strategies in groups, sizes as lines, all else beside its peers.
from __future__ import annotations

import re
from typing import Dict, Iterable, List, Optional, Sequence, Tuple

from .bars import Bar, Group, bar_chart, dot_chart
from .chart import NARROW, Line, line_chart
from .parts import by_width, figure, legend
from .results import LOWER_IS_BETTER, Result
from .scale import finite, number

STRATEGIES = ("Replicate", "ShardOptimizer", "ShardGradients", "FullShardKeepForward", "FullShard", "HybridShard")  # a longer name first
STRATEGY = re.compile(rf"({'|'.join(STRATEGIES)})(?:<\d+>)?")
MOST_BARS = 24  # more are dots, on a row a metric
MOST_PEERS = 23  # of a metric
MOST_ROWS = 60  # of a dot plot; the rest are in the table
WIDE = 30.0  # values further apart than this go on a logarithmic axis
OURS = "cohort"
BOTH = (False, True)  # a plot for wide windows, one for narrow ones
SIZES = ((640, 360), (NARROW, 300))


def plots(title: str, found: Sequence[Result]) -> List[str]:
    """Strategies in groups; sizes as lines; all else as bars, or dots where there are many."""
    out: List[str] = []
    prefix = f"{title}: " if title else ""
    named = [r for r in found if STRATEGY.search(r.metric)]
    if named:
        out += strategies(prefix, named)
        found = [r for r in found if not STRATEGY.search(r.metric) or (r.peer and not STRATEGY.search(r.peer))]
    by_unit: Dict[str, List[Result]] = {}
    for r in found:
        if r.value is not None:
            by_unit.setdefault(r.unit, []).append(r)
    for unit, same in by_unit.items():
        sized = sizes(same)
        out += [over_size(prefix, unit, *family) for family in sized]
        in_lines = {id(r) for _, family in sized for _, r in family}
        rest = [r for r in same if id(r) not in in_lines]
        if rest:
            out.append(beside_peers(prefix, unit, rest))
    return out


def capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def about(unit: str) -> str:
    if unit.endswith("/s"):
        return f"{unit}, higher is better"
    return f"{unit}, lower is better" if unit in LOWER_IS_BETTER else unit


def measured_in(unit: str) -> str:
    if unit.endswith("/s"):
        return f"rates ({unit})"
    kinds = {"times": ("s", "ms", "us", "ns"), "losses": ("nats",), "memory": ("bytes", "B", "KB", "MB", "GB", "KiB", "MiB", "GiB")}
    return next((f"{kind} ({unit})" for kind, units in kinds.items() if unit in units), unit or "results")


def ratio_text(ratio: float) -> str:
    return f"{ratio:.2f}" if 0.1 <= abs(ratio) < 10 else number(ratio, 3)


def strategies(prefix: str, found: Sequence[Result]) -> List[str]:
    out = []
    for unit, groups in strategy_groups(found).items():
        out.append(figure(capital(f"{prefix}strategies compared ({unit})"), bars(groups, unit), f"In {about(unit)}."))
    return out


def strategy_groups(found: Sequence[Result]) -> Dict[str, List[Group]]:
    """By unit: a group a strategy (and number of ranks); in it one bar for each thing that was measured under it."""
    measured: Dict[str, Dict[str, Dict[str, Bar]]] = {}  # by unit, strategy, what
    styles: Dict[str, int] = {}

    def note(unit: str, strategy: str, what: str, value: Optional[float], low_high: Optional[Tuple[float, float]]) -> None:
        if value is None:
            return
        style = styles.setdefault(what, len(styles))
        measured.setdefault(unit, {}).setdefault(strategy, {}).setdefault(what, Bar(what, value, range=low_high, style=style))

    for r in found:
        match = STRATEGY.search(r.metric)
        if not match:
            continue
        ranks = r.label[len(r.metric) :]
        what = (r.metric[: match.start()] + r.metric[match.end() :]).replace("__", "_").strip("_").replace("_", " ")
        what = re.sub(r"^step [mu]?s (?=.)", "", what)
        if r.unit == "ms":
            note(r.unit, match[0] + ranks, "compute alone", finite(r.more.get("compute_ms")), None)
        note(r.unit, match[0] + ranks, what, r.value, r.range())
        if r.peer and STRATEGY.fullmatch(r.peer):
            note(r.unit, r.peer + ranks, what, r.peer_value, r.peer_range())

    def order(name: str) -> Tuple[int, str]:
        return STRATEGIES.index(re.split(r"[<,]", name)[0]), name

    return {
        unit: [Group(name, list(by_strategy[name].values())) for name in sorted(by_strategy, key=order)] for unit, by_strategy in measured.items()
    }


def bars(groups: Sequence[Group], unit: str) -> str:
    return by_width(*(bar_chart(groups, in_words(groups, unit), unit, narrow=narrow) for narrow in BOTH))


def in_words(groups: Sequence[Group], unit: str) -> str:
    parts = [f"{g.name or 'all'}: " + ", ".join(f"{b.name} {number(b.value)} {unit}" for b in g.bars) for g in groups[:12]]
    return "; ".join(parts) + ("; and more, see the table" if len(groups) > 12 else "")


def sizes(found: Sequence[Result]) -> List[Tuple[str, List[Tuple[int, Result]]]]:
    """Metrics that differ in a power of two at their end, from 1024 on: these are bytes, and a line's x."""
    families: Dict[str, List[Tuple[int, Result]]] = {}
    for r in found:
        match = re.fullmatch(r"(.*?)[ _]?(\d{4,15})", r.metric)
        if match and power_of_two(int(match[2])):
            families.setdefault(match[1], []).append((int(match[2]), r))
    return [(name, family) for name, family in families.items() if len({size for size, _ in family}) >= 3]


def power_of_two(value: int) -> bool:
    return value >= 1024 and value & (value - 1) == 0


def size_text(size: int) -> str:
    for power, name in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
        if size >= 2**power:
            return f"{size // 2**power} {name}"
    return str(size)


def lines_over_size(family: Sequence[Tuple[int, Result]]) -> List[Line]:
    lines: Dict[str, Dict[int, float]] = {OURS: {}}
    for size, r in sorted(family, key=lambda p: p[0]):
        if r.value is not None:
            lines[OURS][size] = r.value
        if r.peer and r.peer_value is not None:
            lines.setdefault(r.peer, {})[size] = r.peer_value
    return [Line(peer, [(float(s), v) for s, v in points.items()], i) for i, (peer, points) in enumerate(lines.items())]


def size_chart(family: Sequence[Tuple[int, Result]], label: str, unit: str, size: Tuple[int, int]) -> str:
    ticks = [(float(s), size_text(s)) for s in sorted({s for s, _ in family})]
    return line_chart(lines_over_size(family), label, about(unit), "size", log=True, log_x=True, x_ticks=ticks, size=size)


def over_size(prefix: str, unit: str, name: str, family: Sequence[Tuple[int, Result]]) -> str:
    drawn = lines_over_size(family)
    ends = [f"{line.name} from {number(line.points[0][1])} to {number(line.points[-1][1])}" for line in drawn if line.points]
    chart = by_width(*(size_chart(family, f"{name} in {unit} over sizes: {'; '.join(ends)}", unit, size) for size in SIZES))
    title = capital(f"{prefix}{name.replace('_', ' ')} by size ({unit})")
    return figure(title, chart, ratio_notes([r for _, r in family]), legend([(line.name, line.style) for line in drawn]))


def ratio_notes(found: Iterable[Result]) -> str:
    by_peer: Dict[str, List[float]] = {}
    for r in found:
        if r.peer and r.ratio is not None:
            by_peer.setdefault(r.peer, []).append(r.ratio)
    texts = [
        f"{ratio_text(min(v))} to {ratio_text(max(v))} against {peer}" if len(v) > 1 else f"{ratio_text(v[0])} against {peer}"
        for peer, v in by_peer.items()
    ]
    return f"Ratios: {'; '.join(texts)}." if texts else ""


def beside_peers(prefix: str, unit: str, found: Sequence[Result]) -> str:
    """A group a metric, cohort first, then its peers; the bars' ends say the ratio."""
    peers = {name: i for i, name in enumerate([OURS, *dict.fromkeys(r.peer for r in found if r.peer and r.peer != OURS)])}
    groups: Dict[Tuple[str, Optional[float]], Group] = {}
    for r in found:
        assert r.value is not None
        group = groups.setdefault((r.label, r.value), Group(r.label, [Bar(OURS, r.value, range=r.range())]))
        if r.peer and r.peer_value is not None:
            peer = r.peer if r.peer != OURS else "cohort, as the peer"
            ratio = f"ratio {ratio_text(r.ratio)}" if r.ratio is not None else ""
            group.bars.append(Bar(peer, r.peer_value, ratio, r.peer_range(), 1 + (peers.get(r.peer, 0) - 1) % 5))
    ordered = list(groups.values())
    most_peers = max(len(g.bars) for g in ordered) - 1
    for group in ordered:
        del group.bars[1 + MOST_PEERS :]
    every = [b for g in ordered for b in g.bars]
    sizes_seen = [abs(b.value) for b in every if b.value]
    wide = bool(sizes_seen) and max(sizes_seen) > WIDE * min(sizes_seen) and all(b.value > 0 for b in every)
    title = prefix + measured_in(unit) if prefix else capital(measured_in(unit))
    notes = [f"The first {MOST_PEERS} of up to {most_peers} peers."] if most_peers > MOST_PEERS else []
    if any(b.range for b in every):
        notes.append("Whiskers: the quartiles' distance around the median.")
    if len(every) <= MOST_BARS and not wide:
        if all(len(g.bars) == 1 for g in ordered):  # no peers: the metric names the bar
            ordered = [Group("", [Bar(g.name, b.value, b.note, b.range, b.style) for g in ordered for b in g.bars])]
        if any(r.ratio is not None for r in found):
            notes.append("A ratio above 1: cohort is better.")
        return figure(title, bars(ordered, unit), f"In {about(unit)}. {' '.join(notes)}")
    if len(ordered) > MOST_ROWS:
        notes.append(f"The first {MOST_ROWS} of {len(ordered)} metrics; the table has all.")
    if wide:
        notes.append("Logarithmic axis.")
    notes.append(ratio_notes(found))
    for group in ordered:
        for bar in group.bars:
            bar.style = peers.get(bar.name, 0)
    names = legend([(n, i) for n, i in peers.items()][: 1 + MOST_PEERS], "dot") if len(peers) > 1 else ""
    chart = by_width(*(dot_chart(ordered[:MOST_ROWS], in_words(ordered, unit), about(unit), wide, narrow=narrow) for narrow in BOTH))
    return figure(title, chart, " ".join(n for n in notes if n), names)
