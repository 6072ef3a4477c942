#include "vm/core/tree.h"

enum { LEAF_BYTES = RL_TREE_NODE_BYTES - RL_TREE_HEAD_BYTES };

rl_tree_layout_t rl_tree_layout(unsigned form, unsigned height) {
    const uint16_t head = RL_TREE_HEAD_BYTES;
    bool keyed = (form & RL_TREE_KEYED) != 0;
    if (height > 0) {
        uint16_t fanout = keyed ? RL_TREE_KEYED_FANOUT : RL_TREE_LIST_FANOUT;
        return (rl_tree_layout_t){fanout, keyed ? 3 : 2,
            {{head, 8}, {(uint16_t)(head + 8 * fanout), 4}, {(uint16_t)(head + 12 * fanout), 8}}};
    }
    if (keyed) {
        bool valued = (form & RL_TREE_VALUED) != 0;
        return (rl_tree_layout_t){valued ? 15 : 30, valued ? 2 : 1, {{head, 8}, {head + 8 * 15, 8}, {0, 0}}};
    }
    uint16_t size = (uint16_t)rl_element_size((rl_element_t)(form & RL_TREE_ELEMENT));
    return (rl_tree_layout_t){size ? LEAF_BYTES / size : LEAF_BYTES, 1, {{head, size}, {0, 0}, {0, 0}}};
}

static rl_tree_layout_t layout_of(const rl_tree_node_t* node) { return rl_tree_layout(node->header.tag, node->height); }
static uint32_t least_of(const rl_tree_layout_t* layout) { return layout->capacity / 4; }

static rl_tree_node_t* new_node(rl_heap_t* heap, unsigned kind, unsigned form, unsigned height) {
    rl_tree_node_t* node = rl_heap_new_sized(heap, kind, 0, RL_TREE_NODE_BYTES);
    if (!node) return NULL;
    node->header.tag = (uint16_t)form;
    node->height = (uint8_t)height;
    return node;
}
static rl_tree_node_t* new_like(rl_heap_t* heap, const rl_tree_node_t* node) {
    return new_node(heap, node->header.kind, node->header.tag, node->height);
}

/* Entries [from, from + count) of `source` to place `at` of `target`; gaps and counts are the caller's. */
static void move_entries(
    rl_tree_node_t* target, uint32_t at, const rl_tree_node_t* source, uint32_t from, uint32_t count) {
    rl_tree_layout_t layout = layout_of(source);
    for (uint32_t c = 0; c < layout.columns; c++) {
        size_t size = layout.column[c].size;
        memmove((char*)rl_tree_at(target, layout.column[c].offset) + at * size,
            (const char*)rl_tree_at(source, layout.column[c].offset) + from * size, count * size);
    }
}

static void store_entry(rl_tree_node_t* node, uint32_t at, const rl_word_t entry[3]) {
    if (node->height > 0) {
        rl_tree_children(node)[at] = entry[0].o;
        rl_tree_sizes(node)[at] = (uint32_t)entry[1].u;
        if (node->header.tag & RL_TREE_KEYED) rl_tree_separators(node)[at] = entry[2];
    } else if (node->header.tag & RL_TREE_KEYED) {
        rl_tree_keys(node)[at] = entry[0];
        if (node->header.tag & RL_TREE_VALUED) rl_tree_values(node)[at] = entry[1];
    } else {
        rl_element_store(
            (rl_element_t)(node->header.tag & RL_TREE_ELEMENT), rl_tree_at(node, RL_TREE_HEAD_BYTES), at, entry[0]);
    }
}

static void recount(rl_tree_node_t* node) {
    if (node->height == 0) {
        node->count = node->used;
        return;
    }
    uint32_t count = 0;
    const uint32_t* sizes = rl_tree_sizes(node);
    for (uint32_t i = 0; i < node->used; i++) count += sizes[i];
    node->count = count;
}

static void share_children(const rl_tree_node_t* node, uint32_t from, uint32_t count) {
    if (node->height == 0) return;
    for (uint32_t i = from; i < from + count; i++) rl_tree_child(node, i)->header.flags |= RL_OBJ_SHARED;
}

/* A node of its own with the entries [from, from + count); what it has in common with the old one becomes shared. */
static rl_tree_node_t* part_of(rl_heap_t* heap, const rl_tree_node_t* node, uint32_t from, uint32_t count) {
    rl_tree_node_t* part = new_like(heap, node);
    if (!part) return NULL;
    move_entries(part, 0, node, from, count);
    part->used = (uint8_t)count;
    share_children(node, from, count);
    recount(part);
    return part;
}

static void changing(rl_heap_t* heap, rl_tree_node_t* node) { rl_heap_barrier(heap, &node->header, NULL); }

static void set_root(rl_heap_t* heap, rl_object_t* holder, rl_object_t** root, rl_object_t* fresh) {
    if (holder) rl_heap_barrier_old(heap, *root);
    *root = fresh;
}

/* --- ways down ---------------------------------------------------------------------------------------------------- */

rl_tree_node_t* rl_tree_leaf_at(const rl_object_t* root, uint32_t index, uint32_t* out_place) {
    const rl_tree_node_t* node = (const rl_tree_node_t*)root;
    while (node->height > 0) {
        const uint32_t* sizes = rl_tree_sizes(node);
        uint32_t slot = 0;
        while (index >= sizes[slot]) index -= sizes[slot++];
        node = rl_tree_child(node, slot);
    }
    *out_place = index;
    return (rl_tree_node_t*)(uintptr_t)node;
}

void rl_tree_locate(const rl_object_t* root, uint32_t index, rl_tree_path_t* out_path) {
    rl_tree_node_t* node = (rl_tree_node_t*)(uintptr_t)root;
    out_path->height = node->height;
    while (node->height > 0) {
        const uint32_t* sizes = rl_tree_sizes(node);
        uint32_t slot = 0;
        while (slot + 1 < node->used && index >= sizes[slot]) index -= sizes[slot++];
        out_path->steps[node->height] = (rl_tree_step_t){node, slot};
        node = rl_tree_child(node, slot);
    }
    out_path->steps[0] = (rl_tree_step_t){node, index};
}

bool rl_tree_own(rl_heap_t* heap, rl_object_t* holder, rl_object_t** root, rl_tree_path_t* path) {
    for (uint32_t h = path->height + 1; h-- > 0;) {
        rl_tree_node_t* node = path->steps[h].node;
        if (h < path->height) node = rl_tree_child(path->steps[h + 1].node, path->steps[h + 1].slot);
        if (node->header.flags & RL_OBJ_SHARED) {
            rl_tree_node_t* copy = part_of(heap, node, 0, node->used);
            if (!copy) return false;
            if (h == path->height) {
                set_root(heap, holder, root, &copy->header);
            } else {
                rl_tree_step_t* parent = &path->steps[h + 1];
                changing(heap, parent->node);
                rl_tree_children(parent->node)[parent->slot] = &copy->header;
            }
            node = copy;
        }
        path->steps[h].node = node;
    }
    return true;
}

/* Down one edge to the nodes of height `least`. */
static void locate_edge(const rl_object_t* root, bool right, uint32_t least, rl_tree_path_t* out_path) {
    rl_tree_node_t* node = (rl_tree_node_t*)(uintptr_t)root;
    out_path->height = node->height;
    for (;;) {
        uint32_t slot = right ? (uint32_t)node->used - 1 : 0;
        out_path->steps[node->height] = (rl_tree_step_t){node, slot};
        if (node->height == least) return;
        node = rl_tree_child(node, slot);
    }
}

static bool own_edge(rl_heap_t* heap, rl_object_t** root, uint32_t least, rl_tree_path_t* path) {
    for (uint32_t h = path->height + 1; h-- > least;) {
        rl_tree_node_t* node =
            h == path->height ? path->steps[h].node : rl_tree_child(path->steps[h + 1].node, path->steps[h + 1].slot);
        if (node->header.flags & RL_OBJ_SHARED) {
            rl_tree_node_t* copy = part_of(heap, node, 0, node->used);
            if (!copy) return false;
            if (h == path->height) {
                *root = &copy->header;
            } else {
                changing(heap, path->steps[h + 1].node);
                rl_tree_children(path->steps[h + 1].node)[path->steps[h + 1].slot] = &copy->header;
            }
            node = copy;
        }
        path->steps[h].node = node;
    }
    return true;
}

/* --- insertion ------------------------------------------------------------------------------------------------------- */

/* Nodes for the splits that an insertion at height `level` of the path will make. */
typedef struct pool {
    uint32_t used;
    rl_tree_node_t* nodes[RL_TREE_HEIGHT_MOST + 2];
} pool_t;

static bool reserve(rl_heap_t* heap, const rl_tree_path_t* path, uint32_t level, pool_t* pool) {
    pool->used = 0;
    uint32_t count = 0, h = level;
    for (; h <= path->height; h++, count++) {
        rl_tree_node_t* node = path->steps[h].node;
        if (node->used < layout_of(node).capacity) break;
        if (!(pool->nodes[count] = new_like(heap, node))) return false;
    }
    if (h <= path->height) return true;
    const rl_tree_node_t* top = path->steps[path->height].node;
    if (top->height >= RL_TREE_HEIGHT_MOST) { /* more elements than memory can hold */
        heap->allocator->failed = true;
        return false;
    }
    pool->nodes[count] = new_node(heap, top->header.kind, top->header.tag, top->height + 1u);
    return pool->nodes[count] != NULL;
}

static void open_place(rl_tree_node_t* node, uint32_t at, const rl_word_t entry[3]) {
    move_entries(node, at + 1, node, at, node->used - at);
    store_entry(node, at, entry);
    node->used++;
}

/* Move the upper part of a full node to `right` and insert; elements inserted in order at an end fill most of a node. */
static void split(rl_tree_node_t* node, rl_tree_node_t* right, uint32_t at, const rl_word_t entry[3]) {
    uint32_t used = node->used, keep = at == used ? used - used / 4 : at == 0 ? used / 4 : used / 2;
    move_entries(right, 0, node, keep, used - keep);
    right->used = (uint8_t)(used - keep);
    node->used = (uint8_t)keep;
    if (at > keep) open_place(right, at - keep, entry);
    else open_place(node, at, entry);
    recount(node);
    recount(right);
}

static rl_word_t first_key(const rl_tree_node_t* node) {
    if (!(node->header.tag & RL_TREE_KEYED)) return (rl_word_t){0};
    return node->height ? rl_tree_separators(node)[0] : rl_tree_keys(node)[0];
}

static void entry_of_child(rl_tree_node_t* child, rl_word_t out[3]) {
    out[0].o = &child->header;
    out[1].u = child->count;
    out[2] = first_key(child);
}

/* The counts of everything above `level` after that node's count has changed by `added`. */
static void count_up(rl_tree_path_t* path, uint32_t level, uint32_t added) {
    for (uint32_t h = level + 1; h <= path->height; h++) {
        rl_tree_node_t* node = path->steps[h].node;
        rl_tree_sizes(node)[path->steps[h].slot] += added;
        node->count += added;
    }
}

/* Cannot fail: the pool has what it needs. `added`: elements that the subtree of `level` gains. */
static void commit(rl_heap_t* heap, rl_object_t* holder, rl_object_t** root, rl_tree_path_t* path, uint32_t level,
    uint32_t at, const rl_word_t first_entry[3], uint32_t added, pool_t* pool) {
    rl_word_t entry[3] = {first_entry[0], first_entry[1], first_entry[2]};
    for (uint32_t h = level;; h++) {
        rl_tree_node_t* node = path->steps[h].node;
        changing(heap, node);
        if (node->used < layout_of(node).capacity) {
            open_place(node, at, entry);
            node->count += added;
            count_up(path, h, added);
            return;
        }
        rl_tree_node_t* right = pool->nodes[pool->used++];
        split(node, right, at, entry);
        entry_of_child(right, entry);
        if (h == path->height) {
            rl_tree_node_t* top = pool->nodes[pool->used++];
            rl_word_t left[3];
            entry_of_child(node, left);
            store_entry(top, 0, left);
            store_entry(top, 1, entry);
            top->used = 2;
            recount(top);
            set_root(heap, holder, root, &top->header);
            return;
        }
        rl_tree_step_t* parent = &path->steps[h + 1];
        rl_tree_sizes(parent->node)[parent->slot] = node->count;
        at = parent->slot + 1;
    }
}

bool rl_tree_insert(
    rl_heap_t* heap, rl_object_t* holder, rl_object_t** root, rl_tree_path_t* path, const rl_word_t entry[3]) {
    pool_t pool;
    if (!reserve(heap, path, 0, &pool)) return false;
    commit(heap, holder, root, path, 0, path->steps[0].slot, entry, 1, &pool);
    return true;
}

rl_tree_node_t* rl_tree_first_leaf(rl_heap_t* heap, unsigned kind, unsigned form, const rl_word_t entry[3]) {
    rl_tree_node_t* leaf = new_node(heap, kind, form, 0);
    if (!leaf) return NULL;
    store_entry(leaf, 0, entry);
    leaf->used = 1;
    leaf->count = 1;
    return leaf;
}

/* --- removal --------------------------------------------------------------------------------------------------------------- */

static void close_place(rl_tree_node_t* node, uint32_t at) {
    move_entries(node, at, node, at + 1, node->used - at - 1u);
    node->used--;
}

/* Everything of the neighbours `left` and `right` into `node`, which is one of them and owned. */
static void merge(rl_tree_node_t* node, rl_tree_node_t* left, rl_tree_node_t* right, rl_word_t separator) {
    rl_tree_node_t* other = node == left ? right : left;
    uint32_t junction = left->used;
    if (other->header.flags & RL_OBJ_SHARED) share_children(other, 0, other->used);
    if (node == left) {
        move_entries(node, junction, right, 0, right->used);
    } else {
        move_entries(node, junction, node, 0, node->used);
        move_entries(node, 0, left, 0, junction);
    }
    node->used = (uint8_t)(node->used + other->used);
    if (node->height && (node->header.tag & RL_TREE_KEYED)) rl_tree_separators(node)[junction] = separator;
    recount(node);
}

/* Half of the entries of two owned neighbours to each. */
static void level_out(rl_tree_node_t* left, rl_tree_node_t* right, rl_word_t separator) {
    uint32_t total = (uint32_t)left->used + right->used, keep = total / 2;
    if (right->height && (right->header.tag & RL_TREE_KEYED)) rl_tree_separators(right)[0] = separator;
    if (left->used < keep) {
        uint32_t count = keep - left->used;
        move_entries(left, left->used, right, 0, count);
        move_entries(right, 0, right, count, right->used - count);
    } else {
        uint32_t count = left->used - keep;
        move_entries(right, count, right, 0, right->used);
        move_entries(right, 0, left, keep, count);
    }
    left->used = (uint8_t)keep;
    right->used = (uint8_t)(total - keep);
    recount(left);
    recount(right);
}

/* The child in `parent`'s place `slot` as a node of its own, or NULL. */
static rl_tree_node_t* own_child(rl_heap_t* heap, rl_tree_node_t* parent, uint32_t slot) {
    rl_tree_node_t* child = rl_tree_child(parent, slot);
    if (!(child->header.flags & RL_OBJ_SHARED)) return child;
    bool failed = heap->allocator->failed;
    rl_tree_node_t* copy = part_of(heap, child, 0, child->used);
    heap->allocator->failed = failed; /* without memory the node stays too small: slower, not wrong */
    if (!copy) return NULL;
    changing(heap, parent);
    rl_tree_children(parent)[slot] = &copy->header;
    return copy;
}

/* `node` has become too small: merge it with a neighbour, or level both out. */
static void repair(rl_heap_t* heap, rl_tree_node_t* parent, uint32_t slot, rl_tree_node_t* node) {
    changing(heap, parent);
    if (parent->used == 1 || node->used == 0) {
        if (node->used == 0) close_place(parent, slot);
        return;
    }
    uint32_t at = slot > 0 ? slot - 1 : 0; /* of the left one */
    rl_tree_node_t* left = rl_tree_child(parent, at);
    rl_tree_node_t* right = rl_tree_child(parent, at + 1);
    bool keyed = (node->header.tag & RL_TREE_KEYED) != 0;
    rl_word_t separator = keyed ? rl_tree_separators(parent)[at + 1] : (rl_word_t){0};
    changing(heap, left);
    changing(heap, right);
    if ((uint32_t)left->used + right->used <= layout_of(node).capacity) {
        merge(node, left, right, separator);
        close_place(parent, at + 1);
        rl_tree_children(parent)[at] = &node->header;
        rl_tree_sizes(parent)[at] = node->count;
        return;
    }
    rl_tree_node_t* other = own_child(heap, parent, node == left ? at + 1 : at);
    if (!other) return;
    if (node == left) right = other;
    else left = other;
    level_out(left, right, separator);
    rl_tree_sizes(parent)[at] = left->count;
    rl_tree_sizes(parent)[at + 1] = right->count;
    if (keyed) rl_tree_separators(parent)[at + 1] = first_key(right);
}

void rl_tree_remove(rl_heap_t* heap, rl_object_t* holder, rl_object_t** root, rl_tree_path_t* path) {
    rl_tree_node_t* node = path->steps[0].node;
    changing(heap, node);
    close_place(node, path->steps[0].slot);
    node->count--;
    for (uint32_t h = 1; h <= path->height; h++) {
        rl_tree_sizes(path->steps[h].node)[path->steps[h].slot]--;
        path->steps[h].node->count--;
    }
    for (uint32_t h = 0; h < path->height; h++) {
        rl_tree_layout_t layout = layout_of(path->steps[h].node);
        if (path->steps[h].node->used >= least_of(&layout)) break;
        repair(heap, path->steps[h + 1].node, path->steps[h + 1].slot, path->steps[h].node);
    }
    rl_tree_node_t* top = path->steps[path->height].node;
    while (top->height > 0 && top->used == 1) top = rl_tree_child(top, 0);
    set_root(heap, holder, root, top->used ? &top->header : NULL);
}

/* --- joining and cutting: lists ------------------------------------------------------------------------------------------- */

/* Two neighbours as one node, or as two that are large enough. */
static bool combine(rl_heap_t* heap, rl_tree_node_t* left, rl_tree_node_t* right, rl_tree_node_t* out[2]) {
    rl_tree_layout_t layout = layout_of(left);
    uint32_t total = (uint32_t)left->used + right->used, least = least_of(&layout);
    out[0] = left;
    out[1] = right;
    if (total > layout.capacity && left->used >= least && right->used >= least) return true;
    uint32_t keep = total <= layout.capacity ? total : total / 2, from_left = keep < left->used ? keep : left->used;
    if (left->header.flags & RL_OBJ_SHARED) share_children(left, 0, left->used);
    if (right->header.flags & RL_OBJ_SHARED) share_children(right, 0, right->used);
    if (!(out[0] = new_like(heap, left))) return false;
    move_entries(out[0], 0, left, 0, from_left);
    move_entries(out[0], from_left, right, 0, keep - from_left);
    out[0]->used = (uint8_t)keep;
    recount(out[0]);
    out[1] = NULL;
    if (keep == total) return true;
    if (!(out[1] = new_like(heap, left))) return false;
    uint32_t rest = left->used - from_left;
    move_entries(out[1], 0, left, from_left, rest);
    move_entries(out[1], rest, right, keep - from_left, right->used - (keep - from_left));
    out[1]->used = (uint8_t)(total - keep);
    recount(out[1]);
    return true;
}

static rl_object_t* join_equal(rl_heap_t* heap, rl_tree_node_t* left, rl_tree_node_t* right) {
    rl_tree_node_t* nodes[2];
    if (!combine(heap, left, right, nodes)) return NULL;
    if (!nodes[1]) return &nodes[0]->header;
    if (left->height >= RL_TREE_HEIGHT_MOST) {
        heap->allocator->failed = true;
        return NULL;
    }
    rl_tree_node_t* top = new_node(heap, left->header.kind, left->header.tag, left->height + 1u);
    if (!top) return NULL;
    rl_word_t entry[3];
    for (uint32_t i = 0; i < 2; i++) {
        entry_of_child(nodes[i], entry);
        store_entry(top, i, entry);
    }
    top->used = 2;
    recount(top);
    return &top->header;
}

/* The lower tree becomes a child at one edge of the higher one. */
static rl_object_t* join_edge(rl_heap_t* heap, rl_tree_node_t* high, rl_tree_node_t* low, bool at_right) {
    rl_object_t* root = &high->header;
    rl_tree_path_t path;
    pool_t pool;
    uint32_t level = low->height + 1u;
    locate_edge(root, at_right, level, &path);
    if (!own_edge(heap, &root, level, &path)) return NULL;
    rl_tree_node_t* parent = path.steps[level].node;
    uint32_t slot = path.steps[level].slot, added = low->count;
    rl_tree_layout_t layout = layout_of(low);
    rl_tree_node_t* fresh = low;
    if (low->used < least_of(&layout)) {
        rl_tree_node_t* nodes[2];
        rl_tree_node_t* neighbour = rl_tree_child(parent, slot);
        if (!combine(heap, at_right ? neighbour : low, at_right ? low : neighbour, nodes)) return NULL;
        if (nodes[1] && !reserve(heap, &path, level, &pool)) return NULL;
        rl_tree_node_t* kept = nodes[1] && !at_right ? nodes[1] : nodes[0];
        changing(heap, parent);
        rl_tree_children(parent)[slot] = &kept->header;
        rl_tree_sizes(parent)[slot] = kept->count;
        if (!nodes[1]) {
            parent->count += added;
            count_up(&path, level, added);
            return root;
        }
        fresh = at_right ? nodes[1] : nodes[0];
    } else if (!reserve(heap, &path, level, &pool)) {
        return NULL;
    }
    rl_word_t entry[3];
    entry_of_child(fresh, entry);
    commit(heap, NULL, &root, &path, level, at_right ? slot + 1 : slot, entry, added, &pool);
    return root;
}

rl_object_t* rl_tree_join(rl_heap_t* heap, rl_object_t* left, rl_object_t* right) {
    rl_tree_node_t* l = (rl_tree_node_t*)left;
    rl_tree_node_t* r = (rl_tree_node_t*)right;
    if (l->height == r->height) return join_equal(heap, l, r);
    return l->height > r->height ? join_edge(heap, l, r, true) : join_edge(heap, r, l, false);
}

/* One side of the tree: elements before (or from) the place of the path, put together from whole subtrees. */
static rl_object_t* cut(rl_heap_t* heap, const rl_tree_path_t* path, bool keep_left) {
    rl_object_t* done = NULL;
    for (uint32_t h = 0; h <= path->height; h++) {
        rl_tree_node_t* node = path->steps[h].node;
        uint32_t slot = path->steps[h].slot;
        uint32_t from = keep_left ? 0 : h ? slot + 1 : slot, count = keep_left ? slot : node->used - from;
        if (count == 0) continue;
        rl_object_t* part;
        if (h > 0 && count == 1) {
            part = rl_tree_children(node)[from];
            part->flags |= RL_OBJ_SHARED;
        } else {
            rl_tree_node_t* made = part_of(heap, node, from, count);
            if (!made) return NULL;
            part = &made->header;
        }
        if (done) part = keep_left ? rl_tree_join(heap, part, done) : rl_tree_join(heap, done, part);
        if (!part) return NULL;
        done = part;
    }
    return done;
}

rl_object_t* rl_tree_slice(rl_heap_t* heap, rl_object_t* root, uint32_t from, uint32_t to) {
    rl_tree_path_t path;
    if (to < ((rl_tree_node_t*)root)->count) {
        rl_tree_locate(root, to, &path);
        if (!(root = cut(heap, &path, true))) return NULL;
    }
    if (from > 0) {
        rl_tree_locate(root, from, &path);
        root = cut(heap, &path, false);
    }
    return root;
}

rl_object_t* rl_tree_build(rl_heap_t* heap, rl_element_t element, const void* data, uint32_t count) {
    rl_object_t* root = NULL;
    uint32_t capacity = rl_tree_layout(element, 0).capacity, size = rl_element_size(element);
    for (uint32_t done = 0; done < count;) {
        uint32_t chunk = count - done < capacity ? count - done : capacity;
        rl_tree_node_t* leaf = new_node(heap, RL_OBJ_LIST_NODE, element, 0);
        if (!leaf) return NULL;
        if (size)
            memcpy(rl_tree_at(leaf, RL_TREE_HEAD_BYTES), (const char*)data + (size_t)done * size, (size_t)chunk * size);
        leaf->used = (uint8_t)chunk;
        leaf->count = chunk;
        root = root ? rl_tree_join(heap, root, &leaf->header) : &leaf->header;
        if (!root) return NULL;
        done += chunk;
    }
    return root;
}

/* --- collector ------------------------------------------------------------------------------------------------------------- */

void rl_tree_mark(rl_heap_t* heap, rl_object_t* object) {
    const rl_tree_node_t* node = (const rl_tree_node_t*)object;
    unsigned form = object->tag;
    uint32_t used = node->used;
    if (node->height > 0) {
        rl_object_t** children = rl_tree_children(node);
        for (uint32_t i = 0; i < used; i++) rl_heap_mark(heap, children[i]);
        if (!(form & RL_TREE_KEY_REF)) return;
        rl_word_t* separators = rl_tree_separators(node);
        for (uint32_t i = 0; i < used; i++) rl_heap_mark(heap, separators[i].o);
        return;
    }
    if (!(form & RL_TREE_KEYED)) {
        if ((form & RL_TREE_ELEMENT) != RL_ELEM_REF) return;
        rl_object_t** elements = rl_tree_at(node, RL_TREE_HEAD_BYTES);
        for (uint32_t i = 0; i < used; i++) rl_heap_mark(heap, elements[i]);
        return;
    }
    if (form & RL_TREE_KEY_REF) {
        for (uint32_t i = 0; i < used; i++) rl_heap_mark(heap, rl_tree_keys(node)[i].o);
    }
    if (form & RL_TREE_VALUE_REF) {
        for (uint32_t i = 0; i < used; i++) rl_heap_mark(heap, rl_tree_values(node)[i].o);
    }
}

static bool each_of(rl_object_t** references, uint32_t count, rl_heap_each_fn each, void* user) {
    for (uint32_t i = 0; i < count; i++) {
        if (!each(&references[i], user)) return false;
    }
    return true;
}

bool rl_tree_clone(rl_heap_t* heap, rl_object_t* copy, const rl_object_t* object, rl_heap_each_fn each, void* user) {
    const rl_tree_node_t* node = (const rl_tree_node_t*)copy;
    unsigned form = object->tag;
    uint32_t used = node->used;
    (void)heap;
    if (node->height > 0) {
        if (!each_of(rl_tree_children(node), used, each, user)) return false;
        return !(form & RL_TREE_KEY_REF) || each_of((rl_object_t**)(void*)rl_tree_separators(node), used, each, user);
    }
    if (!(form & RL_TREE_KEYED)) {
        if ((form & RL_TREE_ELEMENT) != RL_ELEM_REF) return true;
        return each_of(rl_tree_at(node, RL_TREE_HEAD_BYTES), used, each, user);
    }
    if ((form & RL_TREE_KEY_REF) && !each_of((rl_object_t**)(void*)rl_tree_keys(node), used, each, user)) return false;
    return !(form & RL_TREE_VALUE_REF) || each_of((rl_object_t**)(void*)rl_tree_values(node), used, each, user);
}
