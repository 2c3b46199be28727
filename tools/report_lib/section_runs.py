# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/section_runs.py: training runs side by side: a table, then one plot a measurement.
from __future__ import annotations

from typing import Callable, List, Optional, Sequence, Tuple

from .bars import Bar, Group, bar_chart
from .chart import NARROW, STYLES, Event, Line, buckets_for, line_chart
from .parts import figure, filled, legend, paragraph, switched, table
from .run_log import Run
from .scale import Point, Unit, bytes_unit, number, time_unit

MOST_OTHERS = 12  # plots of fields that the report does not know
IDENTITY = Unit(1.0, "")


def section(runs: Sequence[Run]) -> str:
    out = [summary(runs)]
    for run in runs:
        out += [paragraph(f"{run.name}: {note}.", "note") for note in run.notes]
    out.append(legend([(run.name, i) for i, run in enumerate(runs)]))
    figures = [loss(runs)]
    figures.append(over_steps(runs, "lr", "Learning rate", "", zero=True))
    figures.append(over_steps(runs, "grad_norm", "Gradient norm", "before clipping", switch=True))
    figures.append(over_steps(runs, "tokens_per_s", "Throughput", "tokens/s, all ranks", zero=True))
    figures.append(timed(runs, "step_s", "Step time", "from one step's end to the next"))
    figures.append(timed(runs, "exposed_comm_s", "Exposed communication", "compute waits for it, a step"))
    figures.append(timed(runs, "comm_s", "Communication", "collectives under way, a step"))
    names = sorted({name for run in runs for name in run.others()})
    figures += [over_steps(runs, name, name, "as logged") for name in names[:MOST_OTHERS]]
    figures += [split(runs), memory(runs)]
    out.append(f'<div class="grid">{"".join(f for f in figures if f)}</div>')
    if len(names) > MOST_OTHERS:
        out.append(paragraph(f"Not drawn: the fields {', '.join(names[MOST_OTHERS:])}.", "note"))
    return "".join(out)


def at(point: Optional[Point], decimals: str = ".4f") -> str:
    if point is None:
        return ""
    value = format(point[1], decimals) if 1e-3 <= abs(point[1]) < 1e5 else number(point[1], 5)
    return f"{value} at {point[0]:g}"


def summary(runs: Sequence[Run]) -> str:
    def text(value: Optional[float], show: Callable[[float], str]) -> str:
        return "" if value is None else show(value)

    head = ["run", "strategy", "ranks", "steps", "last loss", "least loss at step", "last validation loss at step"]
    head += ["least validation loss at step", "tokens/s, median", "step, median", "exposed communication", "peak memory of a rank"]
    head += ["skipped steps", "losses not finite"]
    rows = []
    for run in runs:
        last, step, peaks = run.last("loss"), run.median("step_s"), run.peak_memory()
        rows.append(
            [
                run.name,
                run.strategy,
                text(run.ranks, str),
                str(run.steps()),
                at(last).split(" at ")[0],
                at(run.least("loss")),
                at(run.last("val_loss")),
                at(run.least("val_loss")),
                text(run.median("tokens_per_s"), lambda v: f"{v:,.0f}".replace(",", "\u202f") if v >= 100 else number(v)),
                text(step, lambda v: seconds(v)),
                text(run.exposed_share(), lambda v: f"{100 * v:.1f} %"),
                text(max(peaks.values(), default=None), memory_text),
                str(len(run.skipped) or ""),
                str(len(run.not_finite("loss")) or ""),
            ]
        )
    return table(*filled(head, rows), caption="Runs at a glance")


def seconds(value: float) -> str:
    unit = time_unit(abs(value))
    return f"{number(value / unit.divisor)} {unit.name}"


def memory_text(value: float) -> str:
    unit = bytes_unit(value)
    return f"{number(value / unit.divisor)} {unit.name}"


def lines_of(runs: Sequence[Run], name: str, unit: Unit = IDENTITY) -> List[Line]:
    found = []
    for i, run in enumerate(runs):
        points = run.of_first_rank(name)
        if points:
            found.append(Line(run.name, [(x, y / unit.divisor) for x, y in points], i, key=run.name))
    return found


def events_of(runs: Sequence[Run], name: str) -> List[Event]:
    found = []
    for i, run in enumerate(runs):
        found += [Event(s, f"{run.name}: step {s:g} skipped, its gradients overflowed", i) for s in run.skipped]
        found += [Event(s, f"{run.name}: {name} at step {s:g} is not a finite number", i) for s in run.not_finite(name)]
    return found


def notes_on(lines: Sequence[Line], log: bool, *more: str) -> str:
    """What of a plot is not as it was logged."""
    notes = list(more)
    longest = max((len(line.points) for line in lines), default=0)
    most = buckets_for(len(lines), longest)
    if most:
        notes.append(f"Lines are means of up to {-(-longest // most)} steps; bands reach from the least to the greatest of them.")
    hidden = sum(1 for line in lines for p in line.points if p[1] <= 0) if log else 0
    if hidden:
        notes.append(f"The logarithmic axis leaves out {hidden} values that are not above zero.")
    return " ".join(notes)


def loss(runs: Sequence[Run]) -> str:
    training = lines_of(runs, "loss")
    validation = lines_of(runs, "val_loss")
    for line in validation:
        line.name, line.dashed = line.name + ", validation", True
    lines, events = training + validation, events_of(runs, "loss")
    if not lines and not events:
        return ""
    more = ["Dashed with hollow marks: validation."] if validation and training else []
    skipped, lost = sum(len(r.skipped) for r in runs), sum(len(r.not_finite("loss")) for r in runs)
    if skipped:
        more.append(f"{skipped} skipped steps are crossed on the axis.")
    if lost:
        more.append(f"{lost} losses that are null, NaN or infinite are crossed on the axis.")
    if len(events) > 200:
        more.append("The first 200 crosses are drawn.")
    axis = "loss, mean over the batch"
    views = [
        ("linear", line_chart(lines, describe("loss", lines), axis, events=events)),
        ("logarithmic", line_chart(lines, describe("loss", lines), axis, log=True, events=events)),
    ]
    middle = max((line.points[-1][0] for line in lines), default=0.0) / 2
    late = [Line(line.name, [p for p in line.points if p[0] >= middle], line.style, line.dashed, line.key) for line in lines]
    if sum(map(len, (line.points for line in late))) > 1:
        about = f"loss of the second half, {describe('', late)}"
        views.append(("second half", line_chart(late, about, axis, events=[e for e in events if e.x >= middle])))
    return figure("Loss", switched(views, "axis of the loss"), notes_on(lines, True, *more))


def describe(what: str, lines: Sequence[Line]) -> str:
    """A plot in words, for those who do not see it."""
    ends = [f"{line.name} from {number(line.points[0][1])} to {number(line.points[-1][1])}" for line in lines[:8] if line.points]
    return f"{what} over steps: " + "; ".join(ends)


def over_steps(runs: Sequence[Run], name: str, title: str, about: str, zero: bool = False, switch: bool = False) -> str:
    lines = lines_of(runs, name)
    if not lines:
        return ""
    lost = sum(len(run.not_finite(name)) for run in runs)
    more = [f"{lost} values are not finite and left out."] if lost else []
    views = [("linear", line_chart(lines, describe(title, lines), about or name, zero=zero))]
    if switch and any(y > 0 for line in lines for _, y in line.points):
        views.append(("logarithmic", line_chart(lines, describe(title, lines), about or name, log=True)))
    return figure(title, switched(views, f"axis of {title}"), notes_on(lines, len(views) > 1, *more))


def timed(runs: Sequence[Run], name: str, title: str, about: str) -> str:
    """Seconds, in a unit that suits them."""
    most = max((y for run in runs for y in run.values(name)), default=None)
    if most is None:
        return ""
    unit = time_unit(most)
    lines = lines_of(runs, name, unit)
    ranks = any(len(run.series.get(name, {})) > 1 for run in runs)
    more = ["Of the lowest rank that logs it."] if ranks else []
    chart = line_chart(lines, describe(f"{title} in {unit.name}", lines), f"{unit.name}, {about}", zero=True)
    return figure(title, chart, notes_on(lines, False, *more))


def split(runs: Sequence[Run]) -> str:
    """The median step of each run as compute and exposed communication."""
    parts: List[Tuple[Run, float, Optional[float], Optional[float]]] = []
    for run in runs:
        step = run.median("step_s")
        if step is not None and (run.median("exposed_comm_s") is not None or run.median("comm_s") is not None):
            parts.append((run, step, run.median("exposed_comm_s"), run.median("comm_s")))
    if not parts:
        return ""
    unit = time_unit(max(step for _, step, _, _ in parts))
    groups = []
    for run, step, exposed, communication in parts:
        bars = []
        if exposed is not None:
            bars.append(Bar("compute and all else", (step - exposed) / unit.divisor, share(step - exposed, step), style=0))
            bars.append(Bar("exposed communication", exposed / unit.divisor, share(exposed, step), style=1))
        if communication is not None and exposed is not None:
            bars.append(Bar("hidden communication", max(0.0, communication - exposed) / unit.divisor, "beside compute", style=2))
        elif communication is not None:
            bars.append(Bar("communication", communication / unit.divisor, share(communication, step), style=1))
        groups.append(Group(f"{run.name}: {number(step / unit.divisor)} {unit.name} a step", bars))
    label = "; ".join(f"{g.name}: " + ", ".join(f"{b.name} {number(b.value)} {unit.name}" for b in g.bars) for g in groups)
    return figure("Where a step's time goes", bar_chart(groups, label, unit.name, NARROW), "Medians over the steps of all ranks that log them.")


def share(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole > 0 else ""


def memory(runs: Sequence[Run]) -> str:
    """The peak of each rank; of many ranks, the least and the greatest."""
    peaks = [(run, run.peak_memory()) for run in runs]
    most = max((v for _, ranks in peaks for v in ranks.values()), default=None)
    if most is None:
        return ""
    unit = bytes_unit(most)
    groups, many = [], False
    for i, (run, ranks) in enumerate(peaks):
        chosen = list(ranks.items())
        if len(chosen) > 8:
            many = True
            chosen = sorted((min(chosen, key=lambda p: p[1]), max(chosen, key=lambda p: p[1])))
        if chosen:
            groups.append(Group(run.name, [Bar(f"rank {rank}", v / unit.divisor, style=i % STYLES) for rank, v in chosen]))
    label = "peak memory: " + "; ".join(f"{g.name} " + ", ".join(f"{b.name} {number(b.value)} {unit.name}" for b in g.bars) for g in groups)
    note = "Of more than 8 ranks, the one with the least and the one with the most." if many else ""
    return figure("Peak memory of a rank", bar_chart(groups, label, unit.name, NARROW), note)
