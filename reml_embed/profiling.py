"""
Where the time of a context's runs goes: a sampling profile (``reml_profile.h``) as stacks with weights, and as a flame graph.

Comes in: a context, through `Context.profile`. Goes out: `Profile`; files in the form that other tools read, and SVG.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from reml_embed._ffi import ffi, lib, owned_text
from reml_embed._files import replace_file

if TYPE_CHECKING:
    from reml_embed.context import Context

Stack = tuple[str, ...]


class Profile:
    """
    Stacks and how long each stood; see `Context.profile`.

    A frame is the name of a function: ``Billing.total``, ``Point.length``, ``pick<Int>``, ``total <fn lambda>:12`` for a lambda in line 12.
    What is not code of a script is in brackets: ``[list.push]``, ``[host price]``, ``[collector]``, ``[waiting]``; ``…`` stands for the outer
    part of a very deep stack.

    Attributes:
        interval: seconds, least time between two samples.
        stacks: nanoseconds by stack, the outermost frame first. The weights together are the time spent in runs.
        samples: how many were taken.
        incomplete: memory was short: some time counts for the callers of the function that took it.
    """

    __slots__ = ("incomplete", "interval", "samples", "stacks")

    def __init__(
        self, stacks: Mapping[Stack, int] | None = None, *, interval: float = 0.001, samples: int = 0,
        incomplete: bool = False,
    ) -> None:  # fmt: skip
        self.stacks: dict[Stack, int] = dict(stacks or {})
        self.interval = interval
        self.samples = samples
        self.incomplete = incomplete

    def __repr__(self) -> str:
        return f"<Profile of {self.elapsed_ns / 1e9:.3f} s, {len(self.stacks)} stacks>"

    @property
    def elapsed_ns(self) -> int:
        """Nanoseconds of all stacks together."""
        return sum(self.stacks.values())

    def functions(self) -> dict[str, tuple[int, int]]:
        """
        By frame: nanoseconds in it alone, and with all that it called. Recursion counts once; the most of its own time comes first.
        """
        own, whole = dict[str, int](), dict[str, int]()
        for stack, weight in self.stacks.items():
            own[stack[-1]] = own.get(stack[-1], 0) + weight
            for frame in set(stack):
                whole[frame] = whole.get(frame, 0) + weight
        return {
            frame: (own.get(frame, 0), whole[frame])
            for frame in sorted(whole, key=lambda frame: (-own.get(frame, 0), -whole[frame], frame))
        }

    def folded(self) -> str:
        """
        The stacks as flame graph tools read them, sorted: a line each, frames separated by ``;``, a space, nanoseconds. In names ``;`` is ``:``
        and a line end a blank.
        """
        lines: dict[str, int] = {}
        for stack, weight in self.stacks.items():
            line = ";".join(_plain(frame) for frame in stack)
            lines[line] = lines.get(line, 0) + weight
        return "".join(f"{line} {weight}\n" for line, weight in sorted(lines.items()))

    def svg(self, title: str = "reml-embed") -> str:
        """The flame graph: a picture that needs nothing else, in a browser it zooms and searches."""
        from reml_embed._flame import draw  # noqa: PLC0415  (most profiles are looked at elsewhere)

        return draw(self.stacks, title, samples=self.samples)

    def write_folded(self, path: str | os.PathLike[str]) -> None:
        """
        Put `folded` into a file, replaced whole.

        Raises:
            OSError: it cannot be written; an old one is as it was.
        """
        replace_file(path, self.folded())

    def write_svg(self, path: str | os.PathLike[str], title: str = "reml-embed") -> None:
        """
        Put `svg` into a file, replaced whole.

        Raises:
            OSError: it cannot be written; an old one is as it was.
        """
        replace_file(path, self.svg(title))


def read_folded(text: str) -> dict[Stack, int]:
    """
    Stacks from the text that `Profile.folded` and the library write.

    Raises:
        ValueError: a line has another form; the error names it.
    """
    stacks: dict[Stack, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line:
            continue
        frames, _, weight = line.rpartition(" ")
        if not frames or not (weight.isascii() and weight.isdigit()):
            raise ValueError(f"line {number}: expected frames separated by `;`, a space and a number")
        stack = tuple(frames.split(";"))
        stacks[stack] = stacks.get(stack, 0) + int(weight)
    return stacks


@contextmanager
def profiled(context: Context, interval: float) -> Iterator[Profile]:
    """See `Context.profile`."""
    if not 0 <= interval <= 3600:
        raise ValueError(f"interval must be between 0 and 3600 seconds, got {interval!r}")
    context._raise_for(lib.reml_profile_start(context._id, round(interval * 1e9)))
    profile = Profile(interval=interval)
    try:
        yield profile
    finally:
        if not context.closed:  # else nothing is left of it
            _take(context, profile)


def _take(context: Context, profile: Profile) -> None:
    """End the profile of the library and take what it has gathered."""
    totals = ffi.new("reml_profile_totals_t*", {"struct_size": ffi.sizeof("reml_profile_totals_t")})
    context._raise_for(lib.reml_profile_stop(context._id))
    context._raise_for(lib.reml_profile_totals(context._id, totals))
    status, text = owned_text(lambda out, length: lib.reml_profile_folded(context._id, out, length))
    context._raise_for(status)
    profile.stacks = read_folded(text)
    profile.samples, profile.incomplete = int(totals.samples), bool(totals.incomplete)


def _plain(frame: str) -> str:
    """A name that neither ends a frame nor a line."""
    return "".join(":" if sign == ";" else sign if sign.isprintable() else " " for sign in frame)
