/*
 * Unwinding: leaving frames one by one while their deferred closures run. Three reasons: a failure goes to where the loop
 * was entered, across all fibers between; an abandoned computation is left altogether; an escape goes to the frame of its
 * token. Deferred closures are called by the loop and return to UNWIND, which comes back here.
 *
 * While a deferred closure runs, its fiber has a barrier: it cannot be parked, so unwindings end in the order in which
 * they began, and their state is one stack (vm->unwinds) with the failure, if there is one, below all of it.
 */
#include "vm/async.h"
#include "vm/file.h"

enum { UNWIND_FUEL = 10000 /* steps that deferred closures get after a limit was reached */ };

static const rl_instr_t unwind_code[1] = {{.op = RL_OP_UNWIND}};

/* --- the stack of a failure --------------------------------------------------------------------------------------- */

/* Byte offset in the source of the instruction before `pc`. */
static uint32_t start_of(const rl_proto_t* proto, const rl_instr_t* pc) {
    if (!proto->starts || proto->code_count == 0) return 0;
    size_t index = 0;
    if (pc > proto->code && (size_t)(pc - proto->code) <= proto->code_count) index = (size_t)(pc - proto->code) - 1;
    return proto->starts[index];
}

rl_stack_walk_t rl_stack_walk(const rl_vm_t* vm, const rl_fiber_t* home, uint32_t floor) {
    const rl_fiber_t* fiber = vm->fiber;
    return (rl_stack_walk_t){.home = home,
        .floor = floor,
        .next_fiber = fiber,
        .next_depth = fiber->frame_count,
        .next_proto = fiber->proto,
        .next_pc = fiber->pc};
}

/* To the next frame, whatever it is: true. False: there is none. */
static bool next_frame(rl_stack_walk_t* walk) {
    const rl_fiber_t* fiber = walk->next_fiber;
    while (fiber && (!walk->next_proto || walk->next_depth <= (fiber == walk->home ? walk->floor : 0))) {
        fiber = walk->next_fiber = fiber == walk->home ? NULL : fiber->parent;
        if (!fiber) return false;
        walk->next_depth = fiber->frame_count;
        walk->next_proto = fiber->proto;
        walk->next_pc = fiber->pc;
    }
    if (!fiber) return false;
    walk->fiber = fiber;
    walk->depth = walk->next_depth;
    walk->proto = walk->next_proto;
    walk->pc = walk->next_pc;
    const rl_frame_t* frame = &fiber->frames[--walk->next_depth];
    walk->next_pc = frame->return_pc;
    walk->next_proto = frame->caller;
    return true;
}

bool rl_stack_walk_next(rl_stack_walk_t* walk) {
    while (next_frame(walk)) {
        const rl_proto_t* proto = walk->proto;
        if (!proto->name.length) continue; /* code of the machine, between those of the program */
        /* Code of one function in several parts is one entry: the innermost. */
        rl_fn_id_t part_of = walk->part_of;
        bool same = part_of && proto->function == part_of;
        walk->part_of = same ? 0 : proto->part_of;
        if (!same && !(part_of && proto->part_of == part_of)) return true;
    }
    return false;
}

typedef struct recorder {
    uint32_t first_module;
    bool placed, any;
} recorder_t;

static void record_frame(rl_vm_t* vm, recorder_t* rec, const rl_proto_t* proto, const rl_instr_t* pc) {
    rl_failure_t* failure = &vm->failure;
    const rl_program_t* program = vm->program;
    uint32_t start = start_of(proto, pc);
    if (!rec->any || (!rec->placed && proto->module >= rec->first_module)) {
        failure->module = proto->module;
        failure->start = start;
        rec->placed = proto->module >= rec->first_module;
        rec->any = true;
    }
    if (failure->stack.count >= 64) return;
    rl_stack_entry_t entry = {.function = proto->name};
    if (program && proto->module) {
        entry.module = rl_sym_text(&program->symbols, rl_program_module(program, proto->module)->path);
        if (proto->starts) entry.line = rl_program_line_of(program, proto->module, start).line;
    }
    rl_vec_push(vm->allocator, &failure->stack, entry);
}

/* Append the frames of all fibers down to `floor` of `home` to the failure's stack; where it happened is the innermost
   frame of a loaded module. */
static void record_stack(rl_vm_t* vm, const rl_fiber_t* home, uint32_t floor) {
    const rl_failure_t* failure = &vm->failure;
    recorder_t rec = {.first_module = vm->program ? vm->program->first_module : 0, .any = failure->stack.count > 0};
    rec.placed = rec.any && failure->module >= rec.first_module && failure->module != 0;
    bool out_of_memory = vm->allocator->failed;
    rl_stack_walk_t walk = rl_stack_walk(vm, home, floor);
    while (!(failure->stack.count >= 64 && rec.placed) && rl_stack_walk_next(&walk))
        record_frame(vm, &rec, walk.proto, walk.pc);
    vm->allocator->failed = out_of_memory; /* a shorter stack is no further failure */
}

bool rl_vm_where(const rl_vm_t* vm, rl_module_id_t* out_module, uint32_t* out_start) {
    rl_module_id_t first = vm->program ? vm->program->first_module : 0;
    for (const rl_fiber_t* fiber = vm->fiber; fiber; fiber = fiber->parent) {
        const rl_proto_t* proto = fiber->proto;
        const rl_instr_t* pc = fiber->pc;
        for (uint32_t depth = fiber->frame_count; depth > 0 && proto; depth--) {
            if (proto->module >= first && proto->module) {
                *out_module = proto->module;
                *out_start = start_of(proto, pc);
                return true;
            }
            const rl_frame_t* frame = &fiber->frames[depth - 1];
            pc = frame->return_pc;
            proto = frame->caller;
        }
    }
    return false;
}

/* --- frames ------------------------------------------------------------------------------------------------------ */

static void pop_frame(rl_fiber_t* fiber) {
    const rl_frame_t* frame = &fiber->frames[--fiber->frame_count];
    fiber->pc = frame->return_pc;
    fiber->proto = frame->caller;
    fiber->s_base -= frame->s_delta;
    fiber->r_base -= frame->r_delta;
}

/* Enter a parameterless closure above the running frame; it returns to `unwind_code`. */
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
    fiber->barrier = fiber->frame_count;
    fiber->barrier_is_native = false;
    fiber->frames[fiber->frame_count++] = (rl_frame_t){unwind_code, fiber->proto, s_delta, r_delta};
    fiber->s_base = (uint32_t)s_base;
    fiber->r_base = (uint32_t)r_base;
    fiber->r[r_base] = closure;
    fiber->proto = callee;
    fiber->pc = callee->code;
    return true;
}

/* --- abandoning --------------------------------------------------------------------------------------------------- */

/* A fiber that has been left. */
static void dismiss(rl_vm_t* vm, rl_fiber_t* fiber) {
    fiber->parent = NULL;
    if (fiber->role == RL_FIBER_TASK && vm->fiber_dropped) vm->fiber_dropped(vm, fiber);
    else rl_fiber_release(vm, fiber);
}

static void drop_chain(rl_vm_t* vm, rl_fiber_t* inner, const rl_fiber_t* outer) {
    for (bool more = true; more;) {
        rl_fiber_t* parent = inner->parent;
        more = inner != outer;
        dismiss(vm, inner);
        inner = parent;
    }
}

/* Put what is parked on top of vm->fiber, to be unwound. False: nothing is deferred in it, it is gone. */
static bool begin_abandon(rl_vm_t* vm, rl_parked_t* parked, bool nested) {
    rl_fiber_t *inner = parked->inner, *outer = parked->outer;
    if (!inner) return false;
    bool deferred = rl_parked_has_deferred(parked);
    if (parked->kept) rl_parked_unkeep(vm, parked);
    rl_unwind_t entry = {.kind = RL_UNWIND_ABANDON, .nested = nested, .last = outer};
    bool failed = vm->allocator->failed;
    if (!deferred || !rl_vec_push(vm->allocator, &vm->unwinds, entry)) {
        vm->allocator->failed = failed;
        rl_heap_barrier(&vm->heap, &parked->header, NULL);
        parked->inner = parked->outer = NULL;
        drop_chain(vm, inner, outer);
        return false;
    }
    rl_fiber_attach(vm, parked, 0, 0);
    return true;
}

bool rl_fiber_abandon(rl_vm_t* vm, rl_parked_t* parked) { return begin_abandon(vm, parked, false); }

static const rl_instr_t abandon_code[2] = {{.op = RL_OP_ABANDON, .a = 0}, {.op = RL_OP_RETU}};
static const rl_proto_t abandon_proto = {
    .code = abandon_code, .code_count = 2, .s_count = 1, .r_count = 1, .r_params = 1, .entry_cost = 1};

static void give_grace(rl_vm_t* vm) {
    if (!vm->stopped || vm->grace_given) return;
    vm->grace_given = true;
    vm->fuel_left = 0;
    vm->budget = UNWIND_FUEL;
}

rl_outcome_t rl_vm_abandon(rl_vm_t* vm, rl_parked_t* parked) {
    if (!rl_parked_has_deferred(parked)) {
        begin_abandon(vm, parked, false);
        return RL_DONE;
    }
    rl_object_t* argument = &parked->header;
    rl_word_t ignored;
    give_grace(vm);
    rl_outcome_t outcome = rl_vm_call(vm, &abandon_proto, NULL, &argument, &ignored);
    if (parked->inner) { /* could not even be entered */
        rl_parked_unkeep(vm, parked);
        rl_fiber_t* inner = parked->inner;
        parked->inner = NULL;
        drop_chain(vm, inner, parked->outer);
    }
    return outcome;
}

static rl_parked_t* first_kept(const rl_vm_t* vm) {
    for (rl_parked_t* parked = vm->kept_first; parked; parked = parked->next) {
        if (parked->run == vm->run) return parked;
    }
    return NULL;
}

void rl_vm_end_run_slowly(rl_vm_t* vm, rl_word_t result, bool is_ref) {
    bool failed = vm->failure.present;
    vm->held = is_ref ? result.o : NULL;
    if (vm->leftovers) rl_async_drop_tasks(vm, failed);
    rl_parked_t* kept;
    while ((kept = first_kept(vm))) {
        vm->unwinding = failed; /* further failures become notes */
        (void)rl_vm_abandon(vm, kept);
        vm->unwinding = false;
        if (!failed && vm->failure.present) rl_vm_clear_failure(vm);
    }
    rl_files_end(vm, vm->run);
    vm->held = NULL;
}

/* --- the unwinding itself ------------------------------------------------------------------------------------------ */

static void begin_failure(rl_vm_t* vm, rl_fiber_t* home, uint32_t floor, uint32_t unwinds) {
    vm->unwinds.count = unwinds; /* what was going on above goes on as part of this */
    if (vm->unwinding) return;
    record_stack(vm, home, floor);
    vm->unwinding = true;
    give_grace(vm);
}

/* The deferred object belongs to the frame that is being left. True: vm->fiber must run, or has changed. */
static bool run_deferred(rl_vm_t* vm, rl_object_t* object, bool own_frame) {
    if (object->kind == RL_OBJ_FIBER) {
        if (object->tag == RL_FIBER_TOKEN) rl_token_kill(object);
        else return begin_abandon(vm, (rl_parked_t*)object, true);
        return false;
    }
    bool out_of_fuel = vm->stopped && vm->budget < 0;
    return own_frame && !out_of_fuel && enter_deferred(vm, object);
}

static const rl_unwind_t* current(const rl_vm_t* vm, uint32_t unwinds) {
    return vm->unwinds.count > unwinds ? &rl_vec_last(&vm->unwinds) : NULL;
}

/* Leave frames of vm->fiber down to `stop`. True: it must run first, vm->fiber has changed, or the unwinding has become a
   failure. */
static bool leave_frames(rl_vm_t* vm, uint32_t stop, rl_fiber_t* home, uint32_t floor, uint32_t unwinds, bool* enter) {
    rl_fiber_t* fiber = vm->fiber;
    *enter = false;
    while (fiber->frame_count > stop) {
        while (fiber->deferred.count && rl_vec_last(&fiber->deferred).frame >= fiber->frame_count) {
            rl_deferred_t deferred = rl_vec_pop(&fiber->deferred);
            if (run_deferred(vm, deferred.object, deferred.frame == fiber->frame_count)) {
                *enter = deferred.object->kind == RL_OBJ_CLOSURE;
                return true;
            }
            if (vm->failure.present && !vm->unwinding) {
                begin_failure(vm, home, floor, unwinds);
                return true;
            }
        }
        pop_frame(fiber);
    }
    return false;
}

bool rl_vm_unwind(rl_vm_t* vm, rl_fiber_t* home, uint32_t floor, uint32_t unwinds) {
    for (;;) {
        rl_fiber_t* fiber = vm->fiber;
        const rl_unwind_t* unwind = current(vm, unwinds);
        uint32_t stop = 0;
        bool enter;
        if (!unwind && fiber == home) stop = floor;
        if (unwind && unwind->kind == RL_UNWIND_ESCAPE && fiber == unwind->last) stop = unwind->floor;
        if (leave_frames(vm, stop, home, floor, unwinds, &enter)) {
            if (enter) return true;
            continue;
        }
        if (!unwind && fiber == home) break;
        if (!unwind || fiber != unwind->last) {
            vm->fiber = fiber->parent;
            dismiss(vm, fiber);
            continue;
        }
        rl_unwind_t done = rl_vec_pop(&vm->unwinds);
        if (done.kind == RL_UNWIND_ABANDON) {
            vm->fiber = fiber->parent;
            dismiss(vm, fiber);
            if (done.nested) continue;
            return true;
        }
        fiber->barrier = done.barrier;
        fiber->barrier_is_native = done.barrier_is_native;
        rl_token_land(vm, done.token);
        return true;
    }
    if (floor == 0) home->barrier = 0; /* else whoever entered the loop puts it back */
    vm->unwinding = false;
    if (vm->stopped) vm->budget = -1; /* whoever swallows this failure meets it again at the next charge */
    return false;
}

bool rl_vm_fail(rl_vm_t* vm, rl_fiber_t* home, uint32_t floor, uint32_t unwinds) {
    begin_failure(vm, home, floor, unwinds);
    return rl_vm_unwind(vm, home, floor, unwinds);
}
