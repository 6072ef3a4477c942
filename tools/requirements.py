"""
Print what pyproject.toml asks for, one requirement a line: ``requirements.py [--build] [EXTRA …]``.

The dependencies of the package come always, ``--build`` adds those of the build, each EXTRA those of the extra of that name; an
extra may name others of this package: ``reml-embed[ops,otel]``.
"""

import re
import sys
import tomllib
from pathlib import Path


def expand(name: str, extras: dict[str, list[str]]) -> list[str]:
    """Requirements of an extra, with those of the extras that it names."""
    found = []
    for requirement in extras[name]:
        own = re.fullmatch(r"reml-embed\[([\w,-]+)\]", requirement)
        found += [line for other in own[1].split(",") for line in expand(other, extras)] if own else [requirement]
    return found


def main(arguments: list[str]) -> int:
    """Command line; 2 for an extra that does not exist."""
    document = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    extras = document["project"]["optional-dependencies"]
    wanted = list(document["build-system"]["requires"]) if "--build" in arguments else []
    wanted += document["project"]["dependencies"]
    for name in arguments:
        if name == "--build":
            continue
        if name not in extras:
            print(f"no such extra: {name}", file=sys.stderr)
            return 2
        wanted += expand(name, extras)
    print("\n".join(dict.fromkeys(requirement.replace(" ", "") for requirement in wanted)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
