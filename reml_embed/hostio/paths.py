"""
Paths (CONTRACTS 6.2): names of files, patterns, and policies about where they may lead.

`path`, `join`, `parent`, `normalize` and `is_absolute` are functions of their arguments. `validate_path`, `sandbox_path` and `is_safe_symlink` look
at the file system, and say what is true at that moment; what has to stay true is done by `beneath`, which walks down from the root with one
descriptor for each folder and never follows a link by itself. Files of a `Host` with a policy are opened through it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from reml_embed.errors import require
from reml_embed.hostio.adapters import Host
from reml_embed.hostio.context import GlobStats, IoContext, PathLike, count_effects, shown
from reml_embed.hostio.errors import IoError, IoErrorKind, PathSecurityError

#: Links that are followed one after another before they count as a loop.
LINKS_MOST: Final = 40
#: Paths that a glob may find.
MATCHES_MOST: Final = 1 << 20

_FOLDER = os.O_RDONLY | getattr(os, "O_PATH", 0) | os.O_DIRECTORY | os.O_CLOEXEC


# --- names ------------------------------------------------------------------------------------------------------------------


def _text(given: PathLike) -> str:
    """
    A path as `os` takes it.

    Raises:
        IoError: InvalidInput (``core.path.error``): empty, a NUL, or no text that names a file.
    """
    text = os.fspath(given)
    if isinstance(text, bytes):
        text = os.fsdecode(text)
    problem = "an empty path" if not text else "a NUL in a path" if "\0" in text else None
    if problem is None:
        try:
            os.fsencode(text)
        except UnicodeEncodeError:
            problem = "a path with surrogates that stand for no byte"
    if problem is not None:
        raise IoError(IoErrorKind.InvalidInput, f"{shown(text)!r}: {problem}", code="core.path.error")
    return text


def path(text: PathLike) -> Path:
    """
    A path from its text; it is only a name until it is used. Names that are no UTF-8 keep their bytes.

    Raises:
        IoError: InvalidInput (``core.path.error``): it is empty, or has a NUL.
    """
    return Path(_text(text))


def join(base: PathLike, *more: PathLike) -> Path:
    """*base* with *more* behind it; an absolute part begins anew. Raises: IoError: as `path`."""
    return Path(_text(base), *(_text(part) for part in more))


def parent(given: PathLike) -> Path | None:
    """What a path is in; None for the root and ``.``. Raises: IoError: as `path`."""
    found = path(given)
    return None if found.parent == found else found.parent


def normalize(given: PathLike) -> Path:
    """Without ``.``, and without ``..`` where a name stands before it. It does not look at the file system. Raises: IoError: as `path`."""
    return Path(_normal(_text(given)))


def is_absolute(given: PathLike) -> bool:
    """Does it begin at the root? Raises: IoError: as `path`."""
    return os.path.isabs(_text(given))  # noqa: PTH117  (texts, not objects)


def _normal(text: str) -> str:
    normal = os.path.normpath(text)
    return "/" + normal.lstrip("/") if normal.startswith("//") else normal


# --- policies ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SecurityPolicy:
    """
    Where paths may lead.

    Attributes:
        allowed_roots: absolute paths of folders; without one nothing is allowed.
        allow_relative: may a path be relative? It is taken from the working directory.
        allow_symlinks: may links be on the way, as long as they stay below the root?
        name: for records.
        digest: SHA-256 over the rest; made when it is not given.
    """

    allowed_roots: tuple[str, ...]
    allow_relative: bool = False
    allow_symlinks: bool = False
    name: str = "policy"
    digest: str = field(default="")

    def __post_init__(self) -> None:
        roots = self.allowed_roots
        if isinstance(roots, str | bytes | os.PathLike):
            raise TypeError("allowed_roots: expected a sequence of paths, got one path")
        texts = tuple(_normal(_text(root)) for root in roots)
        for root in texts:
            if not os.path.isabs(root):  # noqa: PTH117
                raise ValueError(f"allowed_roots: expected absolute paths, got {shown(root)!r}")
        object.__setattr__(self, "allowed_roots", texts)
        if not self.digest:
            said = [[shown(root) for root in texts], self.allow_relative, self.allow_symlinks, self.name]
            object.__setattr__(self, "digest", hashlib.sha256(json.dumps(said).encode()).hexdigest())


def _inside(text: str, root: str) -> bool:
    return text == root or text.startswith(root if root.endswith("/") else root + "/")


def _refuse(reason: str, given: str, **more: Any) -> PathSecurityError:
    offending = more.pop("offending", None)
    more["offending_path"] = None if offending is None else shown(offending)
    root = more.pop("root", None)
    return PathSecurityError(reason, shown(given), root=None if root is None else shown(root), **more)


def _judged(given: PathLike, policy: SecurityPolicy | None = None) -> str:
    """`_text`, but what names no file is a `PathSecurityError`."""
    try:
        return _text(given)
    except IoError as error:
        raise _refuse("invalid_path", shown(given), policy=policy, detail=error.message.partition(": ")[2]) from None


def _climbs(text: str) -> bool:
    """Does a ``..`` of a relative path leave where it begins, or one of an absolute path the root?"""
    depth = 0
    for part in text.split("/"):
        if part == "..":
            depth -= 1
            if depth < 0:
                return True
        elif part not in ("", "."):
            depth += 1
    return False


def _placed(given: PathLike, policy: SecurityPolicy) -> tuple[str, str, str]:
    """
    What a path is by its text alone: (as given, the allowed root, the rest below it).

    Raises:
        PathSecurityError.
    """
    text = _judged(given, policy)
    absolute = os.path.isabs(text)  # noqa: PTH117
    first = policy.allowed_roots[0] if policy.allowed_roots else None
    if not absolute and not policy.allow_relative:
        raise _refuse("relative_path_denied", text, policy=policy, root=first)
    if _climbs(text):
        raise _refuse("traversal_detected", text, policy=policy, root=first)
    full = text if absolute else os.path.join(os.getcwd(), text)  # noqa: PTH118, PTH109
    normal = _normal(full)
    for root in policy.allowed_roots:
        for known in dict.fromkeys((root, os.path.realpath(root))):
            if _inside(normal, known):
                # `..` stay in the rest: behind a link they lead elsewhere than the text says
                plain = _normal_slashes(full)
                rest = plain[len(known) :].strip("/") if _inside(plain, known) else ".."
                return text, root, normal[len(known) :].strip("/") if _climbs(rest) else rest
    reason = "traversal_detected" if ".." in text.split("/") else "outside_allowed_root"
    raise _refuse(reason, text, policy=policy, root=first)


def _normal_slashes(text: str) -> str:
    return "/" + "/".join(part for part in text.split("/") if part not in ("", "."))


class _Walk:
    """A way down from a root: open folders, and the links that were met."""

    def __init__(self, given: str, root: str, policy: SecurityPolicy) -> None:
        self.given, self.root, self.policy = given, root, policy
        self.links = 0
        self.folders = [os.open(root, _FOLDER)]
        self.names: list[str] = []
        self.rest: list[str] = []  # where it stopped, because there is nothing

    def refuse(self, reason: str, offending: str | None = None, detail: str | None = None) -> PathSecurityError:
        where = None if offending is None else os.path.join(self.root, *self.names, offending)  # noqa: PTH118
        return _refuse(reason, self.given, root=self.root, policy=self.policy, offending=where, detail=detail)

    def close(self) -> None:
        while self.folders:
            os.close(self.folders.pop())

    def target(self, name: str) -> str | None:
        """Where *name* leads; None: it is no link."""
        try:
            if not stat.S_ISLNK(os.lstat(name, dir_fd=self.folders[-1]).st_mode):
                return None
            return os.readlink(name, dir_fd=self.folders[-1])
        except FileNotFoundError:
            raise
        except OSError as error:
            if error.errno == errno.EINVAL:  # it was one a moment ago
                return None
            raise

    def follow(self, name: str) -> list[str]:
        """The parts of a link's target, once it may be followed."""
        target = self.target(name) or ""
        if not self.policy.allow_symlinks:
            raise self.refuse("symlink_denied", name)
        self.links += 1
        if self.links > LINKS_MOST:
            raise self.refuse("symlink_inspection_failed", name, "too many links, or a loop of them")
        if target.startswith("/"):
            raise self.refuse("symlink_absolute_target", name)
        return target.split("/")

    def down(self, parts: list[str], *, follow_last: bool) -> str:
        """Go; the last name, which `folders[-1]` holds (``.``: the folder itself)."""
        pending = parts[::-1]
        while pending:
            self.rest = pending[::-1]
            name = pending.pop()
            if name in ("", "."):
                continue
            if name == "..":
                if len(self.folders) == 1:
                    raise self.refuse("symlink_traversal" if self.links else "traversal_detected")
                os.close(self.folders.pop())
                self.names.pop()
                continue
            last = not any(part not in ("", ".") for part in pending)
            try:
                is_link = self.target(name) is not None
            except FileNotFoundError:
                if last:
                    return name
                raise
            if is_link and (follow_last or not last):
                pending.extend(self.follow(name)[::-1])
                continue
            if last:
                return name
            self.folders.append(os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=self.folders[-1]))
            self.names.append(name)
        return "."


@contextmanager
def beneath(given: PathLike, policy: SecurityPolicy, *, follow_last: bool = True) -> Iterator[tuple[int, str]]:
    """
    The folder that holds a path, as a descriptor that lives as long as the block, and the last name of the path.

    Each folder on the way is opened from the one above it, and links are followed only as the policy says: nobody can move the path out of
    its root in between. Open the name with ``dir_fd`` and ``O_NOFOLLOW``.

    Args:
        follow_last: is the last name followed when it is a link?

    Raises:
        PathSecurityError: the policy refuses it. OSError: a folder on the way is not there, or cannot be opened.
    """
    text, root, rest = _placed(given, policy)
    walk = _Walk(text, root, policy)
    try:
        name = walk.down(rest.split("/"), follow_last=follow_last)
        yield walk.folders[-1], name
    finally:
        walk.close()


def check(given: PathLike, policy: SecurityPolicy) -> Path:
    """
    `validate_path` without guard and record.

    Raises:
        PathSecurityError.
    """
    text, root, rest = _placed(given, policy)
    walk = None
    try:
        walk = _Walk(text, root, policy)
        name = walk.down(rest.split("/"), follow_last=True)
        return Path(_normal(os.path.join(root, *walk.names, name)))  # noqa: PTH118  (texts)
    except PathSecurityError:
        raise
    except OSError as error:
        if walk is not None and isinstance(error, FileNotFoundError | NotADirectoryError):
            return Path(_normal(os.path.join(root, *walk.names, *walk.rest)))  # noqa: PTH118  (nothing is there)
        words = f"cannot be inspected: {(error.strerror or '').lower()}"
        raise _refuse("io_error", text, root=root, policy=policy, detail=words) from error
    finally:
        if walk is not None:
            walk.close()


def check_link(target: PathLike, link: PathLike, policy: SecurityPolicy) -> None:
    """
    Would a link that leads to *target* be let through?

    Raises:
        PathSecurityError: ``symlink_denied``, ``symlink_absolute_target``, ``symlink_traversal``.
    """
    text, root, rest = _placed(link, policy)
    leads = _judged(target, policy)
    reason = None
    if not policy.allow_symlinks:
        reason = "symlink_denied"
    elif leads.startswith("/"):
        reason = "symlink_absolute_target"
    else:
        folder = str(check(os.path.join(root, os.path.dirname(rest)), policy))  # noqa: PTH118, PTH120
        if _climbs(os.path.join(os.path.relpath(folder, root), leads)):  # noqa: PTH118
            reason = "symlink_traversal"
    if reason is not None:
        raise _refuse(reason, text, root=root, policy=policy, offending=leads)


def validate_path(
    given: PathLike, policy: SecurityPolicy, *, host: Host | None = None, helper: str | None = None
) -> Path:
    """
    Is a path allowed by a policy, by its text and by the links that it goes through? What is not there (yet) is fine.

    Returns: the path, absolute, without ``.`` and ``..``, links followed.

    Raises:
        PathSecurityError: ``reason`` says why: ``relative_path_denied``, ``traversal_detected``, ``outside_allowed_root``, ``symlink_denied``,
            ``symlink_absolute_target``, ``symlink_traversal``, ``symlink_inspection_failed``, ``capability_denied``, ``io_error`` or
            ``invalid_path``.
    """
    with (host or Host()).operation("path.validate", given, helper):
        count_effects(io=True, security=True)
        return check(given, policy)


def sandbox_path(given: PathLike, root: PathLike, *, host: Host | None = None, helper: str | None = None) -> Path:
    """
    *given* below *root*: joined when it is relative, and validated. Links are allowed as long as they stay below.

    Raises:
        PathSecurityError: as `validate_path`.
    """
    with (host or Host()).operation("path.sandbox", given, helper):
        count_effects(io=True, security=True)
        policy = _policy_of(root)
        text = _judged(given, policy)
        if not os.path.isabs(text) and _climbs(text):  # noqa: PTH117
            raise _refuse("traversal_detected", text, root=policy.allowed_roots[0], policy=policy)
        return check(os.path.join(policy.allowed_roots[0], text), policy)  # noqa: PTH118


def _policy_of(root: PathLike) -> SecurityPolicy:
    """The policy of a sandbox with one root."""
    return SecurityPolicy((os.path.abspath(_judged(root)),), allow_symlinks=True, name="sandbox")  # noqa: PTH100


def is_safe_symlink(link: PathLike, root: PathLike, *, host: Host | None = None, helper: str | None = None) -> bool:
    """
    True when a symbolic link, and every link behind it, is relative and leads to something below *root*; it need not be there.

    Raises:
        PathSecurityError: it is not: ``symlink_absolute_target``, ``symlink_traversal``, ``symlink_inspection_failed`` (no link, a loop, not
            readable); or it is not below *root* itself.
    """
    with (host or Host()).operation("path.is_safe_symlink", link, helper):
        count_effects(io=True, security=True)
        policy = _policy_of(root)
        text, top, _ = _placed(os.path.join(os.getcwd(), _judged(link, policy)), policy)  # noqa: PTH109, PTH118
        try:
            with beneath(text, policy, follow_last=False) as (folder, name):
                os.readlink(name, dir_fd=folder)
            check(text, policy)
        except PathSecurityError as error:
            if error.reason != "io_error":
                raise
            raise _refuse("symlink_inspection_failed", text, root=top, policy=policy, detail=error.message) from error
        except OSError as error:
            words = "no link" if error.errno == errno.EINVAL else (error.strerror or "").lower()
            raise _refuse("symlink_inspection_failed", text, root=top, policy=policy, detail=words) from error
        return True


# --- patterns ---------------------------------------------------------------------------------------------------------------


def _pattern_problem(pattern: str) -> str | None:
    """What is wrong with a pattern."""
    if re.search(r"\*\*[^/]|[^/]\*\*", pattern):
        return "`**` stands for whole folders: it has a part of the path to itself"
    for part in pattern.split("/"):
        place = part.find("[")
        while place >= 0:
            end = part.find("]", place + (3 if part[place + 1 : place + 2] in ("!", "^") else 2))
            if end < 0:
                return "a `[` without its `]`"
            place = part.find("[", end)
    return None


_MAGIC = re.compile(r"[*?\[]")


class _Glob:
    """One run of `glob`."""

    def __init__(self, context: IoContext, policy: SecurityPolicy | None) -> None:
        self.policy = policy
        self._fnmatch: Any = require("wcmatch.fnmatch", "ops")
        self.context = context
        self.found: set[str] = set()

    def fail(self, kind: IoErrorKind, words: str, where: str, code: str) -> IoError:
        self.context.globbing().offending_path = shown(where)
        return IoError(kind, f"{shown(where)}: {words}", self.context, code=code)

    def names(self, folder: str) -> list[tuple[str, bool]]:
        """Names in a folder, and whether each is a folder itself, no link."""
        count_effects(io=True, io_blocking=True, io_blocking_calls=1)
        if self.policy is not None and not _allowed(folder or ".", self.policy):
            return []
        try:
            with os.scandir(folder or ".") as entries:
                return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            failed = IoError.from_os(error, self.context)
            raise self.fail(failed.kind, (error.strerror or "").lower(), folder, "core.path.glob.io_error") from error

    def add(self, name: str) -> None:
        self.found.add(name)
        count_effects(predicate_calls=1)
        if len(self.found) > MATCHES_MOST:
            raise self.fail(
                IoErrorKind.OutOfMemory, f"more than {MATCHES_MOST} paths", name, "core.path.glob.invalid_input"
            )

    def run(self, folder: str, parts: list[str]) -> None:
        """Match *parts* below *folder*, which ends with ``/`` or is empty."""
        jobs = [(folder, 0)]
        seen = set(jobs)
        while jobs:
            base, at = jobs.pop()
            more = [job for job in self.step(base, parts[at], at, last=at == len(parts) - 1) if job not in seen]
            seen.update(more)
            jobs += more

    def step(self, base: str, part: str, at: int, *, last: bool) -> Iterator[tuple[str, int]]:
        """Match one part in one folder: what is found, when it is the last one, else where to go on."""
        if part == "**":
            if not last:
                yield base, at + 1
            for name, is_folder in self.names(base):
                if not name.startswith("."):
                    if last:
                        self.add(base + name)
                    if is_folder:
                        yield f"{base}{name}/", at
            return
        if _MAGIC.search(part):
            names = [
                name for name, _ in self.names(base) if self._fnmatch.fnmatch(name, part, flags=self._fnmatch.CASE)
            ]
        else:
            names = [part] if os.path.lexists(base + part) else []
        for name in names:
            if last:
                self.add(base + name)
            else:
                yield f"{base}{name}/", at + 1


def glob(pattern: PathLike, *, host: Host | None = None, helper: str | None = None) -> list[Path]:
    """
    Paths that match: ``*``, ``?`` and ``[…]`` within a name, ``**`` for any folders. Upper and lower case differ; names that begin with a dot
    need a dot in the pattern; ``**`` goes through no link. Where the host has a policy, what it refuses is left out.

    Returns: sorted by their bytes, as they are written in the pattern: relative for a relative one.

    Raises:
        IoError: ``core.path.glob.invalid_pattern``, ``core.path.glob.invalid_input`` (empty, a NUL, too many paths),
            ``core.path.glob.io_error`` (a folder cannot be read); ``context.glob.offending_path`` says where. Or refused.
        PathSecurityError: the host's policy refuses where the pattern begins.
    """
    home = host or Host()
    context = home.begin("path.glob", pattern, helper)
    context.glob = GlobStats(shown(pattern), shown(pattern))  # refused: the pattern is what offends
    home.guard(context)
    context.glob.offending_path = None
    with home.failures(context):
        run = _Glob(context, home.policy)
        count_effects(io=True)
        try:
            text = _text(pattern)
        except IoError as error:
            raise run.fail(error.kind, error.message, shown(pattern), "core.path.glob.invalid_input") from None
        problem = _pattern_problem(text)
        if problem is not None:
            raise run.fail(IoErrorKind.InvalidInput, problem, text, "core.path.glob.invalid_pattern")
        if home.policy is not None:
            plain = text.split("/")
            fixed = next((index for index, part in enumerate(plain) if _MAGIC.search(part)), len(plain))
            try:
                check("/".join(plain[:fixed]) or ("/" if text.startswith("/") else "."), home.policy)
            except PathSecurityError as error:
                context.glob.offending_path = error.offending_path
                raise
        parts = [part for part in text.split("/") if part not in ("", ".")]
        if parts:
            run.run("/" if text.startswith("/") else "", parts)
        elif os.path.lexists(text):
            run.add(text)
        found = sorted(run.found, key=os.fsencode)
        if home.policy is not None:
            found = [name for name in found if _allowed(name, home.policy)]
        context.take_effects()
    home.trail.done(context)
    return [Path(name) for name in found]


def _allowed(name: str, policy: SecurityPolicy) -> bool:
    with suppress(PathSecurityError):
        check(name, policy)
        return True
    return False
