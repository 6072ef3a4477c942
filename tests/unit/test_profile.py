"""Profiles: whose time is whose, the form of the files, and `reml run --profile`."""

from __future__ import annotations

import array
import asyncio
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from xml.etree import ElementTree

import pytest

import reml_embed as reml
from reml_embed._flame import draw, fit, time_text
from reml_embed.profiling import Profile, read_folded

PROGRAM = """module P
fn hot(n: Int) -> Int {
  var s = 0
  for i in 0..n { s := s + i % 7 }
  s
}
fn cold(n: Int) -> Int { let a = hot(n / 30); a + 0 }
fn main() -> Int { let a = hot(3000000); a + cold(3000000) }
fn fib(n: Int) -> Int = if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
fn tree() -> Int = fib(22) + 0
fn fails() -> Int { let a = hot(500000); a / (a - a) }
fn forever() -> Int { while true { let a = hot(1000); if a < 0 { return a } }; 1 }
fn add(a: Int, b: Int) -> Int = a + b
fn slowly() -> Int = Host.slow(20) + 0
fn back() -> Int = Host.back(300000) + 0
"""
SVG = "{http://www.w3.org/2000/svg}"
REML = [sys.executable, "-m", "reml_embed.cli"]
Stacks = dict[tuple[str, ...], int]


@pytest.fixture
def profiled(context: reml.Context) -> Callable[..., Profile]:
    """The profile of one run."""

    @context.host("Host.slow")
    def slow(milliseconds: int) -> int:
        time.sleep(milliseconds / 1000)
        return milliseconds

    @context.host("Host.back")
    def back(count: int) -> int:
        return int(context.function("hot")(count))

    context.load(PROGRAM)

    def run(entry: str = "main", interval: float = 0.0) -> Profile:
        with context.profile(interval) as profile:
            context.run(entry)
        return profile

    return run


def share(profile: Profile, *part: str) -> float:
    """Of the time, where this part of a stack stood."""
    text = ";".join(part)
    return sum(weight for stack, weight in profile.stacks.items() if text in ";".join(stack)) / profile.elapsed_ns


def soon(holds: Callable[[], bool]) -> None:
    """On a busy machine everything may be stopped anywhere: it holds in one of a few attempts."""
    assert any(holds() for _ in range(15))


# --- whose time is whose ---------------------------------------------------------------------------------------------------


def test_the_hot_function_has_the_most_of_the_weight(profiled: Callable[..., Profile]) -> None:
    soon(lambda: share(profiled(), "P.main", "P.hot") > 0.85)
    soon(lambda: next(iter(profiled().functions())) == "P.hot")
    profile = profiled()
    assert {stack[0] for stack in profile.stacks} == {"P.main"}
    assert share(profile, "P.cold", "P.hot") > 0


def test_recursion_counts_once_for_a_function(profiled: Callable[..., Profile]) -> None:
    profile = profiled("tree")
    own, whole = profile.functions()["P.fib"]
    assert 0 < own <= whole <= profile.elapsed_ns
    assert max(map(len, profile.stacks)) > 10


def test_host_functions_have_a_frame_and_calls_out_of_them_stand_on_it(profiled: Callable[..., Profile]) -> None:
    profile = profiled("slowly", 0.001)
    assert profile.stacks["P.slowly", "[host Host.slow]"] >= 20_000_000
    soon(lambda: share(profiled("back"), "P.back", "[host Host.back]", "P.hot") > 0.5)


def test_waiting_for_input_and_output_has_a_frame() -> None:
    def answer(_question: str) -> str:
        time.sleep(0.02)
        return "x"

    def show(_text: str) -> None:
        time.sleep(0.03)

    with reml.Context(input=answer, output=show) as context:
        context.load('fn main() -> () { let name = perform Console.ask("?"); println(name) }\n')
        with context.profile() as profile:
            context.run()
    asked = [stack for stack, weight in profile.stacks.items() if weight >= 20_000_000]
    assert sorted(asked) == [("main.main", "[console.ask]"), ("main.main", "[println_str]")]


def test_calls_of_functions_count_for_them(context: reml.Context) -> None:
    add = context.load(PROGRAM.replace("Host.slow(20)", "1").replace("Host.back(300000)", "1"))["add"]
    add(1, 2)
    with context.profile(0.00005) as profile:
        assert {add(i, 1) - i for i in range(20000)} == {1}
    assert set(profile.stacks) == {("P.add",)}


def test_pieces_of_runs_that_wait_count_for_their_entry(context: reml.Context) -> None:
    context.load(
        "module J\nasync fn main() -> Int {\n  var s = 0\n"
        "  for i in 0..40 { Async.sleep_async(1.ms).await; s := s + i }\n  s\n}\n"
    )
    with context.profile(0) as profile:
        start = time.perf_counter_ns()
        assert asyncio.run(context.run_async()) == 780
        took = time.perf_counter_ns() - start
    assert {stack[0] for stack in profile.stacks} == {"J.main"}
    assert profile.elapsed_ns < took - 30_000_000  # the host waits, not the run


def test_batches_count_for_their_function(context: reml.Context) -> None:
    half = context.load("module B\nfn half(x: Float) -> Float = x / 2.0\n")["half"]
    with context.profile(0) as profile:
        assert list(half.map(array.array("d", range(1000))))[:3] == [0.0, 0.5, 1.0]
    assert set(profile.stacks) == {("B.half",)}


# --- how much --------------------------------------------------------------------------------------------------------------


def test_the_weights_are_the_time_of_the_runs(profiled: Callable[..., Profile]) -> None:
    def close() -> bool:
        start = time.perf_counter_ns()
        profile = profiled("main", 0.001)
        took = time.perf_counter_ns() - start
        assert profile.elapsed_ns == sum(profile.stacks.values()) <= took
        return profile.elapsed_ns > took * 0.9

    soon(close)


def test_what_it_says_of_itself(profiled: Callable[..., Profile]) -> None:
    profile = profiled("main", 0.001)
    assert 0 < profile.samples <= profile.elapsed_ns / 1e6 + 1
    assert (profile.interval, profile.incomplete) == (0.001, False)
    assert repr(profile).startswith("<Profile of 0.")


def test_it_can_be_taken_again_and_again(context: reml.Context, profiled: Callable[..., Profile]) -> None:
    assert share(profiled("main"), "P.main") == 1
    context.run()
    assert share(profiled("tree"), "P.tree") == 1
    with context.profile() as nothing:
        pass
    assert (nothing.stacks, nothing.samples, nothing.elapsed_ns) == ({}, 0, 0)


def test_two_contexts_on_two_threads_have_their_own() -> None:
    found: dict[str, Profile] = {}

    def run(entry: str) -> None:
        with reml.Context() as context:
            context.load(PROGRAM.replace("Host.slow(20)", "1").replace("Host.back(300000)", "1"))
            with context.profile(0) as found[entry]:
                context.run(entry)

    threads = [threading.Thread(target=run, args=(entry,)) for entry in ("main", "tree")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {entry: {stack[0] for stack in profile.stacks} for entry, profile in found.items()} == {
        "main": {"P.main"},
        "tree": {"P.tree"},
    }


# --- failures --------------------------------------------------------------------------------------------------------------


def test_what_a_failed_run_took_is_there(context: reml.Context, profiled: Callable[..., Profile]) -> None:
    profiled("tree")
    with pytest.raises(reml.RunError, match="division by zero"), context.profile(0) as profile:
        context.run("fails")
    assert share(profile, "P.fails") == 1


def test_one_at_a_time_and_not_in_a_run(context: reml.Context) -> None:
    seen: list[type[BaseException]] = []

    @context.host("Host.tries")
    def tries(n: int) -> int:
        with pytest.raises(reml.BusyError), context.profile():
            pass
        seen.append(reml.BusyError)
        return n

    context.load("fn main() -> Int = Host.tries(4)\n")
    assert context.run() == 4
    with context.profile() as outer:
        with pytest.raises(reml.BusyError, match="while one is on"), context.profile():
            pass
        context.run()
    assert len(seen) == 2
    assert outer.elapsed_ns > 0


def test_intervals_are_times(context: reml.Context) -> None:
    for wrong in (-1, math.nan, 3601):
        with pytest.raises(ValueError, match="interval must be"), context.profile(wrong):
            pass


def test_a_context_that_is_closed_meanwhile_leaves_nothing() -> None:
    context = reml.Context()
    context.load("fn main() -> Int = 1\n")
    with context.profile(0) as profile:
        context.run()
        context.close()
    assert profile.stacks == {}
    with pytest.raises(reml.StaleError), context.profile():
        pass


@pytest.mark.parametrize("fuel", [500, 7_777, 123_456])
def test_results_and_the_use_of_fuel_stay_as_they_are(fuel: int) -> None:
    steps: dict[bool, list[int]] = {}
    for watched in (False, True):
        printed: list[str] = []
        with reml.Context(output=printed.append, limits=reml.Limits(fuel=fuel)) as context:
            context.load("fn main() -> () { var i = 0; while true { i := i + 1; println(to_string(i)) } }\n")
            if watched:
                with pytest.raises(reml.LimitError), context.profile(0):
                    context.run()
            else:
                with pytest.raises(reml.LimitError):
                    context.run()
        steps[watched] = [int(text) for text in printed]
    assert steps[True] == steps[False] != []


@pytest.mark.parametrize("name", ["effects", "lisp", "lazy_primes", "shapes", "forth", "scheduler", "async_actors"])
def test_programs_print_the_same(name: str) -> None:
    printed: dict[bool, str] = {}
    for watched in (False, True):
        texts: list[str] = []
        with reml.Context(output=texts.append) as context:
            context.load(Path(__file__).parents[1] / "programs" / f"{name}.reml")
            with context.profile(0) if watched else nullcontext(Profile()) as profile:
                context.run()
        printed[watched] = "".join(texts)
        assert all(frame for stack in profile.stacks for frame in stack)
        assert {stack[0] for stack in profile.stacks} == ({"main.main"} if watched else set())
    assert printed[True] == printed[False] != ""


def test_every_frame_has_a_name_also_while_abandoned_tasks_are_left(context: reml.Context) -> None:
    context.set_output(lambda _text: None)
    context.load(Path(__file__).parents[1] / "programs" / "async_pipeline.reml")
    with context.profile(0) as profile:
        context.run()
    assert all(frame for stack in profile.stacks for frame in stack)
    assert any(stack[-1] == "[waiting]" for stack in profile.stacks)


# --- folded stacks ---------------------------------------------------------------------------------------------------------


def test_folded_stacks_are_sorted_lines_with_nanoseconds() -> None:
    profile = Profile({("main", "b"): 5, ("main",): 12, ("main", "a", "x y"): 1_000_000})
    assert profile.folded() == "main 12\nmain;a;x y 1000000\nmain;b 5\n"
    assert Profile().folded() == ""


def test_names_in_folded_stacks_end_neither_a_frame_nor_a_line() -> None:
    profile = Profile({("a;b", "c\nd", "Map<Str, Int>", "größe …"): 3, ("a:b", "c d", "Map<Str, Int>", "größe …"): 4})
    assert profile.folded() == "a:b;c d;Map<Str, Int>;größe … 7\n"
    assert read_folded(profile.folded()) == {("a:b", "c d", "Map<Str, Int>", "größe …"): 7}


@pytest.mark.parametrize("text", ["main\n", "main x\n", " 5\n", "main 5\nmain -5\n", "main ５\n"])
def test_other_lines_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"line \d: expected frames"):
        read_folded(text)


def test_both_files_are_written_whole(tmp_path: Path) -> None:
    profile = Profile({("main",): 7_000_000})
    profile.write_folded(tmp_path / "deep" / "a.folded")
    profile.write_svg(tmp_path / "a.svg", "a & b")
    assert (tmp_path / "deep" / "a.folded").read_text() == "main 7000000\n"
    assert (tmp_path / "a.svg").read_text(encoding="utf-8") == profile.svg("a & b")
    with pytest.raises(OSError, match="File exists|Not a directory"):
        profile.write_svg(tmp_path / "a.svg" / "b.svg")


# --- the picture -----------------------------------------------------------------------------------------------------------

NESTED: Stacks = {
    ("main", "total"): 600_000_000,
    ("main", "total", "[list.push]"): 150_000_000,
    ("main", "<fn lambda>:3"): 200_000_000,
    ("main",): 50_000_000,
    ("main", "tiny"): 100_000,
}


def frames(svg: str) -> dict[str, tuple[float, float, int, str, str]]:
    """By name: x and width in percent, row, label, facts of the title."""
    found = {}
    for at in ElementTree.fromstring(svg.encode()).iter(f"{SVG}svg"):
        if at.get("class") == "f":
            name, _, facts = (at.findtext(f"{SVG}title") or "").rpartition("\n")
            x, width = float(at.get("x", "").rstrip("%")), float(at.get("width", "").rstrip("%"))
            found[name] = (x, width, int(at.get("y", "")) // 18, at.findtext(f"{SVG}text") or "", facts)
    return found


def test_frames_are_as_wide_as_their_share_below_their_caller_and_in_the_order_of_names() -> None:
    found = frames(draw(NESTED, "t"))
    assert list(found) == ["all", "main", "<fn lambda>:3", "total", "[list.push]"]  # `tiny` is narrower than a point
    assert found["all"][:3] == (0, 100, 0)
    assert found["main"][:4] == (0, 100, 1, "main")
    assert found["main"][4] == "1.00 s, 100.0%; itself 50.0 ms, 5.0%"
    x, width, row, label, facts = found["total"]
    assert (x, row, label) == (pytest.approx(20.008, abs=0.01), 2, "total")
    assert width == pytest.approx(74.99, abs=0.01)
    assert facts == "750 ms, 75.0%; itself 600 ms, 60.0%"
    assert found["[list.push]"][2:] == (3, "[list.push]", "150 ms, 15.0%")
    assert found["[list.push]"][0] == found["total"][0]


def test_the_picture_is_the_same_for_the_same_stacks() -> None:
    assert draw(NESTED, "t", samples=3) == draw(dict(reversed(NESTED.items())), "t", samples=3)
    assert "1.00 s · 3 samples" in draw(NESTED, "t", samples=3)


def test_the_picture_needs_nothing_else() -> None:
    text = draw(NESTED, "t")
    urls = {word for word in text.replace('"', " ").replace("'", " ").split() if "://" in word}
    assert urls == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"}
    assert not any(word in text for word in ("href", "@import", "url(", "src="))


def test_names_and_titles_are_escaped() -> None:
    name = "</title><script>&\"']]>\x00\ud800 <T; U>"
    text = draw({(name,): 5}, '<b> & "c"')
    tree = ElementTree.fromstring(text.encode())
    assert tree.findtext(f"{SVG}title") == '<b> & "c"'
    assert list(frames(text)) == ["all", "</title><script>&\"']]>\ufffd\ufffd <T; U>"]
    assert len(list(tree.iter(f"{SVG}script"))) == 1


def test_an_empty_profile_is_a_picture_too() -> None:
    text = Profile().svg("t")
    assert frames(text) == {}
    assert "nothing was sampled" in text


def test_a_deep_stack_is_drawn_without_recursion() -> None:
    found = ElementTree.fromstring(draw({tuple("abcdefgh" * 500): 5}, "t").encode())
    assert sum(at.get("class") == "f" for at in found.iter(f"{SVG}svg")) == 4001


def test_labels_are_cut_to_their_frame_and_titles_are_whole() -> None:
    long = "Billing.a_function_with_a_long_name<Map<Str, Int>>"
    found = frames(draw({("m", long): 20, ("m",): 80}, "t"))
    assert found[long][3] == "Billing.a_function_with_a_long_…"
    assert [fit("total", room) for room in (5, 4, 3)] == ["total", "tot…", ""]
    assert fit("日本語の名前", 9) == "日本語の…"
    assert fit("", 0) == ""


def test_times_are_readable() -> None:
    assert [time_text(n) for n in (0, 999, 1_500, 45_600_000, 789_000_000, 1_234_000_000, 98_765_432_000_000)] == [
        "0 ns", "999 ns", "1.50 µs", "45.6 ms", "789 ms", "1.23 s", "98,765 s",
    ]  # fmt: skip


BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.mark.skipif(
    BROWSER is None, reason="no chromium, chromium-browser or google-chrome: the picture is not rendered"
)
def test_in_a_browser_a_click_zooms_a_word_is_found_and_escape_goes_back(tmp_path: Path) -> None:
    acts = """
    var log=[],all=[].slice.call(document.querySelectorAll('.f')),box=document.querySelector('input');
    function seen(){return all.filter(function(f){return f.style.display!=='none';}).map(function(f){
      return f.querySelector('text').textContent+'='+Math.round(parseFloat(f.getAttribute('width')));}).join(' ');}
    function key(name){document.dispatchEvent(new KeyboardEvent('keydown',{key:name,bubbles:true}));}
    log.push(seen());
    all[3].querySelector('rect').dispatchEvent(new MouseEvent('mousemove',{bubbles:true}));
    log.push(document.getElementById('say').textContent);
    all[3].querySelector('rect').dispatchEvent(new MouseEvent('click',{bubbles:true}));log.push(seen());
    document.getElementById('back').dispatchEvent(new MouseEvent('click',{bubbles:true}));log.push(seen());
    all[3].dispatchEvent(new MouseEvent('click',{bubbles:true}));key('Escape');log.push(seen());
    box.value='TOTAL';box.dispatchEvent(new Event('input'));
    log.push(document.getElementById('matched').textContent+' '+document.querySelectorAll('.hit').length);
    box.value='none';box.dispatchEvent(new Event('input'));log.push(document.getElementById('matched').textContent);
    key('Escape');log.push(box.value+document.getElementById('matched').textContent);
    document.querySelector('title').textContent='LOG '+log.join(' | ')+' GOL';
    """
    picture = tmp_path / "a.svg"
    picture.write_text(draw(NESTED, "t").replace("]]></script>", f"{acts}]]></script>"), encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    done = subprocess.run(
        [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile",
         "--window-size=1200,600", "--dump-dom", picture.as_uri()],
        capture_output=True, text=True, timeout=120, check=True, env=environment,
    )  # fmt: skip
    log = done.stdout.partition("LOG ")[2].partition(" GOL")[0].replace("&lt;", "<").replace("&gt;", ">").split(" | ")
    whole = "all=100 main=100 <fn lambda>:3=20 total=75 [list.push]=15"
    zoomed = "all=100 main=100 total=100 [list.push]=20"
    assert log == [
        whole,
        "total — 750 ms, 75.0%; itself 600 ms, 60.0%",
        zoomed,
        whole,
        whole,
        "found in 75.0% of the time 1",
        "not found",
        "",
    ]


# --- reml run --profile ----------------------------------------------------------------------------------------------------


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run ``reml run program.reml`` in a folder that has nothing else."""
    (tmp_path / "program.reml").write_text(PROGRAM.replace("Host.slow(20)", "1").replace("Host.back(300000)", "1"))

    def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        words = [*REML, "run", "program.reml", *arguments]
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False)
        assert done.returncode == code, (done.stdout, done.stderr)
        return done

    return run


@pytest.mark.parametrize("path", ["out.svg", "out.folded", "out"])
def test_run_writes_the_picture_and_the_stacks_beside_it(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, path: str
) -> None:
    done = command("--profile", f"new/{path}")
    assert (done.stdout.strip().isdigit(), done.stderr) == (True, "")
    assert sorted(file.name for file in (tmp_path / "new").iterdir()) == ["out.folded", "out.svg"]
    stacks = read_folded((tmp_path / "new" / "out.folded").read_text())
    assert {stack[0] for stack in stacks} == {"P.main"}
    text = (tmp_path / "new" / "out.svg").read_text(encoding="utf-8")
    assert "reml run program.reml" in text
    assert {"all", "P.main", "P.hot"} <= set(frames(text))


def test_other_endings_stay(command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    command("--profile", "v1.2")
    assert (tmp_path / "v1.2.svg").exists()
    assert (tmp_path / "v1.2.folded").exists()


def test_the_options_of_run_stay(command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> None:
    done = command("--profile", "out", "--entry", "fib", "--arg", "20", "--format", "json", "--limit", "fuel=unlimited")
    assert '"value":"6765"' in done.stdout
    assert {stack[0] for stack in read_folded((tmp_path / "out.folded").read_text())} == {"P.fib"}
    (tmp_path / "t.reml").write_text(
        "module T\nfn works() -> Bool { var s = 0; for i in 0..200000 { s := s + i % 3 }; s > 0 }\n"
    )
    words = [*REML, "run", "test", "T::works", "--profile", "test"]
    subprocess.run(words, cwd=tmp_path, timeout=120, check=True, capture_output=True)
    assert {stack[0] for stack in read_folded((tmp_path / "test.folded").read_text())} == {"T.works"}


def test_a_program_that_fails_leaves_its_profile(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = command("--profile", "out", "--entry", "fails", code=1)
    assert "runtime.arith.div_zero" in done.stderr
    assert "P.fails;P.hot" in (tmp_path / "out.folded").read_text()
    assert (tmp_path / "out.svg").exists()
    done = command("--profile", "limit", "--entry", "forever", "--limit", "fuel=3000000", code=1)
    assert "P.forever" in (tmp_path / "limit.folded").read_text()


def test_ctrl_c_leaves_its_profile(tmp_path: Path) -> None:
    (tmp_path / "program.reml").write_text('fn main() -> () { println("go"); while true { } }\n', encoding="utf-8")
    process = subprocess.Popen(
        [*REML, "run", "program.reml", "--profile", "out"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"go\n"
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert sum(read_folded((tmp_path / "out.folded").read_text()).values()) > 200_000_000
    assert frames((tmp_path / "out.svg").read_text(encoding="utf-8"))["main.main"][1] == 100


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("program.reml/out.svg", "directory|exists"),
        ("folder", "directory"),
        ("taken", "Is a directory"),
        ("/proc/none/out", "/proc"),
    ],
)
def test_a_path_that_cannot_be_written_is_refused_before_the_run(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, path: str, reason: str
) -> None:
    (tmp_path / "program.reml").write_text('fn main() -> () = println("ran")\n')
    (tmp_path / "folder").mkdir()
    (tmp_path / "taken.folded").mkdir()
    done = command("--profile", path, code=2)
    assert "ran" not in done.stdout
    assert "--profile" in done.stderr
    assert "Traceback" not in done.stderr
    assert any(word in done.stderr for word in reason.split("|"))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["folder", "program.reml", "taken.folded"]


def test_a_module_that_does_not_load_leaves_no_profile(
    command: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (tmp_path / "program.reml").write_text("fn main() -> Int = nonsense\n")
    command("--profile", "out", code=1)
    assert [file.name for file in tmp_path.iterdir()] == ["program.reml"]
