"""
Build and run the fuzz targets of tests/fuzz: ``fuzz.py --archive PATH [--clang] [--seconds N] [--only NAME]``.

Each ``fuzz_NAME.c`` defines ``LLVMFuzzerTestOneInput`` and is linked with *archive*, the library under sanitizers. With ``--clang``
it runs under libFuzzer for N seconds; new inputs stay in build/fuzz/NAME/corpus, seeds come from tests/fuzz/NAME/ and the folders
of SEEDS. Without, the target only runs over its seeds, and that is said. Exit 1 when a target crashes.
"""

from __future__ import annotations

import argparse
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SEEDS = {"source": ["tests/language", "benchmarks/programs", "examples/stdlib_words"]}
DRIVER = """\
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
int main(int argc, char** argv) {
    for (int i = 1; i < argc; i++) {
        FILE* file = fopen(argv[i], "rb");
        uint8_t* data = malloc(1 << 20);
        if (!file || !data) return 2;
        size_t size = fread(data, 1, 1 << 20, file);
        fclose(file);
        data = realloc(data, size ? size : 1); /* so that reading past the end is seen */
        LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
    printf("%d seeds\\n", argc - 1);
    return 0;
}
"""


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--clang", action="store_true", help="the archive was compiled by clang for libFuzzer")
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    if not options.clang:
        print("missing: clang (libFuzzer); the targets run over their seeds only")
    failed = 0
    for target in sorted((ROOT / "tests" / "fuzz").glob(f"fuzz_{options.only}*.c")):
        name = target.stem.removeprefix("fuzz_")
        folder = ROOT / "build" / "fuzz" / name
        (folder / "corpus").mkdir(parents=True, exist_ok=True)
        (folder / "driver.c").write_text(DRIVER, encoding="utf-8")
        folders = [ROOT / "tests" / "fuzz" / name, *(ROOT / place for place in SEEDS.get(name, []))]
        seeds = [folder for folder in folders if folder.is_dir()]
        binary = folder / "run"
        kinds = ["-fsanitize=fuzzer,address,undefined"] if options.clang else ["-fsanitize=address,undefined"]
        command = [
            "clang" if options.clang else "cc",
            "-std=c11",
            "-D_GNU_SOURCE",
            "-g",
            "-O1",
            *kinds,
            "-fno-sanitize-recover=all",
        ]
        files = [target, *([] if options.clang else [folder / "driver.c"]), options.archive]
        command += ["-I", ROOT / "native" / "include", "-pthread", *files, "-lm", "-o", binary]
        subprocess.run([str(part) for part in command], cwd=ROOT, check=True)
        if options.clang:
            corpora = [str(folder / "corpus"), *map(str, seeds)]
            limits = [
                f"-max_total_time={options.seconds}",
                "-rss_limit_mb=2048",
                "-timeout=20",
                f"-artifact_prefix={folder}/",
            ]
            command = [str(binary), *limits, "-print_final_stats=0", "-verbosity=0", *corpora]
        else:
            command = [str(binary), *(str(path) for place in seeds for path in sorted(place.rglob("*.*")))]
        status = subprocess.run(command, check=False).returncode
        print(f"{'ok    ' if status == 0 else 'FAILED'} {target.name}", flush=True)
        failed += status != 0
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
