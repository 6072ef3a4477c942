#include "audit/audit.h"

#include "audit/read.h"
#include "audit/writer.h"

#include <stdarg.h>
#include <stdio.h>

#define RING_LEAST      16u
#define RING_MOST       32768u /* slots: 4 MiB behind a failing callback, or 4,096 records of any usual size */
#define DELIVER_RECORDS 64u    /* waiting for a callback at most, while it takes them */
#define SCRATCH_LEAST   (16u * RL_SLOT_PAYLOAD)
#define LINE_LEAST      16384u
#define HOST_BYTES_MOST (16u << 20) /* texts of host records that wait without a sink */

/* Per thread, because a wrapper compares it around a call that it made on this thread. */
static _Thread_local uint64_t thread_lifecycle;

uint64_t rl_audit_thread_lifecycle_count(void) { return thread_lifecycle; }

/* --- small parts --------------------------------------------------------------------------------------------- */

static bool is_forked(const rl_audit_t* audit) { return audit->fork_generation != rl_os_fork_generation(); }

RL_PRINTF(2, 3) static void say(rl_audit_t* audit, const char* format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(audit->problem, sizeof audit->problem, format, arguments);
    va_end(arguments);
}

const char* rl_audit_problem(const rl_audit_t* audit) { return audit->problem; }

/* Memory for the audit's own growth: a refusal is ours to deal with and not the running script's. */
static void* quiet_alloc(rl_audit_t* audit, size_t size) {
    bool before = audit->allocator->failed;
    void* block = rl_alloc(audit->allocator, size);
    audit->allocator->failed = before;
    return block;
}
static bool quiet_reserve(rl_audit_t* audit, rl_buf_t* buf, size_t extra) {
    bool before = audit->allocator->failed;
    bool done = rl_buf_reserve(buf, extra);
    audit->allocator->failed = before;
    if (!done) buf->failed = false;
    return done;
}

static bool need_scratch(rl_audit_t* audit, uint32_t slots) {
    size_t bytes = (size_t)slots * RL_SLOT_PAYLOAD;
    if (bytes < SCRATCH_LEAST) bytes = SCRATCH_LEAST;
    if (audit->scratch_bytes >= bytes) return true;
    unsigned char* larger = quiet_alloc(audit, bytes);
    if (!larger) return false;
    rl_free(audit->allocator, audit->scratch, audit->scratch_bytes);
    audit->scratch = larger;
    audit->scratch_bytes = bytes;
    return true;
}

/* xoshiro256** by D. Blackman and S. Vigna: ids must differ, they need not be secret. */
static inline uint64_t next_random(uint64_t s[4]) {
    uint64_t scrambled = s[1] * 5;
    scrambled = ((scrambled << 7) | (scrambled >> 57)) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0], s[3] ^= s[1], s[1] ^= s[2], s[0] ^= s[3];
    s[2] ^= t;
    s[3] = (s[3] << 45) | (s[3] >> 19);
    return scrambled;
}

/* A UUID of version 4. */
static inline void random_id(rl_audit_t* audit, uint64_t id[2]) {
    static const union {
        unsigned char bytes[16];
        uint64_t words[2];
    } kept = {{255, 255, 255, 255, 255, 255, 0x0F, 255, 0x3F, 255, 255, 255, 255, 255, 255, 255}},
      set = {{0, 0, 0, 0, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 0}};
    id[0] = (next_random(audit->random) & kept.words[0]) | set.words[0];
    id[1] = (next_random(audit->random) & kept.words[1]) | set.words[1];
}

static void stamp(rl_audit_t* audit, rl_audit_event_t* event) {
    uint64_t id[2];
    random_id(audit, id);
    memcpy(event->id, id, sizeof id);
    if (RL_LIKELY(audit->real_time)) {
        event->time = rl_audit_ticks(audit);
    } else {
        event->time = (uint64_t)audit->env->wall_ns(audit->env->user);
        event->flags |= RL_EVENT_WALL_TIME;
    }
}

static uint64_t rate_bits(uint64_t total, uint64_t success) {
    double rate = RL_LIKELY(total == success) || total == 0 ? 1.0 : (double)success / (double)total;
    uint64_t bits;
    memcpy(&bits, &rate, sizeof bits);
    return bits;
}

/* --- the ring in memory -------------------------------------------------------------------------------------- */

static bool ring_grow(rl_audit_t* audit) {
    rl_audit_ring_t* ring = &audit->ring;
    if (ring->capacity >= RING_MOST) return false;
    uint32_t capacity = ring->capacity * 2;
    unsigned char* slots = quiet_alloc(audit, (size_t)capacity * RL_SLOT_BYTES);
    if (!slots) return false;
    for (uint64_t at = ring->tail; at < ring->head; at++) {
        memcpy(slots + (size_t)(at & (capacity - 1)) * RL_SLOT_BYTES,
            ring->slots + (size_t)(at & (ring->capacity - 1)) * RL_SLOT_BYTES, RL_SLOT_BYTES);
    }
    rl_free(audit->allocator, ring->slots, (size_t)ring->capacity * RL_SLOT_BYTES);
    ring->slots = slots;
    ring->capacity = capacity;
    return true;
}

/* Slots of the oldest event; the ring is not empty. */
static uint32_t oldest_slots(const rl_audit_t* audit) {
    uint32_t slots = 1;
    rl_slot_state_t state = rl_ring_peek(audit->ring.slots, audit->ring.capacity, audit->ring.tail, &slots);
    RL_ASSERT(state == RL_SLOT_EVENT, "the tail of a ring in memory is an event");
    (void)state;
    return slots;
}

/* The text of a record of the host, owned by the ring; NULL for other events. */
static rl_ready_record_t* host_record_at(const rl_audit_t* audit, uint64_t position) {
    rl_audit_event_t event;
    memcpy(
        &event, audit->ring.slots + (size_t)(position & (audit->ring.capacity - 1)) * RL_SLOT_BYTES + 8, sizeof event);
    return event.kind == RL_AUDIT_KIND_HOST ? (rl_ready_record_t*)(uintptr_t)event.number[0] : NULL;
}

static void free_host_record_at(rl_audit_t* audit, uint64_t position) {
    rl_ready_record_t* host = host_record_at(audit, position);
    if (!host) return;
    audit->ring.host_records--;
    audit->ring.host_bytes -= host->length;
    rl_record_deinit(host);
    rl_free(audit->allocator, host, sizeof *host);
}

static void ring_pop(rl_audit_t* audit) {
    if (RL_UNLIKELY(audit->ring.host_records > 0)) free_host_record_at(audit, audit->ring.tail);
    audit->ring.tail += oldest_slots(audit);
    audit->ring.records--;
}

static void count_lost(rl_audit_t* audit) {
    audit->dropped++;
    audit->lost_unreported++;
}

static rl_audit_result_t deliver(rl_audit_t* audit);

/* May old records make place for new ones? Not those that the callback, as the primary sink, still has to take. */
static bool keeps_latest(const rl_audit_t* audit) { return !audit->sink || audit->writer; }

static bool memory_room(rl_audit_t* audit, uint32_t slots) {
    rl_audit_ring_t* ring = &audit->ring;
    if (keeps_latest(audit) && ring->records >= RL_AUDIT_MEMORY_RECORDS) {
        ring_pop(audit);
        count_lost(audit);
    }
    while (ring->capacity - (ring->head - ring->tail) < slots) {
        if (ring_grow(audit)) continue;
        if (audit->sink && !audit->delivering && !audit->attention && ring->records > 0) {
            uint64_t tail = ring->tail;
            deliver(audit);
            if (ring->tail != tail) continue;
        }
        if (!keeps_latest(audit) || ring->records == 0 || slots > ring->capacity) return false;
        ring_pop(audit);
        count_lost(audit);
    }
    return true;
}

static bool memory_append(rl_audit_t* audit, rl_audit_event_t* event, rl_event_texts_t* texts) {
    uint32_t slots = rl_event_slots(texts);
    if (!memory_room(audit, slots)) {
        rl_event_texts_shorten(texts);
        slots = rl_event_slots(texts);
        if (!memory_room(audit, slots)) return false;
    }
    event->slots = (uint16_t)slots;
    rl_ring_store(audit->ring.slots, audit->ring.capacity, audit->ring.head, event, texts);
    audit->ring.head += slots;
    audit->ring.records++;
    return true;
}

/* Keep a record of the host; its text moves into the ring. */
static bool memory_append_host(rl_audit_t* audit, rl_ready_record_t* ready) {
    bool before = audit->allocator->failed, kept = false;
    rl_ready_record_t* host = rl_alloc(audit->allocator, sizeof *host);
    while (host && audit->ring.records > 0 && audit->ring.host_bytes + ready->length > HOST_BYTES_MOST) {
        ring_pop(audit);
        count_lost(audit);
    }
    if (host && memory_room(audit, 1)) {
        rl_audit_event_t event = {.kind = RL_AUDIT_KIND_HOST, .slots = 1, .number = {(uint64_t)(uintptr_t)host}};
        rl_event_texts_t none = {.count = 0};
        *host = *ready;
        ready->text = NULL;
        rl_ring_store(audit->ring.slots, audit->ring.capacity, audit->ring.head, &event, &none);
        audit->ring.head++;
        audit->ring.records++;
        audit->ring.host_records++;
        audit->ring.host_bytes += host->length;
        kept = true;
    } else {
        rl_free(audit->allocator, host, sizeof *host);
    }
    audit->allocator->failed = before;
    return kept;
}

static bool memory_append_flat(rl_audit_t* audit, const unsigned char* flat, uint32_t slots) {
    if (!memory_room(audit, slots)) return false;
    rl_ring_store_flat(audit->ring.slots, audit->ring.capacity, audit->ring.head, flat, slots);
    audit->ring.head += slots;
    audit->ring.records++;
    return true;
}

/* The oldest event, unfolded into scratch. */
static bool load_oldest(rl_audit_t* audit, uint32_t* out_slots) {
    *out_slots = oldest_slots(audit);
    if (!need_scratch(audit, *out_slots)) return false;
    (void)rl_ring_load(audit->ring.slots, audit->ring.capacity, audit->ring.tail, *out_slots, audit->scratch);
    return true;
}

/* --- delivery ------------------------------------------------------------------------------------------------ */

static bool render_flat(rl_audit_t* audit, rl_renderer_t* renderer, uint32_t slots, rl_buf_t* out) {
    rl_event_view_t view;
    bool before = audit->allocator->failed;
    const rl_ready_record_t* host = audit->ring.host_records > 0 ? host_record_at(audit, audit->ring.tail) : NULL;
    if (host) {
        rl_buf_add(out, (rl_str_t){host->text, host->length});
        audit->allocator->failed = before;
        return !out->failed;
    }
    bool done = rl_event_parse(audit->scratch, slots, &view) && rl_render_event(renderer, &view, NULL, out);
    audit->allocator->failed = before;
    return done;
}

static rl_renderer_t make_renderer(void) {
    rl_renderer_t renderer;
    rl_renderer_init(&renderer, rl_os_target());
    renderer.clock = rl_audit_clock_record();
    return renderer;
}

/* A callback that is the only sink decides whether crossings go on; beside a file it is only counted. */
static rl_audit_result_t delivery_failed(rl_audit_t* audit, rl_audit_result_t result, const char* why) {
    if (!audit->writer) {
        audit->attention = true;
        say(audit, "%s", why);
        return result;
    }
    return RL_AUDIT_OK;
}

/* Offer waiting records to the callback, oldest first. A record leaves the ring when it is taken. */
static rl_audit_result_t deliver(rl_audit_t* audit) {
    if (!audit->sink || audit->ring.records == 0) {
        audit->attention = false;
        return RL_AUDIT_OK;
    }
    if (audit->delivering) return RL_AUDIT_BUSY;
    rl_renderer_t renderer = make_renderer();
    rl_audit_result_t result = RL_AUDIT_OK;
    audit->delivering = true;
    while (audit->ring.records > 0) {
        uint32_t slots;
        rl_buf_clear(&audit->text);
        if (!load_oldest(audit, &slots) || !render_flat(audit, &renderer, slots, &audit->text)) {
            result = delivery_failed(audit, RL_AUDIT_NO_MEMORY, "no memory to render an audit record");
            break;
        }
        uint64_t position = audit->ring.tail;
        if (audit->sink(audit->text.data, audit->text.length, audit->sink_user) != 0) {
            result = delivery_failed(audit, RL_AUDIT_UNAVAILABLE, "audit sink refused a record");
            break;
        }
        if (audit->ring.tail == position) ring_pop(audit); /* events appended by the callback may have pushed it out */
    }
    audit->delivering = false;
    if (result == RL_AUDIT_OK && audit->ring.records == 0) audit->attention = false;
    audit->deliver_due = rl_os_ticks() + rl_audit_ticks_per_second(&renderer.clock);
    return result;
}

/* --- appending ----------------------------------------------------------------------------------------------- */

enum { HOW_URGENT = 1, HOW_REFUSED = 2 }; /* bring it out now · tells of a call that was refused for want of a log */

static bool append(rl_audit_t* audit, rl_audit_event_t* event, rl_event_texts_t* texts, unsigned how);

/* Say how many records were let go, in the next place that takes one. */
static void report_lost(rl_audit_t* audit) {
    uint64_t lost = audit->lost_unreported;
    rl_audit_event_t event = {.kind = RL_AUDIT_KIND_RECORDS_LOST, .number = {lost}};
    rl_event_texts_t texts = {.count = 0};
    audit->lost_unreported = 0; /* ends the recursion; what this append loses is counted anew */
    if (!append(audit, &event, &texts, 0)) {
        audit->lost_unreported = lost; /* its own loss is not one */
        audit->dropped--;
    }
}

static bool append(rl_audit_t* audit, rl_audit_event_t* event, rl_event_texts_t* texts, unsigned how) {
    if (RL_UNLIKELY(is_forked(audit))) return false;
    /* What a callback beside a file lost is told at the next flush: it may lose again with every event. */
    if (RL_UNLIKELY(audit->lost_unreported > 0) && !audit->attention &&
        (audit->writer ? !audit->sink && !rl_audit_writer_troubled(audit->writer) : audit->sink != NULL)) {
        report_lost(audit);
    }
    stamp(audit, event);
    if (RL_UNLIKELY(audit->command_members != NULL)) {
        rl_event_texts_add(texts, RL_FIELD_COMMAND, (rl_str_t){audit->command_members, audit->command_length});
    }

    bool kept;
    if (audit->writer) {
        kept = rl_writer_append(audit->writer, event, texts, (how & HOW_REFUSED) != 0);
        if (audit->sink && !memory_append(audit, event, texts)) count_lost(audit);
        if (how & HOW_URGENT && !rl_audit_writer_troubled(audit->writer)) {
            rl_writer_flush(audit->writer, audit->problem);
        }
    } else {
        kept = !(how & HOW_REFUSED && audit->sink && audit->ring.head - audit->ring.tail > RING_MOST / 4 * 3) &&
               memory_append(audit, event, texts);
    }
    if (!kept) {
        count_lost(audit);
    } else {
        audit->records++;
        if (event->kind == RL_AUDIT_KIND_EMBED_CALL) audit->lifecycle++, thread_lifecycle++;
    }
    if (audit->sink && !audit->attention && !audit->delivering &&
        (how & HOW_URGENT || event->kind == RL_AUDIT_KIND_EMBED_CALL || audit->ring.records >= DELIVER_RECORDS ||
            (audit->real_time && event->time >= audit->deliver_due))) {
        deliver(audit);
    }
    return kept;
}

bool rl_audit_embed_call(rl_audit_t* audit, const rl_audit_embed_call_t* call) {
    rl_audit_event_t event = {.kind = RL_AUDIT_KIND_EMBED_CALL, .function = (uint8_t)call->function};
    rl_event_texts_t texts;
    texts.count = 0, texts.bytes = 0;
    event.number[0] = call->source_bytes;
    rl_event_texts_add(&texts, RL_FIELD_ABI_VERSION, call->abi_version);
    rl_event_texts_add(&texts, RL_FIELD_STATUS, call->status_label);
    rl_event_texts_add(&texts, RL_FIELD_RUN_ENTRYPOINT, call->run_entrypoint);
    if (call->abi_mismatch) event.flags |= RL_EVENT_ABI_MISMATCH;
    if (call->unsupported_target) event.flags |= RL_EVENT_UNSUPPORTED_TARGET;
    if (call->failed) {
        event.flags |= RL_EVENT_FAILED;
        rl_event_texts_add(&texts, RL_FIELD_ERROR_CODE, call->error_code);
        rl_event_texts_add(&texts, RL_FIELD_ERROR_MESSAGE, call->error_message);
    }
    if (call->target) {
        rl_event_texts_add(&texts, RL_FIELD_TARGET_OS, rl_str(call->target->os));
        rl_event_texts_add(&texts, RL_FIELD_TARGET_ARCH, rl_str(call->target->arch));
        rl_event_texts_add(&texts, RL_FIELD_TARGET_TRIPLE, rl_str(call->target->triple));
    }
    return append(audit, &event, &texts, (call->failed ? HOW_URGENT : 0) | (call->refused ? HOW_REFUSED : 0));
}

static void add_call_texts(
    rl_event_texts_t* texts, rl_str_t symbol, rl_str_t library, rl_str_t effects, rl_str_t capability, rl_str_t stage) {
    rl_event_texts_add(texts, RL_FIELD_SYMBOL, symbol);
    rl_event_texts_add(texts, RL_FIELD_LIBRARY, library);
    rl_event_texts_add(texts, RL_FIELD_EFFECTS, effects);
    rl_event_texts_add(texts, RL_FIELD_CAPABILITY, capability);
    rl_event_texts_add(texts, RL_FIELD_STAGE, stage);
}

bool rl_audit_ffi_call(rl_audit_t* audit, const rl_audit_ffi_call_t* call) {
    rl_audit_event_t event = {.kind = RL_AUDIT_KIND_FFI_CALL,
        .status = (uint8_t)call->status,
        .ownership = (uint8_t)call->ownership,
        .result = (uint8_t)call->result};
    rl_event_texts_t texts;
    texts.count = 0, texts.bytes = 0;
    bool failed = call->status == RL_AUDIT_CALL_ERROR || call->status == RL_AUDIT_CALL_LEAK;
    event.number[0] = call->latency_ns;
    event.number[4] = rate_bits(call->bridge_total, call->bridge_success);
    add_call_texts(&texts, call->symbol, call->library, call->effects, call->capability, call->capability_stage);
    rl_event_texts_add(&texts, RL_FIELD_EXTERN_NAME, call->extern_name);
    rl_event_texts_add(&texts, RL_FIELD_CALL_SITE, call->call_site);
    if (RL_UNLIKELY(failed)) {
        event.flags |= RL_EVENT_FAILED;
        rl_event_texts_add(&texts, RL_FIELD_ERROR_CODE, call->error_code);
        rl_event_texts_add(&texts, RL_FIELD_ERROR_MESSAGE, call->error_message);
    }
    return append(audit, &event, &texts, (failed ? HOW_URGENT : 0) | (call->refused ? HOW_REFUSED : 0));
}

bool rl_audit_ownership_violation(
    rl_audit_t* audit, rl_str_t symbol, rl_str_t message, uint64_t bridge_total, uint64_t bridge_success) {
    rl_audit_ffi_call_t call = {.symbol = symbol,
        .status = RL_AUDIT_CALL_ERROR,
        .ownership = RL_AUDIT_OWN_TRANSFERRED,
        .result = RL_AUDIT_RETURN_FAILURE,
        .latency_ns = RL_AUDIT_NO_LATENCY,
        .bridge_total = bridge_total,
        .bridge_success = bridge_success,
        .error_code = RL_STR("ffi.wrap.ownership_violation"),
        .error_message = message};
    return rl_audit_ffi_call(audit, &call);
}

bool rl_audit_leak(rl_audit_t* audit, rl_str_t symbol, uint64_t count, uint64_t bridge_total, uint64_t bridge_success) {
    rl_audit_event_t event = {.kind = count == 1 ? RL_AUDIT_KIND_FFI_CALL : RL_AUDIT_KIND_FFI_SUMMARY,
        .status = RL_AUDIT_CALL_LEAK,
        .ownership = RL_AUDIT_OWN_TRANSFERRED,
        .result = RL_AUDIT_RETURN_PENDING,
        .flags = RL_EVENT_FAILED};
    rl_event_texts_t texts;
    texts.count = 0, texts.bytes = 0;
    event.number[0] = count == 1 ? RL_AUDIT_NO_LATENCY : count;
    event.number[1] = count;
    event.number[2] = event.number[3] =
        audit->real_time ? rl_audit_ticks(audit) : (uint64_t)audit->env->wall_ns(audit->env->user);
    event.number[4] = rate_bits(bridge_total, bridge_success);
    rl_event_texts_add(&texts, RL_FIELD_SYMBOL, symbol);
    rl_event_texts_add(&texts, RL_FIELD_ERROR_CODE, RL_STR("ffi.wrap.ownership_violation"));
    rl_event_texts_add(&texts, RL_FIELD_ERROR_MESSAGE, RL_STR("transferred and never released"));
    return append(audit, &event, &texts, HOW_URGENT);
}

bool rl_audit_unsafe_region(rl_audit_t* audit, rl_str_t module, rl_str_t function, uint32_t line) {
    rl_audit_event_t event = {.kind = RL_AUDIT_KIND_UNSAFE_REGION, .number = {line}};
    rl_event_texts_t texts;
    texts.count = 0, texts.bytes = 0;
    rl_event_texts_add(&texts, RL_FIELD_FUNCTION, function);
    rl_event_texts_add(&texts, RL_FIELD_MODULE, module);
    return append(audit, &event, &texts, 0);
}

bool rl_audit_limits_unlimited(rl_audit_t* audit, rl_str_t names) {
    rl_audit_event_t event = {.kind = RL_AUDIT_KIND_UNLIMITED};
    rl_event_texts_t texts;
    texts.count = 0, texts.bytes = 0;
    rl_event_texts_add(&texts, RL_FIELD_NAMES, names);
    return append(audit, &event, &texts, 0);
}

/* To a callback that is the only sink: taken now, or not recorded. */
static rl_audit_result_t offer_to_sink(rl_audit_t* audit, const rl_ready_record_t* ready) {
    rl_audit_result_t result = deliver(audit); /* what came before goes first */
    if (result != RL_AUDIT_OK) return result;
    audit->delivering = true;
    int refused = audit->sink(ready->text, ready->length, audit->sink_user);
    audit->delivering = false;
    if (refused == 0) return RL_AUDIT_OK;
    say(audit, "audit sink refused a record");
    return RL_AUDIT_UNAVAILABLE;
}

rl_audit_result_t rl_audit_host_record(rl_audit_t* audit, const rl_host_record_t* record, char out_audit_id[37]) {
    if (is_forked(audit)) return RL_AUDIT_FORKED;
    if (audit->delivering) return RL_AUDIT_BUSY;
    rl_ready_record_t ready;
    bool before = audit->allocator->failed;
    audit->problem[0] = '\0';
    rl_audit_result_t result = rl_record_prepare(audit->allocator, audit->env, record,
        (rl_str_t){audit->command_members, audit->command_length}, &ready, audit->problem);
    audit->allocator->failed = before;
    if (result != RL_AUDIT_OK) {
        if (result == RL_AUDIT_NO_MEMORY) say(audit, "no memory for an audit record");
        return result;
    }
    if (audit->lost_unreported > 0 && (audit->writer || audit->sink)) report_lost(audit);
    if (audit->writer) {
        result = rl_writer_append_record(audit->writer, &ready, audit->problem);
        if (result == RL_AUDIT_OK && audit->sink) { /* beside a file it is told, and only counted when it refuses */
            if (!memory_append_host(audit, &ready)) count_lost(audit);
            deliver(audit);
        }
    } else if (audit->sink) {
        result = offer_to_sink(audit, &ready);
    } else if (!memory_append_host(audit, &ready)) {
        say(audit, "no memory for an audit record");
        result = RL_AUDIT_NO_MEMORY;
    }
    if (result == RL_AUDIT_OK) {
        audit->records++;
        memcpy(out_audit_id, ready.audit_id, sizeof ready.audit_id);
    }
    rl_record_deinit(&ready);
    return result;
}

/* --- tallies ------------------------------------------------------------------------------------------------- */

/* The rate of ticks is known the better the longer the process runs, so it is asked again now and then. */
static void measure_interval(rl_audit_t* audit) {
    rl_audit_clock_t clock = rl_audit_clock_record();
    audit->summary_interval_ticks = rl_audit_ticks_per_second(&clock) / 1000 * audit->summary_interval_ms;
}

void rl_audit_tally_attach(rl_audit_t* audit, rl_audit_tally_t* tally) {
    measure_interval(audit);
    tally->next = audit->tallies;
    tally->link = &audit->tallies;
    if (tally->next) tally->next->link = &tally->next;
    audit->tallies = tally;
}

static void drop_image(rl_audit_t* audit, rl_audit_tally_t* tally) {
    rl_free(audit->allocator, tally->image, sizeof *tally->image);
    tally->image = NULL;
}

/* The record that every good call of this tally has, but for its time and id. Without memory or in more than one slot there is none. */
static RL_NOINLINE void make_image(rl_audit_t* audit, rl_audit_tally_t* tally) {
    rl_audit_event_t event = {.kind = RL_AUDIT_KIND_FFI_CALL,
        .status = RL_AUDIT_CALL_OK,
        .ownership = (uint8_t)tally->ownership,
        .result = (uint8_t)tally->result,
        .number = {RL_AUDIT_NO_LATENCY}};
    rl_event_texts_t texts;
    rl_event_image_t image;
    texts.count = 0, texts.bytes = 0;
    add_call_texts(&texts, tally->symbol, tally->library, tally->effects, (rl_str_t){0}, (rl_str_t){0});
    if (!rl_event_image_make(&image, &event, &texts)) return;
    tally->image = quiet_alloc(audit, sizeof image);
    if (tally->image) *tally->image = image;
}

static RL_NOINLINE void record_slowly(rl_audit_t* audit, rl_audit_tally_t* tally) {
    rl_audit_ffi_call_t call = {.symbol = tally->symbol,
        .library = tally->library,
        .effects = tally->effects,
        .ownership = tally->ownership,
        .result = tally->result,
        .latency_ns = RL_AUDIT_NO_LATENCY,
        .bridge_total = audit->bridge_total ? *audit->bridge_total : 0,
        .bridge_success = audit->bridge_total ? *audit->bridge_success : 0};
    rl_audit_ffi_call(audit, &call);
    if (!tally->image && audit->writer) make_image(audit, tally);
}

/* A good call under EVERY. The usual log is a file alone. */
static inline void record_call(rl_audit_t* audit, rl_audit_tally_t* tally) {
    rl_audit_writer_t* writer = audit->writer;
    bool usual = writer && tally->image && audit->real_time && !audit->sink && !audit->command_members &&
                 audit->lost_unreported == 0;
    if (RL_LIKELY(usual)) {
        uint64_t id[2];
        random_id(audit, id);
        uint64_t rate = audit->bridge_total ? rate_bits(*audit->bridge_total, *audit->bridge_success) : rate_bits(0, 0);
        if (RL_LIKELY(rl_writer_append_image(writer, tally->image, rl_audit_ticks(audit), id, rate))) {
            audit->records++;
            return;
        }
    }
    record_slowly(audit, tally);
}

void rl_audit_tally_clock(rl_audit_t* audit, rl_audit_tally_t* tally) {
    if (audit->policy == RL_AUDIT_EVERY) {
        tally->count--;
        record_call(audit, tally);
        return;
    }
    uint64_t ticks = rl_audit_ticks(audit);
    if (tally->count == 1) tally->first_ticks = ticks;
    tally->last_ticks = ticks;
    if (ticks - tally->first_ticks > audit->summary_interval_ticks) rl_audit_tally_flush(audit, tally);
}

bool rl_audit_tally_flush(rl_audit_t* audit, rl_audit_tally_t* tally) {
    if (tally->count == 0) return true;
    /* Calls since the clock was last read: the last of them was no later than now. */
    if (((tally->count - 1) & (RL_AUDIT_TALLY_STEP - 1)) != 0) tally->last_ticks = rl_audit_ticks(audit);
    rl_audit_event_t event = {.kind = RL_AUDIT_KIND_FFI_SUMMARY,
        .status = tally->failures > 0 ? RL_AUDIT_CALL_ERROR : RL_AUDIT_CALL_OK,
        .ownership = (uint8_t)tally->ownership,
        .result = (uint8_t)tally->result};
    rl_event_texts_t texts;
    texts.count = 0, texts.bytes = 0;
    event.number[0] = tally->count;
    event.number[1] = tally->failures;
    event.number[2] = tally->first_ticks;
    event.number[3] = tally->last_ticks;
    if (!audit->real_time) { /* a fixed clock has no ticks */
        event.number[2] = event.number[3] = (uint64_t)audit->env->wall_ns(audit->env->user);
    }
    event.number[4] = audit->bridge_total ? rate_bits(*audit->bridge_total, *audit->bridge_success) : rate_bits(0, 0);
    add_call_texts(&texts, tally->symbol, tally->library, tally->effects, tally->capability, tally->capability_stage);
    uint64_t lost = audit->lost_unreported, dropped = audit->dropped;
    if (!append(audit, &event, &texts, 0)) { /* not lost: the counts stay and are told later */
        audit->lost_unreported = lost, audit->dropped = dropped;
        return false;
    }
    tally->count = tally->failures = 0;
    measure_interval(audit);
    return true;
}

void rl_audit_tally_set_row(
    rl_audit_t* audit, rl_audit_tally_t* tally, rl_audit_ownership_t ownership, rl_audit_return_t result) {
    rl_audit_tally_flush(audit, tally);
    drop_image(audit, tally);
    tally->ownership = ownership;
    tally->result = result;
}

void rl_audit_tally_detach(rl_audit_t* audit, rl_audit_tally_t* tally) {
    if (!tally->link) return;
    if (!rl_audit_tally_flush(audit, tally) && !is_forked(audit)) count_lost(audit);
    *tally->link = tally->next;
    if (tally->next) tally->next->link = tally->link;
    drop_image(audit, tally);
    tally->next = NULL;
    tally->link = NULL;
}

static void tell_tallies(rl_audit_t* audit) {
    for (rl_audit_tally_t* tally = audit->tallies; tally; tally = tally->next) rl_audit_tally_flush(audit, tally);
}

/* --- life ---------------------------------------------------------------------------------------------------- */

bool rl_audit_init(rl_audit_t* audit, rl_allocator_t* allocator, const rl_env_t* env_or_null) {
    memset(audit, 0, sizeof *audit);
    audit->allocator = allocator;
    audit->env = env_or_null ? env_or_null : rl_os_env();
    audit->real_time = audit->env == rl_os_env();
    rl_os_watch_forks();
    audit->fork_generation = rl_os_fork_generation();
    rl_buf_init(&audit->text, allocator);
#if defined(__x86_64__) && defined(__GNUC__)
    uint64_t before = __extension__ __builtin_ia32_rdtsc(), ticks = rl_os_ticks();
    audit->counter_ticks = before <= ticks && ticks <= __extension__ __builtin_ia32_rdtsc();
#endif
    if (!audit->env->random(audit->env->user, audit->random, sizeof audit->random)) {
        audit->random[0] = rl_os_ticks();
        audit->random[1] = (uint64_t)(uintptr_t)audit;
        audit->random[2] = (uint64_t)audit->env->wall_ns(audit->env->user);
    }
    if (!(audit->random[0] | audit->random[1] | audit->random[2] | audit->random[3])) audit->random[0] = 1;
    rl_audit_set_policy(audit, RL_AUDIT_SUMMARY, 0);
    audit->ring.slots = rl_alloc(allocator, RING_LEAST * RL_SLOT_BYTES);
    if (!audit->ring.slots) return false;
    audit->ring.capacity = RING_LEAST;
    return true;
}

void rl_audit_deinit(rl_audit_t* audit) {
    if (!audit->allocator) return;
    if (audit->ring.slots && !is_forked(audit)) {
        while (audit->tallies) rl_audit_tally_detach(audit, audit->tallies);
        rl_audit_flush(audit);
    }
    if (audit->writer) rl_writer_release(audit->writer);
    while (audit->ring.slots && audit->ring.host_records > 0) ring_pop(audit);
    rl_free(audit->allocator, audit->ring.slots, (size_t)audit->ring.capacity * RL_SLOT_BYTES);
    rl_free(audit->allocator, audit->scratch, audit->scratch_bytes);
    rl_free(audit->allocator, audit->command_members, audit->command_length);
    rl_buf_deinit(&audit->text);
    memset(audit, 0, sizeof *audit);
}

/* Settings may not change under a callback that is running, nor in a child. */
static rl_audit_result_t may_change(const rl_audit_t* audit) {
    if (is_forked(audit)) return RL_AUDIT_FORKED;
    return audit->delivering ? RL_AUDIT_BUSY : RL_AUDIT_OK;
}

rl_audit_result_t rl_audit_set_sink(rl_audit_t* audit, rl_audit_sink_fn sink, void* user) {
    rl_audit_result_t result = may_change(audit);
    if (result != RL_AUDIT_OK) return result;
    if (audit->sink) deliver(audit);
    if (sink) { /* room to render in when memory runs out later */
        (void)need_scratch(audit, 1);
        (void)quiet_reserve(audit, &audit->text, LINE_LEAST);
    }
    audit->sink = sink;
    audit->sink_user = user;
    audit->attention = false;
    audit->deliver_due = 0;
    if (audit->writer && !sink) { /* the file has them */
        while (audit->ring.records > 0) ring_pop(audit);
    }
    return sink ? deliver(audit) : RL_AUDIT_OK;
}

static rl_audit_result_t move_queue(rl_audit_t* from, rl_audit_t* to, rl_audit_writer_t* writer) {
    while (from->ring.records > 0) {
        uint32_t slots;
        if (!load_oldest(from, &slots)) return RL_AUDIT_NO_MEMORY;
        const rl_ready_record_t* host = from->ring.host_records > 0 ? host_record_at(from, from->ring.tail) : NULL;
        rl_ready_record_t copy;
        bool kept;
        if (host && writer) {
            kept = rl_writer_append_record(writer, host, from->problem) == RL_AUDIT_OK;
        } else if (host) {
            kept = rl_record_copy(to->allocator, host, &copy);
            if (kept) {
                kept = memory_append_host(to, &copy);
                rl_record_deinit(&copy);
            }
        } else {
            kept = writer ? rl_writer_append_flat(writer, from->scratch, slots)
                          : memory_append_flat(to, from->scratch, slots);
        }
        if (!kept) return RL_AUDIT_UNAVAILABLE;
        ring_pop(from);
        if (from != to) to->records++;
    }
    return RL_AUDIT_OK;
}

rl_audit_result_t rl_audit_set_file(rl_audit_t* audit, const rl_audit_file_settings_t* settings) {
    rl_audit_result_t result = may_change(audit);
    if (result != RL_AUDIT_OK) return result;
    if (settings && (!settings->path || !settings->path[0] || (unsigned)settings->fsync > RL_AUDIT_FSYNC_EVERY)) {
        say(audit, "invalid audit file settings");
        return RL_AUDIT_INVALID;
    }
    rl_audit_writer_t* writer = NULL;
    audit->problem[0] = '\0';
    if (settings) {
        result = rl_writer_acquire(audit->env, settings, &writer, audit->problem);
        if (result != RL_AUDIT_OK) return result;
        if (audit->sink) {
            deliver(audit);
        } else if (!audit->writer) {
            result = move_queue(audit, audit, writer);
            if (result != RL_AUDIT_OK) {
                rl_writer_release(writer);
                return result;
            }
        }
    } else if (audit->writer) {
        tell_tallies(audit);
        result = rl_writer_flush(audit->writer, audit->problem);
        if (result != RL_AUDIT_OK) return result;
    }
    if (audit->writer) rl_writer_release(audit->writer);
    audit->writer = writer;
    audit->attention = false;
    return RL_AUDIT_OK;
}

void rl_audit_set_policy(rl_audit_t* audit, rl_audit_policy_t policy, uint32_t summary_interval_ms) {
    audit->policy = policy;
    audit->tally_mask = policy == RL_AUDIT_SUMMARY ? RL_AUDIT_TALLY_STEP - 1 : 0;
    if (policy == RL_AUDIT_EVERY && audit->writer) rl_writer_warm(audit->writer);
    audit->summary_interval_ms = summary_interval_ms ? summary_interval_ms : 1000;
    measure_interval(audit);
}

void rl_audit_set_on_failure(rl_audit_t* audit, rl_audit_on_failure_t on_failure) { audit->on_failure = on_failure; }

rl_audit_result_t rl_audit_set_command(rl_audit_t* audit, rl_str_t json_members) {
    char* copy = NULL;
    if (json_members.length > RL_AUDIT_FIELD_BYTES) return RL_AUDIT_INVALID;
    if (json_members.length > 0) {
        rl_buf_t object;
        rl_buf_init(&object, audit->allocator);
        rl_buf_add_char(&object, '{');
        rl_buf_add(&object, json_members);
        rl_buf_add_char(&object, '}');
        bool whole = !object.failed, valid = whole && rl_json_members_valid(rl_buf_str(&object), RL_STR("cli."));
        rl_buf_deinit(&object);
        if (whole && !valid) return RL_AUDIT_INVALID;
        copy = whole ? rl_alloc(audit->allocator, json_members.length) : NULL;
        if (!copy) return RL_AUDIT_NO_MEMORY;
        memcpy(copy, json_members.data, json_members.length);
    }
    rl_free(audit->allocator, audit->command_members, audit->command_length);
    audit->command_members = copy;
    audit->command_length = json_members.length;
    return RL_AUDIT_OK;
}

/* --- crossings and getting text out -------------------------------------------------------------------------- */

rl_audit_result_t rl_audit_ready_slow(rl_audit_t* audit) {
    if (is_forked(audit)) return RL_AUDIT_FORKED;
    if (audit->delivering) return RL_AUDIT_BUSY;
    rl_audit_result_t result = RL_AUDIT_OK;
    if (audit->writer) {
        if (!rl_writer_has_room(audit->writer)) result = rl_writer_flush(audit->writer, audit->problem);
    } else if (audit->attention) {
        result = deliver(audit);
    }
    if (result == RL_AUDIT_OK || audit->on_failure == RL_AUDIT_COUNT) return RL_AUDIT_OK;
    return RL_AUDIT_UNAVAILABLE;
}

rl_audit_result_t rl_audit_flush(rl_audit_t* audit) {
    rl_audit_result_t result = may_change(audit);
    if (result != RL_AUDIT_OK) return result;
    tell_tallies(audit);
    if (audit->lost_unreported > 0 && (audit->sink || audit->writer)) report_lost(audit);
    if (audit->writer) result = rl_writer_flush(audit->writer, audit->problem);
    rl_audit_result_t delivered = deliver(audit);
    return audit->writer ? result : delivered;
}

rl_audit_result_t rl_audit_drain(rl_audit_t* audit, rl_buf_t* out) {
    if (audit->sink || audit->writer) return rl_audit_flush(audit);
    rl_audit_result_t result = may_change(audit);
    if (result != RL_AUDIT_OK) return result;
    tell_tallies(audit);

    size_t start = out->length;
    uint64_t tail = audit->ring.tail;
    uint32_t records = audit->ring.records;
    rl_renderer_t renderer = make_renderer();
    if (audit->lost_unreported > 0) { /* what was let go came before what is here */
        rl_event_view_t view;
        memset(&view, 0, sizeof view);
        view.event.kind = RL_AUDIT_KIND_RECORDS_LOST;
        view.event.number[0] = audit->lost_unreported;
        stamp(audit, &view.event);
        if (!rl_render_event(&renderer, &view, NULL, out)) goto refused;
        rl_buf_add_char(out, '\n');
        if (out->failed) goto refused;
    }
    while (audit->ring.records > 0) {
        uint32_t slots;
        if (!load_oldest(audit, &slots) || !render_flat(audit, &renderer, slots, out)) goto refused;
        rl_buf_add_char(out, '\n');
        if (out->failed) goto refused;
        audit->ring.tail += slots; /* not popped yet: should memory end, all is put back */
        audit->ring.records--;
    }
    while (audit->ring.host_records > 0 && tail < audit->ring.tail) {
        uint32_t slots = 1;
        free_host_record_at(audit, tail);
        (void)rl_ring_peek(audit->ring.slots, audit->ring.capacity, tail, &slots);
        tail += slots;
    }
    if (audit->lost_unreported > 0) audit->records++;
    audit->lost_unreported = 0;
    return RL_AUDIT_OK;

refused: /* slots are not overwritten by popping: the queue is as it was */
    out->length = start;
    out->failed = false;
    audit->ring.tail = tail;
    audit->ring.records = records;
    say(audit, "no memory to render audit records");
    return RL_AUDIT_NO_MEMORY;
}

bool rl_audit_transfer(rl_audit_t* from, rl_audit_t* to) {
    if (is_forked(from) || is_forked(to)) return false;
    tell_tallies(from);
    to->lost_unreported += from->lost_unreported;
    to->dropped += from->lost_unreported;
    from->lost_unreported = 0;
    while (from->writer && from->ring.records > 0) ring_pop(from); /* the file has them */
    rl_audit_result_t result = move_queue(from, to, to->writer);
    bool whole = result == RL_AUDIT_OK;
    while (from->ring.records > 0) {
        ring_pop(from);
        count_lost(to);
    }
    if (to->sink && !to->attention) deliver(to);
    return whole;
}
