"""
Turn the core library's source in Reml into C data, so that the library carries it and reads no file at run time.

Called by the Makefile (``embed_prelude.py FOLDER OUTPUT``) and by build_ffi.py (``write(folder, output)``). The file that is made holds
the sources one behind the other, packed, and in ascending order of the file names::

    enum { PRELUDE_BYTES = … };                                  what all of them have, unpacked
    static const unsigned char prelude_packed[] = { … };
    static const prelude_source_t prelude_sources[] = { {name, length}, … };

The including file declares ``prelude_source_t`` and unpacks (host/prelude.c). Packed is a row of steps: a byte with two lengths of four
bits, of bytes that stand here and of bytes that stood before, less LEAST; 15 means that bytes to add follow, up to one that is not 255;
the bytes; how far back the others begin, two bytes, low one first. The last step has nothing of before.
"""

import sys
from pathlib import Path

ROW_BYTES = 24
LEAST = 4
FARTHEST = 65535


def longest(data: bytes, at: int, known: dict[bytes, list[int]]) -> tuple[int, int]:
    """Length and distance of the longest run of bytes before *at* that goes on as *at* does; the nearest of equal ones."""
    best, distance = 0, 0
    for start in reversed(known.get(data[at : at + LEAST], ())):
        if at - start > FARTHEST:
            break
        length = LEAST
        while at + length < len(data) and data[start + length] == data[at + length]:
            length += 1
        if length > best:
            best, distance = length, at - start
    return best, distance


def pack(data: bytes) -> bytes:
    """*data* in the form above. A run is put off by a byte where a longer one begins there."""
    out = bytearray()
    known: dict[bytes, list[int]] = {}

    def more(length: int) -> None:
        if length >= 15:
            out.extend(b"\xff" * ((length - 15) // 255))
            out.append((length - 15) % 255)

    def step(plain: bytes, length: int, distance: int) -> None:
        rest = length - LEAST if length else 0
        out.append(min(len(plain), 15) << 4 | min(rest, 15))
        more(len(plain))
        out.extend(plain)
        if length:
            out.extend(distance.to_bytes(2, "little"))
            more(rest)

    done = at = noted = 0
    while at + LEAST <= len(data):
        for place in range(noted, at + 1):
            known.setdefault(data[place : place + LEAST], []).append(place)
        noted = at + 1
        known[data[at : at + LEAST]].pop()  # not of itself
        length, distance = longest(data, at, known)
        known[data[at : at + LEAST]].append(at)
        if length and longest(data, at + 1, known)[0] <= length + 1:
            step(data[done:at], length, distance)
            done = at = at + length
        else:
            at += 1
    step(data[done:], 0, 0)
    return bytes(out)


def unpack(packed: bytes) -> bytes:
    """What `pack` was given: the same steps as in host/prelude.c."""
    out = bytearray()
    at = 0

    def read(length: int) -> int:
        nonlocal at
        while length >= 15:
            length += packed[at]
            at += 1
            if packed[at - 1] != 255:
                break
        return length

    while at < len(packed):
        head = packed[at]
        at += 1
        plain = read(head >> 4)
        out += packed[at : at + plain]
        at += plain
        if at == len(packed):
            break
        distance = int.from_bytes(packed[at : at + 2], "little")
        at += 2
        for _ in range(read(head & 15) + LEAST):
            out.append(out[-distance])
    return bytes(out)


def render(folder: Path) -> str:
    """The C text for all ``*.reml`` files of *folder*; without any, of one empty source."""
    names, texts = [], []
    for path in sorted(folder.glob("*.reml")):
        names.append(path.name)
        texts.append(path.read_bytes().replace(b"\r\n", b"\n"))
        texts[-1].decode("utf-8")  # a broken file must fail here, not when the library starts
    packed = pack(b"".join(texts))
    lines = "".join(
        f"    {', '.join(map(str, packed[at : at + ROW_BYTES]))},\n" for at in range(0, len(packed), ROW_BYTES)
    )
    rows = [f'    {{"{name}", {len(text)}u}},\n' for name, text in zip(names, texts, strict=True)]
    return (
        "/* Made by tools/embed_prelude.py from native/src/vm/core; edit there. */\n\n"
        f"enum {{ PRELUDE_BYTES = {sum(map(len, texts))} }};\n"
        f"static const unsigned char prelude_packed[] = {{\n{lines}}};\n\n"
        "static const prelude_source_t prelude_sources[] = {\n" + ("".join(rows) or '    {"none", 0u},\n') + "};\n"
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
