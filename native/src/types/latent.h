/*
 * Latent sets (LANGUAGE 6.2): what calls of the functions of a module add, found when its IR is finished. Private to
 * this folder.
 *
 * The nodes of a graph are the functions of the module, its locals, its globals and values in between; each has a flow:
 * what is known of the function it stands for. Edges say what flows where (D45); one pass over the IR makes them, a
 * work list follows them.
 */
#ifndef RL_LATENT_H
#define RL_LATENT_H

#include "types/infer.h"

/* What code adds: a node of the graph, or a known flow. */
typedef uint32_t rl_source_t;
#define RL_SOURCE_KNOWN 0x80000000u

typedef struct rl_charge {
    rl_source_t source; /* its effects … */
    rl_ir_t ir;         /* … are added by this expression … */
    uint32_t without;   /* … but for the tag it handles, + 1; 0: all of them */
} rl_charge_t;

/* A function that is stored or passed where a type with a written set is declared. */
typedef struct rl_slot {
    rl_source_t source;
    rl_type_t type;
    rl_ir_t ir;
} rl_slot_t;

typedef enum rl_edge_kind {
    RL_EDGE_SAME,   /* the flow itself */
    RL_EDGE_ADD,    /* its effects only */
    RL_EDGE_RESULT, /* the flow of its result */
    RL_EDGE_RETURN  /* becomes the flow of the target's result */
} rl_edge_kind_t;

typedef struct rl_edge {
    uint32_t from, to;
    uint32_t kind;
    uint32_t without; /* ADD */
} rl_edge_t;

typedef struct rl_latent {
    rl_checker_t* c;
    uint32_t first_local;                      /* of this module, as an index in the table */
    uint32_t fn_node, local_node, global_node; /* node of the first function, local, global */
    RL_VEC(rl_flow_t) nodes;
    RL_VEC(uint32_t) roots; /* by local: the local that a capture means */
    RL_VEC(rl_edge_t) edges;
    RL_VEC(rl_slot_t) slots;
    RL_VEC(rl_ir_t) foreign; /* uses of functions that `unsafe` is about */
    RL_VEC(uint32_t) steps;  /* IR still to be looked at */
    RL_VEC(struct {
        rl_ir_t ir;
        uint32_t node;
    })
    values;      /* expressions whose flow a node waits for */
    bool record; /* keep charges: something is to be explained */
    RL_VEC(rl_charge_t) charges;
    RL_VEC(uint32_t) charge_first; /* by function, one more at the end */
    rl_fn_id_t fn;                 /* being looked at */
} rl_latent_t;

/* Makes the graph and solves it; sets of functions and globals are in the program then. */
void rl_latent_find(rl_latent_t* l);
/* Once more, with the charges of every function. */
void rl_latent_explain(rl_latent_t* l);
void rl_latent_deinit(rl_latent_t* l);
rl_flow_t rl_latent_flow(const rl_latent_t* l, rl_source_t source);
rl_flow_t rl_flow_of_type(rl_checker_t* c, rl_type_t type); /* as written in it */
/* The function of this module that a source is, 0: none. */
rl_fn_id_t rl_latent_fn(const rl_latent_t* l, rl_source_t source);
rl_effects_t rl_charge_effects(const rl_latent_t* l, const rl_charge_t* charge);

#endif
