/*
 * Impls of traits, as the finished program knows them: which one holds for given types, and the function it has for a
 * function of its trait. Shared by the checker, code/ and host/.
 */
#ifndef RL_IMPL_H
#define RL_IMPL_H

#include "types/program.h"

enum { RL_IMPL_PARAMS_MAX = 64, RL_IMPL_DEPTH = 40 };

/* Chain of impl_map that a Self type belongs to; 0: it says nothing. */
uint32_t rl_impl_head(const rl_program_t* program, rl_type_t self);
void rl_impl_add(rl_program_t* program, const rl_impl_t* impl); /* puts it at the head of its chains */

/* Walk over the impls of a trait that may hold for `self` (RL_TYPE_ERROR: all): those of its head, then blanket ones. */
typedef struct rl_impl_walk {
    const rl_program_t *program, *top;
    rl_trait_id_t trait;
    uint32_t head, stage;
    rl_impl_id_t next;
} rl_impl_walk_t;
rl_impl_walk_t rl_impl_walk(const rl_program_t* program, rl_trait_id_t trait, uint32_t head);
rl_impl_id_t rl_impl_next(rl_impl_walk_t* walk); /* 0: no more */

/* The impl whose head matches Self and arguments (`wanted`; without variables; ERROR as Self: any); its type parameters
   come to `out` (RL_IMPL_PARAMS_MAX). What it demands of them is not looked at: heads do not overlap. 0: none. */
rl_impl_id_t rl_impl_find(const rl_program_t* program, rl_trait_id_t trait, const rl_type_t* wanted, rl_type_t* out);
/* Is the trait implemented for these types, with everything that the impl demands? */
bool rl_impl_holds(rl_program_t* program, rl_trait_id_t trait, const rl_type_t* wanted);

typedef struct rl_impl_fn {
    rl_fn_id_t fn;
    uint32_t count;
    rl_type_t args[2 * RL_IMPL_PARAMS_MAX];
} rl_impl_fn_t;
/*
 * What a function of a trait means for type arguments (Self, the trait's, its own; `count` of them). False: not known
 * from these types, or no impl.
 */
bool rl_impl_resolve(
    rl_program_t* program, rl_fn_id_t method, const rl_type_t* args, uint32_t count, rl_impl_fn_t* out);
/* The function that is `op` (a bit of RL_OPERATOR_KINDS) on two (or one) operands of this type. False: it is built in. */
bool rl_impl_operator(rl_program_t* program, uint32_t kind, rl_type_t type, rl_impl_fn_t* out);
/* Operator `index` of RL_OPERATOR_KINDS, built in or not. */
bool rl_impl_holds_operator(rl_program_t* program, uint32_t index, rl_type_t type);
/* A user's own Display or Debug of a type. */
bool rl_impl_text(rl_program_t* program, rl_type_t type, bool debug, rl_impl_fn_t* out);

#endif
