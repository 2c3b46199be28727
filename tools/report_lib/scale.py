# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/scale.py: numbers on their way to a plot: units, ticks, axes, and long series cut to envelopes.
"""Every number that is drawn went through finite(): what follows need not think of NaN, overflow or subnormals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

Point = Tuple[float, float]
LARGEST = 1e120  # beyond, and below SMALLEST, ratios and squares overflow
SMALLEST = 1e-120


def finite(value: object) -> Optional[float]:
    """A JSON value as a number that can be drawn; None for null, NaN, infinities, texts and what exceeds LARGEST."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    if not -LARGEST <= value <= LARGEST:  # False for NaN too; ints of any size compare
        return None
    value = float(value)
    return 0.0 if abs(value) < SMALLEST else value


def number(value: float, digits: int = 4) -> str:
    """A number for people: `digits` significant ones, no exponent where it can be avoided."""
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1e7:
        decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
        text = f"{value:.{decimals}f}"
        return text.rstrip("0").rstrip(".") if "." in text else text
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
    return f"{mantissa}e{int(exponent)}"


def compact(value: float) -> str:
    """A number for a small attribute: six significant digits."""
    return f"{value:.6g}"


@dataclass(frozen=True)
class Unit:
    """What a value is divided by before it is shown, and what that is called."""

    divisor: float
    name: str


def time_unit(most_seconds: float) -> Unit:
    for divisor, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if most_seconds >= divisor:
            return Unit(divisor, name)
    return Unit(1e-9, "ns")


def bytes_unit(most_bytes: float) -> Unit:
    for power, name in ((40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")):
        if most_bytes >= 2**power:
            return Unit(2.0**power, name)
    return Unit(1.0, "bytes")


def linear_ticks(low: float, high: float, most: int = 6) -> List[float]:
    """At most `most` round numbers from low to high: 1, 2 or 5 times a power of ten apart."""
    if not high > low:
        return [low]
    rough = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    for factor in (1.0, 2.0, 5.0, 10.0, 20.0):
        step = factor * power
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first + 1 <= most:
            break
    ticks = [round(i * step, max(0, 1 - math.floor(math.log10(step)))) if step < 1e15 else i * step for i in range(first, last + 1)]
    return ticks or [low]


def log_ticks(low: float, high: float, most: int = 6) -> List[float]:
    """Ticks of a logarithmic axis: powers of ten, with 2 and 5 between them where there is room."""
    decades = math.log10(high / low) if high > low else 0.0
    if decades < 1:
        return linear_ticks(low, high, most)
    first, last = math.floor(math.log10(low) - 1e-9), math.ceil(math.log10(high) + 1e-9)
    for factors in ((1, 2, 5), (1, 3), (1,)):
        ticks = [f * 10.0**e for e in range(first, last + 1) for f in factors if low <= f * 10.0**e * (1 + 1e-9) and f * 10.0**e <= high * (1 + 1e-9)]
        if len(ticks) <= most:
            return ticks or [low]
    return ticks[:: math.ceil(len(ticks) / most)]


def tick_texts(ticks: Sequence[float]) -> List[str]:
    """Short texts that tell the ticks apart; thousands as k, millions as M."""
    largest = max((abs(t) for t in ticks), default=0.0)
    if len(ticks) > 1 and largest > 99 * abs(ticks[0]) > 0:  # of a logarithmic axis: each on its own
        return [tick_texts([t])[0] for t in ticks]
    for divisor, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if 10 * divisor <= largest * 1.000001 < 1e13 and all(t == 0 or abs(t) >= divisor / 10 for t in ticks):
            return [number(t / divisor, 6) + (suffix if t else "") for t in ticks]
    gaps = [b - a for a, b in zip(ticks, ticks[1:]) if b > a]
    even = gaps and max(gaps) < 1.01 * min(gaps)
    if even and 1e-4 <= largest < 1e7:
        decimals = max(0, -math.floor(math.log10(min(gaps)) + 1e-9))
        return [f"{t:.{decimals}f}" for t in ticks]
    return [number(t, 6) for t in ticks]


@dataclass(frozen=True)
class Scale:
    """Values low..high on pixels start..end, linearly or by logarithms."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self, most: int = 6) -> List[float]:
        return (log_ticks if self.log else linear_ticks)(self.low, self.high, most)

    def inside(self, value: float) -> bool:
        return self.low <= value <= self.high


def scale_over(values: Sequence[float], start: float, end: float, log: bool = False, zero: bool = False, room: float = 0.05) -> Scale:
    """A scale that holds all values with some room; with `zero` it begins (or ends) at zero."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    if log:
        if high <= low:
            return Scale(low / 2, low * 2, start, end, True)
        factor = (high / low) ** room
        return Scale(low / factor, high * factor, start, end, True)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if high - low <= 1e-9 * max(abs(low), abs(high)):  # one value, up to rounding: it sits in the middle
        half = abs(high) / 2 or 1.0
        low, high = low - half, high + half
        return Scale(low, high, start, end)
    margin = room * (high - low)
    return Scale(low if zero and low == 0 else low - margin, high if zero and high == 0 else high + margin, start, end)


@dataclass(frozen=True)
class Bucket:
    """Neighbouring points as one: where they begin and end, their mean and their extremes."""

    first: float
    last: float
    mean: float
    low: float
    high: float

    @property
    def middle(self) -> float:
        return self.first + (self.last - self.first) / 2


def envelope(points: Sequence[Point], most: int) -> List[Bucket]:
    """At most `most` buckets of equally many points, in order. No extreme is lost: it is some bucket's low or high."""
    size = max(1, math.ceil(len(points) / most))
    buckets = []
    for i in range(0, len(points), size):
        part = points[i : i + size]
        values = [y for _, y in part]
        low, high = min(values), max(values)
        mean = math.fsum(y / len(values) for y in values)
        buckets.append(Bucket(part[0][0], part[-1][0], min(max(mean, low), high), low, high))
    return buckets
