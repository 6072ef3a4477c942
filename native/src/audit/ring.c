#include "audit/ring.h"

#define INSIDE_BIT ((uint64_t)1 << 63)

typedef _Atomic(uint64_t) stamp_t;

static unsigned char* slot_at(unsigned char* slots, uint32_t capacity, uint64_t position) {
    return slots + (size_t)(position & (capacity - 1)) * RL_SLOT_BYTES;
}
static const unsigned char* slot_at_const(const unsigned char* slots, uint32_t capacity, uint64_t position) {
    return slots + (size_t)(position & (capacity - 1)) * RL_SLOT_BYTES;
}
static void store_stamp(unsigned char* slot, uint64_t stamp, memory_order order) {
    atomic_store_explicit((stamp_t*)(void*)slot, stamp, order);
}
static uint64_t load_stamp(const unsigned char* slot) {
    /* The cast takes const away from a load only: C11 declares the atomic operations without it. */
    return atomic_load_explicit((stamp_t*)(uintptr_t)slot, memory_order_acquire);
}

void rl_ring_touch(unsigned char* slot) { atomic_fetch_or_explicit((stamp_t*)(void*)slot, 0, memory_order_relaxed); }

/* --- texts --------------------------------------------------------------------------------------------------- */

/* The longest prefix of at most `most` bytes that does not end inside a UTF-8 sequence. */
static size_t cut_length(rl_str_t text, size_t most) {
    size_t length = most;
    for (int i = 0; i < 3 && length > 0 && ((unsigned char)text.data[length] & 0xC0) == 0x80; i++) length--;
    return length;
}

static void cut_text(rl_event_text_t* item, size_t most) {
    if (!item->cut) {
        rl_sha256_t sha;
        rl_sha256_init(&sha);
        rl_sha256_update(&sha, item->text.data, item->text.length);
        rl_sha256_final(&sha, item->whole_sha);
        item->whole_bytes = item->text.length;
        item->cut = true;
    }
    item->text.length = cut_length(item->text, most);
}

static size_t stored_bytes(const rl_event_text_t* item) {
    return 4 + (item->cut ? 8 + RL_SHA256_BYTES : 0) + item->text.length;
}

void rl_event_texts_add(rl_event_texts_t* texts, rl_field_t field, rl_str_t text) {
    if (text.length == 0 || texts->count == RL_EVENT_TEXTS_MOST) {
        RL_ASSERT(text.length == 0, "an event has at most RL_EVENT_TEXTS_MOST texts");
        return;
    }
    rl_event_text_t* item = &texts->item[texts->count++];
    item->field = (uint8_t)field;
    item->cut = false;
    item->text = text;
    if (text.length > RL_AUDIT_FIELD_BYTES) cut_text(item, RL_AUDIT_FIELD_BYTES);
    texts->bytes += stored_bytes(item);
}

void rl_event_texts_shorten(rl_event_texts_t* texts) {
    uint32_t kept = 0;
    texts->bytes = 0;
    for (uint32_t i = 0; i < texts->count; i++) {
        rl_event_text_t* item = &texts->item[i];
        if (item->text.length > RL_EVENT_SHORT_TEXT) {
            if (item->field == RL_FIELD_COMMAND) continue;
            cut_text(item, RL_EVENT_SHORT_TEXT);
        }
        texts->bytes += stored_bytes(item);
        texts->item[kept++] = *item;
    }
    texts->count = kept;
}

/* --- storing ------------------------------------------------------------------------------------------------- */

static inline uint64_t rotate_left(uint64_t x, int n) { return (x << n) | (x >> (64 - n)); }

/* Not a defence against anybody: it tells a slot that reached the disk from one that did not. Two lanes for speed. */
static inline uint64_t mix_even(uint64_t lane, uint64_t word) {
    return rotate_left((lane ^ word) * 0xc2b2ae3d27d4eb4fu, 31);
}
static inline uint64_t mix_odd(uint64_t lane, uint64_t word) {
    return rotate_left((lane ^ word) * 0x9e3779b97f4a7c15u, 29);
}
static inline void mix_payload(uint64_t lanes[2], const unsigned char* payload) {
    uint64_t a = lanes[0], b = lanes[1], word;
    for (unsigned i = 0; i < RL_SLOT_PAYLOAD; i += 8) {
        memcpy(&word, payload + i, 8);
        if (i & 8) {
            b = mix_odd(b, word);
        } else {
            a = mix_even(a, word);
        }
    }
    lanes[0] = a, lanes[1] = b;
}
static inline uint32_t mix_end(const uint64_t lanes[2]) {
    uint64_t x = lanes[0] ^ rotate_left(lanes[1], 17);
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdu;
    return (uint32_t)(x >> 32) | 1u; /* never 0, which stands for "not computed" */
}

typedef struct slot_cursor {
    unsigned char* slots;
    uint32_t capacity;
    uint64_t position;
    unsigned used; /* bytes of the payload at `position` */
} slot_cursor_t;

static void cursor_put(slot_cursor_t* cursor, const void* data, size_t length) {
    const unsigned char* bytes = data;
    while (length > 0) {
        if (cursor->used == RL_SLOT_PAYLOAD) cursor->position++, cursor->used = 0;
        size_t room = RL_SLOT_PAYLOAD - cursor->used;
        size_t take = length < room ? length : room;
        memcpy(slot_at(cursor->slots, cursor->capacity, cursor->position) + 8 + cursor->used, bytes, take);
        cursor->used += (unsigned)take;
        bytes += take;
        length -= take;
    }
}

static void cursor_put_text(slot_cursor_t* cursor, const rl_event_text_t* item) {
    uint16_t length = (uint16_t)item->text.length;
    unsigned char lead[4] = {item->field, item->cut};
    memcpy(lead + 2, &length, 2);
    cursor_put(cursor, lead, 4);
    if (item->cut) {
        cursor_put(cursor, &item->whole_bytes, 8);
        cursor_put(cursor, item->whole_sha, RL_SHA256_BYTES);
    }
    cursor_put(cursor, item->text.data, item->text.length);
}

/* Continuations first, the stamp of the first slot last. */
static void stamp_event(unsigned char* slots, uint32_t capacity, uint64_t position, uint32_t count) {
    for (uint32_t i = 1; i < count; i++) {
        store_stamp(slot_at(slots, capacity, position + i), (position + i + 1) | INSIDE_BIT, memory_order_relaxed);
    }
    store_stamp(slot_at(slots, capacity, position), position + 1, memory_order_release);
}

/* The event and its texts, which fit one slot; without the check word. */
static inline void fill_payload(
    unsigned char payload[RL_SLOT_PAYLOAD], const rl_audit_event_t* event, const rl_event_texts_t* texts) {
    size_t used = sizeof *event;
    for (uint32_t i = 0; i < texts->count; i++) {
        const rl_event_text_t* item = &texts->item[i];
        payload[used] = item->field;
        payload[used + 1] = 0; /* a text that was cut does not fit one slot */
        payload[used + 2] = (unsigned char)item->text.length;
        payload[used + 3] = 0;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        payload[used + 2] = 0;
        payload[used + 3] = (unsigned char)item->text.length;
#endif
        memcpy(payload + used + 4, item->text.data, item->text.length);
        used += 4 + item->text.length;
    }
    memcpy(payload, event, sizeof *event);
    memset(payload + used, 0, RL_SLOT_PAYLOAD - used);
}

/* Words of the fixed part, by name. */
enum {
    WORD_TIME = offsetof(rl_audit_event_t, time) / 8,
    WORD_ID = offsetof(rl_audit_event_t, id) / 8,
    WORD_RATE = offsetof(rl_audit_event_t, number) / 8 + 4,
    WORDS = RL_SLOT_PAYLOAD / 8
};
_Static_assert(WORD_TIME == 1 && WORD_ID == 2 && WORD_RATE == 9 && WORDS == 15, "rl_ring_store_image goes by these");

bool rl_event_image_make(rl_event_image_t* out_image, rl_audit_event_t* event, const rl_event_texts_t* texts) {
    if (rl_event_slots(texts) != 1) return false;
    unsigned char payload[RL_SLOT_PAYLOAD];
    event->check = 0;
    event->slots = 1;
    event->text_count = (uint8_t)texts->count;
    fill_payload(payload, event, texts);
    memcpy(out_image->words, payload, sizeof payload);
    return true;
}

void rl_ring_store_image(unsigned char* slots, uint32_t capacity, uint64_t position, const rl_event_image_t* image,
    uint64_t time, const uint64_t id[2], uint64_t rate_bits) {
    const uint64_t* from = image->words;
    unsigned char* slot = slot_at(slots, capacity, position);
    uint64_t lanes[2] = {mix_even(0, from[0]), mix_odd(0, time)};
    lanes[0] = mix_even(lanes[0], id[0]);
    lanes[1] = mix_odd(lanes[1], id[1]);
    for (unsigned i = WORD_ID + 2; i < WORD_RATE - 1; i += 2) {
        lanes[0] = mix_even(lanes[0], from[i]);
        lanes[1] = mix_odd(lanes[1], from[i + 1]);
    }
    lanes[0] = mix_even(lanes[0], from[WORD_RATE - 1]);
    lanes[1] = mix_odd(lanes[1], rate_bits);
    for (unsigned i = WORD_RATE + 1; i < WORDS - 1; i += 2) {
        lanes[0] = mix_even(lanes[0], from[i]);
        lanes[1] = mix_odd(lanes[1], from[i + 1]);
    }
    lanes[0] = mix_even(lanes[0], from[WORDS - 1]);
    uint32_t check = mix_end(lanes);
    memcpy(slot + 8, from, RL_SLOT_PAYLOAD);
    memcpy(slot + 8 + offsetof(rl_audit_event_t, check), &check, sizeof check);
    memcpy(slot + 8 + offsetof(rl_audit_event_t, time), &time, sizeof time);
    memcpy(slot + 8 + offsetof(rl_audit_event_t, id), id, 16);
    memcpy(slot + 8 + (size_t)WORD_RATE * 8, &rate_bits, sizeof rate_bits);
    store_stamp(slot, position + 1, memory_order_release);
}

void rl_ring_store(unsigned char* slots, uint32_t capacity, uint64_t position, rl_audit_event_t* event,
    const rl_event_texts_t* texts) {
    event->check = 0;
    event->text_count = (uint8_t)texts->count;
    unsigned char* first = slot_at(slots, capacity, position);
    uint64_t lanes[2] = {0, 0};

    if (RL_LIKELY(event->slots == 1)) {
        unsigned char payload[RL_SLOT_PAYLOAD];
        fill_payload(payload, event, texts);
        mix_payload(lanes, payload);
        event->check = mix_end(lanes);
        memcpy(payload, &event->check, sizeof event->check);
        memcpy(first + 8, payload, RL_SLOT_PAYLOAD);
        store_stamp(first, position + 1, memory_order_release);
        return;
    }

    slot_cursor_t cursor = {slots, capacity, position, 0};
    cursor_put(&cursor, event, sizeof *event);
    for (uint32_t i = 0; i < texts->count; i++) cursor_put_text(&cursor, &texts->item[i]);
    memset(slot_at(slots, capacity, cursor.position) + 8 + cursor.used, 0, RL_SLOT_PAYLOAD - cursor.used);
    for (uint32_t i = 0; i < event->slots; i++) mix_payload(lanes, slot_at(slots, capacity, position + i) + 8);
    event->check = mix_end(lanes);
    memcpy(first + 8, &event->check, sizeof event->check);
    stamp_event(slots, capacity, position, event->slots);
}

void rl_ring_store_flat(
    unsigned char* slots, uint32_t capacity, uint64_t position, const unsigned char* flat, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        memcpy(slot_at(slots, capacity, position + i) + 8, flat + (size_t)i * RL_SLOT_PAYLOAD, RL_SLOT_PAYLOAD);
    }
    stamp_event(slots, capacity, position, count);
}

/* --- loading ------------------------------------------------------------------------------------------------- */

rl_slot_state_t rl_ring_peek(const unsigned char* slots, uint32_t capacity, uint64_t position, uint32_t* out_slots) {
    const unsigned char* slot = slot_at_const(slots, capacity, position);
    uint64_t stamp = load_stamp(slot);
    if (stamp == ((position + 1) | INSIDE_BIT)) return RL_SLOT_INSIDE;
    if (stamp != position + 1) return RL_SLOT_EMPTY;
    rl_audit_event_t event;
    memcpy(&event, slot + 8, sizeof event);
    if (event.slots == 0 || event.slots > RL_EVENT_SLOTS_MOST || event.slots > capacity) return RL_SLOT_DAMAGED;
    *out_slots = event.slots;
    return RL_SLOT_EVENT;
}

bool rl_ring_load(
    const unsigned char* slots, uint32_t capacity, uint64_t position, uint32_t count, unsigned char* flat) {
    uint64_t lanes[2] = {0, 0};
    uint32_t check;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(flat + (size_t)i * RL_SLOT_PAYLOAD, slot_at_const(slots, capacity, position + i) + 8, RL_SLOT_PAYLOAD);
    }
    memcpy(&check, flat, sizeof check);
    memset(flat, 0, sizeof check);
    for (uint32_t i = 0; i < count; i++) mix_payload(lanes, flat + (size_t)i * RL_SLOT_PAYLOAD);
    memcpy(flat, &check, sizeof check);
    return check == mix_end(lanes);
}

bool rl_event_parse(const unsigned char* flat, uint32_t slots, rl_event_view_t* out_view) {
    size_t size = (size_t)slots * RL_SLOT_PAYLOAD;
    memset(out_view, 0, sizeof *out_view);
    memcpy(&out_view->event, flat, sizeof out_view->event);
    size_t at = sizeof out_view->event;
    for (unsigned i = 0; i < out_view->event.text_count; i++) {
        uint16_t length;
        if (size - at < 4) return false;
        unsigned field = flat[at];
        bool cut = flat[at + 1] != 0;
        memcpy(&length, flat + at + 2, 2);
        at += 4;
        uint64_t whole = 0;
        const unsigned char* sha = NULL;
        if (cut) {
            if (size - at < 8 + RL_SHA256_BYTES) return false;
            memcpy(&whole, flat + at, 8);
            sha = flat + at + 8;
            at += 8 + RL_SHA256_BYTES;
        }
        if (size - at < length) return false;
        if (field < RL_FIELD_COUNT) { /* a later version may know more fields */
            out_view->text[field] = (rl_str_t){(const char*)flat + at, length};
            out_view->whole_bytes[field] = whole;
            out_view->whole_sha[field] = sha;
        }
        at += length;
    }
    return true;
}
