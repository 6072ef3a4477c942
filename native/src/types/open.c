/*
 * Written open record types (LANGUAGE 4.3, 4.4 (g)): what a record is turned into where `{ name: Str, .. }` is expected.
 *
 * At run time such a value is an Any whose descriptor is that of a record without name: the fields the type names have
 * exactly the types it writes, the others those they had. So a conversion goes in stages, from the inside out: first
 * names and what becomes Any, then open records that hold no other ones, then those around them.
 */
#include "types/infer.h"

static bool converts_inside(const rl_checker_t* c, rl_typedef_id_t id) {
    const rl_known_t* known = &c->program->known;
    return id == known->list || id == known->option || id == known->result || id == known->map;
}

static uint32_t height(rl_checker_t* c, rl_type_t type, uint32_t* steps) {
    type = rl_head(c, type);
    const rl_type_node_t node = *rl_type_node(c->types, type);
    if (*steps == 0 || node.kind < RL_TYPE_SIMPLE_COUNT || node.kind == RL_TYPE_FUNCTION) return 0;
    if (node.kind == RL_TYPE_NAMED && !converts_inside(c, node.a)) return 0;
    --*steps;
    uint32_t most = 0, step = rl_type_part_step(node.kind), words = rl_type_part_words(&node);
    for (uint32_t i = step - 1; i < words; i += step) {
        uint32_t inner = height(c, rl_type_args(c->types, type)[i], steps);
        if (inner > most) most = inner;
    }
    return most + (node.kind == RL_TYPE_OPEN);
}

uint32_t rl_open_height(rl_checker_t* c, rl_type_t type) {
    uint32_t steps = 4096;
    return height(c, type, &steps);
}

/* What a value of `found` is while only open records of at most this height have been made of those in `expected`. */
static rl_type_t stage(rl_checker_t* c, rl_type_t found, rl_type_t expected, uint32_t done, uint32_t* steps) {
    found = rl_head(c, found);
    expected = rl_head(c, expected);
    if (found == expected || *steps == 0) return expected;
    --*steps;
    const rl_type_node_t f = *rl_type_node(c->types, found), e = *rl_type_node(c->types, expected);
    uint32_t own = rl_open_height(c, expected);
    if (own == 0 || (e.kind == RL_TYPE_OPEN && (own <= done || f.kind == RL_TYPE_OPEN))) return expected;
    uint32_t mark = c->scratch.count;
    rl_type_t made = expected, field;
    if (e.kind == RL_TYPE_OPEN || e.kind == RL_TYPE_RECORD) {
        uint32_t count = 0;
        const rl_variant_t* variant =
            f.kind == RL_TYPE_NAMED ? rl_program_variant(c->program, rl_program_typedef(c->program, f.a)->variant_first)
                                    : NULL;
        uint32_t total = variant ? variant->field_count : f.count, first = variant ? variant->field_first : 0;
        for (uint32_t i = 0; i < total && !rl_failed(c); i++) {
            rl_sym_t name =
                variant ? rl_program_field(c->program, first + i)->name : rl_type_args(c->types, found)[2 * i];
            rl_type_t wanted;
            if (!rl_type_find_field(c->program, found, name, &field)) continue;
            if (rl_type_find_field(c->program, expected, name, &wanted)) field = stage(c, field, wanted, done, steps);
            (void)rl_vec_push(c->allocator, &c->scratch, name);
            (void)rl_vec_push(c->allocator, &c->scratch, field);
            count++;
        }
        if (!rl_failed(c)) made = rl_type_record(c->types, c->symbols, c->scratch.data + mark, count);
    } else if (f.kind == e.kind && f.count == e.count && rl_type_part_step(e.kind) == 1) {
        for (uint32_t i = 0; i < e.count && !rl_failed(c); i++) {
            rl_type_t part =
                stage(c, rl_type_args(c->types, found)[i], rl_type_args(c->types, expected)[i], done, steps);
            (void)rl_vec_push(c->allocator, &c->scratch, part);
        }
        if (!rl_failed(c)) made = rl_type_make(c->types, (rl_type_kind_t)e.kind, e.a, c->scratch.data + mark, e.count);
    }
    c->scratch.count = mark;
    return made;
}

rl_ir_t rl_convert_open(rl_checker_t* c, rl_ir_t ir, rl_type_t expected) {
    uint32_t most = rl_open_height(c, expected), start = rl_program_node(c->program, ir)->start;
    rl_type_t found = rl_solver_zonk(&c->solver, rl_type_at(c, ir)), to = rl_solver_zonk(&c->solver, expected);
    rl_type_t now = found;
    for (uint32_t done = 0; done <= most && !rl_failed(c); done++) {
        uint32_t steps = 4096;
        rl_type_t next = done == most ? to : stage(c, found, to, done, &steps);
        if (next == now) continue;
        ir = rl_ir_make(c, RL_IR_CONVERT, next, start, ir, 0, 0);
        now = next;
    }
    return ir;
}
