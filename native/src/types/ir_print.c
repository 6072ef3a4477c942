#include "types/program.h"

/*
 * One line for each node, its operands below it, two blanks deeper. Expressions nest as deep as a source's operator
 * chains are long, so they are walked with an explicit stack; patterns nest no deeper than the parser's limit and
 * stop at PATTERN_DEPTH.
 */
#define INDENT_MOST   64u /* deeper lines are not moved further right */
#define PATTERN_DEPTH 200u

enum { STEP_NODE, STEP_LABEL, STEP_ARM, STEP_FIELD, STEP_SPEC };
typedef struct step {
    uint32_t kind, indent;
    uint32_t id; /* node, pattern, symbol or string */
    const char* label;
} step_t;

typedef struct printer {
    const rl_program_t* program;
    const rl_function_t* function;
    rl_buf_t* out;
    RL_VEC(step_t) steps;
} printer_t;

static void add_name(printer_t* p, rl_sym_t name) {
    rl_buf_add(p->out, name ? rl_sym_text(&p->program->symbols, name) : RL_STR("_"));
}

static void add_local(printer_t* p, uint32_t local) {
    add_name(
        p, local < p->function->local_count ? rl_program_local(p->program, p->function->local_first + local)->name : 0);
    rl_buf_printf(p->out, "#%u", (unsigned)local);
}

static void add_quoted(rl_buf_t* out, rl_str_t text, bool bytes) {
    rl_buf_add(out, bytes ? RL_STR("b\"") : RL_STR("\""));
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\') rl_buf_printf(out, "\\%c", c);
        else if (c == '\n') rl_buf_add(out, RL_STR("\\n"));
        else if (c == '\t') rl_buf_add(out, RL_STR("\\t"));
        else if (c < 0x20 || c == 0x7F || (bytes && c >= 0x80)) rl_buf_printf(out, "\\x%02X", c);
        else rl_buf_add_char(out, (char)c);
    }
    rl_buf_add_char(out, '"');
}

static void add_integer(printer_t* p, const rl_ir_node_t* node) {
    uint64_t value = (uint64_t)node->b << 32 | node->a;
    if (node->type == RL_TYPE_BOOL) rl_buf_add_cstr(p->out, value ? "true" : "false");
    else if (node->type >= RL_TYPE_U8 && node->type <= RL_TYPE_U64) rl_buf_add_u64(p->out, value);
    else if (node->type == RL_TYPE_CHAR) rl_buf_printf(p->out, "U+%04X", (unsigned)value);
    else rl_buf_add_i64(p->out, (int64_t)value);
}

static void add_float(printer_t* p, const rl_ir_node_t* node) {
    uint64_t bits = (uint64_t)node->b << 32 | node->a;
    double value;
    memcpy(&value, &bits, sizeof value);
    rl_buf_add_f64(p->out, value);
}

static void add_function(printer_t* p, rl_fn_id_t id) {
    const rl_function_t* f = rl_program_function(p->program, id);
    if (f->owner) {
        add_name(p, rl_program_typedef(p->program, f->owner)->name);
        rl_buf_add_char(p->out, '.');
    } else if (f->trait) {
        add_name(p, rl_program_trait(p->program, f->trait)->name);
        rl_buf_add_char(p->out, '.');
    }
    if (f->name) rl_buf_add(p->out, rl_sym_text(&p->program->symbols, f->name));
    else rl_buf_printf(p->out, "%s%u", f->flags & RL_FN_LAMBDA ? "lambda@" : "fn@", (unsigned)id);
}

static void add_type_arguments(printer_t* p, rl_fn_id_t callee, uint32_t offset) {
    uint32_t count = rl_program_function(p->program, callee)->type_params;
    for (uint32_t i = 0; i < count; i++) {
        rl_buf_add(p->out, i ? RL_STR(", ") : RL_STR("<"));
        rl_type_print(p->program, rl_program_extra(p->program, offset)[i], p->out);
    }
    if (count) rl_buf_add_char(p->out, '>');
}

static void add_variant(printer_t* p, uint32_t type, uint32_t tag) {
    const rl_type_node_t* node = rl_type_node(&p->program->types, type);
    const rl_typedef_t* def = rl_program_typedef(p->program, node->kind == RL_TYPE_NAMED ? node->a : 0);
    if (tag < def->variant_count) add_name(p, rl_program_variant(p->program, def->variant_first + tag)->name);
    else rl_buf_printf(p->out, "tag %u", (unsigned)tag);
}

static void add_constant(printer_t* p, rl_ir_t id) {
    const rl_ir_node_t* node = rl_program_node(p->program, id);
    switch (node->op) {
    case RL_IR_UNIT: rl_buf_add(p->out, RL_STR("()")); break;
    case RL_IR_INT: add_integer(p, node); break;
    case RL_IR_FLOAT: add_float(p, node); break;
    case RL_IR_STRING: add_quoted(p->out, rl_program_string(p->program, node->a), false); break;
    case RL_IR_BYTES: add_quoted(p->out, rl_program_string(p->program, node->a), true); break;
    default: rl_buf_add_cstr(p->out, rl_ir_op_name(node->op)); break;
    }
}

static void add_pattern(printer_t* p, rl_ir_t id, unsigned depth);

static void add_patterns(printer_t* p, uint32_t offset, uint32_t count, const char* between, unsigned depth) {
    for (uint32_t i = 0; i < count; i++) {
        if (i) rl_buf_add_cstr(p->out, between);
        add_pattern(p, rl_program_extra(p->program, offset)[i], depth + 1);
    }
}

static void add_pattern(printer_t* p, rl_ir_t id, unsigned depth) {
    const rl_ir_node_t node = *rl_program_node(p->program, id);
    if (depth > PATTERN_DEPTH) {
        rl_buf_add(p->out, RL_STR("\xE2\x80\xA6"));
        return;
    }
    switch (node.op) {
    case RL_PAT_WILDCARD: rl_buf_add_char(p->out, '_'); break;
    case RL_PAT_BIND:
        add_local(p, node.a);
        if (node.b) {
            rl_buf_add(p->out, RL_STR(" @ "));
            add_pattern(p, node.b, depth + 1);
        }
        break;
    case RL_PAT_CONST: add_constant(p, node.a); break;
    case RL_PAT_VARIANT:
        add_variant(p, node.type, node.c);
        if (node.b) {
            rl_buf_add_char(p->out, '(');
            add_patterns(p, node.a, node.b, ", ", depth);
            rl_buf_add_char(p->out, ')');
        }
        break;
    case RL_PAT_TUPLE:
        rl_buf_add_char(p->out, '(');
        add_patterns(p, node.a, node.b, ", ", depth);
        rl_buf_add_char(p->out, ')');
        break;
    case RL_PAT_RECORD:
        rl_buf_add(p->out, RL_STR("{ "));
        for (uint32_t i = 0; i < node.b; i++) {
            const uint32_t* pair = rl_program_extra(p->program, node.a + 2 * i);
            add_name(p, pair[0]);
            rl_buf_add(p->out, RL_STR(": "));
            add_pattern(p, pair[1], depth + 1);
            rl_buf_add(p->out, RL_STR(", "));
        }
        rl_buf_add(p->out, RL_STR(".. }"));
        break;
    case RL_PAT_OR: add_patterns(p, node.a, node.b, " | ", depth); break;
    case RL_PAT_RANGE:
        if (node.a) add_constant(p, node.a);
        rl_buf_add_cstr(p->out, node.flags & 1 ? "..=" : "..");
        if (node.b) add_constant(p, node.b);
        break;
    case RL_PAT_SLICE:
        rl_buf_add_char(p->out, '[');
        for (uint32_t i = 0; i < node.b; i++) {
            if (i) rl_buf_add(p->out, RL_STR(", "));
            if (node.c == i + 1) rl_buf_add(p->out, RL_STR(".."));
            rl_ir_t part = rl_program_extra(p->program, node.a)[i];
            if (node.c != i + 1 || rl_program_node(p->program, part)->op != RL_PAT_WILDCARD)
                add_pattern(p, part, depth + 1);
        }
        rl_buf_add_char(p->out, ']');
        break;
    case RL_PAT_ACTIVE: {
        const rl_ir_node_t* call = rl_program_node(p->program, node.b);
        rl_buf_add(p->out, RL_STR("(|"));
        if (call->op == RL_IR_CALL) add_name(p, rl_program_function(p->program, call->a)->name);
        rl_buf_add(p->out, RL_STR("|) "));
        add_pattern(p, node.c, depth + 1);
        break;
    }
    default: rl_buf_add_cstr(p->out, rl_ir_op_name(node.op)); break;
    }
}

static void push(printer_t* p, uint32_t kind, uint32_t indent, uint32_t id, const char* label) {
    if (!rl_vec_push(p->program->allocator, &p->steps, (step_t){kind, indent, id, label})) p->out->failed = true;
}
static void push_node(printer_t* p, uint32_t indent, rl_ir_t id) {
    if (id) push(p, STEP_NODE, indent, id, NULL);
}
static void push_labelled(printer_t* p, uint32_t indent, const char* label, rl_ir_t id) {
    if (!id) return;
    push(p, STEP_LABEL, indent, 0, label);
    push_node(p, indent + 1, id);
}
static void push_run(printer_t* p, uint32_t indent, uint32_t offset, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) push_node(p, indent, rl_program_extra(p->program, offset)[i]);
}

/* What stands on the node's line between its op and its type. */
static void add_operands(printer_t* p, const rl_ir_node_t* node) {
    rl_buf_t* out = p->out;
    switch (node->op) {
    case RL_IR_INT:
    case RL_IR_FLOAT:
    case RL_IR_STRING:
    case RL_IR_BYTES:
    case RL_IR_LOCAL:
    case RL_IR_SET_LOCAL:
    case RL_IR_BIND:
    case RL_IR_GLOBAL:
    case RL_IR_SET_GLOBAL:
    case RL_IR_CALL:
    case RL_IR_CLOSURE:
    case RL_IR_CLOSURE_GROUP:
    case RL_IR_VARIANT:
    case RL_IR_FIELD:
    case RL_IR_SET_FIELD:
    case RL_IR_TUPLE_GET:
    case RL_IR_PAYLOAD:
    case RL_IR_PANIC:
    case RL_IR_LET:
    case RL_IR_HANDLE:
    case RL_IR_CATCH:
    case RL_IR_ESCAPE:
    case RL_IR_FOR: rl_buf_add_char(out, ' '); break;
    default: break;
    }
    switch (node->op) {
    case RL_IR_INT: add_integer(p, node); break;
    case RL_IR_FLOAT: add_float(p, node); break;
    case RL_IR_STRING: add_quoted(out, rl_program_string(p->program, node->a), false); break;
    case RL_IR_BYTES: add_quoted(out, rl_program_string(p->program, node->a), true); break;
    case RL_IR_LOCAL:
    case RL_IR_SET_LOCAL:
    case RL_IR_BIND: add_local(p, node->a); break;
    case RL_IR_GLOBAL:
    case RL_IR_SET_GLOBAL:
        add_name(p, rl_program_global(p->program, node->a)->name);
        if (node->op == RL_IR_SET_GLOBAL && node->flags & 1) rl_buf_add(out, RL_STR(" first"));
        break;
    case RL_IR_CALL:
    case RL_IR_CLOSURE:
        add_function(p, node->a);
        add_type_arguments(p, node->a, node->b);
        break;
    case RL_IR_CLOSURE_GROUP:
        for (uint32_t i = 0; i < node->b; i++) {
            const uint32_t* pair = rl_program_extra(p->program, node->a + 2 * i);
            if (i) rl_buf_add(out, RL_STR(", "));
            add_local(p, pair[0]);
            rl_buf_add(out, RL_STR(" = "));
            add_function(p, pair[1]);
        }
        break;
    case RL_IR_VARIANT: add_variant(p, node->type, node->c); break;
    case RL_IR_FIELD:
    case RL_IR_SET_FIELD:
        rl_buf_add_char(out, '.');
        add_name(p, node->b);
        break;
    case RL_IR_TUPLE_GET: rl_buf_printf(out, ".%u", (unsigned)node->b); break;
    case RL_IR_PAYLOAD:
        add_variant(p, rl_program_node(p->program, node->a)->type, node->c);
        rl_buf_printf(out, ".%u", (unsigned)node->b);
        break;
    case RL_IR_PANIC: rl_buf_add_cstr(out, node->b < RL_CODE_COUNT ? rl_code_text((rl_code_t)node->b) : "?"); break;
    case RL_IR_HANDLE: add_name(p, rl_program_effect(p->program, *rl_program_extra(p->program, node->b))->name); break;
    case RL_IR_CATCH: add_local(p, node->b); break;
    case RL_IR_ESCAPE:
        add_local(p, node->a);
        rl_buf_printf(out, " exit %u", (unsigned)node->b);
        break;
    case RL_IR_LET: add_pattern(p, node->a, 0); break;
    case RL_IR_FOR: add_pattern(p, node->b, 0); break;
    case RL_IR_RANGE:
        if (node->flags & 1) rl_buf_add(out, RL_STR(" inclusive"));
        break;
    case RL_IR_TO_STRING:
        if (node->flags & 1) rl_buf_add(out, RL_STR(" debug"));
        break;
    case RL_IR_BLOCK:
        if (node->flags & RL_IR_BLOCK_VALUE) rl_buf_add(out, RL_STR(" value"));
        if (node->flags & RL_IR_BLOCK_DEFERS) rl_buf_add(out, RL_STR(" defers"));
        break;
    case RL_IR_BREAK:
    case RL_IR_CONTINUE:
        if (node->b) rl_buf_printf(out, " out %u", (unsigned)node->b);
        break;
    default: break;
    }
    if ((node->op == RL_IR_CALL || node->op == RL_IR_CALL_VALUE) && node->flags & RL_IR_TAIL)
        rl_buf_add(out, RL_STR(" tail"));
}

/* What stands below it, in order. */
static void push_operands(printer_t* p, const rl_ir_node_t* node, uint32_t indent) {
    const rl_program_t* program = p->program;
    switch (node->op) {
    case RL_IR_SET_LOCAL:
    case RL_IR_SET_GLOBAL:
    case RL_IR_BIND:
    case RL_IR_LET: push_node(p, indent, node->b); break;
    case RL_IR_CALL: push_run(p, indent, node->c + 1, *rl_program_extra(program, node->c)); break;
    case RL_IR_CALL_VALUE:
        push_node(p, indent, node->a);
        push_run(p, indent, node->c + 1, *rl_program_extra(program, node->c));
        break;
    case RL_IR_TUPLE:
    case RL_IR_VARIANT:
    case RL_IR_LIST:
    case RL_IR_BLOCK: push_run(p, indent, node->a, node->b); break;
    case RL_IR_RECORD: {
        const rl_type_node_t* type = rl_type_node(&program->types, node->type);
        const rl_typedef_t* def = rl_program_typedef(program, type->kind == RL_TYPE_NAMED ? type->a : 0);
        const rl_variant_t* variant = rl_program_variant(program, def->variant_count ? def->variant_first : 0);
        for (uint32_t i = 0; i < node->b; i++) {
            rl_sym_t name = 0;
            if (type->kind == RL_TYPE_RECORD && i < type->count)
                name = rl_type_args(&program->types, node->type)[2 * i];
            else if (i < variant->field_count) name = rl_program_field(program, variant->field_first + i)->name;
            push(p, STEP_FIELD, indent, name, NULL);
            push_node(p, indent + 1, rl_program_extra(program, node->a)[i]);
        }
        break;
    }
    case RL_IR_MAP: push_run(p, indent, node->a, 2 * node->b); break;
    case RL_IR_FIELD:
    case RL_IR_TUPLE_GET:
    case RL_IR_PAYLOAD:
    case RL_IR_NEG:
    case RL_IR_NOT:
    case RL_IR_CAST:
    case RL_IR_TO_ANY:
    case RL_IR_CONVERT:
    case RL_IR_TO_STRING:
    case RL_IR_LOOP:
    case RL_IR_BREAK:
    case RL_IR_RETURN:
    case RL_IR_DEFER:
    case RL_IR_PANIC:
    case RL_IR_UNSAFE:
    case RL_IR_AWAIT: push_node(p, indent, node->a); break;
    case RL_IR_HANDLE: {
        const uint32_t* parts = rl_program_extra(program, node->b);
        push_node(p, indent, node->a);
        push_labelled(p, indent, "return", parts[1]);
        push_run(p, indent, node->b + 3, parts[2]);
        break;
    }
    case RL_IR_CATCH:
        push_node(p, indent, node->a);
        for (uint32_t i = 0; i < *rl_program_extra(program, node->c); i++)
            push_labelled(p, indent, "exit", rl_program_extra(program, node->c)[2 + 2 * i]);
        break;
    case RL_IR_ESCAPE: push_node(p, indent, node->c); break;
    case RL_IR_UPDATE:
        push_node(p, indent, node->a);
        for (uint32_t i = 0; i < node->c; i++) {
            const uint32_t* pair = rl_program_extra(program, node->b + 2 * i);
            push(p, STEP_FIELD, indent, pair[0], NULL);
            push_node(p, indent + 1, pair[1]);
        }
        break;
    case RL_IR_SET_FIELD:
        push_node(p, indent, node->a);
        push_node(p, indent, node->c);
        break;
    case RL_IR_SET_INDEX:
    case RL_IR_WITH_INDEX:
        push_node(p, indent, node->a);
        push_run(p, indent, node->b, 2);
        break;
    case RL_IR_FORMAT:
        for (uint32_t i = 0; i < node->b; i++) {
            const uint32_t* pair = rl_program_extra(program, node->a + 2 * i);
            push(p, STEP_SPEC, indent, pair[0], NULL);
            push_node(p, indent + 1, pair[1]);
        }
        break;
    case RL_IR_IF:
        push_node(p, indent, node->a);
        push_labelled(p, indent, "then", node->b);
        push_labelled(p, indent, "else", node->c);
        break;
    case RL_IR_MATCH:
        push_node(p, indent, node->a);
        for (uint32_t i = 0; i < node->c; i++) {
            const uint32_t* arm = rl_program_extra(program, node->b + 3 * i);
            push(p, STEP_ARM, indent, arm[0], NULL);
            push_labelled(p, indent + 1, "when", arm[1]);
            push_node(p, indent + 1, arm[2]);
        }
        break;
    case RL_IR_WHILE:
        push_node(p, indent, node->a);
        push_labelled(p, indent, "do", node->b);
        break;
    case RL_IR_FOR:
        push_node(p, indent, node->a);
        push_labelled(p, indent, "do", node->c);
        break;
    case RL_IR_RANGE:
    case RL_IR_INDEX:
    case RL_IR_SEQUENCE:
        push_node(p, indent, node->a);
        push_node(p, indent, node->b);
        break;
    default:
        if (node->op >= RL_IR_ADD && node->op <= RL_IR_OR) {
            push_node(p, indent, node->a);
            push_node(p, indent, node->b);
        }
        break;
    }
}

static void print_node(printer_t* p, rl_ir_t id, uint32_t indent) {
    const rl_ir_node_t node = *rl_program_node(p->program, id);
    rl_buf_add_cstr(p->out, rl_ir_op_name(node.op));
    add_operands(p, &node);
    rl_buf_add(p->out, RL_STR(" : "));
    rl_type_print(p->program, node.type, p->out);
    uint32_t bottom = p->steps.count;
    push_operands(p, &node, indent + 1);
    for (uint32_t low = bottom, high = p->steps.count; low + 1 < high; low++) { /* the first operand belongs on top */
        step_t swap = p->steps.data[--high];
        p->steps.data[high] = p->steps.data[low];
        p->steps.data[low] = swap;
    }
}

static void print_step(printer_t* p, step_t step) {
    rl_buf_add_repeat(p->out, ' ', 2 * (size_t)(step.indent < INDENT_MOST ? step.indent : INDENT_MOST));
    switch (step.kind) {
    case STEP_NODE: print_node(p, step.id, step.indent); break;
    case STEP_LABEL: rl_buf_add_cstr(p->out, step.label); break;
    case STEP_ARM:
        rl_buf_add(p->out, RL_STR("| "));
        add_pattern(p, step.id, 0);
        break;
    case STEP_FIELD:
        add_name(p, step.id);
        rl_buf_add_char(p->out, ':');
        break;
    default:
        if (step.id == 0xFFFFFFFFu) {
            rl_buf_add(p->out, RL_STR("text"));
        } else {
            rl_buf_add(p->out, RL_STR("as "));
            add_quoted(p->out, rl_program_string(p->program, step.id), false);
        }
        break;
    }
    rl_buf_add_char(p->out, '\n');
}

static void print_constraint(printer_t* p, const rl_constraint_t* constraint) {
    static const struct {
        uint32_t kind;
        const char* name;
    } names[] = {{RL_CON_ADD, "Add"}, {RL_CON_SUB, "Sub"}, {RL_CON_MUL, "Mul"}, {RL_CON_DIV, "Div"},
        {RL_CON_REM, "Rem"}, {RL_CON_POW, "Pow"}, {RL_CON_NEG, "Neg"}, {RL_CON_EQ, "Eq"}, {RL_CON_ORD, "Ord"},
        {RL_CON_HASH, "Hash"}, {RL_CON_INTEGER_LITERAL, "number"}, {RL_CON_FLOAT_LITERAL, "float"}};
    rl_buf_add(p->out, RL_STR("  where "));
    if (constraint->kinds == RL_CON_TRAIT) {
        const rl_trait_t* trait = rl_program_trait(p->program, constraint->trait);
        for (uint32_t i = 0; i <= trait->type_params; i++) {
            if (i > 1) rl_buf_add(p->out, RL_STR(", "));
            rl_type_print(p->program, *rl_program_extra(p->program, constraint->args + i), p->out);
            if (i > 0) continue;
            rl_buf_add(p->out, RL_STR(": "));
            add_name(p, trait->name);
            if (trait->type_params) rl_buf_add_char(p->out, '<');
        }
        rl_buf_add_cstr(p->out, trait->type_params ? ">\n" : "\n");
        return;
    }
    rl_type_param_print(constraint->param, p->out);
    rl_buf_add(p->out, RL_STR(": "));
    if (constraint->kinds & RL_CON_FIELD) {
        rl_buf_add(p->out, RL_STR("{ "));
        add_name(p, constraint->field);
        rl_buf_add(p->out, RL_STR(": "));
        rl_type_print(p->program, constraint->type, p->out);
        rl_buf_add(p->out, RL_STR(", .. }"));
    } else {
        bool more = false;
        for (size_t i = 0; i < RL_COUNT_OF(names); i++) {
            if (!(constraint->kinds & names[i].kind)) continue;
            if (more) rl_buf_add(p->out, RL_STR(" + "));
            rl_buf_add_cstr(p->out, names[i].name);
            more = true;
        }
    }
    rl_buf_add_char(p->out, '\n');
}

static void print_local(printer_t* p, uint32_t local) {
    const rl_local_t* entry = rl_program_local(p->program, p->function->local_first + local);
    rl_buf_add_cstr(p->out, entry->flags & RL_LOCAL_CAPTURE   ? "  capture "
                            : entry->flags & RL_LOCAL_MUTABLE ? "  var "
                                                              : "  let ");
    if (entry->flags & RL_LOCAL_BOXED) rl_buf_add(p->out, RL_STR("boxed "));
    add_local(p, local);
    uint32_t capture = local - p->function->param_count;
    if (local >= p->function->param_count && capture < p->function->capture_count) {
        rl_buf_printf(
            p->out, " = outer #%u", (unsigned)rl_program_capture(p->program, p->function->capture_first + capture));
    }
    rl_buf_add(p->out, RL_STR(": "));
    rl_type_print(p->program, entry->type, p->out);
    rl_buf_add_char(p->out, '\n');
}

static void print_header(printer_t* p, rl_fn_id_t id) {
    static const struct {
        uint32_t flag;
        const char* name;
    } flags[] = {{RL_FN_PUBLIC, "pub "}, {RL_FN_METHOD, "method "}, {RL_FN_THUNK, "thunk "}, {RL_FN_INIT, "init "},
        {RL_FN_DEFAULT, "default "}};
    const rl_function_t* f = p->function;
    for (size_t i = 0; i < RL_COUNT_OF(flags); i++) {
        if (f->flags & flags[i].flag) rl_buf_add_cstr(p->out, flags[i].name);
    }
    rl_buf_add(p->out, RL_STR("fn "));
    add_function(p, id);
    for (uint32_t i = 0; i < f->type_params; i++) {
        rl_buf_add(p->out, i ? RL_STR(", ") : RL_STR("<"));
        rl_type_param_print(i, p->out);
    }
    rl_buf_add(p->out, f->type_params ? RL_STR(">(") : RL_STR("("));
    for (uint32_t i = 0; i < f->param_count; i++) {
        const rl_param_t* param = rl_program_param(p->program, f->param_first + i);
        if (i) rl_buf_add(p->out, RL_STR(", "));
        add_name(p, param->name);
        rl_buf_printf(p->out, "#%u: ", (unsigned)i);
        rl_type_print(p->program, param->type, p->out);
        if (param->default_fn) rl_buf_printf(p->out, " = fn@%u", (unsigned)param->default_fn);
    }
    rl_buf_add(p->out, RL_STR(") -> "));
    rl_type_print(p->program, f->result, p->out);
    rl_effects_suffix(p->program, f->effects ? f->effects : f->declared, p->out);
    if (f->kind == RL_FN_BUILTIN) rl_buf_printf(p->out, " = builtin %u", (unsigned)f->builtin);
    if (f->kind == RL_FN_OPERATION) {
        rl_buf_add(p->out, RL_STR(" = operation of "));
        add_name(p, rl_program_effect(p->program, f->effect)->name);
    }
    if (f->kind == RL_FN_HOST) {
        rl_buf_add(p->out, RL_STR(" = host "));
        add_name(p, f->symbol);
    }
    rl_buf_add_char(p->out, '\n');
    for (uint32_t i = 0; i < f->constraint_count; i++)
        print_constraint(p, rl_program_constraint(p->program, f->constraint_first + i));
    for (uint32_t i = f->param_count; i < f->local_count; i++) print_local(p, i);
}

void rl_ir_print(const rl_program_t* program, rl_fn_id_t function, rl_buf_t* out) {
    printer_t p = {.program = program, .function = rl_program_function(program, function), .out = out};
    print_header(&p, function);
    push_node(&p, 1, p.function->body);
    while (p.steps.count > 0 && !out->failed) print_step(&p, rl_vec_pop(&p.steps));
    rl_vec_deinit(program->allocator, &p.steps);
}

const char* rl_ir_op_name(unsigned op) {
    static const char* const names[RL_IR_OP_COUNT] = {"none", "unit", "int", "float", "string", "bytes", "local",
        "set_local", "global", "set_global", "bind", "let", "call", "call_value", "closure", "closure_group", "tuple",
        "record", "variant", "list", "map", "range", "field", "tuple_get", "payload", "update", "set_field", "index",
        "set_index", "with_index", "add", "sub", "mul", "div", "rem", "pow", "concat", "neg", "not", "eq", "ne", "lt",
        "le", "gt", "ge", "and", "or", "cast", "to_any", "convert", "to_string", "format", "block", "if", "match",
        "while", "loop", "for", "break", "continue", "return", "defer", "panic", "sequence", "unsafe", "handle",
        "catch", "escape", "await"};
    static const char* const patterns[] = {
        "wildcard", "bind", "const", "variant", "tuple", "record", "or", "range", "slice", "regex", "active"};
    if (op < RL_IR_OP_COUNT) return names[op];
    if (op >= RL_PAT_WILDCARD && op - RL_PAT_WILDCARD < RL_COUNT_OF(patterns)) return patterns[op - RL_PAT_WILDCARD];
    return "?";
}
