# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/bars.py: plots of values side by side: bars in groups, dots on a common axis.
from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, Optional, Sequence, Tuple

from .chart import NARROW, STYLES, escape, fill, hatch, mark, px, shortened, svg, width_of, x_axis
from .scale import compact, number, scale_over, tick_texts


@dataclass
class Bar:
    name: str
    value: float
    note: str = ""  # beside the value, at the bar's end
    range: Optional[Tuple[float, float]] = None
    style: int = 0
    range_name: str = "quartiles about"


@dataclass
class Group:
    """Bars or dots under one heading."""

    name: str
    bars: List[Bar] = field(default_factory=list)


def bar_chart(groups: Sequence[Group], label: str, unit: str, width: int = 640, narrow: bool = False) -> str:
    """Horizontal bars from zero, each with its name, value and range, under their group's heading; when narrow, the texts
    stand above the bars."""
    bars = [bar for group in groups for bar in group.bars]
    width = NARROW if narrow else width
    named = 2.0 if narrow else max((width_of(shortened(b.name, 44)) for b in bars), default=0) + 12
    right = width - (12 if narrow else max((width_of(end_text(b, unit)) for b in bars), default=0) + 12)
    reach = [v for b in bars for v in (b.value, *(b.range or ()))]
    x = scale_over(reach + [0.0], named, right, zero=True, room=0)
    out, top = [], 4.0
    headings = any(group.name for group in groups)
    for group in groups:
        if headings:
            out.append(f'<text class="strong" x="2" y="{px(top + 13)}">{escape(shortened(group.name, int(width / 7.5)))}</text>')
            top += 20
        for bar in group.bars:
            text, name = end_text(bar, unit), shortened(bar.name, 28 if narrow else 44)
            if narrow:
                out.append(f'<text x="2" y="{px(top + 12)}">{escape(name)}</text>')
                out.append(f'<text x="{width - 4}" y="{px(top + 12)}" text-anchor="end">{escape(text)}</text>')
                top += 15
            else:
                out.append(f'<text x="{px(named - 6)}" y="{px(top + 13)}" text-anchor="end">{escape(name)}</text>')
            out.append(f'<path class="axis" d="M{px(x(0))} {px(top)}v18"/>')
            begin, end = sorted((x(0), x(bar.value)))
            out.append(
                f'<rect class="bar {fill(bar.style)} s{bar.style % STYLES}" x="{px(begin)}" y="{px(top + 2)}"'
                f' width="{px(max(end - begin, 0.5))}" height="14"{hatch(bar.style)}><title>{escape(hover(group.name, bar, unit))}</title></rect>'
            )
            if bar.range:
                low, high = (x(v) for v in bar.range)
                end = max(end, high)
                out.append(f'<path class="whisker" d="M{px(low)} {px(top + 5)}v8m0 -4H{px(high)}m0 -4v8"/>')
            if not narrow:
                out.append(f'<text x="{px(end + 6)}" y="{px(top + 13)}">{escape(text)}</text>')
            top += 20
        top += 6
    return svg(width, top, label, "".join(out))


def end_text(bar: Bar, unit: str) -> str:
    return f"{number(bar.value)} {unit}".rstrip() + (f" ({bar.note})" if bar.note else "")


def hover(group: str, bar: Bar, unit: str) -> str:
    text = f"{bar.name}: {compact(bar.value)} {unit}".rstrip()
    if bar.range:
        text += f", {bar.range_name} {number(bar.range[0])} to {number(bar.range[1])}"
    if bar.note:
        text += f", {bar.note}"
    return f"{group}: {text}" if group and group != bar.name else text


def dot_chart(
    groups: Sequence[Group], label: str, unit: str, log: bool, width: int = 640, reference: Optional[float] = None, narrow: bool = False
) -> str:
    """A row a group, a mark a value, on one axis; when narrow, the names stand above the rows. `reference` is a value worth a
    line of its own."""
    bars = [bar for group in groups for bar in group.bars if not log or bar.value > 0]
    width, row = (NARROW, 32) if narrow else (width, 20)
    named = 2.0 if narrow else max((width_of(shortened(g.name, 60)) for g in groups), default=0) + 12
    reach = [v for b in bars for v in (b.value, *(b.range or ())) if not log or v > 0] + ([reference] if reference is not None else [])
    x = scale_over(reach, named + 8, width - 20, log, zero=not log, room=0.04)
    bottom = 8.0 + row * len(groups)
    ticks = x.ticks(6)
    out = [x_axis(x, bottom, 4, list(zip(ticks, tick_texts(ticks))), grid=True)]
    out.append(f'<text class="quiet" x="{px((x.start + x.end) / 2)}" y="{px(bottom + 35)}" text-anchor="middle">{escape(unit)}</text>')
    if reference is not None and x.inside(reference):
        out.append(f'<path class="axis dashed" d="M{px(x(reference))} 4V{px(bottom)}"/>')
    for i, group in enumerate(groups):
        at = row * (i + 1) - 2.0
        if narrow:
            out.append(f'<text class="halo" x="2" y="{px(at - 9)}">{escape(shortened(group.name, 58))}</text>')
        else:
            out.append(f'<text x="{px(named - 6)}" y="{px(at + 4)}" text-anchor="end">{escape(shortened(group.name, 60))}</text>')
        out.append(f'<path class="grid" d="M{px(named)} {px(at)}H{px(x.end)}"/>')
        for bar in reversed(group.bars):  # the first lies on top
            if log and bar.value <= 0:
                continue
            dot = mark(bar.style, x(bar.value), at, 4.2, title=hover(group.name, bar, unit))
            if bar.range and (bar.range[0] > 0 or not log):
                low, high = (x(v) for v in bar.range)
                dot = f'<path class="line" d="M{px(low)} {px(at)}H{px(high)}"/>' + dot
            out.append(f'<g class="s{bar.style % STYLES}" data-key="{escape(bar.name)}">{dot}</g>')
    return svg(width, bottom + 42, label, "".join(out))
