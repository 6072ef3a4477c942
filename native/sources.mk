# What the library is made of; included by the Makefile, globbed the same way by build_ffi.py.
# A new .c file below native/src belongs to the library as soon as it exists.

SOURCES         := $(sort $(wildcard native/src/*/*.c native/src/*/*/*.c))
# Built for size: nothing here has a share in calls, loops or the beginning of a context, and none above 0.4 % in checking a large source.
SMALL_SOURCES   := $(wildcard $(addsuffix .c,$(addprefix native/src/, \
                     $(addprefix audit/,read record recover verify) $(addprefix base/,edit json_read regex_compile) \
                     $(addprefix code/,disassemble emit_data emit_effect emit_loop) diag/* \
                     $(addprefix host/,audit capability capability_body capability_error capability_record correspond edition effects errors \
                       files foreign globals jobs profile program promises refs reload results) \
                     $(addprefix syntax/,conductor explain parse_item parse_type print) \
                     $(addprefix types/,active async demand effect export foreign format_expr handler \
                       impl ir_print iterable json_expr lend method open pattern record rigid special stage telemetry template trait \
                       type_print typedecl) \
                     $(addprefix vm/,clone profile core/any core/file core/path core/watch))))
PUBLIC_HEADERS  := $(sort $(wildcard native/include/*.h))
PRELUDE_SOURCES := $(sort $(wildcard native/src/vm/core/*.reml))
NATIVE_TESTS    := $(sort $(wildcard tests/native/test_*.c))
NATIVE_STRESS   := $(sort $(wildcard tests/native/stress_*.c))
TEST_SUPPORT    := $(filter-out $(NATIVE_TESTS) $(NATIVE_STRESS),$(sort $(wildcard tests/native/*.c)))
PYTHON_GLUE     := $(sort $(wildcard reml_embed/*.c reml_embed/*.h native/python/*.c native/python/*.h))
C_FILES         := $(sort $(wildcard native/include/*.h native/src/*/*.c native/src/*/*.h native/src/*/*/*.c native/src/*/*/*.h \
                     native/python/*.c native/python/*.h tests/native/*.c tests/native/*.h tests/fuzz/*.c \
                     examples/c/*.c benchmarks/c/*.c benchmarks/c/*.h benchmarks/programs/*.c))
