"""Counters of the border (CONTRACTS 2.2, 2.8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reml_embed._ffi import lib


@dataclass(frozen=True, slots=True)
class FfiMetrics:
    """
    Crossings between host and Reml, each counted once: results read, functions called, host functions called by scripts.

    Always ``acquired == released + live``.
    """

    total_calls: int
    success_calls: int
    borrowed_results: int
    transferred_results: int
    null_results: int
    acquired: int
    released: int
    live: int

    @property
    def pass_rate(self) -> float:
        """Successful calls ÷ calls; 1.0 when there was none."""
        return self.success_calls / self.total_calls if self.total_calls else 1.0


def from_c(struct: Any) -> FfiMetrics:
    """From the library's struct."""
    return FfiMetrics(**{name: int(getattr(struct, name)) for name in FfiMetrics.__slots__})


def process_metrics() -> FfiMetrics:
    """The sum over all contexts of the process, closed ones included."""
    return from_c(lib.reml_ffi_bridge_get_metrics())


def reset_metrics() -> None:
    """Set the counters of the process and of its contexts to zero (handles that are out stay counted)."""
    lib.reml_ffi_bridge_reset_metrics()
