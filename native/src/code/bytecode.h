/*
 * Bytecode: what emit makes and the loop runs. One rl_proto_t per function instance (function × type arguments × "as value").
 * Immutable once made; lives in the compiler's arena of the context.
 */
#ifndef RL_BYTECODE_H
#define RL_BYTECODE_H

#include "code/rtype.h"

typedef enum rl_op {
#define OP(name, operands, meaning) RL_OP_##name,
#include "code/opcode.def"
#undef OP
    RL_OP_COUNT
} rl_op_t;

_Static_assert(RL_OP_COUNT <= UINT8_MAX + 1, "an instruction's number has eight bits");

typedef struct rl_instr {
    uint8_t op, d;
    uint16_t a;
    union {
        struct {
            uint16_t b, c;
        };
        int32_t imm;
        uint32_t index;
    };
} rl_instr_t; /* 8 bytes */

struct rl_vm;
struct rl_proto;

typedef enum rl_outcome {
    RL_DONE,
    RL_RAISE,   /* vm->failure says what */
    RL_COLLECT, /* memory is short: nothing has changed; collect and call again */
    RL_PARK     /* the fiber waits: vm->fiber has changed */
} rl_outcome_t;

/* Where a builtin's arguments come from, and the types it works on. */
typedef struct rl_builtin_site rl_builtin_site_t;
typedef rl_outcome_t (*rl_builtin_fn)(
    struct rl_vm* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site);
enum { RL_BUILTIN_ARGS_MAX = 8 };
struct rl_builtin_site {
    rl_builtin_fn call;
    uint16_t id; /* row of builtin.def */
    uint8_t arg_count;
    uint8_t result_rep;                 /* rl_rep_t */
    uint16_t args[RL_BUILTIN_ARGS_MAX]; /* register; the bank is arg_reps[i] */
    uint8_t arg_reps[RL_BUILTIN_ARGS_MAX];
    const rl_rtype_t* const* types; /* its type arguments, in the order of the declaration */
    const rl_rtype_t* result_type;
    const rl_rtype_t* arg_types[RL_BUILTIN_ARGS_MAX];
};

typedef struct rl_host_site {
    rl_fn_id_t function;
    rl_str_t name;
    uint32_t binding; /* index in the host's table of bound functions; UINT32_MAX: unbound. Kept by host/ */
    uint8_t param_count;
    uint8_t ownership, row; /* of what it answers, for audit records: host/ again */
    const rl_rtype_t* const* params;
    const rl_rtype_t* result;
    /* Kept by host/, too: the short way of a call among scalars, and whom it calls; NULL: vm->call_host is the way. */
    rl_outcome_t (*direct)(struct rl_vm* vm, struct rl_host_site* site, const rl_word_t* s, rl_word_t* result);
    void* bound;
} rl_host_site_t;

typedef struct rl_shape { /* for NEW */
    uint16_t kind, tag, refs, words;
} rl_shape_t;

typedef struct rl_closure_site {
    struct rl_proto* proto;
    uint16_t refs, scalars; /* captured */
} rl_closure_site_t;

/* A handler being installed: the body's closure in r[b], then the return clause if any, then the clauses. */
typedef struct rl_handle_site {
    rl_effect_id_t effect;
    uint16_t clause_count;
    bool has_return;
    bool told;                     /* the host knows of it */
    uint8_t value_rep, result_rep; /* rl_rep_t of what the body and what the whole yields */
    rl_ir_t ir;                    /* see rl_application_t */
} rl_handle_site_t;

typedef struct rl_perform_site {
    rl_effect_id_t effect;
    uint16_t operation;            /* its position in the effect */
    uint8_t value_rep;             /* rl_rep_t of what it yields */
    bool guarded;                  /* its effect needs a capability */
    const rl_builtin_site_t* root; /* what stands in without a handler, with the registers of this window; or NULL */
    rl_str_t name;                 /* "Ask.ask" */
    rl_host_site_t* host;          /* how a handler of the host is called; NULL: cannot be */
} rl_perform_site_t;

typedef struct rl_proto {
    const rl_instr_t* code;
    uint32_t code_count;
    uint16_t s_count, r_count; /* registers of each bank, out areas of its own calls included */
    uint16_t s_params,
        r_params; /* parameters arrive in s[0…], r[0…] in order per bank; with has_env r[0] is the closure,
                                      which r_params does not count */
    uint8_t result_rep;
    bool has_env;
    bool leaf_scalar;    /* all parameters and the result are scalars: direct entry from the host */
    uint32_t entry_cost; /* fuel charged on entry */
    const rl_word_t* constants;
    rl_object_t* const* ref_constants; /* STATIC objects */
    struct rl_proto* const* callees;
    const rl_builtin_site_t* builtins;
    rl_host_site_t* hosts;
    const rl_shape_t* shapes;
    const rl_closure_site_t* closures;
    const rl_rtype_t* const* types;
    rl_handle_site_t* handles;
    const rl_perform_site_t* performs;
    const uint32_t* const*
        switches; /* SWITCH tables: [count, default target, target of tag 0 …], targets are instruction indices */
    const uint32_t* starts; /* per instruction: byte offset in the module's source */
    uint32_t constant_count, ref_constant_count, callee_count, builtin_count, host_count, shape_count, closure_count,
        type_count, switch_count, handle_count, perform_count;
    rl_fn_id_t function;
    rl_fn_id_t part_of; /* a PART: the function whose code it is, one entry with it in stacks; else 0 */
    rl_module_id_t module;
    rl_str_t name; /* for stacks: "total", "<fn lambda>" */
    const rl_rtype_t* const* param_types;
    const rl_rtype_t* result_type;
    uint16_t param_count;
} rl_proto_t;

bool rl_op_reads_last(unsigned op);
bool rl_op_leaves_last(unsigned op);
bool rl_op_goes_on(unsigned before, unsigned op); /* does `before` leave what `op` reads? */
const char* rl_op_name(unsigned op);
const char* rl_op_operands(unsigned op);

#endif
