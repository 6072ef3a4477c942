#include "base/map.h"

/*
 * Keys and values share one block: `capacity` keys (a power of two), then `capacity` values. An empty slot has key 0.
 * Linear probing; removal shifts the followers back, so that there are no tombstones.
 */
#define ENTRY_SIZE (sizeof(uint64_t) + sizeof(uint32_t))
#define SMALLEST   8u
#define LARGEST    0x40000000u

static uint32_t home_of(uint64_t key, uint32_t capacity) {
    return (uint32_t)rl_hash_mix(key, 0x8ebc6af09c88c6e3u) & (capacity - 1);
}

static uint32_t slot_of(const rl_map_t* map, uint64_t key) {
    uint32_t slot = home_of(key, map->capacity);
    while (map->keys[slot] != 0 && map->keys[slot] != key) slot = (slot + 1) & (map->capacity - 1);
    return slot;
}

bool rl_map_get(const rl_map_t* map, uint64_t key, uint32_t* out_value) {
    if (RL_UNLIKELY(key == 0)) {
        if (map->has_zero) *out_value = map->zero_value;
        return map->has_zero;
    }
    if (map->capacity == 0) return false;
    uint32_t slot = slot_of(map, key);
    if (map->keys[slot] == 0) return false;
    *out_value = map->values[slot];
    return true;
}

static bool grow(rl_allocator_t* allocator, rl_map_t* map) {
    if (map->capacity >= LARGEST) {
        allocator->failed = true;
        return false;
    }
    uint32_t capacity = map->capacity ? map->capacity * 2 : SMALLEST;
    uint64_t* keys = rl_alloc(allocator, (size_t)capacity * ENTRY_SIZE);
    if (!keys) return false;
    memset(keys, 0, (size_t)capacity * sizeof(uint64_t));
    rl_map_t grown = *map;
    grown.keys = keys;
    grown.values = (uint32_t*)(keys + capacity);
    grown.capacity = capacity;
    for (uint32_t i = 0; i < map->capacity; i++) {
        if (map->keys[i] == 0) continue;
        uint32_t slot = slot_of(&grown, map->keys[i]);
        grown.keys[slot] = map->keys[i];
        grown.values[slot] = map->values[i];
    }
    rl_free(allocator, map->keys, (size_t)map->capacity * ENTRY_SIZE);
    *map = grown;
    return true;
}

bool rl_map_put(rl_allocator_t* allocator, rl_map_t* map, uint64_t key, uint32_t value) {
    if (RL_UNLIKELY(key == 0)) {
        map->count += !map->has_zero;
        map->has_zero = true;
        map->zero_value = value;
        return true;
    }
    if (map->capacity) {
        uint32_t slot = slot_of(map, key);
        if (map->keys[slot] == key) {
            map->values[slot] = value;
            return true;
        }
    }
    if (map->count >= map->capacity / 4 * 3 && !grow(allocator, map)) return false;
    uint32_t slot = slot_of(map, key);
    map->keys[slot] = key;
    map->values[slot] = value;
    map->count++;
    return true;
}

bool rl_map_remove(rl_map_t* map, uint64_t key) {
    if (key == 0) {
        bool had = map->has_zero;
        map->count -= had;
        map->has_zero = false;
        return had;
    }
    if (map->capacity == 0) return false;
    uint32_t hole = slot_of(map, key);
    if (map->keys[hole] == 0) return false;
    uint32_t mask = map->capacity - 1;
    for (uint32_t slot = (hole + 1) & mask; map->keys[slot] != 0; slot = (slot + 1) & mask) {
        uint32_t home = home_of(map->keys[slot], map->capacity);
        /* The entry may move into the hole unless its home lies after the hole (cyclically). */
        if (((slot - home) & mask) < ((slot - hole) & mask)) continue;
        map->keys[hole] = map->keys[slot];
        map->values[hole] = map->values[slot];
        hole = slot;
    }
    map->keys[hole] = 0;
    map->count--;
    return true;
}

void rl_map_clear(rl_map_t* map) {
    if (map->capacity) memset(map->keys, 0, (size_t)map->capacity * sizeof(uint64_t));
    map->count = 0;
    map->has_zero = false;
}

bool rl_map_copy(rl_allocator_t* allocator, rl_map_t* out, const rl_map_t* from) {
    *out = (rl_map_t){0};
    uint64_t* keys = from->capacity ? rl_alloc(allocator, (size_t)from->capacity * ENTRY_SIZE) : NULL;
    if (from->capacity && !keys) return false;
    *out = *from;
    out->keys = keys;
    out->values = keys ? (uint32_t*)(keys + from->capacity) : NULL;
    if (keys) memcpy(keys, from->keys, (size_t)from->capacity * ENTRY_SIZE);
    return true;
}

void rl_map_deinit(rl_allocator_t* allocator, rl_map_t* map) {
    rl_free(allocator, map->keys, (size_t)map->capacity * ENTRY_SIZE);
    *map = (rl_map_t){0};
}

static uint64_t read64(const unsigned char* p) {
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
static uint64_t read32(const unsigned char* p) {
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}

uint64_t rl_hash_bytes(const void* data, size_t length, uint64_t seed) {
    static const uint64_t secret[4] = {
        0xa0761d6478bd642fu, 0xe7037ed1a0b428dbu, 0x8ebc6af09c88c6e3u, 0x589965cc75374cc3u};
    const unsigned char* p = data;
    uint64_t a = 0, b = 0;
    seed ^= rl_hash_mix(seed ^ secret[0], secret[1]);
    if (length <= 16) {
        if (length >= 4) {
            size_t middle = (length >> 3) << 2;
            a = read32(p) << 32 | read32(p + middle);
            b = read32(p + length - 4) << 32 | read32(p + length - 4 - middle);
        } else if (length > 0) {
            a = (uint64_t)p[0] << 16 | (uint64_t)p[length >> 1] << 8 | p[length - 1];
        }
    } else {
        size_t rest = length;
        while (rest > 16) {
            seed = rl_hash_mix(read64(p) ^ secret[1], read64(p + 8) ^ seed);
            p += 16;
            rest -= 16;
        }
        a = read64(p + rest - 16); /* the last 16 bytes, overlapping what was read */
        b = read64(p + rest - 8);
    }
    return rl_hash_mix(secret[1] ^ length, rl_hash_mix(a ^ secret[2], b ^ seed) ^ secret[3]);
}
