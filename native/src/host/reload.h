/*
 * Another version of a loaded module (reload.c), and what stands for what in it (correspond.c).
 *
 * A version of a context is an edition: its program, its bytecode, its machine with heap and globals. One is in place, inside the
 * context, and every pointer in it counts on that; others are put aside bit by bit, and are only read or put back.
 */
#ifndef RL_RELOAD_H
#define RL_RELOAD_H

#include "host/context.h"
#include "vm/clone.h"

/* What the host holds of an edition. A generation of 0: the row was free. No type, no proto: nothing stands for it, it is stale. */
typedef struct rl_held_value {
    uint32_t generation;
    const rl_rtype_t* type;
    rl_word_t word;
} rl_held_value_t;
typedef struct rl_held_function {
    uint32_t generation;
    rl_proto_t* proto;
    rl_object_t* closure;
} rl_held_function_t;
typedef struct rl_held {
    RL_VEC(rl_held_value_t) values;       /* by row of handles */
    RL_VEC(rl_held_function_t) functions; /* by row of functions */
    rl_map_t cells;                       /* rl_cells_t.by_object */
} rl_held_t;

/* What of a context belongs to one version of its modules: field, type. */
#define RL_EDITION_PARTS(PART)                                                                                         \
    PART(program)                                                                                                      \
    PART(image)                                                                                                        \
    PART(history)                                                                                                      \
    PART(history_extent)                                                                                               \
    PART(compiler)                                                                                                     \
    PART(vm)                                                                                                           \
    PART(module_states)                                                                                                \
    PART(modules_ready)                                                                                                \
    PART(loaded)                                                                                                       \
    PART(effect_guards)                                                                                                \
    PART(type_serial)                                                                                                  \
    PART(run_id)                                                                                                       \
    PART(applied_ns)
struct rl_edition {
    rl_program_t program;
    struct rl_image* image;
    rl_buf_t history;
    uint64_t history_extent;
    rl_compiler_t compiler;
    rl_vm_t vm;
    RL_VEC(uint8_t) module_states;
    uint32_t modules_ready;
    bool loaded;
    RL_VEC(rl_effect_guard_t) effect_guards;
    uint32_t type_serial;
    char run_id[37];
    int64_t applied_ns;
    rl_held_t held;          /* while it is aside */
    RL_VEC(rl_sym_t) names;  /* symbols that bindings and handlers are known by */
    rl_module_id_t replaced; /* that a reload has put another version in the place of */
};

/* --- edition.c ------------------------------------------------------------------------------------------------------------- */

/* Bit by bit: what was in place is aside, and the other way round. */
void rl_edition_exchange(rl_context_t* context, rl_edition_t* edition);
/* The machine in place asks the host, within its limits, as all are now. */
void rl_edition_connect(rl_context_t* context);
/* What is in place is as `aside` was: host's settings may have changed since, and time has passed. */
void rl_edition_settle(rl_context_t* context, const rl_edition_t* aside);
/* An empty program on the core library, in place of nothing. False: memory; rl_edition_clear is fine then. */
bool rl_edition_make(rl_context_t* context, const rl_edition_t* aside);
void rl_edition_clear(rl_context_t* context); /* what is in place goes; nothing is in place */
void rl_edition_free(rl_context_t* context, rl_edition_t* edition);
void rl_edition_free_empty(rl_context_t* context, rl_edition_t* edition); /* one that nothing is in */

/* Symbols by which bindings and handlers are known: keep them; make them those of the program in place; put them back. */
bool rl_edition_keep_names(rl_context_t* context, rl_edition_t* edition);
bool rl_edition_move_names(rl_context_t* context, const rl_edition_t* aside);
void rl_edition_restore_names(rl_context_t* context, const rl_edition_t* edition);

/* A snapshot of what the host holds, its cells left out. False: memory. */
bool rl_held_keep(rl_context_t* context, rl_held_t* out);
void rl_held_deinit(rl_context_t* context, rl_held_t* held);
/* From now on the host holds this; it stays as it is in the two calls after one of which it is over. */
void rl_held_use(rl_context_t* context, rl_held_t* fresh, rl_held_t* before);
void rl_held_commit(rl_context_t* context, const rl_held_t* fresh); /* what is stale goes */
void rl_held_undo(rl_context_t* context, rl_held_t* before);        /* `before` again; what was made since is stale */

/* --- correspond.c ----------------------------------------------------------------------------------------------------------- */

/* What of one edition (aside) stands for what in the one that is in place. */
typedef struct rl_correspondence {
    rl_context_t* context;
    const rl_edition_t* from;
    rl_module_id_t changed; /* of `from`: its source is another one; 0: none is known to be the same */
    rl_str_t allow;         /* list of names that may go or change */
    rl_type_t core_types;   /* smaller ones are of the core library, and of both */
    rl_map_t types;         /* type → type; RL_TYPE_ERROR: none */
    rl_map_t fits;          /* type → 1: it has values of the same form there, 0: it has not */
    rl_map_t protos;        /* address → position in made */
    RL_VEC(rl_proto_t*) made;
    RL_VEC(rl_module_id_t) modules;   /* by module of `from` */
    RL_VEC(rl_typedef_id_t) typedefs; /* by typedef of `from`; 0: none */
    RL_VEC(uint8_t) differ;           /* by typedef of `from`: RL_DIFFERS_… */
} rl_correspondence_t;
enum { RL_DIFFERS_NOT, RL_DIFFERS_INSIDE /* a type that it is made of does */, RL_DIFFERS, RL_DIFFERS_TOLD };

/* False: memory. */
bool rl_correspond(
    rl_context_t* context, const rl_edition_t* from, rl_module_id_t changed, rl_str_t allow, rl_correspondence_t* out);
void rl_correspondence_deinit(rl_correspondence_t* c);
/* The type of that form, its effects left out; RL_TYPE_ERROR: there is none (or memory). */
rl_type_t rl_corresponding_type(rl_correspondence_t* c, rl_type_t type);
/* The same for values that have been made: they must be of the same form throughout. */
const rl_rtype_t* rl_corresponding_rtype(rl_correspondence_t* c, rl_type_t type);
/* The function that is meant by the same name, or stands at the same place of an unchanged source; 0: none. */
rl_fn_id_t rl_corresponding_function(rl_correspondence_t* c, rl_fn_id_t function);
/* Do both have the same parameters, results and type parameters? */
bool rl_same_signature(rl_correspondence_t* c, rl_fn_id_t before, rl_fn_id_t after);
/* Instance of the corresponding function; NULL: there is none of the same signature (or memory). */
rl_proto_t* rl_corresponding_proto(rl_correspondence_t* c, const rl_proto_t* proto);
/* Is state in it: something that changes while the program runs? */
bool rl_type_has_state(const rl_program_t* program, rl_type_t type, rl_allocator_t* allocator);
/* Report what the new version of `changed` lacks of what the host may rely on; answers the number of differences, allowed ones too. */
uint32_t rl_compare_exports(rl_correspondence_t* c);
/* A global of the module by name; false: none. */
bool rl_global_of_module(const rl_program_t* program, rl_module_id_t module, rl_str_t name, rl_global_id_t* out);
/* A function of the module by name, no method; 0: none. */
rl_fn_id_t rl_function_of_module(const rl_program_t* program, rl_module_id_t module, rl_str_t name);
rl_module_id_t rl_module_by_path(const rl_program_t* program, rl_str_t path); /* 0: none */

#endif
