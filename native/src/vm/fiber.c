/* Register banks, frames and unwinding. */
#include "vm/vm.h"

enum {
    FIRST_S = 64,
    FIRST_R = 32,
    FIRST_FRAMES = 16,
    SLACK = 8,           /* words behind each bank, so that moving one register too many stays inside */
    UNWIND_FRAMES = 64,  /* frames that deferred closures may use beyond the call depth */
    UNWIND_FUEL = 10000, /* steps that deferred closures get after a limit was reached */
    MOST_WORDS = 1 << 30
};

static const rl_instr_t unwind_code[1] = {{.op = RL_OP_UNWIND}};

bool rl_fiber_init(rl_vm_t* vm, rl_fiber_t* fiber) {
    *fiber = (rl_fiber_t){0};
    fiber->s = rl_alloc_zero(vm->allocator, (FIRST_S + SLACK) * sizeof *fiber->s);
    fiber->r = rl_alloc_zero(vm->allocator, (FIRST_R + SLACK) * sizeof *fiber->r);
    fiber->frames = rl_alloc(vm->allocator, FIRST_FRAMES * sizeof *fiber->frames);
    if (fiber->s) fiber->s_capacity = FIRST_S;
    if (fiber->r) fiber->r_capacity = FIRST_R;
    if (fiber->frames) fiber->frame_capacity = FIRST_FRAMES;
    if (fiber->s && fiber->r && fiber->frames) return true;
    rl_fiber_deinit(vm, fiber);
    return false;
}

void rl_fiber_deinit(rl_vm_t* vm, rl_fiber_t* fiber) {
    rl_free(vm->allocator, fiber->s, ((size_t)fiber->s_capacity + SLACK) * sizeof *fiber->s);
    rl_free(vm->allocator, fiber->r, ((size_t)fiber->r_capacity + SLACK) * sizeof *fiber->r);
    rl_free(vm->allocator, fiber->frames, (size_t)fiber->frame_capacity * sizeof *fiber->frames);
    rl_vec_deinit(vm->allocator, &fiber->deferred);
    *fiber = (rl_fiber_t){0};
}

/* Grow a bank to hold `top` words; the new words are zero, so the R bank stays free of invalid references. */
static bool grow_bank(rl_vm_t* vm, void** bank, uint32_t* capacity, size_t top) {
    if (top > MOST_WORDS) {
        vm->allocator->failed = true;
        return false;
    }
    size_t wanted = (size_t)*capacity * 2 < top ? top : (size_t)*capacity * 2;
    size_t old_size = ((size_t)*capacity + SLACK) * 8, new_size = (wanted + SLACK) * 8;
    char* moved = rl_resize(vm->allocator, *bank, old_size, new_size);
    if (!moved) return false;
    memset(moved + old_size, 0, new_size - old_size);
    *bank = moved;
    *capacity = (uint32_t)wanted;
    return true;
}

static bool grow_all(rl_vm_t* vm, rl_fiber_t* fiber, size_t s_top, size_t r_top, uint64_t depth) {
    if (s_top > fiber->s_capacity) {
        void* bank = fiber->s;
        if (!grow_bank(vm, &bank, &fiber->s_capacity, s_top)) return false;
        fiber->s = bank;
    }
    if (r_top > fiber->r_capacity) {
        void* bank = fiber->r;
        if (!grow_bank(vm, &bank, &fiber->r_capacity, r_top)) return false;
        fiber->r = bank;
    }
    if (fiber->frame_count >= fiber->frame_capacity) {
        uint64_t wanted = (uint64_t)fiber->frame_capacity * 2 < depth ? (uint64_t)fiber->frame_capacity * 2 : depth;
        if (wanted <= fiber->frame_count) wanted = (uint64_t)fiber->frame_count + 1;
        rl_frame_t* frames = rl_resize(vm->allocator, fiber->frames, (size_t)fiber->frame_capacity * sizeof *frames,
            (size_t)wanted * sizeof *frames);
        if (!frames) return false;
        fiber->frames = frames;
        fiber->frame_capacity = (uint32_t)wanted;
    }
    return true;
}

bool rl_fiber_reserve(rl_vm_t* vm, rl_fiber_t* fiber, size_t s_top, size_t r_top) {
    uint64_t depth = vm->limits.call_depth + (vm->unwinding ? UNWIND_FRAMES : 0);
    if (depth > UINT32_MAX / sizeof(rl_frame_t)) depth = UINT32_MAX / sizeof(rl_frame_t);
    if (fiber->frame_count >= depth) {
        rl_vm_raise(vm, RL_CODE_RUNTIME_STACK_OVERFLOW, "stack overflow: more than %llu nested calls",
            (unsigned long long)vm->limits.call_depth);
        return false;
    }
    if (grow_all(vm, fiber, s_top, r_top, depth)) return true;
    if (rl_heap_make_room(&vm->heap) && grow_all(vm, fiber, s_top, r_top, depth)) return true;
    rl_alloc_clear_failure(vm->allocator);
    rl_vm_raise_standard(vm, RL_CODE_RUNTIME_LIMIT_MEMORY);
    return false;
}

/* --- unwinding ------------------------------------------------------------------------------------------------ */

/* Byte offset in the source of the instruction before `pc`. */
static uint32_t start_of(const rl_proto_t* proto, const rl_instr_t* pc) {
    if (!proto->starts || proto->code_count == 0) return 0;
    size_t index = 0;
    if (pc > proto->code && (size_t)(pc - proto->code) <= proto->code_count) index = (size_t)(pc - proto->code) - 1;
    return proto->starts[index];
}

/* Append the frames above `floor` to the failure's stack; where it happened is the innermost frame of a loaded
   module. */
static void record_stack(rl_vm_t* vm, uint32_t floor) {
    const rl_fiber_t* fiber = vm->fiber;
    rl_failure_t* failure = &vm->failure;
    const rl_program_t* program = vm->program;
    const rl_proto_t* proto = fiber->proto;
    const rl_instr_t* pc = fiber->pc;
    uint32_t first_module = program ? program->first_module : 0;
    bool placed = failure->stack.count > 0 && failure->module >= first_module && failure->module != 0;
    bool any = failure->stack.count > 0;
    bool out_of_memory = vm->allocator->failed;
    for (uint32_t depth = fiber->frame_count; depth > floor && proto; depth--) {
        if (failure->stack.count >= 64 && placed) break;
        uint32_t start = start_of(proto, pc);
        if (!any || (!placed && proto->module >= first_module)) {
            failure->module = proto->module;
            failure->start = start;
            placed = proto->module >= first_module;
            any = true;
        }
        if (failure->stack.count < 64) {
            rl_stack_entry_t entry = {.function = proto->name};
            if (program && proto->module) {
                entry.module = rl_sym_text(&program->symbols, rl_program_module(program, proto->module)->path);
                if (proto->starts) entry.line = rl_program_line_of(program, proto->module, start).line;
            }
            rl_vec_push(vm->allocator, &failure->stack, entry);
        }
        const rl_frame_t* frame = &fiber->frames[depth - 1];
        pc = frame->return_pc;
        proto = frame->caller;
    }
    vm->allocator->failed = out_of_memory; /* a shorter stack is no further failure */
}

static void pop_frame(rl_fiber_t* fiber) {
    const rl_frame_t* frame = &fiber->frames[--fiber->frame_count];
    fiber->pc = frame->return_pc;
    fiber->proto = frame->caller;
    fiber->s_base -= frame->s_delta;
    fiber->r_base -= frame->r_delta;
}

/* Enter a parameterless closure above the running frame; it returns to `return_pc`. */
static bool enter_deferred(rl_vm_t* vm, rl_object_t* closure) {
    rl_fiber_t* fiber = vm->fiber;
    const rl_proto_t* callee = rl_object_words(closure)[closure->refs].p;
    uint32_t s_delta = fiber->proto->s_count, r_delta = fiber->proto->r_count;
    size_t s_base = (size_t)fiber->s_base + s_delta, r_base = (size_t)fiber->r_base + r_delta;
    vm->budget -= (int64_t)callee->entry_cost;
    if (vm->budget < 0 && !rl_vm_poll(vm)) return false;
    /* Not yet in a register: keep it reachable while the banks grow. The slot was freed by the pop. */
    rl_deferred_t kept = {closure, fiber->frame_count};
    fiber->deferred.data[fiber->deferred.count++] = kept;
    bool room = rl_fiber_reserve(vm, fiber, s_base + callee->s_count, r_base + callee->r_count);
    fiber->deferred.count--;
    if (!room) return false;
    fiber->frames[fiber->frame_count++] = (rl_frame_t){unwind_code, fiber->proto, s_delta, r_delta};
    fiber->s_base = (uint32_t)s_base;
    fiber->r_base = (uint32_t)r_base;
    fiber->r[r_base] = closure;
    fiber->proto = callee;
    fiber->pc = callee->code;
    return true;
}

bool rl_vm_unwind(rl_vm_t* vm, uint32_t floor) {
    rl_fiber_t* fiber = vm->fiber;
    if (!vm->unwinding) {
        record_stack(vm, floor);
        vm->unwinding = true;
        if (vm->stopped && !vm->grace_given) {
            vm->grace_given = true;
            vm->fuel_left = 0;
            vm->budget = UNWIND_FUEL;
        }
    }
    while (fiber->frame_count > floor) {
        while (fiber->deferred.count && rl_vec_last(&fiber->deferred).frame >= fiber->frame_count) {
            rl_deferred_t deferred = rl_vec_pop(&fiber->deferred);
            bool out_of_fuel = vm->stopped && vm->budget < 0;
            if (deferred.frame == fiber->frame_count && !out_of_fuel && enter_deferred(vm, deferred.closure))
                return true;
        }
        pop_frame(fiber);
    }
    vm->unwinding = false;
    if (vm->stopped) vm->budget = -1; /* whoever swallows this failure meets it again at the next charge */
    return false;
}
