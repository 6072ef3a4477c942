"""
What the library is made of: ``library_size.py LIBRARY OBJECTS`` prints Markdown tables of a stripped copy's sections, of the code and data
of each folder below OBJECTS, and of the largest symbols. Needs strip, size and nm of binutils.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

LARGEST = 24
MEANINGS = {
    ".text": "code",
    ".rodata": "constants: texts, Unicode, the packed core library",
    ".data.rel.ro": "constants with addresses in them",
    ".data": "variables",
    ".eh_frame": "tables for unwinding",
    ".eh_frame_hdr": "tables for unwinding",
    ".rela.dyn": "addresses to be filled in",
    ".relr.dyn": "addresses to be filled in, packed",
    ".rela.plt": "functions of libc",
    ".plt": "functions of libc",
    ".dynsym": "names of the interface",
    ".dynstr": "names of the interface",
    ".gnu.hash": "names of the interface",
}


def output(*command: str) -> list[str]:
    """Lines that a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def stripped_size(library: Path) -> tuple[int, Counter[str]]:
    """Bytes of the file without its symbols and debug information, and of each section that is loaded."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / library.name
        shutil.copyfile(library, copy)
        subprocess.run(["strip", str(copy)], check=True)
        sections: Counter[str] = Counter()
        for line in output("size", "-A", "-d", str(copy)):
            words = line.split()
            if len(words) == 3 and words[0].startswith(".") and words[0] not in (".bss", ".tbss", ".comment"):
                sections[words[0]] += int(words[1])
        return copy.stat().st_size, sections


def folder_sizes(objects: Path) -> tuple[Counter[str], Counter[str]]:
    """Bytes of code and of data in the objects of each folder, before the linker leaves anything out."""
    code: Counter[str] = Counter()
    data: Counter[str] = Counter()
    for path in sorted(objects.rglob("*.o")):
        folder = path.relative_to(objects).parent.as_posix()
        for line in output("size", "-A", "-d", str(path)):
            words = line.split()
            if len(words) != 3:
                continue
            if words[0].startswith(".text"):
                code[folder] += int(words[1])
            elif words[0].startswith((".rodata", ".data")):
                data[folder] += int(words[1])
    return code, data


def main() -> int:
    """Command line."""
    if len(sys.argv) != 3:
        print("usage: library_size.py LIBRARY OBJECTS", file=sys.stderr)
        return 2
    library, objects = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        total, sections = stripped_size(library)
        code, data = folder_sizes(objects)
        symbols = [line.split() for line in output("nm", "--size-sort", "-r", "-S", "-t", "d", str(library))]
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"library_size: {error}", file=sys.stderr)
        return 2
    print(f"{library.name}, stripped: {total:,} bytes, {total / 1024:.0f} KiB\n\n| section | bytes | |\n|---|---:|---|")
    for name, size in sections.most_common():
        print(f"| `{name}` | {size:,} | {MEANINGS.get(name, '')} |")
    print("\n| folder | code | data |\n|---|---:|---:|")
    for folder in sorted(code, key=lambda each: -code[each] - data[each]):
        print(f"| {folder} | {code[folder]:,} | {data[folder]:,} |")
    print("\n| symbol | bytes | kind |\n|---|---:|---|")
    for _, size, kind, name in [words for words in symbols if len(words) == 4][:LARGEST]:
        print(f"| `{name}` | {int(size):,} | {kind} |")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
