"""
Policies: which records are written, and what is hidden in them before they are (CONTRACTS 3.1).

Comes in: records, or a policy file (TOML). Goes out: the records to write. Hiding comes before numbering and hashing, so that a chain never
covers what was hidden; when it fails, nothing is written.

    [policy]
    level = "full"                    # summary, full, debug; or Off, Error, Warning, Info, Debug, Trace
    include_patterns = ["bridge.*"]   # of event.kind; none: all
    exclude_patterns = ["dsl.vm.*"]   # beats include
    retention_days = 30
    anonymize_pii = true

    [redact]
    salt = "any text"                 # makes digests comparable between runs; by default a new one for each process
    Email = "[email]"                 # replacement for each type
    [[redact.custom]]
    name = "customer"
    pattern = "C-[0-9]{6}"
    replacement = "[customer]"
"""

from __future__ import annotations

import copy
import datetime
import fnmatch
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from reml_embed.audit.kinds import BASE_KEYS, CHAIN_KEYS
from reml_embed.audit.records import Json, Record, read, segments
from reml_embed.audit.sinks import LineSink, RecordSink
from reml_embed.errors import AuditUnavailableError, RemlError

#: From nothing to everything.
SEVERITIES: Final = ("Off", "Error", "Warning", "Info", "Debug", "Trace")
#: What ``--audit-level`` means.
LEVELS: Final = {"summary": "Warning", "full": "Info", "debug": "Trace"}

_RANK: Final = {"error": 1, "warning": 2, "warn": 2, "info": 3, "hint": 4, "debug": 4, "trace": 5}


class PolicyError(RemlError, ValueError):
    """
    A policy that is none.

    Attributes:
        code: ``audit.policy.not_toml``, ``.unknown_key``, ``.wrong_type``, ``.wrong_value``, ``.unreadable``.
        file, line, key: where; empty and 0 when it came from no file.
    """

    def __init__(self, code: str, message: str, *, file: str = "", line: int = 0, key: str = "") -> None:
        place = f"{file}:{line}: " if line else f"{file}: " if file else ""
        super().__init__(f"{place}{code}: {f'`{key}`: ' if key else ''}{message}", status=4, label="invalid_argument")
        self.code = code
        self.file, self.line, self.key = file, line, key


@dataclass(frozen=True, slots=True)
class AuditPolicy:
    """
    Which records are written.

    Attributes:
        level: one of `SEVERITIES`, or a word of ``--audit-level``. Records of severity ``error`` are written at every level but Off.
        include_patterns: globs of event kinds; empty: all.
        exclude_patterns: globs of event kinds; what they match is not written, whatever includes it.
        retention_days: how long rotated files are kept, see `prune`; None: for ever.
        anonymize_pii: hide personal data; see `RedactPolicy`.
    """

    level: str = "Info"
    include_patterns: tuple[str, ...] = ()
    exclude_patterns: tuple[str, ...] = ()
    retention_days: int | None = None
    anonymize_pii: bool = False

    def __post_init__(self) -> None:
        """Refuse what is no policy."""
        if self.level not in SEVERITIES and self.level not in LEVELS:
            raise PolicyError(
                "audit.policy.wrong_value",
                f"{self.level!r} is not one of {', '.join((*LEVELS, *SEVERITIES))}",
                key="level",
            )
        if self.retention_days is not None and self.retention_days < 0:
            raise PolicyError("audit.policy.wrong_value", "days are not negative", key="retention_days")

    @property
    def severity(self) -> str:
        """The level as one of `SEVERITIES`."""
        return LEVELS.get(self.level, self.level)

    def admits(self, record: Record) -> bool:
        """Is *record* written?"""
        most = SEVERITIES.index(self.severity)
        rank = _RANK.get(record.severity or "info", 3)
        if most == 0:
            return False
        if rank == 1:
            return True
        kind = record.kind or ""
        if any(fnmatch.fnmatchcase(kind, pattern) for pattern in self.exclude_patterns):
            return False
        if self.include_patterns and not any(fnmatch.fnmatchcase(kind, pattern) for pattern in self.include_patterns):
            return False
        return rank <= most

    def expired(self, path: str | os.PathLike[str], *, at: datetime.datetime | None = None) -> list[Path]:
        """
        Rotated files of the log at *path* whose last record is older than `retention_days`, oldest first. The file being written is never
        among them, and neither is one whose end cannot be read. Nothing is removed.
        """
        if self.retention_days is None:
            return []
        limit = (at or datetime.datetime.now(datetime.UTC)) - datetime.timedelta(days=self.retention_days)
        gone = []
        for file in segments(path):
            if file == Path(path) or not _ended_before(file, limit):
                break  # a chain is shortened at its beginning only
            gone.append(file)
        return gone

    def prune(self, path: str | os.PathLike[str], *, at: datetime.datetime | None = None) -> list[Path]:
        """
        Remove what `expired` names, oldest first; the files that are gone now.

        Raises:
            OSError: one cannot be removed; those before it are gone.
        """
        gone = self.expired(path, at=at)
        for file in gone:
            file.unlink(missing_ok=True)
        return gone


def _ended_before(file: Path, limit: datetime.datetime) -> bool:
    last = None
    for line in read(file):
        last = line.record
    try:
        return last is not None and datetime.datetime.fromisoformat(str(last.timestamp)) < limit
    except (ValueError, TypeError):
        return False


# --- hiding -----------------------------------------------------------------------------------------------------------------


def _is_card(digits: str) -> bool:
    numbers = [int(digit) for digit in digits if digit.isdigit()]
    if not 13 <= len(numbers) <= 19:
        return False
    doubled = [
        number if index % 2 else (2 * number - 9 if number > 4 else 2 * number)
        for index, number in enumerate(reversed(numbers), 1)
    ]
    return sum(doubled) % 10 == 0


def _is_phone(text: str) -> bool:
    return 7 <= sum(char.isdigit() for char in text) <= 15 and not re.fullmatch(r"\d{4}-\d\d-\d\d", text)


def _always(_text: str) -> bool:
    return True


#: Types of personal data: how they are found, and what is put in their place.
PII_TYPES: Final[dict[str, tuple[str, Callable[[str], bool], str]]] = {
    "Email": (r"(?<![\w.+-])[\w.+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}\.)+[A-Za-z]{2,24}(?![\w-])", _always, "[redacted:Email]"),
    "CreditCard": (r"(?<![\d-])\d(?:[ -]?\d){12,18}(?![\d-])", _is_card, "[redacted:CreditCard]"),
    "SocialSecurityNumber": (r"(?<![\w-])\d{3}-\d{2}-\d{4}(?![\w-])", _always, "[redacted:SocialSecurityNumber]"),
    "PhoneNumber": (r"(?<![\w.-])(?:\+\d{1,3}[ -]?)?(?:\(\d{1,4}\)[ -]?)?\d{2,4}(?:[ -]\d{2,4}){1,4}(?![\w-]|\.\d)", _is_phone, "[redacted:PhoneNumber]"),
}  # fmt: skip

#: Leaves that identify and are no text of anybody.
_TECHNICAL: Final = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{40}|[0-9a-f]{64}|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"
)
_KEPT_KEYS: Final = frozenset({*BASE_KEYS, *CHAIN_KEYS})


@dataclass(frozen=True, slots=True)
class Custom:
    """Personal data of a host's own kind."""

    name: str
    pattern: str
    replacement: str


@dataclass(frozen=True)
class RedactPolicy:
    """
    What is hidden in the text leaves of a record, before it is written.

    A record in which something was hidden says so: ``audit.redaction`` in its metadata lists the place, the type, how many, and a digest of what was there
    (HMAC-SHA-256 under `salt`), by which two records can be compared and nothing can be read.

    Attributes:
        replacements: text for each of `PII_TYPES`; a type that is not named keeps its default, None leaves it as it is.
        custom: further patterns.
        salt: key of the digests.
    """

    replacements: Mapping[str, str | None] = field(default_factory=dict)
    custom: tuple[Custom, ...] = ()
    salt: bytes = field(default_factory=lambda: secrets.token_bytes(16), repr=False)

    def __post_init__(self) -> None:
        """Refuse what is no policy."""
        for name in self.replacements:
            if name not in PII_TYPES:
                raise PolicyError(
                    "audit.policy.unknown_key", f"not one of {', '.join(PII_TYPES)}", key=f"redact.{name}"
                )
        for custom in self.custom:
            try:
                re.compile(custom.pattern)
            except re.error as error:
                raise PolicyError("audit.policy.wrong_value", f"{error}", key="redact.custom.pattern") from None

    def _rules(self) -> list[tuple[str, re.Pattern[str], Callable[[str], bool], str]]:
        rules: list[tuple[str, re.Pattern[str], Callable[[str], bool], str]] = [
            (custom.name, re.compile(custom.pattern), _always, custom.replacement) for custom in self.custom
        ]
        for name, (pattern, really, default) in PII_TYPES.items():
            replacement = self.replacements.get(name, default)
            if replacement is not None:
                rules.append((name, re.compile(pattern), really, replacement))
        return rules

    def digest(self, text: str) -> str:
        """What stands for *text* in the trace."""
        return hmac.new(self.salt, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()

    def apply(self, record: Record) -> Record:
        """*record* with personal data hidden; the very same when there are none."""
        data = copy.deepcopy(record.data)
        trace: list[Json] = []
        rules = self._rules()

        def hide(text: str, place: str) -> str:
            if _TECHNICAL.fullmatch(text):
                return text
            for name, pattern, really, replacement in rules:
                hidden: list[str] = []

                def put(
                    match: re.Match[str],
                    really: Any = really,
                    hidden: list[str] = hidden,
                    replacement: str = replacement,
                ) -> str:
                    if not really(match[0]):
                        return match[0]
                    hidden.append(match[0])
                    return replacement

                text = pattern.sub(put, text)
                if hidden:
                    digests = [self.digest(one) for one in hidden]
                    trace.append({"path": place, "type": name, "count": len(hidden), "digests": digests})
            return text

        self._walk(data, hide)
        if not trace:
            return record
        if record.is_flat:
            data["audit.redaction"] = trace
        else:
            data["envelope"]["metadata"] = dict(
                sorted({**data["envelope"]["metadata"], "audit.redaction": trace}.items())
            )
        return Record(data)

    @staticmethod
    def _walk(data: dict[str, Json], hide: Callable[[str, str], str]) -> None:
        """Every text leaf, without a frame of ours for each level."""
        waiting: list[tuple[Any, Any, str]] = [(data, key, key) for key in data if key not in {"timestamp", "audit_id"}]
        while waiting:
            holder, key, place = waiting.pop()
            value = holder[key]
            if isinstance(value, str):
                holder[key] = hide(value, place)
            elif isinstance(value, dict):
                inside = place == "envelope.metadata"
                waiting += [
                    (value, name, f"{place}.{name}") for name in value
                    if not (inside and name in _KEPT_KEYS) and f"{place}.{name}" not in {"envelope.audit_id", "envelope.capability"}
                ]  # fmt: skip
            elif isinstance(value, list):
                waiting += [(value, index, f"{place}[{index}]") for index in range(len(value))]


class FilteredSink(LineSink):
    """
    Writes what a policy admits, with personal data hidden where the policy says so.

    Args:
        policy: which records.
        sink: where they go.
        redact: what is hidden; by default all of `PII_TYPES` when the policy says ``anonymize_pii``, else nothing.

    Attributes:
        filtered: how many records were not written.
    """

    def __init__(self, policy: AuditPolicy, sink: RecordSink, redact: RedactPolicy | None = None) -> None:
        self.policy = policy
        self.sink = sink
        self.redact = redact if redact is not None else RedactPolicy() if policy.anonymize_pii else None
        self.filtered = 0

    def write_record(self, record: Record, /) -> None:
        """
        Take one record.

        Raises:
            AuditUnavailableError: hiding failed: nothing was written.
        """
        if not self.policy.admits(record):
            self.filtered += 1
            return
        if self.redact is not None:
            try:
                record = self.redact.apply(record)
            except Exception as error:
                raise AuditUnavailableError(f"audit record cannot be redacted: {error}") from error
        self.sink.write_record(record)


# --- the file ---------------------------------------------------------------------------------------------------------------

_TYPES: Final[dict[str, tuple[type, str]]] = {
    "policy.level": (str, "a text"),
    "policy.include_patterns": (list, "a list of texts"),
    "policy.exclude_patterns": (list, "a list of texts"),
    "policy.retention_days": (int, "a number of days"),
    "policy.anonymize_pii": (bool, "true or false"),
    "redact.salt": (str, "a text"),
    **{f"redact.{name}": (str, "a text") for name in PII_TYPES},
}
_CUSTOM: Final = ("name", "pattern", "replacement")


@dataclass(frozen=True, slots=True)
class Policies:
    """A policy file."""

    policy: AuditPolicy
    redact: RedactPolicy | None

    def guard(self, sink: RecordSink) -> FilteredSink:
        """*sink* behind both."""
        return FilteredSink(self.policy, sink, self.redact)


def _line_of(text: str, key: str) -> int:
    """Number of the line on which a key of the file stands; 0 when it is written in some other form."""
    parts = key.split(".")
    table = ""
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        header = re.match(r"\[\[?\s*([^\]]+?)\s*\]\]?", stripped)
        if header and stripped.startswith("["):
            table = header[1].replace(" ", "").replace('"', "")
            if table == key:
                return number
            continue
        name = re.match(r'"?([\w.-]+)"?\s*=', stripped)
        if name and [*filter(None, table.split(".")), *name[1].split(".")] == parts:
            return number
    return 0


def _read_custom(rows: Any, wrong: Callable[..., PolicyError]) -> tuple[Custom, ...]:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise wrong("wrong_type", "redact.custom", "must be a list of tables")
    made = []
    for row in rows:
        for name in row:
            if name not in _CUSTOM:
                raise wrong("unknown_key", f"redact.custom.{name}", f"not one of {', '.join(_CUSTOM)}")
            if not isinstance(row[name], str):
                raise wrong("wrong_type", f"redact.custom.{name}", "must be a text")
        for name in _CUSTOM:
            if name not in row:
                raise wrong("wrong_value", "redact.custom", f"`{name}` is missing")
        made.append(Custom(**row))
    return tuple(made)


def _check_member(key: str, value: Any, wrong: Callable[..., PolicyError]) -> Any:
    table = key.partition(".")[0]
    if key not in _TYPES:
        known = {one.partition(".")[2] for one in _TYPES if one.startswith(table)}
        known |= {"custom"} if table == "redact" else set()
        raise wrong("unknown_key", key, f"not one of {', '.join(sorted(known))}")
    kind, word = _TYPES[key]
    good = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
    if isinstance(value, list):
        good = good and all(isinstance(item, str) for item in value)
    if not good:
        raise wrong("wrong_type", key, f"must be {word}")
    return tuple(value) if isinstance(value, list) else value


def _read_tables(data: dict[str, Any], wrong: Callable[..., PolicyError]) -> tuple[dict[str, Any], tuple[Custom, ...]]:
    found: dict[str, Any] = {}
    custom: tuple[Custom, ...] = ()
    for table, members in data.items():
        if table not in {"policy", "redact"}:
            raise wrong("unknown_key", table, "not one of policy, redact")
        if not isinstance(members, dict):
            raise wrong("wrong_type", table, "must be a table")
        for name, value in members.items():
            key = f"{table}.{name}"
            if key == "redact.custom":
                custom = _read_custom(value, wrong)
            else:
                found[key] = _check_member(key, value, wrong)
    return found, custom


def _made_of(
    found: dict[str, Any], custom: tuple[Custom, ...], hides: bool, wrong: Callable[..., PolicyError]
) -> Policies:
    try:
        policy = AuditPolicy(
            **{key.partition(".")[2]: value for key, value in found.items() if key.startswith("policy.")}
        )
        redact = None
        if hides or policy.anonymize_pii:
            salt = {"salt": found["redact.salt"].encode()} if "redact.salt" in found else {}
            replacements = {name: found[f"redact.{name}"] for name in PII_TYPES if f"redact.{name}" in found}
            redact = RedactPolicy(replacements=replacements, custom=custom, **salt)
    except PolicyError as error:
        key = error.key if error.key.startswith("redact") else f"policy.{error.key}"
        raise wrong(error.code.rpartition(".")[2], key, error.message.partition("`: ")[2]) from None
    return Policies(policy, redact)


def load_policy(path: str | os.PathLike[str]) -> Policies:
    """
    Read a policy file.

    Raises:
        PolicyError: it cannot be read, is no TOML, or has a wrong key; names file, line, key path and code.
    """
    import tomllib  # noqa: PLC0415  (not everybody has a policy file)

    file = os.fspath(path)
    try:
        text = Path(path).read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except OSError as error:
        raise PolicyError("audit.policy.unreadable", str(error.strerror or error), file=file) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        line = re.search(r"line (\d+)", str(error))
        raise PolicyError("audit.policy.not_toml", str(error), file=file, line=int(line[1]) if line else 0) from error

    def wrong(code: str, key: str, message: str) -> PolicyError:
        return PolicyError(f"audit.policy.{code}", message, file=file, line=_line_of(text, key), key=key)

    found, custom = _read_tables(data, wrong)
    return _made_of(found, custom, "redact" in data, wrong)
