/* Cell<T>, Ref<T>: an RL_OBJ_CELLS of one word with identity. Iter<T> as a value: walks of core/iterate.h. */
#include "vm/builtin.h"
#include "vm/core/basic.h"
#include "vm/core/iterate.h"

#define FN(name) rl_outcome_t name(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site)

#define BUILTIN(id, name, function, uses) FN(function);
#include "vm/core/collections.def"
#undef BUILTIN

FN(rl_core_cell_new) {
    rl_object_t* cell = rl_heap_new(&vm->heap, RL_OBJ_CELLS, 0, site->types[0]->rep == RL_REP_R, 1);
    if (!cell) return RL_COLLECT;
    rl_object_words(cell)[0] = args[0];
    result->o = cell;
    return RL_DONE;
}

FN(rl_core_cell_get) {
    (void)vm, (void)site;
    *result = rl_object_words(args[0].o)[0];
    if (args[0].o->refs) rl_share(result->o);
    return RL_DONE;
}

FN(rl_core_cell_set) {
    (void)site;
    rl_word_t* word = rl_object_words(args[0].o);
    if (args[0].o->refs) rl_heap_barrier_old(&vm->heap, word->o);
    *word = args[1];
    result->i = 0;
    return RL_DONE;
}

FN(rl_core_iter_from) { return rl_iterate_begin(vm, site->arg_types[0], args[0].o, &result->o); }

FN(rl_core_iter_of) {
    rl_iter_t* iter = rl_iter_new(vm, &rl_walk_of_function, site->result_type, args[0].o, 0);
    if (!iter) return RL_COLLECT;
    rl_share(args[0].o);
    result->o = &iter->header;
    return RL_DONE;
}

FN(rl_core_iter_is_native) {
    (void)vm, (void)site;
    result->i = ((const rl_iter_t*)args[0].o)->walker != &rl_walk_of_function;
    return RL_DONE;
}

/* Of a native walk: some object, which nobody calls. */
FN(rl_core_iter_step) {
    (void)vm, (void)site;
    rl_iter_t* iter = (rl_iter_t*)args[0].o;
    result->o = iter->walker == &rl_walk_of_function ? iter->source : &iter->header;
    return RL_DONE;
}

/* The Some is made first: once the walk has stepped on, nothing may be refused. */
FN(rl_core_iter_next) {
    rl_word_t some, element = {0};
    bool ended = false;
    rl_outcome_t outcome = rl_make_some(vm, site->result_type, element, &some);
    if (outcome == RL_DONE) outcome = rl_iterate_next(vm, args[0].o, &element, &ended);
    if (outcome != RL_DONE) return outcome;
    if (ended) {
        rl_make_none(site->result_type, result);
        return RL_DONE;
    }
    rl_object_words(some.o)[rl_shape_named(site->result_type, RL_STR("Some"))->fields[0].slot] = element;
    *result = some;
    return RL_DONE;
}
