/*
 * Sampling: reml_profile.h. What is here runs only in contexts with a profile, at its points: polls, before and after host functions, the
 * end of a run. The first point at which an interval is over takes the sample, for what stands on the stack there.
 *
 * Stacks are a tree: a node is a frame under a node, with the time that ended there. Frames are texts, each known once; the functions they
 * were made from are remembered, so that a sample makes no text. Where memory is refused, the time stays with the node reached so far.
 */
#include "host/context.h"
#include "vm/builtin.h"

enum {
    INTERVAL_STEPS = 1000, /* from one poll to the next: few beside a millisecond, many beside the cost of a poll */
    NODES_MOST = 1 << 20,
    NAME_MOST = 240 /* bytes of a frame */
};

typedef struct node {
    uint32_t parent, frame;
    uint64_t ns;
} node_t;

/* A host function that runs: called by the frame at this depth of the fiber. */
typedef struct host_call {
    const rl_fiber_t* fiber;
    uint32_t depth;
    rl_str_t name;
    struct host_call* outer;
} host_call_t;

typedef struct rl_profile {
    rl_allocator_t allocator; /* the context's way to memory, without its limits */
    rl_arena_t texts;
    RL_VEC(rl_str_t) frames; /* row 0 unused */
    RL_VEC(node_t) nodes;    /* row 0: no frame */
    rl_map_t by_text;        /* hash → frame, the next free key when two texts have one */
    rl_map_t by_proto;       /* its address → frame: forgotten when code goes, with a version of a module */
    rl_map_t children;       /* (node, frame) → node */
    uint64_t secret, interval_ns;
    bool running;      /* a run is under way */
    uint64_t seen_ns;  /* the last point, by the clock */
    uint64_t due_ns;   /* in runs, since the last sample */
    uint64_t pause_ns; /* of the collector, at the last sample */
    uint64_t samples, elapsed_ns;
    bool incomplete;
    const rl_proto_t* entry;
    uint32_t outermost; /* frame of the last sample of this run; 0: none yet */
    host_call_t* calls;
    bool (*poll)(void* host);
    bool (*output)(void* host, rl_str_t text, bool is_error);
    bool (*input)(void* host, rl_str_t question, rl_str_t* out_answer);
} profile_t;

/* --- frames -------------------------------------------------------------------------------------------------------- */

/* Its own copy, fit for a line of folded stacks; 0: memory. */
static uint32_t frame_of_text(profile_t* profile, rl_str_t text) {
    uint64_t key = rl_hash_bytes(text.data, text.length, profile->secret);
    uint32_t known;
    while (rl_map_get(&profile->by_text, key, &known)) {
        if (rl_str_equal(profile->frames.data[known], text)) return known;
        key++;
    }
    rl_str_t copy = rl_arena_copy(&profile->texts, text);
    if (copy.length != text.length || !rl_vec_push(&profile->allocator, &profile->frames, copy)) return 0;
    uint32_t frame = profile->frames.count - 1;
    if (rl_map_put(&profile->allocator, &profile->by_text, key, frame)) return frame;
    profile->frames.count--;
    return 0;
}

/* Finish a name: too long, it is cut between two characters; what would end a frame or a line is replaced. */
static rl_str_t as_frame(rl_buf_t* name) {
    size_t length = name->length;
    if (length > NAME_MOST) {
        length = NAME_MOST;
        while (length && ((unsigned char)name->data[length] & 0xC0) == 0x80) length--;
        name->length = length;
        rl_buf_add(name, RL_STR("\xE2\x80\xA6"));
    }
    for (size_t i = 0; i < name->length; i++) {
        unsigned char c = (unsigned char)name->data[i];
        if (c == ';') name->data[i] = ':';
        else if (c < ' ' || c == 127) name->data[i] = ' ';
    }
    return rl_buf_str(name);
}

static uint32_t frame_of_buf(profile_t* profile, rl_buf_t* name) {
    rl_str_t text = as_frame(name);
    uint32_t frame = name->failed ? 0 : frame_of_text(profile, text);
    rl_buf_deinit(name);
    return frame;
}

static uint32_t frame_of_words(profile_t* profile, rl_str_t before, rl_str_t text, rl_str_t behind) {
    rl_buf_t name;
    rl_buf_init(&name, &profile->allocator);
    rl_buf_add(&name, before);
    rl_buf_add(&name, text);
    rl_buf_add(&name, behind);
    return frame_of_buf(profile, &name);
}

/* "Billing.Account.total", with the functions around a local one. */
static void add_path(const rl_program_t* program, rl_fn_id_t id, rl_buf_t* out) {
    enum { NESTED_MOST = 8 };
    rl_fn_id_t around[NESTED_MOST];
    unsigned count = 0;
    for (; id && count < NESTED_MOST; id = rl_program_function(program, id)->parent) {
        const rl_function_t* function = rl_program_function(program, id);
        if (function->name && !(function->flags & (RL_FN_LAMBDA | RL_FN_PART | RL_FN_INIT))) around[count++] = id;
    }
    if (!count) return;
    const rl_function_t* outermost = rl_program_function(program, around[count - 1]);
    rl_str_t module = RL_STR("");
    if (outermost->module >= program->first_module)
        module = rl_sym_text(&program->symbols, rl_program_module(program, outermost->module)->path);
    rl_buf_add(out, module);
    if (module.length) rl_buf_add_char(out, '.');
    if (outermost->owner) {
        rl_buf_add(out, rl_sym_text(&program->symbols, rl_program_typedef(program, outermost->owner)->name));
        rl_buf_add_char(out, '.');
    }
    while (count-- > 0) {
        rl_buf_add(out, rl_sym_text(&program->symbols, rl_program_function(program, around[count])->name));
        if (count) rl_buf_add_char(out, '.');
    }
}

static void add_types(const rl_context_t* context, const rl_proto_t* proto, rl_buf_t* out) {
    const rl_compiler_t* compiler = &context->compiler;
    for (uint32_t i = compiler->instances.count; i-- > 1;) {
        const rl_instance_t* instance = &compiler->instances.data[i];
        if (instance->proto != proto) continue;
        for (uint32_t k = 0; k < instance->argument_count && out->length < NAME_MOST; k++) {
            rl_buf_add(out, k ? RL_STR(", ") : RL_STR("<"));
            rl_type_print(&context->program, compiler->arguments.data[instance->argument_first + k], out);
        }
        if (instance->argument_count) rl_buf_add_char(out, '>');
        return;
    }
}

static void add_name(const rl_context_t* context, const rl_proto_t* proto, rl_buf_t* out) {
    const rl_program_t* program = &context->program;
    rl_fn_id_t id = proto->function;
    while (rl_program_function(program, id)->flags & RL_FN_PART && rl_program_function(program, id)->parent)
        id = rl_program_function(program, id)->parent;
    const rl_function_t* function = rl_program_function(program, id);
    add_path(program, id, out);
    if (out->length) add_types(context, proto, out);
    bool body = function->flags & RL_FN_ASYNC && function->name; /* of an `async fn`, which has its path */
    if (out->length && (body || (function->name && !(function->flags & (RL_FN_LAMBDA | RL_FN_INIT))))) return;
    if (!out->length && proto->module >= program->first_module) {
        rl_buf_add(out, rl_sym_text(&program->symbols, rl_program_module(program, proto->module)->path));
        if (out->length && function->flags & RL_FN_INIT) rl_buf_add_char(out, '.');
    }
    if (out->length && !(function->flags & RL_FN_INIT)) rl_buf_add_char(out, ' ');
    rl_buf_add(out, proto->name);
    if (function->flags & RL_FN_INIT || proto->module < program->first_module) return;
    uint32_t start = function->span.start ? function->span.start : proto->starts ? proto->starts[0] : 0;
    rl_buf_printf(out, ":%u", rl_program_line_of(program, proto->module, start).line);
}

static uint32_t frame_of_proto(rl_context_t* context, const rl_proto_t* proto) {
    profile_t* profile = context->profiling;
    uint64_t key = (uint64_t)(uintptr_t)proto;
    uint32_t frame = 0;
    if (rl_map_get(&profile->by_proto, key, &frame)) return frame;
    rl_buf_t name;
    rl_buf_init(&name, &profile->allocator);
    if (proto->function) add_name(context, proto, &name);
    else rl_buf_add(&name, proto->name);
    frame = frame_of_buf(profile, &name);
    if (frame) (void)rl_map_put(&profile->allocator, &profile->by_proto, key, frame);
    return frame;
}

/* --- the tree ------------------------------------------------------------------------------------------------------ */

/* `frame` under `node`; `node` itself where that cannot be kept. */
static uint32_t child(profile_t* profile, uint32_t node, uint32_t frame) {
    uint32_t found;
    if (frame && rl_map_get(&profile->children, rl_map_key2(node, frame), &found)) return found;
    node_t made = {.parent = node, .frame = frame};
    if (frame && profile->nodes.count < NODES_MOST && rl_vec_push(&profile->allocator, &profile->nodes, made)) {
        found = profile->nodes.count - 1;
        if (rl_map_put(&profile->allocator, &profile->children, rl_map_key2(node, frame), found)) return found;
        profile->nodes.count--;
    }
    profile->incomplete = true;
    return node;
}

static void count(profile_t* profile, uint32_t node, uint64_t ns) {
    profile->nodes.data[node].ns += ns;
    profile->elapsed_ns += ns;
}

/* What the running frame is about, where it is not its own code; 0: it is. */
static uint32_t leaf_of(rl_context_t* context) {
    profile_t* profile = context->profiling;
    const rl_vm_t* vm = &context->vm;
    const rl_fiber_t* fiber = vm->fiber;
    const rl_proto_t* proto = fiber->proto;
    if (vm->polled_at == RL_POLLED_WAIT) return frame_of_text(profile, RL_STR("[waiting]"));
    if (vm->polled_at != RL_POLLED_BUILTIN || !proto || fiber->pc <= proto->code ||
        fiber->pc > proto->code + proto->code_count)
        return 0;
    const rl_instr_t* instruction = fiber->pc - 1;
    const rl_builtin_site_t* site = NULL;
    if (instruction->op == RL_OP_CALLB_S || instruction->op == RL_OP_CALLB_R)
        site = &proto->builtins[instruction->index];
    if (instruction->op == RL_OP_PERFORM) site = proto->performs[instruction->c].root; /* nobody else has answered */
    if (!site) return 0;
    const char* name = rl_builtin_rows[site->id].name;
    return frame_of_words(profile, RL_STR("["), rl_str(name), RL_STR("]"));
}

/* The function that is about to be the running one, as if it were; 0: none of the program's. */
static uint32_t entering_frame(rl_context_t* context, rl_stack_walk_t* walk) {
    const rl_proto_t* proto = context->vm.entering;
    if (!proto->name.length) return 0;
    walk->part_of = proto->part_of;
    return frame_of_proto(context, proto);
}

/* The entry of the run, as far as it is known. */
static uint32_t entry_frame(rl_context_t* context) {
    profile_t* profile = context->profiling;
    if (profile->entry) return frame_of_proto(context, profile->entry);
    return profile->outermost ? profile->outermost : frame_of_text(profile, RL_STR("[run]"));
}

/* The stack as it stands: its node, made where it is new. */
static uint32_t stack_node(rl_context_t* context) {
    enum { MOST = REML_PROFILE_FRAMES_MAX };
    profile_t* profile = context->profiling;
    uint32_t frames[MOST], used = 0, node = 0;
    rl_stack_walk_t walk = rl_stack_walk(&context->vm, NULL, 0);
    const host_call_t* call = profile->calls;
    bool cut = false;
    if (context->vm.polled_at == RL_POLLED_ENTRY) {
        frames[used] = entering_frame(context, &walk);
    } else {
        frames[used] = leaf_of(context);
    }
    used += frames[used] != 0;
    while (!cut && rl_stack_walk_next(&walk)) {
        for (; call && call->fiber == walk.fiber && walk.depth <= call->depth; call = call->outer) {
            if (used < MOST) frames[used++] = frame_of_words(profile, RL_STR("[host "), call->name, RL_STR("]"));
        }
        cut = used == MOST;
        if (!cut) frames[used++] = frame_of_proto(context, walk.proto);
    }
    if (!used) frames[used++] = entry_frame(context);
    if (cut) node = child(profile, 0, frame_of_text(profile, RL_STR("\xE2\x80\xA6")));
    else profile->outermost = frames[used - 1];
    while (used-- > 0) node = child(profile, node, frames[used]);
    return node;
}

/* --- points -------------------------------------------------------------------------------------------------------- */

static void take(rl_context_t* context, uint32_t node) {
    profile_t* profile = context->profiling;
    uint64_t pauses = context->vm.heap.stats.pause_ns_total, collecting = pauses - profile->pause_ns;
    if (collecting > profile->due_ns) collecting = profile->due_ns;
    if (collecting) count(profile, child(profile, node, frame_of_text(profile, RL_STR("[collector]"))), collecting);
    count(profile, node, profile->due_ns - collecting);
    profile->pause_ns = pauses;
    profile->due_ns = 0;
    profile->samples++;
    rl_alloc_clear_failure(&profile->allocator);
}

/* Is a sample due? */
static bool pass(profile_t* profile) {
    uint64_t now = rl_os_monotonic_ns();
    if (profile->running) {
        profile->due_ns += now - profile->seen_ns;
    } else { /* of a run that nobody has announced */
        profile->running = true;
        profile->entry = NULL;
        profile->outermost = 0;
    }
    profile->seen_ns = now;
    return profile->due_ns && profile->due_ns >= profile->interval_ns;
}

static void point(rl_context_t* context) {
    if (pass(context->profiling)) take(context, stack_node(context));
}

void rl_profile_begin(rl_context_t* context, const rl_proto_t* entry) {
    profile_t* profile = context->profiling;
    if (context->depth != 1) return;
    if (!profile->running) {
        profile->seen_ns = rl_os_monotonic_ns();
        profile->outermost = 0;
    }
    profile->running = true;
    profile->entry = entry && entry->name.length ? entry : NULL;
}

void rl_profile_end(rl_context_t* context) {
    profile_t* profile = context->profiling;
    if (!profile->running) return;
    if (pass(profile)) take(context, child(profile, 0, entry_frame(context)));
    profile->running = false;
}

static bool profiled_poll(void* host) {
    rl_context_t* context = host;
    point(context);
    return context->profiling->poll(host);
}

static bool profiled_output(void* host, rl_str_t text, bool is_error) {
    rl_context_t* context = host;
    rl_vm_t* vm = &context->vm;
    point(context);
    bool taken = context->profiling->output(host, text, is_error);
    vm->polled_at = RL_POLLED_BUILTIN;
    point(context);
    vm->polled_at = RL_POLLED_CODE;
    return taken;
}

static bool profiled_input(void* host, rl_str_t question, rl_str_t* out_answer) {
    rl_context_t* context = host;
    rl_vm_t* vm = &context->vm;
    point(context);
    bool answered = context->profiling->input(host, question, out_answer);
    vm->polled_at = RL_POLLED_BUILTIN;
    point(context);
    vm->polled_at = RL_POLLED_CODE;
    return answered;
}

static rl_outcome_t profiled_call(
    void* host, rl_vm_t* vm, rl_host_site_t* site, const rl_word_t* s, rl_object_t* const* r, rl_word_t* result) {
    rl_context_t* context = host;
    profile_t* profile = context->profiling;
    point(context);
    host_call_t call = {vm->fiber, vm->fiber->frame_count, site->name, profile->calls};
    profile->calls = &call;
    rl_outcome_t outcome = rl_host_call(host, vm, site, s, r, result);
    point(context);
    profile->calls = call.outer;
    return outcome;
}

/* --- the interface ------------------------------------------------------------------------------------------------- */

/* Calls of host functions that go the short way would not be seen: each goes the long one again, and is shortened by it when the
   profile has ended. */
static void forget_short_ways(rl_context_t* context) {
    for (uint32_t i = 1; i < context->compiler.instances.count; i++) {
        const rl_proto_t* proto = context->compiler.instances.data[i].proto;
        for (uint32_t k = 0; proto && k < proto->host_count; k++) proto->hosts[k].direct = NULL;
    }
}

static void detach(rl_context_t* context) {
    profile_t* profile = context->profiling;
    if (!profile) return;
    rl_vm_t* vm = &context->vm;
    vm->poll = profile->poll;
    vm->output = profile->output;
    vm->input = profile->input;
    vm->call_host = rl_host_call;
    vm->poll_interval = RL_POLL_INTERVAL;
    rl_heap_watch(&vm->heap, false);
    context->profiling = NULL;
}

static void attach(rl_context_t* context, profile_t* profile) {
    rl_vm_t* vm = &context->vm;
    profile->poll = vm->poll;
    profile->output = vm->output;
    profile->input = vm->input;
    profile->pause_ns = vm->heap.stats.pause_ns_total;
    vm->poll = profiled_poll;
    vm->output = profiled_output;
    vm->input = profiled_input;
    vm->call_host = profiled_call;
    vm->poll_interval = INTERVAL_STEPS;
    rl_heap_watch(&vm->heap, true);
    context->direct = false;
    context->profiling = context->profile = profile;
    forget_short_ways(context);
}

void rl_profile_follow(rl_context_t* context) {
    if (context->profiling) attach(context, context->profiling);
}

void rl_profile_forget_code(rl_context_t* context) {
    if (context->profile) rl_map_clear(&context->profile->by_proto);
}

static void free_profile(rl_context_t* context, profile_t* profile) {
    if (!profile) return;
    rl_allocator_t* allocator = &profile->allocator;
    rl_vec_deinit(allocator, &profile->frames);
    rl_vec_deinit(allocator, &profile->nodes);
    rl_map_deinit(allocator, &profile->by_text);
    rl_map_deinit(allocator, &profile->by_proto);
    rl_map_deinit(allocator, &profile->children);
    rl_arena_deinit(&profile->texts);
    rl_free(&context->allocator, profile, sizeof *profile);
}

void rl_profile_deinit(rl_context_t* context) {
    detach(context);
    free_profile(context, context->profile);
    context->profile = NULL;
}

static reml_embed_status_t busy(rl_context_t* context, const char* why) {
    return rl_context_fail(
        context, REML_EMBED_STATUS_BUSY, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT, "a profile cannot %s", why);
}

reml_embed_status_t reml_profile_start(reml_embed_context_t* id, uint64_t interval_ns) {
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    if (context->depth || context->frozen) return busy(context, "begin during a run");
    if (context->profiling) return busy(context, "begin while one is on");
    profile_t* profile = rl_alloc_zero(&context->allocator, sizeof *profile);
    if (!profile) return rl_context_no_memory(context);
    rl_allocator_init(&profile->allocator, context->allocator.resize, context->allocator.user);
    rl_arena_init(&profile->texts, &profile->allocator);
    profile->interval_ns = interval_ns;
    profile->secret = context->vm.hash_secret[0];
    if (!rl_vec_push(&profile->allocator, &profile->frames, RL_STR("")) ||
        !rl_vec_push(&profile->allocator, &profile->nodes, (node_t){0, 0, 0})) {
        free_profile(context, profile);
        return rl_context_no_memory(context);
    }
    free_profile(context, context->profile);
    attach(context, profile);
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_profile_stop(reml_embed_context_t* id) {
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    if (context->depth || context->frozen) return busy(context, "end during a run");
    if (!context->profiling) return REML_EMBED_STATUS_OK;
    if (context->profiling->due_ns) take(context, child(context->profiling, 0, entry_frame(context)));
    detach(context);
    return REML_EMBED_STATUS_OK;
}

static reml_embed_status_t no_profile(rl_context_t* context) {
    return rl_context_fail(
        context, REML_EMBED_STATUS_ERROR, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT, "no profile was begun");
}

reml_embed_status_t reml_profile_totals(reml_embed_context_t* id, reml_profile_totals_t* out) {
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    if (!out || out->struct_size < 2 * sizeof(uint32_t)) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    const profile_t* profile = context->profile;
    if (!profile) return no_profile(context);
    reml_profile_totals_t totals = {.struct_size = out->struct_size,
        .incomplete = profile->incomplete,
        .elapsed_ns = profile->elapsed_ns,
        .samples = profile->samples};
    for (uint32_t i = 0; i < profile->nodes.count; i++) totals.stacks += profile->nodes.data[i].ns != 0;
    memcpy(out, &totals, out->struct_size < sizeof totals ? out->struct_size : sizeof totals);
    return REML_EMBED_STATUS_OK;
}

static void add_line(const profile_t* profile, const node_t* node, rl_buf_t* out) {
    uint32_t path[REML_PROFILE_FRAMES_MAX + 2], depth = 0; /* `…` and [collector] beside the frames */
    for (const node_t* at = node; at->frame; at = &profile->nodes.data[at->parent]) path[depth++] = at->frame;
    if (!depth) rl_buf_add(out, RL_STR("[run]")); /* no memory for any frame */
    while (depth-- > 0) {
        rl_buf_add(out, profile->frames.data[path[depth]]);
        if (depth) rl_buf_add_char(out, ';');
    }
    rl_buf_add_char(out, ' ');
    rl_buf_add_u64(out, node->ns);
    rl_buf_add_char(out, '\n');
}

reml_embed_status_t reml_profile_folded(reml_embed_context_t* id, char** out_text, size_t* out_length) {
    RL_ENTER(id, context);
    rl_context_clear_error(context);
    if (!out_text || !out_length) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out_text = NULL;
    *out_length = 0;
    profile_t* profile = context->profile;
    if (!profile) return no_profile(context);
    rl_buf_t text;
    rl_buf_init(&text, &profile->allocator);
    for (uint32_t i = 0; i < profile->nodes.count && !text.failed; i++) {
        if (profile->nodes.data[i].ns) add_line(profile, &profile->nodes.data[i], &text);
    }
    reml_embed_status_t status = rl_hand_over(context, &text, out_text, out_length);
    rl_alloc_clear_failure(&profile->allocator);
    return status;
}
