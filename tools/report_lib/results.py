# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/results.py: a file of benchmark results: lines about the machine, then one measurement a line.
from __future__ import annotations

import pathlib
import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Optional, Tuple

from .errors import ReportError
from .scale import finite

# What tells two measurements of one metric apart.
IDENTITY = ("ranks", "saved_by", "batch", "tokens", "strategy", "dtype")
LOWER_IS_BETTER = ("s", "ms", "us", "ns", "nats", "instructions", "bytes", "B", "KB", "MB", "GB", "KiB", "MiB", "GiB")


@dataclass
class Result:
    """A measured value and, where there is one, a peer's beside it."""

    bench: str
    metric: str
    label: str  # the metric, with what tells it from others of its name
    value: Optional[float]  # None: not finite
    unit: str
    peer: str = ""
    peer_value: Optional[float] = None
    recorded_ratio: Optional[float] = None
    spread: Optional[float] = None  # the distance of the quartiles over the median
    peer_spread: Optional[float] = None
    quartiles: Optional[Tuple[float, float]] = None
    more: Dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> Optional[float]:
        """Above 1 where value is better than the peer's; what was recorded where the unit does not tell."""
        rate = self.unit.endswith("/s")
        if not self.value or not self.peer_value or not (rate or self.unit in LOWER_IS_BETTER):
            return self.recorded_ratio
        return finite(self.value / self.peer_value if rate else self.peer_value / self.value)

    @property
    def recorded_inverted(self) -> bool:
        """The file has value / peer_value where lower is better, or the other way round."""
        ratio, recorded = self.ratio, self.recorded_ratio
        if not ratio or not recorded:
            return False
        return abs(ratio * recorded - 1) < 0.02 and abs(ratio / recorded - 1) > 0.02

    def range(self) -> Optional[Tuple[float, float]]:
        return self.quartiles or around(self.value, self.spread)

    def peer_range(self) -> Optional[Tuple[float, float]]:
        return around(self.peer_value, self.peer_spread)


@dataclass
class ResultFile:
    path: str
    topic: str  # the file's name without its date: files of one topic are one history
    date: str
    head: Dict[str, Any]
    results: List[Result]
    notes: List[str] = field(default_factory=list)

    def machine(self) -> str:
        machine = self.head.get("machine")
        about = dict(machine) if isinstance(machine, dict) else {}
        about.update({k: self.head[k] for k in ("cpu", "cores", "system", "gpu") if k in self.head})
        parts = [str(about[k]) for k in ("gpu", "cpu") if about.get(k)]
        if about.get("cores"):
            parts.append(f"{about['cores']} cores")
        parts += [str(about["system"])] if about.get("system") else []
        return ", ".join(parts)


def around(value: Optional[float], spread: Optional[float]) -> Optional[Tuple[float, float]]:
    """The quartiles' distance, laid around the median."""
    if value is None or spread is None:
        return None
    return max(0.0, value * (1 - spread / 2)), value * (1 + spread / 2)


def parse(path: str, rows: List[Tuple[int, Dict[str, Any]]], cut: bool) -> ResultFile:
    head: Dict[str, Any] = {}
    found: List[Tuple[int, Dict[str, Any]]] = []
    outcomes: List[str] = []
    for number, row in rows:
        if "metric" in row:
            found.append((number, row))
        elif "suite" in row:  # of tools/gpu-suite: a program's outcome
            outcomes.append(str(row.get("outcome")))
        elif not found:
            head.update({k: v for k, v in row.items() if k not in head or k == "machine"})
    stem = pathlib.Path(path).stem
    dated = re.match(r"(\d{4}-\d\d-\d\d)-(.+)", stem)
    date = str(head.get("date") or (dated[1] if dated else ""))
    file = ResultFile(path, dated[2] if dated else stem, date, head, [result(path, n, row) for n, row in found])
    name_apart(file.results)
    if cut:
        file.notes.append("the last line is incomplete and left out")
    bad = [o for o in outcomes if o not in ("passed", "skipped")]
    if bad:
        file.notes.append(f"{len(bad)} of {len(outcomes)} programs did not pass ({', '.join(sorted(set(bad)))})")
    inverted = sum(r.recorded_inverted for r in file.results)
    if inverted:
        file.notes.append(f"{inverted} recorded ratios have the peer below the line; here above 1 is better everywhere")
    if not file.results:
        raise ReportError(f'{path}: no line has a "metric"')
    return file


def result(path: str, number: int, row: Dict[str, Any]) -> Result:
    for name in ("metric", "value"):
        if name not in row:
            raise ReportError(f'{path}:{number}: a result without "{name}"')
    if row["value"] is not None and (isinstance(row["value"], bool) or not isinstance(row["value"], (int, float))):
        raise ReportError(f'{path}:{number}: "value" is not a number')
    quartiles = row.get("quartiles")
    if isinstance(quartiles, list) and len(quartiles) == 2 and None not in map(finite, quartiles):
        low_high: Optional[Tuple[float, float]] = (float(quartiles[0]), float(quartiles[1]))
    else:
        low_high = None
    plain = ("bench", "metric", "value", "unit", "peer", "peer_value", "ratio", "spread", "peer_spread", "quartiles")
    return Result(
        bench=str(row.get("bench", "")),
        metric=str(row["metric"]),
        label=str(row["metric"]),
        value=finite(row["value"]),
        unit=str(row.get("unit", "")),
        peer=str(row["peer"]) if row.get("peer") else "",
        peer_value=finite(row.get("peer_value")),
        recorded_ratio=finite(row.get("ratio")),
        spread=finite(row.get("spread")),
        peer_spread=finite(row.get("peer_spread")),
        quartiles=low_high,
        more={k: v for k, v in row.items() if k not in plain},
    )


def name_apart(found: List[Result]) -> None:
    """Where one metric was measured for several values of a field of IDENTITY, the label says which."""
    by_metric: Dict[Tuple[str, str], List[Result]] = {}
    for r in found:
        by_metric.setdefault((r.bench, r.metric), []).append(r)
    for same in by_metric.values():
        for name in IDENTITY:
            values = [str(r.more.get(name)) for r in same]
            if len(set(values)) < 2:
                continue
            for r, value in zip(same, values):
                if name in r.more:
                    r.label += f", {counted(name, value)}"


def counted(name: str, value: str) -> str:
    """ranks 2 -> 2 ranks; saved_by 2 -> saved by 2."""
    if name.endswith("s") and value.isdigit():
        return f"{value} {name[:-1] if value == '1' else name}"
    return f"{name.replace('_', ' ')} {value}"
