# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/figure_file.py: a plot as an SVG file of its own, for Markdown pages.
from __future__ import annotations

import pathlib
import re
from typing import Sequence, Tuple

from .chart import STYLES, escape, mark, patterns, px, width_of

FOLDER = pathlib.Path(__file__).resolve().parent
MARGIN = 10


def legend(entries: Sequence[Tuple[str, int]], most: float) -> Tuple[str, float]:
    """Marks and names in rows that are `most` wide, and how high they are together."""
    out, x, y = [], 2.0, 0.0
    for name, style in entries:
        width = 34 + width_of(name) + 14
        if x > 2 and x + width > most:
            x, y = 2.0, y + 20
        picture = f'<path class="line" d="M{px(x)} {px(y)}h26"/>' + mark(style, x + 13, y)
        out.append(f'<g class="s{style % STYLES}">{picture}<text x="{px(x + 32)}" y="{px(y + 4)}">{escape(name)}</text></g>')
        x += width
    return "".join(out), y + 20 if entries else 0.0


def figure_file(title: str, chart: str, entries: Sequence[Tuple[str, int]] = ()) -> str:
    """The chart under its title and the legend of its lines. It follows the reader's light or dark scheme; what a page shows
    under the pointer is left out."""
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', chart)
    assert size
    width, height = float(size[1]), float(size[2])
    chart = re.sub(r"<title>[^<]*</title>| data-(?:plot|points|name|key)=(?:\"[^\"]*\"|'[^']*')", "", chart)
    names, high = legend(entries, width)
    top = 34 + high
    chart = chart.replace("<svg ", f'<svg y="{px(top)}" width="{px(width)}" height="{px(height)}" ', 1)
    style = (FOLDER / "chart.css").read_text(encoding="utf-8")
    whole = f"{-MARGIN} {-MARGIN} {px(width + 2 * MARGIN)} {px(top + height + 2 * MARGIN)}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{whole}" width="{px(width + 2 * MARGIN)}" height="{px(top + height + 2 * MARGIN)}">\n'
        f"<title>{escape(title)}</title>\n<style>\n{style}.plot {{ height: {px(height)}px; }}\n</style>{patterns()}\n"
        f'<rect class="backdrop" x="{-MARGIN}" y="{-MARGIN}" width="100%" height="100%"/>\n'
        f'<g class="plot"><text class="strong" x="2" y="14" font-size="14">{escape(title)}</text><g transform="translate(0 36)">{names}</g></g>\n'
        f"{chart}</svg>\n"
    )
