/*
 * ring: events as fixed-size slots, in memory or in a journal (file.h). One event takes one slot, or several in a row
 * when its texts are long.
 *
 *   slot      stamp (8 bytes) · payload (120 bytes)
 *   payload   of an event's slots in order: rl_audit_event_t · texts · zeros
 *   text      field (1) · cut (1) · length (2) · [bytes of the whole (8) · SHA-256 of the whole (32), when cut] · bytes
 *
 * The stamp of the first slot is its position + 1 and is stored last, with release: an event is there when its stamp is,
 * whoever looks, be it a later process. Slots that continue an event carry position + 1 with the top bit set, so that no
 * content can be taken for the start of an event. Positions never repeat, so that stamps of an earlier lap are not
 * mistaken. The check word finds slots that a power cut left half written.
 *
 * The layout is written to files: it may be extended (kinds, fields, flags), not changed.
 */
#ifndef RL_AUDIT_RING_H
#define RL_AUDIT_RING_H

#include "audit/audit.h"
#include "audit/sha256.h"

#define RL_SLOT_BYTES       128u
#define RL_SLOT_PAYLOAD     120u
#define RL_EVENT_TEXTS_MOST 16u
#define RL_EVENT_SLOTS_MOST 560u /* 80 + 16 * (44 + 4,096) bytes */
#define RL_EVENT_SHORT_TEXT 48u  /* texts are cut to this when room is short: 80 + 16 * (44 + 48) bytes, 13 slots */

typedef enum rl_field { /* append only */
    RL_FIELD_NONE = 0,
    RL_FIELD_ABI_VERSION = 1,
    RL_FIELD_RUN_ENTRYPOINT = 2,
    RL_FIELD_STATUS = 3,
    RL_FIELD_ERROR_CODE = 4,
    RL_FIELD_ERROR_MESSAGE = 5,
    RL_FIELD_CALL_SITE = 6,
    RL_FIELD_CAPABILITY = 7,
    RL_FIELD_STAGE = 8,
    RL_FIELD_EFFECTS = 9,
    RL_FIELD_LIBRARY = 10,
    RL_FIELD_SYMBOL = 11,
    RL_FIELD_EXTERN_NAME = 12,
    RL_FIELD_TARGET_OS = 13,
    RL_FIELD_TARGET_ARCH = 14,
    RL_FIELD_TARGET_TRIPLE = 15,
    RL_FIELD_MODULE = 16,
    RL_FIELD_FUNCTION = 17,
    RL_FIELD_NAMES = 18,
    RL_FIELD_COMMAND = 19, /* ready JSON members; never cut */
    RL_FIELD_DETAIL = 20,
    RL_FIELD_COUNT
} rl_field_t;

enum {                            /* rl_audit_event_t.flags; append only */
    RL_EVENT_WALL_TIME = 1u << 0, /* times are nanoseconds since 1970, not ticks */
    RL_EVENT_FAILED = 1u << 1,
    RL_EVENT_ABI_MISMATCH = 1u << 2,
    RL_EVENT_UNSUPPORTED_TARGET = 1u << 3
};

/* The fixed part. `number` by kind:
 *   EMBED_CALL  source bytes
 *   FFI_CALL    latency or RL_AUDIT_NO_LATENCY · - · - · - · bits of the pass rate (a double)
 *   FFI_SUMMARY count · failures · first time · last time · bits of the pass rate
 *   UNSAFE_REGION line
 *   RECOVERED   cut bytes · their offset · missing records · damaged events · recovered events
 *   RECORDS_LOST count
 *   DURABILITY  first · last sequence
 */
typedef struct rl_audit_event {
    uint32_t check;
    uint16_t slots;
    uint8_t kind;
    uint8_t function; /* EMBED_CALL */
    uint64_t time;
    unsigned char id[16]; /* audit_id, a UUID of version 4 */
    uint16_t flags;
    uint8_t status;    /* rl_audit_call_status_t */
    uint8_t ownership; /* rl_audit_ownership_t */
    uint8_t result;    /* rl_audit_return_t */
    uint8_t text_count;
    uint16_t reserved; /* 0 */
    uint64_t number[5];
} rl_audit_event_t;

_Static_assert(sizeof(rl_audit_event_t) == 80, "the fixed part of an event is written to files");

/* One text to be stored. Borrowed until the event is. */
typedef struct rl_event_text {
    uint8_t field;
    bool cut;
    rl_str_t text;
    uint64_t whole_bytes;
    unsigned char whole_sha[RL_SHA256_BYTES];
} rl_event_text_t;

typedef struct rl_event_texts {
    rl_event_text_t item[RL_EVENT_TEXTS_MOST];
    uint32_t count;
    size_t bytes; /* as stored */
} rl_event_texts_t;

/* Add a text, cut to RL_AUDIT_FIELD_BYTES. Empty texts are not stored. */
void rl_event_texts_add(rl_event_texts_t* texts, rl_field_t field, rl_str_t text);
/* Cut every text to RL_EVENT_SHORT_TEXT and leave out what cannot be cut: for a ring without room. */
void rl_event_texts_shorten(rl_event_texts_t* texts);
static inline uint32_t rl_event_slots(const rl_event_texts_t* texts) {
    return (uint32_t)((sizeof(rl_audit_event_t) + texts->bytes + RL_SLOT_PAYLOAD - 1) / RL_SLOT_PAYLOAD);
}

/* Write the event at `position`, which must be reserved for event->slots slots; event->check is set here. */
void rl_ring_store(
    unsigned char* slots, uint32_t capacity, uint64_t position, rl_audit_event_t* event, const rl_event_texts_t* texts);
/* The same with an event as rl_ring_load left it. */
void rl_ring_store_flat(
    unsigned char* slots, uint32_t capacity, uint64_t position, const unsigned char* flat, uint32_t count);

/*
 * An event of one slot that is told again and again: its words with everything but time, id and pass rate, ready to be stored.
 * Making an event anew (texts, lengths, copies) costs several times as much as storing it.
 */
typedef struct rl_event_image {
    uint64_t words[RL_SLOT_PAYLOAD / 8];
} rl_event_image_t;

/* False: it takes more than one slot. */
bool rl_event_image_make(rl_event_image_t* out_image, rl_audit_event_t* event, const rl_event_texts_t* texts);
void rl_ring_store_image(unsigned char* slots, uint32_t capacity, uint64_t position, const rl_event_image_t* image,
    uint64_t time, const uint64_t id[2], uint64_t rate_bits);

/* Write to the slot without changing it, whoever else uses it. */
void rl_ring_touch(unsigned char* slot);

typedef enum rl_slot_state {
    RL_SLOT_EMPTY, /* nothing was ever finished here on this lap */
    RL_SLOT_EVENT,
    RL_SLOT_DAMAGED, /* stamped, but the check word is wrong */
    RL_SLOT_INSIDE   /* continues an event */
} rl_slot_state_t;

/* Slots of the event at `position` in *out_slots (EVENT only). Cheap: looks at the stamp and the length alone. */
rl_slot_state_t rl_ring_peek(const unsigned char* slots, uint32_t capacity, uint64_t position, uint32_t* out_slots);
/* Copy the event at `position` to `flat` (room for out_slots * RL_SLOT_PAYLOAD bytes), check it. False: damaged. */
bool rl_ring_load(
    const unsigned char* slots, uint32_t capacity, uint64_t position, uint32_t count, unsigned char* flat);

/* An event taken apart; texts point into the flat event. */
typedef struct rl_event_view {
    rl_audit_event_t event;
    rl_str_t text[RL_FIELD_COUNT];        /* empty when absent */
    uint64_t whole_bytes[RL_FIELD_COUNT]; /* not 0: the text was cut */
    const unsigned char* whole_sha[RL_FIELD_COUNT];
} rl_event_view_t;

/* False when lengths do not fit together; the view is then unusable. */
bool rl_event_parse(const unsigned char* flat, uint32_t slots, rl_event_view_t* out_view);

#endif
