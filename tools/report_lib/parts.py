# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/parts.py: pieces of a page that are not plots: figures with captions, switches, legends, tables.
from __future__ import annotations

import itertools
import re
from typing import List, Sequence, Tuple

from .chart import escape, swatch

_numbers = itertools.count(1)


def figure(title: str, chart: str, note: str = "", legend: str = "", css: str = "") -> str:
    inner = f'<figcaption><b>{escape(title)}</b></figcaption>{legend}<div class="scroll">{chart}</div>'
    if note:
        inner += f'<p class="note">{escape(note)}</p>'
    return f'<figure class="{css}">{inner}</figure>'


def by_width(wide: str, narrow: str) -> str:
    """One plot in two shapes; the window decides which one is shown."""
    return f'<div class="for-wide">{wide}</div><div class="for-narrow">{narrow}</div>'


def switched(views: Sequence[Tuple[str, str]], about: str) -> str:
    """Several views of one thing, the first shown: radio buttons and style sheets alone, so that it works without scripts."""
    if len(views) == 1:
        return views[0][1]
    group = f"view{next(_numbers)}"
    out = [f'<div class="views" role="group" aria-label="{escape(about)}">']
    for i, (name, _) in enumerate(views):
        checked = " checked" if i == 0 else ""
        out.append(f'<input type="radio" class="v{i}" name="{group}" id="{group}-{i}"{checked}><label for="{group}-{i}">{escape(name)}</label>')
    out += [f'<div class="view v{i}">{content}</div>' for i, (_, content) in enumerate(views)]
    return "".join(out) + "</div>"


def legend(entries: Sequence[Tuple[str, int]], kind: str = "line") -> str:
    """Names and their marks; buttons, because the script lets them show and hide what they name."""
    items = "".join(
        f'<li><button type="button" data-toggle="{escape(name)}" aria-pressed="true">{swatch(style, kind)}{escape(name)}</button></li>'
        for name, style in entries
    )
    return f'<ul class="legend">{items}</ul>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str = "") -> str:
    """The first column names the row; columns of numbers align right."""
    numeric = [i > 0 and all(_is_number(row[i]) for row in rows if row[i]) for i in range(len(head))]
    css = [' class="n"' if n else "" for n in numeric]
    out = ['<div class="scroll"><table>']
    if caption:
        out.append(f"<caption>{escape(caption)}</caption>")
    out.append("<thead><tr>" + "".join(f'<th scope="col"{c}>{escape(h)}</th>' for h, c in zip(head, css)) + "</tr></thead><tbody>")
    for row in rows:
        cells = [f'<th scope="row">{escape(row[0])}</th>'] + [f"<td{c}>{escape(cell)}</td>" for cell, c in zip(row[1:], css[1:])]
        out.append(f"<tr>{''.join(cells)}</tr>")
    return "".join(out) + "</tbody></table></div>"


def filled(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Tuple[List[str], List[List[str]]]:
    """Without the columns in which no row says anything."""
    kept = [i for i in range(len(head)) if i == 0 or any(row[i] for row in rows)]
    return [head[i] for i in kept], [[row[i] for i in kept] for row in rows]


def details(summary: str, content: str, opened: bool = False) -> str:
    return f"<details{' open' if opened else ''}><summary>{escape(summary)}</summary>{content}</details>"


def paragraph(text: str, css: str = "") -> str:
    return f'<p class="{css}">{escape(text)}</p>' if css else f"<p>{escape(text)}</p>"


def _is_number(text: str) -> bool:
    """A number, perhaps with its unit and where it was met; a date is none."""
    return re.fullmatch(r"[-+]?\d[\d.\u202f]*(e[-+]?\d+)?( [%\w/]+)?( at [\d.e+]+)?", text) is not None
