# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/page.py: the whole page: head, sections, style and script in one file that needs no other.
from __future__ import annotations

import base64
import hashlib
import pathlib
from typing import List, Optional, Tuple

from . import section_benchmarks, section_runs, section_traces
from .chart import escape, patterns
from .parts import details
from .readers import Inputs
from .run_log import name_apart

FOLDER = pathlib.Path(__file__).resolve().parent


def asset(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def sections(inputs: Inputs, step: Optional[int]) -> List[Tuple[str, str]]:
    found = []
    if inputs.runs:
        name_apart(inputs.runs)
        found.append(("Runs", section_runs.section(inputs.runs)))
    if inputs.traces:
        found.append(("Traces", section_traces.section(inputs.traces, step)))
    if inputs.results:
        found.append(("Benchmarks", section_benchmarks.section(inputs.results)))
    return found


def policy(script: str) -> str:
    """A browser runs the page's own script, and no other; it loads nothing."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def page(inputs: Inputs, title: str, made: str, step: Optional[int] = None) -> str:
    found = sections(inputs, step)
    anchors = "".join(f'<a href="#{name.lower()}">{name}</a>' for name, _ in found)
    body = [f"<h1>{escape(title)}</h1>", f"<nav>{anchors}</nav>" if len(found) > 1 else ""]
    for name, content in found:
        body.append(f'<section id="{name.lower()}" data-scope><h2>{name}</h2>{content}</section>')
    files = [x.path for kind in (inputs.runs, inputs.traces, inputs.results) for x in kind]
    listed = "".join(f"<li>{escape(path)}</li>" for path in files) + "".join(f"<li>left out: {escape(why)}</li>" for why in inputs.left_out)
    sources = details(f"Made from {len(files)} file{'s' if len(files) != 1 else ''} on {made}", f"<ul>{listed}</ul>")
    script = "\n" + asset("page.js")
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy(script)}">'
        f"<title>{escape(title)}</title><style>\n{asset('chart.css')}{asset('page.css')}</style></head>\n<body>"
        f'<svg width="0" height="0" style="position:absolute" aria-hidden="true">{patterns()}</svg>'
        f"<main>{''.join(body)}</main>\n<footer>{sources}</footer>\n<script>{script}</script></body></html>\n"
    )
