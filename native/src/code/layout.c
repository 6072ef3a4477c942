#include "code/emit_internal.h"

#include "types/impl.h"

/* Machine representation of ground types: which bank, which word, which width; and descriptors for the run time. */

bool rl_compile_fail(rl_compiler_t* compiler, rl_code_t code, rl_fn_id_t function) {
    if (!compiler->failed) {
        compiler->failed = true;
        compiler->failed_code = code;
        compiler->failed_function = function;
    }
    return false;
}

static rl_types_t* types_of(rl_compiler_t* compiler) { return &compiler->program->types; }

static rl_type_note_t* note_of(rl_compiler_t* compiler, rl_type_t type) {
    static const uint32_t most = 1u << 30;
    if (type >= compiler->notes.count) {
        if (type >= most || !rl_vec_reserve(compiler->allocator, &compiler->notes, type + 1 - compiler->notes.count))
            return NULL;
        memset(compiler->notes.data + compiler->notes.count, 0,
            sizeof(rl_type_note_t) * (type + 1 - compiler->notes.count));
        compiler->notes.count = type + 1;
    }
    return &compiler->notes.data[type];
}

const rl_typedef_t* rl_named_def(rl_compiler_t* compiler, rl_type_t type) {
    const rl_type_node_t* node = rl_type_node(types_of(compiler), type);
    return node->kind == RL_TYPE_NAMED ? rl_program_typedef(compiler->program, node->a) : NULL;
}

rl_builtin_type_t rl_builtin_of(rl_compiler_t* compiler, rl_type_t type) {
    const rl_typedef_t* def = rl_named_def(compiler, type);
    return def && def->kind == RL_DEF_BUILTIN ? (rl_builtin_type_t)def->builtin : RL_BUILTIN_NONE;
}

rl_type_t rl_type_arg(rl_compiler_t* compiler, rl_type_t type, uint32_t index) {
    const rl_type_node_t* node = rl_type_node(types_of(compiler), type);
    return index < node->count ? rl_type_args(types_of(compiler), type)[index] : RL_TYPE_UNIT;
}

/* Type of a field of a typedef, for the type arguments of `owner`. */
static rl_type_t field_type(rl_compiler_t* compiler, rl_type_t owner, uint32_t field) {
    rl_types_t* types = types_of(compiler);
    rl_type_t type = rl_program_field(compiler->program, field)->type;
    const rl_type_node_t* node = rl_type_node(types, owner);
    return rl_type_substitute(types, type, rl_type_args(types, owner), node->count);
}

static rl_type_t newtype_payload(rl_compiler_t* compiler, rl_type_t type, const rl_typedef_t* def) {
    return field_type(compiler, type, rl_program_variant(compiler->program, def->variant_first)->field_first);
}

rl_type_t rl_unwrap_newtype(rl_compiler_t* compiler, rl_type_t type) {
    for (unsigned steps = 0; steps < 100; steps++) {
        const rl_typedef_t* def = rl_named_def(compiler, type);
        if (!def || def->kind != RL_DEF_NEWTYPE) return type;
        type = newtype_payload(compiler, type, def);
    }
    return RL_TYPE_ERROR;
}

static bool sum_is_enum(rl_compiler_t* compiler, const rl_typedef_t* def) {
    for (uint32_t i = 0; i < def->variant_count; i++) {
        if (rl_program_variant(compiler->program, def->variant_first + i)->field_count) return false;
    }
    return true;
}

rl_rep_t rl_rep_of(rl_compiler_t* compiler, rl_type_t type) {
    if (type < RL_TYPE_SIMPLE_COUNT) {
        /* Only a type that nests too deep is still wrong here: all others were reported when the module was checked. */
        if (type == RL_TYPE_ERROR) rl_compile_fail(compiler, RL_CODE_TYPE_INSTANTIATION_LIMIT, 0);
        if (rl_type_is_float(type)) return RL_REP_F;
        return type == RL_TYPE_STR || type == RL_TYPE_BYTES || type == RL_TYPE_ANY ? RL_REP_R : RL_REP_S;
    }
    rl_type_note_t* note = note_of(compiler, type);
    if (!note) return RL_REP_S;
    if (note->rep) return (rl_rep_t)(note->rep - 1);
    rl_rep_t rep = RL_REP_R;
    const rl_typedef_t* def = rl_named_def(compiler, type);
    if (def && def->kind == RL_DEF_NEWTYPE) {
        rl_type_t inner = rl_unwrap_newtype(compiler, type);
        rep = inner == type ? RL_REP_R : rl_rep_of(compiler, inner);
    } else if (def && def->kind == RL_DEF_SUM && sum_is_enum(compiler, def)) {
        rep = RL_REP_S;
    }
    note = note_of(compiler, type);
    if (note) note->rep = (uint8_t)(rep + 1);
    return rep;
}

rl_element_t rl_element_of(rl_compiler_t* compiler, rl_type_t type) {
    type = rl_unwrap_newtype(compiler, type);
    if (rl_rep_of(compiler, type) == RL_REP_R) return RL_ELEM_REF;
    switch (type) {
    case RL_TYPE_NEVER:
    case RL_TYPE_UNIT: return RL_ELEM_UNIT;
    case RL_TYPE_BOOL:
    case RL_TYPE_U8: return RL_ELEM_U8;
    case RL_TYPE_CHAR:
    case RL_TYPE_U32: return RL_ELEM_U32;
    case RL_TYPE_I8: return RL_ELEM_I8;
    case RL_TYPE_I16: return RL_ELEM_I16;
    case RL_TYPE_I32: return RL_ELEM_I32;
    case RL_TYPE_U16: return RL_ELEM_U16;
    case RL_TYPE_F32: return RL_ELEM_F32;
    case RL_TYPE_F64: return RL_ELEM_F64;
    default: break;
    }
    const rl_typedef_t* def = rl_named_def(compiler, type);
    if (!def || def->kind != RL_DEF_SUM) return RL_ELEM_I64;
    return def->variant_count <= 256 ? RL_ELEM_U8 : RL_ELEM_U16;
}

bool rl_has_identity(rl_compiler_t* compiler, rl_type_t type) {
    type = rl_unwrap_newtype(compiler, type);
    const rl_typedef_t* def = rl_named_def(compiler, type);
    if (!def) return rl_type_kind(types_of(compiler), type) == RL_TYPE_FUNCTION;
    if (def->kind == RL_DEF_STRUCT || def->kind == RL_DEF_OPAQUE) return true;
    return def->kind == RL_DEF_BUILTIN && (def->builtin == RL_BUILTIN_VEC || def->builtin == RL_BUILTIN_TABLE ||
                                              def->builtin == RL_BUILTIN_CELL || def->builtin == RL_BUILTIN_REF);
}

bool rl_is_updatable(rl_compiler_t* compiler, rl_type_t type) {
    if (type < RL_TYPE_SIMPLE_COUNT) return type == RL_TYPE_STR || type == RL_TYPE_BYTES;
    type = rl_unwrap_newtype(compiler, type);
    if (type < RL_TYPE_SIMPLE_COUNT) return type == RL_TYPE_STR || type == RL_TYPE_BYTES;
    if (rl_type_kind(types_of(compiler), type) == RL_TYPE_RECORD) return true;
    const rl_typedef_t* def = rl_named_def(compiler, type);
    if (!def) return false;
    if (def->kind == RL_DEF_RECORD) return true;
    return def->kind == RL_DEF_BUILTIN &&
           (def->builtin == RL_BUILTIN_LIST || def->builtin == RL_BUILTIN_MAP || def->builtin == RL_BUILTIN_SET);
}

/* --- layouts ---------------------------------------------------------------------------------------------------- */
static rl_layout_t* layout_new(rl_compiler_t* compiler, uint32_t count) {
    if (count > RL_REGISTER_LIMIT) {
        rl_compile_fail(compiler, RL_CODE_PARSER_LIMIT_EXCEEDED, 0);
        return NULL;
    }
    size_t each = sizeof(rl_type_t) + sizeof(rl_sym_t) + sizeof(uint16_t) + sizeof(uint8_t);
    rl_layout_t* layout = rl_arena_alloc(&compiler->arena, sizeof *layout + each * count);
    if (!layout) return NULL;
    layout->count = count;
    layout->types = (rl_type_t*)(layout + 1);
    layout->names = layout->types + count;
    layout->slots = (uint16_t*)(layout->names + count);
    layout->reps = (uint8_t*)(layout->slots + count);
    return layout;
}

static bool layout_assign(rl_compiler_t* compiler, rl_layout_t* layout) {
    uint32_t refs = 0, scalars = 0;
    for (uint32_t i = 0; i < layout->count; i++) {
        layout->reps[i] = (uint8_t)rl_rep_of(compiler, layout->types[i]);
        if (layout->reps[i] == RL_REP_R) layout->slots[i] = (uint16_t)refs++;
    }
    for (uint32_t i = 0; i < layout->count; i++) {
        if (layout->reps[i] != RL_REP_R) layout->slots[i] = (uint16_t)(refs + scalars++);
    }
    layout->refs = (uint16_t)refs;
    layout->words = (uint16_t)(refs + scalars);
    return !compiler->allocator->failed;
}

const rl_layout_t* rl_layout_of(rl_compiler_t* compiler, rl_type_t type, uint32_t tag) {
    uint32_t known;
    uint64_t key = rl_map_key2(type, tag);
    if (rl_map_get(&compiler->layout_map, key, &known)) return compiler->layouts.data[known];
    rl_types_t* types = types_of(compiler);
    rl_type_node_t node = *rl_type_node(types, type);
    rl_layout_t* layout = NULL;
    if (node.kind == RL_TYPE_TUPLE) {
        if (!(layout = layout_new(compiler, node.count))) return NULL;
        for (uint32_t i = 0; i < node.count; i++) layout->types[i] = rl_type_args(types, type)[i];
    } else if (node.kind == RL_TYPE_RECORD) {
        if (!(layout = layout_new(compiler, node.count))) return NULL;
        for (uint32_t i = 0; i < node.count; i++) {
            layout->names[i] = rl_type_args(types, type)[2 * i];
            layout->types[i] = rl_type_args(types, type)[2 * i + 1];
        }
    } else if (node.kind == RL_TYPE_NAMED) {
        const rl_typedef_t* def = rl_program_typedef(compiler->program, node.a);
        rl_variant_t variant = {0};
        if (tag < def->variant_count) variant = *rl_program_variant(compiler->program, def->variant_first + tag);
        if (!(layout = layout_new(compiler, variant.field_count))) return NULL;
        for (uint32_t i = 0; i < variant.field_count; i++) {
            layout->names[i] = rl_program_field(compiler->program, variant.field_first + i)->name;
            layout->types[i] = field_type(compiler, type, variant.field_first + i);
        }
    } else if (!(layout = layout_new(compiler, 0))) {
        return NULL;
    }
    if (!layout_assign(compiler, layout)) return NULL;
    if (!rl_vec_push(compiler->allocator, &compiler->layouts, layout)) return NULL;
    if (!rl_map_put(compiler->allocator, &compiler->layout_map, key, compiler->layouts.count - 1)) {
        compiler->layouts.count--;
        return NULL;
    }
    return layout;
}

uint32_t rl_layout_find(const rl_layout_t* layout, rl_sym_t name) {
    for (uint32_t i = 0; i < layout->count; i++) {
        if (layout->names[i] == name) return i;
    }
    return RL_NONE;
}

/* --- conversions that only rename --------------------------------------------------------------------------------- */
/* Fields of an anonymous or named record (not a struct: those have identity). */
static bool is_record(rl_compiler_t* compiler, rl_type_t type) {
    if (rl_type_kind(types_of(compiler), type) == RL_TYPE_RECORD) return true;
    const rl_typedef_t* def = rl_named_def(compiler, type);
    return def && def->kind == RL_DEF_RECORD;
}

bool rl_is_open(rl_compiler_t* compiler, rl_type_t type) {
    return rl_type_kind(types_of(compiler), type) == RL_TYPE_OPEN;
}

static bool same_objects(rl_compiler_t* compiler, rl_type_t from, rl_type_t to, unsigned* budget) {
    if (from == to) return true;
    if (*budget == 0) return false;
    --*budget;
    if (is_record(compiler, from) && is_record(compiler, to)) {
        const rl_layout_t* a = rl_layout_of(compiler, from, 0);
        const rl_layout_t* b = rl_layout_of(compiler, to, 0);
        if (!a || !b || a->count != b->count) return false;
        for (uint32_t i = 0; i < a->count; i++) {
            if (a->names[i] != b->names[i] || !same_objects(compiler, a->types[i], b->types[i], budget)) return false;
        }
        return true;
    }
    rl_types_t* types = types_of(compiler);
    if (rl_is_open(compiler, from) && rl_is_open(compiler, to)) return true;
    rl_type_node_t x = *rl_type_node(types, from), y = *rl_type_node(types, to);
    if (x.kind != y.kind || x.count != y.count || x.kind < RL_TYPE_SIMPLE_COUNT) return false;
    if ((x.kind == RL_TYPE_NAMED || x.kind == RL_TYPE_ARRAY) && x.a != y.a) return false;
    if (x.kind != RL_TYPE_NAMED && x.kind != RL_TYPE_ARRAY && x.kind != RL_TYPE_TUPLE && x.kind != RL_TYPE_FUNCTION)
        return false;
    for (uint32_t i = 0; i < x.count; i++) {
        if (!same_objects(compiler, rl_type_args(types, from)[i], rl_type_args(types, to)[i], budget)) return false;
    }
    return true;
}

bool rl_same_objects(rl_compiler_t* compiler, rl_type_t from, rl_type_t to) {
    unsigned budget = 200;
    return same_objects(compiler, from, to, &budget);
}

/* --- descriptors -------------------------------------------------------------------------------------------------- */
static rl_str_t arena_text(rl_compiler_t* compiler, rl_str_t text) { return rl_arena_copy(&compiler->arena, text); }

static rl_str_t type_name(rl_compiler_t* compiler, rl_type_t type, const rl_typedef_t* def) {
    if (def) return rl_sym_text(&compiler->program->symbols, def->name);
    rl_buf_t text;
    rl_buf_init(&text, compiler->allocator);
    rl_type_print(compiler->program, type, &text);
    rl_str_t name = arena_text(compiler, rl_buf_str(&text));
    rl_buf_deinit(&text);
    return name;
}

/* The descriptor, made but perhaps not filled in yet (new ones are pushed on `rtypes` and filled in order). */
static rl_rtype_t* rtype_slot(rl_compiler_t* compiler, rl_type_t type) {
    uint32_t known;
    if (rl_map_get(&compiler->rtype_map, type, &known)) return compiler->rtypes.data[known];
    rl_rtype_t* made = rl_arena_alloc(&compiler->arena, sizeof *made);
    if (!made) return NULL;
    made->type = type;
    if (!rl_vec_push(compiler->allocator, &compiler->rtypes, made)) return NULL;
    if (rl_map_put(compiler->allocator, &compiler->rtype_map, type, compiler->rtypes.count - 1)) return made;
    compiler->rtypes.count--;
    return NULL;
}

static bool fill_shape(rl_compiler_t* compiler, rl_type_t type, uint32_t tag, rl_str_t name, rl_rshape_t* shape) {
    const rl_layout_t* layout = rl_layout_of(compiler, type, tag);
    if (!layout) return false;
    rl_rfield_t* fields = rl_arena_alloc(&compiler->arena, sizeof(rl_rfield_t) * layout->count + 1);
    if (!fields) return false;
    for (uint32_t i = 0; i < layout->count; i++) {
        fields[i].name = rl_sym_text(&compiler->program->symbols, layout->names[i]);
        fields[i].slot = layout->slots[i];
        if (!(fields[i].type = rtype_slot(compiler, layout->types[i]))) return false;
    }
    *shape = (rl_rshape_t){.name = name,
        .fields = fields,
        .field_count = (uint16_t)layout->count,
        .refs = layout->refs,
        .words = layout->words,
        .tag = (uint16_t)tag};
    return true;
}

/* Code that makes the text of a value with its own Display or Debug: a closure made by `maker` in the core library. */
static bool fill_text(rl_compiler_t* compiler, rl_type_t type, bool debug, const rl_proto_t** out) {
    rl_impl_fn_t own;
    rl_fn_id_t code = debug ? compiler->program->known.debug_code : compiler->program->known.text_code;
    if (!code || !rl_impl_text(compiler->program, type, debug, &own)) return true;
    *out = rl_instance_of(compiler, code, &type, 1, true, 0);
    return *out != NULL;
}

static bool fill_named(rl_compiler_t* compiler, rl_rtype_t* rtype, const rl_typedef_t* def) {
    rtype->def_kind = def->kind;
    rtype->builtin = def->builtin;
    rtype->is_shown_text = rl_type_node(types_of(compiler), rtype->type)->a == compiler->program->known.shown_text;
    if (def->kind == RL_DEF_BUILTIN || def->kind == RL_DEF_OPAQUE || def->kind == RL_DEF_ALIAS) return true;
    if (def->variant_count > UINT16_MAX) return rl_compile_fail(compiler, RL_CODE_PARSER_LIMIT_EXCEEDED, 0);
    uint32_t first = def->variant_first, count = def->variant_count;
    rl_str_t def_name = rl_sym_text(&compiler->program->symbols, def->name);
    bool is_sum = def->kind == RL_DEF_SUM;
    rtype->is_enum = is_sum && rtype->rep == RL_REP_S;
    rl_rshape_t* shapes = rl_arena_alloc(&compiler->arena, sizeof(rl_rshape_t) * count + 1);
    if (!shapes) return false;
    for (uint32_t i = 0; i < count; i++) {
        rl_variant_t variant = *rl_program_variant(compiler->program, first + i);
        rl_str_t name = is_sum ? rl_sym_text(&compiler->program->symbols, variant.name) : def_name;
        if (!fill_shape(compiler, rtype->type, i, name, &shapes[i])) return false;
        shapes[i].record_payload = (variant.flags & RL_VARIANT_RECORD_PAYLOAD) != 0;
    }
    rtype->shapes = shapes;
    rtype->shape_count = (uint16_t)count;
    if (def->kind == RL_DEF_NEWTYPE && count && shapes[0].field_count) rtype->payload = shapes[0].fields[0].type;
    return true;
}

static bool fill(rl_compiler_t* compiler, rl_rtype_t* rtype) {
    rl_types_t* types = types_of(compiler);
    rl_type_node_t node = *rl_type_node(types, rtype->type);
    const rl_typedef_t* found = rl_named_def(compiler, rtype->type);
    rl_typedef_t def = found ? *found : (rl_typedef_t){0};
    rtype->kind = node.kind == RL_TYPE_OPEN ? RL_TYPE_ANY : node.kind;
    rtype->rep = (uint8_t)rl_rep_of(compiler, rtype->type);
    rtype->element = (uint8_t)rl_element_of(compiler, rtype->type);
    rtype->has_identity = rl_has_identity(compiler, rtype->type);
    rtype->name = type_name(compiler, rtype->type, found ? &def : NULL);
    if (node.count && rl_type_part_step(node.kind) == 1) {
        const rl_rtype_t** args = rl_arena_alloc(&compiler->arena, sizeof(*args) * node.count);
        if (!args) return false;
        for (uint32_t i = 0; i < node.count; i++) {
            if (!(args[i] = rtype_slot(compiler, rl_type_args(types, rtype->type)[i]))) return false;
        }
        rtype->args = args;
        rtype->arg_count = node.count;
    }
    if (node.kind >= RL_TYPE_SIMPLE_COUNT && (!fill_text(compiler, rtype->type, false, &rtype->display) ||
                                                 !fill_text(compiler, rtype->type, true, &rtype->debug)))
        return false;
    if (node.kind == RL_TYPE_NAMED) return fill_named(compiler, rtype, &def);
    if (node.kind != RL_TYPE_TUPLE && node.kind != RL_TYPE_RECORD) return true;
    rl_rshape_t* shape = rl_arena_alloc(&compiler->arena, sizeof *shape);
    rtype->shapes = shape;
    rtype->shape_count = 1;
    return shape && fill_shape(compiler, rtype->type, 0, (rl_str_t){NULL, 0}, shape);
}

const rl_rtype_t* rl_rtype_of(rl_compiler_t* compiler, rl_type_t type) {
    uint32_t first = compiler->rtypes.count;
    rl_rtype_t* rtype = rtype_slot(compiler, type);
    bool ok = rtype != NULL;
    /* A type may reach ever new ones (type T<A> = N(T<List<A>>)); the depth limit of types ends that. */
    for (uint32_t i = first; ok && i < compiler->rtypes.count; i++) {
        ok = fill(compiler, compiler->rtypes.data[i]) && !compiler->allocator->failed;
        if (types_of(compiler)->too_deep) ok = rl_compile_fail(compiler, RL_CODE_TYPE_INSTANTIATION_LIMIT, 0);
    }
    if (ok && (compiler->compiling || rl_compile_pending(compiler))) return rtype;
    rl_forget_rtypes(compiler, first);
    return NULL;
}

void rl_forget_rtypes(rl_compiler_t* compiler, uint32_t count) {
    while (compiler->rtypes.count > count)
        rl_map_remove(&compiler->rtype_map, compiler->rtypes.data[--compiler->rtypes.count]->type);
}

/* --- texts of their own ------------------------------------------------------------------------------------------- */
enum { TEXT_TYPES = 2000 };

bool rl_has_own_text(rl_compiler_t* compiler, rl_type_t type) {
    uint32_t known;
    if (type < RL_TYPE_SIMPLE_COUNT) return type == RL_TYPE_ANY;
    if (rl_map_get(&compiler->text_map, type, &known)) return known;
    rl_map_t seen = {0};
    RL_VEC(rl_type_t) list = {0};
    bool found = !rl_vec_push(compiler->allocator, &list, type);
    for (uint32_t i = 0; i < list.count && !found; i++) {
        rl_type_t part = list.data[i];
        rl_impl_fn_t own;
        if (part == RL_TYPE_ANY || list.count > TEXT_TYPES) found = true;
        if (found || part < RL_TYPE_SIMPLE_COUNT || rl_map_get(&seen, part, &known)) continue;
        found = !rl_map_put(compiler->allocator, &seen, part, 1) ||
                rl_impl_text(compiler->program, part, false, &own) || rl_impl_text(compiler->program, part, true, &own);
        rl_type_node_t node = *rl_type_node(types_of(compiler), part);
        if (node.kind == RL_TYPE_FUNCTION) continue;
        uint32_t words = rl_type_part_words(&node), step = node.kind == RL_TYPE_RECORD ? 2 : 1;
        for (uint32_t k = step - 1; k < words && !found; k += step)
            found = !rl_vec_push(compiler->allocator, &list, rl_type_args(types_of(compiler), part)[k]);
        const rl_typedef_t* def = rl_named_def(compiler, part);
        uint32_t variants = def && def->kind != RL_DEF_BUILTIN ? def->variant_count : 0;
        for (uint32_t tag = 0; tag < variants && !found; tag++) {
            const rl_layout_t* layout = rl_layout_of(compiler, part, tag);
            for (uint32_t k = 0; layout && k < layout->count && !found; k++)
                found = !rl_vec_push(compiler->allocator, &list, layout->types[k]);
            if (!layout) found = true;
        }
    }
    rl_vec_deinit(compiler->allocator, &list);
    rl_map_deinit(compiler->allocator, &seen);
    (void)rl_map_put(compiler->allocator, &compiler->text_map, type, found);
    return found;
}
