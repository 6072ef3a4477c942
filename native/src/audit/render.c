#include "audit/render.h"

#include "base/number.h"
#include "base/utf8.h"

#define CALIBRATION_TICKS ((uint64_t)1 << 32) /* about a second: long enough for a slope */

/* --- time ---------------------------------------------------------------------------------------------------- */

rl_audit_clock_t rl_audit_clock_record(void) {
    rl_audit_clock_t clock = {.recorded = true};
    clock.base_ticks = rl_os_ticks();
    clock.base_wall_ns = rl_os_ticks_to_wall_ns(clock.base_ticks);
    uint64_t before = clock.base_ticks > CALIBRATION_TICKS ? clock.base_ticks - CALIBRATION_TICKS : 0;
    clock.span_ticks = clock.base_ticks - before;
    clock.span_wall_ns = clock.base_wall_ns - rl_os_ticks_to_wall_ns(before);
    /* In the first moments of a process the rate is not known yet: any usual one will do for events so young. */
    double per_second = (double)clock.span_ticks * 1e9 / (double)(clock.span_wall_ns > 0 ? clock.span_wall_ns : 1);
    if (per_second < 1e8 || per_second > 1e10) clock.span_wall_ns = (int64_t)(clock.span_ticks / 5 * 2);
    return clock;
}

uint64_t rl_audit_ticks_per_second(const rl_audit_clock_t* recorded) {
    if (recorded->span_wall_ns <= 0 || recorded->span_ticks == 0) return 1000000000;
    return (uint64_t)((double)recorded->span_ticks * 1e9 / (double)recorded->span_wall_ns);
}

int64_t rl_audit_clock_wall_ns(const rl_audit_clock_t* clock, uint64_t ticks) {
    if (!clock->recorded) return rl_os_ticks_to_wall_ns(ticks);
    if (clock->span_ticks == 0) return clock->base_wall_ns;
    double distance = (double)(int64_t)(ticks - clock->base_ticks); /* 53 bits are ample for seconds */
    double wall = (double)clock->base_wall_ns + distance * ((double)clock->span_wall_ns / (double)clock->span_ticks);
    if (!(wall > -9.2e18 && wall < 9.2e18)) return clock->base_wall_ns;
    return (int64_t)wall;
}

void rl_renderer_init(rl_renderer_t* renderer, const rl_target_t* target) {
    memset(renderer, 0, sizeof *renderer);
    renderer->target = target;
    renderer->second = INT64_MIN;
}

static int64_t event_wall_ns(const rl_renderer_t* renderer, const rl_audit_event_t* event, uint64_t time) {
    return event->flags & RL_EVENT_WALL_TIME ? (int64_t)time : rl_audit_clock_wall_ns(&renderer->clock, time);
}

/* --- writing into reserved room ------------------------------------------------------------------------------ */

/* The room was reserved by line_bound(); nothing here checks again. */
typedef struct pen {
    char* at;
} pen_t;

static inline void put(pen_t* pen, const char* text, size_t length) {
    memcpy(pen->at, text, length);
    pen->at += length;
}
#define PUT(pen, literal) put((pen), (literal), sizeof(literal) - 1)

static void put_cstr(pen_t* pen, const char* text) { put(pen, text, strlen(text)); }

static void put_u64(pen_t* pen, uint64_t value) {
    char digits[20];
    unsigned count = 0;
    do {
        digits[19 - count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    put(pen, digits + 20 - count, count);
}

static void put_time(pen_t* pen, rl_renderer_t* renderer, int64_t wall_ns) {
    int64_t second = wall_ns / 1000000000 - (wall_ns % 1000000000 < 0);
    if (second != renderer->second) {
        renderer->second = second;
        renderer->second_length = rl_os_print_rfc3339(wall_ns, renderer->second_text);
    }
    put(pen, renderer->second_text, renderer->second_length);
}

static bool is_plain(rl_str_t text) {
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 0x20 || c >= 0x7F || c == '"' || c == '\\') return false;
    }
    return true;
}

/* At most six bytes for each byte. Control characters, DEL and line separators are escaped: no text can forge a line. */
static void put_string(pen_t* pen, rl_str_t text) {
    static const char digits[] = "0123456789abcdef";
    *pen->at++ = '"';
    if (is_plain(text)) {
        if (text.length > 0) put(pen, text.data, text.length);
        *pen->at++ = '"';
        return;
    }
    for (size_t i = 0; i < text.length;) {
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\') {
            *pen->at++ = '\\';
            *pen->at++ = (char)c;
            i++;
        } else if (c < 0x20 || c == 0x7F) {
            char escape[6] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
            if (c == '\n' || c == '\t' || c == '\r') {
                escape[1] = c == '\n' ? 'n' : c == '\t' ? 't' : 'r';
                put(pen, escape, 2);
            } else {
                put(pen, escape, 6);
            }
            i++;
        } else if (c < 0x80) {
            *pen->at++ = (char)c;
            i++;
        } else {
            size_t start = i;
            uint32_t scalar = rl_utf8_next(text, &i);
            if (i <= start) i = start + 1;
            if (scalar == RL_UTF8_INVALID) {
                PUT(pen, "\xEF\xBF\xBD");
                i = start + 1; /* one mark for each bad byte keeps the bound of six */
            } else if (scalar == 0x2028 || scalar == 0x2029) {
                put_cstr(pen, scalar == 0x2028 ? "\\u2028" : "\\u2029");
            } else {
                put(pen, text.data + start, i - start);
            }
        }
    }
    *pen->at++ = '"';
}

/* `,"key":` in front of what follows. */
#define KEY(pen, name)          PUT((pen), ",\"" name "\":")
#define MEMBER(pen, name, text) (KEY(pen, name), put_string((pen), (text)))

/* --- parts of a line ----------------------------------------------------------------------------------------- */

static const struct {
    rl_field_t field;
    const char* key;
} cut_keys[] = {
    /* ascending by key */
    {RL_FIELD_EXTERN_NAME, "bridge.extern_name"},
    {RL_FIELD_ABI_VERSION, "embed.abi.version"},
    {RL_FIELD_RUN_ENTRYPOINT, "embed.run.entrypoint"},
    {RL_FIELD_STATUS, "embed.status"},
    {RL_FIELD_ERROR_CODE, "error.code"},
    {RL_FIELD_ERROR_MESSAGE, "error.message"},
    {RL_FIELD_CALL_SITE, "ffi.call_site"},
    {RL_FIELD_CAPABILITY, "ffi.capability"},
    {RL_FIELD_STAGE, "ffi.capability_stage"},
    {RL_FIELD_EFFECTS, "ffi.effect_flags"},
    {RL_FIELD_LIBRARY, "ffi.library"},
    {RL_FIELD_SYMBOL, "ffi.symbol"},
    {RL_FIELD_NAMES, "limits.unlimited"},
    {RL_FIELD_TARGET_ARCH, "target.arch"},
    {RL_FIELD_TARGET_OS, "target.os"},
    {RL_FIELD_TARGET_TRIPLE, "target.triple"},
    {RL_FIELD_FUNCTION, "unsafe.function"},
    {RL_FIELD_MODULE, "unsafe.module"},
};

/* What was cut: length in bytes and SHA-256 of the whole, by the key of the cut member. */
static void put_cuts(pen_t* pen, const rl_event_view_t* view) {
    bool any = false;
    for (size_t i = 0; i < RL_COUNT_OF(cut_keys); i++) {
        rl_field_t field = cut_keys[i].field;
        if (!view->whole_sha[field]) continue;
        if (any) {
            PUT(pen, ",\"");
        } else {
            PUT(pen, ",\"audit.truncated\":{\"");
        }
        any = true;
        put_cstr(pen, cut_keys[i].key);
        PUT(pen, "\":{\"bytes\":");
        put_u64(pen, view->whole_bytes[field]);
        PUT(pen, ",\"sha256\":\"");
        rl_sha256_hex(view->whole_sha[field], pen->at);
        pen->at += RL_SHA256_HEX;
        PUT(pen, "\"}");
    }
    if (any) PUT(pen, "}");
}

static void put_command(pen_t* pen, const rl_event_view_t* view) {
    if (view->text[RL_FIELD_COMMAND].length == 0) return;
    PUT(pen, ",");
    put(pen, view->text[RL_FIELD_COMMAND].data, view->text[RL_FIELD_COMMAND].length);
}

static rl_str_t text_or(const rl_event_view_t* view, rl_field_t field, const char* otherwise) {
    return view->text[field].length > 0 ? view->text[field] : rl_str(otherwise);
}

/* A list of words, one space between, as an array of strings. */
static void put_words(pen_t* pen, rl_str_t words) {
    PUT(pen, "[");
    bool first = true;
    for (size_t i = 0; i < words.length;) {
        size_t start = i;
        while (i < words.length && words.data[i] != ' ') i++;
        if (i > start) {
            if (!first) PUT(pen, ",");
            first = false;
            put_string(pen, (rl_str_t){words.data + start, i - start});
        }
        i++;
    }
    PUT(pen, "]");
}

static void put_error(pen_t* pen, const rl_event_view_t* view, const char* code, const char* message) {
    MEMBER(pen, "error.code", text_or(view, RL_FIELD_ERROR_CODE, code));
    MEMBER(pen, "error.message", text_or(view, RL_FIELD_ERROR_MESSAGE, message));
    PUT(pen, ",\"error.severity\":\"error\"");
}

static void put_target(pen_t* pen, const rl_renderer_t* renderer, const rl_event_view_t* view) {
    const rl_target_t* target = renderer->target;
    MEMBER(pen, "target.arch", text_or(view, RL_FIELD_TARGET_ARCH, target->arch ? target->arch : "unknown"));
    MEMBER(pen, "target.os", text_or(view, RL_FIELD_TARGET_OS, target->os ? target->os : "unknown"));
    MEMBER(pen, "target.triple", text_or(view, RL_FIELD_TARGET_TRIPLE, target->triple ? target->triple : "unknown"));
}

#define SCHEMA(pen) PUT((pen), ",\"schema.version\":\"3.0.0-alpha\"")

static void put_embed_call(pen_t* pen, rl_renderer_t* renderer, const rl_event_view_t* view) {
    static const char* const functions[] = {
        [RL_AUDIT_CREATE_CONTEXT] = "reml_create_context",
        [RL_AUDIT_LOAD_MODULE] = "reml_load_module",
        [RL_AUDIT_RUN] = "reml_run",
        [RL_AUDIT_DISPOSE_CONTEXT] = "reml_dispose_context",
        [RL_AUDIT_START] = "reml_embed_start",
    };
    const rl_audit_event_t* event = &view->event;
    put_command(pen, view);
    PUT(pen, ",\"effect.capability\":\"native.embed\",\"effect.manifest_path\":null,\"effect.provider\":\"core\""
             ",\"effect.stage.actual\":\"experimental\",\"effect.stage.required\":\"at_least:experimental\"");
    MEMBER(pen, "embed.abi.version", text_or(view, RL_FIELD_ABI_VERSION, "unknown"));
    if (event->function == RL_AUDIT_RUN || event->function == RL_AUDIT_START)
        MEMBER(pen, "embed.run.entrypoint", view->text[RL_FIELD_RUN_ENTRYPOINT]);
    if (event->function == RL_AUDIT_LOAD_MODULE) {
        KEY(pen, "embed.source.bytes");
        put_u64(pen, event->number[0]);
    }
    MEMBER(pen, "embed.status", text_or(view, RL_FIELD_STATUS, "unknown"));
    if (event->flags & RL_EVENT_FAILED) put_error(pen, view, "native.embed.error", "unknown");
    PUT(pen, ",\"event.kind\":\"native.embed.call\"");
    if (event->flags & RL_EVENT_ABI_MISMATCH) PUT(pen, ",\"native.embed.abi_mismatch\":true");
    KEY(pen, "native.embed.entrypoint");
    put_string(pen, rl_str(event->function < RL_COUNT_OF(functions) ? functions[event->function] : "unknown"));
    if (event->flags & RL_EVENT_UNSUPPORTED_TARGET) PUT(pen, ",\"native.embed.unsupported_target\":true");
    SCHEMA(pen);
    put_target(pen, renderer, view);
}

/* The table of CONTRACTS 2.6. */
static const struct {
    const char *status, *wrap, *release_handler, *rc_adjustment;
} return_rows[] = {
    [RL_AUDIT_RETURN_SCALAR] = {"none", "none", "none", "none"},
    [RL_AUDIT_RETURN_BORROWED] = {"wrap", "wrap_foreign_ptr", "none", "none"},
    [RL_AUDIT_RETURN_TRANSFERRED] = {"wrap_and_release", "wrap_foreign_ptr", "dec_ref", "dec_ref"},
    [RL_AUDIT_RETURN_PENDING] = {"pending", "wrap_foreign_ptr", "dec_ref", "none"},
    [RL_AUDIT_RETURN_FAILURE] = {"failure", "none", "none", "none"},
    [RL_AUDIT_RETURN_NULL] = {"null", "none", "none", "none"},
};
static const char* const ownership_names[] = {
    [RL_AUDIT_OWN_NONE] = "none",
    [RL_AUDIT_OWN_BORROWED] = "borrowed",
    [RL_AUDIT_OWN_TRANSFERRED] = "transferred",
    [RL_AUDIT_OWN_REFERENCE] = "reference",
};
static const struct {
    const char *bridge, *ffi;
} call_statuses[] = {
    [RL_AUDIT_CALL_OK] = {"ok", "success"},
    [RL_AUDIT_CALL_ERROR] = {"error", "failed"},
    [RL_AUDIT_CALL_LEAK] = {"leak", "leak"},
    [RL_AUDIT_CALL_STUBBED] = {"ok", "stubbed"},
};

static const char* return_ownership(const rl_audit_event_t* event) {
    switch (event->result) {
    case RL_AUDIT_RETURN_SCALAR: return "none";
    case RL_AUDIT_RETURN_BORROWED: return "borrowed";
    case RL_AUDIT_RETURN_TRANSFERRED:
    case RL_AUDIT_RETURN_PENDING: return "transferred";
    default: break;
    }
    /* the declared one; a reference is lent */
    return event->ownership == RL_AUDIT_OWN_REFERENCE ? "borrowed" : ownership_names[event->ownership];
}

static void put_plain_member(pen_t* pen, const char* lead, const char* value) {
    put_cstr(pen, lead);
    put_cstr(pen, value);
    *pen->at++ = '"';
}

static void put_rate(pen_t* pen, uint64_t bits) {
    double rate;
    memcpy(&rate, &bits, sizeof rate);
    pen->at += rl_f64_print(rate > 0 ? rate < 1 ? rate : 1.0 : 0.0, pen->at);
}

static void put_bridge(pen_t* pen, const rl_renderer_t* renderer, const rl_event_view_t* view) {
    const rl_audit_event_t* event = &view->event;
    const rl_target_t* target = renderer->target;
    rl_str_t abi = rl_str(target->abi ? target->abi : "unknown");
    PUT(pen, ",\"bridge\":{\"abi\":");
    put_string(pen, abi);
    MEMBER(pen, "arch", rl_str(target->arch ? target->arch : "unknown"));
    KEY(pen, "audit_pass_rate");
    put_rate(pen, event->number[4]);
    MEMBER(pen, "expected_abi", abi);
    if (view->text[RL_FIELD_EXTERN_NAME].length > 0) MEMBER(pen, "extern_name", view->text[RL_FIELD_EXTERN_NAME]);
    MEMBER(pen, "extern_symbol", text_or(view, RL_FIELD_SYMBOL, "unknown"));
    put_plain_member(pen, ",\"ownership\":\"", ownership_names[event->ownership]);
    MEMBER(pen, "platform", rl_str(target->platform ? target->platform : "unknown"));
    put_plain_member(pen, ",\"return\":{\"ownership\":\"", return_ownership(event));
    put_plain_member(pen, ",\"rc_adjustment\":\"", return_rows[event->result].rc_adjustment);
    put_plain_member(pen, ",\"release_handler\":\"", return_rows[event->result].release_handler);
    put_plain_member(pen, ",\"status\":\"", return_rows[event->result].status);
    put_plain_member(pen, ",\"wrap\":\"", return_rows[event->result].wrap);
    put_plain_member(pen, "},\"status\":\"", call_statuses[event->status].bridge);
    MEMBER(pen, "target", rl_str(target->triple ? target->triple : "unknown"));
    PUT(pen, "}");
}

static void put_ffi_call(pen_t* pen, rl_renderer_t* renderer, const rl_event_view_t* view) {
    const rl_audit_event_t* event = &view->event;
    put_bridge(pen, renderer, view);
    put_command(pen, view);
    if (event->flags & RL_EVENT_FAILED) put_error(pen, view, "ffi.call.failed", "the call failed");
    PUT(pen, ",\"event.kind\":\"ffi.call\",\"ffi\":{");
    if (view->text[RL_FIELD_CALL_SITE].length > 0) {
        PUT(pen, "\"call_site\":");
        put_string(pen, view->text[RL_FIELD_CALL_SITE]);
        PUT(pen, ",");
    }
    PUT(pen, "\"capability\":");
    put_string(pen, text_or(view, RL_FIELD_CAPABILITY, "ffi.bridge"));
    MEMBER(pen, "capability_stage", text_or(view, RL_FIELD_STAGE, "beta"));
    KEY(pen, "effect_flags");
    put_words(pen, text_or(view, RL_FIELD_EFFECTS, "ffi unsafe"));
    PUT(pen, ",\"event\":\"ffi.call\"");
    if (event->kind == RL_AUDIT_KIND_FFI_CALL && event->number[0] != RL_AUDIT_NO_LATENCY) {
        KEY(pen, "latency_ns");
        put_u64(pen, event->number[0]);
    }
    MEMBER(pen, "library", text_or(view, RL_FIELD_LIBRARY, "reml_embed"));
    put_plain_member(pen, ",\"status\":\"", call_statuses[event->status].ffi);
    MEMBER(pen, "symbol", text_or(view, RL_FIELD_SYMBOL, "unknown"));
    PUT(pen, "}");
    if (event->kind == RL_AUDIT_KIND_FFI_SUMMARY) {
        KEY(pen, "ffi.count");
        put_u64(pen, event->number[0]);
        KEY(pen, "ffi.failures");
        put_u64(pen, event->number[1]);
        PUT(pen, ",\"ffi.first_at\":\"");
        put_time(pen, renderer, event_wall_ns(renderer, event, event->number[2]));
        PUT(pen, "\",\"ffi.last_at\":\"");
        put_time(pen, renderer, event_wall_ns(renderer, event, event->number[3]));
        PUT(pen, "\"");
    }
    SCHEMA(pen);
}

static void put_unsafe_region(pen_t* pen, const rl_event_view_t* view) {
    put_command(pen, view);
    PUT(pen, ",\"event.kind\":\"unsafe.region\"");
    SCHEMA(pen);
    MEMBER(pen, "unsafe.function", text_or(view, RL_FIELD_FUNCTION, "unknown"));
    KEY(pen, "unsafe.line");
    put_u64(pen, view->event.number[0]);
    if (view->text[RL_FIELD_MODULE].length > 0) MEMBER(pen, "unsafe.module", view->text[RL_FIELD_MODULE]);
}

/* Between audit.policy.version and audit.sequence. */
static void put_audit_members(pen_t* pen, const rl_event_view_t* view) {
    const uint64_t* number = view->event.number;
    switch (view->event.kind) {
    case RL_AUDIT_KIND_RECOVERED:
        KEY(pen, "audit.recovery.cut_bytes");
        put_u64(pen, number[0]);
        if (number[0] > 0) {
            KEY(pen, "audit.recovery.cut_offset");
            put_u64(pen, number[1]);
            MEMBER(pen, "audit.recovery.cut_sha256", view->text[RL_FIELD_DETAIL]);
        }
        KEY(pen, "audit.recovery.damaged_events");
        put_u64(pen, number[3]);
        KEY(pen, "audit.recovery.events");
        put_u64(pen, number[4]);
        KEY(pen, "audit.recovery.missing_records");
        put_u64(pen, number[2]);
        break;
    case RL_AUDIT_KIND_RECORDS_LOST:
        KEY(pen, "audit.records.lost");
        put_u64(pen, number[0]);
        break;
    case RL_AUDIT_KIND_DURABILITY:
        KEY(pen, "audit.durability.first");
        put_u64(pen, number[0]);
        KEY(pen, "audit.durability.last");
        put_u64(pen, number[1]);
        break;
    default: break;
    }
}

static void put_metadata(pen_t* pen, rl_renderer_t* renderer, const rl_event_view_t* view) {
    switch (view->event.kind) {
    case RL_AUDIT_KIND_EMBED_CALL: put_embed_call(pen, renderer, view); return;
    case RL_AUDIT_KIND_FFI_CALL:
    case RL_AUDIT_KIND_FFI_SUMMARY: put_ffi_call(pen, renderer, view); return;
    case RL_AUDIT_KIND_UNSAFE_REGION: put_unsafe_region(pen, view); return;
    default: break;
    }
    put_command(pen, view);
    switch (view->event.kind) {
    case RL_AUDIT_KIND_RECOVERED: PUT(pen, ",\"event.kind\":\"audit.recovered\""); break;
    case RL_AUDIT_KIND_RECORDS_LOST: PUT(pen, ",\"event.kind\":\"audit.records_lost\""); break;
    case RL_AUDIT_KIND_DURABILITY: PUT(pen, ",\"event.kind\":\"audit.durability_unknown\""); break;
    case RL_AUDIT_KIND_UNLIMITED:
        PUT(pen, ",\"event.kind\":\"runtime.limits.unlimited\",\"limits.unlimited\":");
        put_words(pen, view->text[RL_FIELD_NAMES]);
        break;
    default: PUT(pen, ",\"event.kind\":\"audit.unknown\""); break; /* an event of a later version */
    }
    SCHEMA(pen);
}

/* --- the line ------------------------------------------------------------------------------------------------ */

typedef struct line_frame {
    const char *category, *capability, *channel;
} line_frame_t;

static line_frame_t frame_of(unsigned kind) {
    switch (kind) {
    case RL_AUDIT_KIND_EMBED_CALL: return (line_frame_t){"native.embed", "native.embed", "embed"};
    case RL_AUDIT_KIND_FFI_CALL:
    case RL_AUDIT_KIND_FFI_SUMMARY: return (line_frame_t){"ffi.bridge", "ffi.bridge", "runtime"};
    case RL_AUDIT_KIND_UNSAFE_REGION: return (line_frame_t){"runtime", NULL, "runtime"};
    case RL_AUDIT_KIND_UNLIMITED: return (line_frame_t){"runtime", NULL, "embed"};
    default: return (line_frame_t){"audit", NULL, "runtime"};
    }
}

static void put_uuid(pen_t* pen, const unsigned char id[16]) {
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) *pen->at++ = '-';
        *pen->at++ = digits[id[i] >> 4];
        *pen->at++ = digits[id[i] & 15];
    }
}

/* Fixed parts and numbers stay below 4 KiB; a symbol and a library appear twice; a cut adds its own member. */
static size_t line_bound(const rl_renderer_t* renderer, const rl_event_view_t* view) {
    size_t texts = 0;
    for (unsigned i = 0; i < RL_FIELD_COUNT; i++) texts += view->text[i].length;
    const rl_target_t* target = renderer->target;
    const char* names[] = {target->os, target->arch, target->triple, target->platform, target->abi};
    for (size_t i = 0; i < RL_COUNT_OF(names); i++) texts += names[i] ? strlen(names[i]) : 0;
    /* a word list of one-letter words grows by the factor of 2 (`"a",` for `a `), strings by 6 */
    return 8192 + 2 * 6 * texts;
}

static bool event_is_known(const rl_audit_event_t* event) {
    return event->status < RL_COUNT_OF(call_statuses) && event->ownership < RL_COUNT_OF(ownership_names) &&
           event->result < RL_COUNT_OF(return_rows);
}

bool rl_render_event(rl_renderer_t* renderer, const rl_event_view_t* view, rl_audit_chain_t* chain, rl_buf_t* out) {
    rl_event_view_t plain;
    if (!event_is_known(&view->event)) { /* written by a later version: keep what we understand */
        plain = *view;
        plain.event.status = RL_AUDIT_CALL_OK, plain.event.ownership = RL_AUDIT_OWN_NONE;
        plain.event.result = RL_AUDIT_RETURN_SCALAR;
        view = &plain;
    }
    if (!rl_buf_reserve(out, line_bound(renderer, view))) return false;

    size_t start = out->length;
    pen_t pen = {out->data + start};
    line_frame_t frame = frame_of(view->event.kind);
    PUT(&pen, "{\"timestamp\":\"");
    put_time(&pen, renderer, event_wall_ns(renderer, &view->event, view->event.time));
    put_plain_member(&pen, "\",\"category\":\"", frame.category);
    PUT(&pen, ",\"envelope\":{\"audit_id\":\"");
    put_uuid(&pen, view->event.id);
    *pen.at++ = '"';
    if (frame.capability) put_plain_member(&pen, ",\"capability\":\"", frame.capability);
    PUT(&pen, ",\"metadata\":{");
    size_t hash_at = (size_t)(pen.at - out->data), after_hash = hash_at;
    if (chain) {
        PUT(&pen, "\"audit.chain.hash\":\"");
        pen.at += RL_SHA256_HEX;
        PUT(&pen, "\",");
        after_hash = (size_t)(pen.at - out->data);
        PUT(&pen, "\"audit.chain.previous\":\"");
        put(&pen, chain->head, RL_SHA256_HEX);
        PUT(&pen, "\",");
    }
    put_plain_member(&pen, "\"audit.channel\":\"", frame.channel);
    /* audit.durability.… stands before audit.policy.version, the other internal members after it */
    bool early = view->event.kind == RL_AUDIT_KIND_DURABILITY;
    if (early) put_audit_members(&pen, view);
    PUT(&pen, ",\"audit.policy.version\":\"rust.poc.audit.v1\"");
    if (!early) put_audit_members(&pen, view);
    if (chain) {
        KEY(&pen, "audit.sequence");
        put_u64(&pen, chain->sequence + 1);
    }
    put_cuts(&pen, view);
    put_metadata(&pen, renderer, view);
    PUT(&pen, "}}}");
    out->length = (size_t)(pen.at - out->data);

    if (chain) { /* CONTRACTS 0.5: over the line without the hash member and its comma */
        unsigned char digest[RL_SHA256_BYTES];
        rl_sha256_t sha;
        rl_sha256_init(&sha);
        rl_sha256_update(&sha, out->data + start, hash_at - start);
        rl_sha256_update(&sha, out->data + after_hash, out->length - after_hash);
        rl_sha256_final(&sha, digest);
        rl_sha256_hex(digest, chain->head);
        memcpy(out->data + hash_at + sizeof("\"audit.chain.hash\":\"") - 1, chain->head, RL_SHA256_HEX);
        chain->sequence++;
    }
    return true;
}
