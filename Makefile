# Every command of the project by name; `make help` lists them. Works with GNU make 4, a C11 compiler and Python 3.11 or newer.
#
# Honoured from the environment or the command line: CC CFLAGS CPPFLAGS LDFLAGS AR PREFIX DESTDIR PYTHON JOBS WERROR.
# All output goes below build/ and .venv/; `make clean` and `make distclean` remove them.

.DEFAULT_GOAL := help
.SUFFIXES:
.DELETE_ON_ERROR:
SHELL := /bin/sh

CC       ?= cc
AR       ?= ar
CFLAGS   ?= -O2 -g
PREFIX   ?= /usr/local
JOBS     ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)
WERROR   ?= -Werror
FUZZ_SECONDS ?= 30

ifeq (0,$(words $(filter clean distclean,$(MAKECMDGOALS)) $(filter-out 0,$(MAKELEVEL))))
MAKEFLAGS += -j$(JOBS)
endif
MAKEFLAGS += --no-builtin-rules --no-print-directory

SYSTEM  := $(shell uname -s)
VERSION := $(shell sed -n 's/^version = "\(.*\)"$$/\1/p' pyproject.toml)
SO_MAJOR := $(firstword $(subst ., ,$(VERSION)))
PYTHON  ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14 python; do \
             $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$p; exit; }; done; echo python3)

# One line per step; `make V=1` prints the commands themselves.
ifdef V
Q :=
say :=
else
Q := @
say = @printf '  %-6s %s\n' $(1) $(2);
endif

# ---------------------------------------------------------------------------------------------------------------- sources

include native/sources.mk

REML_CPPFLAGS := -D_GNU_SOURCE -Inative/include -Inative/src -Ibuild -DREML_EMBED_VERSION='"$(VERSION)"'
# -fno-strict-aliasing: registers are untagged words that hold integers, doubles and references in turn.
# -fno-math-errno: a square root is one instruction. -ffp-contract=off: a product is rounded before it is added, on every processor.
REML_CFLAGS := -std=c11 -fPIC -fvisibility=hidden -fno-strict-aliasing -fno-math-errno -ffp-contract=off -pthread \
               -Wall -Wextra -Wpedantic -Wshadow $(WERROR)
REML_LIBS := -lm -pthread
# The library that is installed: no tables for unwinding (nothing unwinds through it; debuggers have those of -g), one section for each
# function, so that what nobody calls is left out. SMALL_SOURCES are optimised for size, unless CFLAGS ask for something else than speed.
LEAN_CFLAGS := -fno-asynchronous-unwind-tables -fno-unwind-tables -ffunction-sections -fdata-sections
SMALL_CFLAGS := $(if $(filter -O2 -O3,$(CFLAGS)),-Os)
# RL_DEBUG: assertions, bytecode verified, matches checked in two ways, each request to an arena a block of its own.
SANITIZE := -O1 -g -DRL_DEBUG -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
PRELUDE := build/gen/prelude_source.inc

$(PRELUDE): tools/embed_prelude.py $(PRELUDE_SOURCES) native/src/vm/core
	$(call say,GEN,$@)
	$(Q)$(PYTHON) tools/embed_prelude.py native/src/vm/core $@

# variant NAME, FLAGS, FLAGS OF SMALL_SOURCES: objects, the archive of all of them (internal names visible to tests) and the C tests, below build/NAME.
# A change of compiler or flags rebuilds: build/NAME/flags is rewritten only when its text changes.
define variant
build/$(1)/flags: FORCE
	@mkdir -p $$(@D)
	@printf '%s\n' '$$(CC) $$(CPPFLAGS) $(2) $(3) $$(SMALL_SOURCES) $$(LDFLAGS) $$(WERROR) $$(VERSION)' | cmp -s - $$@ || \
	    printf '%s\n' '$$(CC) $$(CPPFLAGS) $(2) $(3) $$(SMALL_SOURCES) $$(LDFLAGS) $$(WERROR) $$(VERSION)' > $$@

build/$(1)/obj/%.o: native/src/%.c build/$(1)/flags | $$(PRELUDE)
	@mkdir -p $$(@D)
	$$(call say,CC,'$(1) $$*.c')
	$$(Q)$$(CC) $$(REML_CPPFLAGS) $$(CPPFLAGS) $$(REML_CFLAGS) $(2) $$(if $$(filter $$<,$$(SMALL_SOURCES)),$(3)) -MMD -MP -c $$< -o $$@

build/$(1)/libreml_internal.a: $$(SOURCES:native/src/%.c=build/$(1)/obj/%.o)
	$$(call say,AR,$$@)
	$$(Q)rm -f $$@ && $$(AR) rcs $$@ $$^

build/$(1)/tests/%: tests/native/%.c $$(TEST_SUPPORT) build/$(1)/libreml_internal.a
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(REML_CPPFLAGS) $$(CPPFLAGS) -Itests/native $$(REML_CFLAGS) $(2) -MMD -MP -MF $$@.d $$< $$(TEST_SUPPORT) \
	    build/$(1)/libreml_internal.a $$(LDFLAGS) $$(REML_LIBS) -o $$@

-include $$(SOURCES:native/src/%.c=build/$(1)/obj/%.d)
-include $$(patsubst tests/native/%.c,build/$(1)/tests/%.d,$$(NATIVE_TESTS) $$(NATIVE_STRESS))
endef

$(eval $(call variant,release,$(CFLAGS) $(LEAN_CFLAGS),$(SMALL_CFLAGS)))
$(eval $(call variant,small,$(filter-out -O%,$(CFLAGS)) -Os $(LEAN_CFLAGS)))
$(eval $(call variant,asan,$(SANITIZE)))
$(eval $(call variant,stress-gc,$(SANITIZE) -DRL_STRESS_GC))
# pointer-overflow is off: clang counts NULL + 0, an empty vector's end, which C2y defines and every compiler here takes as meant.
$(eval $(call variant,fuzz-clang,$(SANITIZE) -fsanitize=fuzzer-no-link -fno-sanitize=pointer-overflow))

# run_tests VARIANT, BINARIES: run each one, show the output of those that fail, end with a count.
define run_tests
@failed=0; count=0; for t in $(2); do count=$$((count + 1)); \
    if ASAN_OPTIONS=$${ASAN_OPTIONS:-detect_leaks=1} UBSAN_OPTIONS=print_stacktrace=1 $$t > $$t.log 2>&1; \
    then printf '  ok     %s\n' $$t; else failed=$$((failed + 1)); printf '  FAILED %s\n' $$t; cat $$t.log; fi; done; \
    echo "$(1): $$((count - failed)) of $$count C test programs passed"; test $$failed -eq 0
endef

# ---------------------------------------------------------------------------------------------------------------- library

# Addresses that the loader fills in, as bits instead of 24 bytes each: the C libraries that read them are newer than some linkers that write them.
GLIBC := $(lastword $(shell getconf GNU_LIBC_VERSION 2>/dev/null))
PACKED_RELOCATIONS := $(if $(filter 2.36 2.37 2.38 2.39 2.40 2.41 2.42 2.43,$(GLIBC)),$(shell echo 'int x;' | $(CC) -shared -fPIC -x c - -o /dev/null \
    -Wl,--fatal-warnings -Wl,-z,pack-relative-relocs 2>/dev/null && echo -Wl,-z,pack-relative-relocs))

ifeq ($(SYSTEM),Darwin)
SHARED := build/libreml_embed.$(SO_MAJOR).dylib
SHARED_LINK := build/libreml_embed.dylib
SHARED_FLAGS := -dynamiclib -install_name @rpath/libreml_embed.$(SO_MAJOR).dylib
else
SHARED := build/libreml_embed.so.$(SO_MAJOR)
SHARED_LINK := build/libreml_embed.so
SHARED_FLAGS := -shared -Wl,-soname,libreml_embed.so.$(SO_MAJOR) -Wl,--version-script=native/reml_embed.map -Wl,-z,defs \
    -Wl,--gc-sections $(PACKED_RELOCATIONS)
endif
STATIC := build/libreml_embed.a

.PHONY: lib
lib: $(SHARED_LINK) $(STATIC)  ## libreml_embed.so and .a in build/

$(SHARED): build/release/libreml_internal.a native/reml_embed.map
	$(call say,LD,$@)
	$(Q)$(CC) $(SHARED_FLAGS) -o $@ $(SOURCES:native/src/%.c=build/release/obj/%.o) $(LDFLAGS) $(REML_LIBS)

$(SHARED_LINK): $(SHARED)
	$(Q)ln -sf $(notdir $(SHARED)) $@

# For hosts: one object whose internal names are local, so that nothing but reml_* can clash with the host's own names.
$(STATIC): build/release/libreml_internal.a
	$(call say,AR,$@)
ifeq ($(SYSTEM),Linux)
	$(Q)$(CC) -r -nostdlib -o build/release/reml_embed.o $(SOURCES:native/src/%.c=build/release/obj/%.o)
	$(Q)objcopy --localize-hidden build/release/reml_embed.o
	$(Q)rm -f $@ && $(AR) rcs $@ build/release/reml_embed.o
else
	$(Q)cp $< $@
endif

# The same library, all of it built for size: it is loaded and checked more slowly, and calls cost more.
.PHONY: lib-small test-small size
lib-small: build/small/libreml_embed.so.$(SO_MAJOR)  ## the library built for size, in build/small/

build/small/libreml_embed.so.$(SO_MAJOR): build/small/libreml_internal.a native/reml_embed.map
	$(call say,LD,$@)
	$(Q)$(CC) $(SHARED_FLAGS) -o $@ $(SOURCES:native/src/%.c=build/small/obj/%.o) $(LDFLAGS) $(REML_LIBS)
	$(Q)ln -sf $(notdir $@) build/small/libreml_embed.so

size: $(SHARED)  ## what the library is made of, stripped: sections, folders, largest symbols
	$(Q)$(PYTHON) tools/library_size.py $(SHARED) build/release/obj

build/reml_embed.pc: native/reml_embed.pc.in pyproject.toml FORCE
	@mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|g' -e 's|@VERSION@|$(VERSION)|g' $< > $@

.PHONY: install
install: lib build/reml_embed.pc  ## library, headers and pkg-config file into $(DESTDIR)$(PREFIX)
	$(Q)install -d $(DESTDIR)$(PREFIX)/include $(DESTDIR)$(PREFIX)/lib/pkgconfig
	$(Q)install -m 644 $(PUBLIC_HEADERS) $(DESTDIR)$(PREFIX)/include/
	$(Q)install -m 755 $(SHARED) $(DESTDIR)$(PREFIX)/lib/
	$(Q)ln -sf $(notdir $(SHARED)) $(DESTDIR)$(PREFIX)/lib/$(notdir $(SHARED_LINK))
	$(Q)install -m 644 $(STATIC) $(DESTDIR)$(PREFIX)/lib/
	$(Q)install -m 644 build/reml_embed.pc $(DESTDIR)$(PREFIX)/lib/pkgconfig/
	@echo "installed reml_embed $(VERSION) into $(DESTDIR)$(PREFIX)"

.PHONY: uninstall
uninstall:  ## remove what install put there
	$(Q)rm -f $(addprefix $(DESTDIR)$(PREFIX)/include/,$(notdir $(PUBLIC_HEADERS))) \
	    $(addprefix $(DESTDIR)$(PREFIX)/lib/,$(notdir $(SHARED) $(SHARED_LINK) $(STATIC))) \
	    $(DESTDIR)$(PREFIX)/lib/pkgconfig/reml_embed.pc

# ----------------------------------------------------------------------------------------------------------------- Python

VENV := .venv
VENV_PYTHON := $(VENV)/bin/python
UV := $(shell command -v uv 2>/dev/null)
ifneq ($(UV),)
PIP_INSTALL = $(UV) pip install --quiet --python $(VENV_PYTHON)
MAKE_VENV = $(UV) venv --quiet --allow-existing --python $(PYTHON) $(VENV)
else
PIP_INSTALL = $(VENV_PYTHON) -m pip install --quiet --disable-pip-version-check
MAKE_VENV = $(PYTHON) -m venv $(VENV)
endif

.PHONY: setup
setup: $(VENV)/.ready  ## a virtual environment in .venv with everything that tests need

$(VENV)/.ready: pyproject.toml tools/requirements.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed; name it with PYTHON=..." >&2; exit 1; }
	$(call say,VENV,$(VENV))
	$(Q)$(MAKE_VENV) || { echo "python3 -m venv does not work here (Debian and Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	@mkdir -p build
	$(Q)$(VENV_PYTHON) tools/requirements.py --build test > build/requirements.txt
	$(call say,PIP,build/requirements.txt)
	$(Q)$(PIP_INSTALL) -r build/requirements.txt
	@touch $@

.PHONY: build
build: $(VENV)/.built  ## the Python package, editable, with its extension compiled in place

# build_ffi.py links the archive named here instead of compiling every source a second time; a wheel build has none and compiles.
$(VENV)/.built: $(VENV)/.ready setup.py build_ffi.py $(PUBLIC_HEADERS) $(PYTHON_GLUE) build/release/libreml_internal.a
	$(call say,EXT,reml_embed)
	$(Q)REML_EMBED_ARCHIVE=$(abspath build/release/libreml_internal.a) CC='$(CC)' $(PIP_INSTALL) --no-build-isolation --no-deps -e .
	@touch $@

# ------------------------------------------------------------------------------------------------------------------- jobs

C_EXAMPLES := $(patsubst examples/c/%.c,build/examples/%,$(wildcard examples/c/*.c))

build/examples/%: examples/c/%.c $(SHARED_LINK) $(PUBLIC_HEADERS)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -std=c11 -Wall -Wextra -Wpedantic $(WERROR) -O2 -Inative/include $< -Lbuild -lreml_embed -pthread \
	    -Wl,-rpath,'$$ORIGIN/..' -o $@

.PHONY: run
run: build lib $(C_EXAMPLES)  ## set everything up, then run the examples: this is the main job
	$(Q)$(VENV_PYTHON) examples/run_all.py $(EXAMPLE_ARGS)

.PHONY: examples
examples: run

.PHONY: test-native
test-native: $(patsubst tests/native/%.c,build/release/tests/%,$(NATIVE_TESTS))  ## C unit tests, one program per module
	$(call run_tests,release,$^)

test-small: $(patsubst tests/native/%.c,build/small/tests/%,$(NATIVE_TESTS))  ## C unit tests of the library built for size
	$(call run_tests,small,$^)

.PHONY: test-python
test-python: build lib $(C_EXAMPLES)
	$(Q)$(VENV_PYTHON) -m pytest -q $(PYTEST_ARGS)

.PHONY: test
test: test-native check-headers check-symbols build lib $(C_EXAMPLES)  ## set everything up, then C unit tests and pytest
	$(Q)$(VENV_PYTHON) -m pytest -q $(PYTEST_ARGS)

# Public headers compile alone, twice, with every compiler found here; a compiler that is missing is named.
.PHONY: check-headers
check-headers:
	@mkdir -p build
	@for compiler in '$(CC)' gcc clang; do command -v $${compiler%% *} >/dev/null || { echo "  missing $$compiler"; continue; }; \
	    for header in $(PUBLIC_HEADERS); do echo "#include \"$$(basename $$header)\"" > build/header_$$$$.c; \
	        $$compiler -std=c11 -Wall -Wextra -Wpedantic -Werror -Inative/include -fsyntax-only build/header_$$$$.c || \
	        { echo "$$header does not compile alone as C11 with $$compiler" >&2; exit 1; }; done; done; rm -f build/header_$$$$.c
	@for compiler in c++ g++ clang++; do command -v $$compiler >/dev/null || { echo "  missing $$compiler"; continue; }; \
	    for header in $(PUBLIC_HEADERS); do echo "#include \"$$(basename $$header)\"" > build/header_$$$$.cpp; \
	        $$compiler -std=c++17 -Wall -Wextra -Wpedantic -Werror -Inative/include -fsyntax-only build/header_$$$$.cpp || \
	        { echo "$$header does not compile alone as C++17 with $$compiler" >&2; exit 1; }; done; done; rm -f build/header_$$$$.cpp
	@echo "  ok     $(words $(PUBLIC_HEADERS)) public headers compile alone"

.PHONY: check-symbols
check-symbols: lib
	@foreign=$$(nm -D --defined-only $(SHARED) | awk '$$2 != "A" && $$3 !~ /^_?reml_/ {print $$3}'); \
	    test -z "$$foreign" || { echo "exported beside reml_*: $$foreign" >&2; exit 1; }
	@foreign=$$(nm --defined-only --extern-only $(STATIC) | awk 'NF == 3 && $$3 !~ /^_?reml_/ {print $$3}'); \
	    test -z "$$foreign" || test "$(SYSTEM)" != Linux || { echo "visible in $(STATIC): $$foreign" >&2; exit 1; }
	@echo "  ok     only reml_* is exported"

STRESS_ASAN := $(patsubst tests/native/%.c,build/asan/tests/%,$(NATIVE_TESTS) $(NATIVE_STRESS))
STRESS_GC := $(patsubst tests/native/%.c,build/stress-gc/tests/%,$(NATIVE_TESTS) $(NATIVE_STRESS))

.PHONY: stress
stress: stress-asan stress-gc stress-python  ## sanitizers, a collection at every allocation, the n-th allocation failing

# tests/native/stress_*.c make the n-th allocation fail for every n; they run here under the sanitizers too.
.PHONY: stress-asan
stress-asan: $(STRESS_ASAN)
	$(call run_tests,address and undefined sanitizers,$^)

.PHONY: stress-gc
stress-gc: export REML_STRESS_GC = 1
stress-gc: $(STRESS_GC)
	$(call run_tests,a collection at every allocation,$^)

# The Python suite with the extension itself under the sanitizers: built apart, into build/asan-python, and loaded from there.
.PHONY: stress-python
stress-python: build build/asan/libreml_internal.a
	$(Q)$(VENV_PYTHON) tools/stress_python.py --archive build/asan/libreml_internal.a --cc '$(CC)' -- $(PYTEST_ARGS)

.PHONY: soak
SOAK_STEPS ?= 1000000
soak: build  ## a long random walk over ownership at the border, against its model
	$(Q)REML_OWNERSHIP_STEPS=$(SOAK_STEPS) $(VENV_PYTHON) -m pytest -q tests/unit/test_ownership.py

.PHONY: fuzz
ifneq ($(shell command -v clang 2>/dev/null),)
fuzz:  ## each fuzz target for FUZZ_SECONDS (needs clang; without it the targets only run over their seeds)
	$(Q)+$(MAKE) -j$(JOBS) build/fuzz-clang/libreml_internal.a CC=clang
	$(Q)$(PYTHON) tools/fuzz.py --clang --archive build/fuzz-clang/libreml_internal.a --seconds $(FUZZ_SECONDS)
else
fuzz: build/asan/libreml_internal.a
	$(Q)$(PYTHON) tools/fuzz.py --archive $<
endif

.PHONY: differential
DIFFERENTIAL_PROGRAMS ?= 100000
differential: build  ## generated programs, in the library and in a second evaluator written in Python
	$(Q)$(VENV_PYTHON) tests/differential/run.py --programs $(DIFFERENTIAL_PROGRAMS) --jobs $(JOBS)

.PHONY: golden
golden: build/release/tests/test_golden  ## rewrite the golden files; read the diff before committing
	$(Q)REML_UPDATE_GOLDEN=1 $<

$(VENV)/.lint: $(VENV)/.ready
	$(Q)$(VENV_PYTHON) tools/requirements.py lint > build/requirements-lint.txt
	$(Q)$(PIP_INSTALL) -r build/requirements-lint.txt
	@touch $@

.PHONY: lint
lint: $(VENV)/.lint  ## ruff and clang-format, complaining only
	$(Q)$(VENV)/bin/ruff check .
	$(Q)$(VENV)/bin/ruff format --check .
	$(Q)$(VENV)/bin/clang-format --dry-run --Werror $(C_FILES)

.PHONY: format
format: $(VENV)/.lint  ## ruff and clang-format, rewriting
	$(Q)$(VENV)/bin/ruff check --fix --exit-zero .
	$(Q)$(VENV)/bin/ruff format .
	$(Q)$(VENV)/bin/clang-format -i $(C_FILES)

.PHONY: tidy
tidy:  ## clang-tidy over the library (needs clang-tidy)
	$(Q)clang-tidy --quiet $(SOURCES) -- -std=c11 $(REML_CPPFLAGS)

.PHONY: types
types: build $(VENV)/.lint  ## mypy, strict
	$(Q)$(VENV)/bin/mypy

.PHONY: docs
docs: build  ## rewrite the tables in docs/: instructions, diagnostics, capabilities and kinds of events, which test covers what
	$(Q)$(VENV_PYTHON) tools/make_tables.py
	$(Q)$(VENV_PYTHON) tools/make_capability_docs.py
	$(Q)$(VENV_PYTHON) tools/make_audit_tables.py
	$(Q)$(VENV_PYTHON) tools/make_io_matrix.py
	$(Q)$(VENV_PYTHON) tools/language_coverage.py

.PHONY: check
check: lint types test  ## everything that has to pass before a change lands

# ------------------------------------------------------------------------------------------------------------- benchmarks

$(VENV)/.bench: $(VENV)/.ready
	$(Q)$(VENV_PYTHON) tools/requirements.py bench > build/requirements-bench.txt
	$(Q)for r in $$(cat build/requirements-bench.txt); do $(PIP_INSTALL) "$$r" || echo "missing peer: $$r"; done
	@touch $@

LUA_PACKAGE := $(firstword $(foreach p,lua5.4 lua-5.4 lua54,$(shell pkg-config --exists $(p) 2>/dev/null && echo $(p))))
ifneq ($(LUA_PACKAGE),)
BENCH_LUA := -DHAVE_LUA $(shell pkg-config --cflags $(LUA_PACKAGE))
BENCH_LUA_LIBS := $(shell pkg-config --libs $(LUA_PACKAGE))
endif

BENCH_FLAGS := -O2 -g
BENCH_CFLAGS := -std=c11 -D_GNU_SOURCE $(BENCH_FLAGS) -Wall -Wextra -Wpedantic -Wshadow $(WERROR)
BENCH_NAMES := -DBENCH_FLAGS='"$(BENCH_FLAGS); library $(CFLAGS)"' -DBENCH_ENGINES='"$(abspath build/bench/engines)"'
BENCH_SUPPORT := benchmarks/c/harness.c benchmarks/c/callee.c

# A measuring program is one file in benchmarks/c with bench_main in it: it gets a binary, a job bench-NAME and a part of the report.
BENCH_KINDS := $(filter-out calls frontend harness callee engine_% guest_% run_%,$(patsubst benchmarks/c/%.c,%,$(wildcard benchmarks/c/*.c)))

$(addprefix build/bench/,$(BENCH_KINDS)): build/bench/%: benchmarks/c/%.c
build/bench/calls: $(addprefix benchmarks/c/,calls.c engine_raw.c engine_lua.c engine_reml.c)
build/bench/frontend: benchmarks/c/frontend.c
# Loads a file and runs its main, as the lua command does: whole programs without the start of a Python.
build/bench/run-file: benchmarks/c/run_file.c

$(addprefix build/bench/,calls frontend run-file $(BENCH_KINDS)): $(BENCH_SUPPORT) benchmarks/c/harness.h $(STATIC)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(BENCH_CFLAGS) $(BENCH_NAMES) -Inative/include -DHAVE_REML $(BENCH_LUA) $(filter %.c,$^) $(STATIC) $(BENCH_LUA_LIBS) $(REML_LIBS) \
	    -rdynamic -ldl -o $@

# The peers alone, without the library: what the machine gives.
build/bench/calls-peers: $(addprefix benchmarks/c/,calls.c engine_raw.c engine_lua.c) $(BENCH_SUPPORT) benchmarks/c/harness.h
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(BENCH_CFLAGS) $(BENCH_NAMES) $(BENCH_LUA) $(filter %.c,$^) $(BENCH_LUA_LIBS) -lm -rdynamic -ldl -o $@

# Everything in order, then report.md, report.json and plots in build/bench; BENCH_QUICK=1 takes a minute and only shows that it works.
.PHONY: bench
bench: bench-binaries bench-engines build $(VENV)/.bench lib  ## measure everything beside the peers installed here, and write the report
	$(Q)BENCH_FLAGS='$(BENCH_FLAGS); library $(CFLAGS)' $(VENV_PYTHON) benchmarks/bench.py $(BENCH_ARGS)

.PHONY: bench-binaries bench-engines
bench-binaries: $(addprefix build/bench/,calls frontend run-file $(BENCH_KINDS))

# Peers that are compiled here out of their source packages; what cannot be had is named, and measured around.
bench-engines:
	$(Q)$(PYTHON) benchmarks/build_peers.py

BENCH_JOBS := bench-c bench-peers bench-programs bench-python bench-python-newer bench-frontend bench-size bench-instructions bench-report bench-docs
.PHONY: $(BENCH_JOBS) $(addprefix bench-,$(BENCH_KINDS))
bench-c: build/bench/calls
	$(Q)$< --json build/bench/c-calls.json $(BENCH_ARGS)

bench-peers: build/bench/calls-peers
	$(Q)$< --json build/bench/c-peers.json $(BENCH_ARGS)

bench-programs: build/bench/run-file
	$(Q)$(PYTHON) benchmarks/programs.py --json build/bench/programs.json $(BENCH_ARGS)

bench-python: build $(VENV)/.bench
	$(Q)$(VENV_PYTHON) benchmarks/python_calls.py --json build/bench/python-calls.json $(BENCH_ARGS)

bench-python-newer: build/release/libreml_internal.a
	$(Q)$(PYTHON) benchmarks/newer_python.py $(BENCH_ARGS)

bench-frontend: build/bench/frontend
	$(Q)$(PYTHON) benchmarks/frontend.py --json build/bench/frontend.json $(BENCH_ARGS)

bench-size: lib
	$(Q)$(PYTHON) benchmarks/size.py --json build/bench/size.json

bench-instructions: build/bench/calls build/bench/start bench-engines  ## instructions of one crossing, ours and the peers', counted by callgrind
	$(Q)$(PYTHON) benchmarks/instructions.py --json build/bench/instructions.json $(BENCH_ARGS)

$(addprefix bench-,$(BENCH_KINDS)): bench-%: build/bench/%
	$(Q)$< --json build/bench/$*.json $(BENCH_ARGS)

# Again out of what was measured, without measuring.
bench-report:
	$(Q)$(PYTHON) benchmarks/report.py build/bench --output build/bench > build/bench/report.log

# The figures of that report into docs/performance.md.
bench-docs: bench-report
	$(Q)$(PYTHON) benchmarks/docs.py build/bench/report.json docs/performance.md

# --------------------------------------------------------------------------------------------------------------- the rest

.PHONY: dist
dist: $(VENV)/.ready  ## sdist and wheel in dist/
	$(Q)$(PIP_INSTALL) build
	$(Q)$(VENV_PYTHON) -m build --quiet

.PHONY: clean distclean
clean:  ## remove what was built
	rm -rf build dist *.egg-info reml_embed/*.so reml_embed/*.abi3.so $(VENV)/.built

distclean: clean  ## remove the virtual environment too
	rm -rf $(VENV)

.PHONY: help
help:  ## this list
	@awk 'BEGIN {FS = ":.*  ## "} /^[a-z-]+:.*  ## / {printf "  make %-18s %s\n", $$1, $$2}' Makefile

.PHONY: FORCE
FORCE:
