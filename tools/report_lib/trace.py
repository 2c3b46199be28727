# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/trace.py: a Chrome trace as spans by rank and stream, its steps, and what a step's time goes to.
from __future__ import annotations

import pathlib
import re
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, Optional, Tuple

from .errors import ReportError
from .scale import finite

Interval = Tuple[float, float]
COMPUTE, COMMUNICATION, WAIT, OTHER = "compute", "communication", "wait", "other"
KINDS = (COMPUTE, COMMUNICATION, WAIT, OTHER)
COLLECTIVE = re.compile(r"all.?reduce|reduce.?scatter|all.?gather|broadcast|barrier|\bsend\b|\brecv\b|nccl|\bcomm", re.I)
WAITING = re.compile(r"(?:exposed |idle )?(?:wait|stall)", re.I)
COMPUTING = re.compile(r"compute|forward|backward|update|optimi[sz]er|kernel|gpu_op|loss|norm\b", re.I)
ROUNDING = 0.01  # microseconds by which neighbours may overlap and still be neighbours
STEP = re.compile(r"^(?:optimi[sz]er )?step\b[ #]*(\d*)$", re.I)


@dataclass(frozen=True)
class Span:
    rank: int
    stream: int
    begin: float  # microseconds
    end: float
    name: str
    kind: str
    args: str = ""  # for people

    @property
    def duration(self) -> float:
        return self.end - self.begin


@dataclass(frozen=True)
class Step:
    """A window of time on all ranks, with the number the trace gives it."""

    number: Optional[int]
    begin: float
    end: float

    @property
    def duration(self) -> float:
        return self.end - self.begin


@dataclass
class Totals:
    """Where a rank's time in a window goes, in microseconds."""

    rank: int
    window: float
    compute: float  # at work and not waiting
    communication: float  # a collective is under way
    exposed: float  # the part of it in which the rank does not compute

    @property
    def untraced(self) -> float:
        left = self.window - self.compute - self.exposed
        return left if left > 1e-6 * self.window else 0.0  # no more than rounding


@dataclass
class Trace:
    path: str
    name: str
    spans: List[Span]
    steps: List[Step]
    rank_names: Dict[int, str] = field(default_factory=dict)
    stream_names: Dict[Tuple[int, int], str] = field(default_factory=dict)
    notes: List[str] = field(default_factory=list)

    def ranks(self) -> List[int]:
        return sorted({s.rank for s in self.spans})

    def rows(self) -> List[Tuple[int, int]]:
        return sorted({(s.rank, s.stream) for s in self.spans})

    def representative(self) -> Step:
        """The step of the median duration; the first, which warms up, only where there is no other."""
        steps = sorted(self.steps[1:] or self.steps, key=lambda s: s.duration)
        return steps[(len(steps) - 1) // 2]

    def within(self, step: Step) -> List[Span]:
        return [s for s in self.spans if s.end > step.begin and s.begin < step.end]

    def totals(self, step: Step) -> List[Totals]:
        by_rank: Dict[int, List[Span]] = {}
        for span in self.within(step):
            by_rank.setdefault(span.rank, []).append(span)
        return [totals_of(rank, by_rank[rank], step) for rank in sorted(by_rank)]


def union(intervals: Iterable[Interval]) -> List[Interval]:
    """Disjoint and in order."""
    out: List[Interval] = []
    for begin, end in sorted(intervals):
        if out and begin <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        elif end > begin:
            out.append((begin, end))
    return out


def without(a: List[Interval], b: List[Interval]) -> List[Interval]:
    """What of a is not in b; both as union() makes them."""
    out, j = [], 0
    for begin, end in a:
        while j < len(b) and b[j][1] <= begin:
            j += 1
        k = j
        while k < len(b) and b[k][0] < end:
            if b[k][0] > begin:
                out.append((begin, b[k][0]))
            begin = max(begin, b[k][1])
            k += 1
        if begin < end:
            out.append((begin, end))
    return out


def length(intervals: Iterable[Interval]) -> float:
    return sum(end - begin for begin, end in intervals)


def totals_of(rank: int, spans: List[Span], step: Step) -> Totals:
    """Waits inside spans of compute are not compute. Exposed is the traced waiting; in a trace without waits it is the
    communication beside which nothing is computed."""

    def of(kind: str) -> List[Interval]:
        return union((max(s.begin, step.begin), min(s.end, step.end)) for s in spans if s.kind == kind)

    waits = of(WAIT)
    compute = without(of(COMPUTE), waits)
    communication = of(COMMUNICATION)
    exposed = waits if waits else without(communication, compute)
    return Totals(rank, step.duration, length(compute), length(communication), length(exposed))


def own_times(spans: Iterable[Span]) -> List[Tuple[Span, float]]:
    """Each span, in the order of their begins, with its duration less that of the spans directly inside it."""
    own: List[List[Any]] = []
    inside: Dict[Tuple[int, int], List[List[Any]]] = {}  # by row: the spans that are open
    for span in spans:
        opened = inside.setdefault((span.rank, span.stream), [])
        while opened and opened[-1][0].end <= span.begin + ROUNDING:
            opened.pop()
        if opened:
            opened[-1][1] -= min(span.end, opened[-1][0].end) - span.begin
        own.append([span, span.duration])
        opened.append(own[-1])
    return [(span, max(0.0, left)) for span, left in own]


def parse(path: str, content: Any) -> Trace:
    events = content.get("traceEvents") if isinstance(content, dict) else content
    if not isinstance(events, list):
        raise ReportError(f'{path}: "traceEvents" is not a list')
    trace = Trace(path, pathlib.Path(path).stem, [], [])
    stream_names: Dict[Tuple[int, int], str] = {}
    timed: List[Tuple[int, Dict[str, Any], float, float]] = []
    open_spans: Dict[Tuple[int, int], List[Tuple[int, Dict[str, Any]]]] = {}
    undrawn = 0
    for i, event in enumerate(events):
        if not isinstance(event, dict):
            raise ReportError(f"{path}: event {i} is not an object")
        phase, at = event.get("ph"), place(path, i, event)
        if phase == "M":
            args = event.get("args")
            name = str(args.get("name", "")) if isinstance(args, dict) else ""
            if event.get("name") == "process_name":
                trace.rank_names[at[0]] = name
            elif event.get("name") == "thread_name":
                stream_names[at] = name
        elif phase == "X":
            begin, duration = time_of(path, i, event, "ts"), time_of(path, i, event, "dur")
            if duration < 0:
                raise ReportError(f"{path}: event {i} has a negative duration")
            timed.append((i, event, begin, begin + duration))
        elif phase == "B":
            open_spans.setdefault(at, []).append((i, event))
        elif phase == "E":
            if not open_spans.get(at):
                raise ReportError(f"{path}: event {i} ends a span that did not begin")
            first, opened = open_spans[at].pop()
            timed.append((first, opened, time_of(path, first, opened, "ts"), time_of(path, i, event, "ts")))
        else:
            undrawn += 1
    if not timed:
        raise ReportError(f"{path}: a trace without spans (events of ph X, or B and E)")
    unended = sum(map(len, open_spans.values()))
    if unended:
        trace.notes.append(f"{unended} spans that did not end are left out")
    if undrawn:
        trace.notes.append(f"{undrawn} events that are no spans (counters, flows, instants) are not drawn")
    trace.stream_names = stream_names
    collect(trace, timed)
    told = content.get("otherData") if isinstance(content, dict) else None
    told = told if isinstance(told, dict) else {}
    lost, error = finite(told.get("lost_spans")), finite(told.get("clock_error_us"))
    if lost:
        trace.notes.append(f"{lost:g} older spans had been overwritten when the trace was written")
    if error:
        trace.notes.append(f"the ranks' clocks agree to {error:.3g} us")
    return trace


def place(path: str, i: int, event: Dict[str, Any]) -> Tuple[int, int]:
    where = []
    for name in ("pid", "tid"):
        value = event.get(name, 0)
        if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
            raise ReportError(f'{path}: event {i}: "{name}" is not a number')
        where.append(value)
    return where[0], where[1]


def time_of(path: str, i: int, event: Dict[str, Any], name: str) -> float:
    value = finite(event.get(name))
    if value is None:
        raise ReportError(f'{path}: event {i}: "{name}" is not a finite number')
    return value


def kind_of(name: str, category: str, stream: str) -> str:
    """By the event's category, else a wait by its name, else by its stream's name, else by its own."""
    for text in (category, name):
        if WAITING.match(text):
            return WAIT
        if text is category and COLLECTIVE.search(text):
            return COMMUNICATION
        if text is category and COMPUTING.match(text):
            return COMPUTE
    if re.search(r"comm|nccl", stream, re.I):
        return COMMUNICATION
    if re.search(r"compute", stream, re.I) or COMPUTING.match(name):
        return COMPUTE
    if COLLECTIVE.search(name):
        return COMMUNICATION
    return OTHER if stream else COMPUTE


def collect(trace: Trace, timed: List[Tuple[int, Dict[str, Any], float, float]]) -> None:
    """Spans, and steps: events called "step N", else args.step, else all there is."""
    marked: Dict[Any, List[Interval]] = {}
    by_args: Dict[int, List[Interval]] = {}
    for i, event, begin, end in timed:
        name, args = str(event.get("name", "")), event.get("args")
        args = args if isinstance(args, dict) else {}
        step = args.get("step")
        step = step if isinstance(step, int) and not isinstance(step, bool) else None
        called = STEP.match(name)
        if called or event.get("cat") == "step":
            number = int(called[1][:15]) if called and called[1] else step
            key = number if number is not None else ("unnumbered", begin)
            marked.setdefault(key, []).append((begin, end))
            continue
        if step is not None:
            by_args.setdefault(step, []).append((begin, end))
        rank, stream = place(trace.path, i, event)
        kind = kind_of(name, str(event.get("cat", "")), trace.stream_names.get((rank, stream), ""))
        text = ", ".join(f"{k} {v}" for k, v in args.items() if isinstance(v, (int, float, str)))
        trace.spans.append(Span(rank, stream, begin, end, name, kind, text))
    if not trace.spans:
        raise ReportError(f"{trace.path}: the trace has steps and nothing in them")
    trace.spans.sort(key=lambda s: (s.begin, -s.end))
    if any(not isinstance(key, int) for key in marked):  # unnumbered: ranks' windows that overlap are one step
        windows = union(w for found in marked.values() for w in found)
        trace.steps = [Step(None, b, e) for b, e in windows]
    else:
        chosen = marked or by_args or {None: [(s.begin, s.end) for s in trace.spans]}
        trace.steps = [Step(n, min(b for b, _ in w), max(e for _, e in w)) for n, w in chosen.items()]
    trace.steps = sorted((s for s in trace.steps if s.duration > 0), key=lambda s: s.begin)
    if not trace.steps:
        raise ReportError(f"{trace.path}: all spans are of no duration")


def limits(totals: List[Totals]) -> str:
    """What limits a step, said in numbers."""
    window = totals[0].window
    if window <= 0:
        return "The step has no duration."

    def percent(us: float) -> str:
        return f"{100 * us / window:.1f} %"

    def ms(us: float) -> str:
        return f"{us / 1e3:.3g} ms"

    slowest = max(totals, key=lambda t: t.compute)
    fastest = min(totals, key=lambda t: t.compute)
    waits = max(totals, key=lambda t: t.exposed)
    idle = max(totals, key=lambda t: t.untraced)
    which = max((("compute", slowest.compute), ("waiting", waits.exposed), ("untraced", idle.untraced)), key=lambda p: p[1])[0]
    hidden = sum(max(0.0, t.communication - t.exposed) for t in totals)
    communication = sum(t.communication for t in totals)
    if which == "compute":
        text = f"Compute limits this step: rank {slowest.rank} computes for {percent(slowest.compute)} of {ms(window)}."
    elif which == "waiting":
        text = f"Communication limits this step: rank {waits.rank} waits for it {percent(waits.exposed)} of {ms(window)}."
    else:
        text = f"Most of this step is not in the trace: nothing is recorded on rank {idle.rank} for {percent(idle.untraced)} of {ms(window)}."
    if communication > 0:
        text += (
            f" Of all communication {100 * hidden / communication:.0f} % is hidden behind compute;"
            f" hiding the rest would save at most {ms(waits.exposed)} ({percent(waits.exposed)})."
        )
    uneven = slowest.compute - fastest.compute
    if len(totals) > 1 and uneven > 0.05 * window:
        text += f" The ranks are uneven: rank {slowest.rank} computes {ms(uneven)} longer than rank {fastest.rank}, and the others wait for it."
    return text
