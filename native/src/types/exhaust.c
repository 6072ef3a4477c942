#include "types/exhaust.h"

/*
 * One question answers both checks: is there a row of values that the *query* (a row of patterns) matches and no row
 * of the *matrix* does? For redundancy the query is the arm and the matrix the arms before it; for exhaustiveness the
 * query is `_` and the values found are written down as witnesses. (Maranget, "Warnings for pattern matching", 2007.)
 *
 * search() takes one column apart: for each constructor that the column's type has, the rows that may match it are
 * kept with the constructor's parts as new columns. Constructors that no row names all behave alike: they are tried
 * at once with the rows that have `_` there, and when these rows cover everything, so does the whole matrix.
 *
 * All matrices live on one stack of words (`cells`), addressed by offset because it moves. A cell is a pattern node
 * without names around it (simple()), 0 for `_`.
 */
#define WORK_BUDGET    8000000u /* words looked at in each of the two checks */
#define DEPTH_LIMIT    500u
#define WIDTH_LIMIT    8192u
#define MOST_WITNESSES 5u

typedef enum witness_kind { WITNESS_ANY, WITNESS_PARTS, WITNESS_RANGE, WITNESS_LIST } witness_kind_t;
typedef struct witness {
    uint32_t kind; /* witness_kind_t */
    rl_type_t type;
    uint32_t tag;          /* PARTS */
    uint32_t first, count; /* PARTS, LIST: in checker.witness_parts */
    uint32_t suffix;       /* LIST: so many of the parts stand behind the rest */
    bool open;             /* LIST: has a rest */
    uint64_t low, high;    /* RANGE */
} witness_t;

typedef struct segment {
    uint64_t low, high;
    bool present; /* some row has a range there */
} segment_t;
typedef struct event {
    uint64_t at;
    int32_t change;
} event_t;

typedef struct checker {
    rl_solver_t* solver;
    rl_program_t* program;
    rl_allocator_t* allocator;
    RL_VEC(uint32_t) cells;
    RL_VEC(uint32_t) pending;        /* alternatives still to be taken apart */
    RL_VEC(uint32_t) prefix, suffix; /* of the slice looked at last; suffix in reverse */
    RL_VEC(event_t) events;
    RL_VEC(segment_t) segments;
    RL_VEC(witness_t) witnesses; /* [0] is `_` */
    RL_VEC(uint32_t) witness_parts;
    RL_VEC(uint32_t) results; /* rows of witnesses */
    uint64_t work;
    bool want;    /* write witnesses down */
    bool gave_up; /* the current question has no answer */
} checker_t;

typedef struct level {
    uint32_t rows, count; /* offset in cells; count * width words */
    uint32_t query, types;
    uint32_t width;
    uint32_t limit; /* answers wanted, at least one */
} level_t;

typedef enum shape_kind {
    SHAPE_UNKNOWN,
    SHAPE_FINITE,  /* `count` constructors */
    SHAPE_INTEGER, /* ranges of low … high */
    SHAPE_LIST,    /* by length */
    SHAPE_OPEN     /* more values than one can name */
} shape_kind_t;
typedef struct shape {
    shape_kind_t kind;
    rl_type_t type;
    uint8_t type_kind;
    uint32_t count;
    uint64_t low, high;
    const rl_typedef_t* def; /* of NAMED; typedefs do not move while we work */
} shape_t;

typedef struct constructor {
    uint32_t tag; /* FINITE; LIST: length, where the last stands for all longer ones too */
    uint32_t arity;
    uint64_t low, high;
    rl_ir_t constant;
} constructor_t;

static void give_up(checker_t* c) { c->gave_up = true; }
static void spend(checker_t* c, uint64_t words) {
    c->work += words;
    if (c->work > WORK_BUDGET) give_up(c);
}

static uint32_t new_cells(checker_t* c, uint32_t count) {
    spend(c, count);
    if (c->gave_up || !rl_vec_reserve(c->allocator, &c->cells, count)) {
        give_up(c);
        return 0;
    }
    uint32_t offset = c->cells.count;
    c->cells.count += count;
    return offset;
}

static const rl_ir_node_t* node_of(const checker_t* c, rl_ir_t id) { return rl_program_node(c->program, id); }

/* Without names around it; `_` is 0. */
static rl_ir_t simple(const checker_t* c, rl_ir_t id) {
    while (id) {
        const rl_ir_node_t* node = node_of(c, id);
        if (node->op == RL_PAT_WILDCARD) return 0;
        if (node->op == RL_PAT_ACTIVE && (node->flags & RL_PAT_ACTIVE_COVERS)) return 0;
        if (node->op != RL_PAT_BIND) break;
        id = node->b;
    }
    return id;
}

/* --- types ------------------------------------------------------------------------------------------------ */

static uint64_t ordered(bool is_signed, uint64_t value) { /* so that unsigned comparison gives the type's order */
    return is_signed ? value ^ ((uint64_t)1 << 63) : value;
}
static bool has_sign(rl_type_t type) { return rl_type_is_signed(type) || type == RL_TYPE_DURATION; }

static shape_t shape_of(checker_t* c, rl_type_t type) {
    type = rl_solver_head(c->solver, type);
    const rl_type_node_t* node = rl_type_node(&c->program->types, type);
    shape_t shape = {.kind = SHAPE_OPEN, .type = type, .type_kind = node->kind, .count = 1};
    switch ((rl_type_kind_t)node->kind) {
    case RL_TYPE_ERROR:
    case RL_TYPE_VAR: shape.kind = SHAPE_UNKNOWN; break;
    case RL_TYPE_NEVER:
        shape.kind = SHAPE_FINITE;
        shape.count = 0;
        break;
    case RL_TYPE_BOOL:
        shape.count = 2;
        shape.kind = SHAPE_FINITE;
        break;
    case RL_TYPE_UNIT:
    case RL_TYPE_TUPLE:
    case RL_TYPE_RECORD:
    case RL_TYPE_OPEN:
    case RL_TYPE_ARRAY: shape.kind = SHAPE_FINITE; break;
    case RL_TYPE_CHAR:
        shape.kind = SHAPE_INTEGER;
        shape.high = 0x10FFFF;
        break;
    case RL_TYPE_I8:
    case RL_TYPE_I16:
    case RL_TYPE_I32:
    case RL_TYPE_I64:
    case RL_TYPE_DURATION: {
        unsigned bits = type == RL_TYPE_DURATION ? 64 : 8u << (type - RL_TYPE_I8);
        uint64_t half = (uint64_t)1 << (bits - 1);
        shape.kind = SHAPE_INTEGER;
        shape.low = ordered(true, 0 - half);
        shape.high = ordered(true, half - 1);
        break;
    }
    case RL_TYPE_U8:
    case RL_TYPE_U16:
    case RL_TYPE_U32:
    case RL_TYPE_U64:
        shape.kind = SHAPE_INTEGER;
        shape.high = UINT64_MAX >> (64 - (8u << (type - RL_TYPE_U8)));
        break;
    case RL_TYPE_NAMED:
        shape.def = rl_program_typedef(c->program, node->a);
        switch ((rl_typedef_kind_t)shape.def->kind) {
        case RL_DEF_SUM:
            shape.kind = SHAPE_FINITE;
            shape.count = shape.def->variant_count;
            break;
        case RL_DEF_RECORD:
        case RL_DEF_STRUCT:
        case RL_DEF_NEWTYPE: shape.kind = shape.def->variant_count == 1 ? SHAPE_FINITE : SHAPE_UNKNOWN; break;
        case RL_DEF_BUILTIN:
            if (shape.def->builtin == RL_BUILTIN_LIST || shape.def->builtin == RL_BUILTIN_VEC) shape.kind = SHAPE_LIST;
            break;
        default: break;
        }
        break;
    default: break;
    }
    return shape;
}

static bool has_pairs(const shape_t* shape) {
    return shape->type_kind == RL_TYPE_RECORD || shape->type_kind == RL_TYPE_OPEN;
}

static uint32_t arity_of(const checker_t* c, const shape_t* shape, uint32_t tag) {
    if (shape->kind == SHAPE_LIST) return tag;
    if (shape->kind != SHAPE_FINITE) return 0;
    switch ((rl_type_kind_t)shape->type_kind) {
    case RL_TYPE_TUPLE:
    case RL_TYPE_RECORD:
    case RL_TYPE_OPEN: return rl_type_node(&c->program->types, shape->type)->count;
    case RL_TYPE_ARRAY: return rl_type_node(&c->program->types, shape->type)->a;
    case RL_TYPE_NAMED: return rl_program_variant(c->program, shape->def->variant_first + tag)->field_count;
    default: return 0;
    }
}

static rl_type_t part_type(checker_t* c, const shape_t* shape, uint32_t tag, uint32_t index) {
    const uint32_t* args = rl_type_args(&c->program->types, shape->type);
    if (shape->kind == SHAPE_LIST || shape->type_kind == RL_TYPE_ARRAY) return args[0];
    if (shape->type_kind == RL_TYPE_TUPLE) return args[index];
    if (has_pairs(shape)) return args[2 * index + 1];
    return rl_type_payload(c->program, shape->type, tag, index);
}

/* Are there values of this constructor at all, as far as its parts show at once? */
static bool inhabited(checker_t* c, const shape_t* shape, uint32_t tag) {
    uint32_t arity = arity_of(c, shape, tag);
    if (arity && (shape->kind == SHAPE_LIST || shape->type_kind == RL_TYPE_ARRAY)) arity = 1; /* all of one type */
    spend(c, arity);
    for (uint32_t i = 0; i < arity; i++) {
        shape_t part = shape_of(c, part_type(c, shape, tag, i));
        if (part.kind == SHAPE_FINITE && part.count == 0) return false;
    }
    return true;
}

/* --- patterns --------------------------------------------------------------------------------------------- */

static bool constant_value(const checker_t* c, rl_ir_t constant, bool is_signed, uint64_t* out_value) {
    const rl_ir_node_t* node = node_of(c, constant);
    *out_value = ordered(is_signed, (uint64_t)node->b << 32 | node->a);
    return node->op == RL_IR_INT;
}

/* The values of an integer pattern; false: none, or not a plain range. */
static bool range_of(const checker_t* c, const shape_t* shape, rl_ir_t pattern, uint64_t* low, uint64_t* high) {
    const rl_ir_node_t node = *node_of(c, pattern);
    bool is_signed = has_sign(shape->type);
    *low = shape->low;
    *high = shape->high;
    if (node.op == RL_PAT_CONST) {
        if (!constant_value(c, node.a, is_signed, low)) return false;
        *high = *low;
    } else if (node.op == RL_PAT_RANGE) {
        if (node.a && !constant_value(c, node.a, is_signed, low)) return false;
        if (node.b && !constant_value(c, node.b, is_signed, high)) return false;
        if (node.b && !(node.flags & 1)) {
            if (*high == 0) return false;
            --*high;
        }
    } else {
        return false;
    }
    if (*low < shape->low) *low = shape->low;
    if (*high > shape->high) *high = shape->high;
    return *low <= *high;
}

/* A slice taken apart into c->prefix and c->suffix; a rest that is itself a slice is put in its place. */
typedef struct slice {
    bool rest;    /* any number of further elements between them */
    bool unclear; /* the rest is matched against something else: the pattern covers nothing for sure */
} slice_t;
static slice_t read_slice(checker_t* c, rl_ir_t pattern) {
    slice_t slice = {false, false};
    c->prefix.count = c->suffix.count = 0;
    for (;;) {
        const rl_ir_node_t node = *node_of(c, pattern);
        const uint32_t* parts = rl_program_extra(c->program, node.a);
        uint32_t before = node.c ? node.c - 1 : node.b;
        spend(c, node.b + 1);
        if (!rl_vec_reserve(c->allocator, &c->prefix, node.b) || !rl_vec_reserve(c->allocator, &c->suffix, node.b))
            give_up(c);
        if (c->gave_up) return slice;
        for (uint32_t i = 0; i < before; i++) (void)rl_vec_push(c->allocator, &c->prefix, parts[i]);
        if (node.c == 0) return slice;
        for (uint32_t i = node.b; i > node.c; i--) (void)rl_vec_push(c->allocator, &c->suffix, parts[i - 1]);
        pattern = simple(c, parts[node.c - 1]);
        if (pattern && node_of(c, pattern)->op == RL_PAT_SLICE) continue;
        slice.rest = true;
        slice.unclear = pattern != 0;
        return slice;
    }
}

/* A slice against lists of `length`; the elements' patterns go to cells[out]. */
static bool slice_fits(checker_t* c, rl_ir_t pattern, uint32_t length, uint32_t out) {
    slice_t slice = read_slice(c, pattern);
    uint32_t fixed = c->prefix.count + c->suffix.count;
    if (c->gave_up || slice.unclear || length < fixed || (length > fixed && !slice.rest)) return false;
    for (uint32_t i = 0; i < length; i++) {
        uint32_t from_end = length - 1 - i;
        rl_ir_t part = i < c->prefix.count          ? c->prefix.data[i]
                       : from_end < c->suffix.count ? c->suffix.data[from_end]
                                                    : 0;
        c->cells.data[out + i] = simple(c, part);
    }
    return true;
}

static uint32_t field_index(const checker_t* c, const shape_t* shape, uint32_t arity, rl_sym_t name) {
    for (uint32_t i = 0; i < arity; i++) {
        rl_sym_t field = has_pairs(shape)
                             ? rl_type_args(&c->program->types, shape->type)[2 * i]
                             : rl_program_field(c->program,
                                   rl_program_variant(c->program, shape->def->variant_first)->field_first + i)
                                   ->name;
        if (field == name) return i;
    }
    return arity;
}

/* Constructor of a pattern among those of a finite type; shape->count when it is none of them. */
static uint32_t tag_of(const checker_t* c, const shape_t* shape, rl_ir_t pattern) {
    const rl_ir_node_t* node = node_of(c, pattern);
    uint64_t value;
    switch (node->op) {
    case RL_PAT_CONST:
        if (shape->type_kind == RL_TYPE_UNIT) return 0;
        return constant_value(c, node->a, false, &value) && value < shape->count ? (uint32_t)value : shape->count;
    case RL_PAT_VARIANT: return node->c < shape->count ? node->c : shape->count;
    case RL_PAT_TUPLE:
    case RL_PAT_RECORD:
    case RL_PAT_SLICE: return 0;
    default: return shape->count;
    }
}

static bool same_constant(const checker_t* c, rl_ir_t a, rl_ir_t b) {
    const rl_ir_node_t* x = node_of(c, a);
    const rl_ir_node_t* y = node_of(c, b);
    if (x->op != y->op || x->type != y->type) return false;
    if (x->op == RL_IR_STRING || x->op == RL_IR_BYTES) {
        return rl_str_equal(rl_program_string(c->program, x->a), rl_program_string(c->program, y->a));
    }
    if (x->op == RL_IR_FLOAT) {
        uint64_t p = (uint64_t)x->b << 32 | x->a, q = (uint64_t)y->b << 32 | y->a;
        double u, v;
        memcpy(&u, &p, sizeof u);
        memcpy(&v, &q, sizeof v);
        return u == v;
    }
    return x->a == y->a && x->b == y->b;
}

/* May `cell` match values of the constructor? Its parts go to cells[out …]. */
static bool fits(checker_t* c, const shape_t* shape, const constructor_t* k, rl_ir_t cell, uint32_t out) {
    uint64_t low, high;
    if (cell == 0) {
        if (k->arity) memset(c->cells.data + out, 0, (size_t)k->arity * sizeof(uint32_t));
        return true;
    }
    const rl_ir_node_t node = *node_of(c, cell);
    switch (shape->kind) {
    case SHAPE_INTEGER: return range_of(c, shape, cell, &low, &high) && low <= k->low && high >= k->high;
    case SHAPE_LIST: return node.op == RL_PAT_SLICE && slice_fits(c, cell, k->tag, out);
    case SHAPE_OPEN: return node.op == RL_PAT_CONST && k->constant && same_constant(c, node.a, k->constant);
    default: break;
    }
    if (tag_of(c, shape, cell) != k->tag) return false;
    switch (node.op) {
    case RL_PAT_CONST: return k->arity == 0;
    case RL_PAT_SLICE: return shape->type_kind == RL_TYPE_ARRAY && slice_fits(c, cell, k->arity, out);
    case RL_PAT_VARIANT:
    case RL_PAT_TUPLE:
        if (node.b != k->arity) break;
        for (uint32_t i = 0; i < k->arity; i++)
            c->cells.data[out + i] = simple(c, rl_program_extra(c->program, node.a)[i]);
        return true;
    case RL_PAT_RECORD:
        if (shape->def && shape->def->kind == RL_DEF_NEWTYPE && k->arity == 1) { /* fields of what it wraps */
            c->cells.data[out] = cell;
            return true;
        }
        if (shape->def && shape->def->kind == RL_DEF_SUM) break;
        if (!has_pairs(shape) && !shape->def) break;
        spend(c, (uint64_t)node.b * k->arity);
        if (k->arity) memset(c->cells.data + out, 0, (size_t)k->arity * sizeof(uint32_t));
        for (uint32_t i = 0; i < node.b && !c->gave_up; i++) {
            const uint32_t* pair = rl_program_extra(c->program, node.a + 2 * i);
            uint32_t index = field_index(c, shape, k->arity, pair[0]);
            if (index == k->arity) give_up(c);
            else c->cells.data[out + index] = simple(c, pair[1]);
        }
        return !c->gave_up;
    default: break;
    }
    give_up(c); /* patterns and type do not belong together: an error was reported elsewhere */
    return false;
}

/* --- matrices --------------------------------------------------------------------------------------------- */

/* Write row `from` with its cell at `column` replaced by the constructor's parts to `to`; false: it cannot match. */
static bool take_apart(checker_t* c, const level_t* l, uint32_t from, uint32_t column, const shape_t* shape,
    const constructor_t* k, uint32_t to) {
    uint32_t* cells = c->cells.data;
    uint32_t behind = l->width - column - 1;
    if (column) memcpy(cells + to, cells + from, (size_t)column * sizeof(uint32_t));
    if (behind) memcpy(cells + to + column + k->arity, cells + from + column + 1, (size_t)behind * sizeof(uint32_t));
    return fits(c, shape, k, cells[from + column], to + column);
}

/* The matrix for one constructor of a column. With `only_wild` just the rows (and no parts) that have `_` there. */
static bool narrow(checker_t* c, const level_t* l, uint32_t column, const shape_t* shape, const constructor_t* k,
    bool only_wild, level_t* out) {
    if (k->arity > WIDTH_LIMIT || l->width + k->arity > WIDTH_LIMIT) give_up(c);
    if (c->gave_up) return false;
    uint32_t width = l->width - 1 + k->arity;
    *out = (level_t){.width = width, .limit = l->limit};
    out->types = new_cells(c, width);
    out->query = new_cells(c, width);
    if (c->gave_up) return false;
    if (column) memcpy(c->cells.data + out->types, c->cells.data + l->types, (size_t)column * sizeof(uint32_t));
    for (uint32_t i = 0; i < k->arity; i++) c->cells.data[out->types + column + i] = part_type(c, shape, k->tag, i);
    for (uint32_t i = column + 1; i < l->width; i++)
        c->cells.data[out->types + i - 1 + k->arity] = c->cells.data[l->types + i];
    rl_ir_t asked = c->cells.data[l->query + column];
    if (only_wild) c->cells.data[l->query + column] = 0; /* whatever it demands there, these rows do not care */
    bool possible = take_apart(c, l, l->query, column, shape, k, out->query);
    c->cells.data[l->query + column] = asked;
    if (!possible) return false;
    out->rows = c->cells.count;
    for (uint32_t i = 0; i < l->count && !c->gave_up; i++) {
        uint32_t from = l->rows + i * l->width;
        spend(c, 1);
        if (only_wild && c->cells.data[from + column] != 0) continue;
        uint32_t to = new_cells(c, width);
        if (c->gave_up) break;
        if (take_apart(c, l, from, column, shape, k, to)) out->count++;
        else c->cells.count = to;
    }
    return !c->gave_up;
}

/* Rows with an or-pattern in the column become one row for each alternative. */
static void split_alternatives(checker_t* c, level_t* l, uint32_t column) {
    bool any = false;
    spend(c, l->count);
    for (uint32_t i = 0; i < l->count && !any; i++) {
        rl_ir_t cell = c->cells.data[l->rows + i * l->width + column];
        any = cell && node_of(c, cell)->op == RL_PAT_OR;
    }
    if (!any) return;
    uint32_t rows = c->cells.count, count = 0, bottom = c->pending.count;
    for (uint32_t i = 0; i < l->count && !c->gave_up; i++) {
        uint32_t from = l->rows + i * l->width;
        if (!rl_vec_push(c->allocator, &c->pending, c->cells.data[from + column])) give_up(c);
        while (c->pending.count > bottom && !c->gave_up) {
            rl_ir_t cell = simple(c, rl_vec_pop(&c->pending));
            const rl_ir_node_t node = *node_of(c, cell);
            if (cell && node.op == RL_PAT_OR) {
                spend(c, node.b);
                for (uint32_t j = node.b; j-- > 0 && !c->gave_up;) {
                    if (!rl_vec_push(c->allocator, &c->pending, rl_program_extra(c->program, node.a)[j])) give_up(c);
                }
                continue;
            }
            uint32_t to = new_cells(c, l->width);
            if (c->gave_up) break;
            memcpy(c->cells.data + to, c->cells.data + from, (size_t)l->width * sizeof(uint32_t));
            c->cells.data[to + column] = cell;
            count++;
        }
    }
    c->pending.count = bottom;
    l->rows = rows;
    l->count = count;
}

/* --- witnesses -------------------------------------------------------------------------------------------- */

static uint32_t add_witness(checker_t* c, witness_t witness) {
    if (!rl_vec_push(c->allocator, &c->witnesses, witness)) {
        give_up(c);
        return 0;
    }
    return c->witnesses.count - 1;
}

/* A constructor with these parts; NULL: all `_`. Lists are told apart as `list` says (search_list). */
static uint32_t add_parts(
    checker_t* c, const shape_t* shape, const constructor_t* k, const level_t* list, const uint32_t* parts) {
    witness_t witness = {
        .kind = WITNESS_PARTS, .type = shape->type, .tag = k->tag, .first = c->witness_parts.count, .count = k->arity};
    if (shape->kind == SHAPE_INTEGER) {
        witness.kind = WITNESS_RANGE;
        witness.low = k->low;
        witness.high = k->high;
    } else if (shape->kind == SHAPE_LIST) {
        witness.kind = WITNESS_LIST;
        witness.open = k->tag == list->count;
        witness.suffix = list->width;
    } else if (shape->kind == SHAPE_OPEN) {
        return 0;
    }
    for (uint32_t i = 0; i < k->arity; i++) {
        if (!rl_vec_push(c->allocator, &c->witness_parts, parts ? parts[i] : 0)) give_up(c);
    }
    return add_witness(c, witness);
}

/* Append a row of results made of the words at `from` with `take` of them from `column` on replaced by one witness. */
static void add_result(checker_t* c, uint32_t from, uint32_t width, uint32_t column, uint32_t take, uint32_t witness) {
    if (!rl_vec_reserve(c->allocator, &c->results, width + 1)) {
        give_up(c);
        return;
    }
    for (uint32_t i = 0; i < column; i++) c->results.data[c->results.count++] = c->results.data[from + i];
    c->results.data[c->results.count++] = witness;
    for (uint32_t i = column + take; i < width; i++) c->results.data[c->results.count++] = c->results.data[from + i];
}

/* Rows appended behind `start + old_words` take the place of the `old_words` at `start`. */
static void replace_results(checker_t* c, uint32_t start, uint32_t old_words) {
    uint32_t fresh = c->results.count - start - old_words;
    if (fresh) memmove(c->results.data + start, c->results.data + start + old_words, (size_t)fresh * sizeof(uint32_t));
    c->results.count = start + fresh;
}

/* --- the search ------------------------------------------------------------------------------------------- */

static uint32_t search(checker_t* c, level_t l, unsigned depth);

/* No row is left: is there any value at all? */
static uint32_t all_missing(checker_t* c, const level_t* l) {
    spend(c, l->width);
    for (uint32_t i = 0; i < l->width; i++) {
        shape_t shape = shape_of(c, c->cells.data[l->types + i]);
        if (shape.kind == SHAPE_FINITE && shape.count == 0) return 0;
    }
    for (uint32_t i = 0; i < l->width && c->want; i++) {
        if (!rl_vec_push(c->allocator, &c->results, 0)) give_up(c);
    }
    return c->gave_up ? 0 : 1;
}

/* Values of one constructor. */
static uint32_t search_constructor(checker_t* c, const level_t* l, uint32_t column, const shape_t* shape,
    const constructor_t* k, const level_t* list, unsigned depth) {
    uint32_t cells = c->cells.count, start = c->results.count, found = 0;
    level_t next;
    if (narrow(c, l, column, shape, k, false, &next)) found = search(c, next, depth + 1);
    c->cells.count = cells;
    if (!c->want || found == 0 || c->gave_up) return found;
    uint32_t words = c->results.count - start;
    for (uint32_t i = 0; i < found && !c->gave_up; i++) {
        uint32_t from = start + i * next.width;
        uint32_t witness = add_parts(c, shape, k, list, c->results.data + from + column);
        add_result(c, from, next.width, column, k->arity, witness);
    }
    replace_results(c, start, words);
    return found;
}

/*
 * Values of all constructors that no row names, found with the rows that have `_`. `named` lists the constructors for
 * the witnesses; NULL: the witness is `_`. None found: these rows cover everything, so the whole matrix does.
 */
static uint32_t search_missing(checker_t* c, const level_t* l, uint32_t column, const shape_t* shape,
    const constructor_t* named, uint32_t named_count, const level_t* list, unsigned depth) {
    uint32_t cells = c->cells.count, start = c->results.count, found = 0;
    constructor_t none = {.arity = 0};
    level_t next;
    if (narrow(c, l, column, shape, &none, true, &next)) found = search(c, next, depth + 1);
    c->cells.count = cells;
    if (!c->want || found == 0 || c->gave_up) return found;
    uint32_t words = c->results.count - start, total = 0;
    for (uint32_t i = 0; i < (named ? named_count : 1) && total < l->limit; i++) {
        for (uint32_t j = 0; j < found && total < l->limit && !c->gave_up; j++, total++) {
            uint32_t witness = named ? add_parts(c, shape, &named[i], list, NULL) : 0;
            add_result(c, start + j * next.width, next.width, column, 0, witness);
        }
    }
    replace_results(c, start, words);
    return total;
}

/*
 * Constructors 0 … count-1, of which those with a nonzero word at cells[present] are named by rows. The query allows
 * those with a nonzero word at cells[allowed].
 */
static uint32_t search_set(checker_t* c, const level_t* l, uint32_t column, const shape_t* shape, uint32_t count,
    uint32_t present, uint32_t allowed, const level_t* list, unsigned depth) {
    constructor_t named[MOST_WITNESSES];
    uint32_t named_count = 0, found = 0;
    bool any_present = false, any_missing = false;
    spend(c, count);
    for (uint32_t tag = 0; tag < count && !c->gave_up; tag++) {
        if (c->cells.data[present + tag]) any_present = true;
        else if (c->cells.data[allowed + tag] && inhabited(c, shape, tag)) {
            any_missing = true;
            if (named_count < MOST_WITNESSES)
                named[named_count++] = (constructor_t){.tag = tag, .arity = arity_of(c, shape, tag)};
        }
    }
    if (any_missing) {
        found = search_missing(c, l, column, shape, any_present ? named : NULL, named_count, list, depth);
        if (found == 0) return 0;
    }
    for (uint32_t tag = 0; tag < count && found < l->limit && !c->gave_up; tag++) {
        if (!c->cells.data[present + tag] || !c->cells.data[allowed + tag]) continue;
        constructor_t k = {.tag = tag, .arity = arity_of(c, shape, tag)};
        level_t rest = *l;
        rest.limit = l->limit - found;
        found += search_constructor(c, &rest, column, shape, &k, list, depth);
    }
    return found;
}

static uint32_t search_finite(checker_t* c, const level_t* l, uint32_t column, const shape_t* shape, unsigned depth) {
    rl_ir_t asked = c->cells.data[l->query + column];
    uint32_t only = asked ? tag_of(c, shape, asked) : shape->count;
    if (only < shape->count) {
        constructor_t k = {.tag = only, .arity = arity_of(c, shape, only)};
        return search_constructor(c, l, column, shape, &k, NULL, depth);
    }
    c->cells.data[l->query + column] = 0; /* `_`, or an active pattern: may match anything */
    uint32_t present = new_cells(c, shape->count), allowed = new_cells(c, shape->count);
    if (c->gave_up) return 0;
    for (uint32_t tag = 0; tag < shape->count; tag++) {
        c->cells.data[present + tag] = 0;
        c->cells.data[allowed + tag] = 1;
    }
    for (uint32_t i = 0; i < l->count; i++) {
        rl_ir_t cell = c->cells.data[l->rows + i * l->width + column];
        uint32_t tag = cell ? tag_of(c, shape, cell) : shape->count;
        if (tag < shape->count) c->cells.data[present + tag] = 1;
    }
    uint32_t found = search_set(c, l, column, shape, shape->count, present, allowed, NULL, depth);
    c->cells.data[l->query + column] = asked;
    return found;
}

/*
 * Lists are told apart by length up to the one from which on every pattern sees the same thing: longer than each fixed
 * pattern, long enough for the longest prefix and suffix. A list of that length stands for all longer ones. (In `list`:
 * count = that length, width = longest suffix.)
 */
static uint32_t search_list(checker_t* c, const level_t* l, uint32_t column, const shape_t* shape, unsigned depth) {
    rl_ir_t asked = c->cells.data[l->query + column];
    if (asked && node_of(c, asked)->op != RL_PAT_SLICE) asked = 0;
    uint32_t fixed = 0, prefix = 0, suffix = 0;
    for (uint32_t i = 0; i <= l->count && !c->gave_up; i++) {
        rl_ir_t cell = i == l->count ? asked : c->cells.data[l->rows + i * l->width + column];
        if (!cell || node_of(c, cell)->op != RL_PAT_SLICE) continue;
        slice_t slice = read_slice(c, cell);
        uint32_t length = c->prefix.count + c->suffix.count;
        if (!slice.rest && length + 1 > fixed) fixed = length + 1;
        if (slice.rest && c->prefix.count > prefix) prefix = c->prefix.count;
        if (slice.rest && c->suffix.count > suffix) suffix = c->suffix.count;
    }
    level_t list = {.count = fixed > prefix + suffix ? fixed : prefix + suffix, .width = suffix};
    if (list.count > WIDTH_LIMIT) give_up(c);
    if (c->gave_up) return 0;
    uint32_t lengths = list.count + 1, present = new_cells(c, lengths), allowed = new_cells(c, lengths);
    if (c->gave_up) return 0;
    for (uint32_t n = 0; n < lengths; n++) {
        c->cells.data[present + n] = 0;
        c->cells.data[allowed + n] = asked == 0;
    }
    for (uint32_t i = 0; i <= l->count && !c->gave_up; i++) {
        rl_ir_t cell = i == l->count ? asked : c->cells.data[l->rows + i * l->width + column];
        if (!cell || node_of(c, cell)->op != RL_PAT_SLICE) continue;
        slice_t slice = read_slice(c, cell);
        if (slice.unclear && i < l->count) continue;
        uint32_t length = c->prefix.count + c->suffix.count, set = i == l->count ? allowed : present;
        spend(c, lengths);
        for (uint32_t n = length; n < (slice.rest ? lengths : length + 1); n++) c->cells.data[set + n] = 1;
    }
    rl_ir_t written = c->cells.data[l->query + column];
    if (asked && read_slice(c, asked).unclear) asked = 0; /* its elements cannot be followed */
    c->cells.data[l->query + column] = asked;
    uint32_t found = search_set(c, l, column, shape, lengths, present, allowed, &list, depth);
    c->cells.data[l->query + column] = written;
    return found;
}

static void sift_down(event_t* events, uint32_t at, uint32_t count) {
    event_t moving = events[at];
    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && events[child].at < events[child + 1].at) child++;
        if (moving.at >= events[child].at) break;
        events[at] = events[child];
    }
    events[at] = moving;
}

static void add_range(checker_t* c, uint64_t low, uint64_t high, uint64_t last, int32_t weight) {
    bool fine = rl_vec_push(c->allocator, &c->events, (event_t){low, weight});
    if (fine && high < last) fine = rl_vec_push(c->allocator, &c->events, (event_t){high + 1, -weight});
    if (!fine) give_up(c);
}

/* Cut low … high where the rows' ranges begin and end; pushes onto c->segments. */
static void cut(checker_t* c, const level_t* l, uint32_t column, const shape_t* shape, uint64_t low, uint64_t high) {
    uint32_t bottom = c->events.count;
    add_range(c, low, high, high, 0);
    if (shape->type_kind == RL_TYPE_CHAR && low <= 0xDFFF && high >= 0xD800)
        add_range(c, low > 0xD800 ? low : 0xD800, high < 0xDFFF ? high : 0xDFFF, high, 0);
    for (uint32_t i = 0; i < l->count && !c->gave_up; i++) {
        rl_ir_t cell = c->cells.data[l->rows + i * l->width + column];
        uint64_t from, to;
        spend(c, 1);
        if (!cell || !range_of(c, shape, cell, &from, &to) || from > high || to < low) continue;
        add_range(c, from < low ? low : from, to > high ? high : to, high, 1);
    }
    if (c->gave_up) {
        c->events.count = bottom;
        return;
    }
    event_t* events = c->events.data + bottom;
    uint32_t count = c->events.count - bottom;
    spend(c, (uint64_t)count * 4);
    for (uint32_t i = count / 2; i-- > 0;) sift_down(events, i, count);
    for (uint32_t last = count; last-- > 1;) {
        event_t swap = events[last];
        events[last] = events[0];
        events[0] = swap;
        sift_down(events, 0, last);
    }
    int64_t covering = 0;
    for (uint32_t i = 0; i < count && !c->gave_up; i++) {
        covering += events[i].change;
        if (i + 1 < count && events[i + 1].at == events[i].at) continue;
        segment_t segment = {events[i].at, i + 1 < count ? events[i + 1].at - 1 : high, covering > 0};
        bool surrogates = shape->type_kind == RL_TYPE_CHAR && segment.low >= 0xD800 && segment.high <= 0xDFFF;
        if (!surrogates && !rl_vec_push(c->allocator, &c->segments, segment)) give_up(c);
    }
    c->events.count = bottom;
}

static uint32_t search_integer(checker_t* c, const level_t* l, uint32_t column, const shape_t* shape, unsigned depth) {
    rl_ir_t asked = c->cells.data[l->query + column];
    uint64_t low = shape->low, high = shape->high;
    if (asked) {
        unsigned op = node_of(c, asked)->op;
        if (op == RL_PAT_CONST || op == RL_PAT_RANGE) {
            if (!range_of(c, shape, asked, &low, &high)) return 0; /* empty */
        }
        c->cells.data[l->query + column] = 0;
    }
    uint32_t bottom = c->segments.count, found = 0, named_count = 0;
    constructor_t named[MOST_WITNESSES];
    bool any_present = false, any_missing = false;
    cut(c, l, column, shape, low, high);
    for (uint32_t i = bottom; i < c->segments.count; i++) {
        segment_t segment = c->segments.data[i];
        if (segment.present) any_present = true;
        else {
            any_missing = true;
            if (named_count < MOST_WITNESSES)
                named[named_count++] = (constructor_t){.low = segment.low, .high = segment.high};
        }
    }
    if (any_missing && !c->gave_up)
        found = search_missing(c, l, column, shape, any_present ? named : NULL, named_count, NULL, depth);
    if (!any_missing || found > 0) {
        for (uint32_t i = bottom; i < c->segments.count && found < l->limit && !c->gave_up; i++) {
            if (!c->segments.data[i].present) continue;
            constructor_t k = {.low = c->segments.data[i].low, .high = c->segments.data[i].high};
            level_t rest = *l;
            rest.limit = l->limit - found;
            found += search_constructor(c, &rest, column, shape, &k, NULL, depth);
        }
    }
    c->segments.count = bottom;
    c->cells.data[l->query + column] = asked;
    return found;
}

static uint32_t search_open(checker_t* c, const level_t* l, uint32_t column, const shape_t* shape, unsigned depth) {
    rl_ir_t asked = c->cells.data[l->query + column];
    if (asked && node_of(c, asked)->op == RL_PAT_CONST) {
        constructor_t k = {.constant = node_of(c, asked)->a};
        return search_constructor(c, l, column, shape, &k, NULL, depth);
    }
    return search_missing(c, l, column, shape, NULL, 0, NULL, depth);
}

/*
 * A record pattern on a type that is not known, only that it has certain fields (an inferred open record): what the
 * patterns look at is all that counts, so the column is taken for a record of just those fields.
 */
static void read_inferred_record(checker_t* c, const level_t* l, uint32_t column) {
    rl_type_t type = rl_solver_head(c->solver, c->cells.data[l->types + column]);
    rl_type_kind_t kind = rl_type_kind(&c->program->types, type);
    if (kind != RL_TYPE_PARAM && kind != RL_TYPE_VAR) return;
    uint32_t bottom = c->pending.count, count = 0;
    bool any = false;
    for (uint32_t i = 0; i <= l->count && !c->gave_up; i++) {
        rl_ir_t cell = c->cells.data[i == l->count ? l->query + column : l->rows + i * l->width + column];
        if (!cell || node_of(c, cell)->op != RL_PAT_RECORD) continue;
        const rl_ir_node_t node = *node_of(c, cell);
        any = true;
        for (uint32_t k = 0; k < node.b && !c->gave_up; k++) {
            const uint32_t* pair = rl_program_extra(c->program, node.a + 2 * k);
            bool known = false;
            spend(c, count + 1);
            for (uint32_t n = 0; n < count; n++) known = known || c->pending.data[bottom + 2 * n] == pair[0];
            if (known) continue;
            if (!rl_vec_push(c->allocator, &c->pending, pair[0]) ||
                !rl_vec_push(c->allocator, &c->pending, node_of(c, pair[1])->type))
                give_up(c);
            count++;
        }
    }
    if (any && !c->gave_up) {
        rl_program_t* program = c->program;
        c->cells.data[l->types + column] =
            rl_type_record(&program->types, &program->symbols, c->pending.data + bottom, count);
    }
    c->pending.count = bottom;
}

/*
 * How many rows of values (at most l.limit, at least one when there is any) the query matches and no row of the
 * matrix does.
 */
static uint32_t search(checker_t* c, level_t l, unsigned depth) {
    if (depth > DEPTH_LIMIT) give_up(c);
    spend(c, 1);
    if (c->gave_up) return 0;
    if (l.count == 0) return all_missing(c, &l);
    uint32_t column = 0; /* the first in which the first row asks for something */
    while (column < l.width && c->cells.data[l.rows + column] == 0) column++;
    spend(c, column);
    if (column == l.width) return 0; /* it asks for nothing: it matches all */

    uint32_t cells = c->cells.count, found = 0;
    rl_ir_t asked = c->cells.data[l.query + column];
    if (asked && node_of(c, asked)->op == RL_PAT_OR) {
        const rl_ir_node_t node = *node_of(c, asked);
        for (uint32_t i = 0; i < node.b && found < l.limit && !c->gave_up; i++) {
            level_t one = l;
            one.query = new_cells(c, l.width);
            if (c->gave_up) break;
            memcpy(c->cells.data + one.query, c->cells.data + l.query, (size_t)l.width * sizeof(uint32_t));
            c->cells.data[one.query + column] = simple(c, rl_program_extra(c->program, node.a)[i]);
            one.limit = l.limit - found;
            found += search(c, one, depth + 1);
            c->cells.count = cells;
        }
        return found;
    }
    split_alternatives(c, &l, column);
    read_inferred_record(c, &l, column);
    if (!c->gave_up && l.count > 0) {
        shape_t shape = shape_of(c, c->cells.data[l.types + column]);
        switch (shape.kind) {
        case SHAPE_FINITE: found = search_finite(c, &l, column, &shape, depth); break;
        case SHAPE_INTEGER: found = search_integer(c, &l, column, &shape, depth); break;
        case SHAPE_LIST: found = search_list(c, &l, column, &shape, depth); break;
        case SHAPE_OPEN: found = search_open(c, &l, column, &shape, depth); break;
        default: give_up(c); break;
        }
    }
    c->cells.count = cells;
    return c->gave_up ? 0 : found;
}

/* --- witnesses as text ------------------------------------------------------------------------------------ */

static void print_value(rl_buf_t* out, rl_type_t type, uint64_t value) {
    value = ordered(has_sign(type), value);
    if (type != RL_TYPE_CHAR) {
        if (has_sign(type)) rl_buf_add_i64(out, (int64_t)value);
        else rl_buf_add_u64(out, value);
        return;
    }
    rl_buf_add_char(out, '\'');
    if (value == '\n') rl_buf_add(out, RL_STR("\\n"));
    else if (value == '\t') rl_buf_add(out, RL_STR("\\t"));
    else if (value == '\r') rl_buf_add(out, RL_STR("\\r"));
    else if (value == 0) rl_buf_add(out, RL_STR("\\0"));
    else if (value == '\\' || value == '\'') rl_buf_printf(out, "\\%c", (int)value);
    else if (value < 0x20 || (value >= 0x7F && value < 0xA0)) rl_buf_printf(out, "\\u{%x}", (unsigned)value);
    else rl_buf_add_utf8(out, (uint32_t)value);
    rl_buf_add_char(out, '\'');
}

static void print_range(checker_t* c, const witness_t* w, rl_buf_t* out) {
    shape_t shape = shape_of(c, w->type);
    if (w->type == RL_TYPE_DURATION || (w->low == shape.low && w->high == shape.high)) {
        rl_buf_add_char(out, '_');
    } else if (w->low == w->high) {
        print_value(out, w->type, w->low);
    } else if (w->low == shape.low) {
        uint64_t end = w->high + 1;
        bool gap = w->type == RL_TYPE_CHAR && end == 0xD800; /* no such Char */
        rl_buf_add_cstr(out, gap ? "..=" : "..");
        print_value(out, w->type, gap ? w->high : end);
    } else {
        print_value(out, w->type, w->low);
        rl_buf_add_cstr(out, w->high == shape.high ? ".." : "..=");
        if (w->high != shape.high) print_value(out, w->type, w->high);
    }
}

static void print_witness(checker_t* c, uint32_t index, rl_buf_t* out);

static void print_parts(checker_t* c, uint32_t first, uint32_t count, rl_buf_t* out) {
    for (uint32_t i = 0; i < count; i++) {
        if (i) rl_buf_add(out, RL_STR(", "));
        print_witness(c, c->witness_parts.data[first + i], out);
    }
}

/* Fields by name; those that are `_` are left out when there are many. */
static void print_fields(checker_t* c, const witness_t* w, const shape_t* shape, rl_buf_t* out) {
    bool many = w->count > 8, left_out = false, more = false;
    rl_buf_add_char(out, '{');
    for (uint32_t i = 0; i < w->count; i++) {
        uint32_t part = c->witness_parts.data[w->first + i];
        if (many && part == 0) {
            left_out = true;
            continue;
        }
        rl_sym_t name = has_pairs(shape)
                            ? rl_type_args(&c->program->types, shape->type)[2 * i]
                            : rl_program_field(c->program,
                                  rl_program_variant(c->program, shape->def->variant_first)->field_first + i)
                                  ->name;
        rl_buf_add_cstr(out, more ? ", " : " ");
        rl_buf_add(out, rl_sym_text(&c->program->symbols, name));
        rl_buf_add(out, RL_STR(": "));
        print_witness(c, part, out);
        more = true;
    }
    if (left_out) rl_buf_add_cstr(out, more ? ", .." : " ..");
    rl_buf_add_cstr(out, more || left_out ? " }" : "}");
}

static void print_list(checker_t* c, const witness_t* w, rl_buf_t* out) {
    uint32_t suffix = w->open && w->suffix < w->count ? w->suffix : w->open ? w->count : 0;
    uint32_t prefix = w->count - suffix;
    const uint32_t* parts = c->witness_parts.data + w->first;
    bool any = false;
    for (uint32_t i = 0; i < suffix; i++) any = any || parts[prefix + i] != 0;
    if (!any && w->open) { /* nothing to say of the end: `[_, _, ..]` */
        prefix += suffix;
        suffix = 0;
    }
    rl_buf_add_char(out, '[');
    print_parts(c, w->first, prefix, out);
    if (w->open) rl_buf_add_cstr(out, prefix ? ", .." : "..");
    if (suffix && (prefix || w->open)) rl_buf_add(out, RL_STR(", "));
    print_parts(c, w->first + prefix, suffix, out);
    rl_buf_add_char(out, ']');
}

static void print_witness(checker_t* c, uint32_t index, rl_buf_t* out) {
    const witness_t w = c->witnesses.data[index];
    if (w.kind == WITNESS_ANY) {
        rl_buf_add_char(out, '_');
        return;
    }
    if (w.kind == WITNESS_RANGE) {
        print_range(c, &w, out);
        return;
    }
    if (w.kind == WITNESS_LIST) {
        print_list(c, &w, out);
        return;
    }
    shape_t shape = shape_of(c, w.type);
    switch ((rl_type_kind_t)shape.type_kind) {
    case RL_TYPE_BOOL: rl_buf_add_cstr(out, w.tag ? "true" : "false"); return;
    case RL_TYPE_UNIT: rl_buf_add(out, RL_STR("()")); return;
    case RL_TYPE_RECORD:
    case RL_TYPE_OPEN: print_fields(c, &w, &shape, out); return;
    case RL_TYPE_TUPLE:
    case RL_TYPE_ARRAY:
        rl_buf_add_char(out, shape.type_kind == RL_TYPE_TUPLE ? '(' : '[');
        print_parts(c, w.first, w.count, out);
        rl_buf_add_char(out, shape.type_kind == RL_TYPE_TUPLE ? ')' : ']');
        return;
    case RL_TYPE_NAMED: break;
    default: rl_buf_add_char(out, '_'); return;
    }
    const rl_variant_t* variant = rl_program_variant(c->program, shape.def->variant_first + w.tag);
    bool fields = shape.def->kind == RL_DEF_RECORD || shape.def->kind == RL_DEF_STRUCT;
    rl_buf_add(out, rl_sym_text(&c->program->symbols, fields ? shape.def->name : variant->name));
    if (fields) {
        rl_buf_add_char(out, ' ');
        print_fields(c, &w, &shape, out);
    } else if (variant->flags & RL_VARIANT_RECORD_PAYLOAD && w.count == 1) {
        uint32_t payload = c->witness_parts.data[w.first];
        rl_buf_add_char(out, ' ');
        if (payload) print_witness(c, payload, out);
        else rl_buf_add(out, RL_STR("{ .. }"));
    } else if (w.count) {
        rl_buf_add_char(out, '(');
        print_parts(c, w.first, w.count, out);
        rl_buf_add_char(out, ')');
    }
}

/* --- entry ------------------------------------------------------------------------------------------------ */

static bool open_checker(checker_t* c, rl_solver_t* solver) {
    *c = (checker_t){.solver = solver, .program = solver->program, .allocator = solver->program->allocator};
    return rl_vec_push(c->allocator, &c->witnesses, (witness_t){.kind = WITNESS_ANY});
}

static void close_checker(checker_t* c) {
    rl_vec_deinit(c->allocator, &c->cells);
    rl_vec_deinit(c->allocator, &c->pending);
    rl_vec_deinit(c->allocator, &c->prefix);
    rl_vec_deinit(c->allocator, &c->suffix);
    rl_vec_deinit(c->allocator, &c->events);
    rl_vec_deinit(c->allocator, &c->segments);
    rl_vec_deinit(c->allocator, &c->witnesses);
    rl_vec_deinit(c->allocator, &c->witness_parts);
    rl_vec_deinit(c->allocator, &c->results);
}

/* cells: [0] the type, [1] the query, then one word for each row that counts. */
static level_t first_level(checker_t* c, rl_type_t scrutinee, uint32_t rows) {
    level_t level = {.types = new_cells(c, 2), .width = 1, .limit = 1};
    level.query = level.types + 1;
    level.rows = new_cells(c, rows);
    if (!c->gave_up) c->cells.data[level.types] = scrutinee;
    return level;
}

/* Does the pattern of a part take every value, as far as one look shows? */
static bool takes_all(checker_t* c, rl_ir_t id, const shape_t* whole, uint32_t tag, uint32_t index) {
    rl_ir_t pattern = simple(c, id);
    if (!pattern) return true;
    const rl_ir_node_t* node = node_of(c, pattern);
    if (node->op != RL_PAT_RECORD && node->op != RL_PAT_TUPLE) return false;
    uint32_t step = node->op == RL_PAT_RECORD ? 2 : 1;
    for (uint32_t i = 0; i < node->b; i++) {
        if (simple(c, *rl_program_extra(c->program, node->a + (i + 1) * step - 1))) return false;
    }
    shape_t shape = shape_of(c, part_type(c, whole, tag, index));
    return shape.kind == SHAPE_FINITE && shape.count == 1 && inhabited(c, &shape, 0);
}

/*
 * Most matches: each arm is a constructor whose parts are not looked at, or takes everything. True: every case has an arm and
 * every arm a case. False says nothing.
 */
static bool plainly_covers(checker_t* c, rl_type_t scrutinee, const rl_match_row_t* rows, uint32_t count) {
    shape_t shape = shape_of(c, scrutinee);
    if (shape.kind != SHAPE_FINITE || shape.type_kind != RL_TYPE_NAMED || shape.def->kind != RL_DEF_SUM) return false;
    if (shape.count == 0 || shape.count > 64) return false;
    uint64_t all = UINT64_MAX >> (64 - shape.count), covered = 0;
    for (uint32_t i = 0; i < count; i++) {
        rl_ir_t pattern = simple(c, rows[i].pattern);
        uint64_t cases = all;
        if (pattern) {
            const rl_ir_node_t* node = node_of(c, pattern);
            if (node->op != RL_PAT_VARIANT || node->c >= shape.count) return false;
            for (uint32_t k = 0; k < node->b; k++) {
                if (!takes_all(c, *rl_program_extra(c->program, node->a + k), &shape, node->c, k)) return false;
            }
            cases = (uint64_t)1 << node->c;
        }
        if (!(cases & ~covered)) return false;
        if (!rows[i].guarded) covered |= cases;
    }
    for (uint32_t tag = 0; covered == all && tag < shape.count; tag++) {
        if (!inhabited(c, &shape, tag)) return false;
    }
    return covered == all;
}

bool rl_check_match(
    rl_solver_t* solver, rl_type_t scrutinee, const rl_match_row_t* rows, uint32_t count, rl_match_report_t* report) {
    checker_t c;
    bool fine = open_checker(&c, solver);
    bool plain = fine && plainly_covers(&c, scrutinee, rows, count);
#ifndef RL_DEBUG
    if (plain) {
        report->missing = 0;
        fine = !c.allocator->failed;
        close_checker(&c);
        return fine;
    }
#endif
    level_t level = fine ? first_level(&c, scrutinee, count) : (level_t){0};
    report->missing = 0;
    if (!fine || c.gave_up) { /* more rows than the budget allows, or no memory */
        fine = !c.allocator->failed;
        close_checker(&c);
        return fine;
    }
    for (uint32_t i = 0; i < count && c.work <= WORK_BUDGET && !c.allocator->failed; i++) {
        rl_ir_t pattern = simple(&c, rows[i].pattern);
        c.gave_up = false;
        c.cells.data[level.query] = pattern;
        if (level.count > 0 && search(&c, level, 0) == 0 && !c.gave_up && report->unreachable) {
            report->unreachable[i / 64] |= (uint64_t)1 << (i % 64);
            RL_ASSERT(!plain, "every arm of a plain match has a case");
        }
        if (!rows[i].guarded) c.cells.data[level.rows + level.count++] = pattern;
    }
    fine = !c.allocator->failed;
    if (fine) {
        level.count = 0; /* all of them, also those that the budget kept from being looked at above */
        for (uint32_t i = 0; i < count; i++) {
            if (!rows[i].guarded) c.cells.data[level.rows + level.count++] = simple(&c, rows[i].pattern);
        }
        c.work = 0;
        c.gave_up = false;
        c.want = report->witnesses != NULL;
        c.cells.data[level.query] = 0;
        level.limit = c.want ? MOST_WITNESSES : 1;
        uint32_t found = search(&c, level, 0);
        if (!c.gave_up && !c.allocator->failed) {
            report->missing = found;
            RL_ASSERT(!plain || !found, "every case of a plain match has an arm");
            for (uint32_t i = 0; i < found && c.want; i++) {
                if (i) rl_buf_add_char(report->witnesses, '\n');
                print_witness(&c, c.results.data[i], report->witnesses);
            }
        }
        fine = !c.allocator->failed;
    }
    close_checker(&c);
    return fine;
}

bool rl_pattern_irrefutable(rl_solver_t* solver, rl_type_t type, rl_ir_t pattern) {
    checker_t c;
    bool covered = false;
    if (open_checker(&c, solver)) {
        level_t level = first_level(&c, type, 1);
        if (!c.gave_up) {
            c.cells.data[level.query] = 0;
            c.cells.data[level.rows] = simple(&c, pattern);
            level.count = 1;
            covered = search(&c, level, 0) == 0 &&
                      !c.gave_up; /* no answer: not irrefutable, so that it is tested at run time */
        }
    }
    close_checker(&c);
    return covered;
}
