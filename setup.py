"""Hands build_ffi.py to setuptools; everything else is in pyproject.toml. The tag follows Py_LIMITED_API there: 3.11, or 3.12 and newer."""

import sys

from setuptools import setup

setup(
    cffi_modules=["build_ffi.py:ffi"],
    options={"bdist_wheel": {"py_limited_api": "cp312" if sys.version_info >= (3, 12) else "cp311"}},
)
