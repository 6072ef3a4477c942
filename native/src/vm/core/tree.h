/*
 * The counted B+-tree under large lists, Map and Set. Nodes are 256-byte objects; all leaves lie at the same height, and
 * every node but the root keeps at least a quarter of its places. A node with RL_OBJ_SHARED may have a second parent and is
 * copied before it changes ("owning" it); the bit tells the truth for a node all of whose ancestors are unshared.
 *
 * Failure: functions that answer bool or may refuse answer false when memory is refused; until then nothing has changed but
 * the representation (nodes replaced by copies), so the caller answers RL_COLLECT. Nothing here collects, raises or charges.
 */
#ifndef RL_CORE_TREE_H
#define RL_CORE_TREE_H

#include "vm/core/collections.h"

enum {
    RL_TREE_NODE_BYTES = 256,
    RL_TREE_HEAD_BYTES = 16,
    RL_TREE_LIST_FANOUT = 20,
    RL_TREE_KEYED_FANOUT = 12,
    RL_TREE_HEIGHT_MOST = 24
};

/* What the leaves hold: the tag of every node. */
enum {
    RL_TREE_ELEMENT = 15, /* lists: rl_element_t */
    RL_TREE_KEYED = 16,   /* maps, sets: words; branches hold separators, too */
    RL_TREE_KEY_REF = 32,
    RL_TREE_VALUED = 64, /* maps: a second column */
    RL_TREE_VALUE_REF = 128
};

typedef struct rl_tree_node {
    rl_object_t header; /* LIST_NODE or MAP_NODE; refs = 0: marked by rl_tree_mark */
    uint32_t count;     /* elements below */
    uint8_t height;     /* 0: leaf */
    uint8_t used;       /* places in use */
    uint16_t unused;
} rl_tree_node_t; /* columns follow: see rl_tree_layout */

/* A node is a table of up to three columns: leaf: element, or key and value; branch: child, size of it, and for maps the
   least key it may hold (that of place 0 is not looked at). */
typedef struct rl_tree_layout {
    uint32_t capacity, columns;
    struct {
        uint16_t offset, size;
    } column[3];
} rl_tree_layout_t;
rl_tree_layout_t rl_tree_layout(unsigned form, unsigned height);

static inline void* rl_tree_at(const rl_tree_node_t* node, size_t offset) { return (char*)(uintptr_t)node + offset; }
static inline rl_object_t** rl_tree_children(const rl_tree_node_t* node) {
    return rl_tree_at(node, RL_TREE_HEAD_BYTES);
}
static inline uint32_t* rl_tree_sizes(const rl_tree_node_t* node) {
    return rl_tree_at(node, node->header.tag & RL_TREE_KEYED ? RL_TREE_HEAD_BYTES + 8 * RL_TREE_KEYED_FANOUT
                                                             : RL_TREE_HEAD_BYTES + 8 * RL_TREE_LIST_FANOUT);
}
static inline rl_word_t* rl_tree_separators(const rl_tree_node_t* node) {
    return rl_tree_at(node, RL_TREE_HEAD_BYTES + 12 * RL_TREE_KEYED_FANOUT);
}
static inline rl_word_t* rl_tree_keys(const rl_tree_node_t* leaf) { return rl_tree_at(leaf, RL_TREE_HEAD_BYTES); }
static inline rl_word_t* rl_tree_values(const rl_tree_node_t* leaf) {
    return rl_tree_at(leaf, RL_TREE_HEAD_BYTES + 8 * 15);
}
static inline rl_tree_node_t* rl_tree_child(const rl_tree_node_t* node, uint32_t slot) {
    return (rl_tree_node_t*)rl_tree_children(node)[slot];
}

/* The way from the root to a place in a leaf: one step per height. */
typedef struct rl_tree_step {
    rl_tree_node_t* node;
    uint32_t slot;
} rl_tree_step_t;
typedef struct rl_tree_path {
    uint32_t height;
    rl_tree_step_t steps[RL_TREE_HEIGHT_MOST + 1];
} rl_tree_path_t;

/* Leaf with element `index` (below the count) and its place there. */
rl_tree_node_t* rl_tree_leaf_at(const rl_object_t* root, uint32_t index, uint32_t* out_place);
/* The same as a path; index == count: behind the last. */
void rl_tree_locate(const rl_object_t* root, uint32_t index, rl_tree_path_t* out_path);
/* Make every node of the path changeable: shared ones are copied. `*root` is a reference that `holder` contains, or a
   variable (holder NULL). */
bool rl_tree_own(rl_heap_t* heap, rl_object_t* holder, rl_object_t** root, rl_tree_path_t* path);
/* Insert an entry at the place of an owned path. */
bool rl_tree_insert(
    rl_heap_t* heap, rl_object_t* holder, rl_object_t** root, rl_tree_path_t* path, const rl_word_t entry[3]);
/* Remove the entry at the place of an owned path; `*root` becomes NULL with the last. Never refused. */
void rl_tree_remove(rl_heap_t* heap, rl_object_t* holder, rl_object_t** root, rl_tree_path_t* path);

/* A leaf with one entry. NULL: refused. */
rl_tree_node_t* rl_tree_first_leaf(rl_heap_t* heap, unsigned kind, unsigned form, const rl_word_t entry[3]);

/* Lists: nodes of the result may be nodes of the arguments, so whoever goes on holding one of these has marked it SHARED. */
rl_object_t* rl_tree_join(rl_heap_t* heap, rl_object_t* left, rl_object_t* right);
rl_object_t* rl_tree_slice(rl_heap_t* heap, rl_object_t* root, uint32_t from, uint32_t to); /* from < to <= count */
rl_object_t* rl_tree_build(rl_heap_t* heap, rl_element_t element, const void* data, uint32_t count); /* count > 0 */

#endif
