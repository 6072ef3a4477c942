"""The library does not grow unnoticed, and the core library that it carries is its sources."""

from __future__ import annotations

import importlib.util
import platform
import random
import shutil
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "build" / "libreml_embed.so.0"
FLAGS = ROOT / "build" / "release" / "flags"
# `make size` says what it is made of, docs/performance.md why it is not less. Whoever raises this says there what for.
CEILING = 1_400_000


def load_tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.skipif(
    platform.machine() != "x86_64" or not shutil.which("strip"), reason="measured on x86-64 with binutils"
)
@pytest.mark.skipif(not LIBRARY.exists(), reason="`make lib` has not been run")
def test_the_stripped_library_stays_below_its_ceiling() -> None:
    if " -O2 " not in FLAGS.read_text(encoding="utf-8"):
        pytest.skip("built with flags of one's own")
    total, sections = load_tool("library_size").stripped_size(LIBRARY)
    assert total <= CEILING, f"{total} bytes: {sections.most_common(6)}"
    assert total >= sections[".text"] + sections[".rodata"]


def test_packed_sources_are_the_sources() -> None:
    tool = load_tool("embed_prelude")
    core = b"".join(path.read_bytes() for path in sorted((ROOT / "native" / "src" / "vm" / "core").glob("*.reml")))
    packed = tool.pack(core)
    assert tool.unpack(packed) == core
    assert len(packed) < len(core) / 3


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 15, 18, 19, 20, 300, 3000])
def test_anything_can_be_packed(size: int) -> None:
    tool = load_tool("embed_prelude")
    numbers = random.Random(size)
    for data in (bytes(size), bytes(numbers.randrange(2) for _ in range(size)), numbers.randbytes(size)):
        assert tool.unpack(tool.pack(data)) == data


def test_runs_reach_as_far_back_as_two_bytes_tell() -> None:
    tool = load_tool("embed_prelude")
    word = random.Random(1).randbytes(40)
    for distance in (tool.FARTHEST - 1, tool.FARTHEST, tool.FARTHEST + 1):
        data = word + bytes(distance - len(word)) + word
        assert tool.unpack(tool.pack(data)) == data
