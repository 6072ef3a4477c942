#include "types/program.h"

/* A type is a graph; as text it may be exponentially long. Past this many bytes parts print as `…`. */
#define LONGEST 8192u

static void print(const rl_program_t* program, rl_type_t type, rl_buf_t* out, size_t end);

static void print_list(const rl_program_t* program, rl_type_t type, uint32_t count, rl_buf_t* out, size_t end) {
    for (uint32_t i = 0; i < count && out->length < end; i++) {
        if (i) rl_buf_add(out, RL_STR(", "));
        print(program, rl_type_args(&program->types, type)[i], out, end);
    }
}

void rl_type_param_print(uint32_t index, rl_buf_t* out) {
    static const char letters[] = "TUVWABCDEFGHIJKLMNOPQRSXYZ";
    rl_buf_add_char(out, letters[index % 26]);
    if (index >= 26) rl_buf_add_u64(out, index / 26);
}

static void print(const rl_program_t* program, rl_type_t type, rl_buf_t* out, size_t end) {
    static const char* const simple[RL_TYPE_SIMPLE_COUNT] = {"_", "Never", "()", "Bool", "Char", "i8", "i16", "i32",
        "Int", "u8", "u16", "u32", "u64", "f32", "Float", "Str", "Bytes", "Duration", "Timestamp", "Any"};
    const rl_type_node_t* node = rl_type_node(&program->types, type);
    if (node->kind < RL_TYPE_SIMPLE_COUNT) {
        rl_buf_add_cstr(out, simple[node->kind]);
        return;
    }
    if (out->failed || out->length >= end) {
        rl_buf_add(out, RL_STR("\xE2\x80\xA6"));
        return;
    }
    switch ((rl_type_kind_t)node->kind) {
    case RL_TYPE_TUPLE:
        rl_buf_add_char(out, '(');
        print_list(program, type, node->count, out, end);
        rl_buf_add(out, node->count == 1 ? RL_STR(",)") : RL_STR(")"));
        break;
    case RL_TYPE_FUNCTION:
        rl_buf_add_char(out, '(');
        print_list(program, type, node->count - 1u, out, end);
        rl_buf_add(out, RL_STR(") -> "));
        print(program, rl_type_args(&program->types, type)[node->count - 1], out, end);
        if (rl_type_node(&program->types, type)->a) {
            rl_buf_add(out, RL_STR(" ! "));
            rl_effects_print(program, rl_type_node(&program->types, type)->a, out);
        }
        break;
    case RL_TYPE_RECORD:
    case RL_TYPE_OPEN:
        if (node->count == 0) {
            rl_buf_add(out, node->kind == RL_TYPE_OPEN ? RL_STR("{ .. }") : RL_STR("{}"));
            break;
        }
        for (uint32_t i = 0; i < node->count && out->length < end; i++) {
            const uint32_t* pair = rl_type_args(&program->types, type) + 2 * i;
            rl_buf_add(out, i ? RL_STR(", ") : RL_STR("{ "));
            rl_buf_add(out, rl_sym_text(&program->symbols, pair[0]));
            rl_buf_add(out, RL_STR(": "));
            print(program, pair[1], out, end);
        }
        rl_buf_add(out, node->kind == RL_TYPE_OPEN ? RL_STR(", .. }") : RL_STR(" }"));
        break;
    case RL_TYPE_NAMED:
        rl_buf_add(out, rl_sym_text(&program->symbols, rl_program_typedef(program, node->a)->name));
        if (node->count) {
            rl_buf_add_char(out, '<');
            print_list(program, type, node->count, out, end);
            rl_buf_add_char(out, '>');
        }
        break;
    case RL_TYPE_ARRAY:
        rl_buf_add_char(out, '[');
        print(program, rl_type_args(&program->types, type)[0], out, end);
        rl_buf_add(out, RL_STR("; "));
        rl_buf_add_u64(out, node->a);
        rl_buf_add_char(out, ']');
        break;
    case RL_TYPE_PARAM: rl_type_param_print(node->a, out); break;
    default: rl_buf_add_char(out, '_'); break;
    }
}

void rl_type_print(const rl_program_t* program, rl_type_t type, rl_buf_t* out) {
    print(program, type, out, out->length + LONGEST);
}
