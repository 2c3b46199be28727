# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/trace.py: spans by rank and stream, the steps they are in, and what a step's time goes to.
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, Optional, Tuple

Interval = Tuple[float, float]
COMPUTE, COMMUNICATION, WAIT, OTHER = "compute", "communication", "wait", "other"
KINDS = (COMPUTE, COMMUNICATION, WAIT, OTHER)
ROUNDING = 0.01  # microseconds by which neighbours may overlap and still be neighbours


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
        knows_waits = any(span.kind == WAIT for span in self.spans)
        return [totals_of(rank, by_rank[rank], step, knows_waits) for rank in sorted(by_rank)]


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


def totals_of(rank: int, spans: List[Span], step: Step, knows_waits: bool) -> Totals:
    """Waits inside spans of compute are not compute. Exposed is the traced waiting; in a trace without waits it is the
    communication beside which nothing is computed."""

    def of(kind: str) -> List[Interval]:
        return union((max(s.begin, step.begin), min(s.end, step.end)) for s in spans if s.kind == kind)

    waits = of(WAIT)
    compute = without(of(COMPUTE), waits)
    communication = of(COMMUNICATION)
    exposed = waits if knows_waits else without(communication, compute)
    return Totals(rank, step.duration, length(compute), length(communication), length(exposed))


def own_times(spans: Iterable[Span], step: Step) -> List[Tuple[Span, float]]:
    """Each span, in the order of their begins, with its time in the step less that of the spans directly inside it."""

    def in_step(begin: float, end: float) -> float:
        return max(0.0, min(end, step.end) - max(begin, step.begin))

    own: List[List[Any]] = []
    inside: Dict[Tuple[int, int], List[List[Any]]] = {}  # by row: the spans that are open
    for span in spans:
        opened = inside.setdefault((span.rank, span.stream), [])
        while opened and opened[-1][0].end <= span.begin + ROUNDING:
            opened.pop()
        if opened:
            opened[-1][1] -= in_step(span.begin, min(span.end, opened[-1][0].end))
        own.append([span, in_step(span.begin, span.end)])
        opened.append(own[-1])
    return [(span, max(0.0, left)) for span, left in own]


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
