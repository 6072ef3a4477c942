"""
`reml run --audit` is killed with signal 9 at random moments: no record of what it had already shown is lost, and the log verifies.

REML_KILLS changes the number of kills, REML_KILL_SEED repeats a run. (The library alone is killed in tests/native/stress_kill.c.)
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from reml_embed.audit import recover, verify

KILLS = int(os.environ.get("REML_KILLS", "200"))
SEED = int(os.environ.get("REML_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 30)
KILLS_PER_LOG = 10
CALLS = ("reml_create_context", "reml_load_module", "reml_run", "reml_dispose_context")
REML = [sys.executable, "-c", "from reml_embed.cli import main; main()"]

# Prints when it begins, works for some milliseconds, and has a value, which the command prints when the context is closed.
PROGRAM = """
fn main() -> Str {
  println("begun")
  var n = 0
  while n < 300000 { n := n + 1 }
  "finished"
}
"""


@dataclass
class Campaign:
    """One log and the processes that were killed while writing it, one after the other."""

    folder: Path
    random: random.Random
    acknowledged: list[int] = field(
        default_factory=list
    )  # lifecycle records that must be there, judging by what was shown

    @property
    def log(self) -> Path:
        return self.folder / "audit.ndjson"

    def kill_one(self) -> bool:
        """Start `reml run`, kill it; False when it had ended before."""
        program = self.folder / "program.reml"
        program.write_text(PROGRAM, encoding="utf-8")
        command = [*REML, "run", str(program), "--audit", str(self.log)]
        environment = os.environ | {"PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
            assert process.stdout
            assert process.stderr
            shown = b""
            if self.random.random() < 0.75:
                shown = process.stdout.readline()
                time.sleep(self.random.uniform(0, 0.02))
            else:
                time.sleep(self.random.uniform(0.02, 0.2))
            process.send_signal(signal.SIGKILL)
            shown += process.stdout.read()
            errors = process.stderr.read().decode()
            ended_by = process.wait(timeout=60)
        assert ended_by in (0, -signal.SIGKILL), errors
        assert errors == ""
        words = shown.decode().split()
        assert words in ([], ["begun"], ["begun", "finished"])
        self.acknowledged.append((0, 2, len(CALLS))[len(words)])
        return ended_by == -signal.SIGKILL

    def check(self) -> None:
        """The log as the next opener finds it, and after recovery."""
        if not self.log.exists():
            assert not any(self.acknowledged)
            return
        before = verify(self.log)
        assert before.ok, before
        recover(self.log)
        report = verify(self.log)
        assert (report.verdict, report.pending, report.torn_bytes) == ("ok", 0, 0), report
        records = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
        assert len(records) == report.records
        metadata = [record["envelope"]["metadata"] for record in records]
        assert [entry["audit.sequence"] for entry in metadata] == list(range(1, len(records) + 1))
        assert len({record["envelope"]["audit_id"] for record in records}) == len(records)
        found = lengths(metadata)
        assert belong(found, self.acknowledged), (SEED, found, self.acknowledged)


def lengths(metadata: list[dict[str, object]]) -> list[int]:
    """How many lifecycle records each process has in the log; each begins with create and goes on in order, none twice."""
    found: list[int] = []
    for entry in metadata:
        if entry["event.kind"] != "native.embed.call":
            assert entry["event.kind"] in ("ffi.call", "audit.recovered", "pipeline_started", "pipeline_completed")
            assert entry.get("audit.recovery.damaged_events", 0) == entry.get("audit.recovery.missing_records", 0) == 0
            continue
        assert entry["embed.status"] == "ok"
        if entry["native.embed.entrypoint"] == CALLS[0]:
            found.append(0)
        assert entry["native.embed.entrypoint"] == CALLS[found[-1]]
        found[-1] += 1
    return found


def belong(found: list[int], acknowledged: list[int]) -> bool:
    """Do these records belong to those processes, in order? One that had shown nothing may have left none."""
    if not acknowledged:
        return not found
    first, rest = acknowledged[0], acknowledged[1:]
    if found and found[0] >= first and belong(found[1:], rest):
        return True
    return first == 0 and belong(found, rest)


def run_campaign(folder: Path, number: int, kills: int) -> int:
    """Kill so many processes on one log; how many had shown something."""
    folder.mkdir()
    campaign = Campaign(folder, random.Random(SEED + number))
    done = 0
    while done < kills:
        done += campaign.kill_one()
        if campaign.random.random() < 0.3 or done == kills:
            campaign.check()
    return sum(records > 0 for records in campaign.acknowledged)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no signal 9 here")
def test_kill_9_loses_no_acknowledged_record(tmp_path: Path) -> None:
    logs = [(tmp_path / str(i), i, min(KILLS_PER_LOG, KILLS - i)) for i in range(0, KILLS, KILLS_PER_LOG)]
    with ThreadPoolExecutor(max_workers=2) as pool:
        shown = sum(pool.map(lambda arguments: run_campaign(*arguments), logs))
    assert shown > KILLS // 3, "too few processes came as far as printing: the moments are badly chosen"
    last = tmp_path / str(logs[-1][1]) / "audit.ndjson"
    told = subprocess.run([*REML, "audit", "verify", str(last)], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert "ok" in told.stdout


@pytest.mark.parametrize(
    ("found", "acknowledged", "expected"),
    [
        ([4, 2], [4, 2], True),
        ([4, 2, 1], [4, 0, 2, 0], True),
        ([4], [4, 2], False),
        ([1], [2], False),
        ([2, 2], [2], False),
        ([], [0, 0], True),
    ],
)
def test_records_are_matched_with_processes(found: list[int], acknowledged: list[int], *, expected: bool) -> None:
    assert belong(found, acknowledged) is expected
