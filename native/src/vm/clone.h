/*
 * clone: values of one heap in another one, with everything they reach. What was one object stays one; what is plain data or a
 * closure goes over, what a run stands on (fibers, futures, tasks, walks) does not.
 *
 * The heap that is read is not changed (but for the count of who holds a host object), and nothing of it need be in place: its
 * objects are enough. Nothing here collects. The copies have no root: the owner roots them before anything runs.
 */
#ifndef RL_VM_CLONE_H
#define RL_VM_CLONE_H

#include "base/map.h"
#include "vm/vm.h"

typedef struct rl_clone_pair {
    const rl_object_t* object;
    rl_object_t* copy;
} rl_clone_pair_t;

typedef struct rl_cloner {
    rl_vm_t* vm; /* whose heap the copies are made in */
    void* user;
    /* What stands for them there; NULL: nothing does. */
    const rl_proto_t* (*proto_of)(void* user, const rl_proto_t* proto);
    const rl_rtype_t* (*type_of)(void* user, const rl_rtype_t* type);
    rl_map_t seen; /* address → position in pairs */
    RL_VEC(rl_clone_pair_t) pairs;
    uint32_t done;     /* of them, those whose references are followed */
    const char* stays; /* "iterator": a value of this kind cannot go; NULL: nothing of the kind was met */
} rl_cloner_t;

void rl_cloner_init(rl_cloner_t* cloner, rl_vm_t* vm);
void rl_cloner_deinit(rl_cloner_t* cloner);

/* The copy of an object and of all it reaches. False: `stays`, or memory was refused. */
bool rl_clone(rl_cloner_t* cloner, rl_object_t* object, rl_object_t** out_copy);

#endif
