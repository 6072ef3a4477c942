/* The life of a vm, its limits and failures, and the ways into it. */
#include "vm/async.h"
#include "vm/file.h"

#include "base/os.h"

#include <stdio.h>

enum {
    MESSAGE_RESERVE = 256, /* so that an ordinary message never needs memory when it is made */
    KEEP_WORDS = 4096,     /* banks larger than this are given back between runs */
    NATIVE_DEPTH = 200
};

const rl_instr_t rl_vm_halt[1] = {{.op = RL_OP_HALT}};

#define NULLARY(i) {RL_OBJ_CELLS, RL_OBJ_STATIC | RL_OBJ_SHARED, (i), 0, 0}
#define NULLARY8(i)                                                                                                    \
    NULLARY(i), NULLARY(i + 1), NULLARY(i + 2), NULLARY(i + 3), NULLARY(i + 4), NULLARY(i + 5), NULLARY(i + 6),        \
        NULLARY(i + 7)
#define NULLARY64(i)                                                                                                   \
    NULLARY8(i), NULLARY8(i + 8), NULLARY8(i + 16), NULLARY8(i + 24), NULLARY8(i + 32), NULLARY8(i + 40),              \
        NULLARY8(i + 48), NULLARY8(i + 56)
rl_object_t rl_nullary_objects[256] = {NULLARY64(0), NULLARY64(64), NULLARY64(128), NULLARY64(192)};

static void mark_roots(rl_heap_t* heap, void* user) {
    rl_vm_t* vm = user;
    for (rl_fiber_t* fiber = vm->fiber; fiber; fiber = fiber->parent) rl_fiber_mark(heap, fiber);
    rl_async_mark(heap, vm);
    rl_heap_mark(heap, vm->held);
    for (uint32_t i = 0; i < vm->unwinds.count; i++) rl_heap_mark(heap, vm->unwinds.data[i].token);
    for (rl_parked_t* parked = vm->kept_first; parked; parked = parked->next) {
        if (rl_parked_has_deferred(parked)) rl_heap_mark(heap, &parked->header);
    }
    for (uint32_t i = 0; i < vm->global_count; i++) rl_heap_mark(heap, vm->globals_r[i]);
    if (vm->mark_host_roots) vm->mark_host_roots(heap, vm->host);
}

bool rl_vm_init(rl_vm_t* vm, rl_allocator_t* allocator, const rl_program_t* program) {
    *vm = (rl_vm_t){.allocator = allocator, .program = program, .native_depth_limit = NATIVE_DEPTH};
    vm->limits = (rl_limits_t){.fuel = 1000000000000u,
        .heap_bytes = (uint64_t)1 << 30,
        .call_depth = 200000,
        .string_bytes = 256u << 20,
        .output_bytes = (uint64_t)1 << 30,
        .source_bytes = 16u << 20,
        .nesting = 1000,
        .identifier_bytes = 1024,
        .instances = 10000,
        .type_depth = 100};
    rl_heap_init(&vm->heap, allocator);
    vm->poll_interval = RL_POLL_INTERVAL;
    vm->heap.roots_user = vm;
    vm->heap.mark_roots = mark_roots;
    rl_arena_init(&vm->failure_arena, allocator);
    rl_buf_init(&vm->failure.message, allocator);
    rl_buf_init(&vm->answer, allocator);
    if (!rl_os_random(vm->hash_secret, sizeof vm->hash_secret)) {
        /* Weaker, but still different from run to run. */
        vm->hash_secret[0] = rl_os_monotonic_ns() ^ (uint64_t)(uintptr_t)vm;
        vm->hash_secret[1] = rl_os_ticks() * 0x9e3779b97f4a7c15u;
    }
    vm->fiber = rl_alloc_zero(allocator, sizeof *vm->fiber);
    if (!vm->fiber) return false;
    if (!rl_async_init(vm) || !rl_fiber_init_main(vm, vm->fiber) ||
        !rl_buf_reserve(&vm->failure.message, MESSAGE_RESERVE)) {
        rl_vm_deinit(vm);
        return false;
    }
    vm->started_ns = rl_os_monotonic_ns();
    rl_vm_begin_run(vm);
    return true;
}

void rl_vm_deinit(rl_vm_t* vm) {
    rl_fiber_free_spare(vm);
    while (vm->kept_first) rl_parked_unkeep(vm, vm->kept_first);
    rl_files_deinit(vm);
    rl_heap_deinit(&vm->heap);
    rl_async_deinit(vm);
    while (vm->fiber) {
        rl_fiber_t* fiber = vm->fiber;
        vm->fiber = fiber->parent;
        rl_fiber_deinit(vm, fiber);
        rl_free(vm->allocator, fiber, sizeof *fiber);
    }
    rl_free(vm->allocator, vm->globals_s, vm->global_count * sizeof *vm->globals_s);
    rl_free(vm->allocator, vm->globals_r, vm->global_count * sizeof *vm->globals_r);
    rl_free(vm->allocator, vm->globals_set, vm->global_count);
    rl_buf_deinit(&vm->failure.message);
    rl_vec_deinit(vm->allocator, &vm->failure.stack);
    rl_vec_deinit(vm->allocator, &vm->failure.notes);
    rl_arena_deinit(&vm->failure_arena);
    rl_vec_deinit(vm->allocator, &vm->unwinds);
    rl_buf_deinit(&vm->answer);
    vm->globals_s = NULL;
    vm->globals_r = NULL;
    vm->globals_set = NULL;
    vm->global_count = 0;
}

bool rl_vm_reserve_globals(rl_vm_t* vm, uint32_t count) {
    if (count <= vm->global_count) return true;
    rl_word_t* scalars = rl_alloc_zero(vm->allocator, count * sizeof *scalars);
    rl_object_t** references = rl_alloc_zero(vm->allocator, count * sizeof *references);
    uint8_t* set = rl_alloc_zero(vm->allocator, count);
    if (!scalars || !references || !set) {
        rl_free(vm->allocator, scalars, count * sizeof *scalars);
        rl_free(vm->allocator, references, count * sizeof *references);
        rl_free(vm->allocator, set, count);
        return false;
    }
    if (vm->global_count) {
        memcpy(scalars, vm->globals_s, vm->global_count * sizeof *scalars);
        memcpy(references, vm->globals_r, vm->global_count * sizeof *references);
        memcpy(set, vm->globals_set, vm->global_count);
    }
    rl_free(vm->allocator, vm->globals_s, vm->global_count * sizeof *scalars);
    rl_free(vm->allocator, vm->globals_r, vm->global_count * sizeof *references);
    rl_free(vm->allocator, vm->globals_set, vm->global_count);
    vm->globals_s = scalars;
    vm->globals_r = references;
    vm->globals_set = set;
    vm->global_count = count;
    return true;
}

/* --- limits ------------------------------------------------------------------------------------------------------ */

static void shrink_fiber(rl_vm_t* vm) {
    rl_fiber_t small, *fiber = vm->fiber;
    if (!rl_fiber_init_main(vm, &small)) {
        rl_alloc_clear_failure(vm->allocator);
        return;
    }
    small.parent = fiber->parent;
    rl_fiber_deinit(vm, fiber);
    *fiber = small;
}

void rl_vm_begin_run(rl_vm_t* vm) {
    rl_fiber_t* fiber = vm->fiber;
    if (RL_UNLIKELY(fiber->frame_count == 0 && (fiber->s_capacity > KEEP_WORDS || fiber->r_capacity > KEEP_WORDS ||
                                                   fiber->frame_capacity > KEEP_WORDS))) {
        shrink_fiber(vm);
    }
    if (RL_UNLIKELY(vm->failure.present)) rl_vm_clear_failure(vm);
    int64_t fuel = vm->limits.fuel > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)vm->limits.fuel;
    vm->budget = fuel < vm->poll_interval ? fuel : vm->poll_interval;
    vm->fuel_left = fuel - vm->budget;
    vm->output_left = vm->limits.output_bytes;
    vm->stopped = 0;
    vm->grace_given = false;
    vm->answered = false;
    vm->deadline_ns = vm->limits.deadline_ms ? rl_os_monotonic_ns() + vm->limits.deadline_ms * 1000000u : 0;
    atomic_store_explicit(&vm->interrupt, 0, memory_order_relaxed);
}

static bool stop(rl_vm_t* vm, rl_code_t code) {
    vm->stopped = code;
    vm->budget = -1;
    rl_vm_raise_standard(vm, code);
    return false;
}

bool rl_vm_poll(rl_vm_t* vm) {
    if (vm->stopped) return stop(vm, vm->stopped);
    int64_t total = vm->fuel_left + vm->budget;
    if (total < 0) {
        vm->fuel_left = 0;
        return stop(vm, RL_CODE_RUNTIME_LIMIT_INSTRUCTIONS);
    }
    vm->budget = total < vm->poll_interval ? total : vm->poll_interval;
    vm->fuel_left = total - vm->budget;
    if (atomic_load_explicit(&vm->interrupt, memory_order_relaxed)) return stop(vm, RL_CODE_RUNTIME_INTERRUPTED);
    if (vm->deadline_ns && rl_os_monotonic_ns() > vm->deadline_ns) return stop(vm, RL_CODE_RUNTIME_LIMIT_DEADLINE);
    if (vm->poll && !vm->poll(vm->host)) {
        if (!vm->failure.present || vm->unwinding)
            return stop(vm, vm->poll_code ? vm->poll_code : RL_CODE_RUNTIME_INTERRUPTED);
        vm->stopped = vm->failure.code;
        vm->budget = -1;
        return false;
    }
    return true;
}

static bool poll_at(rl_vm_t* vm, rl_poll_place_t place, const rl_proto_t* entering) {
    vm->polled_at = place;
    vm->entering = entering;
    bool goes_on = rl_vm_poll(vm);
    vm->polled_at = RL_POLLED_CODE;
    return goes_on;
}

bool rl_vm_poll_entering(rl_vm_t* vm, const rl_proto_t* callee) { return poll_at(vm, RL_POLLED_ENTRY, callee); }
bool rl_vm_poll_builtin(rl_vm_t* vm) { return poll_at(vm, RL_POLLED_BUILTIN, NULL); }
bool rl_vm_poll_waiting(rl_vm_t* vm) { return poll_at(vm, RL_POLLED_WAIT, NULL); }

rl_outcome_t rl_vm_output(rl_vm_t* vm, rl_str_t text, bool is_error) {
    if (!rl_vm_charge(vm, 1 + text.length / 16)) return RL_RAISE;
    if (text.length > vm->output_left) return rl_vm_raise_standard(vm, RL_CODE_RUNTIME_LIMIT_OUTPUT);
    vm->output_left -= text.length;
    if (!vm->output || vm->output(vm->host, text, is_error)) return RL_DONE;
    if (vm->failure.present && !vm->unwinding) return RL_RAISE;
    return rl_vm_raise(vm, RL_CODE_HOST_CALL_FAILED, "the host's output callback failed");
}

/* --- failures ------------------------------------------------------------------------------------------------ */

void rl_vm_clear_failure(rl_vm_t* vm) {
    rl_failure_t* failure = &vm->failure;
    rl_buf_clear(&failure->message);
    failure->stack.count = 0;
    failure->notes.count = 0;
    failure->module = 0;
    failure->start = 0;
    failure->present = false;
    failure->by_host = false;
    failure->token = 0;
    rl_arena_deinit(&vm->failure_arena);
}

rl_str_t rl_vm_standard_message(rl_code_t code) {
    switch (code) {
    case RL_CODE_RUNTIME_PANIC: return RL_STR("panic");
    case RL_CODE_RUNTIME_ASSERT: return RL_STR("assertion failed");
    case RL_CODE_RUNTIME_TODO: return RL_STR("not yet implemented");
    case RL_CODE_RUNTIME_UNWRAP: return RL_STR("unwrap of an empty value");
    case RL_CODE_RUNTIME_ARITH_OVERFLOW: return RL_STR("integer overflow");
    case RL_CODE_RUNTIME_ARITH_DIV_ZERO: return RL_STR("division by zero");
    case RL_CODE_RUNTIME_ARITH_NEGATIVE_EXPONENT: return RL_STR("negative exponent of an integer power");
    case RL_CODE_E7101: return RL_STR("integer cast out of range");
    case RL_CODE_E7102: return RL_STR("float cast out of range");
    case RL_CODE_E7103: return RL_STR("not a Unicode scalar value");
    case RL_CODE_RUNTIME_INDEX_OUT_OF_BOUNDS: return RL_STR("index out of bounds");
    case RL_CODE_RUNTIME_MAP_MISSING_KEY: return RL_STR("key not found");
    case RL_CODE_RUNTIME_ITERATOR_INVALIDATED: return RL_STR("collection changed while it is walked");
    case RL_CODE_RUNTIME_RANGE_STEP: return RL_STR("step must be positive");
    case RL_CODE_RUNTIME_MATCH_NO_ARM: return RL_STR("no arm of `match` fits the value");
    case RL_CODE_RUNTIME_STACK_OVERFLOW: return RL_STR("stack overflow");
    case RL_CODE_RUNTIME_LIMIT_INSTRUCTIONS: return RL_STR("instruction limit reached");
    case RL_CODE_RUNTIME_LIMIT_MEMORY: return RL_STR("memory limit reached");
    case RL_CODE_RUNTIME_LIMIT_DEADLINE: return RL_STR("deadline reached");
    case RL_CODE_RUNTIME_LIMIT_OUTPUT: return RL_STR("output limit reached");
    case RL_CODE_RUNTIME_INTERRUPTED: return RL_STR("interrupted");
    case RL_CODE_RUNTIME_INIT_UNINITIALIZED: return RL_STR("variable used before its initialisation");
    case RL_CODE_TYPE_EQ_UNSUPPORTED: return RL_STR("functions and opaque values cannot be compared");
    case RL_CODE_TYPE_INSTANTIATION_LIMIT: return RL_STR("too many instances of generic functions");
    case RL_CODE_HOST_SYMBOL_UNBOUND: return RL_STR("host function is not bound");
    case RL_CODE_RUNTIME_EFFECT_UNHANDLED: return RL_STR("no handler for the effect");
    case RL_CODE_RUNTIME_EFFECT_NATIVE_FRAME: return RL_STR("an effect cannot leave a call that a host function made");
    case RL_CODE_EFFECTS_HANDLER_INVALID_RESUME: return RL_STR("resumed for the second time");
    case RL_CODE_HOST_CALL_FAILED: return RL_STR("host function failed");
    default: return rl_str(rl_code_text(code));
    }
}

static void add_note(rl_vm_t* vm, rl_code_t code, rl_str_t message) {
    rl_failure_t* failure = &vm->failure;
    if (failure->notes.count >= 64) return;
    bool failed = vm->allocator->failed;
    rl_str_t code_text = rl_str(rl_code_text(code));
    static const char intro[] = "panic in a deferred expression: ";
    if (message.length > 1000) message.length = 1000;
    size_t length = sizeof intro - 1 + code_text.length + 2 + message.length;
    char* text = rl_arena_alloc(&vm->failure_arena, length + 1);
    if (text) {
        memcpy(text, intro, sizeof intro - 1);
        char* end = text + sizeof intro - 1;
        memcpy(end, code_text.data, code_text.length);
        end += code_text.length;
        memcpy(end, ": ", 2);
        if (message.length) memcpy(end + 2, message.data, message.length);
        rl_vec_push(vm->allocator, &failure->notes, (rl_str_t){text, length});
    }
    vm->allocator->failed = failed;
}

/* Add as much of the text as memory allows; the first MESSAGE_RESERVE bytes always fit. */
static void set_message(rl_vm_t* vm, rl_str_t text) {
    rl_buf_t* message = &vm->failure.message;
    bool failed = vm->allocator->failed;
    rl_buf_clear(message);
    if (message->data && text.data >= message->data && text.data < message->data + message->capacity) {
        memmove(message->data, text.data, text.length); /* raised again with its own text */
        message->length = text.length;
        return;
    }
    rl_buf_add(message, text);
    if (message->failed) {
        rl_buf_clear(message);
        size_t length = text.length < MESSAGE_RESERVE - 1 ? text.length : MESSAGE_RESERVE - 1;
        while (length > 0 && length < text.length && ((unsigned char)text.data[length] & 0xC0) == 0x80) length--;
        rl_buf_add(message, (rl_str_t){text.data, length});
    }
    vm->allocator->failed = failed;
}

rl_outcome_t rl_vm_raise_text(rl_vm_t* vm, rl_code_t code, rl_str_t message) {
    if (vm->unwinding && vm->failure.present) {
        add_note(vm, code, message);
        return RL_RAISE;
    }
    rl_vm_clear_failure(vm);
    vm->failure.code = code;
    vm->failure.present = true;
    set_message(vm, message);
    return RL_RAISE;
}

rl_outcome_t rl_vm_raise(rl_vm_t* vm, rl_code_t code, const char* format, ...) {
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0) return rl_vm_raise_standard(vm, code);
    size_t used = (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    while (used > 0 && used < (size_t)length && ((unsigned char)text[used] & 0xC0) == 0x80) used--;
    return rl_vm_raise_text(vm, code, (rl_str_t){text, used});
}

rl_outcome_t rl_vm_raise_standard(rl_vm_t* vm, rl_code_t code) {
    return rl_vm_raise_text(vm, code, rl_vm_standard_message(code));
}

rl_outcome_t rl_vm_raise_index(rl_vm_t* vm, int64_t index, uint64_t length) {
    return rl_vm_raise(vm, RL_CODE_RUNTIME_INDEX_OUT_OF_BOUNDS, "index %lld is out of bounds for length %llu",
        (long long)index, (unsigned long long)length);
}

/* --- ways in and out ----------------------------------------------------------------------------------------- */

rl_outcome_t rl_vm_call(
    rl_vm_t* vm, const rl_proto_t* proto, const rl_word_t* s_args, rl_object_t* const* r_args, rl_word_t* out_result) {
    rl_fiber_t* fiber = vm->fiber;
    uint32_t floor = fiber->frame_count;
    out_result->u = 0;
    if (vm->native_depth >= vm->native_depth_limit) {
        return rl_vm_raise(vm, RL_CODE_RUNTIME_STACK_OVERFLOW, "stack overflow: more than %u nested host calls",
            vm->native_depth_limit);
    }
    uint32_t s_delta = fiber->proto ? fiber->proto->s_count : 0, r_delta = fiber->proto ? fiber->proto->r_count : 0;
    size_t s_base = (size_t)fiber->s_base + s_delta, r_base = (size_t)fiber->r_base + r_delta;
    vm->budget -= (int64_t)proto->entry_cost;
    if (vm->budget < 0 && !rl_vm_poll_entering(vm, proto)) return RL_RAISE;
    if (s_base + proto->s_count > fiber->s_capacity || r_base + proto->r_count > fiber->r_capacity ||
        floor >= fiber->frame_capacity || floor >= vm->limits.call_depth) {
        if (!rl_fiber_reserve(vm, fiber, s_base + proto->s_count, r_base + proto->r_count)) return RL_RAISE;
    }
    for (unsigned i = 0; i < proto->s_params; i++) fiber->s[s_base + i] = s_args[i];
    for (unsigned i = 0, count = proto->r_params + (unsigned)proto->has_env; i < count; i++)
        fiber->r[r_base + i] = r_args[i];
    fiber->frames[fiber->frame_count++] = (rl_frame_t){rl_vm_halt, fiber->proto, s_delta, r_delta};
    const rl_instr_t* outer_pc = fiber->pc;
    const rl_proto_t* outer_proto = fiber->proto;
    fiber->proto = proto;
    fiber->pc = proto->code;
    uint32_t outer_s = fiber->s_base, outer_r = fiber->r_base, outer_barrier = fiber->barrier;
    bool outer_native = fiber->barrier_is_native;
    fiber->barrier = floor;
    fiber->barrier_is_native = true;
    fiber->s_base = (uint32_t)s_base;
    fiber->r_base = (uint32_t)r_base;
    vm->native_depth++;
    rl_outcome_t outcome = rl_vm_run(vm, floor);
    vm->native_depth--;
    fiber->frame_count = floor;
    fiber->pc = outer_pc;
    fiber->proto = outer_proto;
    fiber->s_base = outer_s;
    fiber->r_base = outer_r;
    fiber->barrier = outer_barrier;
    fiber->barrier_is_native = outer_native;
    if (outcome == RL_DONE) {
        if (proto->result_rep == RL_REP_R) out_result->o = fiber->r[r_base];
        else *out_result = fiber->s[s_base];
    }
    return outcome;
}

rl_outcome_t rl_vm_call_closure(
    rl_vm_t* vm, rl_object_t* closure, const rl_word_t* s_args, rl_object_t* const* r_args, rl_word_t* out_result) {
    const rl_proto_t* proto = rl_object_words(closure)[closure->refs].p;
    rl_object_t* few[16];
    size_t count = (size_t)proto->r_params + 1, size = count * sizeof *few;
    rl_object_t** all = count <= RL_COUNT_OF(few) ? few : rl_alloc(vm->allocator, size);
    if (!all) return rl_vm_raise_standard(vm, RL_CODE_RUNTIME_LIMIT_MEMORY);
    all[0] = closure;
    for (unsigned i = 0; i + 1 < count && r_args; i++) all[i + 1] = r_args[i];
    rl_outcome_t outcome = rl_vm_call(vm, proto, s_args, all, out_result);
    if (all != few) rl_free(vm->allocator, all, size);
    return outcome;
}

rl_outcome_t rl_vm_call_host(
    rl_vm_t* vm, rl_host_site_t* site, const rl_word_t* s, rl_object_t* const* r, rl_word_t* result) {
    result->u = 0;
    if (RL_UNLIKELY(!vm->call_host)) {
        return rl_vm_raise(
            vm, RL_CODE_HOST_SYMBOL_UNBOUND, "host function `%.*s` is not bound", RL_STR_ARG(site->name));
    }
    if (RL_LIKELY(!vm->unwinding)) {
        if (vm->failure.present) rl_vm_clear_failure(vm); /* of a nested run whose failure the host has swallowed */
        rl_outcome_t outcome = vm->call_host(vm->host, vm, site, s, r, result);
        if (outcome == RL_RAISE && !vm->failure.present) {
            rl_vm_raise(vm, RL_CODE_HOST_CALL_FAILED, "host function `%.*s` failed", RL_STR_ARG(site->name));
        }
        return outcome;
    }
    /* A deferred closure calls out while a failure is on its way: nested runs get a failure of their own. */
    rl_failure_t outer = vm->failure;
    rl_arena_t outer_arena = vm->failure_arena;
    vm->failure = (rl_failure_t){0};
    rl_buf_init(&vm->failure.message, vm->allocator);
    rl_arena_init(&vm->failure_arena, vm->allocator);
    vm->unwinding = false;
    rl_outcome_t outcome = vm->call_host(vm->host, vm, site, s, r, result);
    rl_failure_t inner = vm->failure;
    rl_arena_t inner_arena = vm->failure_arena;
    vm->failure = outer;
    vm->failure_arena = outer_arena;
    vm->unwinding = true;
    if (outcome == RL_RAISE) {
        rl_str_t text = inner.present ? rl_buf_str(&inner.message) : rl_vm_standard_message(RL_CODE_HOST_CALL_FAILED);
        add_note(vm, inner.present ? inner.code : RL_CODE_HOST_CALL_FAILED, text);
    }
    rl_buf_deinit(&inner.message);
    rl_vec_deinit(vm->allocator, &inner.stack);
    rl_vec_deinit(vm->allocator, &inner.notes);
    rl_arena_deinit(&inner_arena);
    return outcome;
}
