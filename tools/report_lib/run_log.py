# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/run_log.py: a training run as its log tells it: one JSON object a line, with "step" and any of KNOWN.
from __future__ import annotations

import pathlib
import statistics
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

from .errors import ReportError
from .scale import Point, finite

FACTS = ("strategy", "ranks", "rank")  # about the run or the line, not measured
KNOWN = ("loss", "val_loss", "val_tokens", "lr", "grad_norm", "tokens_per_s", "step_s", "comm_s", "exposed_comm_s", "memory_bytes")


@dataclass
class Run:
    """Measurements by field and rank, in the order of steps."""

    path: str
    name: str
    series: Dict[str, Dict[int, List[Point]]] = field(default_factory=dict)
    lost: Dict[str, Dict[int, List[float]]] = field(default_factory=dict)  # steps at which a field was null, NaN or infinite
    skips: Dict[int, List[float]] = field(default_factory=dict)  # steps that a loss scale left out, by rank
    strategy: str = ""
    ranks: Optional[int] = None
    notes: List[str] = field(default_factory=list)

    @property
    def skipped(self) -> List[float]:
        return self.skips[min(self.skips)] if self.skips else []

    def not_finite(self, name: str) -> List[float]:
        ranks = self.lost.get(name)
        return ranks[min(ranks)] if ranks else []

    def of_first_rank(self, name: str) -> List[Point]:
        """What all ranks agree about is read from the lowest one that says it."""
        ranks = self.series.get(name)
        return ranks[min(ranks)] if ranks else []

    def values(self, name: str) -> List[float]:
        """Of all ranks."""
        return [y for points in self.series.get(name, {}).values() for _, y in points]

    def median(self, name: str) -> Optional[float]:
        values = self.values(name)
        return statistics.median(values) if values else None

    def last(self, name: str) -> Optional[Point]:
        points = self.of_first_rank(name)
        return points[-1] if points else None

    def least(self, name: str) -> Optional[Point]:
        return min(self.of_first_rank(name), key=lambda p: p[1], default=None)

    def steps(self) -> int:
        return int(max((points[-1][0] for ranks in self.series.values() for points in ranks.values()), default=0))

    def exposed_share(self) -> Optional[float]:
        """The part of all step time in which compute waited for communication."""
        step, exposed = self.series.get("step_s", {}), self.series.get("exposed_comm_s", {})
        total = waited = 0.0
        for rank in step.keys() & exposed.keys():
            times = dict(step[rank])
            for at, seconds in exposed[rank]:
                if at in times:
                    total += times[at]
                    waited += seconds
        return waited / total if total > 0 else None

    def peak_memory(self) -> Dict[int, float]:
        return {rank: max(y for _, y in points) for rank, points in sorted(self.series.get("memory_bytes", {}).items())}

    def others(self) -> List[str]:
        """Measured fields that this report knows nothing about but their names."""
        return [name for name in self.series if name not in KNOWN]


def parse(path: str, rows: List[Tuple[int, Dict[str, Any]]], cut: bool) -> Run:
    run = Run(path, pathlib.Path(path).stem)
    if cut:
        run.notes.append("the last line is incomplete and left out")
    at: Dict[int, float] = {}  # the step a rank is at
    went_back: List[float] = []
    for number, row in rows:
        facts(run, row)
        if "step" not in row:
            continue
        step = finite(row["step"])
        if step is None or step < 0:
            raise ReportError(f'{path}:{number}: "step" is not a number of steps')
        rank = row.get("rank", 0)
        if isinstance(rank, bool) or not isinstance(rank, int) or not 0 <= rank < 2**31:
            raise ReportError(f'{path}:{number}: "rank" is not the number of a rank')
        if step < at.get(rank, 0):
            went_back.append(step)
            take_back(run, rank, step)
        note_skipped(run, row, rank, step)
        at[rank] = step
        measurements(run, row, rank, step)
    if not run.series and not run.lost:
        raise ReportError(f'{path}: no line has a measurement beside "step"')
    if went_back:
        times = "once" if len(went_back) == 1 else f"{len(went_back)} times, first"
        run.notes.append(f"the log goes back {times} to step {went_back[0]:g}: what it had from there on is left out")
    return run


def facts(run: Run, row: Dict[str, Any]) -> None:
    if isinstance(row.get("strategy"), str):
        run.strategy = row["strategy"]
    if isinstance(row.get("ranks"), int) and not isinstance(row["ranks"], bool):
        run.ranks = row["ranks"]


def measurements(run: Run, row: Dict[str, Any], rank: int, step: float) -> None:
    for name, value in row.items():
        if name in FACTS or name == "step" or isinstance(value, (bool, str, list, dict)):
            continue
        drawn = finite(value)
        if drawn is None:
            run.lost.setdefault(name, {}).setdefault(rank, []).append(step)
        else:
            run.series.setdefault(name, {}).setdefault(rank, []).append((step, drawn))


def note_skipped(run: Run, row: Dict[str, Any], rank: int, step: float) -> None:
    """A line says so, or its step is that of the training line before: steps count updates, and there was none."""
    points = run.series.get("loss", {}).get(rank)
    repeated = "skipped" not in row and "loss" in row and points and points[-1][0] == step
    if row.get("skipped") is True or repeated:
        run.skips.setdefault(rank, []).append(step)


def take_back(run: Run, rank: int, step: float) -> None:
    """The rank went on from an earlier step: what the log says about later ones did not last."""
    for ranks in list(run.series.values()):
        while rank in ranks and ranks[rank] and ranks[rank][-1][0] >= step:
            ranks[rank].pop()
    for steps in [run.skips.get(rank, []), *(ranks.get(rank, []) for ranks in run.lost.values())]:
        while steps and steps[-1] >= step:
            steps.pop()
    for table in (run.series, run.lost):
        for name in [n for n, ranks in table.items() if not ranks.get(rank, [0])]:
            del table[name][rank]
            if not table[name]:
                del table[name]


def name_apart(runs: List[Run]) -> None:
    """Runs of equal file names get as much of their folders as tells them apart."""
    for depth in range(2, 6):
        names = [run.name for run in runs]
        for run in runs:
            if names.count(run.name) > 1:
                parts = pathlib.Path(run.path).resolve().with_suffix("").parts
                run.name = "/".join(parts[-depth:]).lstrip("/")
    names = [run.name for run in runs]
    for run in runs:
        if names.count(run.name) > 1:  # they differ in their suffix
            run.name = run.path
