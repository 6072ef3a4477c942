"""The measuring house: statistics against known values, the form of files, goals, plots, peers, and one short run of everything."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import jsonschema
import pytest

ROOT = Path(__file__).resolve().parents[2]
BENCHMARKS = ROOT / "benchmarks"
if not BENCHMARKS.exists():
    pytest.skip("the benchmarks are in the source checkout", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))

import bench
import build_peers
import figures
import goals
import instructions
import machine
import measurement
import newer_python
import peers
import plot
import programs
import report

import docs

FORM = json.loads((BENCHMARKS / "measurement.schema.json").read_text(encoding="utf-8"))
REPORT = json.loads((BENCHMARKS / "report.schema.json").read_text(encoding="utf-8"))
CC = shutil.which("cc") or shutil.which("gcc")
needs_compiler = pytest.mark.skipif(CC is None, reason="no C compiler")


def document(kind="programs", rows=(), **changes):
    """A measurement as a part writes it."""
    made = {
        "kind": kind, "title": kind.title(), "baseline": "lua", "note": "", "unit": "ns",
        "environment": {"processor": "a processor", "python": "CPython 3.11.7", "load before": "0.10 0.10 0.10", "load after": "0.20 0.10 0.10", "time": "2026-01-01T00:00:00Z"},
        "versions": {"lua": "Lua 5.4"}, "missing": {}, "rows": list(rows),
    }  # fmt: skip
    return made | changes


def verdict_of(what, *documents):
    goal = next(goal for goal in goals.GOALS if goal.what == what)
    return goals.judge(goal, list(documents))


# ------------------------------------------------------------------------------------------------------------- statistics


@pytest.mark.parametrize(
    ("count", "expected"),
    [(5, None), (6, (0, 5)), (8, (0, 7)), (9, (1, 7)), (15, (3, 11)), (20, (5, 14)), (30, (9, 20))],
)
def test_the_ranks_of_an_interval_are_those_of_the_sign_test(count, expected):
    assert figures.ranks(count) == expected  # tables of the sign test, two-sided, 5 %


def test_a_median_and_its_interval_are_known_for_known_samples():
    assert figures.median([5, 1, 9, 3, 7, 2, 8, 4, 6]) == figures.Figure(5, 2, 8)
    assert figures.median([3.0, 1.0]) == figures.Figure(2.0, 1.0, 3.0)  # too few: everything that was seen
    assert figures.median([4.0]) == figures.Figure(4.0, 4.0, 4.0)


def test_spread_is_half_the_distance_of_the_quartiles_in_parts_of_the_median():
    assert figures.spread([1.0, 2.0, 3.0, 4.0, 5.0]) == pytest.approx(1 / 3)
    assert figures.spread([2.0]) == 0.0


def test_the_geometric_mean_is_that_of_logarithms():
    assert figures.geometric_mean([0.25, 4.0]) == pytest.approx(1.0)
    assert figures.geometric_mean([2.0, 2.0, 16.0]) == pytest.approx(4.0)


def test_what_disturbs_a_round_of_both_does_not_disturb_their_ratio():
    source = random.Random(7)
    noise = [source.uniform(1, 5) for _ in range(15)]
    together = figures.ratio([2.0 * each for each in noise], list(noise))
    assert (together.value, together.low, together.high) == pytest.approx((2.0, 2.0, 2.0))
    apart = figures.ratio([2.0 * each for each in noise], sorted(noise))
    assert apart.high - apart.low > 0.5


def test_intervals_hold_the_truth_as_often_as_they_say():
    source = random.Random(3)
    medians = ratios = 0
    for _ in range(300):
        ours = [source.lognormvariate(0.0, 0.3) for _ in range(15)]  # true median 1
        theirs = [2 * source.lognormvariate(0.0, 0.3) for _ in range(15)]  # true median 2
        found, ratio = figures.median(ours), figures.ratio(ours, theirs, draws=300)
        medians += found.low <= 1.0 <= found.high
        ratios += ratio.low <= 0.5 <= ratio.high
    assert medians >= 0.93 * 300
    assert ratios >= 0.91 * 300
    assert ratios < 300  # an interval that is never wrong says nothing


def test_the_same_samples_give_the_same_interval():
    ours, theirs = [1.0, 1.5, 2.0, 1.1, 1.2], [3.0, 2.0, 2.5, 2.2, 2.1]
    assert figures.ratio(ours, theirs) == figures.ratio(ours, theirs)


def test_numbers_are_written_with_three_digits_in_the_unit_that_reads_best():
    assert [figures.number(value) for value in (12345.6, 123.4, 12.34, 1.234, 0.1234, 0.01234)] == [
        "12,346", "123", "12.3", "1.23", "0.123", "0.0123"]  # fmt: skip
    assert figures.readable(28_849.0, "ns") == (pytest.approx(28.849), "us")
    assert figures.readable(16_384.0, "bytes") == (16.0, "KiB")
    assert figures.readable(0.5, "ns") == (0.5, "ns")
    assert figures.readable(66.0, "MB/s") == (66.0, "MB/s")
    assert figures.more_is_better("records/s")
    assert not figures.more_is_better("KiB")


# ------------------------------------------------------------------------------------------------------------ the machine


def pinned(tmp_path, **settings):
    script = "import sys, os; sys.path.insert(0, sys.argv[1]); import machine; print(machine.pin()); print(len(os.sched_getaffinity(0)))"
    environment = {key: value for key, value in os.environ.items() if key != "BENCH_CPU"} | settings
    done = subprocess.run(
        [sys.executable, "-c", script, str(BENCHMARKS)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=tmp_path,
    )
    return done.stdout.splitlines()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no such call")
def test_a_measurement_stands_on_one_core_and_says_which_or_why_not(tmp_path):
    assert pinned(tmp_path) == [f"core {max(os.sched_getaffinity(0))}", "1"]
    assert pinned(tmp_path, BENCH_CPU="none")[0] == "no: BENCH_CPU=none"
    assert pinned(tmp_path, BENCH_CPU="1000")[0].startswith("no: ")


def test_the_machine_is_described_with_everything_that_a_reader_asks_for():
    facts = machine.describe("core 1", "0.1 0.1 0.1", "wall")
    assert {
        "processor",
        "cores",
        "governor",
        "turbo",
        "kernel",
        "compiler",
        "flags",
        "python",
        "pinned",
        "clock",
        "load before",
        "load after",
        "time",
    } <= facts.keys()
    assert all(isinstance(value, str) and value for value in facts.values())


def test_a_command_that_is_not_there_is_not_installed():
    assert machine.first_line(["no-such-command-at-all"]) == "not installed"


# ----------------------------------------------------------------------------------------------------- the form of files


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        ("{", "Expecting"),
        ("[]", "not a table"),
        ('{"kind": "x"}', "no unit"),
        (json.dumps(document(rows=[{"row": "a"}])), "row 0 has no row, engine or samples"),
        (json.dumps(document(rows=[{"row": "a", "engine": "b", "samples": ["fast"]}])), "a sample is no number"),
    ],
)
def test_a_file_that_is_not_ours_is_named_and_nothing_is_reported(tmp_path, capsys, broken, why):
    file = tmp_path / "broken.json"
    file.write_text(broken, encoding="utf-8")
    assert report.main([str(file)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "broken.json" in err
    assert why in err


def test_what_python_parts_write_has_the_form(tmp_path):
    rows = [
        measurement.row("a", "reml", [1.23456789012]),
        measurement.row("a", "lua", [], reason="wrong"),
        measurement.row("b", "reml", [2], unit="KiB"),
    ]
    measurement.write(tmp_path / "deep" / "x.json", document(rows=rows))
    read = measurement.read(tmp_path / "deep" / "x.json")
    jsonschema.validate(read, FORM)
    assert read["rows"][0]["samples"] == [1.23456789]
    assert read["rows"][1]["failed"]
    assert read["rows"][1]["samples"] == []


HARNESS = r"""
#include "harness.h"
static bool right(void* state, uint64_t n) { uint64_t sum = 0; (void)state; for (uint64_t i = 0; i < n; i++) { sum += i; bench_keep(&sum); } return true; }
static bool wrong(void* state, uint64_t n) { (void)state; (void)n; return false; }
static bool bytes(void* state, double* out) { *out = *(const double*)state; return true; }
static bool broken(void* state, double* out) { (void)state; (void)out; return false; }
static void add(bench_t* bench) {
    static double size = 12.5;
    bench_name_version(bench, "c", "1 \"quoted\"");
    bench_name_missing(bench, "nobody", "it is not here");
    bench_add(bench, "loop", "c", right, NULL, 1);
    bench_add_measure(bench, "idle", "c", "KiB", bytes, &size);
    if (bench->only && bench->only[0] == 0) return;
    bench_add(bench, "loop", "liar", wrong, NULL, 1);
    bench_add_measure(bench, "idle", "liar", "KiB", broken, NULL);
}
int main(int argc, char** argv) { return bench_main(argc, argv, &(bench_program_t){.kind = "made-up", .title = "Made up", .add = add}); }
"""


@pytest.fixture(scope="module")
def harness(tmp_path_factory):
    """A measuring program with right and wrong engines."""
    if CC is None:
        pytest.skip("no C compiler")
    folder = tmp_path_factory.mktemp("harness")
    (folder / "made_up.c").write_text(HARNESS, encoding="utf-8")
    sources = [str(folder / "made_up.c"), str(BENCHMARKS / "c" / "harness.c")]
    subprocess.run(
        [CC, "-std=c11", "-D_GNU_SOURCE", "-O1", f"-I{BENCHMARKS / 'c'}", *sources, "-o", str(folder / "made-up")],
        check=True,
    )
    return folder / "made-up"


def test_a_wrong_result_in_c_has_no_samples_and_fails_the_run(harness, tmp_path):
    target = tmp_path / "made-up.json"
    done = subprocess.run(
        [harness, "--rounds", "4", "--sample-ms", "0.2", "--json", target], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "wrong result" in done.stdout
    assert "missing: nobody (it is not here)" in done.stdout
    read = measurement.read(target)
    jsonschema.validate(read, FORM)
    found = {(row["row"], row["engine"]): row for row in read["rows"]}
    assert found["loop", "liar"]["failed"]
    assert found["idle", "liar"]["samples"] == []
    assert len(found["loop", "c"]["samples"]) == 4
    assert min(found["loop", "c"]["samples"]) > 0
    assert found["idle", "c"] == {
        "row": "idle",
        "engine": "c",
        "unit": "KiB",
        "iterations": 1,
        "failed": False,
        "samples": [12.5] * 4,
    }
    assert read["versions"] == {"c": '1 "quoted"'}
    assert read["environment"]["pinned"].startswith(("core ", "no: "))
    assert {"load before", "load after", "flags", "compiler", "clock"} <= read["environment"].keys()


def test_a_run_in_c_without_wrong_results_ends_well(harness):
    done = subprocess.run(
        [harness, "--rounds", "2", "--sample-ms", "0.2", "--only", ""], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "arguments", [["--rounds", "0"], ["--rounds", "1000"], ["--sample-ms", "0"], ["--no-such", "1"], ["--json"]]
)
def test_wrong_usage_of_a_measuring_program_is_told(harness, arguments):
    done = subprocess.run([harness, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: made-up")


def test_one_case_can_be_run_alone_for_counting(harness):
    listed = subprocess.run([harness, "--list", "yes"], capture_output=True, text=True, check=True).stdout
    assert "loop\tc\t1" in listed.splitlines()
    assert subprocess.run([harness, "--count", "10", "--row", "loop", "--engine", "c"], check=False).returncode == 0
    assert subprocess.run([harness, "--count", "10", "--row", "loop", "--engine", "liar"], check=False).returncode == 1
    assert (
        subprocess.run(
            [harness, "--count", "10", "--row", "none", "--engine", "c"], check=False, capture_output=True
        ).returncode
        == 2
    )


# ------------------------------------------------------------------------------------------------------------------ goals


def pair(row, ours, theirs, *, engine="reml", peer="lua", unit="ns"):
    return [
        {"row": row, "engine": engine, "samples": ours, "unit": unit},
        {"row": row, "engine": peer, "samples": theirs, "unit": unit},
    ]


def test_every_target_of_the_plan_has_a_goal():
    assert {goal.number for goal in goals.GOALS} == set(range(1, 10))
    assert {row for goal in goals.GOALS if goal.part == "programs" for row in goal.rows} == set(programs.NAMES) - {
        "handlers"
    }


@pytest.mark.parametrize(("ours", "verdict", "close"), [(3.0, "met", False), (4.5, "missed", False)])
def test_a_goal_is_met_or_missed_by_its_median(ours, verdict, close):
    line = verdict_of(
        "C → Reml ÷ lua_pcall", document("c-calls", pair("add (Int, Int) -> Int", [ours] * 7, [10.0] * 7))
    )
    assert (line["verdict"], line["close"]) == (verdict, close)
    assert line["value"] == pytest.approx(ours / 10)


def test_an_interval_that_reaches_over_the_limit_is_said():
    ours = [3.0, 3.2, 3.9, 3.95, 4.2, 4.3, 3.8]
    line = verdict_of("C → Reml ÷ lua_pcall", document("c-calls", pair("add (Int, Int) -> Int", ours, [10.0] * 7)))
    assert line["verdict"] == "met"
    assert line["close"]


def test_a_goal_that_could_not_be_measured_says_why():
    assert verdict_of("C → Reml ÷ wasm3")["why"] == "c-calls was not measured"
    rows = pair("add (Int, Int) -> Int", [1.0], [2.0])
    lacking = document("c-calls", rows, missing={"wasm3": "its sources were not fetched"})
    assert verdict_of("C → Reml ÷ wasm3", lacking)["why"] == "wasm3 is missing: its sources were not fetched"
    failed = document(
        "c-calls",
        [{"row": "add (Int, Int) -> Int", "engine": "reml", "failed": True, "reason": "printed 4", "samples": []}],
    )
    assert "printed 4" in verdict_of("C → Reml ÷ lua_pcall", failed)["why"]
    assert "has no row" in verdict_of("C → Reml ÷ lua_pcall", document("c-calls"))["why"]


def test_the_mean_of_the_programs_is_geometric_and_needs_all_of_them():
    rows = [
        row for number, name in enumerate(goals.PROGRAMS) for row in pair(name, [2.0**number] * 3, [4.0] * 3, unit="ms")
    ]
    whole = "nine programs, geometric mean ÷ Lua"
    assert verdict_of(whole, document(rows=rows))["value"] == pytest.approx(2.0**4 / 4)
    assert verdict_of(whole, document(rows=rows[:-2]))["verdict"] == "not measured"


def test_where_more_is_better_a_goal_is_met_from_above():
    rows = pair("1 MB", [40.0] * 3, [60.0] * 3, unit="MB/s")
    assert (
        verdict_of("1 MB of source to bytecode, bytes a second ÷ Lua", document("frontend", rows))["verdict"] == "met"
    )
    assert (
        verdict_of(
            "1 MB of source to bytecode, bytes a second ÷ Lua", document("frontend", pair("1 MB", [20.0], [60.0]))
        )["verdict"]
        == "missed"
    )


def test_a_number_is_compared_in_the_unit_of_its_goal():
    rows = [{"row": "idle: in use in malloc", "engine": "reml", "samples": [15_000.0] * 3, "unit": "bytes"}]
    line = verdict_of("an idle context", document("start", rows))
    assert line["value"] == pytest.approx(15_000 / 1024)
    assert line["verdict"] == "met"


def test_of_several_rows_that_fit_a_goal_the_worst_counts():
    rows = [
        {"row": f"threads: {name}, wall clock", "engine": "2 threads", "samples": [share] * 3, "unit": "share"}
        for name, share in (("a", 0.99), ("b", 0.91))
    ]
    line = verdict_of("n contexts on n threads, share of n, by the wall", document("scaling", rows))
    assert (line["value"], line["verdict"]) == (0.91, "missed")


def test_goals_of_newer_pythons_are_read_from_newer_pythons():
    rows = pair("add (Int, Int) -> Int", [35.0] * 3, [100.0] * 3, peer="cffi")
    old = document("python-calls", rows)
    new = document("python-calls-3-13", rows, environment={"python": "CPython 3.13.0"})
    before, later = "Python → Reml ÷ cffi (Python before 3.12)", "Python → Reml ÷ cffi (Python 3.12 or later)"
    assert verdict_of(before, old, new)["verdict"] == "met"
    assert verdict_of(later, old, new)["verdict"] == "missed"
    assert "3.12 or later" in verdict_of(later, old)["why"]
    assert verdict_of(before, new)["verdict"] == "not measured"


# ----------------------------------------------------------------------------------------------------------------- report


def made_report(tmp_path, *documents):
    for number, each in enumerate(documents):
        measurement.write(tmp_path / "in" / f"{number}.json", each)
    assert report.main([str(tmp_path / "in"), "--output", str(tmp_path / "out")]) == 0
    made = json.loads((tmp_path / "out" / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(made, REPORT)
    return made, (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


def test_a_report_has_goals_tables_missing_peers_and_the_machine(tmp_path, capsys):
    rows = [
        *pair("fib", [50.0, 51.0, 52.0], [100.0, 102.0, 104.0], unit="ms"),
        measurement.row("fib", "liar", [], reason="printed 7 instead of 8"),
    ]
    made, text = made_report(tmp_path, document(rows=rows, missing={"wren": "nobody has its sources"}))
    assert made["parts"][0]["rows"][0]["ratio"]["value"] == pytest.approx(0.5)
    assert made["missing"] == {"wren": "nobody has its sources"}
    assert "c-calls" in made["not_measured"]
    for said in (
        "| fib | reml | 51.0 ms |",
        "missing: wren (nobody has its sources)",
        "failed: printed 7 instead of 8",
        "| processor | a processor |",
        "not measured: c-calls was not measured",
        "load 0.10 0.10 0.10 before",
    ):
        assert said in text
    assert "# Measurements" in capsys.readouterr().out


def test_a_new_kind_and_its_units_come_into_the_report_by_themselves(tmp_path):
    new = document(
        "brand-new",
        [
            measurement.row("idle", "reml", [12_288.0] * 3, unit="bytes"),
            measurement.row("writing", "reml", [250_000.0] * 3, unit="records/s"),
        ],
        title="Brand new things",
        baseline="",
    )
    made, text = made_report(tmp_path, document(), new)
    assert [part["kind"] for part in made["parts"]] == ["programs", "brand-new"]  # what is known comes first
    assert "## Brand new things" in text
    assert "12.0 KiB" in text
    assert "250,000 records/s" in text


def test_the_engines_of_a_row_stand_together(tmp_path):
    rows = [measurement.row(name, engine, [1.0]) for engine in ("c", "lua") for name in ("fib", "loop")]
    made, _ = made_report(tmp_path, document(rows=rows))
    assert [row["row"] for row in made["parts"][0]["rows"]] == ["fib", "fib", "loop", "loop"]


def test_a_busy_machine_is_said_at_the_top(tmp_path):
    busy = document(environment={"load before": "7.50 1.00 1.00", "time": "2026-01-01T00:00:00Z"})
    assert "busy with other things (load up to 7.50)" in made_report(tmp_path, busy)[1]


def test_rows_of_different_units_are_not_divided(tmp_path):
    rows = [measurement.row("x", "reml", [5.0], unit="KiB"), measurement.row("x", "lua", [5.0], unit="ns")]
    made, _ = made_report(tmp_path, document(rows=rows))
    assert "ratio" not in made["parts"][0]["rows"][0]


def test_plots_are_self_contained_and_their_labels_do_not_overlap(tmp_path):
    rows = [
        row
        for name in goals.PROGRAMS
        for row in [
            *pair(name, [1.0, 2.0, 3.0], [100.0, 102.0, 104.0]),
            measurement.row(name, "a very slow engine with a long name", [90_000.0]),
        ]
    ]
    made_report(tmp_path, document(rows=rows))
    files = sorted((tmp_path / "out" / "plots").glob("*.svg"))
    assert [file.stem for file in files] == ["goals", "programs"]
    for file in files:
        text = file.read_text(encoding="utf-8")
        assert "href" not in text
        assert "<script" not in text
        assert "<style" not in text
        picture = ET.fromstring(text)
        assert picture[0].get("fill") == "#ffffff"
        width, height = (float(picture.get(name)) for name in ("width", "height"))
        boxes = []
        for label in picture.iter("{http://www.w3.org/2000/svg}text"):
            size, x, y = (float(label.get(name)) for name in ("font-size", "x", "y"))
            long = len(label.text or "") * size * 0.56
            left = {"start": x, "middle": x - long / 2, "end": x - long}[label.get("text-anchor")]
            assert left >= -2
            assert left + long <= width + 2, label.text
            assert 0 < y < height
            boxes.append((left, y - size * 0.8, left + long, y + size * 0.2, label.text))
        for number, (left, top, right, bottom, text_) in enumerate(boxes):
            for other in boxes[number + 1 :]:
                assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top, (text_, other[4])


def test_a_part_without_a_baseline_is_drawn_as_growth(tmp_path):
    rows = [
        measurement.row("time of an element", size, [value] * 3) for size, value in (("10^3", 20.0), ("10^6", 40.0))
    ]
    part = report.part_of(document("scaling", rows, baseline=""))
    picture = report.growth_plot(part)
    assert report.ratio_plot(part) is None
    assert "10^6: 40.0 ns" in picture
    alone = report.part_of(document("scaling", rows[:1], baseline=""))
    assert report.growth_plot(alone) is None


def test_names_are_escaped_in_plots():
    band = plot.Band("<row> & more", [plot.Dot("<engine>", figures.Figure(1.0, 0.5, 2.0), "#000000")])
    assert ET.fromstring(plot.draw("a < b", "c & d", [band], "×")) is not None


def test_figures_go_between_the_marks_of_a_document_and_nowhere_else(tmp_path, capsys):
    rows = [
        *pair("fib", [50.0, 51.0, 52.0], [100.0, 102.0, 104.0], unit="ms"),
        measurement.row("fib", "reml, another way", [70.0] * 3, unit="ms"),
        measurement.row("fib", "luajit, JIT off", [80.0] * 3, unit="ms"),
    ]
    made_report(tmp_path, document(rows=rows))
    page = tmp_path / "page.md"
    page.write_text(f"# Before\n\n{docs.BEGIN}\nold figures\n{docs.END}\n\nafter\n", encoding="utf-8")
    assert docs.main([str(tmp_path / "out" / "report.json"), str(page)]) == 0
    once = page.read_text(encoding="utf-8")
    assert once.startswith("# Before\n\n")
    assert once.endswith("\n\nafter\n")
    assert "old figures" not in once
    assert (
        "| Programs | reml ÷ lua | luajit, JIT off ÷ lua | lua itself |\n|---|---:|---:|---:|\n| fib | 0.5 | 0.784 | 102 ms |"
        in once
    )
    assert (tmp_path / "plots" / "goals.svg").exists()
    assert docs.main([str(tmp_path / "out" / "report.json"), str(page)]) == 0
    assert page.read_text(encoding="utf-8") == once
    page.write_text("no marks\n", encoding="utf-8")
    assert docs.main([str(tmp_path / "out" / "report.json"), str(page)]) == 2
    assert page.read_text(encoding="utf-8") == "no marks\n"
    assert "no place for figures" in capsys.readouterr().err


def test_the_document_about_performance_has_a_place_for_figures():
    text = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    assert text.count(docs.BEGIN) == text.count(docs.END) == 1


# --------------------------------------------------------------------------------------------------------------- programs


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("fib", "32"),
        ("loop", "100000000"),
        ("nbody", "200000"),
        ("sieve", "4000000"),
        ("words", "1000000"),
        ("handlers", "2000000"),
    ],
)
def test_a_program_has_the_same_size_in_every_language(name, number):
    files = [
        file
        for file in (BENCHMARKS / "programs").glob(f"{name}.*")
        if file.suffix in {".reml", ".lua", ".c", ".py", ".js"}
    ]
    assert {file.suffix for file in files} == {".reml", ".lua", ".c", ".py", ".js"}
    for file in files:
        assert number in file.read_text(encoding="utf-8").replace("_", ""), file.name


def test_every_program_exists_for_every_engine():
    for name in programs.NAMES:
        for suffix in ("reml", "lua", "js", "py", "c"):
            assert (BENCHMARKS / "programs" / f"{name}.{suffix}").exists()


def say(text, status=0):
    return [sys.executable, "-c", f"import sys; print({text!r}); sys.exit({status})"]


def test_an_output_that_differs_and_a_program_that_fails_are_noticed():
    engines = {"c": say("1 2"), "lua": say("1 2"), "liar": say("1 3"), "crash": say("1 2", 3)}
    samples, failed = programs.measure(engines, 2, 60.0)
    assert failed == {"liar": "printed '1 3' instead of '1 2'", "crash": "1 2"}
    assert [len(samples[engine]) for engine in ("c", "lua", "liar")] == [2, 2, 0]
    assert samples["c"][0] > 0


def test_a_slow_engine_gets_fewer_rounds_but_three_at_least():
    samples, _ = programs.measure({"c": say("x")}, 9, 0.0)
    assert len(samples["c"]) == programs.LEAST_ROUNDS


def test_a_program_that_hangs_is_ended():
    run = programs.run_once([sys.executable, "-c", "import time; time.sleep(60)"], limit=0.5)
    assert "no answer" in run.trouble


def test_engines_that_are_not_here_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(programs, "BUILT", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "engines").mkdir()
    (tmp_path / "engines" / "quickjs.missing").write_text("its sources were not fetched\n", encoding="utf-8")
    found, missing = programs.commands(["fib"], list(programs.ENGINES))
    assert set(found["fib"]) == {"python"}
    assert missing["quickjs"] == "its sources were not fetched"
    assert missing["lua"] == "lua5.4 is not installed"
    assert missing["reml"] == "no run-file: make bench-binaries bench-engines"
    assert {"luajit", "luajit, JIT off", "wasm3", "wren", "c"} <= missing.keys()


def test_binary_trees_allocate_every_node(context):
    source = (BENCHMARKS / "programs" / "trees.reml").read_text(encoding="utf-8")
    count = context.load(source + "\nfn count(depth: Int) -> Int = check(make(depth))\n")["count"]
    before = context.memory().live_bytes
    nodes = count(16)
    assert nodes == 2**17 - 1
    # All of them at a time, two references each; leaves that were shared would be half of the nodes.
    assert context.memory().peak_bytes - before >= nodes * 16


# ------------------------------------------------------------------------------------------------------------------ peers


def test_a_peer_that_answers_wrongly_is_wrong_and_not_timed():
    found = peers.Peers()
    found.add("add", "liar", lambda: 4, expect=5)
    found.add("add", "honest", lambda: 5, expect=5)
    assert found.wrong == {("add", "liar"): "4 instead of 5"}
    assert [case.engine for case in found.cases] == ["honest"]


def test_a_peer_that_cannot_be_imported_or_built_is_missing(monkeypatch, tmp_path):
    def absent(_peers, _folder):
        raise ImportError("no module named quickjs")

    def unbuilt(_peers, _folder):
        raise OSError("no compiler")

    monkeypatch.setattr(peers, "ENGINES", {"quickjs": absent, "cffi": unbuilt, "python": peers.add_python})
    found = peers.gather(tmp_path)
    assert found.missing == {"quickjs": "no module named quickjs", "cffi": "OSError: no compiler"}
    assert {case.engine for case in found.cases} == {"python"}


def test_peers_that_cannot_be_fetched_are_named_and_nothing_fails(tmp_path):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "build_peers.py", "--folder", tmp_path, "--offline"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for name in ("quickjs", "wasm3"):
        assert f"missing peer: {name} (its sources were not fetched (offline))" in done.stdout
        assert (tmp_path / "engines" / f"{name}.missing").read_text(
            encoding="utf-8"
        ).strip() == "its sources were not fetched (offline)"
    assert "missing peer: wren" in done.stdout


def test_a_newer_python_that_cannot_have_the_package_is_written_down(tmp_path, monkeypatch):
    def refuse(_executable, version, _folder):
        raise build_peers.Missing(f"the package does not install for Python {version}")

    monkeypatch.setattr(newer_python, "newer", lambda: [("/nowhere/python", "3.13.0")])
    monkeypatch.setattr(newer_python, "environment", refuse)
    newer_python.measure_all(tmp_path, [])
    read = measurement.read(tmp_path / "python-calls-3-13.json")
    jsonschema.validate(read, FORM)
    assert "does not install" in verdict_of("Python → Reml ÷ cffi (Python 3.12 or later)", read)["why"]


def test_instructions_without_valgrind_are_named_not_guessed(tmp_path):
    environment = os.environ | {"PATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "instructions.py", "--json", tmp_path / "i.json"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0
    assert "missing: valgrind" in done.stdout
    assert measurement.read(tmp_path / "i.json")["missing"] == {"valgrind": "not installed: nothing is counted"}


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_instructions_are_counted_exactly(harness):
    once = instructions.count(harness, "loop", "c", 1.0)
    assert once == instructions.count(harness, "loop", "c", 1.0)
    assert 2 <= once <= 12  # an addition, a store, a step and a jump


# ------------------------------------------------------------------------------------------------------------- everything


@needs_compiler
@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
@pytest.mark.timeout(900)
def test_the_quick_run_measures_every_part_and_writes_the_report(tmp_path):
    library = ROOT / "build" / "libreml_embed.a"
    if not library.exists():
        pytest.skip("no library in build/: make lib")
    # -o: what `make lib` built is taken as it is.
    made = subprocess.run(
        ["make", "-o", "build/libreml_embed.a", "bench-binaries"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stdout + made.stderr
    measurement.write(tmp_path / "of-an-earlier-run.json", document("of-an-earlier-run"))
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "bench.py", "--output", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"BENCH_QUICK": "1"},
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    made_parts = {}
    for file in tmp_path.glob("*.json"):
        if file.name != "report.json":
            jsonschema.validate(json.loads(file.read_text(encoding="utf-8")), FORM)
            made_parts[file.stem] = measurement.read(file)
    whole = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    jsonschema.validate(whole, REPORT)
    assert {"c-calls", "python-calls", "programs", "frontend", "size"} <= made_parts.keys()
    assert "of-an-earlier-run" not in made_parts
    assert {part["kind"] for part in whole["parts"]} == {part["kind"] for part in made_parts.values()}
    assert not [(part["kind"], row) for part in whole["parts"] for row in part["rows"] if "failed" in row]
    ours = [row for part in whole["parts"] for row in part["rows"] if row["engine"].startswith("reml")]
    assert all(row["median"]["value"] > 0 for row in ours)
    assert len(ours) > 30
    assert statistics.median(len(goal["what"]) for goal in whole["goals"]) > 5
    assert not [
        goal
        for goal in whole["goals"]
        if goal["verdict"] == "not measured" and "has no row" in goal["why"] and not re.search(r"again:", goal["why"])
    ]
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    for plotted in re.findall(r"\]\((plots/[\w-]+\.svg)\)", text):
        ET.parse(tmp_path / plotted)


def test_a_part_gets_the_options_that_it_knows():
    words = {part.kind: part.words({"--rounds": "4", "--sample-ms": "3"}, quick=False) for part in bench.parts()}
    assert words["c-calls"][-4:] == ["--rounds", "4", "--sample-ms", "3"]
    assert words["programs"][-2:] == ["--rounds", "4"]
    assert words["size"][-1].endswith("size.py")
    quick = {part.kind: part.words({}, quick=True) for part in bench.parts()}
    assert quick["frontend"][-5:] == ["--rounds", "3", "--sizes", "0.25", "1"]


def test_a_part_that_does_not_exist_is_refused(tmp_path):
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "bench.py", "--only", "nothing", "--output", tmp_path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "no such part: nothing" in done.stderr
