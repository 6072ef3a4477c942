"""
Turn the core library's source in Reml into a C table, so that the library carries it and reads no file at run time.

Called by the Makefile (``embed_prelude.py FOLDER OUTPUT``) and by build_ffi.py (``write(folder, output)``). The file that is
made holds, in ascending order of the file names::

    static const prelude_source_t prelude_sources[] = { {name, text, length}, … };

The including file declares ``prelude_source_t`` first. *text* is the file's bytes with one NUL more than *length* counts; byte
arrays, since a C11 compiler may refuse long strings.
"""

import sys
from pathlib import Path

ROW_BYTES = 24


def render(folder: Path) -> str:
    """The C text for all ``*.reml`` files of *folder*; without any, a table of one empty source."""
    arrays, rows = [], []
    for number, path in enumerate(sorted(folder.glob("*.reml"))):
        data = path.read_bytes().replace(b"\r\n", b"\n")
        data.decode("utf-8")  # a broken file must fail here, not when the library starts
        signed = [str(byte - 256 if byte > 127 else byte) for byte in data] + ["0"]
        lines = "".join(f"    {', '.join(signed[at : at + ROW_BYTES])},\n" for at in range(0, len(signed), ROW_BYTES))
        arrays.append(f"/* {path.name} */\nstatic const signed char prelude_text_{number}[] = {{\n{lines}}};\n\n")
        rows.append(f'    {{"{path.name}", (const char*)prelude_text_{number}, {len(data)}u}},\n')
    return (
        "/* Made by tools/embed_prelude.py from native/src/vm/core; edit there. */\n\n"
        + "".join(arrays)
        + "static const prelude_source_t prelude_sources[] = {\n"
        + ("".join(rows) or '    {"none", "", 0u},\n')
        + "};\n"
    )


def write(folder: Path, output: Path) -> bool:
    """Write *output* if its text changes (so that nothing is compiled again for nothing); say whether it did."""
    text = render(folder)
    if output.exists() and output.read_text(encoding="utf-8") == text:
        return False
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(text, encoding="utf-8")
    return True


def main() -> int:
    """Command line: FOLDER OUTPUT."""
    if len(sys.argv) != 3:
        print("usage: embed_prelude.py FOLDER OUTPUT", file=sys.stderr)
        return 2
    output = Path(sys.argv[2])
    write(Path(sys.argv[1]), output)
    output.touch()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
