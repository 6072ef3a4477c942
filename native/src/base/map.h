/*
 * Hash map from 64-bit keys to 32-bit values, and string interning built on the same table. Open addressing, no removal
 * of single keys from rl_intern_t. Not for script-chosen keys without a secret: `seed` is mixed in.
 */
#ifndef RL_MAP_H
#define RL_MAP_H

#include "base/alloc.h"

typedef struct rl_map {
    uint64_t* keys; /* key 0 is kept outside the table */
    uint32_t* values;
    uint32_t count, capacity;
    uint32_t zero_value;
    bool has_zero;
} rl_map_t;

bool rl_map_get(const rl_map_t* map, uint64_t key, uint32_t* out_value);
bool rl_map_put(rl_allocator_t* allocator, rl_map_t* map, uint64_t key, uint32_t value); /* inserts or replaces */
bool rl_map_remove(rl_map_t* map, uint64_t key);
void rl_map_clear(rl_map_t* map);
bool rl_map_copy(rl_allocator_t* allocator, rl_map_t* out, const rl_map_t* from); /* false: memory, `out` is empty */
void rl_map_deinit(rl_allocator_t* allocator, rl_map_t* map);
static inline uint64_t rl_map_key2(uint32_t high, uint32_t low) { return (uint64_t)high << 32 | low; }

/* 64-bit hash of bytes; fast, keyed, not cryptographic (wyhash family). */
uint64_t rl_hash_bytes(const void* data, size_t length, uint64_t seed);
static inline uint64_t rl_hash_mix(uint64_t a, uint64_t b) {
    __uint128_t product = (__uint128_t)(a ^ 0x9e3779b97f4a7c15u) * (b ^ 0xe7037ed1a0b428dbu);
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

#endif
