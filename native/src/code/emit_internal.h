/*
 * What the files of emit share: layouts, analyses of one function, and the emitter of one instance. Nothing outside
 * code/ includes this. All of it lives only while rl_compile runs, except what hangs from rl_compiler_t.
 */
#ifndef RL_EMIT_INTERNAL_H
#define RL_EMIT_INTERNAL_H

#include "code/emit.h"

#define RL_NONE 0xFFFFFFFFu
enum {
    RL_REGISTER_LIMIT = 60000, /* registers of one bank of one frame, fields of one object */
    RL_HOT_FLOATS = 8
};

/* --- layout.c: machine representation of ground types ------------------------------------------------- */
typedef struct rl_type_note {
    uint8_t rep; /* rl_rep_t + 1; 0: not asked yet */
} rl_type_note_t;

/* A product: tuple, record, struct or one variant of a sum. Newtypes have none: they are what they wrap. */
typedef struct rl_layout {
    uint32_t count;
    uint16_t refs, words;
    rl_type_t* types;
    uint16_t* slots;
    uint8_t* reps; /* rl_rep_t */
    rl_sym_t* names;
} rl_layout_t;

bool rl_compile_fail(rl_compiler_t* compiler, rl_code_t code, rl_fn_id_t function); /* keeps the first; answers false */
rl_rep_t rl_rep_of(rl_compiler_t* compiler, rl_type_t type);
static inline bool rl_rep_is_ref(rl_rep_t rep) { return rep == RL_REP_R; }
rl_element_t rl_element_of(rl_compiler_t* compiler, rl_type_t type);
const rl_layout_t* rl_layout_of(rl_compiler_t* compiler, rl_type_t type, uint32_t tag); /* NULL: memory or limit */
uint32_t rl_layout_find(const rl_layout_t* layout, rl_sym_t name);                      /* field index, RL_NONE */
rl_type_t rl_unwrap_newtype(rl_compiler_t* compiler, rl_type_t type);      /* through all newtypes around it */
const rl_typedef_t* rl_named_def(rl_compiler_t* compiler, rl_type_t type); /* NULL unless NAMED */
rl_builtin_type_t rl_builtin_of(rl_compiler_t* compiler, rl_type_t type);
rl_type_t rl_type_arg(rl_compiler_t* compiler, rl_type_t type, uint32_t index);
/* May an object of this type be changed in place by someone who thinks to own it alone? */
bool rl_is_updatable(rl_compiler_t* compiler, rl_type_t type);
bool rl_has_identity(rl_compiler_t* compiler, rl_type_t type); /* == is identity */
/* Can a value of this type hold one with a Display or Debug of its own? */
bool rl_has_own_text(rl_compiler_t* compiler, rl_type_t type);
void rl_forget_rtypes(rl_compiler_t* compiler, uint32_t count); /* descriptors made after the first `count` */
bool rl_compile_pending(rl_compiler_t* compiler);               /* everything in the queue; false: failed */
/* Do both types have the same objects, so that a CONVERT between them does nothing? */
bool rl_is_open(rl_compiler_t* compiler, rl_type_t type); /* a written open record: fields are found by name */
bool rl_same_objects(rl_compiler_t* compiler, rl_type_t from, rl_type_t to);

/* --- analyze.c ------------------------------------------------------------------------------------------- */
/* Children in order of evaluation (expressions only: patterns and their constants are no children). False: memory. */
bool rl_ir_children(const rl_program_t* program, rl_allocator_t* allocator, rl_ir_t node, rl_ir_list_t* out);
/* Could evaluating `node` assign the plain local? Looks at a bounded number of nodes; true when in doubt. */
bool rl_ir_may_assign(const rl_program_t* program, rl_allocator_t* allocator, rl_ir_t node, rl_local_id_t local);
/* Bit i: parameter i is only looked at by the function, so callers need not mark arguments that they use again. */
uint64_t rl_borrowed_params(rl_compiler_t* compiler, rl_fn_id_t function);
bool rl_builtin_consumes(uint32_t builtin, uint32_t index); /* argument i of a builtin */
/* What local `local` of `owner` is called inside `fn` (`owner` itself or nested in it): RL_NONE when not captured. */
uint32_t rl_resolve_local(const rl_program_t* program, rl_fn_id_t fn, rl_fn_id_t owner, uint32_t local);
bool rl_pattern_children(const rl_program_t* program, rl_allocator_t* allocator, rl_ir_t pattern, rl_ir_list_t* out);

typedef struct rl_local_use {
    uint32_t reads;      /* weighted: 8 per loop around it */
    uint32_t read_count; /* places */
    bool assigned;       /* by SET_LOCAL */
    uint32_t tracked;    /* index among the locals followed by liveness, RL_NONE */
} rl_local_use_t;

typedef struct rl_analysis {
    rl_local_use_t* locals; /* by local id; owned */
    uint32_t local_count, local_room;
    rl_map_t last;               /* LOCAL node → 1: the last read; 0 or absent: not */
    RL_VEC(uint64_t) hot_floats; /* bits of float constants read in loops */
} rl_analysis_t;

struct rl_emitter;
struct rl_analyzer;
/* First look, without recursion: how locals are used, and how deep the function's IR is for the recursive passes. */
bool rl_survey(struct rl_emitter* e, rl_analysis_t* out, uint32_t* out_depth);
bool rl_analyze(struct rl_emitter* e);                                            /* then: which reads are the last */
void rl_analyzer_deinit(rl_allocator_t* allocator, struct rl_analyzer* analyzer); /* NULL: nothing */
void rl_analysis_deinit(rl_allocator_t* allocator, rl_analysis_t* analysis);

/* --- the emitter of one instance ---------------------------------------------------------------------------- */
typedef enum rl_home {
    RL_HOME_NONE,
    RL_HOME_REGISTER,
    RL_HOME_BOX,
    RL_HOME_ENV,
    RL_HOME_ENV_BOX,
    RL_HOME_FIELD
} rl_home_t;

typedef struct rl_local_home {
    uint8_t home; /* rl_home_t; ENV: a word of the closure in r[0]; FIELD: a word of an object that never changes */
    uint8_t rep;
    bool borrowed; /* came out of a container: every consuming read marks */
    bool fixed;    /* its register is chosen (alternatives of an or-pattern bind the same one) */
    uint16_t reg;  /* REGISTER: of its bank; BOX: R register of the cell; ENV: word of the closure; FIELD: the object */
    uint16_t slot; /* FIELD */
    rl_type_t type;        /* ground */
    rl_fn_id_t closure_of; /* this local holds the closure of that function; 0: not known */
} rl_local_home_t;

typedef enum rl_want { RL_WANT_NOTHING, RL_WANT_REGISTER, RL_WANT_RETURN } rl_want_t;
/* Where a value goes. scratch: the register may be written before the value is complete. own: the taker keeps it. */
typedef struct rl_dest {
    uint8_t want;
    bool scratch, own;
    uint32_t reg;
} rl_dest_t;

typedef struct rl_mark {
    uint32_t s, r;
} rl_mark_t;
typedef uint32_t rl_jumps_t; /* list of jumps to one place not yet known; 0: none; else index + 1 into `jumps` */
typedef struct rl_jump {
    uint32_t at, target, next;
} rl_jump_t;

typedef struct rl_loop {
    rl_jumps_t breaks, continues;
    rl_dest_t dest;
    uint32_t defers;
} rl_loop_t;

typedef struct rl_switch {
    uint32_t* table;
    uint32_t count;
} rl_switch_t; /* table: count, default, targets … */

/* The tables of an emitter: empty at the start of each function, their memory is used again. */
#define RL_EMITTER_TABLES(TABLE)                                                                                       \
    TABLE(homes)                                                                                                       \
    TABLE(code)                                                                                                        \
    TABLE(starts)                                                                                                      \
    TABLE(jumps)                                                                                                       \
    TABLE(loops)                                                                                                       \
    TABLE(spine)                                                                                                       \
    TABLE(constants)                                                                                                   \
    TABLE(ref_constants)                                                                                               \
    TABLE(callees)                                                                                                     \
    TABLE(builtins)                                                                                                    \
    TABLE(hosts)                                                                                                       \
    TABLE(shapes)                                                                                                      \
    TABLE(closures)                                                                                                    \
    TABLE(types)                                                                                                       \
    TABLE(handles)                                                                                                     \
    TABLE(performs)                                                                                                    \
    TABLE(switches)
#define RL_EMITTER_MAPS(MAP)                                                                                           \
    MAP(constant_map)                                                                                                  \
    MAP(ref_map)                                                                                                       \
    MAP(callee_map)                                                                                                    \
    MAP(type_map)

typedef struct rl_emitter {
    rl_compiler_t* compiler;
    const rl_program_t* program;
    rl_allocator_t* allocator;
    uint32_t instance; /* index */
    rl_fn_id_t fn_id;
    rl_function_t fn;      /* copy: tables may move */
    const rl_type_t* args; /* ground type arguments; owned by the arena */
    uint32_t arg_count;
    bool has_env;
    struct {
        const rl_type_t* args;
        rl_type_t from, to;
    } grounds[8]; /* types that rl_emit_ground() made, by number */
    rl_analysis_t analysis;
    struct rl_analyzer* analyzer; /* owned; its tables are used again */
    rl_local_home_t* locals;      /* those of `homes`; while inlining, of the body that is compiled in place */
    RL_VEC(rl_local_home_t) homes;
    /* code */
    RL_VEC(rl_instr_t) code;
    RL_VEC(uint32_t) starts;
    RL_VEC(rl_jump_t) jumps;
    uint32_t body_top; /* first instruction behind the prologue */
    uint32_t start;    /* position of the node being compiled; while inlining, of the call */
    uint32_t inlining; /* calls around the body being compiled in place */
    bool fixing;       /* inside an or-pattern: the registers of its names are chosen */
    bool dead;         /* what is emitted now cannot be reached: dropped */
    uint32_t loop_depth, entry_cost;
    /* registers in use, and the most ever */
    uint32_t s_top, r_top, s_max, r_max;
    uint32_t defers;        /* DEFERs pending at this point; the continuation of a clause may be the first */
    bool owns_continuation; /* a clause that only calls it: it is abandoned when the clause ends */
    RL_VEC(rl_loop_t) loops;
    RL_VEC(rl_ir_t) spine; /* left-nested operators being walked */
    /* tables of the proto */
    RL_VEC(rl_word_t) constants;
    RL_VEC(rl_object_t*) ref_constants;
    RL_VEC(rl_proto_t*) callees;
    RL_VEC(rl_builtin_site_t) builtins;
    RL_VEC(rl_host_site_t) hosts;
    RL_VEC(rl_shape_t) shapes;
    RL_VEC(rl_closure_site_t) closures;
    RL_VEC(const rl_rtype_t*) types;
    RL_VEC(rl_handle_site_t) handles;
    RL_VEC(rl_perform_site_t) performs;
    RL_VEC(rl_switch_t) switches;
    rl_map_t constant_map, ref_map, callee_map, type_map;
    struct {
        uint64_t bits;
        uint32_t reg;
    } hot[RL_HOT_FLOATS]; /* float constants kept in registers */
    uint32_t hot_count;
    bool failed;
} rl_emitter_t;

#define RL_DROP ((rl_dest_t){RL_WANT_NOTHING, false, false, 0})

/* emit.c: code, registers, tables */
static inline const rl_ir_node_t* rl_node(const rl_emitter_t* e, rl_ir_t id) { return rl_program_node(e->program, id); }
bool rl_emit_fail(rl_emitter_t* e, rl_code_t code); /* answers false */
bool rl_emit_bug(
    rl_emitter_t* e, const char* what); /* IR that the checker must not make: trapped in debug builds; false */
rl_type_t rl_emit_ground(rl_emitter_t* e, rl_type_t type);
static inline rl_type_t rl_emit_type(rl_emitter_t* e, rl_ir_t id) { return rl_emit_ground(e, rl_node(e, id)->type); }
rl_rep_t rl_emit_rep(rl_emitter_t* e, rl_ir_t id);
uint32_t rl_emit_abc(rl_emitter_t* e, rl_op_t op, uint32_t a, uint32_t b, uint32_t c); /* index, RL_NONE when dead */
/* With a fourth register; false: its number is too large, nothing emitted. */
bool rl_emit_abcd(rl_emitter_t* e, rl_op_t op, uint32_t a, uint32_t b, uint32_t c, uint32_t d);
uint32_t rl_emit_wide(rl_emitter_t* e, rl_op_t op, uint32_t a, int64_t imm);
void rl_emit_move(rl_emitter_t* e, rl_rep_t rep, uint32_t to, uint32_t from);
void rl_emit_load_i64(rl_emitter_t* e, uint32_t reg, int64_t value);
void rl_emit_load_ref(rl_emitter_t* e, uint32_t reg, rl_object_t* object);
void rl_emit_string(rl_emitter_t* e, uint32_t reg, uint32_t string, bool bytes);
void rl_emit_name(rl_emitter_t* e, uint32_t reg, rl_sym_t name); /* the text of a symbol */
rl_object_t* rl_empty_string(rl_emitter_t* e);                   /* STATIC; NULL: memory */
void rl_emit_trap(rl_emitter_t* e, rl_code_t code);
void rl_emit_return(rl_emitter_t* e, rl_rep_t rep, uint32_t reg, bool is_unit);
static inline void rl_at(rl_emitter_t* e, uint32_t start) {
    if (!e->inlining) e->start = start;
}
static inline uint32_t rl_here(const rl_emitter_t* e) { return e->code.count; }
void rl_jump_add(rl_emitter_t* e, rl_jumps_t* list, uint32_t at); /* the jump at that instruction belongs to the list */
void rl_jump_to(rl_emitter_t* e, uint32_t at, uint32_t target);   /* target known */
void rl_jump_goto(rl_emitter_t* e, rl_jumps_t* list);
void rl_jump_bind(rl_emitter_t* e, rl_jumps_t list); /* here */
void rl_jump_join(rl_emitter_t* e, rl_jumps_t* into, rl_jumps_t list);
static inline rl_mark_t rl_mark(const rl_emitter_t* e) { return (rl_mark_t){e->s_top, e->r_top}; }
static inline void rl_release(rl_emitter_t* e, rl_mark_t m) {
    e->s_top = m.s;
    e->r_top = m.r;
}
uint32_t rl_temp(rl_emitter_t* e, rl_rep_t rep);
void rl_note_out(rl_emitter_t* e, uint32_t s, uint32_t r); /* registers below these are touched by a call or object */
uint32_t rl_table_constant(rl_emitter_t* e, rl_word_t word);
uint32_t rl_table_ref(rl_emitter_t* e, rl_object_t* object);
uint32_t rl_table_callee(rl_emitter_t* e, rl_proto_t* proto);
uint32_t rl_table_type(rl_emitter_t* e, rl_type_t type);
uint32_t rl_table_shape(rl_emitter_t* e, rl_shape_t shape);
/* Whole function: parameters, body, finished proto. False: failed. */
bool rl_emit_function(rl_compiler_t* compiler, uint32_t instance);
void rl_emitter_free(rl_allocator_t* allocator, rl_emitter_t* emitter); /* NULL: nothing */

/* emit_last.c: before the jumps get their distances. False: memory. */
bool rl_emit_with_last(rl_emitter_t* e);

/* instance.c */
/* Proto of an instance, asked for and put in the queue when new; NULL: limit or memory. */
rl_proto_t* rl_instance_of(rl_compiler_t* compiler, rl_fn_id_t function, const rl_type_t* args, uint32_t count,
    bool as_value, uint32_t asked_by);

/* emit_expr.c */
void rl_emit(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest);
void rl_emit_to(rl_emitter_t* e, rl_ir_t id, uint32_t reg, bool own); /* a fresh register of the right bank */
/* Any register: that of a plain local, else a new temporary. */
uint32_t rl_emit_any(rl_emitter_t* e, rl_ir_t id, bool own);
/* The same, but safe against assignments by `later` operands evaluated before the register is read. */
uint32_t rl_emit_operand(rl_emitter_t* e, rl_ir_t id, bool own, const rl_ir_t* later, uint32_t later_count);
uint32_t rl_dest_reg(rl_emitter_t* e, rl_rep_t rep, rl_dest_t dest); /* register to compute into */
void rl_finish(
    rl_emitter_t* e, rl_rep_t rep, rl_type_t type, uint32_t reg, rl_dest_t dest); /* reg = what rl_dest_reg gave */
void rl_deliver(rl_emitter_t* e, rl_rep_t rep, rl_type_t type, uint32_t reg, rl_dest_t dest); /* value lies somewhere */
void rl_emit_share(rl_emitter_t* e, rl_type_t type, uint32_t reg); /* when the type can be updated */
/* Is the node a read of a local that lies in a register? */
bool rl_plain_local(rl_emitter_t* e, rl_ir_t id, rl_local_home_t** out_home);
/* Does it read something out of a container, so that its value has another owner? */
bool rl_is_load(rl_emitter_t* e, rl_ir_t id);
void rl_emit_statement(rl_emitter_t* e, rl_ir_t id);
/* Jump to `list` when the condition is `sense`, else fall through. */
void rl_emit_condition(rl_emitter_t* e, rl_ir_t id, bool sense, rl_jumps_t* list);
bool rl_const_int(rl_emitter_t* e, rl_ir_t id, int64_t* out); /* integer-like constant */
bool rl_const_i16(rl_emitter_t* e, rl_ir_t id, int64_t* out);
void rl_emit_unit(rl_emitter_t* e, rl_dest_t dest);
bool rl_is_last_read(rl_emitter_t* e, rl_ir_t local_node);
bool rl_is_assigned(rl_emitter_t* e, rl_local_id_t local);
bool rl_is_boxed(rl_emitter_t* e, rl_local_id_t local);
void rl_emit_constant(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest);

/* emit_op.c */
void rl_emit_binary(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest);
void rl_emit_unary(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest);
void rl_emit_compare(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest);
void rl_emit_cast(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest);
void rl_emit_format(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest);
bool rl_is_arithmetic(unsigned op);
/* Comparison of scalars or Str: jump to `list` when it is `sense`. False: not such a comparison, nothing emitted. */
bool rl_emit_compare_jump(rl_emitter_t* e, rl_ir_t id, bool sense, rl_jumps_t* list);
/* Fused backward jump to `target` when the condition holds; false: there is none for it. */
bool rl_emit_compare_loop(rl_emitter_t* e, rl_ir_t id, uint32_t target);

/* emit_data.c */
void rl_emit_object(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest);     /* TUPLE RECORD VARIANT */
void rl_emit_collection(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest); /* LIST MAP RANGE */
void rl_emit_access(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest);     /* FIELD TUPLE_GET PAYLOAD INDEX */
void rl_emit_update(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest);     /* UPDATE SET_FIELD SET_INDEX WITH_INDEX */
void rl_emit_load_word(rl_emitter_t* e, rl_rep_t rep, uint32_t to, uint32_t object, uint32_t slot, bool share);
void rl_emit_open_get(rl_emitter_t* e, rl_type_t open, uint32_t record, rl_sym_t field, uint32_t to, rl_type_t type);
void rl_emit_vec_get(rl_emitter_t* e, rl_type_t element, uint32_t to, uint32_t vec, uint32_t index);
void rl_emit_vec_set(rl_emitter_t* e, rl_type_t element, uint32_t vec, uint32_t index, uint32_t value);
void rl_emit_to_any(rl_emitter_t* e, rl_rep_t rep, rl_type_t type, uint32_t to, uint32_t from);

/* emit_call.c */
void rl_emit_call(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest); /* CALL CALL_VALUE */
/* An operator that its operand's type has by an impl: the call. False: it is built in, nothing emitted. */
bool rl_emit_impl_operator(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest);
/* Text of a value that has its own, or holds others that may; spec: RL_NONE, or a string id. */
void rl_emit_own_text(rl_emitter_t* e, rl_ir_t node, uint32_t spec, bool debug, rl_dest_t dest);
void rl_emit_closure(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest);
void rl_emit_closure_group(rl_emitter_t* e, rl_ir_t id);
void rl_emit_await(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest);
uint32_t rl_emit_box(rl_emitter_t* e, rl_rep_t rep, uint32_t from); /* R register of a new cell with that value */
/* Call a builtin with operands that lie in registers. regs and types: one per argument; type_args: site->types. */
/* A site for a builtin. False: failed. */
bool rl_builtin_site(rl_emitter_t* e, uint32_t builtin, rl_type_t result, const uint32_t* regs, const rl_type_t* types,
    uint32_t count, const rl_type_t* type_args, uint32_t type_arg_count, rl_builtin_site_t* out);
void rl_emit_builtin(rl_emitter_t* e, uint32_t builtin, uint32_t to, rl_type_t result, const uint32_t* regs,
    const rl_type_t* types, uint32_t count, const rl_type_t* type_args, uint32_t type_arg_count);
enum rl_emit_builtin {
#define X(ID, name, uses, text) RL_EB_##ID,
#include "code/builtin_names.h"
    RL_EMIT_BUILTINS(X)
#undef X
        RL_EB_COUNT
};
uint32_t rl_emit_builtin_id(rl_emitter_t* e, enum rl_emit_builtin which);
void rl_emit_wrapper_body(rl_emitter_t* e); /* body of an instance of a builtin or host function */

/* A call that is being put together: arguments from s[a] and r[b] on. */
typedef struct rl_window {
    uint32_t a, b;
    bool s_taken, r_taken; /* the first register of that bank is the destination's, in use already */
} rl_window_t;
rl_window_t rl_open_window(rl_emitter_t* e, rl_rep_t result, rl_dest_t dest);
uint32_t rl_window_next(rl_emitter_t* e, rl_window_t* w, rl_rep_t rep);
void rl_close_window(rl_emitter_t* e, rl_window_t w, rl_op_t op, uint32_t callee, rl_type_t result, rl_dest_t dest);

/* The word of a local as it is captured (a boxed one: its cell) into a register of the right bank. */
void rl_load_captured(rl_emitter_t* e, const rl_local_home_t* home, uint32_t to);

/* emit_effect.c */
void rl_emit_handle(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest);
void rl_emit_catch(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest);
void rl_emit_escape(rl_emitter_t* e, rl_ir_t id);
/* Site of the operation whose arguments (types ground) lie in the window. */
uint32_t rl_perform_site(rl_emitter_t* e, rl_fn_id_t operation, rl_window_t w);
void rl_emit_clause_start(rl_emitter_t* e);    /* parameters are placed */
void rl_release_continuation(rl_emitter_t* e); /* it is about to be resumed as the last thing */

/* emit_match.c */
void rl_emit_match(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest);
void rl_emit_let(rl_emitter_t* e, rl_ir_t id);
/* Who else has the matched value. */
typedef enum rl_origin {
    RL_ORIGIN_OWNED,  /* nobody */
    RL_ORIGIN_LOADED, /* a container, or someone else who marks before changing it: mark at a consuming use */
    RL_ORIGIN_ALIAS   /* a local that may yet be consumed: mark when it gets a second name */
} rl_origin_t;
typedef struct rl_matched {
    uint32_t reg;
    rl_type_t type;
    rl_origin_t origin;
    uint64_t excluded; /* tags (of the first 64) that tests before this one have ruled out */
    bool lasting;      /* nothing is written to the register while the new names are in use */
} rl_matched_t;
void rl_emit_pattern(rl_emitter_t* e, rl_ir_t pattern, rl_matched_t value, rl_jumps_t* fail);
void rl_bind_local(rl_emitter_t* e, rl_local_id_t local, rl_matched_t value);
void rl_emit_bind(rl_emitter_t* e, rl_ir_t id);

/* emit_loop.c */
void rl_emit_while(rl_emitter_t* e, rl_ir_t id);
void rl_emit_loop(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest);
void rl_emit_for(rl_emitter_t* e, rl_ir_t id);
void rl_emit_leave(rl_emitter_t* e, rl_ir_t id); /* BREAK CONTINUE RETURN */
void rl_emit_block(rl_emitter_t* e, rl_ir_t id, rl_dest_t dest);
void rl_run_defers(rl_emitter_t* e, uint32_t down_to);

#endif
