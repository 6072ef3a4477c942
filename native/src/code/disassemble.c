#include "code/emit.h"

#include "vm/builtin.h"

/* Names of instructions, and bytecode as text. */

typedef struct op_row {
    const char* name;
    const char* operands;
} op_row_t;

static const op_row_t rows[RL_OP_COUNT] = {
#define OP(name, operands, meaning) [RL_OP_##name] = {#name, operands},
#include "code/opcode.def"
#undef OP
};

const char* rl_op_name(unsigned op) { return op < RL_OP_COUNT ? rows[op].name : "?"; }
const char* rl_op_operands(unsigned op) { return op < RL_OP_COUNT ? rows[op].operands : "---"; }

static bool jumps_back(unsigned op) {
    return strncmp(rl_op_name(op), "WHILE_", 6) == 0 || strncmp(rl_op_name(op), "FOR_", 4) == 0;
}

static void show_quoted(rl_str_t text, rl_buf_t* out) {
    rl_buf_add_char(out, '"');
    for (size_t i = 0; i < text.length && i < 40; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '\n') rl_buf_add_cstr(out, "\\n");
        else if (c < 0x20 || c == '"' || c == '\\') rl_buf_printf(out, "\\x%02x", c);
        else rl_buf_add_char(out, (char)c);
    }
    rl_buf_add_cstr(out, text.length > 40 ? "\"..." : "\"");
}

static void show_site(const rl_builtin_site_t* site, rl_buf_t* out) {
    rl_buf_add_cstr(out, site->id < RL_BUILTIN_ID_COUNT ? rl_builtin_rows[site->id].name : "?");
    rl_buf_add_char(out, '(');
    for (unsigned i = 0; i < site->arg_count; i++) {
        rl_buf_printf(out, "%s%c%u", i ? ", " : "", site->arg_reps[i] == RL_REP_R ? 'r' : 's', site->args[i]);
    }
    rl_buf_add_char(out, ')');
}

static void show_constant(rl_word_t word, rl_buf_t* out) {
    rl_buf_add_i64(out, word.i);
    rl_buf_add_cstr(out, " = ");
    rl_buf_add_f64(out, word.f);
}

/* What an operand of letter u or K means to this instruction. */
static void show_table(const rl_program_t* program, const rl_proto_t* p, unsigned op, uint32_t k, rl_buf_t* out) {
    switch (op) {
    case RL_OP_LDK:
        if (k < p->constant_count) show_constant(p->constants[k], out);
        return;
    case RL_OP_LDR: {
        const rl_object_t* object = k < p->ref_constant_count ? p->ref_constants[k] : NULL;
        if (!object) return;
        if (object->kind == RL_OBJ_CLOSURE) {
            rl_buf_printf(out, "closure %.*s",
                RL_STR_ARG(((const rl_proto_t*)rl_object_words((rl_object_t*)object)[object->refs].p)->name));
        } else {
            const rl_string_t* s = (const rl_string_t*)object;
            show_quoted((rl_str_t){s->data, s->length}, out);
        }
        return;
    }
    case RL_OP_CALL:
    case RL_OP_TAILCALL:
        if (k < p->callee_count && p->callees[k]) rl_buf_printf(out, "%.*s", RL_STR_ARG(p->callees[k]->name));
        return;
    case RL_OP_CALLH:
        if (k < p->host_count) rl_buf_printf(out, "host %.*s", RL_STR_ARG(p->hosts[k].name));
        return;
    case RL_OP_CALLB_S:
    case RL_OP_CALLB_R:
        if (k < p->builtin_count) show_site(&p->builtins[k], out);
        return;
    case RL_OP_NEW:
        if (k < p->shape_count)
            rl_buf_printf(out, "tag %u, %u refs, %u scalars", p->shapes[k].tag, p->shapes[k].refs,
                p->shapes[k].words - p->shapes[k].refs);
        return;
    case RL_OP_CLOSURE:
        if (k < p->closure_count) {
            const rl_closure_site_t* site = &p->closures[k];
            rl_buf_printf(out, "%.*s, %u refs, %u scalars", RL_STR_ARG(site->proto->name), site->refs, site->scalars);
        }
        return;
    case RL_OP_ANY_S:
    case RL_OP_ANY_R:
    case RL_OP_ITER:
        if (k < p->type_count) rl_buf_printf(out, "%.*s", RL_STR_ARG(p->types[k]->name));
        return;
    case RL_OP_GLOBALS:
    case RL_OP_GLOBALR:
    case RL_OP_SETGLOBALS:
    case RL_OP_SETGLOBALR:
        if (program)
            rl_buf_printf(out, "%.*s", RL_STR_ARG(rl_sym_text(&program->symbols, rl_program_global(program, k)->name)));
        return;
    case RL_OP_RAISE:
    case RL_OP_TRAP:
        if (k < RL_CODE_COUNT) rl_buf_add_cstr(out, rl_code_text((rl_code_t)k));
        return;
    case RL_OP_SWITCH_S:
    case RL_OP_SWITCH_TAG:
        if (k >= p->switch_count) return;
        for (uint32_t i = 0; i < p->switches[k][0]; i++) rl_buf_printf(out, "%u:->%u ", i, p->switches[k][2 + i]);
        rl_buf_printf(out, "else ->%u", p->switches[k][1]);
        return;
    case RL_OP_CAST: rl_buf_printf(out, "kind %u to kind %u", k >> 8, k & 255); return;
    default: rl_buf_printf(out, "%u", k); return;
    }
}

static void show_instr(const rl_program_t* program, const rl_proto_t* p, uint32_t index, rl_buf_t* out) {
    rl_instr_t in = p->code[index];
    const char* operands = rl_op_operands(in.op);
    uint16_t fields[4] = {in.a, in.b, in.c, in.d};
    rl_buf_printf(out, "  %4u  %-12s", index, rl_op_name(in.op));
    const char* separator = " ";
    for (unsigned i = 0; operands[i]; i++) {
        char letter = operands[i];
        if (letter == '-') continue;
        rl_buf_add_cstr(out, separator);
        separator = ", ";
        switch (letter) {
        case 's':
        case 'r': rl_buf_printf(out, "%c%u", letter, fields[i]); break;
        case 'i': rl_buf_printf(out, "%d", (int)(int16_t)fields[i]); break;
        case 'I': rl_buf_printf(out, "%d", (int)in.imm); break;
        case 'j': rl_buf_printf(out, "->%u", (unsigned)(index + 1 + (uint32_t)(int32_t)(int16_t)fields[i])); break;
        case 'J': rl_buf_printf(out, "->%u", (unsigned)(index + 1 + (uint32_t)in.imm)); break;
        case 'K': show_table(program, p, in.op, in.index, out); break;
        default:
            if (i == 2 && jumps_back(in.op)) rl_buf_printf(out, "->%u", (unsigned)(index + 1 - fields[i]));
            else show_table(program, p, in.op, fields[i], out);
            break;
        }
    }
    rl_buf_add_char(out, '\n');
}

void rl_disassemble(const rl_program_t* program, const rl_proto_t* p, rl_buf_t* out) {
    rl_buf_printf(out, "fn %.*s", RL_STR_ARG(p->name));
    if (p->result_type) {
        rl_buf_add_char(out, '(');
        for (unsigned i = 0; i < p->param_count; i++)
            rl_buf_printf(out, "%s%.*s", i ? ", " : "", RL_STR_ARG(p->param_types[i]->name));
        rl_buf_printf(out, ") -> %.*s", RL_STR_ARG(p->result_type->name));
    }
    rl_buf_printf(out, "  ; %u scalars, %u references, cost %u%s\n", p->s_count, p->r_count, p->entry_cost,
        p->has_env ? ", closure in r0" : "");
    uint32_t line = 0;
    for (uint32_t i = 0; i < p->code_count && !out->failed; i++) {
        if (program && p->module && p->starts) {
            uint32_t at = rl_program_line_of(program, p->module, p->starts[i]).line;
            if (at != line) rl_buf_printf(out, "  ; line %u\n", at);
            line = at;
        }
        show_instr(program, p, i, out);
    }
}
