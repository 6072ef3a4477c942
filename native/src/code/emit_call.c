#include "code/emit_internal.h"

#include "types/impl.h"
#include "vm/builtin.h"

/* Calls, closures, builtins. */

enum { ARGS_INLINE = 16 };

/* --- builtins ----------------------------------------------------------------------------------------------------- */
uint32_t rl_emit_builtin_id(rl_emitter_t* e, enum rl_emit_builtin which) {
    static const char* const names[] = {
#define X(ID, name, uses, text) [RL_EB_##ID] = name,
        RL_EMIT_BUILTINS(X)
#undef X
    };
    _Static_assert(RL_EB_COUNT <= RL_COUNT_OF(((rl_compiler_t*)0)->builtin_ids), "room for each");
    _Static_assert(RL_BUILTIN_ID_COUNT < UINT16_MAX, "ids are kept in 16 bits");
    uint16_t* known = &e->compiler->builtin_ids[which];
    if (RL_LIKELY(*known)) return *known - 1u;
    uint32_t id = rl_builtin_find(rl_str(names[which]));
    RL_ASSERT(id != UINT32_MAX, names[which]);
    if (id == UINT32_MAX) rl_emit_fail(e, RL_CODE_TYPE_INSTANTIATION_LIMIT);
    else *known = (uint16_t)(id + 1);
    return id;
}

bool rl_builtin_site(rl_emitter_t* e, uint32_t builtin, rl_type_t result, const uint32_t* regs, const rl_type_t* types,
    uint32_t count, const rl_type_t* type_args, uint32_t type_arg_count, rl_builtin_site_t* out) {
    if (count > RL_BUILTIN_ARGS_MAX || builtin >= RL_BUILTIN_ID_COUNT)
        return rl_emit_fail(e, RL_CODE_TYPE_INSTANTIATION_LIMIT);
    rl_builtin_site_t site = {.call = rl_builtin_rows[builtin].function,
        .id = (uint16_t)builtin,
        .arg_count = (uint8_t)count,
        .result_rep = (uint8_t)rl_rep_of(e->compiler, result),
        .result_type = rl_rtype_of(e->compiler, result)};
    for (uint32_t i = 0; i < count; i++) {
        site.args[i] = (uint16_t)regs[i];
        site.arg_reps[i] = (uint8_t)rl_rep_of(e->compiler, types[i]);
        site.arg_types[i] = rl_rtype_of(e->compiler, types[i]);
        if (!site.arg_types[i]) e->failed = true;
    }
    if (type_arg_count) {
        const rl_rtype_t** args = rl_arena_alloc(&e->compiler->arena, sizeof(*args) * type_arg_count);
        for (uint32_t i = 0; args && i < type_arg_count; i++) {
            if (!(args[i] = rl_rtype_of(e->compiler, type_args[i]))) e->failed = true;
        }
        if (!args) e->failed = true;
        site.types = args;
    }
    if (!site.result_type) e->failed = true;
    *out = site;
    return !e->failed;
}

void rl_emit_builtin(rl_emitter_t* e, uint32_t builtin, uint32_t to, rl_type_t result, const uint32_t* regs,
    const rl_type_t* types, uint32_t count, const rl_type_t* type_args, uint32_t type_arg_count) {
    rl_builtin_site_t site;
    if (e->dead || e->failed) return;
    if (!rl_builtin_site(e, builtin, result, regs, types, count, type_args, type_arg_count, &site)) return;
    if (!rl_vec_push(e->allocator, &e->builtins, site)) e->failed = true;
    if (!e->failed)
        rl_emit_wide(e, site.result_rep == RL_REP_R ? RL_OP_CALLB_R : RL_OP_CALLB_S, to, e->builtins.count - 1);
}

/* What a call consists of, types ground. */
typedef struct call {
    rl_fn_id_t id;
    rl_function_t fn;
    rl_type_t type_args[ARGS_INLINE];
    const rl_type_t* args; /* type_args, or in the arena */
    uint32_t first, count; /* argument nodes in extra, or with first 0 in `nodes` */
    rl_ir_t nodes[2];
    uint32_t spec; /* not 0: the first argument is this string */
    rl_type_t result;
    uint32_t start;
} call_t;

static rl_type_t in_callee(rl_emitter_t* e, const call_t* c, rl_type_t type) {
    return rl_type_substitute(&e->compiler->program->types, type, c->args, c->fn.type_params);
}

static bool take_target(rl_emitter_t* e, call_t* c, const rl_impl_fn_t* target) {
    rl_type_t* args = c->type_args;
    if (target->count > ARGS_INLINE && !(args = rl_arena_alloc(&e->compiler->arena, sizeof(rl_type_t) * target->count)))
        return false;
    for (uint32_t i = 0; i < target->count; i++) /* what the head of the impl does not fix may be anything */
        args[i] = target->args[i] == RL_TYPE_ERROR ? RL_TYPE_UNIT : target->args[i];
    c->id = target->fn;
    c->fn = *rl_program_function(e->program, target->fn);
    c->args = args;
    return true;
}

/* A function of a trait is that of the impl for these types. */
static bool choose_impl(rl_emitter_t* e, call_t* c) {
    rl_impl_fn_t target;
    if (!rl_impl_resolve(e->compiler->program, c->id, c->args, c->fn.type_params, &target))
        return rl_emit_fail(e, RL_CODE_TYPE_INSTANTIATION_LIMIT);
    return take_target(e, c, &target);
}

static bool read_type_args(rl_emitter_t* e, call_t* c, uint32_t offset) {
    rl_type_t* args = c->type_args;
    uint32_t count = c->fn.type_params;
    if (count > ARGS_INLINE && !(args = rl_arena_alloc(&e->compiler->arena, sizeof(rl_type_t) * count))) return false;
    for (uint32_t i = 0; i < count; i++) args[i] = rl_emit_ground(e, *rl_program_extra(e->program, offset + i));
    if (e->program->types.too_deep) {
        rl_at(e, c->start); /* the call to be reported */
        return rl_emit_fail(e, RL_CODE_TYPE_INSTANTIATION_LIMIT);
    }
    c->args = args;
    return !(c->fn.flags & RL_FN_TRAIT) || choose_impl(e, c);
}

static rl_ir_t argument(rl_emitter_t* e, const call_t* c, uint32_t index) {
    if (!c->first) return c->nodes[index];
    return *rl_program_extra(e->program, c->first + index);
}

static void emit_argument(rl_emitter_t* e, const call_t* c, uint32_t index, uint32_t reg, bool own) {
    if (c->spec && index == 0) rl_emit_string(e, reg, c->spec, false);
    else rl_emit_to(e, argument(e, c, index), reg, own);
}

static rl_type_t param_type(rl_emitter_t* e, const call_t* c, uint32_t index) {
    if (index < c->fn.param_count)
        return in_callee(e, c, rl_program_param(e->program, c->fn.param_first + index)->type);
    return rl_emit_type(e, argument(e, c, index));
}

/* After a call that cannot come back. */
static void after_call(rl_emitter_t* e, rl_type_t result) {
    if (result == RL_TYPE_NEVER) rl_emit_trap(e, RL_CODE_RUNTIME_PANIC);
}

/* Builtins that have an instruction of their own. */
static bool emit_intrinsic(rl_emitter_t* e, const call_t* c, const uint32_t* regs, uint32_t to) {
    const char* name = rl_builtin_rows[c->fn.builtin].name;
    if (strncmp(name, "vec.", 4) == 0) {
        rl_type_t element = c->fn.type_params ? c->args[0] : RL_TYPE_UNIT;
        if (strcmp(name, "vec.len") == 0 && c->count == 1) {
            rl_emit_abc(e, RL_OP_VECLEN, to, regs[0], 0);
            return true;
        }
        if (strcmp(name, "vec.index") == 0 && c->count == 2) {
            rl_emit_vec_get(e, element, to, regs[0], regs[1]);
            return true;
        }
        if (strcmp(name, "vec.set") == 0 && c->count == 3) {
            rl_emit_vec_set(e, element, regs[0], regs[1], regs[2]);
            return true;
        }
    }
    if (strcmp(name, "task.drop") == 0 && c->count == 1) {
        rl_emit_abc(e, RL_OP_ABANDON, regs[0], 0, 0);
        rl_emit_load_i64(e, to, 0);
        return true;
    }
    if (strcmp(name, "int.to_float") == 0 && c->count == 1 && param_type(e, c, 0) == RL_TYPE_I64) {
        rl_emit_abc(e, RL_OP_I2F, to, regs[0], 0);
        return true;
    }
    if (strcmp(name, "float.sqrt") == 0 && c->count == 1) {
        rl_type_t type = rl_unwrap_newtype(e->compiler, param_type(e, c, 0));
        rl_emit_abc(e, RL_OP_SQRT_F, to, regs[0], 0);
        if (type == RL_TYPE_F32) rl_emit_abc(e, RL_OP_ROUND_F32, to, to, 0);
        return true;
    }
    return false;
}

static void emit_builtin_call(rl_emitter_t* e, const call_t* c, rl_dest_t dest) {
    uint32_t regs[RL_BUILTIN_ARGS_MAX];
    rl_type_t types[RL_BUILTIN_ARGS_MAX];
    rl_ir_t nodes[RL_BUILTIN_ARGS_MAX];
    if (c->count > RL_BUILTIN_ARGS_MAX || c->fn.builtin >= RL_BUILTIN_ID_COUNT) {
        rl_emit_fail(e, RL_CODE_TYPE_INSTANTIATION_LIMIT);
        return;
    }
    for (uint32_t i = 0; i < c->count; i++) nodes[i] = argument(e, c, i);
    for (uint32_t i = 0; i < c->count; i++) {
        types[i] = param_type(e, c, i);
        regs[i] = rl_emit_operand(e, nodes[i], rl_builtin_consumes(c->fn.builtin, i), nodes + i + 1, c->count - i - 1);
    }
    rl_rep_t rep = rl_rep_of(e->compiler, c->result);
    uint32_t to = rl_dest_reg(e, rep, dest);
    rl_at(e, c->start);
    if (!emit_intrinsic(e, c, regs, to)) {
        rl_emit_builtin(e, c->fn.builtin, to, c->result, regs, types, c->count, c->args, c->fn.type_params);
    } else if (dest.own) {
        rl_emit_share(e, c->result, to);
    }
    after_call(e, c->result);
    rl_finish(e, rep, c->result, to, dest);
}

/* --- calls in windows --------------------------------------------------------------------------------------------- */
rl_window_t rl_open_window(rl_emitter_t* e, rl_rep_t result, rl_dest_t dest) {
    rl_window_t w = {e->s_top, e->r_top, false, false};
    if (dest.want != RL_WANT_REGISTER || !dest.scratch) return w;
    if (result == RL_REP_R && dest.reg + 1 == e->r_top) {
        w.b = dest.reg;
        w.r_taken = true;
    } else if (result != RL_REP_R && dest.reg + 1 == e->s_top) {
        w.a = dest.reg;
        w.s_taken = true;
    }
    return w;
}

uint32_t rl_window_next(rl_emitter_t* e, rl_window_t* w, rl_rep_t rep) {
    bool* taken = rep == RL_REP_R ? &w->r_taken : &w->s_taken;
    if (!*taken) return rl_temp(e, rep);
    *taken = false;
    return rep == RL_REP_R ? w->b : w->a;
}

void rl_close_window(rl_emitter_t* e, rl_window_t w, rl_op_t op, uint32_t callee, rl_type_t result, rl_dest_t dest) {
    rl_rep_t rep = rl_rep_of(e->compiler, result);
    bool is_tail = op == RL_OP_TAILCALL || op == RL_OP_TAILCALLV;
    rl_note_out(e, w.a + 1 > e->s_top ? w.a + 1 : e->s_top, w.b + 1 > e->r_top ? w.b + 1 : e->r_top);
    rl_emit_abc(e, op, w.a, w.b, callee);
    if (is_tail) {
        e->dead = true;
        return;
    }
    after_call(e, result);
    rl_deliver(e, rep, result, rep == RL_REP_R ? w.b : w.a, dest);
}

/* --- closures ----------------------------------------------------------------------------------------------------- */
/* Local of the parent that holds the closure of a local function, as its CLOSURE_GROUP says; RL_NONE. */
static uint32_t holder_in_parent(rl_emitter_t* e, rl_fn_id_t fn, rl_fn_id_t parent) {
    rl_compiler_t* compiler = e->compiler;
    uint32_t known;
    uint64_t seen = rl_map_key2(1, parent);
    if (!rl_map_get(&compiler->holder_map, seen, &known)) {
        rl_ir_list_t stack = {0};
        rl_ir_t body = rl_program_function(e->program, parent)->body;
        bool ok = rl_map_put(e->allocator, &compiler->holder_map, seen, 1) &&
                  (!body || rl_vec_push(e->allocator, &stack, body));
        while (ok && stack.count) {
            rl_ir_t id = rl_vec_pop(&stack);
            rl_ir_node_t n = *rl_node(e, id);
            for (uint32_t i = 0; n.op == RL_IR_CLOSURE_GROUP && ok && i < n.b; i++) {
                uint32_t local = *rl_program_extra(e->program, n.a + 2 * i),
                         held = *rl_program_extra(e->program, n.a + 2 * i + 1);
                ok = rl_map_put(e->allocator, &compiler->holder_map, held, local + 1) &&
                     rl_map_put(e->allocator, &compiler->held_map, rl_map_key2(parent, local), held);
            }
            ok = ok && rl_ir_children(e->program, e->allocator, id, &stack);
        }
        rl_vec_deinit(e->allocator, &stack);
    }
    return rl_map_get(&compiler->holder_map, fn, &known) ? known - 1 : RL_NONE;
}

/* The local function whose closure the local holds, 0: not known. */
static rl_fn_id_t held_function(rl_emitter_t* e, rl_local_id_t local) {
    rl_function_t fn = e->fn;
    rl_fn_id_t id = e->fn_id;
    for (unsigned depth = 0;
        local >= fn.param_count && local - fn.param_count < fn.capture_count && fn.parent && depth < 64; depth++) {
        local = rl_program_capture(e->program, fn.capture_first + (local - fn.param_count));
        id = fn.parent;
        fn = *rl_program_function(e->program, id);
    }
    (void)holder_in_parent(e, 0, id); /* fills the map */
    uint32_t held;
    return rl_map_get(&e->compiler->held_map, rl_map_key2(id, local), &held) ? held : 0;
}

/* The word of a local as it is captured (a boxed one: its cell) into a register of the right bank. */
void rl_load_captured(rl_emitter_t* e, const rl_local_home_t* home, uint32_t to) {
    rl_rep_t rep = (rl_rep_t)home->rep;
    switch ((rl_home_t)home->home) {
    case RL_HOME_REGISTER:
        if (rl_is_updatable(e->compiler, home->type)) rl_emit_abc(e, RL_OP_SHARE, home->reg, 0, 0);
        rl_emit_move(e, rep, to, home->reg);
        break;
    case RL_HOME_BOX: rl_emit_move(e, RL_REP_R, to, home->reg); break;
    case RL_HOME_ENV: rl_emit_load_word(e, rep, to, 0, home->reg, rl_is_updatable(e->compiler, home->type)); break;
    case RL_HOME_ENV_BOX: rl_emit_abc(e, RL_OP_GETR, to, 0, home->reg); break;
    case RL_HOME_FIELD:
        rl_emit_load_word(e, rep, to, home->reg, home->slot, rl_is_updatable(e->compiler, home->type));
        break;
    case RL_HOME_NONE: rl_emit_bug(e, "names in IR mean something"); break;
    }
}

static bool captured_as_ref(const rl_local_home_t* home) {
    return home->home == RL_HOME_BOX || home->home == RL_HOME_ENV_BOX || home->rep == RL_REP_R;
}

/* Home of what capture i of `fn` is called here; NULL: not to be had. */
static const rl_local_home_t* capture_home(rl_emitter_t* e, rl_fn_id_t id, const rl_function_t* fn, uint32_t index) {
    if (id == e->fn_id) return &e->locals[fn->param_count + index];
    uint32_t local =
        rl_resolve_local(e->program, e->fn_id, fn->parent, rl_program_capture(e->program, fn->capture_first + index));
    return local < e->fn.local_count ? &e->locals[local] : NULL;
}

static rl_object_t* static_closure(rl_emitter_t* e, rl_proto_t* proto) {
    rl_object_t* object = proto ? rl_arena_alloc(&e->compiler->arena, sizeof(rl_object_t) + sizeof(rl_word_t)) : NULL;
    if (!object) {
        e->failed = true;
        return NULL;
    }
    *object = (rl_object_t){.kind = RL_OBJ_CLOSURE, .flags = RL_OBJ_STATIC | RL_OBJ_SHARED, .words = 1};
    rl_object_words(object)[0].p = proto;
    return object;
}

/* Group being made: locals whose closures do not exist yet. */
typedef struct patch {
    uint32_t closure, slot, target;
} patch_t;
typedef struct group {
    uint32_t offset, count, made; /* pairs in extra; those before `made` exist */
    RL_VEC(patch_t) patches;
} group_t;

static bool not_made(rl_emitter_t* e, const group_t* g, const rl_local_home_t* home) {
    for (uint32_t i = g ? g->made : 0; g && i < g->count; i++) {
        if (home == &e->locals[*rl_program_extra(e->program, g->offset + 2 * i)]) return true;
    }
    return false;
}

/* Make a closure at r[b…], s[a…] of a window; it comes to r[b]. */
static void make_closure(
    rl_emitter_t* e, rl_fn_id_t id, const rl_type_t* args, rl_window_t w, group_t* group, uint32_t group_reg) {
    rl_function_t fn = *rl_program_function(e->program, id);
    e->compiler->asking_at = e->start;
    rl_proto_t* proto = rl_instance_of(e->compiler, id, args, fn.type_params, true, e->instance);
    if (!proto) {
        e->failed = true;
        return;
    }
    rl_mark_t mark = rl_mark(e);
    if (fn.capture_count == 0) {
        uint32_t reg = rl_window_next(e, &w, RL_REP_R);
        rl_object_t* object = static_closure(e, proto);
        if (object) rl_emit_load_ref(e, reg, object);
        rl_release(e, mark);
        return;
    }
    uint32_t refs = 0, scalars = 0;
    for (uint32_t i = 0; i < fn.capture_count && !e->failed; i++) {
        const rl_local_home_t* home = capture_home(e, id, &fn, i);
        if (!home) {
            rl_emit_fail(e, RL_CODE_TYPE_INSTANTIATION_LIMIT);
            return;
        }
        bool is_ref = captured_as_ref(home);
        uint32_t reg = rl_window_next(e, &w, is_ref ? RL_REP_R : RL_REP_S);
        if (not_made(e, group, home)) {
            rl_emit_wide(e, RL_OP_LDNULLARY, reg, 0);
            if (!rl_vec_push(e->allocator, &group->patches, (patch_t){group_reg, refs, home->reg})) e->failed = true;
        } else {
            rl_load_captured(e, home, reg);
        }
        if (is_ref) refs++;
        else scalars++;
    }
    rl_closure_site_t site = {.proto = proto, .refs = (uint16_t)refs, .scalars = (uint16_t)scalars};
    if (!rl_vec_push(e->allocator, &e->closures, site)) e->failed = true;
    rl_note_out(e, e->s_top, w.b + 1 > e->r_top ? w.b + 1 : e->r_top);
    if (!e->failed) rl_emit_abc(e, RL_OP_CLOSURE, w.a, w.b, e->closures.count - 1);
    rl_release(e, mark);
}

/* The closure of `c->id` into the next R register of the window: found in a local, or made. */
static void load_closure(rl_emitter_t* e, const call_t* c, rl_window_t* w) {
    if (c->id == e->fn_id && e->has_env) {
        rl_emit_move(e, RL_REP_R, rl_window_next(e, w, RL_REP_R), 0);
        return;
    }
    uint32_t holder = c->fn.capture_count ? holder_in_parent(e, c->id, c->fn.parent) : RL_NONE;
    uint32_t local = holder == RL_NONE ? RL_NONE : rl_resolve_local(e->program, e->fn_id, c->fn.parent, holder);
    const rl_local_home_t* home = local < e->fn.local_count ? &e->locals[local] : NULL;
    if (home && home->home != RL_HOME_NONE) {
        rl_load_captured(e, home, rl_window_next(e, w, RL_REP_R));
        return;
    }
    uint32_t reg = rl_window_next(e, w, RL_REP_R);
    rl_window_t spot = {e->s_top, reg, false, true};
    make_closure(e, c->id, c->args, spot, NULL, 0);
}

void rl_emit_closure(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    if (dest.want == RL_WANT_NOTHING) return;
    call_t c = {.id = n.a, .fn = *rl_program_function(e->program, n.a)};
    if (!read_type_args(e, &c, n.b)) {
        e->failed = true;
        return;
    }
    rl_type_t type = rl_emit_type(e, id);
    rl_window_t w = rl_open_window(e, RL_REP_R, dest);
    /* The function itself, as a value, inside its own body. */
    if (c.id == e->fn_id && e->has_env) {
        rl_deliver(e, RL_REP_R, type, 0, dest);
        return;
    }
    if (!w.r_taken) w.b = rl_temp(e, RL_REP_R);
    w.r_taken = true;
    make_closure(e, c.id, c.args, w, NULL, 0);
    rl_deliver(e, RL_REP_R, type, w.b, dest);
}

void rl_emit_closure_group(rl_emitter_t* e, rl_ir_t id) {
    rl_ir_node_t n = *rl_node(e, id);
    group_t g = {.offset = n.a, .count = n.b};
    for (uint32_t i = 0; i < n.b && !e->failed; i++) {
        rl_local_id_t local = *rl_program_extra(e->program, n.a + 2 * i);
        rl_fn_id_t fn = *rl_program_extra(e->program, n.a + 2 * i + 1);
        rl_local_home_t* home = &e->locals[local];
        if (rl_program_function(e->program, fn)->type_params > e->arg_count) continue; /* made where it is used */
        *home = (rl_local_home_t){.home = RL_HOME_REGISTER,
            .rep = RL_REP_R,
            .reg = (uint16_t)rl_temp(e, RL_REP_R),
            .type = rl_emit_ground(e, rl_program_local(e->program, e->fn.local_first + local)->type),
            .closure_of = fn};
    }
    for (; g.made < n.b && !e->failed; g.made++) {
        rl_local_home_t* home = &e->locals[*rl_program_extra(e->program, n.a + 2 * g.made)];
        rl_fn_id_t fn = *rl_program_extra(e->program, n.a + 2 * g.made + 1);
        if (home->home == RL_HOME_NONE) continue;
        bool on_top = home->reg + 1u == e->r_top;
        rl_mark_t mark = rl_mark(e);
        uint32_t reg = on_top ? home->reg : rl_temp(e, RL_REP_R);
        make_closure(e, fn, e->args, (rl_window_t){e->s_top, reg, false, true}, &g, home->reg);
        rl_emit_move(e, RL_REP_R, home->reg, reg);
        rl_release(e, mark);
    }
    for (uint32_t i = 0; i < g.patches.count && !e->failed; i++) {
        patch_t p = g.patches.data[i];
        rl_emit_abc(e, RL_OP_SETR, p.closure, p.slot, p.target);
    }
    rl_vec_deinit(e->allocator, &g.patches);
}

/* --- calls -------------------------------------------------------------------------------------------------------- */
static void emit_arguments(rl_emitter_t* e, const call_t* c, rl_window_t* w, uint64_t looked_at) {
    for (uint32_t i = 0; i < c->count && !e->failed; i++) {
        uint32_t reg = rl_window_next(e, w, rl_rep_of(e->compiler, param_type(e, c, i)));
        emit_argument(e, c, i, reg, i >= 64 || !(looked_at >> i & 1));
    }
}

static uint32_t host_site(rl_emitter_t* e, const call_t* c) {
    rl_host_site_t site = {.function = c->id,
        .binding = UINT32_MAX,
        .param_count = (uint8_t)c->fn.param_count,
        .name = rl_sym_text(&e->program->symbols, c->fn.symbol ? c->fn.symbol : c->fn.name)};
    if (c->fn.param_count > UINT8_MAX) rl_emit_fail(e, RL_CODE_PARSER_LIMIT_EXCEEDED);
    const rl_rtype_t** params = rl_arena_alloc(&e->compiler->arena, sizeof(*params) * c->fn.param_count + 1);
    for (uint32_t i = 0; params && i < c->fn.param_count; i++) {
        if (!(params[i] = rl_rtype_of(e->compiler, param_type(e, c, i)))) e->failed = true;
    }
    site.params = params;
    site.result = rl_rtype_of(e->compiler, in_callee(e, c, c->fn.result));
    if (!params || !site.result) e->failed = true;
    for (uint32_t i = 0; i < e->hosts.count && !e->failed;
        i++) { /* a generic one has a site for each of its instances */
        const rl_host_site_t* known = &e->hosts.data[i];
        bool same = known->function == c->id && known->result == site.result;
        for (uint32_t k = 0; k < c->fn.param_count && same; k++) same = known->params[k] == params[k];
        if (same) return i;
    }
    if (e->failed || !rl_vec_push(e->allocator, &e->hosts, site)) e->failed = true;
    return e->hosts.count ? e->hosts.count - 1 : 0;
}

/* Does the call go to the very instance it stands in, with parameters in plain registers? */
static bool is_self(rl_emitter_t* e, const call_t* c) {
    if (e->inlining || c->id != e->fn_id || c->count != e->fn.param_count) return false;
    if (c->fn.type_params != e->arg_count) return false;
    if (e->arg_count && memcmp(c->args, e->args, sizeof(rl_type_t) * e->arg_count) != 0) return false;
    for (uint32_t i = 0; i < c->count; i++) {
        if (e->locals[i].home != RL_HOME_REGISTER) return false;
    }
    return true;
}

/* A tail call of itself is a loop: new values beside the old ones, then into the parameters; the last goes there. */
static void emit_self_tail(rl_emitter_t* e, const call_t* c) {
    uint32_t small[ARGS_INLINE], *regs = small;
    uint64_t looked_at = rl_borrowed_params(e->compiler, c->id);
    if (c->count > ARGS_INLINE && !(regs = rl_arena_alloc(&e->compiler->arena, sizeof(uint32_t) * c->count))) {
        e->failed = true;
        return;
    }
    for (uint32_t i = 0; i < c->count && !e->failed; i++) {
        const rl_local_home_t* home = &e->locals[i];
        const rl_ir_node_t* arg = rl_node(e, argument(e, c, i));
        bool keeps = i >= 64 || !(looked_at >> i & 1);
        regs[i] = home->reg;
        if (arg->op == RL_IR_LOCAL && arg->a == i && !rl_is_assigned(e, i)) continue; /* stays as it is */
        if (i + 1 < c->count) regs[i] = rl_temp(e, (rl_rep_t)home->rep);
        rl_emit(e, argument(e, c, i), (rl_dest_t){RL_WANT_REGISTER, i + 1 < c->count, keeps, regs[i]});
    }
    rl_at(e, c->start);
    for (uint32_t i = 0; i < c->count && !e->failed; i++)
        rl_emit_move(e, (rl_rep_t)e->locals[i].rep, e->locals[i].reg, regs[i]);
    rl_jump_to(e, rl_emit_wide(e, RL_OP_LOOP, 0, 0), e->body_top);
    e->dead = true;
}

/*
 * A core function that is given no function calls nobody back, so no recursion passes through it: its caller's frame stays,
 * and a panic inside is placed at the caller's line.
 */
static bool calls_nobody(rl_emitter_t* e, const call_t* c) {
    if (!e->program->below || c->id >= e->program->first_fn || e->fn_id < e->program->first_fn) return false;
    const rl_types_t* types = &e->program->types;
    for (uint32_t i = 0; i < c->fn.type_params; i++) {
        if (rl_type_kind(types, c->args[i]) == RL_TYPE_FUNCTION) return false;
    }
    for (uint32_t i = 0; i < c->fn.param_count; i++) {
        if (rl_type_kind(types, rl_program_param(e->program, c->fn.param_first + i)->type) == RL_TYPE_FUNCTION)
            return false;
    }
    return true;
}

static void emit_direct(rl_emitter_t* e, const call_t* c, rl_dest_t dest, bool tail) {
    if (tail && is_self(e, c)) {
        emit_self_tail(e, c);
        return;
    }
    tail = tail && !calls_nobody(e, c);
    rl_rep_t rep = rl_rep_of(e->compiler, c->result);
    rl_window_t w = rl_open_window(e, rep, tail ? RL_DROP : dest), at = w;
    bool has_env = c->fn.capture_count != 0;
    if (has_env) load_closure(e, c, &at);
    emit_arguments(e, c, &at, c->fn.kind == RL_FN_REML ? rl_borrowed_params(e->compiler, c->id) : 0);
    rl_at(e, c->start);
    if (c->fn.kind == RL_FN_OPERATION) {
        rl_close_window(e, w, RL_OP_PERFORM, rl_perform_site(e, c->id, w), c->result, dest);
        return;
    }
    if (c->fn.kind == RL_FN_HOST) {
        rl_close_window(e, w, RL_OP_CALLH, host_site(e, c), c->result, dest);
        return;
    }
    e->compiler->asking_at = e->start;
    rl_proto_t* proto = rl_instance_of(e->compiler, c->id, c->args, c->fn.type_params, has_env, e->instance);
    rl_close_window(e, w, tail ? RL_OP_TAILCALL : RL_OP_CALL, rl_table_callee(e, proto), c->result, dest);
}

static void emit_call_value(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest, bool tail) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t result = rl_emit_type(e, id), function = rl_emit_type(e, n.a);
    /* What comes back lies where the callee's own type says. */
    const rl_type_node_t* f = rl_type_node(&e->program->types, rl_unwrap_newtype(e->compiler, function));
    if (f->kind == RL_TYPE_FUNCTION && f->count)
        result = rl_type_arg(e->compiler, rl_unwrap_newtype(e->compiler, function), f->count - 1u);
    rl_window_t w = rl_open_window(e, rl_rep_of(e->compiler, result), tail ? RL_DROP : dest), at = w;
    rl_emit_to(e, n.a, rl_window_next(e, &at, RL_REP_R), true);
    uint32_t count = *rl_program_extra(e->program, n.c);
    for (uint32_t i = 0; i < count && !e->failed; i++) {
        rl_ir_t arg = *rl_program_extra(e->program, n.c + 1 + i);
        rl_type_t type = rl_type_arg(e->compiler, rl_unwrap_newtype(e->compiler, function), i);
        rl_emit_to(e, arg, rl_window_next(e, &at, rl_rep_of(e->compiler, type)), true);
    }
    if (tail && e->owns_continuation) rl_release_continuation(e);
    rl_at(e, n.start);
    rl_close_window(e, w, tail ? RL_OP_TAILCALLV : RL_OP_CALLV, 0, result, dest);
}

/* The block of a future that has not started is called in place; SETTLE keeps its value for others who wait. */
void rl_emit_await(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    rl_type_t result = rl_emit_type(e, id);
    rl_rep_t rep = rl_rep_of(e->compiler, result);
    uint32_t future = rl_emit_any(e, n.a, false);
    rl_window_t w = rl_open_window(e, rep, dest);
    rl_at(e, n.start);
    rl_note_out(e, w.a + 1 > e->s_top ? w.a + 1 : e->s_top, w.b + 1 > e->r_top ? w.b + 1 : e->r_top);
    rl_emit_abc(e, RL_OP_AWAIT, w.a, w.b, future);
    rl_emit_abc(e, RL_OP_SETTLE, w.a, w.b, future);
    rl_emit_abc(e, RL_OP_DRIVE, 0, 0, 0);
    after_call(e, result);
    rl_deliver(e, rep, result, rep == RL_REP_R ? w.b : w.a, dest);
}

/* --- small functions of the prelude, in place --------------------------------------------------------------------- */
enum { INLINE_NODES = 32, INLINE_DEPTH = 3 };

/*
 * Only functions of the program below: their frames say nothing to who reads a stack of his own program. No loops,
 * returns, closures or defers, so that the body is an expression like any other.
 */
static bool is_inlinable(rl_emitter_t* e, const call_t* c) {
    if (e->inlining >= INLINE_DEPTH || !e->program->below || c->id >= e->program->first_fn || c->fn.capture_count ||
        !c->fn.body)
        return false;
    uint32_t known;
    if (rl_map_get(&e->compiler->inline_map, c->id, &known)) return known;
    rl_ir_list_t stack = {0};
    bool small = rl_vec_push(e->allocator, &stack, c->fn.body);
    for (unsigned budget = INLINE_NODES; small && stack.count;) {
        rl_ir_t id = rl_vec_pop(&stack);
        rl_ir_node_t n = *rl_node(e, id);
        small = budget-- > 0 && n.op != RL_IR_RETURN && n.op != RL_IR_WHILE && n.op != RL_IR_LOOP &&
                n.op != RL_IR_FOR && n.op != RL_IR_CLOSURE && n.op != RL_IR_CLOSURE_GROUP && n.op != RL_IR_DEFER &&
                n.op != RL_IR_UNSAFE && !(n.op == RL_IR_CALL && n.a == c->id) &&
                !(n.op == RL_IR_BLOCK && (n.flags & RL_IR_BLOCK_DEFERS)) &&
                rl_ir_children(e->program, e->allocator, id, &stack);
    }
    rl_vec_deinit(e->allocator, &stack);
    for (uint32_t i = 0; small && i < c->fn.local_count; i++) {
        small = !(rl_program_local(e->program, c->fn.local_first + i)->flags & RL_LOCAL_BOXED);
    }
    (void)rl_map_put(e->allocator, &e->compiler->inline_map, c->id, small);
    return small;
}

static void emit_inline(rl_emitter_t* e, const call_t* c, rl_dest_t dest) {
    rl_ir_t nodes[RL_BUILTIN_ARGS_MAX];
    size_t bytes = sizeof(rl_local_home_t) * ((size_t)c->fn.local_count + 1);
    rl_local_home_t* locals = rl_alloc_zero(e->allocator, bytes);
    rl_type_t* args = rl_arena_alloc(&e->compiler->arena, sizeof(rl_type_t) * c->fn.type_params + 1);
    if (!locals || !args) {
        e->failed = true;
        rl_free(e->allocator, locals, bytes);
        return;
    }
    if (c->fn.type_params) memcpy(args, c->args, sizeof(rl_type_t) * c->fn.type_params);
    uint64_t looked_at = rl_borrowed_params(e->compiler, c->id);
    for (uint32_t i = 0; i < c->count; i++) nodes[i] = argument(e, c, i);
    for (uint32_t i = 0; i < c->count; i++) {
        rl_type_t type = param_type(e, c, i);
        bool keeps = !(looked_at >> i & 1);
        /* A parameter that the body assigns needs a register of its own. */
        uint32_t reg;
        if (rl_program_local(e->program, c->fn.local_first + i)->flags & RL_LOCAL_MUTABLE) {
            reg = rl_temp(e, rl_rep_of(e->compiler, type));
            rl_emit_to(e, nodes[i], reg, true);
        } else {
            reg = rl_emit_operand(e, nodes[i], keeps, nodes + i + 1, c->count - i - 1);
        }
        locals[i] = (rl_local_home_t){.home = RL_HOME_REGISTER,
            .rep = (uint8_t)rl_rep_of(e->compiler, type),
            .reg = (uint16_t)reg,
            .type = type,
            .borrowed = !keeps};
    }
    rl_at(e, c->start);
    rl_emitter_t outer = *e;
    e->fn_id = c->id;
    e->fn = c->fn;
    e->args = args;
    e->arg_count = c->fn.type_params;
    e->has_env = false;
    e->locals = locals;
    e->fixing = false;
    e->inlining++;
    e->analysis = (rl_analysis_t){0};
    uint32_t depth; /* of so few nodes */
    if (rl_survey(e, &e->analysis, &depth) && rl_analyze(e)) rl_emit(e, c->fn.body, dest);
    else e->failed = true;
    rl_analysis_deinit(e->allocator, &e->analysis);
    e->fn_id = outer.fn_id;
    e->fn = outer.fn;
    e->args = outer.args;
    e->arg_count = outer.arg_count;
    e->has_env = outer.has_env;
    e->locals = outer.locals;
    e->fixing = outer.fixing;
    e->inlining = outer.inlining;
    e->analysis = outer.analysis;
    rl_free(e->allocator, locals, bytes);
}

/* Calls of a local function through its closure: the code is known all the same. */
static bool known_callee(rl_emitter_t* e, const rl_ir_node_t* n, call_t* c) {
    const rl_ir_node_t callee = *rl_node(e, n->a);
    rl_fn_id_t id = callee.op == RL_IR_CLOSURE ? callee.a : callee.op == RL_IR_LOCAL ? held_function(e, callee.a) : 0;
    if (!id) return false;
    *c = (call_t){.id = id,
        .fn = *rl_program_function(e->program, id),
        .first = n->c + 1,
        .count = *rl_program_extra(e->program, n->c),
        .start = n->start};
    if (c->fn.kind != RL_FN_REML || c->count != c->fn.param_count) return false;
    if (callee.op == RL_IR_CLOSURE) return read_type_args(e, c, callee.b);
    c->args = e->args;
    return c->fn.type_params <= e->arg_count;
}

/* Of the clause being compiled. */
static bool is_continuation(rl_emitter_t* e, rl_ir_t callee) {
    const rl_ir_node_t* n = rl_node(e, callee);
    return n->op == RL_IR_LOCAL && n->a == e->fn.param_count - 1;
}

/* A default that is a literal: nothing to call. Its arguments are reads of locals, which need not happen. */
static bool is_literal_default(rl_emitter_t* e, const rl_ir_node_t* call) {
    const rl_function_t* fn = call->op == RL_IR_CALL ? rl_program_function(e->program, call->a) : NULL;
    if (!fn || !(fn->flags & RL_FN_DEFAULT) || fn->kind != RL_FN_REML || !fn->body) return false;
    const rl_ir_node_t* body = rl_node(e, fn->body);
    return (body->op == RL_IR_INT || body->op == RL_IR_FLOAT || body->op == RL_IR_STRING) &&
           rl_type_kind(&e->program->types, body->type) < RL_TYPE_SIMPLE_COUNT;
}

void rl_emit_call(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    if (is_literal_default(e, &n)) {
        rl_emit_constant(e, rl_program_function(e->program, n.a)->body, dest);
        return;
    }
    bool tail = (n.flags & RL_IR_TAIL) && dest.want == RL_WANT_RETURN && e->defers == 0;
    if (e->owns_continuation && !e->inlining && n.op == RL_IR_CALL_VALUE && (n.flags & RL_IR_TAIL) &&
        dest.want == RL_WANT_RETURN && e->defers == 1 && is_continuation(e, n.a))
        tail = true; /* nothing is pending but what this call takes over */
    call_t c;
    if (n.op == RL_IR_CALL_VALUE) {
        if (!known_callee(e, &n, &c)) {
            emit_call_value(e, id, dest, tail);
            return;
        }
        c.result = in_callee(e, &c, c.fn.result);
        emit_direct(e, &c, dest, tail);
        return;
    }
    c = (call_t){.id = n.a,
        .fn = *rl_program_function(e->program, n.a),
        .first = n.c + 1,
        .count = *rl_program_extra(e->program, n.c),
        .start = n.start};
    if (!read_type_args(e, &c, n.b)) {
        e->failed = true;
        return;
    }
    c.result = in_callee(e, &c, c.fn.result);
    if (c.fn.kind == RL_FN_BUILTIN) emit_builtin_call(e, &c, dest);
    else if (c.fn.kind == RL_FN_REML && c.count <= RL_BUILTIN_ARGS_MAX && is_inlinable(e, &c)) emit_inline(e, &c, dest);
    else emit_direct(e, &c, dest, tail && c.fn.kind == RL_FN_REML);
}

static void emit_found(rl_emitter_t* e, call_t* c, rl_dest_t dest) {
    c->result = in_callee(e, c, c->fn.result);
    if (c->fn.kind == RL_FN_REML && !c->spec && is_inlinable(e, c)) emit_inline(e, c, dest);
    else emit_direct(e, c, dest, false);
}

bool rl_emit_impl_operator(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest) {
    rl_ir_node_t n = *rl_node(e, id);
    if (n.op == RL_IR_CONCAT) return false;
    rl_type_t type = rl_emit_type(e, n.a);
    rl_impl_fn_t target;
    if (type < RL_TYPE_SIMPLE_COUNT) return false;
    uint32_t kind = n.op == RL_IR_NEG ? RL_CON_NEG : 1u << (n.op - RL_IR_ADD);
    if (!rl_impl_operator(e->compiler->program, kind, type, &target)) return false;
    call_t c = {.count = n.op == RL_IR_NEG ? 1 : 2, .nodes = {n.a, n.b}, .start = n.start};
    if (!take_target(e, &c, &target)) e->failed = true;
    else emit_found(e, &c, dest);
    return true;
}

void rl_emit_own_text(rl_emitter_t* e, rl_ir_t node, uint32_t spec, bool debug, rl_dest_t dest) {
    const rl_known_t* known = &e->program->known;
    rl_type_t type = rl_emit_type(e, node);
    rl_impl_fn_t target;
    call_t c = {.count = 1, .nodes = {node}, .start = e->start};
    bool ok = true;
    if (spec == RL_NONE && rl_impl_text(e->compiler->program, type, debug, &target)) {
        ok = take_target(e, &c, &target);
    } else {
        c.id = spec != RL_NONE ? known->format_full : debug ? known->full_debug : known->full_text;
        c.fn = *rl_program_function(e->program, c.id);
        c.type_args[0] = type;
        c.args = c.type_args;
        if (spec != RL_NONE) {
            c.count = 2;
            c.spec = spec;
            c.nodes[1] = node;
        }
    }
    if (!ok || !c.id) e->failed = true;
    else emit_found(e, &c, dest);
}

/* An instance of a builtin or host function (as a value, or asked for by the host). */
void rl_emit_wrapper_body(rl_emitter_t* e) {
    call_t c = {.id = e->fn_id, .fn = e->fn, .args = e->args, .count = e->fn.param_count};
    c.result = rl_emit_ground(e, e->fn.result);
    rl_rep_t rep = rl_rep_of(e->compiler, c.result);
    rl_dest_t dest = {RL_WANT_RETURN, true, true, 0};
    if (e->fn.kind == RL_FN_HOST) {
        rl_window_t w = {0, e->has_env ? 1 : 0, false, false};
        rl_close_window(e, w, RL_OP_CALLH, host_site(e, &c), c.result, dest);
        return;
    }
    uint32_t regs[RL_BUILTIN_ARGS_MAX];
    rl_type_t types[RL_BUILTIN_ARGS_MAX];
    if (c.count > RL_BUILTIN_ARGS_MAX) {
        rl_emit_fail(e, RL_CODE_TYPE_INSTANTIATION_LIMIT);
        return;
    }
    for (uint32_t i = 0; i < c.count; i++) {
        regs[i] = e->locals[i].reg;
        types[i] = e->locals[i].type;
    }
    uint32_t to = rl_temp(e, rep);
    rl_emit_builtin(e, e->fn.builtin, to, c.result, regs, types, c.count, c.args, c.fn.type_params);
    after_call(e, c.result);
    rl_finish(e, rep, c.result, to, dest);
}
