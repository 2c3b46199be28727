# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/command.py: tools/report's command line.
"""Turns metrics, benchmark results and traces into one HTML page that needs nothing else: no network, no other file.

  metrics     JSON lines with "step", as examples/gpt --log FILE writes them
  benchmarks  JSON lines with "metric" and "value", as tools/bench writes them (benchmarks/results/*.jsonl)
  traces      Chrome traces: JSON with "traceEvents"; pid is the rank, tid the stream

The kind of a file is seen in its content. A folder stands for all files in it; those of other kinds are named and left out."""

from __future__ import annotations

import argparse
import datetime
import os
import pathlib
import sys
import tempfile
from typing import List, Optional

from .errors import ReportError
from .page import page
from .readers import read_all


def arguments(argv: Optional[List[str]]) -> argparse.Namespace:
    parse = argparse.ArgumentParser(prog="tools/report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("out", metavar="OUT.html", help="the page to write; it replaces a file that is there")
    parse.add_argument("files", metavar="FILE", nargs="+", help="files or folders")
    parse.add_argument("--title", help="of the page")
    parse.add_argument("--step", type=int, metavar="N", help="the step of a trace to draw (default: one of median duration)")
    given = parse.parse_args(argv)
    if not given.out.lower().endswith((".html", ".htm")):
        parse.error(f"the first argument is the page to write and ends with .html; '{given.out}' does not")
    return given


def write(path: pathlib.Path, text: str) -> None:
    """All of it or nothing: written beside its place and moved there."""
    try:
        handle, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise ReportError(f"{path}: cannot be written: {error.strerror}; give a file in a folder that is there and writable") from error
    try:
        mask = os.umask(0)
        os.umask(mask)
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
        os.chmod(part, 0o666 & ~mask)
        os.replace(part, path)
    except OSError as error:
        os.unlink(part)
        raise ReportError(f"{path}: cannot be written: {error.strerror}") from error


def main(argv: Optional[List[str]] = None) -> int:
    given = arguments(argv)
    out = pathlib.Path(given.out)
    inputs, errors = read_all(given.files)
    read = len(inputs.runs) + len(inputs.results) + len(inputs.traces)
    if not errors and not read:
        errors = inputs.left_out + ["there is no file to report on"]
    try:
        if not errors:
            now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
            text = page(inputs, given.title or "cohort report", now, given.step)
            write(out, text)
    except ReportError as error:
        errors = [str(error)]
    for why in inputs.left_out if not errors else errors:
        print(f"tools/report: {why}" + ("" if errors else " (left out)"), file=sys.stderr)
    if errors:
        return 1
    print(f"wrote {out}: {len(text.encode('utf-8', 'replace')) // 1024 + 1} KiB from {read} file{'s' if read != 1 else ''}")
    return 0
