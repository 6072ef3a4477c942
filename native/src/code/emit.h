/*
 * emit: one function of the program and a list of type arguments → one rl_proto_t, and all that it can reach. The instance
 * table belongs to a context.
 */
#ifndef RL_EMIT_H
#define RL_EMIT_H

#include "base/map.h"
#include "code/bytecode.h"
#include "diag/diag.h"

typedef struct rl_instance {
    rl_fn_id_t function;
    bool as_value; /* compiled with an (unused) env parameter, to be called through a closure */
    uint32_t argument_first, argument_count;
    rl_proto_t* proto;
    bool done;
    uint32_t depth;              /* length of the chain of instances that asked for it */
    uint32_t asked_by, asked_at; /* that instance, 0: none; byte offset of the call in its module */
    uint32_t next;               /* same hash */
} rl_instance_t;

typedef RL_VEC(rl_ir_t) rl_ir_list_t;

typedef struct rl_compiler {
    rl_program_t* program; /* ground types are interned into it */
    rl_allocator_t* allocator;
    rl_arena_t arena;                /* protos, code, rtypes, static constants */
    RL_VEC(rl_instance_t) instances; /* entry 0 unused */
    RL_VEC(rl_type_t) arguments;
    RL_VEC(uint32_t) pending;
    rl_map_t instance_map; /* hash → first instance */
    rl_map_t rtype_map;    /* type → index in rtypes */
    RL_VEC(rl_rtype_t*) rtypes;
    uint32_t instance_limit,
        depth_limit; /* 10,000 instances of generic functions; types of type arguments nested 100 deep */
    uint32_t generic_instances;
    /* What emit has found out, kept for the next function; private to code/ (emit_internal.h). */
    RL_VEC(struct rl_type_note) notes; /* by type */
    rl_map_t layout_map;               /* (type, tag) → layouts */
    RL_VEC(const struct rl_layout*) layouts;
    rl_map_t string_map;          /* string id << 1 | is bytes → strings */
    RL_VEC(rl_object_t*) strings; /* STATIC objects */
    rl_map_t borrow_map;          /* function → borrow_masks */
    RL_VEC(uint64_t) borrow_masks;
    rl_ir_list_t borrow_nodes;  /* still to be looked at */
    struct rl_emitter* emitter; /* the last one's tables, while rl_compile runs */
    uint16_t builtin_ids[32];   /* by enum rl_emit_builtin: id + 1; 0: not asked yet */
    rl_map_t text_map;          /* type → may values in it have a Display or Debug of their own? */
    bool compiling;             /* rl_compile runs */
    rl_map_t inline_map;        /* function → 1: its calls are replaced by its body */
    rl_map_t holder_map;        /* local function → local of its parent that holds its closure, + 1; parents seen */
    rl_map_t held_map;          /* (parent, local) → local function */
    /* set when something could not be compiled */
    bool failed;
    rl_code_t failed_code;
    rl_fn_id_t failed_function;
    rl_module_id_t failed_module; /* where, as far as possible in a loaded module; 0: not known */
    uint32_t failed_start;
    uint32_t asking_at; /* position of the call that asks for an instance */
} rl_compiler_t;

void rl_compiler_init(rl_compiler_t* compiler, rl_program_t* program, rl_allocator_t* allocator);
void rl_compiler_deinit(rl_compiler_t* compiler);

/* Instance of `function` for these ground type arguments and everything reachable from it, ready to run. NULL: failed
   (type.instantiation.limit, or memory: allocator->failed). */
rl_proto_t* rl_compile(
    rl_compiler_t* compiler, rl_fn_id_t function, const rl_type_t* arguments, uint32_t count, bool as_value);
/* Descriptor of a ground type; NULL when memory is short. */
const rl_rtype_t* rl_rtype_of(rl_compiler_t* compiler, rl_type_t type);

/* Check a proto: operands within tables and banks, jumps inside, stack discipline of calls. False: our own mistake; what and where go to `why`. */
bool rl_verify(const rl_proto_t* proto, rl_buf_t* why);
/* Readable bytecode of one proto. */
void rl_disassemble(const rl_program_t* program, const rl_proto_t* proto, rl_buf_t* out);

#endif
