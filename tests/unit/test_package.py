"""What is shipped."""

import subprocess
import sys
from pathlib import Path

import reml_embed as reml

PACKAGE = Path(reml.__file__).parent


def test_the_package_is_typed():
    assert (PACKAGE / "py.typed").exists()
    assert {path.stem for path in PACKAGE.glob("*.pyi")} == {"_embed", "_fast"}


def test_the_types_of_the_extension_name_what_it_has():
    import ast

    tree = ast.parse((PACKAGE / "_fast.pyi").read_text(encoding="utf-8"))
    from reml_embed import _fast

    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            cls = getattr(_fast, node.name)
            declared = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
            offered = {name for name in vars(cls) if not name.startswith("__") or name in declared}
            assert declared - {"__call__", "__new__"} == offered - {"__call__", "__new__"}


def test_importing_brings_nothing_heavy():
    heavy = ("numpy", "click", "rich", "asyncio", "multiprocessing")
    program = f"import sys, reml_embed; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_extension_shows_only_its_entry_points():
    from reml_embed import _embed

    if not sys.platform.startswith("linux"):
        return
    done = subprocess.run(["nm", "-D", "--defined-only", _embed.__file__], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        names = {line.split()[-1] for line in done.stdout.splitlines()} - {"_edata", "_end", "__bss_start"}
        assert names <= {"PyInit__embed", "PyInit__fast", "_cffi_pypyinit__embed", "PyInit__embed@@Base"}


def test_declarations_come_from_the_headers():
    root = PACKAGE.parent
    if not (root / "build_ffi.py").exists():
        return
    program = "import runpy; print(runpy.run_path('build_ffi.py')['declarations']())"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root)
    text = done.stdout
    for name in ("reml_create_context", "reml_function_map", "reml_ffi_release_transferred", "reml_audit_verify"):
        assert f"{name}(" in text
    assert "#define REML_EMBED_ABI_MAJOR ..." in text
    assert "__attribute__" not in text
