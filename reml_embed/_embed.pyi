"""The module that cffi makes (build_ffi.py); its names are those of the public headers."""

from typing import Any

ffi: Any
lib: Any
