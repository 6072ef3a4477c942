# What the library is made of; included by the Makefile, globbed the same way by build_ffi.py.
# A new .c file below native/src belongs to the library as soon as it exists.

SOURCES         := $(sort $(wildcard native/src/*/*.c native/src/*/*/*.c))
PUBLIC_HEADERS  := $(sort $(wildcard native/include/*.h))
PRELUDE_SOURCES := $(sort $(wildcard native/src/vm/core/*.reml))
NATIVE_TESTS    := $(sort $(wildcard tests/native/test_*.c))
NATIVE_STRESS   := $(sort $(wildcard tests/native/stress_*.c))
TEST_SUPPORT    := $(filter-out $(NATIVE_TESTS) $(NATIVE_STRESS),$(sort $(wildcard tests/native/*.c)))
PYTHON_GLUE     := $(sort $(wildcard reml_embed/*.c reml_embed/*.h native/python/*.c native/python/*.h))
C_FILES         := $(sort $(wildcard native/include/*.h native/src/*/*.c native/src/*/*.h native/src/*/*/*.c native/src/*/*/*.h \
                     native/python/*.c native/python/*.h tests/native/*.c tests/native/*.h tests/fuzz/*.c \
                     examples/c/*.c benchmarks/c/*.c benchmarks/c/*.h benchmarks/programs/*.c))
