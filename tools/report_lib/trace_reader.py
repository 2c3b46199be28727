# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/trace_reader.py: Chrome's trace format: events into spans and steps.
from __future__ import annotations

import pathlib
import re
from typing import Any, Dict, List, Optional, Tuple

from .errors import ReportError
from .scale import finite
from .trace import COMMUNICATION, COMPUTE, OTHER, WAIT, Interval, Span, Step, Trace

COLLECTIVE = re.compile(r"all.?reduce|reduce.?scatter|all.?gather|broadcast|barrier|\bsend\b|\brecv\b|nccl|\bcomm", re.I)
WAITING = re.compile(r"(?:exposed |idle )?(?:wait|stall)", re.I)
COMPUTING = re.compile(r"compute|forward|backward|update|optimi[sz]er|kernel|gpu_op|loss|norm\b", re.I)
STEP = re.compile(r"^(?:optimi[sz]er )?step\b[ #]*(\d*)$", re.I)


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
    marked: List[Tuple[int, float, float, Optional[int]]] = []  # rank, begin, end, number
    by_args: Dict[Optional[int], List[Interval]] = {}
    for i, event, begin, end in timed:
        name, args = str(event.get("name", "")), event.get("args")
        args = args if isinstance(args, dict) else {}
        step = args.get("step")
        step = step if isinstance(step, int) and not isinstance(step, bool) else None
        called = STEP.match(name)
        if called or event.get("cat") == "step":
            number = int(called[1][:15]) if called and called[1] else step
            marked.append((place(trace.path, i, event)[0], begin, end, number))
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
    windows = by_number(marked) or by_args or {None: [(s.begin, s.end) for s in trace.spans]}
    steps = [Step(n, min(b for b, _ in w), max(e for _, e in w)) for n, w in windows.items()]
    trace.steps = sorted((s for s in steps if s.duration > 0), key=lambda s: s.begin)
    if not trace.steps:
        raise ReportError(f"{trace.path}: all spans are of no duration")


def by_number(marked: List[Tuple[int, float, float, Optional[int]]]) -> Dict[Optional[int], List[Interval]]:
    """The windows that ranks give a step; where steps have no numbers, each rank's first is 1."""
    windows: Dict[Optional[int], List[Interval]] = {}
    counted = any(number is None for _, _, _, number in marked)
    done: Dict[int, int] = {}
    for rank, begin, end, number in sorted(marked, key=lambda m: m[1]):
        done[rank] = done.get(rank, 0) + 1
        windows.setdefault(done[rank] if counted else number, []).append((begin, end))
    return windows
