"""`_files.locked`: one at a time, among threads and among processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from reml_embed._files import locked

ADD = """
import sys
from pathlib import Path
from reml_embed._files import locked
lock, counter = Path(sys.argv[1]), Path(sys.argv[2])
for _ in range(200):
    with locked(lock):
        counter.write_text(str(int(counter.read_text()) + 1))
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_processes_take_turns(tmp_path: Path, kind: str) -> None:
    lock, counter = tmp_path / "pages", tmp_path / "counter"
    counter.write_text("0")
    if kind == "folder":
        lock.mkdir()
    running = [subprocess.Popen([sys.executable, "-c", ADD, str(lock), str(counter)]) for _ in range(3)]
    assert [one.wait() for one in running] == [0, 0, 0]
    assert counter.read_text() == "600"


def test_threads_take_turns(tmp_path: Path) -> None:
    counter = [0]

    def add() -> None:
        for _ in range(200):
            with locked(tmp_path / "index.json"):
                seen = counter[0]
                threading.Event().wait(0)
                counter[0] = seen + 1

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter == [800]


def test_a_folder_that_is_locked_stays_empty(tmp_path: Path) -> None:
    folder = tmp_path / "pages"
    folder.mkdir()
    with locked(folder):
        assert list(folder.iterdir()) == []
    assert [path.name for path in tmp_path.iterdir()] == ["pages"]


def test_a_file_need_not_be_there(tmp_path: Path) -> None:
    with locked(tmp_path / "new" / "state.json"):
        assert [path.name for path in (tmp_path / "new").iterdir()] == [".state.json.lock"]


def test_the_lock_is_free_after_a_failure(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path / "a"):
        raise KeyError
    with locked(tmp_path / "a"):
        pass
