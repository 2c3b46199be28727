# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/chart.py: plots as inline SVG: their parts, and lines with envelopes.
"""A chart is text that stands alone in a page which has chart.css. What a pointer or finger shows is in the chart: <title> of bars
and dots, data-points of lines. Widths of texts are estimated."""

from __future__ import annotations

import html
import json
import math
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

from .scale import Bucket, Point, Scale, compact, envelope, scale_over, tick_texts

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
    return f'<svg class="plot" viewBox="0 0 {px(width)} {px(height)}" role="img" aria-label="{escape(label)}"{attributes}>{body}</svg>'


def x_axis(x: Scale, bottom: float, top: float, ticks: Sequence[Tuple[float, str]], grid: bool) -> str:
    """Ticks; texts that would touch are left out."""
    out, free = [], -math.inf
    for tick, text in ticks:
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
    lines = [
        Line(line.name, [p for p in line.points if (not log or p[1] > 0) and (not log_x or p[0] > 0)], line.style, line.dashed, line.key)
        for line in lines
    ]
    most = [buckets_for(len(lines), len(line.points)) or len(line.points) or 1 for line in lines]
    drawn = [envelope(line.points, m) for line, m in zip(lines, most)]
    xs = [p[0] for line in lines for p in (line.points[:1] + line.points[-1:] if line.points else [])] + [e.x for e in events]
    ys = [v for buckets in drawn for b in buckets for v in (b.low, b.high)] + ([reference] if reference is not None else [])
    y = scale_over(ys, height - 44, 28, log, zero)
    y_ticks = y.ticks(6)
    left = 12 + max(width_of(t) for t in tick_texts(y_ticks))
    x = scale_over(xs, left, width - 16, log_x, room=0.02)
    if x_ticks is None:
        round_ones = [t for t in x.ticks(7) if x_name != "step" or t == int(t)]
        x_ticks = list(zip(round_ones, tick_texts(round_ones)))
    bottom = y.start
    body = [f'<text class="quiet" x="2" y="14">{escape(y_name)}</text>']
    for tick, text in zip(y_ticks, tick_texts(y_ticks)):
        body.append(f'<path class="grid" d="M{px(left)} {px(y(tick))}H{px(x.end)}"/>')
        body.append(f'<text class="quiet" x="{px(left - 6)}" y="{px(y(tick) + 4)}" text-anchor="end">{text}</text>')
    body.append(f'<path class="axis" d="M{px(left)} {px(bottom)}H{px(x.end)}"/>')
    body.append(x_axis(x, bottom, 28, x_ticks, grid=False))
    body.append(f'<text class="quiet" x="{px((left + x.end) / 2)}" y="{px(height - 8)}" text-anchor="middle">{escape(x_name)}</text>')
    if reference is not None and y.inside(reference):
        body.append(f'<path class="axis dashed" d="M{px(left)} {px(y(reference))}H{px(x.end)}"/>')
    for i, (line, buckets) in enumerate(zip(lines, drawn)):
        if buckets:
            body.append(series(line, buckets, len(line.points) > len(buckets), x, y, i, len(lines)))
    for event in events[:200]:
        at = x(event.x)
        body.append(f'<path class="alarm" d="M{px(at - 4)} {px(bottom - 8)}l8 8m0 -8l-8 8"><title>{escape(event.text)}</title></path>')
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
