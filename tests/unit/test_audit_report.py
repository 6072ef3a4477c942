"""`reml audit report`: one page about logs that needs no network, shows nothing as markup, and works in a real browser."""

import gzip
import html.parser
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import reml_embed as reml
from reml_embed.audit import page

ROOT = Path(__file__).resolve().parents[2]
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="no chromium, chromium-browser or google-chrome: the page is not rendered"
)
ATTACK = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\" onload=x '&amp;</td></style>"


@pytest.fixture
def log(tmp_path):
    """A real log: calls that went well, calls that failed, a summary."""
    path = tmp_path / "audit.ndjson"
    with reml.Context(audit=path) as context:
        module = context.load(
            'fn add(a: Int, b: Int) -> Int = a + b\nfn divide(a: Int, b: Int) -> Int = a / b\nfn main() -> Str { "ok" }\n'
        )
        for number in range(1000):
            module["add"](number, 1)
        for _ in range(3):
            with pytest.raises(reml.RunError):
                module["divide"](1, 0)
        context.run()
    return path


def envelope(kind, metadata, when="2026-03-02T08:15:00Z"):
    return (
        json.dumps({"timestamp": when, "envelope": {"audit_id": "x", "metadata": {"event.kind": kind, **metadata}}})
        + "\n"
    )


def check(capability, result, actual="stable"):
    return envelope("capability_check", {
        "capability.id": capability, "capability.result": result, "effect.capability": capability, "effect.stage.required": "exact:stable",
        "effect.stage.actual": actual, "effect.provider": "core", "effect.manifest_path": None,
    })  # fmt: skip


def made(tmp_path, *logs):
    target = tmp_path / "page.html"
    target.write_text(page.render(page.collect(logs)), encoding="utf-8")
    return target


def browse(target, *more):
    """The document after its scripts ran, and what the browser complained about."""
    done = subprocess.run(
        ["env", "-u", "LD_PRELOAD", BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0", "--virtual-time-budget=3000",
         f"--user-data-dir={target.parent / 'profile'}", *more, target.as_uri()],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


class Cells(html.parser.HTMLParser):
    """Tables of a page by the id of their section, and every tag that occurs."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.tags, self.tiles, self.text = {}, [], {}, []
        self._section = self._cell = self._tile = None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.tags.append((tag, given))
        if tag == "section":
            self._section = given["id"]
        elif tag == "tr":
            self.tables.setdefault(self._section, []).append([])
        elif tag in ("td", "th"):
            self.tables[self._section][-1].append("")
            self._cell = True
        elif "data-tile" in given:
            self._tile = given["data-tile"]
            self.tiles[self._tile] = ""

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._cell = None
        elif tag == "dd":
            self._tile = None

    def handle_data(self, data):
        self.text.append(data)
        if self._cell:
            self.tables[self._section][-1][-1] += data
        if self._tile:
            self.tiles[self._tile] += data


def digits(text):
    return int(re.sub(r"\D", "", text))


def test_the_page_tells_counts_rates_failures_and_the_verdict_of_the_chain(log, tmp_path):
    found = Cells(made(tmp_path, log).read_text(encoding="utf-8"))
    assert digits(found.tiles["crossings"]) == 1004
    assert found.tiles["pass rate"].startswith("99.7")
    symbols = {row[0]: row for row in found.tables["symbols"][1:]}
    assert (digits(symbols["add"][2]), symbols["add"][3]) == (1000, "0")
    assert (symbols["divide"][2], symbols["divide"][3]) == ("3", "3")
    (failure,) = found.tables["failures"][1:]
    assert failure[:4] == ["divideffi.call", "runtime.arith.div_zero", "division by zero", "3"]
    gates = {row[1]: row for row in found.tables["gates"][1:]}
    assert gates["ffi_bridge.audit_pass_rate"][0] == "failed"
    assert gates["native.embed.audit_presence_rate"][0] == "passed"
    assert found.tables["logs"][1][0] == "ok"
    assert "The chain is whole; one gate fails." in "".join(found.text)


def test_a_log_that_was_changed_is_called_broken(log, tmp_path):
    text = log.read_text(encoding="utf-8")
    log.write_text(text.replace('"symbol":"add"', '"symbol":"sub"'), encoding="utf-8")
    found = Cells(made(tmp_path, log).read_text(encoding="utf-8"))
    assert found.tables["logs"][1][0] == "broken"
    assert "The log is not whole: audit.ndjson: record" in "".join(found.text)


def test_capability_checks_are_counted(tmp_path):
    path = tmp_path / "log"
    path.write_text(check("metrics.emit", "success") * 3 + check("console", "error", "experimental"), encoding="utf-8")
    found = Cells(made(tmp_path, path).read_text(encoding="utf-8"))
    assert [row[:5] for row in found.tables["checks"][1:]] == [
        ["error", "console", "exact:stable", "experimental", "1"], ["success", "metrics.emit", "exact:stable", "stable", "3"],
    ]  # fmt: skip
    assert found.tiles["checks refused"] == "1"
    assert "No chain was checked" in "".join(found.text)


def test_the_page_needs_no_network(log, tmp_path):
    found = Cells(made(tmp_path, log).read_text(encoding="utf-8"))
    for tag, given in found.tags:
        assert tag not in ("img", "iframe", "object", "embed", "audio", "video")
        for name in ("src", "href", "action"):
            assert given.get(name, "#").startswith(("#", "data:,")), (tag, given)
        assert not any(name.startswith("on") for name in given)
    policy = next(given["content"] for tag, given in found.tags if given.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert "unsafe-eval" not in policy


def attacked(tmp_path):
    path = tmp_path / "<b>log.ndjson"
    bridge = {"status": "error", "platform": ATTACK, "extern_symbol": ATTACK, "ownership": ATTACK}
    lines = [
        envelope("ffi.call", {"bridge": bridge, "ffi": {"library": ATTACK, "effect_flags": [ATTACK]}, "error.code": ATTACK, "error.message": ATTACK}),
        envelope(ATTACK, {"error.severity": "error", "error.message": "a\nb\0\x1b[31m"}, when=ATTACK),
        check(ATTACK, ATTACK, ATTACK), f"not a record {ATTACK}\n",
    ]  # fmt: skip
    path.write_text("".join(lines), encoding="utf-8")
    return made(tmp_path, path)


def test_no_text_of_a_record_becomes_markup(tmp_path):
    text = attacked(tmp_path).read_text(encoding="utf-8")
    found = Cells(text)
    assert sum(tag == "script" for tag, _ in found.tags) == 1
    assert not any(tag == "img" or "onerror" in given or "onload" in given for tag, given in found.tags)
    assert ATTACK in "".join(found.text)
    assert "\x1b" not in text


@needs_browser
def test_the_page_works_in_a_browser(log, tmp_path):
    shown, complaints = browse(made(tmp_path, log), "--dump-dom")
    assert not complaints
    found = Cells(shown)
    rows = sum(len(table) - 1 for table in found.tables.values())
    assert f'data-ready="{rows}"' in shown  # the script ran to its end
    assert digits(found.tiles["crossings"]) == 1004
    assert {row[0] for row in found.tables["symbols"][1:]} >= {"add", "divide"}


@needs_browser
def test_an_attack_stays_text_in_a_browser(tmp_path):
    shown, complaints = browse(attacked(tmp_path), "--dump-dom")
    assert not complaints
    assert "<title>&lt;b&gt;log.ndjson</title>" in shown
    assert 'data-ready="' in shown


DRIVER = """
const out = {};
const filter = document.getElementById("filter");
document.dispatchEvent(new KeyboardEvent("keydown", {key: "/", bubbles: true}));
out.focused = document.activeElement === filter;
const visible = (id) => [...document.querySelectorAll(`#${id} tbody tr`)].filter((row) => !row.hidden).map((row) => row.cells[0].textContent);
filter.value = "div_zero";
filter.dispatchEvent(new Event("input"));
out.failures = visible("failures").length;
out.symbols = visible("symbols").length;
out.count = document.querySelector("[data-count=symbols]").textContent;
filter.dispatchEvent(new KeyboardEvent("keydown", {key: "Escape", bubbles: true}));
out.cleared = [filter.value, visible("symbols").length];
const head = document.querySelectorAll("#symbols th button")[2];
head.click();
out.descending = [visible("symbols")[0], head.closest("th").ariaSort];
head.click();
out.ascending = head.closest("th").ariaSort;
const bars = document.querySelectorAll(".timeline g");
bars[0].dispatchEvent(new MouseEvent("mouseenter"));
out.tip = document.getElementById("tip").textContent;
bars[0].focus();
bars[0].dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowRight", bubbles: true}));
out.moved = document.activeElement === bars[1] && bars[1].tabIndex === 0 && bars[0].tabIndex === -1;
const before = document.documentElement.dataset.theme;
document.getElementById("theme").click();
out.theme = [before ?? null, document.documentElement.dataset.theme];
out.page = getComputedStyle(document.body).backgroundColor;
document.body.dataset.out = JSON.stringify(out);
"""


@needs_browser
def test_filter_sorting_keys_and_colours_work(log, tmp_path):
    later = tmp_path / "later"
    later.write_text(envelope("x", {}, "2999-01-01T00:00:00Z"), encoding="utf-8")
    target = made(tmp_path, log, later)
    text = target.read_text(encoding="utf-8")
    policy = re.search(r'<meta http-equiv="Content-Security-Policy"[^>]*>', text).group()
    target.write_text(
        text.replace(policy, "").replace("</body>", f"<script>{DRIVER}</script></body>"), encoding="utf-8"
    )
    shown, complaints = browse(target, "--dump-dom")
    assert not complaints
    (given,) = [given for tag, given in Cells(shown).tags if tag == "body"]
    out = json.loads(given["data-out"])
    assert out["focused"]
    assert (out["failures"], out["symbols"], out["count"]) == (1, 0, "0 of 3")
    assert out["cleared"] == ["", 3]
    assert out["descending"] == ["add", "descending"]
    assert out["ascending"] == "ascending"
    assert re.match(r"2\d{3}-.*: [\d,]+ events, \d+ failed", out["tip"])
    assert out["moved"]
    assert out["theme"][1] in ("light", "dark")


@needs_browser
def test_the_page_can_be_looked_at(log, tmp_path):
    target, picture = made(tmp_path, log), tmp_path / "page.png"
    browse(target, "--window-size=1280,900", f"--screenshot={picture}")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 20_000


def test_a_hundred_thousand_records_make_a_page_like_any_other(tmp_path):
    path = tmp_path / "log"
    lines = []
    for number in range(100_000):
        bridge = {
            "status": "ok" if number % 100 else "error",
            "platform": "linux-x86_64",
            "extern_symbol": f"f{number % 2000}",
        }
        when = f"2026-03-{1 + number // 5000:02}T{number % 24:02}:00:00Z"
        lines.append(
            envelope(
                "ffi.call",
                {"bridge": bridge, "error.message": f"m{number}"} if number % 100 == 0 else {"bridge": bridge},
                when,
            )
        )
    path.write_text("".join(lines), encoding="utf-8")
    began = time.monotonic()
    text = page.render(page.collect([path]))
    assert time.monotonic() - began < 120
    assert len(text) < 2_000_000
    found = Cells(text)
    assert digits(found.tiles["crossings"]) == 100_000
    assert len(found.tables["symbols"]) == 501
    assert "of 2\N{NARROW NO-BREAK SPACE}000 rows" in "".join(found.text)
    assert sum("data-tip" in given for _, given in found.tags) <= 72


def test_packed_logs_and_pipes_are_read_and_their_chain_is_not_called_broken(log, tmp_path):
    packed = tmp_path / "log.gz"
    packed.write_bytes(gzip.compress(log.read_bytes()))
    found = Cells(made(tmp_path, packed).read_text(encoding="utf-8"))
    assert (found.tables["logs"][1][0], digits(found.tiles["crossings"])) == ("no chain", 1004)
    text = log.read_text(encoding="utf-8")
    done = run("/dev/stdin", "--output", "pipe.html", cwd=tmp_path, input=text)
    assert not done.stderr
    found = Cells((tmp_path / "pipe.html").read_text(encoding="utf-8"))
    assert (found.tables["logs"][1][0], digits(found.tiles["crossings"])) == ("no chain", 1004)


def test_odd_times_do_no_harm(tmp_path):
    path = tmp_path / "log"
    times = [
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "nonsense",
        "2026-03-02T08:15:00.123456789Z",
        "2026-03-02T08:15:00",
        "",
    ]
    path.write_text(
        "".join(envelope("x", {}, when) for when in times) + '{"event":"x","timestamp":5}\n', encoding="utf-8"
    )
    assert digits(Cells(made(tmp_path, path).read_text(encoding="utf-8")).tiles["records"]) == 7
    path.write_text("", encoding="utf-8")
    assert "there is nothing to judge" in made(tmp_path, path).read_text(encoding="utf-8")


def run(*arguments, cwd, code=0, **options):
    done = subprocess.run(
        [sys.executable, "-m", "reml_embed.cli", "audit", "report", *map(str, arguments)], capture_output=True, text=True, cwd=cwd,
        timeout=60, check=False, env={**os.environ, "PYTHONPATH": str(ROOT)}, **options,
    )  # fmt: skip
    assert done.returncode == code, (done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return done


def test_the_command_writes_the_page(log, tmp_path):
    run(log, log, "--output", "out/page.html", "--title", "Two <logs>", cwd=tmp_path)
    assert "<h1>Two &lt;logs&gt;</h1>" in (tmp_path / "out" / "page.html").read_text(encoding="utf-8")


def test_the_command_names_what_it_cannot_read_or_write(log, tmp_path):
    assert "missing: no such file or directory" in run("missing", "--output", "p.html", cwd=tmp_path, code=2).stderr
    assert not (tmp_path / "p.html").exists()
    run(log, cwd=tmp_path, code=2)
    run(log, "--output", log / "p.html", cwd=tmp_path, code=2)
