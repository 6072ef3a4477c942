"""The same with zlib, base64 and itertools."""

import base64
import itertools
import zlib

for text in ["", "a", "123456789", "The quick brown fox jumps over the lazy dog", "äöü€😀", "aaaabbbc"]:
    data = text.encode()
    print(f'"{text}" {zlib.crc32(data):08x} {zlib.adler32(data):08x} {base64.b64encode(data).decode()} true')
print("".join(f"{len(list(g))}{chr(k)}" for k, g in itertools.groupby(b"aaaabbbc")))
print(f'(Err("length 3"), Err("no digit: *"), Ok("{base64.b64decode("AAEC/w==").hex()}"))')
print("Bytes[" + bytes([0, 1, 2, 255]).hex(" ") + "]")
