# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/section_traces.py: the timeline of a step, where each rank's time goes, and what limits the step.
from __future__ import annotations

import json
from typing import Dict, List, Optional, Sequence, Tuple

from .bars import Bar, Group, bar_chart
from .chart import NARROW, Line, escape, line_chart, px, shortened, svg, swatch, width_of
from .errors import ReportError
from .parts import details, figure, paragraph, table
from .scale import Scale, compact, linear_ticks, number, tick_texts, time_unit
from .trace import COMMUNICATION, COMPUTE, KINDS, OTHER, ROUNDING, WAIT, Span, Step, Totals, Trace, limits, own_times

WIDTH, LEFT, LANE = 1180, 172, 22
STYLE = {COMPUTE: 0, COMMUNICATION: 1, WAIT: 3, OTHER: 5}  # colours and hatchings of chart.css
MOST_SPANS = 3000  # of a timeline
MOST_RANKS = 16
MOST_ROWS = 64  # ranks times streams
MOST_LISTED = 256  # ranks in the table
MOST_LANES = 4  # of spans inside spans on one stream


def section(traces: Sequence[Trace], number_of_step: Optional[int]) -> str:
    return "".join(of_trace(trace, number_of_step) for trace in traces)


def chosen(trace: Trace, number_of_step: Optional[int]) -> Step:
    if number_of_step is None:
        return trace.representative()
    for step in trace.steps:
        if step.number == number_of_step:
            return step
    known = [s.number for s in trace.steps if s.number is not None]
    has = f"has steps {known[0]} to {known[-1]}" if known else "does not number its steps"
    raise ReportError(f"{trace.path}: there is no step {number_of_step}; the trace {has}")


def of_trace(trace: Trace, number_of_step: Optional[int]) -> str:
    step = chosen(trace, number_of_step)
    totals = trace.totals(step)
    name = f"step {step.number}" if step.number is not None else "one step" if len(trace.steps) > 1 else "the whole trace"
    which = ""
    if len(trace.steps) > 1:
        why = "chosen by --step" if number_of_step is not None else "whose duration is the median (the first left aside)"
        which = f" It is the one of {len(trace.steps)} {why}."
    out = [f'<section class="topic" data-scope><h3>{escape(trace.name)}</h3>', paragraph(limits(totals), "lead")]
    out += [paragraph(note[0].upper() + note[1:] + ".", "note") for note in trace.notes]
    drawing, note = timeline(trace, step)
    keys = "".join(f"<li>{swatch(STYLE[k], 'bar')}{k}</li>" for k in KINDS if any(s.kind == k for s in trace.within(step)))
    tools = '<p class="tools" hidden><button type="button" data-zoom="in">zoom in</button><button type="button" data-zoom="out">zoom out</button>'
    tools += '<button type="button" data-zoom="all">whole step</button> or ctrl and the wheel, a double click, dragging</p>'
    out.append(figure(f"Timeline of {name}", drawing, note + which, f'<ul class="legend">{keys}</ul>{tools}', css="timeline"))
    out.append(f'<div class="grid">{shares(totals)}{durations(trace, step)}{longest(trace, step)}</div>')
    out.append(details("Where each rank's time goes, in numbers", numbers(trace, totals[:MOST_LISTED]), opened=len(totals) <= MOST_RANKS))
    return "".join(out) + "</section>"


def stacked(spans: Sequence[Span]) -> List[Tuple[int, Span]]:
    """Each span with its depth: 0 outside, one more inside another. Spans are in the order of their begins."""
    out: List[Tuple[int, Span]] = []
    open_ends: List[float] = []
    for span in spans:
        while open_ends and open_ends[-1] <= span.begin + ROUNDING:
            open_ends.pop()
        out.append((min(len(open_ends), MOST_LANES - 1), span))
        open_ends.append(span.end)
    return out


def merged(spans: Sequence[Span], least: float) -> List[Tuple[Span, int]]:
    """Neighbours of one kind that are shorter than `least`, and as near to each other, become one; how many they were."""
    out: List[Tuple[Span, int]] = []
    for span in spans:
        if out:
            last, count = out[-1]
            if last.kind == span.kind and span.duration < least and (count > 1 or last.duration < least) and span.begin - last.end < least:
                whole = Span(last.rank, last.stream, last.begin, max(last.end, span.end), "", last.kind)
                out[-1] = (whole, count + 1)
                continue
        out.append((span, 1))
    return out


def timeline(trace: Trace, step: Step) -> Tuple[str, str]:
    """A row a rank and stream, with lanes for spans inside spans; and what the caption should say."""
    ranks = trace.ranks()
    shown = ranks[:MOST_RANKS]
    notes = [f"The first {MOST_RANKS} of {len(ranks)} ranks."] if len(ranks) > MOST_RANKS else []
    by_row: Dict[Tuple[int, int], List[Span]] = {}
    for span in trace.within(step):
        if span.rank in shown:
            by_row.setdefault((span.rank, span.stream), []).append(span)
    if len(by_row) > MOST_ROWS:
        notes.append(f"The first {MOST_ROWS} of {len(by_row)} streams.")
    lanes = {row: stacked(spans) for row, spans in sorted(by_row.items())[:MOST_ROWS]}
    least = 0.0
    drawn = {row: draw_lanes(found, least) for row, found in lanes.items()}
    while sum(map(len, drawn.values())) > MOST_SPANS:
        least = max(2 * least, step.duration / 4000)
        drawn = {row: draw_lanes(found, least) for row, found in lanes.items()}
        if least > step.duration:
            break
    if least > 0:
        notes.append(f"Neighbouring spans shorter than {duration(least)} are drawn as one.")
    unit = time_unit(step.duration * 1e-6)
    x = Scale(0.0, step.duration, LEFT, WIDTH - 12)
    out, top, last_rank = [], 26.0, None
    for (rank, stream), spans in drawn.items():
        if rank != last_rank:
            title = trace.rank_names.get(rank) or f"rank {rank}"
            top += 6 if last_rank is not None else 0
            out.append(f'<text class="strong" x="2" y="{px(top + 13)}">{escape(shortened(title, 20))}</text>')
            out.append(f'<path class="grid" d="M2 {px(top - 3)}H{WIDTH}"/>')
            top += 19
            last_rank = rank
        title = trace.stream_names.get((rank, stream)) or f"stream {stream}"
        out.append(f'<text class="quiet" x="12" y="{px(top + 15)}">{escape(shortened(title, 22))}</text>')
        height = LANE * (1 + max(lane for lane, _, _ in spans))
        out.append(f'<svg class="row" x="{LEFT}" y="{px(top)}" width="{WIDTH - 12 - LEFT}" height="{height}">')
        out += [box(step, lane, span, count, x) for lane, span, count in spans]
        out.append("</svg>")
        top += height + 6
    ticks = linear_ticks(0.0, step.duration * 1e-6 / unit.divisor, 9)
    axis = [f'<text class="quiet" x="2" y="14">{unit.name} from the begin</text>', '<g class="ticks">']
    for tick, text in zip(ticks, tick_texts(ticks)):
        at = px(x(tick * unit.divisor * 1e6))
        axis.append(f'<path class="grid" d="M{at} 20V{px(top)}"/><text class="quiet" x="{at}" y="14" text-anchor="middle">{text}</text>')
    axis.append("</g>")
    data = json.dumps({"duration": float(compact(step.duration)), "left": LEFT, "right": WIDTH - 12, "bottom": top, "unit": unit.divisor * 1e6})
    label = f"timeline of {len(shown)} ranks over {duration(step.duration)}; the table below has its totals"
    return svg(WIDTH, top + 4, label, "".join(axis + out), f" data-timeline='{escape(data)}'"), " ".join(notes)


def draw_lanes(found: Sequence[Tuple[int, Span]], least: float) -> List[Tuple[int, Span, int]]:
    out = []
    for lane in range(MOST_LANES):
        out += [(lane, span, count) for span, count in merged([s for at, s in found if at == lane], least)]
    return out


def box(step: Step, lane: int, span: Span, count: int, x: Scale) -> str:
    """A span: its rectangle, its name where there is room; times in the attributes are microseconds of the step."""
    begin, end = max(span.begin, step.begin) - step.begin, min(span.end, step.end) - step.begin
    name = span.name if count == 1 else f"{count} short spans"
    style = STYLE[span.kind]
    left, right = x(begin) - LEFT, x(end) - LEFT
    text = f"{name}: {duration(span.duration)} of {span.kind}, from {duration(begin)}"
    if span.args:
        text += f" ({shortened(span.args, 160)})"
    css = "bar h0" if style == 0 else "bar"
    fill = "" if style == 0 else f' fill="url(#hatch{style})"'
    room = right - left - 8
    label = name if width_of(name, 11) <= room else ""
    label_svg = f'<text x="{px(left + 4)}" y="{px(LANE * lane + 14.5)}">{escape(label)}</text>' if label else ""
    return (
        f'<g class="span s{style}" data-t="{compact(begin)} {compact(end)}" data-label="{escape(shortened(name, 60))}"><title>{escape(text)}</title>'
        f'<rect class="{css}" x="{px(left)}" y="{px(LANE * lane + 0.5)}" width="{px(max(0.4, right - left))}" height="{LANE - 2}"{fill}/>'
        f"{label_svg}</g>"
    )


def duration(us: float) -> str:
    unit = time_unit(us * 1e-6)
    return f"{number(us * 1e-6 / unit.divisor)} {unit.name}" if us else "0"


def shares(totals: Sequence[Totals]) -> str:
    groups = []
    for t in totals[:MOST_RANKS]:
        parts = (("compute", t.compute, COMPUTE), ("exposed waits", t.exposed, WAIT), ("untraced", t.untraced, OTHER))
        bars = [Bar(name, us / 1e3, f"{100 * us / t.window:.1f} %", style=STYLE[kind]) for name, us, kind in parts]
        groups.append(Group(f"rank {t.rank}", bars))
    label = "; ".join(f"{g.name}: " + ", ".join(f"{b.name} {b.note}" for b in g.bars) for g in groups)
    return figure("Where each rank's time goes", bar_chart(groups, label, "ms", NARROW))


def durations(trace: Trace, step: Step) -> str:
    """Of all steps in the trace, so that one sees whether the drawn one is like the others."""
    if len(trace.steps) < 3:
        return ""
    numbered = all(s.number is not None for s in trace.steps)
    unit = time_unit(max(s.duration for s in trace.steps) * 1e-6)

    def scaled(us: float) -> float:
        return us * 1e-6 / unit.divisor

    xs = [float(s.number or 0) if numbered else float(i) for i, s in enumerate(trace.steps)]
    whole = Line("step", [(x, scaled(s.duration)) for x, s in zip(xs, trace.steps)], 0)
    label = f"durations of {len(xs)} steps from {number(min(y for _, y in whole.points))} to {number(max(y for _, y in whole.points))} {unit.name}"
    chart = line_chart([whole], label, unit.name, "step", zero=True)
    return figure("Duration of every step in the trace", chart, f"The drawn one takes {duration(step.duration)}.")


def longest(trace: Trace, step: Step) -> str:
    """What takes most, by name: own time on all ranks."""
    sums: Dict[Tuple[str, str], float] = {}
    for span, own in own_times(trace.within(step), step):
        if span.kind != OTHER:
            sums[span.name, span.kind] = sums.get((span.name, span.kind), 0.0) + own
    ranks = max(1, len(trace.ranks()))
    first = sorted(sums.items(), key=lambda p: -p[1])[:12]
    bars = [Bar(name, us / ranks / 1e3, kind if kind != COMPUTE else "", style=STYLE[kind]) for (name, kind), us in first]
    label = "; ".join(f"{b.name} {number(b.value)} ms" for b in bars)
    return figure(
        "Longest by name",
        bar_chart([Group("", bars)], label, "ms", NARROW),
        "All spans of a name together, without the spans inside them; mean over ranks.",
    )


def numbers(trace: Trace, totals: Sequence[Totals]) -> str:
    head = ["rank", "step, ms", "compute, ms", "communication, ms", "exposed waits, ms", "exposed share", "hidden communication", "untraced, ms"]
    rows = []
    for t in totals:
        hidden = f"{100 * max(0.0, 1 - t.exposed / t.communication):.1f} %" if t.communication > 0 else ""
        milliseconds = [f"{us / 1e3:.4g}" for us in (t.window, t.compute, t.communication, t.exposed)]
        rows.append(
            [
                trace.rank_names.get(t.rank) or f"rank {t.rank}",
                *milliseconds,
                f"{100 * t.exposed / t.window:.1f} %",
                hidden,
                f"{t.untraced / 1e3:.4g}",
            ]
        )
    return table(head, rows)
