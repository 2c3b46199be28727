# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tools/report_lib/readers.py: from files to runs, benchmark results and traces; their kind is seen in their content.
from __future__ import annotations

import json
import os
import pathlib
from dataclasses import dataclass, field
from typing import Any, Dict, List, Tuple

from . import results, run_log, trace, trace_reader
from .errors import NotOurs, ReportError

Rows = List[Tuple[int, Dict[str, Any]]]  # (number of the line, the object on it)


@dataclass
class Inputs:
    """All that was read, in the order of the command line."""

    runs: List[run_log.Run] = field(default_factory=list)
    results: List[results.ResultFile] = field(default_factory=list)
    traces: List[trace.Trace] = field(default_factory=list)
    left_out: List[str] = field(default_factory=list)  # files of a folder that are of another kind, and why


def files_of(argument: str) -> List[pathlib.Path]:
    """The file itself, or all files of a folder in the order of their names, hidden ones left out."""
    path = pathlib.Path(argument)
    if not path.is_dir():
        return [path]
    try:
        return sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}") from error


def read_all(arguments: List[str]) -> Tuple[Inputs, List[str]]:
    """What the arguments name, and one sentence for every file that could not be read."""
    inputs, errors, seen = Inputs(), [], set()
    for argument in arguments:
        folder = os.path.isdir(argument)
        try:
            paths = files_of(argument)
            if folder and not paths:
                errors.append(f"{argument}: the folder has no files")
        except ReportError as error:
            errors.append(str(error))
            continue
        for path in paths:
            if path.resolve() in seen:
                continue
            seen.add(path.resolve())
            try:
                read(path, inputs)
            except NotOurs as error:
                (inputs.left_out if folder else errors).append(str(error))
            except ReportError as error:
                errors.append(str(error))
    return inputs, errors


def read(path: pathlib.Path, inputs: Inputs) -> None:
    text = text_of(path)
    start = text.lstrip()[:1]
    if start == "[":
        inputs.traces.append(trace_reader.parse(str(path), whole(path, text)))
        return
    if start != "{":
        raise NotOurs(f"{path}: not JSON; give JSON lines of --log or tools/bench, or a Chrome trace")
    first = text.lstrip().split("\n", 1)[0]
    try:
        one_line = isinstance(json.loads(first), dict)
    except (ValueError, RecursionError):
        one_line = False
    if '"traceEvents"' in text and (not one_line or '"traceEvents"' in first):
        inputs.traces.append(trace_reader.parse(str(path), whole(path, text)))
        return
    rows, cut = lines_of(path, text)
    for _, row in rows:
        if "metric" in row or "bench" in row or "suite" in row:
            inputs.results.append(results.parse(str(path), rows, cut))
            return
        if "step" in row:
            inputs.runs.append(run_log.parse(str(path), rows, cut))
            return
    raise NotOurs(f'{path}: JSON lines, but none has "step" (a run\'s log) or "metric" (a benchmark\'s results)')


def text_of(path: pathlib.Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ReportError(f"{path}: {error.strerror}") from error
    if not data.strip():
        raise NotOurs(f"{path}: the file is empty")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotOurs(f"{path}: not text (byte {error.start} is not UTF-8)") from error
    if "\0" in text:
        raise NotOurs(f"{path}: not text (byte {data.index(0)} is zero)")
    return text


def whole(path: pathlib.Path, text: str) -> Any:
    """The file as one JSON value."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ReportError(f"{path}: nested too deeply") from error
    except json.JSONDecodeError as error:
        raise ReportError(f"{path}:{error.lineno}: not JSON: {error.msg} (column {error.colno})") from error
    except ValueError as error:  # an integer with thousands of digits
        raise ReportError(f"{path}: {error}") from error


def lines_of(path: pathlib.Path, text: str) -> Tuple[Rows, bool]:
    """The objects of JSON lines, and whether a last line without its end was left out, as a killed run leaves it."""
    rows: Rows = []
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == len(lines) and rows:
                return rows, True
            why = f"{error.msg} (column {error.colno})" if isinstance(error, json.JSONDecodeError) else str(error)
            raise ReportError(f"{path}:{number}: not JSON: {why}") from error
        if not isinstance(row, dict):
            raise ReportError(f"{path}:{number}: not a JSON object")
        rows.append((number, row))
    return rows, False
