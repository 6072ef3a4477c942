#include "code/emit_internal.h"

#include "vm/builtin.h"

/*
 * What emit wants to know of a function before it writes code: which reads of a local are the last (so that its value
 * may be changed in place), which parameters are only looked at, what happens in loops. All of it errs on the side of "used
 * again", which costs a copy and never an answer.
 */

/* --- walking ---------------------------------------------------------------------------------------------------- */
/* What of a node are nodes: words of its own, in this order, and then a run in extra. */
enum {
    KID_A = 1,
    KID_B = 2,
    KID_C = 4,
    RUN_ARGS = 8,    /* c: [count, nodes…] */
    RUN_AB = 16,     /* b nodes from a on */
    RUN_MAP = 24,    /* 2 b nodes from a on */
    RUN_UPDATE = 32, /* c pairs symbol, node from b on */
    RUN_TWO = 40,    /* two nodes from b on */
    RUN_FORMAT = 48, /* b pairs spec, node from a on */
    RUN_ARMS = 56,   /* c triples pattern, guard, body from b on */
    RUN_HANDLE = 64,
    RUN_CATCH = 72,
    RUN_OF = 0xF8
};
static const uint8_t KIDS[RL_IR_OP_COUNT] = {
    [RL_IR_SET_LOCAL] = KID_B,
    [RL_IR_SET_GLOBAL] = KID_B,
    [RL_IR_BIND] = KID_B,
    [RL_IR_LET] = KID_B,
    [RL_IR_CALL_VALUE] = KID_A | RUN_ARGS,
    [RL_IR_CALL] = RUN_ARGS,
    [RL_IR_TUPLE] = RUN_AB,
    [RL_IR_RECORD] = RUN_AB,
    [RL_IR_VARIANT] = RUN_AB,
    [RL_IR_LIST] = RUN_AB,
    [RL_IR_BLOCK] = RUN_AB,
    [RL_IR_MAP] = RUN_MAP,
    [RL_IR_UPDATE] = KID_A | RUN_UPDATE,
    [RL_IR_SET_FIELD] = KID_A | KID_C,
    [RL_IR_SET_INDEX] = KID_A | RUN_TWO,
    [RL_IR_WITH_INDEX] = KID_A | RUN_TWO,
    [RL_IR_RANGE] = KID_A | KID_B,
    [RL_IR_INDEX] = KID_A | KID_B,
    [RL_IR_ADD] = KID_A | KID_B,
    [RL_IR_SUB] = KID_A | KID_B,
    [RL_IR_MUL] = KID_A | KID_B,
    [RL_IR_DIV] = KID_A | KID_B,
    [RL_IR_REM] = KID_A | KID_B,
    [RL_IR_POW] = KID_A | KID_B,
    [RL_IR_CONCAT] = KID_A | KID_B,
    [RL_IR_EQ] = KID_A | KID_B,
    [RL_IR_NE] = KID_A | KID_B,
    [RL_IR_LT] = KID_A | KID_B,
    [RL_IR_LE] = KID_A | KID_B,
    [RL_IR_GT] = KID_A | KID_B,
    [RL_IR_GE] = KID_A | KID_B,
    [RL_IR_AND] = KID_A | KID_B,
    [RL_IR_OR] = KID_A | KID_B,
    [RL_IR_WHILE] = KID_A | KID_B,
    [RL_IR_SEQUENCE] = KID_A | KID_B,
    [RL_IR_FIELD] = KID_A,
    [RL_IR_TUPLE_GET] = KID_A,
    [RL_IR_PAYLOAD] = KID_A,
    [RL_IR_NEG] = KID_A,
    [RL_IR_NOT] = KID_A,
    [RL_IR_CAST] = KID_A,
    [RL_IR_TO_ANY] = KID_A,
    [RL_IR_CONVERT] = KID_A,
    [RL_IR_TO_STRING] = KID_A,
    [RL_IR_LOOP] = KID_A,
    [RL_IR_BREAK] = KID_A,
    [RL_IR_RETURN] = KID_A,
    [RL_IR_DEFER] = KID_A,
    [RL_IR_PANIC] = KID_A,
    [RL_IR_UNSAFE] = KID_A,
    [RL_IR_AWAIT] = KID_A,
    [RL_IR_FORMAT] = RUN_FORMAT,
    [RL_IR_IF] = KID_A | KID_B | KID_C,
    [RL_IR_MATCH] = KID_A | RUN_ARMS,
    [RL_IR_FOR] = KID_A | KID_C,
    [RL_IR_ESCAPE] = KID_C,
    [RL_IR_HANDLE] = KID_A | RUN_HANDLE,
    [RL_IR_CATCH] = KID_A | RUN_CATCH,
};

static inline unsigned kids_of(const rl_ir_node_t* n) { return n->op < RL_IR_OP_COUNT ? KIDS[n->op] : 0; }

/* `count` words from `at` on, of every `step` the last `take`. */
typedef struct run {
    const uint32_t* at;
    uint32_t count, step, take;
} run_t;

static run_t run_of(const rl_program_t* program, const rl_ir_node_t* n, unsigned kids) {
    const uint32_t* list;
    switch (kids & RUN_OF) {
    case RUN_ARGS: list = rl_program_extra(program, n->c); return (run_t){list + 1, *list, 1, 1};
    case RUN_AB: return (run_t){n->b ? rl_program_extra(program, n->a) : NULL, n->b, 1, 1};
    case RUN_MAP: return (run_t){n->b ? rl_program_extra(program, n->a) : NULL, 2 * n->b, 1, 1};
    case RUN_UPDATE: return (run_t){n->c ? rl_program_extra(program, n->b) : NULL, 2 * n->c, 2, 1};
    case RUN_TWO: return (run_t){rl_program_extra(program, n->b), 2, 1, 1};
    case RUN_FORMAT: return (run_t){n->b ? rl_program_extra(program, n->a) : NULL, 2 * n->b, 2, 1};
    case RUN_ARMS: return (run_t){n->c ? rl_program_extra(program, n->b) : NULL, 3 * n->c, 3, 2};
    case RUN_CATCH: list = rl_program_extra(program, n->c); return (run_t){list + 1, 2 * *list, 2, 1};
    default: return (run_t){NULL, 0, 1, 1};
    }
}

static inline bool push(rl_allocator_t* allocator, rl_ir_list_t* out, rl_ir_t node) {
    return node == 0 || rl_vec_push(allocator, out, node);
}

bool rl_ir_children(const rl_program_t* program, rl_allocator_t* allocator, rl_ir_t id, rl_ir_list_t* out) {
    const rl_ir_node_t* n = rl_program_node(program, id);
    unsigned kids = kids_of(n);
    if (kids == 0) return true;
    if (kids & KID_A && !push(allocator, out, n->a)) return false;
    if (kids & KID_B && !push(allocator, out, n->b)) return false;
    if (kids & KID_C && !push(allocator, out, n->c)) return false;
    if (!(kids & RUN_OF)) return true;
    run_t run = run_of(program, n, kids);
    if ((kids & RUN_OF) == RUN_HANDLE) { /* the return clause, then those of the operations */
        const uint32_t* list = rl_program_extra(program, n->b + 1);
        if (!push(allocator, out, list[0])) return false;
        run = (run_t){list + 2, list[1], 1, 1};
    }
    if (!rl_vec_reserve(allocator, out, run.count)) return false;
    for (uint32_t i = 0; i < run.count; i += run.step) {
        for (uint32_t k = run.step - run.take; k < run.step; k++) {
            if (run.at[i + k]) out->data[out->count++] = run.at[i + k];
        }
    }
    return true;
}

bool rl_pattern_children(const rl_program_t* program, rl_allocator_t* allocator, rl_ir_t id, rl_ir_list_t* out) {
    const rl_ir_node_t* n = rl_program_node(program, id);
    uint32_t step = 1, skip = 0;
    switch ((rl_pattern_op_t)n->op) {
    case RL_PAT_WILDCARD:
    case RL_PAT_CONST:
    case RL_PAT_RANGE:
    case RL_PAT_REGEX: return true;
    case RL_PAT_ACTIVE: return push(allocator, out, n->c); /* its call reads nothing but its own local */
    case RL_PAT_BIND: return push(allocator, out, n->b);
    case RL_PAT_VARIANT:
    case RL_PAT_TUPLE:
    case RL_PAT_OR:
    case RL_PAT_SLICE: break;
    case RL_PAT_RECORD: step = 2, skip = 1; break;
    }
    if (!n->b) return true;
    const uint32_t* list = rl_program_extra(program, n->a);
    bool ok = true;
    for (uint32_t i = 0; ok && i < n->b; i++) ok = push(allocator, out, list[i * step + skip]);
    return ok;
}

bool rl_ir_may_assign(const rl_program_t* program, rl_allocator_t* allocator, rl_ir_t node, rl_local_id_t local) {
    rl_ir_list_t stack = {0};
    bool found = !push(allocator, &stack, node);
    for (unsigned budget = 64; !found && stack.count;) {
        rl_ir_t id = rl_vec_pop(&stack);
        const rl_ir_node_t* n = rl_program_node(program, id);
        found = budget-- == 0 || (n->op == RL_IR_SET_LOCAL && n->a == local) ||
                !rl_ir_children(program, allocator, id, &stack);
    }
    rl_vec_deinit(allocator, &stack);
    return found;
}

uint32_t rl_resolve_local(const rl_program_t* program, rl_fn_id_t fn, rl_fn_id_t owner, uint32_t local) {
    if (fn == owner) return local;
    /* Chain of functions from `fn` outward, then back inward from the owner. */
    enum { MOST = 64 };
    rl_fn_id_t chain[MOST];
    unsigned depth = 0;
    for (rl_fn_id_t at = fn; at != owner; at = rl_program_function(program, at)->parent) {
        if (at == 0 || depth == MOST) return RL_NONE;
        chain[depth++] = at;
    }
    while (depth-- > 0) {
        const rl_function_t* inner = rl_program_function(program, chain[depth]);
        uint32_t i = 0;
        while (i < inner->capture_count && rl_program_capture(program, inner->capture_first + i) != local) i++;
        if (i == inner->capture_count) return RL_NONE;
        local = inner->param_count + i;
    }
    return local;
}

/* --- parameters that are only looked at --------------------------------------------------------------------------- */
bool rl_builtin_consumes(uint32_t builtin, uint32_t index) {
    if (builtin >= RL_BUILTIN_ID_COUNT) return true;
    const char* uses = rl_builtin_rows[builtin].uses;
    for (uint32_t i = 0; uses[i]; i++) {
        if (i == index) return uses[i] != 'b';
    }
    return true;
}

enum { BORROW_DEPTH = 24, LOOK = 0, KEEP = 1 };

typedef struct borrow {
    rl_compiler_t* compiler;
    rl_fn_id_t fn;
    uint64_t mask;
    rl_ir_list_t* nodes; /* node << 1 | LOOK or KEEP; those below `base` are the callers' */
    uint32_t base;
} borrow_t;

static uint64_t borrowed_params(rl_compiler_t* compiler, rl_fn_id_t fn, unsigned depth);

static bool is_newtype(rl_compiler_t* compiler, rl_type_t type) {
    const rl_typedef_t* def = rl_named_def(compiler, type);
    return def && def->kind == RL_DEF_NEWTYPE;
}

/* Can the pattern give the matched value itself a name? */
static bool binds_root(rl_compiler_t* compiler, rl_ir_t pattern, unsigned depth) {
    const rl_program_t* program = compiler->program;
    rl_ir_node_t n = *rl_program_node(program, pattern);
    if (n.op == RL_PAT_BIND || n.op == RL_PAT_ACTIVE || depth > 16) return true;
    bool through = n.op == RL_PAT_OR || (n.op == RL_PAT_VARIANT && is_newtype(compiler, n.type));
    for (uint32_t i = 0; through && i < n.b; i++) {
        if (binds_root(compiler, *rl_program_extra(program, n.a + i), depth + 1)) return true;
    }
    return false;
}

static inline void look(borrow_t* b, rl_ir_t node, unsigned use) {
    if (node) (void)rl_vec_push(b->compiler->allocator, b->nodes, node << 1 | use);
}

static void keep_captures(borrow_t* b, rl_fn_id_t callee) {
    const rl_program_t* program = b->compiler->program;
    const rl_function_t* f = rl_program_function(program, callee);
    for (uint32_t i = 0; i < f->capture_count; i++) {
        uint32_t local = rl_resolve_local(program, b->fn, f->parent, rl_program_capture(program, f->capture_first + i));
        if (local < 64) b->mask &= ~(1ull << local);
    }
}

static void look_call(borrow_t* b, const rl_ir_node_t* n, unsigned depth) {
    const rl_program_t* program = b->compiler->program;
    const rl_function_t callee = *rl_program_function(program, n->a);
    uint32_t count = *rl_program_extra(program, n->c);
    uint64_t mask = 0;
    if (callee.capture_count) keep_captures(b, n->a);
    if (callee.kind == RL_FN_REML && n->a != b->fn && !(callee.flags & RL_FN_TRAIT))
        mask = borrowed_params(b->compiler, n->a, depth + 1);
    for (uint32_t i = 0; i < count; i++) {
        bool keeps =
            callee.kind == RL_FN_BUILTIN ? rl_builtin_consumes(callee.builtin, i) : i >= 64 || !(mask >> i & 1);
        rl_ir_t arg = *rl_program_extra(program, n->c + 1 + i);
        /* Handing a parameter on to itself says nothing new. */
        const rl_ir_node_t* a = rl_program_node(program, arg);
        if (n->a == b->fn && a->op == RL_IR_LOCAL && a->a == i) continue;
        look(b, arg, keeps ? KEEP : LOOK);
    }
}

static void look_all(borrow_t* b, rl_ir_t id, unsigned use) {
    uint32_t first = b->nodes->count;
    if (!rl_ir_children(b->compiler->program, b->compiler->allocator, id, b->nodes)) return;
    for (uint32_t i = first; i < b->nodes->count; i++) b->nodes->data[i] = b->nodes->data[i] << 1 | use;
}

static void look_node(borrow_t* b, rl_ir_t id, unsigned use, unsigned depth) {
    const rl_program_t* program = b->compiler->program;
    rl_ir_node_t n = *rl_program_node(program, id);
    switch ((rl_ir_op_t)n.op) {
    case RL_IR_UNIT:
    case RL_IR_INT:
    case RL_IR_FLOAT:
    case RL_IR_STRING: return;
    case RL_IR_LOCAL:
        if (use == KEEP && n.a < 64) b->mask &= ~(1ull << n.a);
        return;
    case RL_IR_CALL: look_call(b, &n, depth); return;
    case RL_IR_CLOSURE: keep_captures(b, n.a); return;
    case RL_IR_CLOSURE_GROUP:
        for (uint32_t i = 0; i < n.b; i++) keep_captures(b, *rl_program_extra(program, n.a + 2 * i + 1));
        return;
    case RL_IR_BLOCK:
        for (uint32_t i = 0; i < n.b; i++) {
            bool is_value = (n.flags & RL_IR_BLOCK_VALUE) && i + 1 == n.b;
            look(b, *rl_program_extra(program, n.a + i), is_value ? use : LOOK);
        }
        return;
    case RL_IR_SEQUENCE:
        look(b, n.a, LOOK);
        look(b, n.b, use);
        return;
    case RL_IR_IF:
        look(b, n.a, LOOK);
        look(b, n.b, use);
        look(b, n.c, use);
        return;
    case RL_IR_MATCH: {
        bool root = false;
        for (uint32_t i = 0; i < n.c; i++) {
            root = root || binds_root(b->compiler, *rl_program_extra(program, n.b + 3 * i), 0);
            look(b, *rl_program_extra(program, n.b + 3 * i + 1), LOOK);
            look(b, *rl_program_extra(program, n.b + 3 * i + 2), use);
        }
        look(b, n.a, root ? KEEP : LOOK);
        return;
    }
    case RL_IR_LET: look(b, n.b, binds_root(b->compiler, n.a, 0) ? KEEP : LOOK); return;
    case RL_IR_PAYLOAD: look(b, n.a, is_newtype(b->compiler, rl_program_node(program, n.a)->type) ? use : LOOK); return;
    case RL_IR_UNSAFE: look(b, n.a, use); return;
    case RL_IR_FIELD:
    case RL_IR_TUPLE_GET:
    case RL_IR_INDEX:
    case RL_IR_EQ:
    case RL_IR_NE:
    case RL_IR_LT:
    case RL_IR_LE:
    case RL_IR_GT:
    case RL_IR_GE:
    case RL_IR_TO_STRING:
    case RL_IR_FORMAT:
    case RL_IR_WHILE:
    case RL_IR_LOOP:
    case RL_IR_FOR:
    case RL_IR_AND:
    case RL_IR_OR:
    case RL_IR_NOT:
        /* TO_STRING and FORMAT of a lone Str answer the Str itself. */
        look_all(b, id, n.op == RL_IR_TO_STRING || n.op == RL_IR_FORMAT ? use : LOOK);
        return;
    case RL_IR_ADD:
    case RL_IR_CONCAT:
        if (rl_type_node(&program->types, n.type)->flags & RL_TYPE_HAS_PARAM) { /* perhaps the call of an impl */
            look_all(b, id, KEEP);
            return;
        }
        look(b, n.a, KEEP);
        look(b, n.b, LOOK);
        return;
    case RL_IR_SET_FIELD:
        look(b, n.a, LOOK);
        look(b, n.c, KEEP);
        return;
    case RL_IR_SET_INDEX:
        look(b, n.a, LOOK);
        look(b, *rl_program_extra(program, n.b), KEEP);
        look(b, *rl_program_extra(program, n.b + 1), KEEP);
        return;
    default: look_all(b, id, KEEP); return;
    }
}

static uint64_t borrowed_params(rl_compiler_t* compiler, rl_fn_id_t fn, unsigned depth) {
    uint32_t known;
    const rl_function_t f = *rl_program_function(compiler->program, fn);
    if (f.param_count == 0) return 0;
    if (rl_map_get(&compiler->borrow_map, fn, &known)) return compiler->borrow_masks.data[known];
    if (depth > BORROW_DEPTH || f.kind != RL_FN_REML || f.body == 0) return 0;
    /* While it is being looked at, others that call it get the safe answer. */
    if (!rl_vec_push(compiler->allocator, &compiler->borrow_masks, 0)) return 0;
    uint32_t slot = compiler->borrow_masks.count - 1;
    if (!rl_map_put(compiler->allocator, &compiler->borrow_map, fn, slot)) return 0;
    borrow_t b = {
        .compiler = compiler, .fn = fn, .nodes = &compiler->borrow_nodes, .base = compiler->borrow_nodes.count};
    b.mask = f.param_count >= 64 ? ~0ull : (1ull << f.param_count) - 1;
    for (uint32_t i = 0; i < f.param_count && i < 64; i++) {
        /* Scalars are copied whoever keeps them: a function that has no others is not looked at. */
        rl_type_t type = rl_program_param(compiler->program, f.param_first + i)->type;
        if (type < RL_TYPE_SIMPLE_COUNT && rl_rep_of(compiler, type) != RL_REP_R) b.mask &= ~(1ull << i);
        if (rl_program_local(compiler->program, f.local_first + i)->flags & (RL_LOCAL_MUTABLE | RL_LOCAL_BOXED))
            b.mask &= ~(1ull << i);
    }
    if (b.mask) look(&b, f.body, KEEP);
    while (b.mask && b.nodes->count > b.base && !compiler->allocator->failed) {
        uint32_t next = rl_vec_pop(b.nodes);
        look_node(&b, next >> 1, next & 1, depth);
    }
    if (compiler->allocator->failed) b.mask = 0;
    b.nodes->count = b.base;
    compiler->borrow_masks.data[slot] = b.mask;
    return b.mask;
}

uint64_t rl_borrowed_params(rl_compiler_t* compiler, rl_fn_id_t function) {
    return borrowed_params(compiler, function, 0);
}

/* --- facts of one function ---------------------------------------------------------------------------------------- */
typedef struct range {
    uint32_t first, end;
} range_t; /* of events */
typedef struct loop_sets {
    uint32_t after, head;
} loop_sets_t;
typedef struct visit {
    rl_ir_t id;
    uint32_t depth; /* of the node; ENTER and EXIT: of a loop */
} visit_t;
typedef struct candidate {
    uint32_t group, node;
} candidate_t;

struct rl_analyzer {
    rl_emitter_t* e;
    const rl_program_t* program;
    rl_allocator_t* allocator;
    rl_analysis_t* out;
    RL_VEC(visit_t) stack;
    RL_VEC(uint32_t) events; /* tracked local that is read, or DECLARED | tracked local */
    RL_VEC(range_t) loops;
    rl_map_t loop_of; /* loop node → loops */
    rl_ir_list_t list;
    uint32_t tracked, words, loop_depth;
    RL_VEC(uint64_t) sets; /* bit sets of `words` each, used like a stack; set 0: what is live now */
    RL_VEC(loop_sets_t) open;
    RL_VEC(candidate_t) candidates; /* by tracked local */
    uint32_t group;
    uint32_t deepest;
};
typedef struct rl_analyzer analyzer_t;

#define ENTER    0x80000000u
#define EXIT     0x40000000u
#define DEPTH_OF 0x3FFFFFFFu
#define DECLARED 0x80000000u

static void declare(analyzer_t* a, rl_local_id_t local) {
    uint32_t tracked = a->out->locals[local].tracked;
    if (tracked != RL_NONE) (void)rl_vec_push(a->allocator, &a->events, DECLARED | tracked);
}

static void each_bound(analyzer_t* a, rl_ir_t pattern, void (*fn)(analyzer_t* a, rl_local_id_t local)) {
    uint32_t base = a->list.count;
    (void)push(a->allocator, &a->list, pattern);
    while (a->list.count > base) {
        rl_ir_t id = rl_vec_pop(&a->list);
        const rl_ir_node_t* n = rl_program_node(a->program, id);
        if (n->op == RL_PAT_BIND) fn(a, n->a);
        (void)rl_pattern_children(a->program, a->allocator, id, &a->list);
    }
}

static void read_event(analyzer_t* a, rl_local_id_t local) {
    rl_local_use_t* use = &a->out->locals[local];
    use->reads += a->loop_depth ? 8 : 1;
    use->read_count++;
    if (use->tracked != RL_NONE) (void)rl_vec_push(a->allocator, &a->events, use->tracked);
}

static void each_capture(analyzer_t* a, rl_fn_id_t callee, void (*fn)(analyzer_t* a, rl_local_id_t local)) {
    const rl_function_t* f = rl_program_function(a->program, callee);
    for (uint32_t i = 0; i < f->capture_count; i++) {
        uint32_t local =
            rl_resolve_local(a->program, a->e->fn_id, f->parent, rl_program_capture(a->program, f->capture_first + i));
        if (local < a->out->local_count) fn(a, local);
    }
}

static void each_implicit_read(analyzer_t* a, const rl_ir_node_t* n, void (*fn)(analyzer_t* a, rl_local_id_t local)) {
    if (n->op == RL_IR_CALL || n->op == RL_IR_CLOSURE) each_capture(a, n->a, fn);
    if (n->op != RL_IR_CLOSURE_GROUP) return;
    for (uint32_t i = 0; i < n->b; i++) each_capture(a, *rl_program_extra(a->program, n->a + 2 * i + 1), fn);
}

static void note_float(analyzer_t* a, uint64_t bits) {
    for (uint32_t i = 0; i < a->out->hot_floats.count; i++) {
        if (a->out->hot_floats.data[i] == bits) return;
    }
    if (a->out->hot_floats.count < RL_HOT_FLOATS) (void)rl_vec_push(a->allocator, &a->out->hot_floats, bits);
}

static inline void push_visit(analyzer_t* a, rl_ir_t id, uint32_t depth) {
    if (id) (void)rl_vec_push(a->allocator, &a->stack, (visit_t){id, depth});
}

/* Names of a pattern, and how deep it goes. */
static void survey_pattern(analyzer_t* a, rl_ir_t pattern, uint32_t depth) {
    uint32_t base = a->stack.count;
    push_visit(a, pattern, depth);
    while (a->stack.count > base && !a->allocator->failed) {
        visit_t v = rl_vec_pop(&a->stack);
        const rl_ir_node_t* n = rl_program_node(a->program, v.id);
        if (v.depth > a->deepest) a->deepest = v.depth;
        if (n->op == RL_PAT_BIND) declare(a, n->a);
        if (n->op == RL_PAT_WILDCARD || (n->op == RL_PAT_BIND && !n->b)) continue;
        uint32_t first = a->list.count;
        (void)rl_pattern_children(a->program, a->allocator, v.id, &a->list);
        for (uint32_t i = first; i < a->list.count; i++) push_visit(a, a->list.data[i], v.depth + 1);
        a->list.count = first;
    }
}

/* Left-nested operators and else-if chains do not deepen the recursion of the passes that follow. */
static bool continues_chain(const rl_program_t* program, const rl_ir_node_t* n, rl_ir_t first) {
    if (!rl_is_arithmetic(n->op) && n->op != RL_IR_AND && n->op != RL_IR_OR) return false;
    unsigned op = rl_program_node(program, first)->op;
    if (!rl_is_arithmetic(n->op)) return op == n->op;
    return rl_is_arithmetic(op) && !(rl_type_node(&program->types, n->type)->flags & RL_TYPE_HAS_PARAM);
}

static void visit_kids(analyzer_t* a, const rl_ir_node_t* n, uint32_t depth) {
    const rl_program_t* program = a->program;
    unsigned kids = kids_of(n);
    if (kids & RUN_OF) {
        if ((kids & RUN_OF) == RUN_HANDLE) {
            const uint32_t* list = rl_program_extra(program, n->b + 1);
            for (uint32_t i = list[1]; i-- > 0;) push_visit(a, list[2 + i], depth + 1);
            push_visit(a, list[0], depth + 1);
        } else {
            run_t run = run_of(program, n, kids);
            for (uint32_t i = run.count; i >= run.step; i -= run.step) {
                for (uint32_t k = 0; k < run.take; k++) push_visit(a, run.at[i - 1 - k], depth + 1);
            }
        }
    }
    if (kids & KID_C) {
        bool chain = n->op == RL_IR_IF && n->c && rl_program_node(program, n->c)->op == RL_IR_IF;
        push_visit(a, n->c, depth + !chain);
    }
    if (kids & KID_B) push_visit(a, n->b, depth + 1);
    if (kids & KID_A) push_visit(a, n->a, depth + !continues_chain(program, n, n->a));
}

static void visit_node(analyzer_t* a, visit_t v) {
    const rl_ir_node_t* n = rl_program_node(a->program, v.id);
    if (v.depth > a->deepest) a->deepest = v.depth;
    switch ((rl_ir_op_t)n->op) {
    case RL_IR_WHILE:
    case RL_IR_LOOP:
    case RL_IR_FOR:
        /* Pushed in reverse: iterable, enter, (pattern,) condition, body, leave. */
        push_visit(a, v.id, v.depth | EXIT);
        push_visit(a, n->op == RL_IR_FOR ? n->c : n->op == RL_IR_WHILE ? n->b : n->a, v.depth + 1);
        if (n->op == RL_IR_WHILE) push_visit(a, n->a, v.depth + 1);
        push_visit(a, v.id, v.depth | ENTER);
        if (n->op == RL_IR_FOR) push_visit(a, n->a, v.depth + 1);
        return;
    case RL_IR_LOCAL: read_event(a, n->a); return;
    case RL_IR_UNIT:
    case RL_IR_INT:
    case RL_IR_STRING: return;
    case RL_IR_SET_LOCAL: a->out->locals[n->a].assigned = true; break;
    case RL_IR_BIND: declare(a, n->a); break;
    case RL_IR_LET: survey_pattern(a, n->a, v.depth + 1); break;
    case RL_IR_CATCH:
        for (uint32_t i = 0; i < *rl_program_extra(a->program, n->c); i++) {
            uint32_t local = *rl_program_extra(a->program, n->c + 1 + 2 * i);
            if (local != RL_NONE) declare(a, local);
        }
        break;
    case RL_IR_CLOSURE_GROUP:
        for (uint32_t i = 0; i < n->b; i++) declare(a, *rl_program_extra(a->program, n->a + 2 * i));
        each_implicit_read(a, n, read_event);
        return;
    case RL_IR_MATCH:
        for (uint32_t i = 0; i < n->c; i++) survey_pattern(a, *rl_program_extra(a->program, n->b + 3 * i), v.depth + 1);
        break;
    case RL_IR_FLOAT:
        if (a->loop_depth && n->type == RL_TYPE_F64) note_float(a, (uint64_t)n->b << 32 | n->a);
        return;
    case RL_IR_CALL:
    case RL_IR_CLOSURE: each_implicit_read(a, n, read_event); break;
    default: break;
    }
    visit_kids(a, n, v.depth);
}

static void survey(analyzer_t* a, rl_ir_t body) {
    push_visit(a, body, 1);
    while (a->stack.count && !a->allocator->failed) {
        visit_t v = rl_vec_pop(&a->stack);
        if (RL_LIKELY(v.depth <= DEPTH_OF)) {
            visit_node(a, v);
            continue;
        }
        uint32_t index;
        if (v.depth & ENTER) {
            a->loop_depth++;
            if (!rl_vec_push(a->allocator, &a->loops, (range_t){a->events.count, 0})) return;
            (void)rl_map_put(a->allocator, &a->loop_of, v.id, a->loops.count - 1);
            const rl_ir_node_t* n = rl_program_node(a->program, v.id);
            if (n->op == RL_IR_FOR) survey_pattern(a, n->b, (v.depth & DEPTH_OF) + 1);
        } else if (rl_map_get(&a->loop_of, v.id, &index)) {
            a->loop_depth--;
            a->loops.data[index].end = a->events.count;
        }
    }
}

/* --- liveness, backward over the structured code ------------------------------------------------------------------ */
static uint64_t* set_at(analyzer_t* a, uint32_t set) { return a->sets.data + (size_t)set * a->words; }

/* A copy of set 0; freed by set_pop in reverse order. 0 when memory is short (the whole analysis is thrown away). */
static uint32_t set_push(analyzer_t* a) {
    if (!rl_vec_reserve(a->allocator, &a->sets, a->words)) return 0;
    uint32_t set = a->sets.count / a->words;
    a->sets.count += a->words;
    memcpy(set_at(a, set), set_at(a, 0), sizeof(uint64_t) * a->words);
    return set;
}
static void set_pop(analyzer_t* a, uint32_t set) {
    if (set) a->sets.count = set * a->words;
}
static void set_load(analyzer_t* a, uint32_t set) {
    memmove(set_at(a, 0), set_at(a, set), sizeof(uint64_t) * a->words);
}
static void set_join(analyzer_t* a, uint32_t set) {
    for (uint32_t i = 0; i < a->words; i++) a->sets.data[i] |= set_at(a, set)[i];
}
static void set_clear(analyzer_t* a) { memset(set_at(a, 0), 0, sizeof(uint64_t) * a->words); }
static bool is_live(analyzer_t* a, uint32_t t) { return a->sets.data[t / 64] >> (t % 64) & 1; }
static void make_live(analyzer_t* a, uint32_t t) { a->sets.data[t / 64] |= 1ull << (t % 64); }

static void kill(analyzer_t* a, rl_local_id_t local) {
    uint32_t t = a->out->locals[local].tracked;
    if (t != RL_NONE) a->sets.data[t / 64] &= ~(1ull << (t % 64));
}
static void revive(analyzer_t* a, rl_local_id_t local) {
    uint32_t t = a->out->locals[local].tracked;
    if (t != RL_NONE) make_live(a, t);
}

/* A node met twice is the last read only if it is so both times. */
static void mark_last(analyzer_t* a, rl_ir_t node, bool last) {
    uint32_t before;
    if (rl_map_get(&a->out->last, node, &before) && !before) return;
    (void)rl_map_put(a->allocator, &a->out->last, node, last);
}

static void read_local(analyzer_t* a, rl_ir_t node, rl_local_id_t local) {
    uint32_t t = a->out->locals[local].tracked;
    if (t == RL_NONE) return;
    mark_last(a, node, !is_live(a, t));
    make_live(a, t);
}

static void live(analyzer_t* a, rl_ir_t id);

static bool plain(analyzer_t* a, rl_ir_t id, uint32_t* out_tracked) {
    const rl_ir_node_t* n = rl_program_node(a->program, id);
    if (n->op != RL_IR_LOCAL) return false;
    *out_tracked = a->out->locals[n->a].tracked;
    return *out_tracked != RL_NONE;
}

/*
 * Operands that are plain locals are looked at when the operation happens, after all other operands are there; one that
 * stands there twice has no last read. Answers the first operand, still to be walked (0: done).
 */
static rl_ir_t live_operands(analyzer_t* a, rl_ir_t id) {
    uint32_t base = a->list.count, t;
    if (!rl_ir_children(a->program, a->allocator, id, &a->list)) return 0;
    uint32_t end = a->list.count;
    uint32_t group = ++a->group;
    for (uint32_t i = end; i-- > base;) {
        rl_ir_t child = a->list.data[i];
        if (!plain(a, child, &t)) continue;
        rl_local_id_t local = rl_program_node(a->program, child)->a;
        bool assigned_later = false;
        for (uint32_t k = i + 1; a->out->locals[local].assigned && k < end && !assigned_later; k++) {
            rl_ir_t later = a->list.data[k];
            assigned_later = k - i > 8 || (later && rl_ir_may_assign(a->program, a->allocator, later, local));
        }
        if (assigned_later) {
            mark_last(a, child, false);
            continue;
        }
        candidate_t* first = &a->candidates.data[t];
        if (is_live(a, t)) {
            mark_last(a, child, false);
            if (first->group == group) mark_last(a, first->node, false);
        } else {
            *first = (candidate_t){group, child};
            mark_last(a, child, true);
            make_live(a, t);
        }
        a->list.data[i] = 0;
    }
    for (uint32_t i = end; i-- > base + 1;) {
        if (a->list.data[i]) live(a, a->list.data[i]);
    }
    rl_ir_t first = end > base ? a->list.data[base] : 0;
    a->list.count = base;
    return first;
}

/* else-if chains are walked from their end without recursion. */
static rl_ir_t live_if(analyzer_t* a, rl_ir_t id) {
    uint32_t base = a->list.count, after = set_push(a);
    rl_ir_node_t n = *rl_program_node(a->program, id);
    (void)push(a->allocator, &a->list, id);
    while (n.c && rl_program_node(a->program, n.c)->op == RL_IR_IF) {
        if (!push(a->allocator, &a->list, n.c)) return 0;
        n = *rl_program_node(a->program, n.c);
    }
    if (n.c) live(a, n.c);
    while (a->list.count > base) {
        n = *rl_program_node(a->program, rl_vec_pop(&a->list));
        uint32_t otherwise = set_push(a);
        if (a->allocator->failed) return 0;
        set_load(a, after);
        live(a, n.b);
        set_join(a, otherwise);
        set_pop(a, otherwise);
        if (a->list.count > base) live(a, n.a);
    }
    set_pop(a, after);
    return n.a;
}

static rl_ir_t live_match(analyzer_t* a, const rl_ir_node_t* n) {
    uint32_t after = set_push(a);
    set_clear(a);
    uint32_t next = set_push(a); /* when this arm does not match */
    if (a->allocator->failed) return 0;
    for (uint32_t i = n->c; i-- > 0;) {
        rl_ir_t guard = *rl_program_extra(a->program, n->b + 3 * i + 1);
        set_load(a, after);
        live(a, *rl_program_extra(a->program, n->b + 3 * i + 2));
        if (guard) {
            set_join(a, next);
            live(a, guard);
        }
        each_bound(a, *rl_program_extra(a->program, n->b + 3 * i), kill);
        set_join(a, next);
        memcpy(set_at(a, next), set_at(a, 0), sizeof(uint64_t) * a->words);
    }
    set_pop(a, after);
    return n->a;
}

static rl_ir_t live_loop(analyzer_t* a, rl_ir_t id, const rl_ir_node_t* n) {
    uint32_t after = set_push(a), index;
    if (!rl_map_get(&a->loop_of, id, &index)) return 0;
    range_t range = a->loops.data[index];
    /* All that is read anywhere in the loop and declared outside counts as live at its head. */
    for (uint32_t i = range.first; i < range.end; i++) {
        if (!(a->events.data[i] & DECLARED)) make_live(a, a->events.data[i]);
    }
    for (uint32_t i = range.first; i < range.end; i++) {
        uint32_t t = a->events.data[i] & ~DECLARED;
        if (a->events.data[i] & DECLARED) a->sets.data[t / 64] &= ~(1ull << (t % 64));
    }
    uint32_t head = set_push(a);
    if (a->allocator->failed || !rl_vec_push(a->allocator, &a->open, (loop_sets_t){after, head})) return 0;
    live(a, n->op == RL_IR_FOR ? n->c : n->op == RL_IR_WHILE ? n->b : n->a);
    if (n->op == RL_IR_FOR) each_bound(a, n->b, kill);
    set_join(a, head);
    if (n->op == RL_IR_WHILE) live(a, n->a);
    a->open.count--;
    set_pop(a, after);
    return n->op == RL_IR_FOR ? n->a : 0;
}

/* Afterwards either what follows happens, or one of the exits. */
static rl_ir_t live_catch(analyzer_t* a, const rl_ir_node_t* n) {
    uint32_t after = set_push(a);
    for (uint32_t i = 0; i < *rl_program_extra(a->program, n->c); i++) {
        uint32_t local = *rl_program_extra(a->program, n->c + 1 + 2 * i);
        uint32_t others = set_push(a);
        if (a->allocator->failed) return 0;
        set_load(a, after);
        live(a, *rl_program_extra(a->program, n->c + 2 + 2 * i));
        if (local != RL_NONE) kill(a, local);
        set_join(a, others);
        set_pop(a, others);
    }
    set_pop(a, after);
    return n->a;
}

static void live_jump(analyzer_t* a, const rl_ir_node_t* n) {
    if (n->b >= a->open.count) {
        set_clear(a);
        return;
    }
    loop_sets_t loop = a->open.data[a->open.count - 1 - n->b];
    set_load(a, n->op == RL_IR_BREAK ? loop.after : loop.head);
}

static void live(analyzer_t* a, rl_ir_t id) {
    while (id && !a->allocator->failed) {
        rl_ir_node_t n = *rl_program_node(a->program, id);
        switch ((rl_ir_op_t)n.op) {
        case RL_IR_LOCAL: read_local(a, id, n.a); return;
        case RL_IR_CALL:
        case RL_IR_CLOSURE:
        case RL_IR_CLOSURE_GROUP:
            each_implicit_read(a, &n, revive);
            id = n.op == RL_IR_CALL ? live_operands(a, id) : 0;
            break;
        case RL_IR_SET_LOCAL:
        case RL_IR_BIND:
            kill(a, n.a);
            id = n.b;
            break;
        case RL_IR_LET:
            each_bound(a, n.a, kill);
            id = n.b;
            break;
        case RL_IR_BLOCK: {
            for (uint32_t i = n.b; i-- > 1;) live(a, *rl_program_extra(a->program, n.a + i));
            id = n.b ? *rl_program_extra(a->program, n.a) : 0;
            break;
        }
        case RL_IR_IF: id = live_if(a, id); break;
        case RL_IR_MATCH: id = live_match(a, &n); break;
        case RL_IR_WHILE:
        case RL_IR_LOOP:
        case RL_IR_FOR: id = live_loop(a, id, &n); break;
        case RL_IR_AND:
        case RL_IR_OR: {
            uint32_t skipped = set_push(a);
            if (a->allocator->failed) return;
            live(a, n.b);
            set_join(a, skipped);
            set_pop(a, skipped);
            id = n.a;
            break;
        }
        case RL_IR_CATCH: id = live_catch(a, &n); break;
        case RL_IR_ESCAPE:
            set_clear(a);
            id = n.c;
            break;
        case RL_IR_BREAK:
        case RL_IR_CONTINUE:
            live_jump(a, &n);
            id = n.op == RL_IR_BREAK ? n.a : 0;
            break;
        case RL_IR_RETURN:
        case RL_IR_PANIC:
            set_clear(a);
            id = n.a;
            break;
        case RL_IR_SEQUENCE:
            live(a, n.b);
            id = n.a;
            break;
        case RL_IR_FORMAT: /* each piece goes into the text, which grows in place, before the next is evaluated */
            for (uint32_t i = n.b; i-- > 1;) live(a, *rl_program_extra(a->program, n.a + 2 * i + 1));
            id = n.b ? *rl_program_extra(a->program, n.a + 1) : 0;
            break;
        default: id = live_operands(a, id); break;
        }
    }
}

/* --- all together ------------------------------------------------------------------------------------------------- */
static bool choose_tracked(analyzer_t* a) {
    for (uint32_t i = 0; i < a->out->local_count; i++) {
        const rl_local_t* local = rl_program_local(a->program, a->e->fn.local_first + i);
        rl_local_use_t* use = &a->out->locals[i];
        use->tracked = RL_NONE;
        if (local->flags & (RL_LOCAL_BOXED | RL_LOCAL_CAPTURE)) continue;
        uint32_t own = i - a->e->fn.param_count;
        if (i >= a->e->fn.param_count && own < a->e->fn.capture_count) continue;
        if (rl_is_updatable(a->e->compiler, rl_emit_ground(a->e, local->type))) use->tracked = a->tracked++;
    }
    a->words = (a->tracked + 63) / 64;
    return !a->allocator->failed;
}

bool rl_survey(rl_emitter_t* e, rl_analysis_t* out, uint32_t* out_depth) {
    rl_allocator_t* allocator = e->allocator;
    if (!e->analyzer && !(e->analyzer = rl_alloc_zero(allocator, sizeof *e->analyzer))) return false;
    analyzer_t* a = e->analyzer;
    *a = (analyzer_t){.e = e,
        .program = e->program,
        .allocator = allocator,
        .out = out,
        .loop_of = a->loop_of,
#define AGAIN(vec) .vec = {.data = a->vec.data, .capacity = a->vec.capacity}
        AGAIN(stack),
        AGAIN(events),
        AGAIN(loops),
        AGAIN(list),
        AGAIN(sets),
        AGAIN(open),
        AGAIN(candidates)
#undef AGAIN
    };
    if (a->loop_of.count) rl_map_clear(&a->loop_of);
    out->local_count = e->fn.local_count;
    if (out->local_count > out->local_room) {
        rl_local_use_t* locals =
            rl_resize(allocator, out->locals, sizeof *locals * out->local_room, sizeof *locals * out->local_count);
        if (!locals) return false;
        out->locals = locals;
        out->local_room = out->local_count;
    }
    if (out->local_count) memset(out->locals, 0, sizeof *out->locals * out->local_count);
    if (!choose_tracked(a)) return false;
    survey(a, e->fn.body);
    *out_depth = a->deepest;
    return !allocator->failed;
}

bool rl_analyze(rl_emitter_t* e) {
    analyzer_t* a = e->analyzer;
    if (!a->tracked) return true;
    if (!rl_vec_reserve(e->allocator, &a->candidates, a->tracked) || !rl_vec_reserve(e->allocator, &a->sets, a->words))
        return false;
    memset(a->candidates.data, 0, sizeof *a->candidates.data * a->tracked);
    a->sets.count = a->words;
    set_clear(a);
    live(a, e->fn.body);
    return !e->allocator->failed;
}

void rl_analyzer_deinit(rl_allocator_t* allocator, struct rl_analyzer* a) {
    if (!a) return;
    rl_vec_deinit(allocator, &a->stack);
    rl_vec_deinit(allocator, &a->events);
    rl_vec_deinit(allocator, &a->loops);
    rl_vec_deinit(allocator, &a->list);
    rl_vec_deinit(allocator, &a->sets);
    rl_vec_deinit(allocator, &a->open);
    rl_vec_deinit(allocator, &a->candidates);
    rl_map_deinit(allocator, &a->loop_of);
    rl_free(allocator, a, sizeof *a);
}

void rl_analysis_deinit(rl_allocator_t* allocator, rl_analysis_t* analysis) {
    rl_free(allocator, analysis->locals, sizeof *analysis->locals * analysis->local_room);
    rl_map_deinit(allocator, &analysis->last);
    rl_vec_deinit(allocator, &analysis->hot_floats);
    *analysis = (rl_analysis_t){0};
}
