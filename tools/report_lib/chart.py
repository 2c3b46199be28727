# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/chart.py: plots as inline SVG: lines with envelopes, bars in groups, dots on a common axis.
"""A chart is text that stands alone in a page which has chart.css. What a pointer or finger shows is in the chart: <title> of bars
and dots, data-points of lines. Widths of texts are estimated."""

from __future__ import annotations

import html
import json
import math
from dataclasses import dataclass, field
from typing import List, Optional, Sequence, Tuple

from .scale import Bucket, Point, Scale, compact, envelope, number, scale_over, tick_texts

STYLES = 6  # colours of chart.css; shapes and dashes go on
EDGE = 14  # units right of an axis that its last text may use
NARROW = 440  # units of a plot that a phone shows
MOST_BUCKETS = 240  # of a series that is too long to draw point by point


@dataclass
class Line:
    """A series: points in the order of x."""

    name: str
    points: List[Point]
    style: int = 0
    dashed: bool = False  # with a hollow mark at every point
    key: str = ""  # what a legend's button shows and hides; the name if empty


@dataclass
class Event:
    """Something at an x that has no y: a step that was skipped, a loss that was no number."""

    x: float
    text: str
    style: int = 0


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


def escape(text: str) -> str:
    return html.escape(text, quote=True)


def buckets_for(count: int, most_points: int) -> int:
    """How many buckets each of `count` series gets; 0 where every point is drawn."""
    most = max(24, min(MOST_BUCKETS, 2400 // max(1, count)))
    return most if most_points > 2 * most else 0


def width_of(text: str, em: float = 12) -> float:
    """Of a wide sans serif font; others need less."""
    return em * sum(0.34 if c in " .,:;'|()[]/ijltfrI" else 0.88 if c in "mwMW%@" else 0.7 if c.isupper() else 0.63 for c in text)


def shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def px(value: float) -> str:
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def path_of(points: Sequence[Point]) -> str:
    return "M" + "L".join(f"{px(x)} {px(y)}" for x, y in points)


def mark(shape: int, x: float, y: float, size: float = 4, css: str = "mark", title: str = "") -> str:
    """One of eight shapes, so that colour is not the only difference."""
    s = size
    corners: List[Point] = {
        1: [(-s, -s), (s, -s), (s, s), (-s, s)],
        2: [(0, -1.2 * s), (1.2 * s, s), (-1.2 * s, s)],
        3: [(0, -1.4 * s), (1.4 * s, 0), (0, 1.4 * s), (-1.4 * s, 0)],
        4: [(0, 1.2 * s), (1.2 * s, -s), (-1.2 * s, -s)],
        5: [(-1.3 * s, -0.5 * s), (1.3 * s, -0.5 * s), (1.3 * s, 0.5 * s), (-1.3 * s, 0.5 * s)],
        6: [(-0.5 * s, -1.4 * s), (0.5 * s, -1.4 * s), (0.5 * s, 1.4 * s), (-0.5 * s, 1.4 * s)],
        7: [(-s, -s), (1.4 * s, 0), (-s, s)],
    }.get(shape % 8, [])
    inner = f"<title>{escape(title)}</title>" if title else ""
    if not corners:
        return f'<circle class="{css}" cx="{px(x)}" cy="{px(y)}" r="{px(s * 1.1)}">{inner}</circle>'
    return f'<path class="{css}" d="{path_of([(x + a, y + b) for a, b in corners])}Z">{inner}</path>'


def swatch(style: int, kind: str = "line", dashed: bool = False) -> str:
    """The picture in a legend: of a line, or of a bar."""
    inner = f'<rect class="bar {fill(style)}" x="1" y="2" width="24" height="10"{hatch(style)}/>'
    if kind == "line":
        css = "line dashed" if dashed else "line"
        inner = f'<path class="{css}" d="M0 7H26"/>' + mark(style, 13, 7, css="mark hollow" if dashed else "mark")
    elif kind == "dot":
        inner = mark(style, 13, 7)
    return f'<svg class="swatch s{style % STYLES}" width="26" height="14" viewBox="0 0 26 14" aria-hidden="true">{inner}</svg>'


def fill(style: int) -> str:
    return "h0" if style == 0 else ""


def hatch(style: int) -> str:
    """Bars after the first kind are hatched, each kind in its own way (page.patterns)."""
    return "" if style == 0 else f' fill="url(#hatch{style % STYLES})"'


def patterns() -> str:
    """The hatchings that charts of a page refer to."""
    ways = ["M0 8L8 0M-2 2L2 -2M6 10L10 6", "M0 0L8 8M-2 6L2 10M6 -2L10 2", "M0 4H8", "M4 0V8", "M0 4H8M4 0V8"]
    texts = [
        f'<pattern id="hatch{i}" class="s{i}" width="8" height="8" patternUnits="userSpaceOnUse">'
        f'<rect class="hatched" width="8" height="8"/><path class="hatch" d="{way}"/></pattern>'
        for i, way in enumerate(ways, 1)
    ]
    return f"<defs>{''.join(texts)}</defs>"


def svg(width: float, height: float, label: str, body: str, attributes: str = "") -> str:
    return (
        f'<svg class="plot" viewBox="0 0 {px(width)} {px(height)}" role="img" aria-label="{escape(label)}"{attributes}>{body}</svg>'
    )


def x_axis(x: Scale, bottom: float, top: float, ticks: Sequence[float], texts: Sequence[str], grid: bool) -> str:
    """Ticks whose texts would touch are left out."""
    out, free = [], -math.inf
    for tick, text in zip(ticks, texts):
        at, half = x(tick), width_of(text) / 2
        if grid:
            out.append(f'<path class="grid" d="M{px(at)} {px(top)}V{px(bottom)}"/>')
        else:
            out.append(f'<path class="axis" d="M{px(at)} {px(bottom)}v4"/>')
        middle = min(at, x.end + EDGE - half)
        if middle - half < free:
            continue
        free = middle + half + 6
        out.append(f'<text class="quiet" x="{px(middle)}" y="{px(bottom + 17)}" text-anchor="middle">{escape(text)}</text>')
    return "".join(out)


def line_chart(
    lines: Sequence[Line],
    label: str,
    y_name: str,
    x_name: str = "step",
    log: bool = False,
    log_x: bool = False,
    zero: bool = False,
    x_ticks: Optional[Sequence[Tuple[float, str]]] = None,
    events: Sequence[Event] = (),
    reference: Optional[float] = None,  # a y worth a line of its own, such as a ratio of 1
    size: Tuple[int, int] = (NARROW, 264),
) -> str:
    """Lines over a common x. Series of more points than can be seen become means with a band from least to greatest.

    What a logarithmic axis cannot show (zero, negative values) is left out; the caller says so."""
    width, height = size
    lines = [Line(l.name, [p for p in l.points if (not log or p[1] > 0) and (not log_x or p[0] > 0)], l.style, l.dashed, l.key) for l in lines]
    most = [buckets_for(len(lines), len(l.points)) or len(l.points) or 1 for l in lines]
    drawn = [envelope(l.points, m) for l, m in zip(lines, most)]
    xs = [p[0] for l in lines for p in (l.points[:1] + l.points[-1:] if l.points else [])] + [e.x for e in events]
    ys = [v for buckets in drawn for b in buckets for v in (b.low, b.high)] + ([reference] if reference is not None else [])
    y = scale_over(ys, height - 44, 28, log, zero)
    y_ticks = y.ticks(6)
    left = 12 + max(width_of(t) for t in tick_texts(y_ticks))
    x = scale_over(xs, left, width - 16, log_x, room=0.02)
    x_values, x_texts = zip(*x_ticks) if x_ticks else ((lambda t: (t, tick_texts(t)))(x.ticks(7)))
    bottom = y.start
    body = [f'<text class="quiet" x="2" y="14">{escape(y_name)}</text>']
    for tick, text in zip(y_ticks, tick_texts(y_ticks)):
        body.append(f'<path class="grid" d="M{px(left)} {px(y(tick))}H{px(x.end)}"/>')
        body.append(f'<text class="quiet" x="{px(left - 6)}" y="{px(y(tick) + 4)}" text-anchor="end">{text}</text>')
    body.append(f'<path class="axis" d="M{px(left)} {px(bottom)}H{px(x.end)}"/>')
    body.append(x_axis(x, bottom, 28, x_values, x_texts, grid=False))
    body.append(f'<text class="quiet" x="{px((left + x.end) / 2)}" y="{px(height - 8)}" text-anchor="middle">{escape(x_name)}</text>')
    if reference is not None and y.inside(reference):
        body.append(f'<path class="axis dashed" d="M{px(left)} {px(y(reference))}H{px(x.end)}"/>')
    for i, (line, buckets) in enumerate(zip(lines, drawn)):
        if buckets:
            body.append(series(line, buckets, len(line.points) > len(buckets), x, y, i, len(lines)))
    for event in events[:200]:
        at = x(event.x)
        body.append(
            f'<path class="alarm" d="M{px(at - 4)} {px(bottom - 8)}l8 8m0 -8l-8 8"><title>{escape(event.text)}</title></path>'
        )
    body.append(f'<path class="axis guide" d="M{px(left)} 28V{px(bottom)}" visibility="hidden"/>')
    plot = json.dumps({"x": [x.low, x.high, x.start, x.end, int(log_x)], "xName": x_name, "top": 28, "bottom": bottom})
    return svg(width, height, label, "".join(body), f" data-plot='{escape(plot)}'")


def series(line: Line, buckets: Sequence[Bucket], cut: bool, x: Scale, y: Scale, index: int, count: int) -> str:
    """A line with its marks: at every point when dashed or few, else at some, apart from those of other series."""
    middle = (lambda b: math.sqrt(b.first * b.last)) if x.log else (lambda b: b.middle)
    points = [(x(middle(b)), y(b.mean)) for b in buckets]
    out = []
    if cut:
        upper = [(x(middle(b)), y(b.high)) for b in buckets]
        lower = [(x(middle(b)), y(b.low)) for b in reversed(buckets)]
        out.append(f'<path class="band" d="{path_of(upper + lower)}Z"/>')
        data = [[float(compact(v)) for v in (b.first, b.last, b.mean, b.low, b.high)] for b in buckets]
    else:
        data = [[float(compact(b.first)), float(compact(b.mean))] for b in buckets]
    css = "line dashed" if line.dashed else "line"
    out.append(f'<path class="{css}" d="{path_of(points)}"/>')
    every = 1 if len(points) <= 30 else math.ceil(len(points) / 6)
    for px_, py in points[(0 if every == 1 else (index * every) // max(1, count)) :: every]:
        out.append(mark(line.style, px_, py, 2.6 if line.dashed else 3.2, "mark hollow" if line.dashed else "mark"))
    return (
        f'<g class="s{line.style % STYLES}" data-key="{escape(line.key or line.name)}" data-name="{escape(line.name)}"'
        f' data-points="{json.dumps(data, separators=(",", ":"))}">{"".join(out)}</g>'
    )


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
    out = [x_axis(x, bottom, 4, ticks, tick_texts(ticks), grid=True)]
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
