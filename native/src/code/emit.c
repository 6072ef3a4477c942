#include "code/emit_internal.h"
#include "vm/string.h"

#include "base/unicode.h"
#include "base/os.h"

/* The emitter's ground floor: code, jumps, registers, tables, and the frame around the body of one function. */

enum { DEEP = 40, DEEPEST = 50000, STACK_PER_LEVEL = 4096 };

/* What went wrong in a function of the core library is shown where a loaded module asked for it. */
static void place_failure(rl_compiler_t* compiler, const rl_emitter_t* e) {
    rl_module_id_t first = compiler->program->first_module, module = e->fn.module;
    uint32_t start = e->start;
    for (uint32_t at = e->instance; module < first && at;) {
        start = compiler->instances.data[at].asked_at;
        at = compiler->instances.data[at].asked_by;
        if (at) module = rl_program_function(compiler->program, compiler->instances.data[at].function)->module;
    }
    if (module < first) return;
    compiler->failed_module = module;
    compiler->failed_start = start;
}

bool rl_emit_fail(rl_emitter_t* e, rl_code_t code) {
    e->failed = true;
    if (!e->compiler->failed) place_failure(e->compiler, e);
    return rl_compile_fail(e->compiler, code, e->fn_id);
}

bool rl_emit_bug(rl_emitter_t* e, const char* what) {
    if (e->dead || e->failed || e->allocator->failed || e->compiler->failed) {
        e->failed = e->failed || !e->dead;
        return false;
    }
    RL_ASSERT(!"the IR is sound", what);
    (void)what;
    return rl_emit_fail(e, RL_CODE_TYPE_INSTANTIATION_LIMIT);
}

rl_type_t rl_emit_ground(rl_emitter_t* e, rl_type_t type) {
    if (type < RL_TYPE_SIMPLE_COUNT || e->arg_count == 0) return type;
    uint32_t at = type % RL_COUNT_OF(e->grounds);
    if (e->grounds[at].from == type && e->grounds[at].args == e->args) return e->grounds[at].to;
    rl_types_t* types = &e->compiler->program->types;
    rl_type_t made = rl_type_substitute(types, type, e->args, e->arg_count);
    if (made != RL_TYPE_ERROR) { /* which may be for want of memory */
        e->grounds[at].args = e->args;
        e->grounds[at].from = type;
        e->grounds[at].to = made;
    }
    return made;
}

rl_rep_t rl_emit_rep(rl_emitter_t* e, rl_ir_t id) { return rl_rep_of(e->compiler, rl_emit_type(e, id)); }

/* --- instructions ------------------------------------------------------------------------------------------------ */
static uint32_t emit_instr(rl_emitter_t* e, rl_instr_t instr) {
    if (e->dead || e->failed) return RL_NONE;
    if (!rl_vec_push(e->allocator, &e->starts, e->start) || !rl_vec_push(e->allocator, &e->code, instr)) {
        e->failed = true;
        return RL_NONE;
    }
    if (e->loop_depth == 0) e->entry_cost++;
    return e->code.count - 1;
}

uint32_t rl_emit_abc(rl_emitter_t* e, rl_op_t op, uint32_t a, uint32_t b, uint32_t c) {
    if ((a | b | c) > UINT16_MAX) {
        if (!e->dead) rl_emit_fail(e, RL_CODE_PARSER_LIMIT_EXCEEDED);
        return RL_NONE;
    }
    return emit_instr(e, (rl_instr_t){.op = (uint8_t)op, .a = (uint16_t)a, .b = (uint16_t)b, .c = (uint16_t)c});
}

bool rl_emit_abcd(rl_emitter_t* e, rl_op_t op, uint32_t a, uint32_t b, uint32_t c, uint32_t d) {
    if (d > UINT8_MAX) return false;
    uint32_t at = rl_emit_abc(e, op, a, b, c);
    if (at != RL_NONE) e->code.data[at].d = (uint8_t)d;
    return true;
}

uint32_t rl_emit_wide(rl_emitter_t* e, rl_op_t op, uint32_t a, int64_t imm) {
    return emit_instr(e, (rl_instr_t){.op = (uint8_t)op, .a = (uint16_t)a, .imm = (int32_t)imm});
}

void rl_emit_move(rl_emitter_t* e, rl_rep_t rep, uint32_t to, uint32_t from) {
    if (to != from) rl_emit_abc(e, rep == RL_REP_R ? RL_OP_MOVR : RL_OP_MOVS, to, from, 0);
}

void rl_emit_load_i64(rl_emitter_t* e, uint32_t reg, int64_t value) {
    if (value >= INT32_MIN && value <= INT32_MAX) {
        rl_emit_wide(e, RL_OP_LDI, reg, value);
    } else {
        rl_emit_wide(e, RL_OP_LDK, reg, rl_table_constant(e, (rl_word_t){.i = value}));
    }
}

void rl_emit_load_ref(rl_emitter_t* e, uint32_t reg, rl_object_t* object) {
    rl_emit_wide(e, RL_OP_LDR, reg, rl_table_ref(e, object));
}

void rl_emit_trap(rl_emitter_t* e, rl_code_t code) {
    rl_emit_wide(e, RL_OP_TRAP, 0, code);
    e->dead = true;
}

void rl_emit_return(rl_emitter_t* e, rl_rep_t rep, uint32_t reg, bool is_unit) {
    if (e->owns_continuation) { /* a clause ends, perhaps without having resumed; the value stays where it is */
        uint32_t free = rep == RL_REP_R && !is_unit && reg >= e->r_top ? reg + 1 : e->r_top;
        rl_note_out(e, e->s_top, free + 1);
        rl_emit_abc(e, RL_OP_UNDEFER, free, 0, 0);
        rl_emit_abc(e, RL_OP_ABANDON, free, 0, 0);
    }
    rl_emit_abc(e, is_unit ? RL_OP_RETU : rep == RL_REP_R ? RL_OP_RETR : RL_OP_RETS, is_unit ? 0 : reg, 0, 0);
    e->dead = true;
}

/* --- jumps -------------------------------------------------------------------------------------------------------- */
void rl_jump_add(rl_emitter_t* e, rl_jumps_t* list, uint32_t at) {
    if (at == RL_NONE) return;
    if (rl_vec_push(e->allocator, &e->jumps, (rl_jump_t){at, RL_NONE, *list})) {
        *list = e->jumps.count;
    } else {
        e->failed = true;
    }
}

void rl_jump_to(rl_emitter_t* e, uint32_t at, uint32_t target) {
    if (at != RL_NONE && !rl_vec_push(e->allocator, &e->jumps, (rl_jump_t){at, target, 0})) e->failed = true;
}

void rl_jump_goto(rl_emitter_t* e, rl_jumps_t* list) {
    rl_jump_add(e, list, rl_emit_wide(e, RL_OP_JMP, 0, 0));
    e->dead = true;
}

void rl_jump_bind(rl_emitter_t* e, rl_jumps_t list) {
    /* A jump to what follows it is taken back. Nothing else leads here yet: the code is dead. */
    if (e->dead && list && list == e->jumps.count && rl_vec_last(&e->jumps).at + 1 == e->code.count &&
        rl_vec_last(&e->code).op == RL_OP_JMP) {
        list = rl_vec_pop(&e->jumps).next;
        e->code.count--;
        e->starts.count--;
        if (e->loop_depth == 0) e->entry_cost--;
        e->dead = false;
    }
    for (; list; list = e->jumps.data[list - 1].next) {
        e->jumps.data[list - 1].target = e->code.count;
        e->dead = false;
    }
}

void rl_jump_join(rl_emitter_t* e, rl_jumps_t* into, rl_jumps_t list) {
    if (!list) return;
    rl_jumps_t last = list;
    while (e->jumps.data[last - 1].next) last = e->jumps.data[last - 1].next;
    e->jumps.data[last - 1].next = *into;
    *into = list;
}

/* --- registers ---------------------------------------------------------------------------------------------------- */
uint32_t rl_temp(rl_emitter_t* e, rl_rep_t rep) {
    uint32_t* top = rep == RL_REP_R ? &e->r_top : &e->s_top;
    if (*top >= RL_REGISTER_LIMIT) {
        rl_emit_fail(e, RL_CODE_PARSER_LIMIT_EXCEEDED);
        return 0;
    }
    uint32_t reg = (*top)++;
    rl_note_out(e, e->s_top, e->r_top);
    return reg;
}

void rl_note_out(rl_emitter_t* e, uint32_t s, uint32_t r) {
    if (s > e->s_max) e->s_max = s;
    if (r > e->r_max) e->r_max = r;
}

/* --- tables ------------------------------------------------------------------------------------------------------- */
/* Entry of a table with this key, or a new one: true when it must be pushed. */
static bool table_new(rl_emitter_t* e, rl_map_t* map, uint64_t key, uint32_t count, uint32_t* out_index) {
    if (rl_map_get(map, key, out_index)) return false;
    *out_index = count;
    if (!rl_map_put(e->allocator, map, key, count)) e->failed = true;
    return true;
}

uint32_t rl_table_constant(rl_emitter_t* e, rl_word_t word) {
    uint32_t index;
    if (table_new(e, &e->constant_map, word.u, e->constants.count, &index) &&
        !rl_vec_push(e->allocator, &e->constants, word))
        e->failed = true;
    return index;
}

uint32_t rl_table_ref(rl_emitter_t* e, rl_object_t* object) {
    uint32_t index;
    if (table_new(e, &e->ref_map, (uintptr_t)object, e->ref_constants.count, &index) &&
        !rl_vec_push(e->allocator, &e->ref_constants, object))
        e->failed = true;
    return index;
}

uint32_t rl_table_callee(rl_emitter_t* e, rl_proto_t* proto) {
    uint32_t index;
    if (!proto) {
        e->failed = true;
        return 0;
    }
    if (table_new(e, &e->callee_map, (uintptr_t)proto, e->callees.count, &index) &&
        !rl_vec_push(e->allocator, &e->callees, proto))
        e->failed = true;
    return index;
}

uint32_t rl_table_type(rl_emitter_t* e, rl_type_t type) {
    uint32_t index;
    const rl_rtype_t* rtype = rl_rtype_of(e->compiler, type);
    if (!rtype) {
        e->failed = true;
        return 0;
    }
    if (table_new(e, &e->type_map, type, e->types.count, &index) && !rl_vec_push(e->allocator, &e->types, rtype))
        e->failed = true;
    return index;
}

uint32_t rl_table_shape(rl_emitter_t* e, rl_shape_t shape) {
    for (uint32_t i = e->shapes.count, steps = 0; i-- > 0 && steps < 32; steps++) {
        const rl_shape_t* s = &e->shapes.data[i];
        if (s->kind == shape.kind && s->tag == shape.tag && s->refs == shape.refs && s->words == shape.words) return i;
    }
    if (!rl_vec_push(e->allocator, &e->shapes, shape)) e->failed = true;
    return e->shapes.count ? e->shapes.count - 1 : 0;
}

static rl_object_t* string_object(rl_emitter_t* e, rl_str_t text, uint32_t string, bool bytes) {
    rl_compiler_t* compiler = e->compiler;
    uint32_t known;
    uint64_t key = (uint64_t)string << 1 | (bytes ? 1 : 0);
    if (rl_map_get(&compiler->string_map, key, &known)) return compiler->strings.data[known];
    rl_string_t* s = text.length <= UINT32_MAX ? rl_arena_alloc(&compiler->arena, sizeof *s) : NULL;
    if (!s) return NULL;
    uint32_t continuation = 0;
    bool ascii = true;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = (unsigned char)text.data[i];
        ascii = ascii && byte < 0x80;
        continuation += (byte & 0xC0) == 0x80;
    }
    s->header = (rl_object_t){.kind = bytes ? RL_OBJ_BYTES : RL_OBJ_STR,
        .flags = RL_OBJ_STATIC | RL_OBJ_SHARED,
        .refs = 1,
        .tag = bytes                     ? 0
               : ascii                   ? RL_STR_ASCII
               : rl_unicode_is_nfc(text) ? RL_STR_NFC
                                         : RL_STR_NOT_NFC,
        .words = (sizeof(rl_string_t) - sizeof(rl_object_t)) / sizeof(rl_word_t)};
    s->data = text.length ? text.data : "";
    s->length = (uint32_t)text.length;
    s->count = bytes ? s->length : s->length - continuation;
    if (!bytes && !ascii && s->count > RL_STRING_WALKED_MOST) { /* threads may share it: the whole index now */
        uint32_t room = s->count / RL_STRING_INDEX_STEP + 1;
        s->index = rl_arena_alloc(&compiler->arena, ((size_t)room + RL_STRING_INDEX_HEAD) * sizeof(uint32_t));
        if (!s->index) return NULL;
        s->index[0] = room;
        rl_string_index_extend(s, s->count - 1);
    }
    if (!rl_vec_push(e->allocator, &compiler->strings, &s->header)) return NULL;
    if (!rl_map_put(e->allocator, &compiler->string_map, key, compiler->strings.count - 1)) {
        compiler->strings.count--;
        return NULL;
    }
    return &s->header;
}

void rl_emit_string(rl_emitter_t* e, uint32_t reg, uint32_t string, bool bytes) {
    rl_object_t* object = string_object(e, rl_program_string(e->program, string), string, bytes);
    if (object) rl_emit_load_ref(e, reg, object);
    else e->failed = true;
}

void rl_emit_name(rl_emitter_t* e, uint32_t reg, rl_sym_t name) {
    rl_object_t* object = string_object(e, rl_sym_text(&e->program->symbols, name), 0x80000000u | name, false);
    if (object) rl_emit_load_ref(e, reg, object);
    else e->failed = true;
}

rl_object_t* rl_empty_string(rl_emitter_t* e) { return string_object(e, (rl_str_t){"", 0}, RL_NONE, false); }

/* --- parameters --------------------------------------------------------------------------------------------------- */
bool rl_is_boxed(rl_emitter_t* e, rl_local_id_t local) {
    return (rl_program_local(e->program, e->fn.local_first + local)->flags & RL_LOCAL_BOXED) != 0;
}

static bool captured_by_cell(rl_emitter_t* e, const rl_function_t* fn, uint32_t capture) {
    uint32_t local = fn->param_count + capture;
    for (unsigned depth = 0; depth < 64; depth++) {
        if (rl_program_local(e->program, fn->local_first + local)->flags & RL_LOCAL_BOXED) return true;
        uint32_t index = local - fn->param_count;
        if (local < fn->param_count || index >= fn->capture_count || !fn->parent) return false;
        local = rl_program_capture(e->program, fn->capture_first + index);
        fn = rl_program_function(e->program, fn->parent);
    }
    return false;
}

/* Captures lie in the closure; those read more than once come into registers first. */
static void place_captures(rl_emitter_t* e) {
    uint32_t refs = 0, scalars = 0;
    for (unsigned pass = 0; pass < 2; pass++) {
        scalars = 0;
        for (uint32_t i = 0; i < e->fn.capture_count; i++) {
            uint32_t local = e->fn.param_count + i;
            rl_local_home_t* home = &e->locals[local];
            home->type = rl_emit_ground(e, rl_program_local(e->program, e->fn.local_first + local)->type);
            home->rep = (uint8_t)rl_rep_of(e->compiler, home->type);
            bool boxed = captured_by_cell(e, &e->fn, i);
            home->home = boxed ? RL_HOME_ENV_BOX : RL_HOME_ENV;
            if (boxed || home->rep == RL_REP_R) {
                if (pass == 0) home->reg = (uint16_t)refs++;
            } else if (pass == 1) {
                home->reg = (uint16_t)(refs + 1 + scalars++);
            }
        }
    }
    if (refs + scalars > RL_REGISTER_LIMIT) rl_emit_fail(e, RL_CODE_PARSER_LIMIT_EXCEEDED);
    for (uint32_t i = 0; i < e->fn.capture_count && i < 16 && !e->failed; i++) {
        rl_local_home_t* home = &e->locals[e->fn.param_count + i];
        if (e->analysis.locals[e->fn.param_count + i].reads < 2) continue;
        bool boxed = home->home == RL_HOME_ENV_BOX;
        rl_rep_t rep = boxed ? RL_REP_R : (rl_rep_t)home->rep;
        uint32_t reg = rl_temp(e, rep);
        rl_emit_abc(e, rep == RL_REP_R ? RL_OP_GETR : RL_OP_GETS, reg, 0, home->reg);
        home->home = boxed ? RL_HOME_BOX : RL_HOME_REGISTER;
        home->reg = (uint16_t)reg;
        home->borrowed = true;
    }
}

static void place_params(rl_emitter_t* e) {
    if (e->has_env) rl_temp(e, RL_REP_R);
    uint64_t looked_at = e->fn.kind == RL_FN_REML ? rl_borrowed_params(e->compiler, e->fn_id) : 0;
    for (uint32_t i = 0; i < e->fn.param_count; i++) {
        rl_local_home_t* home = &e->locals[i];
        home->type = rl_emit_ground(e, rl_program_param(e->program, e->fn.param_first + i)->type);
        home->rep = (uint8_t)rl_rep_of(e->compiler, home->type);
        home->home = RL_HOME_REGISTER;
        home->reg = (uint16_t)rl_temp(e, (rl_rep_t)home->rep);
        home->borrowed = i < 64 && (looked_at >> i & 1);
    }
    if (e->fn.kind != RL_FN_REML) return;
    for (uint32_t i = 0; i < e->fn.param_count; i++) {
        if (!rl_is_boxed(e, i)) continue;
        e->locals[i].reg = (uint16_t)rl_emit_box(e, (rl_rep_t)e->locals[i].rep, e->locals[i].reg);
        e->locals[i].home = RL_HOME_BOX;
    }
}

static void place_hot_constants(rl_emitter_t* e) {
    for (uint32_t i = 0; i < e->analysis.hot_floats.count && i < RL_HOT_FLOATS; i++) {
        rl_word_t word = {.u = e->analysis.hot_floats.data[i]};
        e->hot[i].bits = word.u;
        e->hot[i].reg = rl_temp(e, RL_REP_F);
        rl_emit_wide(e, RL_OP_LDK, e->hot[i].reg, rl_table_constant(e, word));
        e->hot_count = i + 1;
    }
}

/* --- distances that do not fit ------------------------------------------------------------------------------------ */
static bool is_backward(unsigned op) {
    switch (op) {
    case RL_OP_FOR_LT:
    case RL_OP_FOR_LE:
    case RL_OP_FOR_STEP:
    case RL_OP_WHILE_LT_I:
    case RL_OP_WHILE_LE_I:
    case RL_OP_WHILE_LTK_I:
    case RL_OP_WHILE_GTK_I:
    case RL_OP_WHILE_T:
    case RL_OP_WHILE_NE_I:
    case RL_OP_WHILE_NEK_I:
    case RL_OP_WHILE_LT_F:
    case RL_OP_WHILE_LE_F:
    case RL_OP_WHILE_LT_LF:
    case RL_OP_WHILE_LE_LF:
    case RL_OP_WHILE_LT_LI:
    case RL_OP_WHILE_LE_LI:
    case RL_OP_WHILE_LT_IL: return true;
    default: return false;
    }
}

static bool is_wide(unsigned op) { return strchr(rl_op_operands(op), 'J') != NULL; }

static bool fits(unsigned op, int64_t distance) {
    if (is_wide(op)) return true;
    if (is_backward(op)) return -distance >= 0 && -distance <= UINT16_MAX;
    return distance >= 0 && distance <= INT16_MAX;
}

static void set_distance(rl_instr_t* instr, int64_t distance) {
    if (is_wide(instr->op)) instr->imm = (int32_t)distance;
    else if (is_backward(instr->op)) instr->c = (uint16_t)-distance;
    else instr->c = (uint16_t)(int16_t)distance;
}

/* Test that jumps one instruction ahead when the fused backward jump would be taken. */
static rl_instr_t forward_test(rl_instr_t w) {
    static const uint16_t plain[][2] = {
        {RL_OP_WHILE_LT_I, RL_OP_JLT_I},
        {RL_OP_WHILE_LE_I, RL_OP_JLE_I},
        {RL_OP_WHILE_LTK_I, RL_OP_JLTK_I},
        {RL_OP_WHILE_GTK_I, RL_OP_JGTK_I},
        {RL_OP_WHILE_NE_I, RL_OP_JNE_I},
        {RL_OP_WHILE_NEK_I, RL_OP_JNEK_I},
        {RL_OP_WHILE_LT_F, RL_OP_JLT_F},
        {RL_OP_WHILE_LE_F, RL_OP_JLE_F},
        {RL_OP_WHILE_LT_LF, RL_OP_JLT_LF},
        {RL_OP_WHILE_LE_LF, RL_OP_JLE_LF},
        {RL_OP_WHILE_LT_LI, RL_OP_JLT_LI},
        {RL_OP_WHILE_LE_LI, RL_OP_JLE_LI},
        {RL_OP_WHILE_LT_IL, RL_OP_JLT_IL},
        {RL_OP_FOR_LT, RL_OP_JLT_I},
        {RL_OP_FOR_LE, RL_OP_JLT_I},
    };
    if (w.op == RL_OP_WHILE_T) return (rl_instr_t){.op = RL_OP_JT, .a = w.a, .imm = 1};
    for (size_t i = 0; i < RL_COUNT_OF(plain); i++) {
        if (plain[i][0] == w.op) return (rl_instr_t){.op = (uint8_t)plain[i][1], .a = w.a, .b = w.b, .c = 1};
    }
    return w;
}

/*
 * What a jump whose distance is too long becomes; its last but `after` instruction is the one that jumps far.
 *   J… L        →  J… +1 · JMP +1 · JMP L
 *   WHILE_… L   →  J… +1 · JMP +1 · LOOP L
 *   FOR_LT L    →  ADDK i, i, 1 · JLT +1 · JMP +1 · LOOP L      (cannot overflow: the counter is below the limit)
 *   FOR_LE L    →  JLT +1 · JMP +2 · ADDK i, i, 1 · LOOP L
 */
static uint32_t long_form(rl_instr_t old, rl_instr_t out[4]) {
    rl_instr_t step = {.op = RL_OP_ADDK_I, .a = old.a, .b = old.a, .c = 1};
    uint32_t n = 0;
    if (!is_backward(old.op)) {
        rl_instr_t test = old;
        test.c = 1;
        out[n++] = test;
        out[n++] = (rl_instr_t){.op = RL_OP_JMP, .imm = 1};
        out[n++] = (rl_instr_t){.op = RL_OP_JMP};
        return n;
    }
    if (old.op == RL_OP_FOR_LT) out[n++] = step;
    out[n++] = forward_test(old);
    out[n++] = (rl_instr_t){.op = RL_OP_JMP, .imm = old.op == RL_OP_FOR_LE ? 2 : 1};
    if (old.op == RL_OP_FOR_LE) out[n++] = step;
    out[n++] = (rl_instr_t){.op = RL_OP_LOOP};
    return n;
}

/* Give every jump its distance. Returns false when memory is short. */
static bool link_jumps(rl_emitter_t* e) {
    bool all_fit = true;
    for (uint32_t i = 0; i < e->jumps.count; i++) {
        rl_jump_t* j = &e->jumps.data[i];
        RL_ASSERT(j->target != RL_NONE, "every jump has been bound");
        int64_t distance = (int64_t)j->target - j->at - 1;
        if (fits(e->code.data[j->at].op, distance)) set_distance(&e->code.data[j->at], distance);
        else all_fit = false;
    }
    if (all_fit) return true;

    /* Rare: lengthen jumps until all distances fit. moved[i]: new index of instruction i. */
    uint32_t count = e->code.count;
    uint32_t* moved = rl_alloc(e->allocator, sizeof(uint32_t) * ((size_t)count + 1));
    uint8_t* is_long = rl_alloc_zero(e->allocator, count);
    uint32_t* jump_of = rl_alloc(e->allocator, sizeof(uint32_t) * count);
    bool ok = moved && is_long && jump_of;
    for (uint32_t i = 0; ok && i < e->jumps.count; i++) jump_of[e->jumps.data[i].at] = i;
    rl_instr_t form[4];
    for (bool changed = true; ok && changed;) {
        changed = false;
        uint32_t at = 0;
        for (uint32_t i = 0; i <= count; i++) {
            moved[i] = at;
            if (i < count) at += is_long[i] ? long_form(e->code.data[i], form) : 1;
        }
        for (uint32_t i = 0; i < e->jumps.count; i++) {
            rl_jump_t* j = &e->jumps.data[i];
            int64_t distance = (int64_t)moved[j->target] - moved[j->at] - 1;
            if (!is_long[j->at] && !fits(e->code.data[j->at].op, distance)) {
                is_long[j->at] = 1;
                changed = true;
            }
        }
    }
    RL_VEC(rl_instr_t) code = {0};
    RL_VEC(uint32_t) starts = {0};
    ok = ok && rl_vec_reserve(e->allocator, &code, moved[count]) && rl_vec_reserve(e->allocator, &starts, moved[count]);
    for (uint32_t i = 0; ok && i < count; i++) {
        uint32_t n = 1;
        form[0] = e->code.data[i];
        if (is_long[i]) {
            n = long_form(e->code.data[i], form);
            set_distance(&form[n - 1], (int64_t)moved[e->jumps.data[jump_of[i]].target] - (moved[i] + n));
        }
        for (uint32_t k = 0; k < n; k++) {
            code.data[code.count++] = form[k];
            starts.data[starts.count++] = e->starts.data[i];
        }
    }
    for (uint32_t i = 0; ok && i < e->jumps.count; i++) {
        rl_jump_t* j = &e->jumps.data[i];
        if (!is_long[j->at]) set_distance(&code.data[moved[j->at]], (int64_t)moved[j->target] - moved[j->at] - 1);
    }
    for (uint32_t i = 0; ok && i < e->switches.count; i++) {
        uint32_t* table = e->switches.data[i].table;
        for (uint32_t k = 1; k < table[0] + 2; k++) table[k] = moved[table[k]];
    }
    rl_free(e->allocator, moved, sizeof(uint32_t) * ((size_t)count + 1));
    rl_free(e->allocator, is_long, count);
    rl_free(e->allocator, jump_of, sizeof(uint32_t) * count);
    if (!ok) {
        rl_vec_deinit(e->allocator, &code);
        rl_vec_deinit(e->allocator, &starts);
        return false;
    }
    rl_vec_deinit(e->allocator, &e->code);
    rl_vec_deinit(e->allocator, &e->starts);
    e->code.data = code.data, e->code.count = code.count, e->code.capacity = code.capacity;
    e->starts.data = starts.data, e->starts.count = starts.count, e->starts.capacity = starts.capacity;
    return true;
}

/* --- the finished proto ------------------------------------------------------------------------------------------- */
static void* keep(rl_emitter_t* e, const void* data, uint32_t count, size_t size) {
    if (count == 0) return NULL;
    void* copy = rl_arena_alloc(&e->compiler->arena, size * count);
    if (copy) memcpy(copy, data, size * count);
    else e->failed = true;
    return copy;
}
#define KEEP(vec) keep(e, (vec).data, (vec).count, sizeof(*(vec).data))

static rl_str_t stack_name(rl_emitter_t* e, rl_fn_id_t* out_part_of) {
    rl_function_t fn = e->fn;
    while ((fn.flags & RL_FN_PART) && fn.parent) {
        *out_part_of = fn.parent;
        fn = *rl_program_function(e->program, fn.parent);
    }
    if (fn.flags & RL_FN_ASYNC && !fn.name) return RL_STR("<async>");
    if (fn.flags & RL_FN_LAMBDA && !(fn.flags & RL_FN_ASYNC)) return RL_STR("<fn lambda>");
    if (fn.flags & RL_FN_INIT) return RL_STR("<module>");
    rl_str_t name = rl_sym_text(&e->program->symbols, fn.name);
    return name.length ? name : RL_STR("<fn>");
}

static bool finish(rl_emitter_t* e, rl_type_t result) {
    if (e->s_max > RL_REGISTER_LIMIT + 64 || e->r_max > RL_REGISTER_LIMIT + 64 || e->code.count > INT32_MAX / 4) {
        return rl_emit_fail(e, RL_CODE_PARSER_LIMIT_EXCEEDED);
    }
    if (!rl_emit_with_last(e) || !link_jumps(e)) return false;
    rl_proto_t* p = e->compiler->instances.data[e->instance].proto;
    p->code = KEEP(e->code);
    p->starts = KEEP(e->starts);
    p->code_count = e->code.count;
    p->s_count = (uint16_t)e->s_max;
    p->r_count = (uint16_t)e->r_max;
    p->result_rep = (uint8_t)rl_rep_of(e->compiler, result);
    p->has_env = e->has_env;
    p->entry_cost = e->entry_cost ? e->entry_cost : 1;
    p->constants = KEEP(e->constants);
    p->constant_count = e->constants.count;
    p->ref_constants = KEEP(e->ref_constants);
    p->ref_constant_count = e->ref_constants.count;
    p->callees = KEEP(e->callees);
    p->callee_count = e->callees.count;
    p->builtins = KEEP(e->builtins);
    p->builtin_count = e->builtins.count;
    p->hosts = KEEP(e->hosts);
    p->host_count = e->hosts.count;
    p->shapes = KEEP(e->shapes);
    p->shape_count = e->shapes.count;
    p->closures = KEEP(e->closures);
    p->closure_count = e->closures.count;
    p->types = KEEP(e->types);
    p->type_count = e->types.count;
    p->handles = KEEP(e->handles);
    p->handle_count = e->handles.count;
    p->performs = KEEP(e->performs);
    p->perform_count = e->performs.count;
    if (e->switches.count) {
        const uint32_t** tables = rl_arena_alloc(&e->compiler->arena, sizeof(*tables) * e->switches.count);
        for (uint32_t i = 0; tables && i < e->switches.count; i++) tables[i] = e->switches.data[i].table;
        p->switches = tables;
        p->switch_count = e->switches.count;
        if (!tables) return false;
    }
    p->function = e->fn_id;
    p->module = e->fn.module;
    p->name = stack_name(e, &p->part_of);
    p->param_count = (uint16_t)e->fn.param_count;
    p->result_type = rl_rtype_of(e->compiler, result);
    const rl_rtype_t** params = rl_arena_alloc(&e->compiler->arena, sizeof(*params) * e->fn.param_count + 1);
    p->leaf_scalar = p->result_rep != RL_REP_R && !e->has_env;
    for (uint32_t i = 0; params && i < e->fn.param_count; i++) {
        rl_type_t type = rl_emit_ground(e, rl_program_param(e->program, e->fn.param_first + i)->type);
        params[i] = rl_rtype_of(e->compiler, type);
        bool is_ref = rl_rep_of(e->compiler, type) == RL_REP_R;
        p->r_params = (uint16_t)(p->r_params + is_ref);
        p->s_params = (uint16_t)(p->s_params + !is_ref);
        if (is_ref) p->leaf_scalar = false;
        if (!params[i]) return false;
    }
    p->param_types = params;
    return params && p->result_type && !e->failed && !e->allocator->failed;
}
#undef KEEP

static void compile_body(void* user) {
    rl_emitter_t* e = user;
    if (e->fn.kind == RL_FN_REML && !rl_analyze(e)) {
        e->failed = true;
        return;
    }
    place_params(e);
    if (e->fn.kind != RL_FN_REML) {
        rl_emit_wrapper_body(e);
        return;
    }
    if (e->fn.capture_count) place_captures(e);
    if (e->fn.flags & RL_FN_CLAUSE) rl_emit_clause_start(e);
    place_hot_constants(e);
    e->body_top = rl_here(e);
    rl_emit(e, e->fn.body, (rl_dest_t){RL_WANT_RETURN, true, true, 0});
    /* Only code that cannot go on is left without an end: an endless loop, a call that never returns. */
    if (!e->dead) rl_emit_abc(e, RL_OP_RETU, 0, 0, 0);
    if (e->code.count == 0) {
        e->dead = false;
        rl_emit_abc(e, RL_OP_RETU, 0, 0, 0);
    }
}

static void free_tables(rl_emitter_t* e) {
    rl_allocator_t* allocator = e->allocator;
    rl_analysis_deinit(allocator, &e->analysis);
    rl_analyzer_deinit(allocator, e->analyzer);
#define TABLE(vec) rl_vec_deinit(allocator, &e->vec);
#define MAP(map)   rl_map_deinit(allocator, &e->map);
    RL_EMITTER_TABLES(TABLE)
    RL_EMITTER_MAPS(MAP)
#undef MAP
#undef TABLE
}

void rl_emitter_free(rl_allocator_t* allocator, rl_emitter_t* emitter) {
    if (!emitter) return;
    free_tables(emitter);
    rl_free(allocator, emitter, sizeof *emitter);
}

/* An emitter for the next function: the last one's, with its memory but without what it holds. NULL: memory. */
static rl_emitter_t* take_emitter(rl_compiler_t* compiler) {
    enum { MAP_ROOM = 64 }; /* clearing a larger one for each function costs more than a new one */
    rl_emitter_t* e = compiler->emitter;
    compiler->emitter = NULL;
    if (!e) return rl_alloc_zero(compiler->allocator, sizeof *e);
    rl_emitter_t fresh = {.analyzer = e->analyzer, .analysis = e->analysis};
#define TABLE(vec) fresh.vec.data = e->vec.data, fresh.vec.capacity = e->vec.capacity;
#define MAP(map)                                                                                                       \
    if (e->map.capacity > MAP_ROOM) rl_map_deinit(compiler->allocator, &e->map);                                       \
    else if (e->map.count) rl_map_clear(&e->map);                                                                      \
    fresh.map = e->map;
    RL_EMITTER_TABLES(TABLE)
    RL_EMITTER_MAPS(MAP)
    MAP(analysis.last)
#undef MAP
#undef TABLE
    fresh.analysis.hot_floats.count = 0;
    *e = fresh;
    return e;
}

static bool emit_with(rl_emitter_t* e, uint32_t instance) {
    rl_compiler_t* compiler = e->compiler;
    rl_instance_t asked = compiler->instances.data[instance];
    e->instance = instance;
    e->fn_id = asked.function;
    e->fn = *rl_program_function(compiler->program, asked.function);
    e->arg_count = asked.argument_count;
    e->has_env = asked.as_value;
    static const rl_type_t none[1] = {0};
    e->args = none;
    if (asked.argument_count) {
        rl_type_t* args = rl_arena_alloc(&compiler->arena, sizeof(rl_type_t) * asked.argument_count);
        if (!args) return false;
        memcpy(args, compiler->arguments.data + asked.argument_first, sizeof(rl_type_t) * asked.argument_count);
        e->args = args;
    }
    e->start = e->fn.span.start;
    uint32_t homes = e->fn.local_count > e->fn.param_count ? e->fn.local_count : e->fn.param_count;
    if (!rl_vec_reserve(e->allocator, &e->homes, homes + 1)) return false;
    e->locals = memset(e->homes.data, 0, sizeof *e->locals * homes);
    rl_type_t result = rl_emit_ground(e, e->fn.result);
    uint32_t depth = 0;
    if (e->fn.kind == RL_FN_REML && !rl_survey(e, &e->analysis, &depth)) return false;
    if (depth > DEEPEST) return rl_emit_fail(e, RL_CODE_PARSER_LIMIT_EXCEEDED);
    if (depth <= DEEP) {
        compile_body(e);
    } else if (!rl_os_call_with_stack((size_t)STACK_PER_LEVEL * depth + (1u << 20), compile_body, e)) {
        e->allocator->failed = true;
        return false;
    }
    if (compiler->program->types.too_deep) return rl_emit_fail(e, RL_CODE_TYPE_INSTANTIATION_LIMIT);
    return !e->failed && !compiler->failed && !e->allocator->failed && finish(e, result) && !compiler->failed;
}

bool rl_emit_function(rl_compiler_t* compiler, uint32_t instance) {
    rl_emitter_t* e = take_emitter(compiler);
    if (!e) return false;
    e->compiler = compiler;
    e->program = compiler->program;
    e->allocator = compiler->allocator;
    bool ok = emit_with(e, instance);
    if (compiler->failed && compiler->failed_function == 0) compiler->failed_function = e->fn_id;
    if (compiler->failed && compiler->failed_module == 0) place_failure(compiler, e);
    if (compiler->emitter) rl_emitter_free(compiler->allocator, e); /* another one came to stand there meanwhile */
    else compiler->emitter = e;
    return ok;
}
