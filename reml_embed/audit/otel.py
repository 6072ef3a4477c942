"""
Audit records as OpenTelemetry logs (extra ``otel``).

Comes in: records. Goes out: log records of the OpenTelemetry API; who exports them is the business of the provider.
"""

from __future__ import annotations

import datetime
from typing import Any

from reml_embed.audit.records import Record
from reml_embed.audit.sinks import LineSink
from reml_embed.errors import require

#: Severity of a record → the numbers of OpenTelemetry.
_SEVERITIES = {"trace": 1, "debug": 5, "hint": 5, "info": 9, "warn": 13, "warning": 13, "error": 17}


def _nanoseconds(text: str | None) -> int | None:
    try:
        moment = datetime.datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000


class OtelSink(LineSink):
    """
    Sends each record to OpenTelemetry: the line is the body, the keys of its metadata that are scalars are attributes.

    Args:
        provider: a logger provider; by default the global one.
        name: of the logger.

    Raises:
        MissingExtraError: OpenTelemetry is not installed.
    """

    def __init__(self, provider: Any = None, *, name: str = "reml_embed.audit") -> None:
        self._api = require("opentelemetry._logs", "otel")
        self._logger = (
            provider.get_logger(name) if provider is not None else self._api.get_logger_provider().get_logger(name)
        )

    def write_record(self, record: Record, /) -> None:
        """Take one record."""
        severity = record.severity or "info"
        attributes = {
            key: value for key, value in record.metadata.items() if isinstance(value, str | bool | int | float)
        }
        named = {"audit.id": record.audit_id, "audit.category": record.category, "audit.capability": record.capability}
        attributes |= {key: value for key, value in named.items() if value is not None}
        self._logger.emit(
            self._api.LogRecord(
                timestamp=_nanoseconds(record.timestamp),
                severity_text=severity.upper(),
                severity_number=self._api.SeverityNumber(_SEVERITIES.get(severity, 9)),
                body=record.to_json(),
                attributes=attributes,
            )
        )
