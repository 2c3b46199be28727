#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: The cohort authors
# tests/report/check_report.py: the numbers of a report are its inputs', extremes survive, and no input breaks the page.
from __future__ import annotations

import json
import math
import pathlib
import random
import stat
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import samples  # noqa: E402
from page_check import Page  # noqa: E402
from report_lib import scale, trace, trace_reader  # noqa: E402

MOST_BYTES = 3 << 20  # of any page here


def report(*arguments, seconds=120):
    command = [sys.executable, "-B", str(ROOT / "tools" / "report"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)


class Folder(unittest.TestCase):
    """A test with a folder of its own."""

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = pathlib.Path(holder.name)
        self.out = self.folder / "out.html"

    def file(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def lines(self, name, rows):
        return self.file(name, "".join(json.dumps(row) + "\n" for row in rows))

    def page(self, *arguments):
        done = report(self.out, *arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stderr)
        text = self.out.read_text(encoding="utf-8")
        self.assertLess(len(text.encode()), MOST_BYTES)
        page = Page(text)
        self.assertEqual(page.problems, [])
        self.assertEqual(len(page.scripts), 1)
        return page

    def refused(self, *arguments, says, code=1):
        """One line that names the file, no page, nothing left behind."""
        before = set(self.folder.iterdir())
        done = report(self.out, *arguments)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(says, done.stderr)
        self.assertNotIn("Traceback", done.stderr)
        self.assertEqual(set(self.folder.iterdir()), before)
        return done.stderr


class Scales(unittest.TestCase):
    def test_ticks_are_round_inside_and_few(self):
        draw = random.Random(7)
        for _ in range(3000):
            low = draw.uniform(-1, 1) * 10 ** draw.randint(-12, 12)
            high = low + abs(low) * 10 ** draw.uniform(-6, 6)
            for most in (3, 6, 9):
                ticks = scale.linear_ticks(low, high, most)
                self.assertLessEqual(len(ticks), most)
                steps = [b - a for a, b in zip(ticks, ticks[1:])]
                slack = 8 * 2.3e-16 * max(abs(low), abs(high)) + 1e-9 * (high - low)  # a few roundings
                self.assertLessEqual(max(steps, default=0) - min(steps, default=0), slack, (low, high, ticks))
                self.assertTrue(all(low - slack <= t <= high + slack for t in ticks) or len(ticks) == 1, (low, high, ticks))

    def test_ticks_that_are_known(self):
        self.assertEqual(scale.linear_ticks(0, 100, 6), [0, 20, 40, 60, 80, 100])
        self.assertEqual(scale.linear_ticks(1.8, 5.6, 6), [2, 3, 4, 5])
        self.assertEqual(scale.log_ticks(0.05, 60000, 7), [0.1, 1, 10, 100, 1000, 10000])
        self.assertEqual(scale.tick_texts([0, 20000, 40000]), ["0", "20k", "40k"])
        self.assertEqual(scale.tick_texts([0.0, 0.0002, 0.0004]), ["0.0000", "0.0002", "0.0004"])
        self.assertEqual(scale.tick_texts([1, 10, 100, 1000, 10000]), ["1", "10", "100", "1000", "10k"])

    def test_texts_of_ticks_differ(self):
        draw = random.Random(8)
        for _ in range(2000):
            low = draw.uniform(-1, 1) * 10 ** draw.randint(-9, 9)
            ticks = scale.linear_ticks(low, low + abs(low) * 10 ** draw.uniform(-3, 6))
            self.assertEqual(len(set(scale.tick_texts(ticks))), len(ticks), ticks)

    def test_a_scale_maps_its_ends(self):
        for log in (False, True):
            s = scale.scale_over([1.0, 1000.0], 300, 20, log)
            self.assertAlmostEqual(s(s.low), 300)
            self.assertAlmostEqual(s(s.high), 20)
            self.assertTrue(s.inside(1.0) and s.inside(1000.0))

    def test_an_envelope_keeps_extremes_and_order(self):
        draw = random.Random(9)
        points = [(float(i), draw.gauss(0, 1)) for i in range(10007)]
        points[3333] = (3333.0, 99.0)
        points[7777] = (7777.0, -99.0)
        buckets = scale.envelope(points, 160)
        self.assertLessEqual(len(buckets), 160)
        self.assertEqual(max(b.high for b in buckets), 99.0)
        self.assertEqual(min(b.low for b in buckets), -99.0)
        self.assertEqual((buckets[0].first, buckets[-1].last), (0.0, 10006.0))
        for b in buckets:
            inside = [y for x, y in points if b.first <= x <= b.last]
            self.assertEqual((b.low, b.high), (min(inside), max(inside)))
            # n additions of values up to 99, each rounded once: n * 99 * eps
            self.assertAlmostEqual(b.mean, sum(inside) / len(inside), delta=len(inside) * 99 * 2.3e-16)

    def test_numbers_for_people(self):
        for value, text in (
            (0, "0"),
            (29.554, "29.55"),
            (1234567, "1234567"),
            (0.0001, "0.0001"),
            (5.56447884e8, "5.564e8"),
            (-2.5, "-2.5"),
            (100, "100"),
        ):
            self.assertEqual(scale.number(value), text)

    def test_what_can_be_drawn(self):
        for value in (None, True, "1", math.nan, math.inf, -math.inf, 10**400, 1e121, [1]):
            self.assertIsNone(scale.finite(value))
        self.assertEqual(scale.finite(5e-324), 0.0)
        self.assertEqual(scale.finite(7), 7.0)


class Runs(Folder):
    def test_the_numbers_are_the_inputs(self):
        rows = [{"step": i, "loss": 5.0 - i / 100, "lr": i * 1e-5, "grad_norm": 1 + i / 7} for i in range(1, 101)]
        rows.insert(50, {"step": 50, "val_loss": 4.25})
        rows.append({"step": 100, "val_loss": 4.125, "val_tokens": 9999})
        page = self.page(self.lines("one.jsonl", rows))
        self.assertEqual(page.tables[0][1], ["one", "100", "4.0000", "4.0000 at 100", "4.1250 at 100", "4.1250 at 100"])
        drawn = {name: json.loads(points) for name, points in page.points if "validation" in name}
        self.assertEqual(drawn["one, validation"], [[50, 4.25], [100, 4.125]])
        linear = [json.loads(points) for name, points in page.points if name == "one"][0]
        self.assertEqual(linear, [[i, round(5.0 - i / 100, 6)] for i in range(1, 101)])

    def test_all_fields_ranks_and_skipped_steps(self):
        samples.write(self.folder)
        page = self.page(self.folder / "run.jsonl")
        row = dict(zip(*page.tables[0][:2]))
        self.assertEqual((row["strategy"], row["ranks"], row["steps"], row["skipped steps"]), ("FullShard", "2", "300", "2"))
        logged = [json.loads(line) for line in samples.log_lines()]
        step = sum(r["step_s"] for r in logged if "step_s" in r)
        exposed = sum(r["exposed_comm_s"] for r in logged if "step_s" in r)
        self.assertEqual(row["exposed communication"], f"{100 * exposed / step:.1f} %")
        self.assertEqual(row["peak memory of a rank"], "97 MiB")
        for title in ("Throughput", "Step time", "Peak memory of a rank", "Where a step's time goes", "loss_scale"):
            self.assertIn(title, page.words())
        self.assertIn("step 39 skipped", " ".join(page.titles))

    def test_skipped_steps_are_seen_without_being_said(self):
        rows = [{"step": s, "loss": 2.0} for s in (1, 2, 2, 2, 3)]
        page = self.page(self.lines("fp16.jsonl", rows))
        self.assertEqual(dict(zip(*page.tables[0]))["skipped steps"], "2")

    def test_long_runs_are_cut_and_say_so(self):
        rows = [{"step": i, "loss": 2.0 + (7.0 if i == 12345 else 0)} for i in range(1, 20001)]
        page = self.page(self.lines("long.jsonl", rows))
        self.assertIn("bands reach from the least to the greatest", page.words())
        points = json.loads(page.points[0][1])
        self.assertLessEqual(len(points), 240)
        self.assertEqual(max(p[4] for p in points), 9.0)

    def test_losses_that_are_no_numbers_are_marked(self):
        log = self.file("nan.jsonl", '{"step": 1, "loss": 2.5}\n{"step": 2, "loss": null}\n{"step": 3, "loss": NaN}\n{"step": 4, "loss": 1e999}\n')
        page = self.page(log)
        self.assertEqual(dict(zip(*page.tables[0]))["losses not finite"], "3")
        self.assertIn("loss at step 3 is not a finite number", " ".join(page.titles))

    def test_a_log_that_goes_back_keeps_what_lasted(self):
        rows = [{"step": s, "loss": float(v)} for s, v in ((1, 9), (2, 8), (3, 7), (2, 5), (3, 4))]
        page = self.page(self.lines("back.jsonl", rows))
        self.assertEqual(json.loads(page.points[0][1]), [[1, 9], [2, 5], [3, 4]])
        self.assertIn("goes back once to step 2", page.words())

    def test_a_last_line_cut_short_is_left_out_and_said(self):
        page = self.page(self.file("cut.jsonl", '{"step": 1, "loss": 2.5}\n{"step": 2, "lo'))
        self.assertIn("the last line is incomplete", page.words())
        self.assertEqual(json.loads(page.points[0][1]), [[1, 2.5]])

    def test_runs_of_one_name_are_told_apart(self):
        for folder in ("a", "b"):
            (self.folder / folder).mkdir()
            (self.folder / folder / "log.jsonl").write_text('{"step": 1, "loss": 2}\n')
        page = self.page(self.folder / "a", self.folder / "b" / "log.jsonl")
        self.assertEqual([row[0] for row in page.tables[0][1:]], ["a/log", "b/log"])


class Benchmarks(Folder):
    def test_every_committed_file_renders_with_its_numbers(self):
        files = sorted((ROOT / "benchmarks" / "results").glob("*.jsonl"))
        self.assertTrue(files)
        for path in files:
            with self.subTest(path.name):
                page = self.page(path)
                rows = [row for row in map(json.loads, path.read_text().splitlines()) if "metric" in row]
                cells = page.cells()
                for row in rows:
                    for value in (row["value"], row.get("peer_value")):
                        if value is not None:
                            self.assertIn(value, [float(c) for c in cells if c.replace(".", "", 1).replace("-", "", 1).replace("e", "", 1).isdigit()])
                self.assertGreater(page.plots, 0)
                self.assertIn(str(json.loads(path.read_text().splitlines()[0])["date"]), page.words())
        page = self.page(ROOT / "benchmarks" / "results")
        self.assertGreater(page.plots, len(files))

    def test_ratios_are_above_one_where_cohort_is_better(self):
        head = {"date": "2026-01-02", "command": "tools/bench x", "cpu": "a CPU", "commit": "abc"}
        rows = [{"bench": "x", "metric": "time", "value": 2.0, "unit": "ms", "peer": "p", "peer_value": 5.0, "ratio": 0.4}]
        rows.append({"bench": "x", "metric": "rate", "value": 2.0, "unit": "GB/s", "peer": "p", "peer_value": 5.0, "ratio": 0.4})
        page = self.page(self.lines("2026-01-02-x.jsonl", [head, *rows]))
        table = page.tables[-1]
        self.assertEqual([dict(zip(table[0], row))["ratio"] for row in table[1:]], ["2.5", "0.4"])
        self.assertIn("1 recorded ratios have the peer below the line", page.words())
        for fact in ("a CPU", "tools/bench x", "commit abc", "2026-01-02"):
            self.assertIn(fact, page.words())

    def test_strategies_in_groups(self):
        page = self.page(*(ROOT / "benchmarks" / "results").glob("*-strategies.jsonl"))
        titles = " ".join(page.titles)
        for text in ("Replicate: 2x1 threads: 34.808 ms", "HybridShard<2>: 2x1 mpi: 34.406 ms", "FullShard: 2x1 threads: 35.014 ms"):
            self.assertIn(text, titles)

    def test_several_dates_are_a_history(self):
        for day, value in ((1, 10.0), (2, 8.0), (3, 9.0)):
            row = {"bench": "x", "metric": "step_ms", "value": value, "unit": "ms", "peer": "p", "peer_value": 16.0, "ratio": 16 / value}
            self.lines(f"2026-01-0{day}-x.jsonl", [{"date": f"2026-01-0{day}T00:00:00Z"}, row])
        page = self.page(self.folder)
        drawn = {name: [y for _, y in json.loads(points)] for name, points in page.points}
        self.assertEqual(drawn["step_ms"], [10, 8, 9])
        self.assertEqual(drawn["step_ms against p"], [1.6, 2, 1.77778])
        self.assertIn("History", page.words())


class Traces(Folder):
    def test_totals_of_a_known_step(self):
        events = [samples.span("forward", "compute", 0, 0, 0, 60), samples.span("all_gather", "communication", 0, 1, 10, 70)]
        events += [samples.span("backward", "compute", 0, 0, 80, 20), samples.span("all_reduce", "communication", 0, 1, 90, 10)]
        parsed = trace_reader.parse("t", {"traceEvents": events})
        (total,) = parsed.totals(parsed.representative())
        self.assertEqual((total.window, total.compute, total.communication, total.exposed, total.untraced), (100, 80, 80, 20, 0))
        self.assertTrue(trace.limits([total]).startswith("Compute limits this step: rank 0 computes for 80.0 % of 0.1 ms."))
        self.assertIn("75 % is hidden", trace.limits([total]))
        self.assertIn("at most 0.02 ms (20.0 %)", trace.limits([total]))

    def test_waits_inside_compute_are_not_compute(self):
        events = [samples.span("micro-batch", "compute", 0, 0, 0, 100), samples.span("wait", "wait", 0, 0, 20, 70)]
        events.append(samples.span("all_gather", "communication", 0, 1, 0, 90))
        parsed = trace_reader.parse("t", {"traceEvents": events})
        (total,) = parsed.totals(parsed.representative())
        self.assertEqual((total.compute, total.exposed), (30, 70))
        self.assertTrue(trace.limits([total]).startswith("Communication limits this step: rank 0 waits for it 70.0 %"))

    def test_own_times_are_those_of_the_step(self):
        spans = [samples.span("outer", "compute", 0, 0, 0, 100), samples.span("inner", "compute", 0, 0, 20, 30)]
        spans += [samples.span("outer", "compute", 0, 0, 100, 100), samples.span("inner", "compute", 0, 0, 150, 40)]
        spans.append(samples.span("step 1", "step", 0, 0, 0, 120))
        parsed = trace_reader.parse("t", spans)
        own = [(s.name, us) for s, us in trace.own_times(parsed.within(parsed.steps[0]), parsed.steps[0])]
        self.assertEqual(own, [("outer", 70), ("inner", 30), ("outer", 20)])

    def test_steps_without_numbers_are_counted_on_each_rank(self):
        spans = [samples.span("work", "compute", rank, 0, at + 7 * rank, 10) for rank in (0, 1) for at in (0, 10, 20)]
        spans += [samples.span("step", "step", rank, 0, at + 7 * rank, 10) for rank in (0, 1) for at in (0, 10, 20)]
        steps = trace_reader.parse("t", spans).steps
        self.assertEqual([(s.number, s.begin, s.end) for s in steps], [(1, 0, 17), (2, 10, 27), (3, 20, 37)])

    def test_begins_and_ends_make_spans(self):
        events = [{"ph": p, "name": n, "ts": t, "pid": 0, "tid": 0} for p, n, t in (("B", "a", 0), ("B", "b", 2), ("E", "", 5), ("E", "", 9))]
        spans = trace_reader.parse("t", events).spans
        self.assertEqual([(s.name, s.begin, s.end) for s in spans], [("a", 0, 9), ("b", 2, 5)])

    def test_the_page_of_a_trace(self):
        samples.write(self.folder)
        page = self.page(self.folder / "trace.json")
        words = page.words()
        self.assertIn("limits this step", words)
        self.assertIn("The ranks are uneven: rank 1 computes", words)
        spans = [t for t in page.titles if " of compute, from " in t]
        whole = trace_reader.parse("t", samples.trace())
        self.assertIn("The ranks' clocks agree to 0.4 us", words)
        self.assertEqual(len(spans), sum(s.kind == "compute" for s in whole.within(whole.representative())))
        number = whole.representative().number
        self.assertTrue(any(t.startswith("backward block 4: ") and f"step {number}" in t for t in spans))
        totals = whole.totals(whole.representative())
        row = page.tables[-1][1]
        self.assertEqual(
            row[:5], ["rank 0", *(f"{us / 1e3:.4g}" for us in (totals[0].window, totals[0].compute, totals[0].communication, totals[0].exposed))]
        )

    def test_a_step_by_its_number(self):
        samples.write(self.folder)
        page = self.page(self.folder / "trace.json", "--step", 4)
        self.assertIn("Timeline of step 4", page.words())
        self.refused(self.folder / "trace.json", "--step", 40, says="has steps 1 to 5")

    def test_a_long_trace_is_bounded(self):
        events = [samples.span(f"op {i}", "compute", i % 4, 0, i * 2.0, 1.5) for i in range(60000)]
        page = self.page(self.file("long.json", json.dumps(events)))
        self.assertIn("drawn as one", page.words())


class Hostile(Folder):
    NAMES = [
        "</script><script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        '"><svg onload=alert(1)>',
        "' onmouseover='alert(1)",
        "javascript:alert(1)",
        "\ud800",
        "\u202e\x01",
    ]

    def test_names_stay_texts(self):
        for i, name in enumerate(self.NAMES):
            with self.subTest(name):
                log = self.lines(f"log{i}.jsonl", [{"step": s, "loss": 1.0 + s, name: 2.0, "strategy": name} for s in (1, 2)])
                result = {"bench": name, "metric": name, "value": 1.0, "unit": name, "peer": name + "p", "peer_value": 2.0, "ratio": 2.0, name: name}
                bench = self.lines(f"2026-01-01-bench{i}.jsonl", [{"date": name, "command": name, "commit": name}, result])
                event = {"name": name, "cat": name, "ph": "X", "ts": 0, "dur": 5, "pid": 0, "tid": 0, "args": {name: name}}
                names = {"name": "process_name", "ph": "M", "pid": 0, "args": {"name": name}}
                chrome = self.file(f"trace{i}.json", json.dumps({"traceEvents": [names, event]}))
                self.page(log, bench, chrome, "--title", name.encode("ascii", "ignore").decode().replace("\x01", ""))

    def test_names_of_files_stay_texts(self):
        self.page(self.lines("<img src=x onerror=alert(1)>.jsonl", [{"step": 1, "loss": 1}]))

    def test_numbers_of_all_sizes(self):
        values = [1e120, -1e120, 1e300, 1e308, -1e308, 5e-324, 0, 1e-120, 1e-300, 10**400, -(10**400), None]
        log = self.lines(
            "numbers.jsonl",
            [
                {"step": i, "loss": v, "lr": v, "grad_norm": v, "step_s": v, "comm_s": v, "exposed_comm_s": v, "memory_bytes": v, "x": v}
                for i, v in enumerate(values)
            ],
        )
        bench = self.lines(
            "numbers-bench.jsonl",
            [
                {"metric": f"m{i}", "value": v, "unit": "ms", "peer": "p", "peer_value": v, "ratio": v, "spread": v, "quartiles": [v, v]}
                for i, v in enumerate(values)
            ],
        )
        sizes = self.lines(
            "sizes.jsonl", [{"metric": f"t_{1 << i}", "value": v, "unit": "us", "peer": "p", "peer_value": v} for i, v in enumerate(values, 10)]
        )
        steps = self.lines("steps.jsonl", [{"step": s, "loss": 1.0} for s in (0, 1e18, 1e119)])
        self.page(log, bench, sizes, steps)
        chrome = self.file("far.json", json.dumps([samples.span("a", "compute", 0, 0, t, d) for t, d in ((0, 1e119), (1e119, 1), (-1e119, 0))]))
        self.page(chrome)

    def test_one_of_everything_that_is_no_report(self):
        for name, content, says in (
            ("empty.jsonl", "", "the file is empty"),
            ("blank.jsonl", "\n \n", "the file is empty"),
            ("binary.bin", bytes(range(256)) * 8, "not text"),
            ("zeros.bin", b"{\0\0}", "not text"),
            ("text.txt", "hello\n", "not JSON"),
            ("list.jsonl", '{"step": 1, "loss": 2}\n[1]\n', "list.jsonl:2: not a JSON object"),
            ("broken.jsonl", '{"step": 1, "loss": 2}\n{"step": 2,\n{"step": 3, "loss": 2}\n', "broken.jsonl:2: not JSON"),
            ("first.jsonl", '{"step": 1, "lo\n', "first.jsonl:1: not JSON"),
            ("other.jsonl", '{"a": 1}\n', 'none has "step"'),
            ("steps.jsonl", '{"step": 1}\n', "no line has a measurement"),
            ("step.jsonl", '{"step": "one", "loss": 1}\n', 'step.jsonl:1: "step" is not a number'),
            ("rank.jsonl", '{"step": 1, "loss": 1, "rank": "x"}\n', 'rank.jsonl:1: "rank"'),
            ("value.jsonl", '{"metric": "m", "value": "fast"}\n', 'value.jsonl:1: "value" is not a number'),
            ("novalue.jsonl", '{"metric": "m"}\n', 'novalue.jsonl:1: a result without "value"'),
            ("head.jsonl", '{"bench": "m"}\n', 'no line has a "metric"'),
            ("trace.json", '{"traceEvents": [{"ph": "X", "ts": 0, "dur": 1}, {', "trace.json:1: not JSON"),
            ("object.json", '{"traceEvents": {}}', '"traceEvents" is not a list'),
            ("none.json", '{"traceEvents": []}', "a trace without spans"),
            ("time.json", '[{"ph": "X", "ts": "0", "dur": 1}]', 'event 0: "ts" is not a finite number'),
            ("negative.json", '[{"ph": "X", "ts": 0, "dur": -1}]', "event 0 has a negative duration"),
            ("end.json", '[{"ph": "E", "ts": 0}]', "ends a span that did not begin"),
            ("event.json", "[3]", "event 0 is not an object"),
            ("deep.json", "[" * 100000, "deep.json"),
            ("digits.json", "[" + "1" * 10000 + "]", "digits.json"),
        ):
            with self.subTest(name):
                said = self.refused(self.file(name, content), says=says)
                self.assertEqual(len(said.splitlines()), 1, said)
                self.assertIn(name, said)

    def test_paths_that_do_not_work(self):
        good = self.lines("good.jsonl", [{"step": 1, "loss": 1}])
        self.refused(self.folder / "missing.jsonl", says="No such file")
        self.refused(good, self.folder / "missing.jsonl", says="No such file")
        done = report(self.folder / "no" / "out.html", good)
        self.assertEqual(done.returncode, 1)
        self.assertIn("cannot be written", done.stderr)
        (self.folder / "taken.html").mkdir()
        done = report(self.folder / "taken.html", good)
        self.assertEqual((done.returncode, "cannot be written" in done.stderr), (1, True), done.stderr)
        done = report(good, good)  # the page was forgotten: the log must survive
        self.assertEqual(done.returncode, 2)
        self.assertEqual(good.read_text(), '{"step": 1, "loss": 1}\n')
        self.assertFalse([p for p in self.folder.iterdir() if p.name.startswith(".")])

    def test_a_folder_leaves_other_files_out_and_says_so(self):
        (self.folder / "in").mkdir()
        for name, content in (("a.jsonl", '{"step": 1, "loss": 1}\n'), ("notes.txt", "hello"), (".hidden", "x")):
            (self.folder / "in" / name).write_text(content)
        done = report(self.out, self.folder / "in")
        self.assertEqual(done.returncode, 0)
        self.assertIn("notes.txt: not JSON", done.stderr)
        self.assertIn("left out", Page(self.out.read_text()).words())
        (self.folder / "empty").mkdir()
        self.assertIn("has no files", report(self.out, self.folder / "empty").stderr)

    def test_the_page_replaces_the_old_one_and_is_readable(self):
        good = self.lines("good.jsonl", [{"step": 1, "loss": 1}])
        self.out.write_text("old")
        self.page(good)
        self.assertTrue(self.out.stat().st_mode & stat.S_IRGRP)

    def test_many_lines_in_bounded_time_and_size(self):
        draw = random.Random(3)
        log = self.lines(
            "many.jsonl",
            ({"step": i, "loss": draw.random(), "lr": 1e-3, "grad_norm": draw.random(), "tokens_per_s": 1e5 * draw.random()} for i in range(50000)),
        )
        begin = time.monotonic()
        self.page(log)
        back = self.lines("back.jsonl", ({"step": (i // 2 + 100000 * (i % 2)), "loss": 1.0, "rank": 0} for i in range(25000)))
        ranks = self.lines("ranks.jsonl", ({"step": 1, "loss": 1.0, "memory_bytes": 1 << 30, "rank": i} for i in range(12000)))
        fields = self.lines("fields.jsonl", ({"step": i, f"field {i}": 1.0} for i in range(5000)))
        many = self.lines(
            "metrics.jsonl",
            ({"metric": f"m{i}", "value": 1.0 + i, "unit": f"u{i % 3}", "peer": f"p{i % 100}", "peer_value": 1.0} for i in range(3000)),
        )
        self.page(back, ranks, fields, many)
        results = (
            {"bench": f"b{i % 5000}", "metric": f"m{i}", "value": 1.0 + i, "unit": f"u{i % 5000}", "peer": f"p{i}", "peer_value": 1.0}
            for i in range(12000)
        )
        one = ({"metric": "m", "value": 1.0, "unit": "ms", "peer": f"p{i}", "peer_value": 1.0 + i} for i in range(12000))
        self.page(self.lines("results.jsonl", results), self.lines("one.jsonl", one))
        events = [samples.span(f"op {i}", "compute", i % 5000, i // 5000, i % 50, 1.5) for i in range(12000)]
        self.page(self.file("wide.json", json.dumps(events)))
        self.assertLess(time.monotonic() - begin, 30)  # some 4 s on one core

    def test_many_runs(self):
        logs = [self.lines(f"run{i}.jsonl", [{"step": s, "loss": 1 + 1 / (s + i), "lr": 1e-3} for s in range(1, 400)]) for i in range(40)]
        self.page(*logs)


class Figures(Folder):
    def test_plot_draws_every_figure(self):
        done = subprocess.run(
            [sys.executable, "-B", str(ROOT / "benchmarks" / "plot.py"), str(self.folder)], capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        drawn = {path.name: xml.etree.ElementTree.parse(path).getroot() for path in self.folder.glob("*.svg")}
        self.assertEqual(set(drawn), {path.name for path in (ROOT / "docs" / "figures").glob("*.svg")})
        for name, root in drawn.items():
            texts = " ".join(root.itertext())
            self.assertTrue(root.tag.endswith("}svg") and "(20" in texts, name)
        newest = sorted((ROOT / "benchmarks" / "results").glob("*-strategies.jsonl"))[-1]
        row = json.loads(newest.read_text().splitlines()[2])
        self.assertIn(f"{scale.number(row['value'])} ms", " ".join(drawn["strategies.svg"].itertext()))


class Command(Folder):
    def test_help_and_usage(self):
        done = subprocess.run([str(ROOT / "tools" / "report"), "--help"], capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0)
        for word in ("OUT.html", "--title", "--step", "traceEvents"):
            self.assertIn(word, done.stdout)
        self.assertEqual(report().returncode, 2)

    def test_a_title(self):
        page = self.page(self.lines("a.jsonl", [{"step": 1, "loss": 1}]), "--title", "Ablation & more")
        self.assertEqual(page.titles[0], "Ablation & more")


if __name__ == "__main__":
    unittest.main()
