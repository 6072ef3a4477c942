/* Fibers: register banks, frames, parking. */
#include "vm/vm.h"

enum {
    FIRST_S = 64,
    FIRST_R = 32,
    FIRST_FRAMES = 16,
    SMALL_S = 24, /* of fibers other than the main one: there may be very many */
    SMALL_R = 24,
    SMALL_FRAMES = 4,
    SPARE_WORDS = 256, /* larger banks are not kept for the next fiber */
    SPARE_FIBERS = 16,
    SLACK = 8,          /* words behind each bank, so that moving one register too many stays inside */
    UNWIND_FRAMES = 64, /* frames that deferred closures may use beyond the call depth */
    MOST_WORDS = 1 << 30
};

static const rl_instr_t finish_code[1] = {{.op = RL_OP_FINISH}};
static const uint32_t finish_starts[1] = {0};
/* One register of each bank, so that a value that has just been returned is still marked. */
const rl_proto_t rl_fiber_end = {
    .code = finish_code, .starts = finish_starts, .code_count = 1, .s_count = 1, .r_count = 1};

/* --- banks ------------------------------------------------------------------------------------------------------- */

/* Banks of fibers other than the main one count as memory of the heap: whoever makes many of them makes it collect. */
static void* resize(rl_vm_t* vm, const rl_fiber_t* fiber, void* old, size_t old_size, size_t new_size) {
    if (fiber->role == RL_FIBER_MAIN) return rl_resize(vm->allocator, old, old_size, new_size);
    return rl_heap_buffer(&vm->heap, old, old_size, new_size);
}

static bool make_banks(rl_vm_t* vm, rl_fiber_t* fiber, uint32_t s, uint32_t r, uint32_t frames) {
    fiber->s = resize(vm, fiber, NULL, 0, (s + SLACK) * sizeof *fiber->s);
    fiber->r = resize(vm, fiber, NULL, 0, (r + SLACK) * sizeof *fiber->r);
    fiber->frames = resize(vm, fiber, NULL, 0, frames * sizeof *fiber->frames);
    if (fiber->s) {
        fiber->s_capacity = s;
        memset(fiber->s, 0, (s + SLACK) * sizeof *fiber->s);
    }
    if (fiber->r) {
        fiber->r_capacity = r;
        memset(fiber->r, 0, (r + SLACK) * sizeof *fiber->r);
    }
    if (fiber->frames) fiber->frame_capacity = frames;
    return fiber->s && fiber->r && fiber->frames;
}

static void free_banks(rl_vm_t* vm, rl_fiber_t* fiber) {
    if (fiber->s) resize(vm, fiber, fiber->s, ((size_t)fiber->s_capacity + SLACK) * sizeof *fiber->s, 0);
    if (fiber->r) resize(vm, fiber, fiber->r, ((size_t)fiber->r_capacity + SLACK) * sizeof *fiber->r, 0);
    if (fiber->frames) resize(vm, fiber, fiber->frames, (size_t)fiber->frame_capacity * sizeof *fiber->frames, 0);
    rl_vec_deinit(vm->allocator, &fiber->deferred);
}

bool rl_fiber_init_main(rl_vm_t* vm, rl_fiber_t* fiber) {
    *fiber = (rl_fiber_t){.role = RL_FIBER_MAIN};
    if (make_banks(vm, fiber, FIRST_S, FIRST_R, FIRST_FRAMES)) return true;
    rl_fiber_deinit(vm, fiber);
    return false;
}

void rl_fiber_deinit(rl_vm_t* vm, rl_fiber_t* fiber) {
    free_banks(vm, fiber);
    *fiber = (rl_fiber_t){0};
}

static void delete_fiber(rl_vm_t* vm, rl_fiber_t* fiber) {
    free_banks(vm, fiber);
    rl_free(vm->allocator, fiber, sizeof *fiber);
}

void rl_fiber_free_spare(rl_vm_t* vm) {
    while (vm->spare_fibers) {
        rl_fiber_t* fiber = vm->spare_fibers;
        vm->spare_fibers = fiber->parent;
        delete_fiber(vm, fiber);
    }
    vm->spare_count = 0;
}

void rl_fiber_release(rl_vm_t* vm, rl_fiber_t* fiber) {
    if (vm->spare_count >= SPARE_FIBERS || fiber->s_capacity > SPARE_WORDS || fiber->r_capacity > SPARE_WORDS ||
        fiber->frame_capacity > SPARE_WORDS) {
        delete_fiber(vm, fiber);
        return;
    }
    memset(fiber->r, 0, fiber->r_capacity * sizeof *fiber->r);
    fiber->deferred.count = 0;
    fiber->parent = vm->spare_fibers;
    vm->spare_fibers = fiber;
    vm->spare_count++;
}

/* Grow a bank to hold `top` words; the new words are zero, so the R bank stays free of invalid references. */
static bool grow_bank(rl_vm_t* vm, const rl_fiber_t* fiber, void** bank, uint32_t* capacity, size_t top) {
    if (top > MOST_WORDS) {
        vm->allocator->failed = true;
        return false;
    }
    size_t wanted = (size_t)*capacity * 2 < top ? top : (size_t)*capacity * 2;
    size_t old_size = ((size_t)*capacity + SLACK) * 8, new_size = (wanted + SLACK) * 8;
    char* moved = resize(vm, fiber, *bank, old_size, new_size);
    if (!moved) return false;
    memset(moved + old_size, 0, new_size - old_size);
    *bank = moved;
    *capacity = (uint32_t)wanted;
    return true;
}

static bool grow_all(rl_vm_t* vm, rl_fiber_t* fiber, size_t s_top, size_t r_top, uint64_t depth) {
    vm->moves++;
    if (s_top > fiber->s_capacity) {
        void* bank = fiber->s;
        if (!grow_bank(vm, fiber, &bank, &fiber->s_capacity, s_top)) return false;
        fiber->s = bank;
    }
    if (r_top > fiber->r_capacity) {
        void* bank = fiber->r;
        if (!grow_bank(vm, fiber, &bank, &fiber->r_capacity, r_top)) return false;
        fiber->r = bank;
    }
    if (fiber->frame_count >= fiber->frame_capacity) {
        uint64_t wanted = (uint64_t)fiber->frame_capacity * 2 < depth ? (uint64_t)fiber->frame_capacity * 2 : depth;
        if (wanted <= fiber->frame_count) wanted = (uint64_t)fiber->frame_count + 1;
        rl_frame_t* frames = resize(
            vm, fiber, fiber->frames, (size_t)fiber->frame_capacity * sizeof *frames, (size_t)wanted * sizeof *frames);
        if (!frames) return false;
        fiber->frames = frames;
        fiber->frame_capacity = (uint32_t)wanted;
    }
    return true;
}

static bool too_deep(rl_vm_t* vm) {
    rl_vm_raise(vm, RL_CODE_RUNTIME_STACK_OVERFLOW, "stack overflow: more than %llu nested calls",
        (unsigned long long)vm->limits.call_depth);
    return false;
}

static bool no_memory(rl_vm_t* vm) {
    rl_alloc_clear_failure(vm->allocator);
    rl_vm_raise_standard(vm, RL_CODE_RUNTIME_LIMIT_MEMORY);
    return false;
}

bool rl_fiber_reserve(rl_vm_t* vm, rl_fiber_t* fiber, size_t s_top, size_t r_top) {
    uint64_t depth =
        rl_fiber_frames_left(fiber, vm->limits.call_depth) + (vm->unwinding || vm->unwinds.count ? UNWIND_FRAMES : 0);
    if (depth > UINT32_MAX / sizeof(rl_frame_t)) depth = UINT32_MAX / sizeof(rl_frame_t);
    if (fiber->frame_count >= depth) return too_deep(vm);
    if (grow_all(vm, fiber, s_top, r_top, depth)) return true;
    if (rl_heap_make_room(&vm->heap) && grow_all(vm, fiber, s_top, r_top, depth)) return true;
    return no_memory(vm);
}

void rl_fiber_mark(rl_heap_t* heap, rl_fiber_t* fiber) {
    size_t top = fiber->proto ? (size_t)fiber->r_base + fiber->proto->r_count : 0;
    if (top > fiber->r_capacity) top = fiber->r_capacity;
    for (size_t i = 0; i < top; i++) rl_heap_mark(heap, fiber->r[i]);
    /* What lies above is left over from frames that are gone. Cleared now, it can never dangle. */
    memset(fiber->r + top, 0, (fiber->r_capacity - top) * sizeof *fiber->r);
    for (uint32_t i = 0; i < fiber->deferred.count; i++) rl_heap_mark(heap, fiber->deferred.data[i].object);
}

/* --- making and finishing ---------------------------------------------------------------------------------------- */

static rl_fiber_t* take(rl_vm_t* vm, uint32_t s_top, uint32_t r_top) {
    rl_fiber_t* fiber = vm->spare_fibers;
    if (fiber) {
        vm->spare_fibers = fiber->parent;
        vm->spare_count--;
    } else {
        fiber = rl_alloc_zero(vm->allocator, sizeof *fiber);
        if (!fiber) return NULL;
        fiber->role = RL_FIBER_HANDLED;
        if (!make_banks(
                vm, fiber, s_top > SMALL_S ? s_top : SMALL_S, r_top > SMALL_R ? r_top : SMALL_R, SMALL_FRAMES)) {
            delete_fiber(vm, fiber);
            return NULL;
        }
    }
    fiber->frame_count = 0;
    if (grow_all(vm, fiber, s_top, r_top, SMALL_FRAMES)) return fiber;
    delete_fiber(vm, fiber);
    return NULL;
}

rl_fiber_t* rl_fiber_new(rl_vm_t* vm, rl_object_t* closure, rl_fiber_role_t role, uint32_t below) {
    const rl_proto_t* proto = rl_object_words(closure)[closure->refs].p;
    uint32_t s_top = proto->s_count, r_top = below + proto->r_count;
    rl_fiber_t* fiber = take(vm, s_top, r_top);
    if (!fiber && rl_heap_make_room(&vm->heap)) fiber = take(vm, s_top, r_top);
    if (!fiber) {
        no_memory(vm);
        return NULL;
    }
    fiber->role = (uint8_t)role;
    fiber->frames[0] = (rl_frame_t){finish_code, &rl_fiber_end, 0, 0};
    fiber->frame_count = 1;
    fiber->s_base = 0;
    fiber->r_base = below;
    fiber->r[below] = closure;
    fiber->pc = proto->code;
    fiber->proto = proto;
    fiber->parent = NULL;
    fiber->s_window = fiber->r_window = 0;
    fiber->depth = 0;
    fiber->barrier = 0;
    fiber->handler = NULL;
    fiber->user = NULL;
    return fiber;
}

/* The lowest frame of a fiber is no call of the program: it does not count. */
static uint32_t depth_above(const rl_fiber_t* fiber) { return fiber->depth + fiber->frame_count - 1; }

void rl_fiber_enter(rl_vm_t* vm, rl_fiber_t* fiber, uint32_t s_window, uint32_t r_window) {
    fiber->parent = vm->fiber;
    fiber->s_window = s_window;
    fiber->r_window = r_window;
    fiber->depth = depth_above(vm->fiber);
    vm->fiber = fiber;
}

/* The value of the fiber that has ended, into the window of the one that waits for it, through the return clause. */
static rl_outcome_t finish_handled(rl_vm_t* vm, rl_fiber_t* fiber) {
    const rl_handle_site_t* handler = fiber->handler;
    rl_fiber_t* parent = fiber->parent;
    size_t s = (size_t)parent->s_base + fiber->s_window, r = (size_t)parent->r_base + fiber->r_window;
    bool is_ref = handler->value_rep == RL_REP_R;
    if (handler->has_return) {
        rl_object_t* clause = fiber->r[0];
        const rl_proto_t* callee = rl_object_words(clause)[clause->refs].p;
        vm->budget -= (int64_t)callee->entry_cost;
        if (vm->budget < 0 && !rl_vm_poll(vm)) return RL_RAISE;
        if (!rl_fiber_reserve(vm, parent, s + callee->s_count, r + callee->r_count)) return RL_RAISE;
        if (is_ref) parent->r[r + 1] = fiber->r[fiber->r_base];
        else parent->s[s] = fiber->s[fiber->s_base];
        parent->r[r] = clause;
        parent->frames[parent->frame_count++] =
            (rl_frame_t){parent->pc, parent->proto, fiber->s_window, fiber->r_window};
        parent->s_base = (uint32_t)s;
        parent->r_base = (uint32_t)r;
        parent->proto = callee;
        parent->pc = callee->code;
    } else if (is_ref) {
        parent->r[r] = fiber->r[fiber->r_base];
    } else {
        parent->s[s] = fiber->s[fiber->s_base];
    }
    vm->fiber = parent;
    rl_fiber_release(vm, fiber);
    return RL_DONE;
}

rl_outcome_t rl_fiber_finish(rl_vm_t* vm) {
    rl_fiber_t* fiber = vm->fiber;
    if (fiber->role == RL_FIBER_HANDLED) return finish_handled(vm, fiber);
    vm->fiber = fiber->parent;
    fiber->parent = NULL;
    vm->fiber_finished(vm, fiber);
    return RL_DONE;
}

/* --- parking ----------------------------------------------------------------------------------------------------- */

rl_parked_t* rl_parked_new(rl_vm_t* vm, const rl_proto_t* resume) {
    if (rl_heap_wants_step(&vm->heap)) rl_heap_step(&vm->heap);
    rl_parked_t* parked = rl_heap_new_sized(&vm->heap, RL_OBJ_FIBER, 0, sizeof *parked);
    if (!parked && rl_heap_make_room(&vm->heap)) parked = rl_heap_new_sized(&vm->heap, RL_OBJ_FIBER, 0, sizeof *parked);
    if (!parked) {
        no_memory(vm);
        return NULL;
    }
    parked->resume = resume;
    return parked;
}

void rl_parked_set(rl_vm_t* vm, rl_parked_t* parked, rl_fiber_t* inner, rl_fiber_t* outer) {
    (void)vm;
    parked->inner = inner;
    parked->outer = outer;
}

rl_outcome_t rl_fiber_may_park(rl_vm_t* vm, const rl_fiber_t* outer) {
    for (const rl_fiber_t* fiber = vm->fiber;; fiber = fiber->parent) {
        if (fiber->barrier) {
            if (fiber->barrier_is_native) return rl_vm_raise_standard(vm, RL_CODE_RUNTIME_EFFECT_NATIVE_FRAME);
            return rl_vm_raise_standard(vm, RL_CODE_RUNTIME_EFFECT_UNHANDLED);
        }
        if (fiber == outer) return RL_DONE;
    }
}

void rl_fiber_park(rl_vm_t* vm, rl_parked_t* into, rl_fiber_t* outer) {
    into->inner = vm->fiber;
    into->outer = outer;
    vm->fiber = outer->parent;
    outer->parent = NULL;
}

void rl_fiber_attach(rl_vm_t* vm, rl_parked_t* parked, uint32_t s_window, uint32_t r_window) {
    rl_fiber_t *inner = parked->inner, *outer = parked->outer, *parent = vm->fiber;
    uint32_t depth = depth_above(parent);
    if (depth != outer->depth) {
        uint32_t moved = depth - outer->depth; /* modulo 2^32 */
        for (rl_fiber_t* fiber = inner;; fiber = fiber->parent) {
            fiber->depth += moved;
            vm->budget--; /* noticed by the next who looks */
            if (fiber == outer) break;
        }
    }
    /* What its registers hold was parked when a marking may have begun: mark it before it changes. */
    rl_heap_barrier(&vm->heap, &parked->header, NULL);
    if (parked->kept) rl_parked_unkeep(vm, parked);
    parked->inner = parked->outer = NULL;
    outer->parent = parent;
    outer->s_window = s_window;
    outer->r_window = r_window;
    vm->fiber = inner;
}

rl_outcome_t rl_fiber_unpark(rl_vm_t* vm, rl_parked_t* parked, uint32_t s_window, uint32_t r_window) {
    const rl_fiber_t* inner = parked->inner;
    uint64_t more = inner->depth - parked->outer->depth + inner->frame_count;
    if (depth_above(vm->fiber) + more > vm->limits.call_depth + UNWIND_FRAMES) {
        too_deep(vm);
        return RL_RAISE;
    }
    rl_fiber_attach(vm, parked, s_window, r_window);
    return RL_DONE;
}

void rl_fiber_give(rl_vm_t* vm, rl_word_t value, bool is_ref) {
    rl_fiber_t* fiber = vm->fiber;
    if (is_ref) fiber->r[fiber->r_base + fiber->pc[-1].b] = value.o;
    else fiber->s[fiber->s_base + fiber->pc[-1].a] = value;
}

bool rl_parked_has_deferred(const rl_parked_t* parked) {
    for (const rl_fiber_t* fiber = parked->inner; fiber; fiber = fiber->parent) {
        if (fiber->deferred.count) return true;
    }
    return false;
}

void rl_parked_keep(rl_vm_t* vm, rl_parked_t* parked) {
    if (parked->kept) return;
    parked->kept = true;
    parked->run = vm->run;
    parked->next = NULL;
    parked->previous = vm->kept_last;
    if (vm->kept_last) vm->kept_last->next = parked;
    else vm->kept_first = parked;
    vm->kept_last = parked;
}

void rl_parked_unkeep(rl_vm_t* vm, rl_parked_t* parked) {
    if (!parked->kept) return;
    if (parked->previous) parked->previous->next = parked->next;
    else vm->kept_first = parked->next;
    if (parked->next) parked->next->previous = parked->previous;
    else vm->kept_last = parked->previous;
    parked->previous = parked->next = NULL;
    parked->kept = false;
}

/* --- the collector's view of parked fibers ------------------------------------------------------------------------ */

void rl_parked_mark(rl_heap_t* heap, rl_object_t* object) {
    if (object->tag != RL_FIBER_PARKED) return;
    for (rl_fiber_t* fiber = ((rl_parked_t*)object)->inner; fiber; fiber = fiber->parent) rl_fiber_mark(heap, fiber);
}

size_t rl_parked_size(const rl_object_t* object) {
    size_t bytes = 0;
    if (object->tag != RL_FIBER_PARKED) return 0;
    for (const rl_fiber_t* fiber = ((const rl_parked_t*)object)->inner; fiber; fiber = fiber->parent)
        bytes += sizeof *fiber + 8 * ((size_t)fiber->s_capacity + fiber->r_capacity);
    return bytes;
}

void rl_parked_free(rl_heap_t* heap, rl_object_t* object) {
    if (object->tag != RL_FIBER_PARKED) return;
    rl_parked_t* parked = (rl_parked_t*)object;
    rl_vm_t* vm = heap->roots_user;
    rl_parked_unkeep(vm, parked);
    while (parked->inner) {
        rl_fiber_t* fiber = parked->inner;
        parked->inner = fiber->parent;
        delete_fiber(vm, fiber);
    }
}
