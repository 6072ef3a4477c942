/* Table<K, V>: a hash table in place, keyed by the context's secret, walked in order of insertion. */
#include "base/map.h"
#include "vm/builtin.h"
#include "vm/core/basic.h"
#include "vm/core/key.h"
#include "vm/core/keyed.h"

#define FN(name) rl_outcome_t name(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site)
#define TABLE(i) ((rl_table_t*)args[i].o)

#define BUILTIN(id, name, function, uses) FN(function);
#include "vm/core/collections.def"
#undef BUILTIN

enum { LEAST_ENTRIES = 6, LEAST_SLOTS = 8 };

rl_table_t* rl_table_make(rl_vm_t* vm, const rl_rtype_t* key, const rl_rtype_t* value) {
    rl_table_t* table = rl_heap_new_sized(&vm->heap, RL_OBJ_TABLE, 0, sizeof *table);
    if (!table) return NULL;
    table->key_is_ref = key->rep == RL_REP_R;
    table->value_is_ref = value->rep == RL_REP_R;
    return table;
}

/* --- search ------------------------------------------------------------------------------------------------------ */

static rl_outcome_t hash_of(
    rl_vm_t* vm, rl_key_class_t class_of, const rl_rtype_t* type, rl_word_t key, uint32_t* out) {
    uint64_t hash = 0;
    rl_outcome_t outcome = RL_DONE;
    switch (class_of) {
    case RL_KEY_I64:
    case RL_KEY_U64: hash = rl_hash_mix(key.u ^ vm->hash_secret[0], vm->hash_secret[1]); break;
    case RL_KEY_F64:
        if (key.f == 0) key.u = 0;
        if (key.f != key.f) key.u = 0x7ff8000000000000u;
        hash = rl_hash_mix(key.u ^ vm->hash_secret[0], vm->hash_secret[1]);
        break;
    case RL_KEY_STR: outcome = rl_string_hash(vm, key.o, &hash); break;
    default: outcome = rl_value_hash(vm, type, key, &hash);
    }
    *out = (uint32_t)(hash ^ hash >> 32);
    return outcome;
}

static rl_outcome_t same_key(
    rl_vm_t* vm, rl_key_class_t class_of, const rl_rtype_t* type, rl_word_t a, rl_word_t b, bool* out) {
    if (class_of == RL_KEY_I64 || class_of == RL_KEY_U64) {
        *out = a.u == b.u;
        return RL_DONE;
    }
    if (class_of == RL_KEY_OTHER) return rl_value_same_key(vm, type, a, b, out);
    if (class_of == RL_KEY_STR && (a.o->tag & b.o->tag & RL_STR_ASCII)) {
        rl_str_t x = rl_string_str(a.o), y = rl_string_str(b.o);
        *out = x.length == y.length && (x.data == y.data || memcmp(x.data, y.data, x.length) == 0);
        return rl_vm_charge(vm, 1 + x.length / 16) ? RL_DONE : RL_RAISE;
    }
    int order = 1;
    rl_outcome_t outcome = rl_key_compare(vm, class_of, type, a, b, &order);
    *out = order == 0;
    return outcome;
}

/* The entry of a key, or NULL. */
static rl_outcome_t find(rl_vm_t* vm, const rl_rtype_t* type, const rl_table_t* table, rl_word_t key,
    uint32_t* out_hash, rl_table_entry_t** out) {
    rl_key_class_t class_of = rl_key_class_of(type);
    *out = NULL;
    rl_outcome_t outcome = hash_of(vm, class_of, type, key, out_hash);
    if (outcome != RL_DONE || table->slot_count == 0) return outcome;
    uint32_t mask = table->slot_count - 1;
    for (uint32_t at = *out_hash & mask, slot; (slot = table->slots[at]); at = (at + 1) & mask) {
        if ((slot ^ *out_hash) & ~mask) continue;
        rl_table_entry_t* entry = &table->entries[(slot & mask) - 1];
        if (!entry->live || entry->hash != *out_hash) continue;
        bool same;
        outcome = same_key(vm, class_of, type, entry->key, key, &same);
        if (outcome != RL_DONE) return outcome;
        if (same) {
            *out = entry;
            return RL_DONE;
        }
    }
    return RL_DONE;
}

/* --- change --------------------------------------------------------------------------------------------------------- */

static void enter(rl_table_t* table, uint32_t number) {
    uint32_t hash = table->entries[number].hash, mask = table->slot_count - 1, at = hash & mask;
    while (table->slots[at]) at = (at + 1) & mask;
    table->slots[at] = (number + 1) | (hash & ~mask);
}

/* Squeeze removed entries out and number the rest again. */
static void rebuild(rl_heap_t* heap, rl_table_t* table) {
    uint32_t kept = 0;
    if (table->length < table->used) rl_heap_barrier(heap, &table->header, NULL);
    for (uint32_t i = 0; i < table->used; i++) {
        if (table->entries[i].live) table->entries[kept++] = table->entries[i];
    }
    table->used = kept;
    memset(table->slots, 0, table->slot_count * sizeof *table->slots);
    uint32_t mask = table->slot_count - 1;
    for (uint32_t i = 0; i < kept; i++) { /* places are anywhere in the index: they are fetched some entries before */
        if (i + 8 < kept) RL_PREFETCH(&table->slots[table->entries[i + 8].hash & mask]);
        enter(table, i);
    }
}

/* Most entries are gone: give memory back, so that a walk stays in proportion to what is left. Room for twice of that. */
static void shrink(rl_vm_t* vm, rl_table_t* table) {
    rl_heap_t* heap = &vm->heap;
    uint32_t slot_count = LEAST_SLOTS;
    while (slot_count / 4 * 3 < table->length * 2) slot_count *= 2;
    rebuild(heap, table);
    if (slot_count >= table->slot_count) return;
    bool failed = vm->allocator->failed;
    uint32_t capacity = slot_count / 4 * 3;
    rl_table_entry_t* entries =
        rl_heap_buffer(heap, table->entries, table->capacity * sizeof *entries, capacity * sizeof *entries);
    if (entries) {
        table->entries = entries;
        table->capacity = capacity;
        uint32_t* slots =
            rl_heap_buffer(heap, table->slots, table->slot_count * sizeof *slots, slot_count * sizeof *slots);
        if (slots) {
            table->slots = slots;
            table->slot_count = slot_count;
            rebuild(heap, table);
        }
    }
    vm->allocator->failed = failed;
}

/* Room for one more entry; at most three quarters of the slots are in use. */
static rl_outcome_t reserve(rl_vm_t* vm, rl_table_t* table) {
    if (RL_LIKELY(table->used < table->capacity)) return RL_DONE;
    if (!rl_vm_charge(vm, 1 + table->used / 4)) return RL_RAISE;
    if (table->used > LEAST_ENTRIES && table->length <= table->used / 2) {
        rebuild(&vm->heap, table);
        return RL_DONE;
    }
    uint32_t slot_count = table->slot_count ? table->slot_count * 2 : LEAST_SLOTS;
    uint32_t capacity = slot_count / 4 * 3;
    if (slot_count > (uint32_t)1 << 30)
        return rl_vm_raise(vm, RL_CODE_RUNTIME_LIMIT_MEMORY, "a Table would have too many entries");
    rl_heap_t* heap = &vm->heap;
    uint32_t* slots = rl_heap_buffer(heap, NULL, 0, slot_count * sizeof *slots);
    if (!slots) return RL_COLLECT;
    rl_table_entry_t* entries =
        rl_heap_buffer(heap, table->entries, table->capacity * sizeof *entries, capacity * sizeof *entries);
    if (!entries) {
        rl_heap_buffer(heap, slots, slot_count * sizeof *slots, 0);
        return RL_COLLECT;
    }
    if (table->slots) rl_heap_buffer(heap, table->slots, table->slot_count * sizeof *slots, 0);
    table->entries = entries;
    table->capacity = capacity;
    table->slots = slots;
    table->slot_count = slot_count;
    rebuild(heap, table);
    return RL_DONE;
}

static void store(rl_vm_t* vm, const rl_table_t* table, rl_table_entry_t* entry, rl_word_t value) {
    if (table->value_is_ref) rl_heap_barrier_old(&vm->heap, entry->value.o);
    entry->value = value;
}

/* A key that is not there yet. */
static rl_outcome_t add(rl_vm_t* vm, rl_table_t* table, uint32_t hash, rl_word_t key, rl_word_t value) {
    rl_outcome_t outcome = reserve(vm, table);
    if (outcome != RL_DONE) return outcome;
    table->entries[table->used] = (rl_table_entry_t){key, value, hash, 1};
    enter(table, table->used++);
    table->length++;
    table->changes++;
    return RL_DONE;
}

rl_outcome_t rl_table_put(rl_vm_t* vm, const rl_rtype_t* type, rl_table_t* table, rl_word_t key, rl_word_t value) {
    rl_table_entry_t* entry;
    uint32_t hash;
    rl_outcome_t outcome = find(vm, type, table, key, &hash, &entry);
    if (outcome != RL_DONE) return outcome;
    if (!entry) return add(vm, table, hash, key, value);
    store(vm, table, entry, value);
    return RL_DONE;
}

static void remove_entry(rl_vm_t* vm, rl_table_t* table, rl_table_entry_t* entry) {
    if (table->key_is_ref) rl_heap_barrier_old(&vm->heap, entry->key.o);
    if (table->value_is_ref) rl_heap_barrier_old(&vm->heap, entry->value.o);
    entry->live = 0;
    table->length--;
    table->changes++;
    if (table->used > 2 * LEAST_SLOTS && table->length < table->used / 4) shrink(vm, table);
}

bool rl_table_cursor_next(rl_cursor_t* cursor, rl_word_t* out_key, rl_word_t* out_value) {
    const rl_table_t* table = (const rl_table_t*)cursor->source;
    while (cursor->state[0] < table->used) {
        const rl_table_entry_t* entry = &table->entries[cursor->state[0]++];
        if (!entry->live) continue;
        *out_key = entry->key;
        *out_value = entry->value;
        return true;
    }
    return false;
}

/* --- builtins -------------------------------------------------------------------------------------------------------- */

FN(rl_core_table_new) {
    (void)args;
    rl_table_t* table = rl_table_make(vm, site->types[0], site->types[1]);
    if (!table) return RL_COLLECT;
    result->o = &table->header;
    return RL_DONE;
}

FN(rl_core_table_set) {
    result->i = 0;
    return rl_table_put(vm, site->types[0], TABLE(0), args[1], args[2]);
}

static rl_outcome_t lookup(rl_vm_t* vm, const rl_word_t* args, const rl_builtin_site_t* site, rl_table_entry_t** out) {
    uint32_t hash;
    rl_outcome_t outcome = find(vm, site->types[0], TABLE(0), args[1], &hash, out);
    if (outcome == RL_DONE && *out && TABLE(0)->value_is_ref) rl_share((*out)->value.o);
    return outcome;
}

FN(rl_core_table_contains) {
    rl_table_entry_t* entry;
    uint32_t hash;
    rl_outcome_t outcome = find(vm, site->types[0], TABLE(0), args[1], &hash, &entry);
    if (outcome == RL_DONE) result->u = entry != NULL;
    return outcome;
}

FN(rl_core_table_index) {
    rl_table_entry_t* entry;
    rl_outcome_t outcome = lookup(vm, args, site, &entry);
    if (outcome != RL_DONE) return outcome;
    if (!entry) return rl_key_missing(vm, site->types[0], args[1]);
    *result = entry->value;
    return RL_DONE;
}

FN(rl_core_table_find) {
    rl_table_entry_t* entry;
    rl_outcome_t outcome = lookup(vm, args, site, &entry);
    if (outcome != RL_DONE) return outcome;
    if (entry) return rl_make_some(vm, site->result_type, entry->value, result);
    rl_make_none(site->result_type, result);
    return RL_DONE;
}

FN(rl_core_table_get_or) {
    rl_table_entry_t* entry;
    rl_outcome_t outcome = lookup(vm, args, site, &entry);
    if (outcome != RL_DONE) return outcome;
    *result = entry ? entry->value : args[2];
    if (!entry && TABLE(0)->value_is_ref) rl_share(result->o);
    return RL_DONE;
}

/*
 * Table.update looks its key up once: a ticket is the number of the entry, and above it how often keys have come and gone, so that a
 * ticket of before is told from one that still holds.
 */
static int64_t ticket_of(const rl_table_t* table, uint32_t number) {
    return (int64_t)((uint64_t)(table->changes & INT32_MAX) << 32 | number);
}

FN(rl_core_table_entry) {
    rl_table_t* table = TABLE(0);
    rl_table_entry_t* entry;
    uint32_t hash;
    rl_outcome_t outcome = find(vm, site->types[0], table, args[1], &hash, &entry);
    if (outcome != RL_DONE) return outcome;
    result->i = entry ? ticket_of(table, (uint32_t)(entry - table->entries)) : -1;
    return entry ? RL_DONE : add(vm, table, hash, args[1], args[2]);
}

FN(rl_core_table_value_at) {
    (void)vm, (void)site;
    *result = TABLE(0)->entries[(uint32_t)args[1].u].value;
    if (TABLE(0)->value_is_ref) rl_share(result->o);
    return RL_DONE;
}

FN(rl_core_table_store_at) {
    rl_table_t* table = TABLE(0);
    uint32_t number = (uint32_t)args[1].u;
    result->i = 0;
    if (RL_UNLIKELY(ticket_of(table, number) != args[1].i))
        return rl_table_put(vm, site->types[0], table, args[2], args[3]);
    store(vm, table, &table->entries[number], args[3]);
    return RL_DONE;
}

FN(rl_core_table_remove_key) {
    rl_table_entry_t* entry;
    uint32_t hash;
    rl_outcome_t outcome = find(vm, site->types[0], TABLE(0), args[1], &hash, &entry);
    if (outcome == RL_DONE && entry) remove_entry(vm, TABLE(0), entry);
    result->i = 0;
    return outcome;
}

FN(rl_core_table_len) {
    (void)vm, (void)site;
    result->i = TABLE(0)->length;
    return RL_DONE;
}

/* --- collector ----------------------------------------------------------------------------------------------------------- */

uint32_t rl_table_mark(rl_heap_t* heap, const rl_object_t* object, uint32_t from) {
    const rl_table_t* table = (const rl_table_t*)object;
    if (from >= table->used || !(table->key_is_ref | table->value_is_ref)) return RL_MARKED;
    uint32_t end = table->used - from > RL_MARK_PART ? from + RL_MARK_PART : table->used;
    for (uint32_t i = from; i < end; i++) {
        const rl_table_entry_t* entry = &table->entries[i];
        if (!entry->live) continue;
        if (table->key_is_ref) rl_heap_mark(heap, entry->key.o);
        if (table->value_is_ref) rl_heap_mark(heap, entry->value.o);
    }
    return end == table->used ? RL_MARKED : end;
}

size_t rl_table_size(const rl_object_t* object) {
    const rl_table_t* table = (const rl_table_t*)object;
    return table->capacity * sizeof *table->entries + table->slot_count * sizeof *table->slots;
}

void rl_table_free(rl_heap_t* heap, rl_object_t* object) {
    rl_table_t* table = (rl_table_t*)object;
    if (table->entries) rl_heap_buffer(heap, table->entries, table->capacity * sizeof *table->entries, 0);
    if (table->slots) rl_heap_buffer(heap, table->slots, table->slot_count * sizeof *table->slots, 0);
}

/* The secret that its hashes are made with goes with it. */
bool rl_table_clone(rl_heap_t* heap, rl_object_t* copy, const rl_object_t* object, rl_heap_each_fn each, void* user) {
    rl_table_t* table = (rl_table_t*)copy;
    const rl_table_t* from = (const rl_table_t*)object;
    size_t entries = from->capacity * sizeof *from->entries, slots = from->slot_count * sizeof *from->slots;
    table->entries = entries ? rl_heap_buffer(heap, NULL, 0, entries) : NULL;
    table->slots = slots ? rl_heap_buffer(heap, NULL, 0, slots) : NULL;
    if (entries && table->entries) memcpy(table->entries, from->entries, from->used * sizeof *from->entries);
    if (slots && table->slots) memcpy(table->slots, from->slots, slots);
    if ((entries && !table->entries) || (slots && !table->slots)) {
        if (!table->entries) table->capacity = 0;
        if (!table->slots) table->slot_count = 0;
        table->used = table->length = 0;
        return false;
    }
    for (uint32_t i = 0; i < table->used; i++) {
        rl_table_entry_t* entry = &table->entries[i];
        if (!entry->live) continue;
        if (table->key_is_ref && !each(&entry->key.o, user)) return false;
        if (table->value_is_ref && !each(&entry->value.o, user)) return false;
    }
    return true;
}
