"""Signals, threads, forks and the end of the interpreter."""

import json
import signal
import subprocess
import sys
import threading
import time

import pytest

import reml_embed as reml

SPIN = "fn spin() -> Int { var i = 0; while true { i := i + 1 }; i }\nfn main() -> Int = spin()\nfn one() -> Int = 1\n"


# --- Ctrl-C ------------------------------------------------------------------------------------------------------------


INTERRUPTED = f"""
import sys, time
log = sys.argv[1]
def show(text):
    print(text, end="", flush=True)
with reml.Context(audit=log, output=show) as context:
    context.load({SPIN!r})
    module = context.load('module Go\\nfn go() -> Int {{ println("running"); spin() }}\\nfn spin() -> Int {{ var i = 0; while true {{ i := i + 1 }}; i }}')
    try:
        context.run("Go.go") if sys.argv[2] == "run" else module["go"]()
    except KeyboardInterrupt as error:
        print("stopped", time.monotonic(), flush=True)
        print(error.reml_stack[0], context.run("one"), flush=True)
"""


@pytest.mark.parametrize("way", ["run", "call"])
def test_ctrl_c_stops_a_running_script_within_100_ms_and_is_recorded(tmp_path, way):
    program = tmp_path / "program.py"
    program.write_text("import reml_embed as reml\n" + INTERRUPTED, encoding="utf-8")
    log = tmp_path / "audit.ndjson"
    command = [sys.executable, str(program), str(log), way]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        interrupt_and_watch(child)
    text = log.read_text(encoding="utf-8")
    assert "runtime.interrupted" in text
    assert reml.audit.verify(log).ok


def interrupt_and_watch(child):
    assert child.stdout.readline() == "running\n"
    time.sleep(0.2)
    before = time.monotonic()
    child.send_signal(signal.SIGINT)
    word, when = child.stdout.readline().split()
    assert word == "stopped"
    assert float(when) - before < 0.1
    out, err = child.stdout.read(), child.stderr.read()  # not communicate(): it overlooks what readline has buffered
    child.wait(timeout=20)
    assert (out, err) == ("spin (Go:3) 1\n", "")
    assert child.returncode == 0


def test_a_timer_storm_disturbs_nothing(python):
    python("""
import signal
hits = []
signal.signal(signal.SIGALRM, lambda *_: hits.append(1))
signal.siginterrupt(signal.SIGALRM, True)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
with reml.Context(audit="log.ndjson") as context:
    module = context.load("fn sum(n: Int) -> Int { var s = 0; for i in 0..n { s := s + i }; s }")
    assert module["sum"](3_000_000) == 4499998500000
    for n in range(2000):
        assert module["sum"](10) == 45
signal.setitimer(signal.ITIMER_REAL, 0)
assert hits
assert reml.audit.verify("log.ndjson").ok
""")


def test_the_library_installs_no_signal_handler(python):
    python("""
import signal
before = [signal.getsignal(s) for s in signal.valid_signals()], signal.pthread_sigmask(signal.SIG_BLOCK, [])
with reml.Context(output=lambda text: None) as context:
    context.load('fn main() -> Int { println("x"); 1 }')
    context.run()
assert before == ([signal.getsignal(s) for s in signal.valid_signals()], signal.pthread_sigmask(signal.SIG_BLOCK, []))
""")


def test_a_signal_handler_may_raise_anything(python):
    python(f"""
import signal
class Mine(BaseException): pass
def handler(*_): raise Mine("now")
signal.signal(signal.SIGALRM, handler)
signal.setitimer(signal.ITIMER_REAL, 0.2)
with reml.Context() as context:
    context.load({SPIN!r})
    try:
        context.run()
    except Mine as error:
        assert str(error) == "now"
    else:
        raise AssertionError
""")


# --- threads -------------------------------------------------------------------------------------------------------------


def test_other_python_threads_run_while_reml_runs():
    done = threading.Event()
    counted = []

    def script():
        with reml.Context(limits=reml.Limits(deadline_ms=1000)) as context:
            context.load(SPIN)
            with pytest.raises(reml.LimitError):
                context.run()
        done.set()

    def count(until):
        n = 0
        while not until():
            n += 1
        return n

    thread = threading.Thread(target=script)
    thread.start()
    counted.append(count(done.is_set))
    thread.join()
    end = time.monotonic() + 1
    alone = count(lambda: time.monotonic() > end)
    # Half of what it does alone leaves room for a busy machine; without the GIL being let go it would be next to nothing.
    assert counted[0] > alone / 4


def test_scripts_run_in_parallel_and_apart():
    results, errors = [], []

    def work(number):
        try:
            with reml.Context() as context:
                context.define("shift", lambda x: x + number, signature="(x: Int) -> Int")
                sum_up = context.load("fn sum(n: Int) -> Int { var s = 0; for i in 0..n { s := s + shift(i) }; s }")[
                    "sum"
                ]
                results.extend(sum_up(2000) == sum(i + number for i in range(2000)) for _ in range(20))
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert results == [True] * 120


def elsewhere(function):
    """What a call answers or raises on another thread."""
    outcome = []

    def run():
        try:
            outcome.append(function())
        except BaseException as error:  # noqa: BLE001
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return outcome[0]


def test_a_context_belongs_to_its_thread_until_another_adopts_it(context):
    module = context.load("fn one() -> Int = 1\n")
    one = module["one"]
    for use in (one, context.run, lambda: context.load("fn f() -> Int = 1\n"), context.close, context.metrics, lambda: one.signature,
                lambda: one.map(1), context.collect):  # fmt: skip
        refused = elsewhere(use)
        assert isinstance(refused, reml.WrongThreadError)
        assert str(refused) == "the context belongs to another thread: see Context.adopt"

    def take_over():
        context.adopt()
        return one()

    assert elsewhere(take_over) == 1
    with pytest.raises(reml.WrongThreadError):
        one()
    context.adopt()
    assert one() == 1


def test_a_running_context_cannot_be_adopted_but_can_be_interrupted(context):
    context.load(SPIN)
    refused = []

    def meddle():
        time.sleep(0.2)
        try:
            context.adopt()
        except reml.BusyError as error:
            refused.append(error)
        context.interrupt()

    thread = threading.Thread(target=meddle)
    thread.start()
    with pytest.raises(reml.RunError) as caught:
        context.run()
    thread.join()
    assert caught.value.code == "runtime.interrupted"
    assert len(refused) == 1
    assert context.run("one") == 1


def test_a_context_that_is_dropped_on_another_thread_is_closed_there():
    before = reml.process_metrics()
    box = [reml.Context()]
    box[0].load("fn f() -> Int = 1\n")
    elsewhere(box.clear)
    import gc

    elsewhere(gc.collect)
    assert reml.process_metrics().live == before.live
    assert box == []


def test_importing_from_many_threads_at_once_is_fine(python):
    done = python("""
import threading, subprocess, sys
program = '''
import threading
barrier = threading.Barrier(16)
ok = []
def load():
    barrier.wait()
    import reml_embed
    with reml_embed.Context() as context:
        context.load("fn main() -> Int = 1")
        ok.append(context.run())
threads = [threading.Thread(target=load) for _ in range(16)]
for t in threads: t.start()
for t in threads: t.join()
assert ok == [1] * 16
'''
for _ in range(3):
    subprocess.run([sys.executable, "-c", program], check=True)
""")
    assert done.stderr == ""


# --- forks ------------------------------------------------------------------------------------------------------------------


def test_a_child_can_only_close_what_it_inherited_and_make_its_own(python):
    done = python("""
import json, os, sys
context = reml.Context(audit="log.ndjson")
module = context.load("fn one() -> Int = 1")
one = module["one"]
proxy = context.load("module V\\nfn v() -> Vec<Int> = Vec.new()")["v"]()
child = os.fork()
if child == 0:
    code = 1
    try:
        for use in (one, context.run, lambda: module.signatures, lambda: context.load("fn f() -> Int = 1"), lambda: len(proxy), context.adopt):
            try:
                use()
            except reml.ForkedError:
                continue
            raise AssertionError(use)
        with reml.Context(audit="child.ndjson") as own:
            own.load("fn main() -> Int = 2")
            assert own.run() == 2
        del proxy
        context.close()
        code = 0
    finally:
        os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert one() == 1
context.close()
from pathlib import Path
records = [json.loads(line)["envelope"]["metadata"] for line in Path("log.ndjson").read_text().splitlines()]
assert sum(r.get("native.embed.entrypoint") == "reml_dispose_context" for r in records) == 1
assert reml.audit.verify("log.ndjson").ok
assert reml.audit.verify("child.ndjson").ok
""")
    assert done.stderr == ""


def test_a_child_that_ends_normally_disturbs_nothing(python):
    done = python("""
import os, sys
context = reml.Context(audit="log.ndjson")
module = context.load("fn one() -> Int = 1")
child = os.fork()
if child:
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert module["one"]() == 1
    context.close()
    assert reml.audit.verify("log.ndjson").ok
""")
    assert done.stderr == ""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works_beside_an_open_context(python, method):
    done = python(f"""
import multiprocessing, warnings
def work(number):
    with reml.Context() as context:
        return context.load("fn twice(x: Int) -> Int = 2 * x")["twice"](number)
if __name__ == "__main__":
    context = reml.Context()
    with multiprocessing.get_context("{method}").Pool(2) as pool:
        assert pool.map(work, range(10)) == [2 * n for n in range(10)]
    context.close()
""")
    assert done.stderr == ""


# --- the end of the interpreter -----------------------------------------------------------------------------------------------

ENDINGS = {
    "an open context in a global": "context = reml.Context(audit='log.ndjson'); context.load('fn f() -> Int = 1')",
    "a cycle with an open context": (
        "context = reml.Context(audit='log.ndjson')\nclass Node: pass\nnode = Node(); node.me = node; node.context = context\n"
        "context.define('f', lambda: node, signature='() -> Any')\ncontext.load('fn g() -> Int = 1')\ndel context, node"
    ),
    "a function and a proxy in globals": (
        "context = reml.Context(audit='log.ndjson')\nm = context.load('fn v() -> Vec<Int> = Vec.new()\\nfn a(n: Int) -> fn(Int) -> Int = |x| x + n')\n"
        "v = m['v'](); a = m['a'](1)\ncontext.execute('v'); taken = context.result_take(); borrowed = taken"
    ),
    "an exception in the block": "with reml.Context(audit='log.ndjson') as context:\n    context.load('fn f() -> Int = 1')\n    raise SystemExit(0)",
    "a daemon thread that runs a script": (
        "import threading, time\ndef work():\n    c = reml.Context(audit='log.ndjson'); c.load('fn main() -> Int { var i = 0; while true { i := i + 1 }; i }'); c.run()\n"
        "threading.Thread(target=work, daemon=True).start(); time.sleep(0.3)"
    ),
    "a daemon thread that calls back": (
        "import threading, time\ndef work():\n    c = reml.Context(audit='log.ndjson', output=lambda text: None); c.define('tick', lambda: None, signature='() -> ()')\n"
        "    c.load('fn main() -> Int { while true { tick(); println(\\\"x\\\") }; 1 }'); c.run()\nthreading.Thread(target=work, daemon=True).start(); time.sleep(0.3)"
    ),
    "a context of a thread that has ended": (
        "import threading\nbox = []\ndef work(): c = reml.Context(audit='log.ndjson'); c.load('fn f() -> Int = 1'); box.append(c)\n"
        "t = threading.Thread(target=work); t.start(); t.join()"
    ),
    "os._exit": "import os\ncontext = reml.Context(audit='log.ndjson'); context.load('fn f() -> Int = 1'); os._exit(0)",
    "a sink that lives until the end": (
        "from reml_embed.testing import MemorySink\nsink = MemorySink(); open('log.ndjson', 'w').close()\ncontext = reml.Context(audit=sink); context.load('fn f() -> Int = 1')"
    ),
    "a finaliser that uses the context": (
        "class Last:\n    def __init__(self, context): self.context = context\n    def __del__(self):\n        try: self.context.run('f')\n        except reml.RemlError: pass\n"
        "context = reml.Context(audit='log.ndjson'); context.load('fn f() -> Int = 1'); last = Last(context)"
    ),
}  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_interpreter_ends_silently_and_the_log_is_whole(python, tmp_path, ending):
    done = python(ENDINGS[ending] + "\n")
    assert (done.stdout, done.stderr) == ("", "")
    if (tmp_path / "log.ndjson").stat().st_size:
        assert reml.audit.verify(tmp_path / "log.ndjson").ok


def test_killing_a_process_loses_no_acknowledged_record(tmp_path):
    """The counter is printed after each call has returned; every call told of must be in the log."""
    log = tmp_path / "audit.ndjson"
    program = tmp_path / "program.py"
    program.write_text(
        f"import reml_embed as reml, sys\ncontext = reml.Context(audit={str(log)!r})\ncontext.load('fn main() -> Int = 1')\n"
        "for n in range(10**9):\n    context.run()\n    sys.stdout.write(f'{n + 1}\\n'); sys.stdout.flush()\n",
        encoding="utf-8",
    )
    for moment in (0.05, 0.11, 0.23):
        with subprocess.Popen([sys.executable, str(program)], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout.readline() == "1\n"
            time.sleep(moment)
            child.send_signal(signal.SIGKILL)
            rest = child.stdout.read().splitlines(keepends=True)
        acknowledged = int([line for line in ["1\n", *rest] if line.endswith("\n")][-1])
        reml.audit.recover(log)
        runs = sum('"reml_run"' in line for line in log.read_text(encoding="utf-8").splitlines())
        assert runs >= acknowledged
        assert reml.audit.verify(log).ok
        assert json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
        log.unlink()
