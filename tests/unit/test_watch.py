"""``reml watch FILE``: reload on save, the last good version serves on (issue 7; CONTRACTS 11)."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

pytest.importorskip("watchfiles")

GOOD = "module Scene\nfn main() -> Int = {n}\nfn step(x: Int) -> Int = x + {n}\n"


class Session:
    """`reml watch` in a process of its own; its lines arrive in `lines`."""

    def __init__(self, folder, *arguments):
        self.file = folder / "scene.reml"
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        environment.pop("REML_EMBED_AUDIT_PATH", None)
        command = [sys.executable, "-m", "reml_embed.cli", "watch", str(self.file), *arguments]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder, env=environment
        )
        self.lines = []
        self.arrived = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stdout:
            with self.arrived:
                self.lines.append(line.rstrip("\n"))
                self.arrived.notify_all()

    def wait(self, part, count=1):
        with self.arrived:
            found = self.arrived.wait_for(lambda: sum(part in line for line in self.lines) >= count, timeout=30)
        assert found, (part, self.lines)

    def end(self, code):
        assert self.process.wait(30) == code, self.lines
        self.reader.join(10)


@pytest.fixture
def watching(tmp_path):
    sessions = []

    def start(text, *arguments):
        (tmp_path / "scene.reml").write_text(text)
        sessions.append(Session(tmp_path, *arguments))
        return sessions[-1]

    yield start
    for session in sessions:
        if session.process.poll() is None:
            session.process.kill()
            session.process.wait(10)
        session.process.stdout.close()


def test_a_save_reloads_and_calls_main_again_until_ctrl_c_ends_with_130(watching):
    session = watching(GOOD.format(n=1))
    session.wait("main() = 1")
    session.file.write_text(GOOD.format(n=2))
    session.wait("main() = 2")
    assert any(line.startswith("reloaded Scene, audit id ") for line in session.lines)
    session.process.send_signal(signal.SIGINT)
    session.end(130)
    assert not any("Traceback" in line for line in session.lines)


def test_added_and_modified_are_treated_alike(watching, tmp_path):
    session = watching(GOOD.format(n=1), "--versions", "3")
    session.wait("main() = 1")
    (tmp_path / "new").write_text(GOOD.format(n=2))
    (tmp_path / "new").replace(session.file)  # as editors save
    session.wait("main() = 2")
    session.file.unlink()
    time.sleep(0.2)
    session.file.write_text(GOOD.format(n=3))  # gone for a while
    session.wait("main() = 3")
    session.end(0)


def test_errors_are_shown_and_the_last_good_version_serves_on(watching):
    session = watching(GOOD.format(n=1), "--versions", "4")
    session.wait("main() = 1")
    session.file.write_text('module Scene\nfn main() -> Int = "x"\n')
    session.wait("the last good version serves on")
    assert any("scene.reml:2:" in line for line in session.lines)
    session.file.write_text("module Scene\nfn main() -> Int = 3\n")
    session.wait("step: (Int) -> Int is not there any more")
    session.wait("the last good version serves on", 2)
    session.file.write_text(GOOD.format(n=4))
    session.wait("main() = 4")
    session.end(0)


def test_a_first_version_that_does_not_load_waits_for_one_that_does(watching):
    session = watching("module Scene\nfn main( -> Int\n", "--versions", "2")
    session.wait("waiting for a version that loads")
    session.file.write_text(GOOD.format(n=1))
    session.wait("serving Scene")
    session.end(0)


def test_entry_allow_and_arguments_of_the_program(watching):
    source = 'module Scene\nuse Core.Env\nfn twice() -> Int = {n} * 2\nfn first() -> Str = match Env.args() with | [a, ..rest] -> a | _ -> "none"\n'
    session = watching(source.format(n=1), "--entry", "twice", "--allow", "first", "--versions", "2", "--", "word")
    session.wait("twice() = 2")
    session.file.write_text("module Scene\nfn twice() -> Int = 40\n")
    session.wait("twice() = 40")
    session.end(0)


def test_a_file_that_is_not_there_is_wrong_usage(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "reml_embed.cli", "watch", str(tmp_path / "no.reml")], capture_output=True, check=False
    )
    assert done.returncode == 2
