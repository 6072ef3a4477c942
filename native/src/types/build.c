/* Small makers and readers that every file of the checker uses: IR nodes, strings, types, reports. */
#include "types/infer.h"

#include "base/edit.h"

uint32_t* rl_words_more(rl_checker_t* c, uint32_t count) {
    enum { ROOM = 2000 };
    uint32_t room = count > ROOM ? count : ROOM;
    rl_words_block_t* block = rl_alloc(c->allocator, sizeof *block + (size_t)room * sizeof(uint32_t));
    if (!block) return NULL;
    *block = (rl_words_block_t){.older = c->words, .used = count, .room = room};
    c->words = block;
    return block->words;
}

void rl_words_drop(rl_checker_t* c, rl_words_block_t* until) {
    /* The first block stays: it is wanted again at once. */
    while (c->words && c->words != until && (until || c->words->older)) {
        rl_words_block_t* block = c->words;
        c->words = block->older;
        rl_free(c->allocator, block, sizeof *block + (size_t)block->room * sizeof(uint32_t));
    }
    if (!until && c->words) c->words->used = 0;
}

rl_ir_t rl_ir_make(
    rl_checker_t* c, unsigned op, rl_type_t type, uint32_t start, uint32_t a, uint32_t b, uint32_t word_c) {
    rl_program_t* program = c->program;
    rl_ir_t id = program->first_node + program->nodes.count;
    rl_ir_node_t node = {(uint16_t)op, 0, type, start, a, b, word_c};
    if (!rl_vec_push(c->allocator, &program->nodes, node)) return c->spare_node;
    return id;
}

rl_ir_t rl_ir_error(rl_checker_t* c, uint32_t start) {
    return rl_ir_make(c, RL_IR_UNIT, RL_TYPE_ERROR, start, 0, 0, 0);
}
rl_ir_t rl_ir_unit(rl_checker_t* c, uint32_t start) { return rl_ir_make(c, RL_IR_UNIT, RL_TYPE_UNIT, start, 0, 0, 0); }

rl_ir_t rl_ir_int(rl_checker_t* c, rl_type_t type, uint32_t start, uint64_t value) {
    return rl_ir_make(c, RL_IR_INT, type, start, (uint32_t)value, (uint32_t)(value >> 32), 0);
}

uint32_t rl_string_id(rl_checker_t* c, rl_str_t text) {
    rl_program_t* program = c->program;
    rl_str_t copy = rl_arena_copy(&program->arena, text);
    uint32_t id = program->first_string + program->strings.count;
    return rl_vec_push(c->allocator, &program->strings, copy) ? id : 0;
}

rl_ir_t rl_ir_string(rl_checker_t* c, uint32_t start, rl_str_t text) {
    return rl_ir_make(c, RL_IR_STRING, RL_TYPE_STR, start, rl_string_id(c, text), 0, 0);
}

/* `words` may lie in the scratch stack, never in program.extra. */
uint32_t rl_extra_put(rl_checker_t* c, const uint32_t* words, uint32_t count) {
    rl_program_t* program = c->program;
    if (count == 0 || !rl_vec_reserve(c->allocator, &program->extra, count)) return 0;
    uint32_t offset = program->first_extra + program->extra.count;
    if (words) memcpy(program->extra.data + program->extra.count, words, (size_t)count * sizeof *words);
    else memset(program->extra.data + program->extra.count, 0, (size_t)count * sizeof *words);
    program->extra.count += count;
    return offset;
}

uint32_t rl_extra_counted(rl_checker_t* c, const uint32_t* words, uint32_t count) {
    rl_program_t* program = c->program;
    if (!rl_vec_reserve(c->allocator, &program->extra, count + 1)) return 0;
    uint32_t offset = program->first_extra + program->extra.count;
    program->extra.data[program->extra.count] = count;
    if (count) memcpy(program->extra.data + program->extra.count + 1, words, (size_t)count * sizeof *words);
    program->extra.count += count + 1;
    return offset;
}

rl_ir_t rl_ir_call(rl_checker_t* c, rl_type_t type, uint32_t start, rl_fn_id_t fn, uint32_t type_args,
    const rl_ir_t* args, uint32_t count) {
    return rl_ir_make(c, RL_IR_CALL, type, start, fn, type_args, rl_extra_counted(c, args, count));
}

rl_ir_t rl_ir_block(
    rl_checker_t* c, rl_type_t type, uint32_t start, const rl_ir_t* nodes, uint32_t count, uint16_t flags) {
    rl_ir_t block = rl_ir_make(c, RL_IR_BLOCK, type, start, rl_extra_put(c, nodes, count), count, 0);
    rl_node_at(c, block)->flags = flags;
    return block;
}

rl_type_t rl_fresh(rl_checker_t* c, rl_span_t span) {
    return rl_solver_fresh(&c->solver, RL_VAR_FREE, RL_FROM_OTHER, span);
}

/* An open literal shows the type it has when nothing else is said of it. */
static rl_type_t shown(rl_checker_t* c, rl_type_t type) {
    type = rl_solver_zonk(&c->solver, type);
    if (!(rl_type_node(c->types, type)->flags & RL_TYPE_HAS_VAR)) return type;
    rl_type_list_t vars = {{0}};
    (void)rl_solver_open_vars(&c->solver, type, &vars);
    uint32_t mark = rl_solver_mark(&c->solver);
    for (uint32_t i = 0; i < vars.items.count; i++) {
        const rl_var_t* var = rl_solver_var(&c->solver, vars.items.data[i]);
        if (!var || var->klass == RL_VAR_FREE) continue;
        (void)rl_solver_bind(&c->solver, vars.items.data[i], var->klass == RL_VAR_FLOAT ? RL_TYPE_F64 : RL_TYPE_I64);
    }
    type = rl_solver_zonk(&c->solver, type);
    rl_solver_rollback(&c->solver, mark);
    rl_vec_deinit(c->allocator, &vars.items);
    return type;
}

const char* rl_show(rl_checker_t* c, rl_type_t type) {
    rl_buf_t* buf = &c->texts[c->next_text++ & 3];
    rl_buf_clear(buf);
    rl_type_print(c->program, shown(c, type), buf);
    return rl_buf_cstr(buf);
}

bool rl_is_var(rl_checker_t* c, rl_type_t type) { return rl_head_kind(c, type) == RL_TYPE_VAR; }

rl_var_t* rl_var_of(rl_checker_t* c, rl_type_t type) {
    rl_type_t head = rl_head(c, type);
    const rl_type_node_t* node = rl_type_node(c->types, head);
    return node->kind == RL_TYPE_VAR ? &c->solver.vars.data[node->a] : NULL;
}

rl_typedef_id_t rl_named_id(rl_checker_t* c, rl_type_t type) {
    const rl_type_node_t* node = rl_type_node(c->types, rl_head(c, type));
    return node->kind == RL_TYPE_NAMED ? node->a : 0;
}

bool rl_is_named(rl_checker_t* c, rl_type_t type, rl_typedef_id_t id, rl_type_t* out_first, rl_type_t* out_second) {
    rl_type_t head = rl_head(c, type);
    const rl_type_node_t* node = rl_type_node(c->types, head);
    if (id == 0 || node->kind != RL_TYPE_NAMED || node->a != id) return false;
    const uint32_t* args = rl_type_args(c->types, head);
    if (out_first) *out_first = node->count > 0 ? args[0] : RL_TYPE_ERROR;
    if (out_second) *out_second = node->count > 1 ? args[1] : RL_TYPE_ERROR;
    return true;
}

rl_type_t rl_named1(rl_checker_t* c, rl_typedef_id_t id, rl_type_t a) { return rl_type_named(c->types, id, &a, 1); }
rl_type_t rl_named2(rl_checker_t* c, rl_typedef_id_t id, rl_type_t a, rl_type_t b) {
    rl_type_t args[2] = {a, b};
    return rl_type_named(c->types, id, args, 2);
}

uint32_t rl_arg_count_of(rl_checker_t* c, rl_type_t function_type) {
    return rl_type_node(c->types, function_type)->count - 1u;
}

void rl_unsupported(rl_checker_t* c, rl_span_t span, const char* what) {
    c->saw_unsupported = true;
    rl_report(c->diags, RL_CODE_LANGUAGE_UNSUPPORTED, span, "%s not supported by this runtime yet", what);
}

bool rl_check_sizes(rl_checker_t* c) {
    bool fine = true;
    if (c->tree->longest <= RL_MOST_PARTS) return true;
    for (rl_node_t node = 1; node < c->tree->nodes.count; node++) {
        const rl_node_data_t* data = rl_tree_node(c->tree, node);
        rl_list_t list;
        switch (data->kind) {
        case RL_NODE_TUPLE:
        case RL_NODE_LAMBDA:
        case RL_NODE_PAT_TUPLE:
        case RL_NODE_PAT_RECORD:
        case RL_NODE_TYPE_TUPLE:
        case RL_NODE_TYPE_FN:
        case RL_NODE_TYPE_RECORD: list = data->a; break;
        case RL_NODE_RECORD:
        case RL_NODE_CALL:
        case RL_NODE_PAT_CTOR:
        case RL_NODE_VARIANT:
        case RL_NODE_TYPE_PATH: list = data->b; break;
        case RL_NODE_FN: list = rl_tree_fn(c->tree, node).params; break;
        case RL_NODE_TYPE_DECL: list = rl_tree_type_decl(c->tree, node).generics; break;
        default: continue;
        }
        if (rl_tree_list_count(c->tree, list) <= RL_MOST_PARTS) continue;
        rl_report(c->diags, RL_CODE_PARSER_LIMIT_EXCEEDED, rl_span_of(c, node), "more than %d parts", RL_MOST_PARTS);
        fine = false;
    }
    return fine;
}

void rl_report_mismatch(rl_checker_t* c, rl_code_t code, rl_span_t span, rl_type_t expected, rl_type_t found) {
    rl_diag_t* diag = rl_report(c->diags, code, span, "expected %s, found %s", rl_show(c, expected), rl_show(c, found));
    rl_note_plain(c->diags, diag, "expected: %s", rl_show(c, expected));
    rl_note_plain(c->diags, diag, "found: %s", rl_show(c, found));
}

/* What a set of constraints is called in a report, the first of it. */
static const char* constraint_name(uint32_t kinds) {
    if (kinds & RL_CON_EQ) return "==";
    if (kinds & RL_CON_ORD) return "<";
    if (kinds & RL_CON_ADD) return "+";
    if (kinds & RL_CON_SUB) return "-";
    if (kinds & RL_CON_MUL) return "*";
    if (kinds & RL_CON_DIV) return "/";
    if (kinds & RL_CON_REM) return "%";
    if (kinds & RL_CON_POW) return "^";
    if (kinds & RL_CON_NEG) return "unary -";
    if (kinds & RL_CON_HASH) return "hashing";
    return "a number";
}

static void report_constraint(rl_checker_t* c, rl_span_t span, rl_type_t expected, rl_type_t found, rl_code_t why) {
    uint32_t kinds = c->solver.failed_constraint;
    rl_type_t type = c->solver.failed_type;
    if (kinds & RL_CON_FIELD) {
        rl_type_kind_t kind = rl_head_kind(c, type);
        if (kind == RL_TYPE_ANY) {
            rl_report(c->diags, RL_CODE_TYPE_ANY_MEMBER, span, "a value of type Any has no members");
            return;
        }
        rl_str_t field = rl_text(c, c->solver.failed_field);
        rl_code_t code = rl_cfg_code(c, c->solver.failed_field, true, RL_CODE_TYPE_RECORD_ACCESS_UNKNOWN_FIELD);
        rl_diag_t* diag = rl_report(c->diags, code, span, "%s has no field %.*s", rl_show(c, type), RL_STR_ARG(field));
        rl_note_plain(c->diags, diag, "%.*s was used as a member of a value of unknown type: an annotation would help",
            RL_STR_ARG(field));
    } else if (kinds & (RL_CON_INTEGER_LITERAL | RL_CON_FLOAT_LITERAL)) {
        rl_report_mismatch(c, why, span, expected, found);
    } else if (kinds & RL_CON_ORD) { /* Ord includes Eq */
        rl_report(c->diags, RL_CODE_TYPE_ORD_UNSUPPORTED, span, "values of type %s have no order", rl_show(c, type));
    } else if (kinds & (RL_CON_EQ | RL_CON_HASH)) {
        rl_report(c->diags, RL_CODE_TYPE_EQ_UNSUPPORTED, span, "values of type %s cannot be compared for equality",
            rl_show(c, type));
    } else if (rl_head_kind(c, type) == RL_TYPE_PARAM) {
        rl_report(c->diags, RL_CODE_TYPECLASS_CONSTRAINT_UNRESOLVED, span, "%s is not known to have operator %s",
            rl_show(c, type), constraint_name(kinds));
    } else {
        rl_report(c->diags, RL_CODE_TYPE_OPERATOR_UNSUPPORTED, span, "%s has no operator %s", rl_show(c, type),
            constraint_name(kinds));
    }
}

void rl_report_constraint(rl_checker_t* c, rl_type_t type, rl_span_t span) {
    if (c->solver.failed_constraint & RL_OPERATOR_KINDS && rl_head_kind(c, c->solver.failed_type) != RL_TYPE_PARAM) {
        rl_type_t found = c->solver.failed_type;
        uint32_t index = 0;
        while (!(c->solver.failed_constraint >> index & 1)) index++;
        rl_trait_id_t trait = c->program->known.operators[index];
        rl_str_t name = trait ? rl_text(c, rl_program_trait(c->program, trait)->name) : RL_STR("the operator's trait");
        rl_diag_t* diag = rl_report(c->diags, RL_CODE_TYPECLASS_CONSTRAINT_UNRESOLVED, span,
            "%s does not implement %.*s", rl_show(c, found), RL_STR_ARG(name));
        rl_note_plain(c->diags, diag, "needed: impl %.*s for %s", RL_STR_ARG(name), rl_show(c, found));
        return;
    }
    report_constraint(c, span, type, type, RL_CODE_TYPE_MISMATCH);
}

/* What was asked of it has been said: nothing more is reported of this variable, nor of the types of fields it needs. */
static void forget_needs(rl_checker_t* c, rl_type_t type) {
    if (!rl_var_of(c, type) || rl_failed(c)) return;
    rl_type_list_t vars = {{0}};
    (void)rl_solver_open_vars(&c->solver, type, &vars);
    for (uint32_t i = 0; i < vars.items.count; i++) {
        const rl_var_t* var = rl_solver_var(&c->solver, vars.items.data[i]);
        if (var && (i == 0 || var->needs)) (void)rl_solver_bind(&c->solver, vars.items.data[i], RL_TYPE_ERROR);
    }
    rl_vec_deinit(c->allocator, &vars.items);
}

void rl_report_unify(
    rl_checker_t* c, rl_unify_result_t result, rl_type_t expected, rl_type_t found, rl_span_t span, rl_code_t why) {
    switch (result) {
    case RL_UNIFY_OK: break;
    case RL_UNIFY_MISMATCH: rl_report_mismatch(c, why, span, expected, found); break;
    case RL_UNIFY_INFINITE: {
        rl_diag_t* diag = rl_report(c->diags, RL_CODE_TYPE_INFINITE, span, "the type would contain itself: %s = %s",
            rl_show(c, expected), rl_show(c, found));
        rl_note_plain(c->diags, diag, "expected: %s", rl_show(c, expected));
        break;
    }
    case RL_UNIFY_CONSTRAINT:
        /* two types that had to become one: a constraint of what is used here */
        if (expected != found && c->solver.failed_constraint & RL_OPERATOR_KINDS)
            rl_report_constraint(c, expected, span);
        else report_constraint(c, span, expected, found, why);
        break;
    }
    if (result != RL_UNIFY_OK) forget_needs(c, expected);
}

bool rl_unify_at(rl_checker_t* c, rl_type_t expected, rl_type_t found, rl_span_t span, rl_code_t why) {
    rl_note_constraint(c, RL_REASON_PLACE, found, expected);
    rl_unify_result_t result = rl_unify(&c->solver, expected, found);
    if (result == RL_UNIFY_OK) return true;
    rl_report_unify(c, result, expected, found, span, why);
    return false;
}

bool rl_require(rl_checker_t* c, rl_type_t type, uint32_t kinds, rl_span_t span) {
    if (RL_UNLIKELY(c->telemetry != NULL)) rl_note_operations_now(c, type, kinds);
    rl_unify_result_t result = rl_solver_require(&c->solver, type, kinds, span);
    if (result == RL_UNIFY_OK) return true;
    rl_report_unify(c, result, type, type, span, RL_CODE_TYPE_MISMATCH);
    return false;
}

void rl_nearest_offer(rl_checker_t* c, rl_nearest_t* nearest, rl_sym_t name) {
    if (nearest->best == 0) nearest->distance = 3;
    rl_str_t text = rl_text(c, name);
    if (name == 0 || text.length == 0 || nearest->wrong.length == 0) return;
    unsigned distance = rl_edit_distance(nearest->wrong, text);
    /* One letter names are at distance 1 of each other: a hint must share something with what was written. */
    if (distance > 0 && distance < nearest->distance && distance < nearest->wrong.length) {
        nearest->best = name;
        nearest->distance = distance;
    }
}

void rl_fix_nearest(rl_checker_t* c, rl_diag_t* diag, const rl_nearest_t* nearest, rl_span_t span) {
    if (!nearest->best) return;
    rl_str_t text = rl_text(c, nearest->best);
    rl_note_plain(c->diags, diag, "did you mean `%.*s`?", RL_STR_ARG(text));
    rl_fix(c->diags, diag, RL_FIX_REPLACE, span, "%.*s", RL_STR_ARG(text));
}

/* A nest of n levels takes at least n bytes of source on either side. */
bool rl_nests_deep(rl_checker_t* c, rl_node_t node) {
    rl_span_t span = rl_span_of(c, node);
    return span.end - span.start > 400;
}
