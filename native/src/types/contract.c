/*
 * What code promises of its effects, and whether it keeps it (LANGUAGE 3.5, 5.13, 6.2): `! {…}`, @pure, @no_panic and the
 * other attributes, `unsafe`, effects that nothing handles. Latent sets are compared first; only where one is too large,
 * the code is looked at once more for the expressions to blame.
 */
#include "types/latent.h"

#include <stdlib.h>

enum {
    DEMANDS = 1 << RL_ATTR_PURE | 1 << RL_ATTR_NO_PANIC | 1 << RL_ATTR_ASYNC_FREE | 1 << RL_ATTR_NO_BLOCKING |
    1 << RL_ATTR_NO_TIMER | 1 << RL_ATTR_HANDLES | 1 << RL_ATTR_DSL_EXPORT | 1 << RL_ATTR_REQUIRES_CAPABILITY
};

/* --- contracts ---------------------------------------------------------------------------------------------------- */

void rl_note_contract(rl_checker_t* c, rl_fn_id_t fn, rl_node_t node, rl_node_t effects, rl_list_t attrs) {
    uint32_t demands = attrs ? rl_attribute_set(c, attrs) & DEMANDS : 0;
    if ((!effects && !demands) || c->input->is_prelude) return;
    rl_contract_t contract = {.fn = fn,
        .frame = c->frame,
        .span = rl_span_of(c, node),
        .effects = effects,
        .attrs = attrs,
        .demands = demands,
        .is_pattern = rl_tree_kind(c->tree, node) == RL_NODE_ACTIVE};
    (void)rl_vec_push(c->allocator, &c->contracts, contract);
}

void rl_note_region(rl_checker_t* c, rl_span_t span, uint32_t bits) {
    (void)rl_vec_push(c->allocator, &c->regions, (rl_region_t){.span = span, .bits = bits, .frame = c->frame});
}

static int by_start(const void* a, const void* b) {
    const rl_region_t *x = a, *y = b;
    if (x->span.start != y->span.start) return x->span.start < y->span.start ? -1 : 1;
    if (x->span.end != y->span.end) return x->span.end > y->span.end ? -1 : 1; /* the outer one first */
    return (int)(x->bits & RL_REGION_UNSAFE ? 1 : 0) - (int)(y->bits & RL_REGION_UNSAFE ? 1 : 0);
}

/* Where code is pure, may not panic, or is unsafe: sorted, each with the one around it. */
void rl_settle_regions(rl_checker_t* c) {
    for (uint32_t i = 0; i < c->contracts.count; i++) {
        const rl_contract_t* contract = &c->contracts.data[i];
        uint32_t bits = contract->demands & (1u << RL_ATTR_PURE | 1u << RL_ATTR_NO_PANIC);
        if (bits) rl_note_region(c, contract->span, bits);
    }
    if (rl_failed(c) || c->regions.count == 0) return;
    qsort(c->regions.data, c->regions.count, sizeof *c->regions.data, by_start);
    uint32_t around = 0; /* + 1 */
    for (uint32_t i = 0; i < c->regions.count; i++) {
        rl_region_t* region = &c->regions.data[i];
        while (around && c->regions.data[around - 1].span.end <= region->span.start)
            around = c->regions.data[around - 1].around;
        region->around = around;
        around = i + 1;
    }
}

/* The innermost region that holds the byte, + 1. */
static uint32_t region_at(const rl_checker_t* c, uint32_t offset) {
    uint32_t low = 0, high = c->regions.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (c->regions.data[middle].span.start <= offset) low = middle + 1;
        else high = middle;
    }
    while (low && c->regions.data[low - 1].span.end <= offset) low = c->regions.data[low - 1].around;
    return low;
}

uint32_t rl_region_bits(const rl_checker_t* c, uint32_t offset) {
    uint32_t bits = 0;
    for (uint32_t at = region_at(c, offset); at; at = c->regions.data[at - 1].around)
        bits |= c->regions.data[at - 1].bits;
    return bits;
}

static uint32_t unsafe_region(const rl_checker_t* c, uint32_t offset) {
    uint32_t at = region_at(c, offset);
    while (at && !(c->regions.data[at - 1].bits & RL_REGION_UNSAFE)) at = c->regions.data[at - 1].around;
    return at;
}

/* --- rules -------------------------------------------------------------------------------------------------------- */

typedef enum rule_kind {
    RULE_BOUND, /* only what `bound` allows */
    RULE_NO,    /* nothing that counts as `tag` */
    RULE_HANDLED,
    RULE_ROOT /* no effect without a root handler */
} rule_kind_t;

typedef struct rule {
    rule_kind_t kind;
    rl_effects_t bound;
    uint32_t tag;
    rl_code_t code;
    rl_span_t written; /* where the promise stands */
    const char* name;  /* of the attribute, NULL: `! {…}` */
} rule_t;

static bool handled_by_host(const rl_checker_t* c, uint32_t tag) {
    const rl_stage_policy_t* policy = c->input->stages;
    if (!policy || !policy->handled_by_host) return false;
    return policy->handled_by_host(policy->user, rl_text(c, rl_program_effect(c->program, tag & ~RL_TAG_EFFECT)->name));
}

static bool forbids(const rl_checker_t* c, const rule_t* rule, uint32_t tag) {
    switch (rule->kind) {
    case RULE_BOUND: return !rl_effects_allow(c->program, rule->bound, tag);
    case RULE_NO: return rl_tag_counts_as(c->program, tag, (rl_tag_t)rule->tag);
    case RULE_HANDLED: return tag == rule->tag;
    case RULE_ROOT:
        return tag >= RL_TAG_EFFECT && tag < RL_TAG_EXTENSION &&
               !rl_program_effect(c->program, tag & ~RL_TAG_EFFECT)->has_root && !handled_by_host(c, tag);
    }
    return false;
}

static rl_effects_t forbidden(rl_checker_t* c, const rule_t* rule, rl_effects_t set) {
    uint32_t at = 0, tag;
    rl_effects_t excess = RL_EFFECTS_NONE;
    if (set <= RL_EFFECTS_NONE) return excess;
    while (rl_effects_next(c->program, set, &at, &tag)) {
        if (forbids(c, rule, tag)) excess = rl_effects_join(c->program, excess, rl_effects_of_tag(c->program, tag));
    }
    return excess;
}

/* --- where expressions stand -------------------------------------------------------------------------------------- */

static bool may_be(uint16_t op, rl_node_kind_t kind) {
    switch (op) {
    case RL_IR_CALL:
    case RL_IR_CALL_VALUE:
    case RL_IR_PANIC:
        return kind == RL_NODE_CALL || kind == RL_NODE_NAME || kind == RL_NODE_FIELD || kind == RL_NODE_PERFORM ||
               kind == RL_NODE_BINARY || kind == RL_NODE_PIPE;
    case RL_IR_SET_LOCAL:
    case RL_IR_SET_GLOBAL:
    case RL_IR_SET_FIELD:
    case RL_IR_SET_INDEX: return kind == RL_NODE_ASSIGN;
    case RL_IR_MATCH: return kind == RL_NODE_MATCH || kind == RL_NODE_LAMBDA;
    case RL_IR_DEFER: return kind == RL_NODE_DEFER;
    case RL_IR_UNSAFE: return kind == RL_NODE_UNSAFE;
    case RL_IR_AWAIT: return kind == RL_NODE_AWAIT;
    case RL_PAT_ACTIVE: return kind == RL_NODE_PAT_ACTIVE;
    default: return kind > RL_NODE_DEFER && kind < RL_NODE_PAT_WILD;
    }
}

/* The name that a call is made by: `f` of f(x), `m` of x.m(y). */
static rl_sym_t called_name(const rl_checker_t* c, const rl_node_data_t* node) {
    const rl_node_data_t* callee = node->kind == RL_NODE_CALL ? rl_tree_node(c->tree, node->a) : node;
    return callee->kind == RL_NODE_NAME ? callee->a : callee->kind == RL_NODE_FIELD ? callee->b : 0;
}

/* IR knows where an expression begins. Several begin at the same byte (`f(x).g(y)`): the one with the right name, else the
   longest of the calls, else the shortest. */
rl_span_t rl_span_of_ir(rl_checker_t* c, rl_ir_t ir) {
    const rl_ir_node_t node = *rl_program_node(c->program, ir);
    rl_span_t best = {node.start, node.start + 1};
    bool found = false, named = false, is_call = node.op == RL_IR_CALL || node.op == RL_IR_CALL_VALUE;
    rl_sym_t wanted = node.op == RL_IR_CALL ? rl_program_function(c->program, node.a)->name : 0;
    for (rl_node_t at = 1; at < c->tree->nodes.count; at++) {
        const rl_node_data_t* data = rl_tree_node(c->tree, at);
        if (data->start != node.start || !may_be(node.op, (rl_node_kind_t)data->kind)) continue;
        bool fits = wanted && called_name(c, data) == wanted;
        bool longer = data->end > best.end;
        if (found && named && !fits) continue;
        if (!found || (fits && !named) || (is_call ? longer : !longer)) best = (rl_span_t){data->start, data->end};
        found = true;
        named |= fits;
    }
    return best;
}

/* --- names of what is done ---------------------------------------------------------------------------------------- */

static void add_function_name(rl_checker_t* c, rl_fn_id_t fn, rl_buf_t* out) {
    const rl_function_t* function = rl_program_function(c->program, fn);
    rl_str_t name = rl_text(c, function->name);
    if (!function->name) {
        rl_buf_add_cstr(out, function->flags & RL_FN_INIT ? "module" : "lambda");
        return;
    }
    if (function->kind == RL_FN_OPERATION) {
        rl_buf_add(out, rl_text(c, rl_program_effect(c->program, function->effect)->name));
        rl_buf_add_char(out, '.');
    } else if (function->owner) {
        rl_buf_add(out, rl_text(c, rl_program_typedef(c->program, function->owner)->name));
        rl_buf_add_char(out, '.');
    }
    static const char suffix[] = "_str"; /* print_str is what print becomes */
    bool prints = fn < c->program->first_fn && function->kind == RL_FN_BUILTIN && name.length > 4 &&
                  memcmp(name.data + name.length - 4, suffix, 4) == 0;
    if (prints) name.length -= 4;
    rl_buf_add(out, function->flags & RL_FN_INIT ? RL_STR("module") : name);
}

static void add_charge_name(rl_checker_t* c, rl_fn_id_t fn, rl_ir_t ir, rl_buf_t* out) {
    const rl_program_t* program = c->program;
    const rl_ir_node_t node = *rl_program_node(program, ir);
    switch (node.op) {
    case RL_IR_CALL:
    case RL_IR_CLOSURE: add_function_name(c, node.a, out); return;
    case RL_IR_LOCAL: {
        const rl_function_t* function = rl_program_function(program, fn);
        rl_sym_t name = rl_program_local(program, function->local_first + node.a)->name;
        rl_buf_add(out, name ? rl_text(c, name) : RL_STR("function value"));
        return;
    }
    case RL_IR_GLOBAL: rl_buf_add(out, rl_text(c, rl_program_global(program, node.a)->name)); return;
    case RL_IR_CALL_VALUE:
        if (rl_program_node(program, node.a)->op == RL_IR_LOCAL || rl_program_node(program, node.a)->op == RL_IR_GLOBAL)
            add_charge_name(c, fn, node.a, out);
        else rl_buf_add_cstr(out, "function value");
        return;
    case RL_IR_SET_LOCAL:
    case RL_IR_SET_GLOBAL:
    case RL_IR_SET_FIELD:
    case RL_IR_SET_INDEX: rl_buf_add_cstr(out, "assignment"); return;
    case RL_IR_MATCH: rl_buf_add_cstr(out, "match"); return;
    case RL_IR_DEFER: rl_buf_add_cstr(out, "defer"); return;
    case RL_IR_AWAIT: rl_buf_add_cstr(out, "await"); return;
    case RL_PAT_ACTIVE: add_charge_name(c, fn, node.b, out); return;
    case RL_IR_PANIC:
        rl_buf_add_cstr(out, node.b == RL_CODE_RUNTIME_ASSERT ? "assert"
                             : node.b == RL_CODE_RUNTIME_TODO ? "todo"
                                                              : "panic");
        return;
    default: rl_buf_add_cstr(out, rl_ir_op_name(node.op)); return;
    }
}

/* --- who is to blame ---------------------------------------------------------------------------------------------- */

static uint32_t function_index(const rl_latent_t* l, rl_fn_id_t fn) {
    return fn - l->c->program->first_fn - l->c->first_fn;
}

static const rl_charge_t* charges_of(const rl_latent_t* l, rl_fn_id_t fn, uint32_t* out_count) {
    uint32_t index = function_index(l, fn);
    *out_count = 0;
    if (index + 1 >= l->charge_first.count) return NULL;
    *out_count = l->charge_first.data[index + 1] - l->charge_first.data[index];
    return l->charges.data + l->charge_first.data[index];
}

/* Code written inside another function, run as part of it or handed on by it at once. */
static rl_fn_id_t inlined(const rl_latent_t* l, const rl_charge_t* charge) {
    const rl_program_t* program = l->c->program;
    const rl_ir_node_t* node = rl_program_node(program, charge->ir);
    rl_fn_id_t fn = rl_latent_fn(l, charge->source);
    if (!fn || (node->op != RL_IR_CLOSURE && node->op != RL_IR_DEFER)) return 0;
    const rl_function_t* function = rl_program_function(program, fn);
    bool here = function->name == 0 && function->span.start == node->start; /* not a name it was bound to */
    return here || function->flags & (RL_FN_PART | RL_FN_ASYNC) ? fn : 0;
}

typedef struct blame {
    const rl_charge_t* charge; /* NULL: nothing found */
    rl_fn_id_t fn;             /* where it stands */
} blame_t;

typedef struct way {
    RL_VEC(uint32_t) functions; /* from the last to the first */
    blame_t end;                /* adds the tag by itself */
} way_t;

/* The shortest way from a function to an expression that adds the tag by itself, around `avoid`. The functions on it go to
   `out` when that is wanted. */
static bool find_way(rl_latent_t* l, rl_fn_id_t first, uint32_t tag, rl_fn_id_t avoid, way_t* out) {
    rl_checker_t* c = l->c;
    uint32_t functions = l->local_node - l->fn_node;
    RL_VEC(uint32_t) from = {0}; /* by function: the one it was reached from, + 1 */
    RL_VEC(uint32_t) queue = {0};
    bool found = false;
    if (first == avoid || !rl_vec_reserve(c->allocator, &from, functions + 1)) return false;
    memset(from.data, 0, functions * sizeof *from.data);
    from.data[function_index(l, avoid)] = avoid + 1;
    from.data[function_index(l, first)] = first + 1;
    (void)rl_vec_push(c->allocator, &queue, first);
    for (uint32_t head = 0; head < queue.count && !found; head++) {
        rl_fn_id_t fn = queue.data[head];
        uint32_t count;
        const rl_charge_t* charges = charges_of(l, fn, &count);
        found = !rl_program_function(c->program, fn)->body;
        if (out) out->end = (blame_t){NULL, fn};
        for (uint32_t i = 0; i < count && !found; i++) {
            if (!rl_effects_contain(c->program, rl_charge_effects(l, &charges[i]), tag)) continue;
            rl_fn_id_t next = rl_latent_fn(l, charges[i].source);
            if (!next || !rl_program_function(c->program, next)->body) {
                found = true;
                if (out) out->end = (blame_t){&charges[i], fn};
            } else if (!from.data[function_index(l, next)]) {
                from.data[function_index(l, next)] = fn + 1;
                (void)rl_vec_push(c->allocator, &queue, next);
            }
        }
    }
    for (rl_fn_id_t fn = out && found ? out->end.fn : 0; fn;
        fn = fn == first ? 0 : from.data[function_index(l, fn)] - 1)
        (void)rl_vec_push(c->allocator, &out->functions, fn);
    rl_vec_deinit(c->allocator, &from);
    rl_vec_deinit(c->allocator, &queue);
    return found;
}

/* The first expression of `fn` in [from, to) that adds the tag, and not only because it calls `fn` again. */
static blame_t find_blame(
    rl_latent_t* l, rl_fn_id_t fn, uint32_t tag, uint32_t from, uint32_t to, bool outside_unsafe) {
    enum { MOST_TRIED = 64 };
    blame_t first = {NULL, fn};
    for (unsigned depth = 0; depth < 64; depth++) {
        uint32_t count;
        const rl_charge_t* charges = charges_of(l, fn, &count);
        blame_t best = {NULL, fn};
        for (unsigned tries = 0, after = from; tries < MOST_TRIED; tries++) {
            uint32_t start = UINT32_MAX;
            const rl_charge_t* candidate = NULL;
            for (uint32_t i = 0; i < count; i++) {
                uint32_t at = rl_program_node(l->c->program, charges[i].ir)->start;
                if (at < after || at >= to || at >= start) continue;
                if (outside_unsafe && unsafe_region(l->c, at)) continue;
                if (!rl_effects_contain(l->c->program, rl_charge_effects(l, &charges[i]), tag)) continue;
                candidate = &charges[i];
                start = at;
            }
            if (!candidate) break;
            if (!best.charge) best.charge = candidate;
            rl_fn_id_t source = rl_latent_fn(l, candidate->source);
            if (!source || find_way(l, source, tag, fn, NULL)) {
                best.charge = candidate;
                break;
            }
            after = start + 1;
        }
        if (!best.charge) return first;
        first = best;
        rl_fn_id_t inner = inlined(l, best.charge);
        if (!inner) return first;
        fn = inner; /* all of it */
        from = 0;
        to = UINT32_MAX;
    }
    return first;
}

/* "f → g → println" */
static void add_path(rl_latent_t* l, rl_fn_id_t top, const blame_t* blame, uint32_t tag, rl_buf_t* out) {
    rl_checker_t* c = l->c;
    static const char arrow[] = " \xE2\x86\x92 ";
    add_function_name(c, top, out);
    rl_buf_add_cstr(out, arrow);
    rl_fn_id_t first = rl_latent_fn(l, blame->charge->source);
    way_t way = {{0}, *blame};
    if (first && find_way(l, first, tag, top, &way)) {
        while (way.functions.count) {
            rl_fn_id_t fn = rl_vec_pop(&way.functions);
            add_function_name(c, fn, out);
            if (way.functions.count || way.end.charge) rl_buf_add_cstr(out, arrow);
        }
    }
    if (way.end.charge) add_charge_name(c, way.end.fn, way.end.charge->ir, out);
    rl_vec_deinit(c->allocator, &way.functions);
}

/* --- reports ------------------------------------------------------------------------------------------------------ */

static const char* shown_set(rl_checker_t* c, rl_effects_t set) {
    rl_buf_t* buf = &c->texts[c->next_text++ & 3];
    rl_buf_clear(buf);
    rl_effects_print(c->program, set, buf);
    return rl_buf_cstr(buf);
}

static const char* shown_tag(rl_checker_t* c, uint32_t tag) {
    rl_buf_t* buf = &c->texts[c->next_text++ & 3];
    rl_buf_clear(buf);
    rl_tag_print(c->program, tag, buf);
    return rl_buf_cstr(buf);
}

static const char* shown_function(rl_checker_t* c, rl_fn_id_t fn) {
    rl_buf_t* buf = &c->texts[c->next_text++ & 3];
    rl_buf_clear(buf);
    add_function_name(c, fn, buf);
    return rl_buf_cstr(buf);
}

static void note_path(rl_latent_t* l, rl_diag_t* diag, rl_fn_id_t fn, const blame_t* blame, uint32_t tag) {
    rl_buf_t path;
    rl_buf_init(&path, l->c->allocator);
    add_path(l, fn, blame, tag, &path);
    rl_note_plain(l->c->diags, diag, "path: %s", rl_buf_cstr(&path));
    rl_buf_deinit(&path);
}

/* A function that code belongs to, for its reader: lambdas and parts count as the function around them. */
rl_fn_id_t rl_reader_function(rl_checker_t* c, rl_fn_id_t fn) {
    for (unsigned depth = 0; depth < 64; depth++) {
        const rl_function_t* function = rl_program_function(c->program, fn);
        if (!function->parent || (function->name && !(function->flags & (RL_FN_PART | RL_FN_ASYNC)))) break;
        fn = function->parent;
    }
    return fn;
}

/* @pure and @no_panic: one report for each forbidden effect, at the first expression that adds it. */
static void report_each(
    rl_latent_t* l, const rl_contract_t* contract, rl_fn_id_t fn, const rule_t* rule, rl_effects_t set) {
    rl_checker_t* c = l->c;
    bool pure = rule->code == RL_CODE_EFFECTS_PURITY_VIOLATED;
    bool block = !contract->fn;
    uint32_t from = block ? contract->span.start : 0, to = block ? contract->span.end : UINT32_MAX, at = 0, tag;
    while (rl_effects_next(c->program, set, &at, &tag) && !rl_diags_full(c)) {
        if (!forbids(c, rule, tag)) continue;
        blame_t blame = find_blame(l, fn, tag, from, to, pure);
        bool is_host = rl_program_function(c->program, fn)->kind == RL_FN_HOST;
        if (!blame.charge && !is_host) continue;
        bool active = pure && (contract->is_pattern ||
                                  (blame.charge && rl_program_node(c->program, blame.charge->ir)->op == RL_PAT_ACTIVE));
        rl_span_t span = blame.charge ? rl_span_of_ir(c, blame.charge->ir) : rl_program_function(c->program, fn)->span;
        const char* name = shown_function(c, rl_reader_function(c, fn));
        rl_diag_t* diag = rl_report(c->diags, active ? RL_CODE_PATTERN_ACTIVE_EFFECT_VIOLATION : rule->code, span,
            "@%s %s%s may not have the effect %s", rule->name, block ? "code in " : "", name, shown_tag(c, tag));
        rl_note_plain(c->diags, diag, "function: %s", shown_function(c, rl_reader_function(c, fn)));
        rl_note_plain(c->diags, diag, "effect: %s", shown_tag(c, tag));
        if (blame.charge) note_path(l, diag, rl_reader_function(c, fn), &blame, tag);
    }
}

/* One report for all that is too much. */
static void report_excess(
    rl_latent_t* l, const rl_contract_t* contract, rl_fn_id_t fn, const rule_t* rule, rl_effects_t set) {
    rl_checker_t* c = l->c;
    bool block = !contract->fn;
    uint32_t from = block ? contract->span.start : 0, to = block ? contract->span.end : UINT32_MAX, at = 0, tag;
    if (rl_diags_full(c)) return;
    rl_effects_t excess = forbidden(c, rule, set);
    blame_t first = {NULL, fn};
    uint32_t first_tag = 0, start = UINT32_MAX;
    while (rl_effects_next(c->program, excess, &at, &tag)) {
        blame_t blame = find_blame(l, fn, tag, from, to, false);
        if (!blame.charge || rl_program_node(c->program, blame.charge->ir)->start >= start) continue;
        first = blame;
        first_tag = tag;
        start = rl_program_node(c->program, blame.charge->ir)->start;
    }
    if (block && !first.charge) return; /* it is added elsewhere in the function */
    rl_span_t span = first.charge ? rl_span_of_ir(c, first.charge->ir) : rl_program_function(c->program, fn)->span;
    const char* name = shown_function(c, rl_reader_function(c, fn));
    rl_diag_t* diag =
        rl_report(c->diags, rule->code, span, "%s has effects beyond what is promised: %s", name, shown_set(c, excess));
    if (rule->kind == RULE_BOUND) rl_note_plain(c->diags, diag, "expected: %s", shown_set(c, rule->bound));
    else rl_note_plain(c->diags, diag, "expected: no %s", shown_tag(c, rule->tag));
    rl_note_plain(c->diags, diag, "actual: %s", shown_set(c, set));
    rl_note_plain(c->diags, diag, "excess: %s", shown_set(c, excess));
    if (first.charge) note_path(l, diag, rl_reader_function(c, fn), &first, first_tag);
    if (rule->written.end > rule->written.start) rl_note(c->diags, diag, rule->written, "promised here");
    rl_effects_t handled = rule->kind == RULE_HANDLED ? rl_effects_of_tag(c->program, rule->tag) : RL_EFFECTS_NONE;
    rl_attach_sets(c, diag, set, handled, excess);
}

/* --- reading contracts -------------------------------------------------------------------------------------------- */

/* An effect or tag as an attribute's argument: `io.async`, `Console`, "io". UINT32_MAX: no path. */
static uint32_t tag_of_argument(rl_checker_t* c, rl_node_t node, bool only_effects) {
    rl_buf_t text;
    rl_buf_init(&text, c->allocator);
    uint32_t tag = UINT32_MAX;
    if (rl_attribute_path(c, node, &text) && !rl_failed(c)) {
        rl_str_t whole = rl_buf_str(&text);
        size_t dot = whole.length;
        while (dot > 0 && whole.data[dot - 1] != '.') dot--;
        rl_sym_t last = rl_sym_intern(c->symbols, (rl_str_t){whole.data + dot, whole.length - dot});
        uint32_t item = 0;
        if (dot == 0) {
            item = rl_find_item(c, RL_SPACE_EFFECT, last);
        } else {
            rl_module_id_t module = rl_find_module_path(c, rl_sym_intern(c->symbols, (rl_str_t){whole.data, dot - 1}));
            if (module != UINT32_MAX && module) item = rl_find_in_module(c, module, RL_SPACE_EFFECT, last);
        }
        if (item && rl_program_item(c->program, item)->kind == RL_ITEM_EFFECT)
            tag = rl_tag_of_effect(rl_program_item(c->program, item)->id);
        else tag = rl_tag_named(c->program, whole);
        if (only_effects && tag >= RL_TAG_EXTENSION) tag = UINT32_MAX;
    }
    rl_buf_deinit(&text);
    return tag;
}

static bool is_refused_argument(rl_checker_t* c, rl_node_t node) {
    rl_buf_t text;
    rl_buf_init(&text, c->allocator);
    bool refused = rl_attribute_path(c, node, &text) && !rl_failed(c) &&
                   rl_is_refused_effect(c, rl_sym_intern(c->symbols, rl_buf_str(&text)));
    rl_buf_deinit(&text);
    return refused;
}

static void check_handles(rl_latent_t* l, const rl_contract_t* contract, rl_fn_id_t fn, rl_effects_t set, bool report) {
    rl_checker_t* c = l->c;
    rl_node_t attr = rl_attribute_find(c, contract->attrs, RL_ATTR_HANDLES);
    uint32_t count = rl_attribute_count(c, attr);
    for (uint32_t i = 0; i < count && report; i++) {
        rl_node_t arg = rl_attribute_at(c, attr, i);
        uint32_t tag = tag_of_argument(c, arg, true);
        if (tag == UINT32_MAX) {
            if (is_refused_argument(c, arg)) continue;
            rl_report(c->diags, RL_CODE_EFFECTS_HANDLES_UNDEFINED, rl_span_of(c, arg), "there is no such effect");
            continue;
        }
        rule_t rule = {.kind = RULE_HANDLED,
            .tag = tag,
            .code = RL_CODE_EFFECTS_CONTRACT_MISMATCH,
            .written = rl_span_of(c, attr)};
        if (rl_effects_contain(c->program, set, tag)) report_excess(l, contract, fn, &rule, set);
    }
}

static rl_effects_t exported_effects(rl_checker_t* c, rl_node_t attr) {
    rl_node_t list = rl_attribute_named(c, attr, "allows_effects");
    if (!list || rl_tree_kind(c->tree, list) != RL_NODE_LIST) return 0;
    rl_effects_t set = RL_EFFECTS_NONE;
    uint32_t count = rl_tree_list_count(c->tree, rl_tree_node(c->tree, list)->a);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t tag = tag_of_argument(c, rl_tree_list_at(c->tree, rl_tree_node(c->tree, list)->a, i), false);
        if (tag != UINT32_MAX) set = rl_effects_join(c->program, set, rl_effects_of_tag(c->program, tag));
    }
    return set;
}

/* Without `report`: is anything wrong? */
static bool apply(
    rl_latent_t* l, const rl_contract_t* contract, rl_fn_id_t fn, const rule_t* rule, rl_effects_t set, bool report) {
    if (forbidden(l->c, rule, set) <= RL_EFFECTS_NONE) return false;
    if (!report) return true;
    bool each = rule->code == RL_CODE_EFFECTS_PURITY_VIOLATED || rule->code == RL_CODE_EFFECTS_PANIC_VIOLATED;
    (each ? report_each : report_excess)(l, contract, fn, rule, set);
    return true;
}

static bool check_contract(rl_latent_t* l, const rl_contract_t* contract, bool report) {
    rl_checker_t* c = l->c;
    static const struct {
        rl_attribute_t attr;
        rule_t rule;
    } rules[] = {
        {RL_ATTR_PURE,
            {.kind = RULE_BOUND, .bound = RL_EFFECTS_NONE, .code = RL_CODE_EFFECTS_PURITY_VIOLATED, .name = "pure"}},
        {RL_ATTR_NO_PANIC,
            {.kind = RULE_NO, .tag = RL_TAG_PANIC, .code = RL_CODE_EFFECTS_PANIC_VIOLATED, .name = "no_panic"}},
        {RL_ATTR_ASYNC_FREE, {.kind = RULE_NO, .tag = RL_TAG_IO_ASYNC, .code = RL_CODE_EFFECTS_CONTRACT_MISMATCH}},
        {RL_ATTR_NO_BLOCKING, {.kind = RULE_NO, .tag = RL_TAG_IO_BLOCKING, .code = RL_CODE_EFFECTS_CONTRACT_MISMATCH}},
        {RL_ATTR_NO_TIMER, {.kind = RULE_NO, .tag = RL_TAG_IO_TIMER, .code = RL_CODE_EFFECTS_CONTRACT_MISMATCH}},
    };
    bool block = !contract->fn, wrong = false;
    rl_fn_id_t fn = block ? c->frames.data[rl_frame_resolve(c, contract->frame)].fn : contract->fn;
    if (!fn || !(rl_function_at(c, fn)->body || rl_function_at(c, fn)->kind == RL_FN_HOST)) return false;
    rl_effects_t set = rl_function_at(c, fn)->effects;
    for (size_t i = 0; i < RL_COUNT_OF(rules); i++) {
        if (!(contract->demands >> rules[i].attr & 1)) continue;
        rule_t rule = rules[i].rule;
        rule.written = rl_span_of(c, rl_attribute_find(c, contract->attrs, rules[i].attr));
        wrong |= apply(l, contract, fn, &rule, set, report);
    }
    if (contract->demands >> RL_ATTR_HANDLES & 1) {
        check_handles(l, contract, fn, set, report);
        wrong = true;
    }
    rl_node_t export =
        contract->demands >> RL_ATTR_DSL_EXPORT & 1 ? rl_attribute_find(c, contract->attrs, RL_ATTR_DSL_EXPORT) : 0;
    rl_effects_t allowed = export ? exported_effects(c, export) : 0;
    if (allowed) {
        rule_t rule = {.kind = RULE_BOUND, .bound = allowed, .code = RL_CODE_E1303, .written = rl_span_of(c, export)};
        wrong |= apply(l, contract, fn, &rule, set, report);
    }
    if (contract->effects && rl_function_at(c, fn)->body) {
        rule_t rule = {.kind = RULE_BOUND,
            .bound = rl_function_at(c, fn)->declared,
            .code = RL_CODE_EFFECTS_CONTRACT_MISMATCH,
            .written = rl_span_of(c, contract->effects)};
        wrong |= apply(l, contract, fn, &rule, set, report);
    }
    return wrong;
}

/* Functions of impls keep to the set written in the trait. */
static bool check_impls(rl_latent_t* l, bool report) {
    rl_checker_t* c = l->c;
    const rl_program_t* program = c->program;
    bool wrong = false;
    for (uint32_t i = program->impls.count; i-- > 0 && program->impls.data[i].module == c->module;) {
        const rl_impl_t* impl = &program->impls.data[i];
        const rl_trait_t* trait = rl_program_trait(program, impl->trait);
        for (uint32_t k = 0; k < trait->method_count; k++) {
            rl_fn_id_t method = *rl_program_extra(program, trait->method_first + k);
            rl_fn_id_t fn = *rl_program_extra(program, impl->method_first + k);
            rl_effects_t bound = rl_program_function(program, method)->declared;
            const rl_function_t* own = fn && bound ? rl_function_at(c, fn) : NULL;
            if (!own || !own->body) continue;
            rule_t rule = {.kind = RULE_BOUND, .bound = bound, .code = RL_CODE_EFFECTS_CONTRACT_MISMATCH};
            rl_contract_t contract = {.fn = fn};
            if (rl_program_function(program, method)->module == c->module)
                rule.written = rl_program_function(program, method)->span;
            wrong |= apply(l, &contract, fn, &rule, own->effects, report);
        }
    }
    return wrong;
}

/* --- function types with a written set ---------------------------------------------------------------------------- */

/* As deep as types nest. */
static rl_effects_t flow_excess(
    rl_checker_t* c, rl_flow_t flow, rl_type_t type, rl_type_t* out_type, rl_effects_t* out_set) {
    while (flow) {
        const rl_type_node_t node = *rl_type_node(c->types, type);
        if (node.kind != RL_TYPE_FUNCTION) break;
        rl_flow_entry_t entry = rl_flow_at(c->program, flow);
        rl_effects_t excess = node.a ? rl_effects_excess(c->program, entry.effects, node.a) : RL_EFFECTS_NONE;
        *out_type = type;
        *out_set = entry.effects;
        if (excess > RL_EFFECTS_NONE) return excess;
        flow = entry.result;
        type = rl_type_args(c->types, type)[node.count - 1];
    }
    return RL_EFFECTS_NONE;
}

static void check_slots(rl_latent_t* l) {
    rl_checker_t* c = l->c;
    for (uint32_t i = 0; i < l->slots.count && !rl_failed(c); i++) {
        const rl_slot_t slot = l->slots.data[i];
        rl_type_t type;
        rl_effects_t set, excess = flow_excess(c, rl_latent_flow(l, slot.source), slot.type, &type, &set);
        if (excess <= RL_EFFECTS_NONE) continue;
        rl_diag_t* diag = rl_report(c->diags, RL_CODE_EFFECTS_CONTRACT_MISMATCH, rl_span_of_ir(c, slot.ir),
            "this function has effects beyond those of its type: %s", shown_set(c, excess));
        rl_note_plain(c->diags, diag, "expected: %s", shown_set(c, rl_type_node(c->types, type)->a));
        rl_note_plain(c->diags, diag, "actual: %s", shown_set(c, set));
        rl_note_plain(c->diags, diag, "excess: %s", shown_set(c, excess));
    }
}

/* --- entries ------------------------------------------------------------------------------------------------------ */

static bool check_entry(rl_latent_t* l, rl_fn_id_t fn, bool report) {
    rl_checker_t* c = l->c;
    const rule_t rule = {.kind = RULE_ROOT, .code = RL_CODE_EFFECTS_UNHANDLED_AT_ENTRY};
    if (!fn) return false;
    rl_effects_t set = rl_function_at(c, fn)->effects, open = forbidden(c, &rule, set);
    if (open <= RL_EFFECTS_NONE) return false;
    uint32_t at = 0, tag;
    while (report && rl_effects_next(c->program, open, &at, &tag)) {
        blame_t blame = find_blame(l, fn, tag, 0, UINT32_MAX, false);
        bool init = rl_function_at(c, fn)->flags & RL_FN_INIT;
        rl_span_t span = init && blame.charge ? rl_span_of_ir(c, blame.charge->ir) : rl_function_at(c, fn)->span;
        rl_diag_t* diag = rl_report(c->diags, rule.code, span, "nothing handles the effect %s", shown_tag(c, tag));
        rl_note_plain(c->diags, diag, "effect: %s", shown_tag(c, tag));
        if (blame.charge) note_path(l, diag, fn, &blame, tag);
    }
    return true;
}

/* `main`, run by name, and the initialisation, which every run begins with. */
static rl_fn_id_t main_function(rl_checker_t* c) {
    rl_sym_t name = rl_sym_find(c->symbols, RL_STR("main"));
    uint32_t item = name ? rl_program_find(c->program, c->module, 1, name) : 0;
    const rl_item_t* entry = rl_program_item(c->program, item);
    if (!item || entry->kind != RL_ITEM_FUNCTION || !rl_function_at(c, entry->id)) return 0;
    return rl_function_at(c, entry->id)->kind == RL_FN_REML ? entry->id : 0;
}

/* --- unsafe ------------------------------------------------------------------------------------------------------- */

/* Does the unsafe block, or a block around it in the same function, register a `defer`? */
static bool is_released(const rl_checker_t* c, rl_span_t inside) {
    rl_span_t function = {0, UINT32_MAX};
    for (rl_node_t at = 1; at < c->tree->nodes.count; at++) {
        const rl_node_data_t* data = rl_tree_node(c->tree, at);
        bool is_function = data->kind == RL_NODE_FN || data->kind == RL_NODE_LAMBDA || data->kind == RL_NODE_ACTIVE ||
                           data->kind == RL_NODE_ASYNC || data->kind == RL_NODE_OP_CLAUSE;
        if (!is_function || data->start > inside.start || data->end < inside.end) continue;
        if (data->start >= function.start) function = (rl_span_t){data->start, data->end};
    }
    for (rl_node_t at = 1; at < c->tree->nodes.count; at++) {
        const rl_node_data_t* data = rl_tree_node(c->tree, at);
        bool own = data->start >= inside.start && data->end <= inside.end; /* the block of `unsafe` itself */
        bool around = data->start <= inside.start && data->end >= inside.end;
        if (data->kind != RL_NODE_BLOCK || data->start < function.start || data->end > function.end) continue;
        if (own ? data->end != inside.end : !around) continue;
        uint32_t count;
        const uint32_t* statements = rl_tree_list(c->tree, data->a, &count);
        for (uint32_t i = 0; i < count; i++) {
            if (rl_tree_kind(c->tree, statements[i]) == RL_NODE_DEFER) return true;
        }
    }
    return false;
}

static void check_foreign(rl_latent_t* l) {
    rl_checker_t* c = l->c;
    for (uint32_t i = 0; i < l->foreign.count && !rl_failed(c); i++) {
        rl_ir_t ir = l->foreign.data[i];
        const rl_ir_node_t node = *rl_program_node(c->program, ir);
        uint32_t flags = rl_program_function(c->program, node.a)->flags, region = unsafe_region(c, node.start);
        if (!region && flags & RL_FN_FOREIGN) {
            rl_report(c->diags, RL_CODE_EFFECTS_UNSAFE_REQUIRED, rl_span_of_ir(c, ir),
                "%s is declared with extern \"C\": it can be used inside `unsafe` only", shown_function(c, node.a));
        }
        for (uint32_t at = flags & RL_FN_FOREIGN ? region : 0; at; at = c->regions.data[at - 1].around)
            c->regions.data[at - 1].bits |= RL_REGION_USED;
        if (!region || !(flags & RL_FN_TRANSFERS)) continue;
        rl_span_t span = c->regions.data[region - 1].span;
        if (!is_released(c, span)) {
            rl_diag_t* diag = rl_report(c->diags, RL_CODE_EFFECTS_UNSAFE_RELEASE_MISSING, span,
                "this block takes over what %s answers, and no `defer` releases it", shown_function(c, node.a));
            rl_note(c->diags, diag, rl_span_of_ir(c, ir), "taken over here");
        }
    }
}

static void check_unsafe(rl_latent_t* l) {
    rl_checker_t* c = l->c;
    for (uint32_t i = 0; i < c->regions.count && !rl_failed(c); i++) {
        rl_region_t* region = &c->regions.data[i];
        if (!(region->bits & RL_REGION_UNSAFE)) continue;
        uint32_t outer = region->around;
        bool pure = false;
        for (; outer; outer = c->regions.data[outer - 1].around)
            pure |= c->regions.data[outer - 1].bits >> RL_ATTR_PURE & 1;
        if (pure) {
            rl_diag_t* diag =
                rl_report(c->diags, RL_CODE_EFFECTS_PURITY_VIOLATED, region->span, "@pure code has no unsafe blocks");
            rl_note_plain(c->diags, diag, "function: %s",
                shown_function(c, rl_reader_function(c, c->frames.data[rl_frame_resolve(c, region->frame)].fn)));
            rl_note_plain(c->diags, diag, "effect: unsafe");
        }
        if (!(region->bits & RL_REGION_USED))
            rl_report(c->diags, RL_CODE_EFFECTS_UNSAFE_UNUSED, region->span, "nothing in this block needs `unsafe`");
    }
}

/* --- what the host guards ---------------------------------------------------------------------------------------- */

static void list_guarded_uses(rl_checker_t* c) {
    const rl_check_input_t* input = c->input;
    const rl_program_t* program = c->program;
    for (uint32_t i = c->first_node; (input->guarded || input->reached) && i < program->nodes.count && !rl_failed(c);
        i++) {
        const rl_ir_node_t node = program->nodes.data[i];
        if (node.op != RL_IR_CALL && node.op != RL_IR_CLOSURE) continue;
        uint8_t kind = rl_program_function(c->program, node.a)->kind;
        if (kind != RL_FN_HOST && kind != RL_FN_OPERATION) continue;
        rl_guarded_use_t use = {.function = node.a, .span = rl_span_of_ir(c, program->first_node + i)};
        if (input->reached) (void)rl_vec_push(c->allocator, input->reached, use);
        if (input->guarded && input->guarded(input->host, node.a)) (void)rl_vec_push(c->allocator, input->uses, use);
    }
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

void rl_check_effects(rl_checker_t* c) {
    rl_latent_t latent = {.c = c, .first_local = c->first_local};
    rl_latent_t* l = &latent;
    rl_latent_find(l);
    if ((c->applied.count || c->staged.count || c->program->has_stages) && !rl_failed(c)) rl_check_stages(c);
    if (!c->input->is_prelude && !rl_failed(c)) {
        rl_fn_id_t main = main_function(c), init = rl_program_module(c->program, c->module)->init;
        bool wrong = check_entry(l, main, false) || check_entry(l, init, false) || check_impls(l, false);
        for (uint32_t i = 0; i < c->contracts.count && !wrong; i++)
            wrong = check_contract(l, &c->contracts.data[i], false);
        check_slots(l);
        check_foreign(l);
        check_unsafe(l);
        list_guarded_uses(c);
        if (wrong && !rl_failed(c)) {
            rl_latent_explain(l);
            for (uint32_t i = 0; i < c->contracts.count && !rl_failed(c); i++)
                (void)check_contract(l, &c->contracts.data[i], true);
            (void)check_impls(l, true);
            (void)check_entry(l, main, true);
            (void)check_entry(l, init, true);
        }
    }
    rl_latent_deinit(l);
}
