/*
 * What one capability is: descriptor and metadata, from JSON or from a row of capability.def, and back (CONTRACTS 4.1).
 * The table of kinds says which members the metadata of each has; structs, JSON and checks all come from it.
 */
#include "base/json_read.h"
#include "base/utf8.h"
#include "host/capability.h"

#include <stdlib.h>

enum { DESCRIPTOR_BYTES = 64 * 1024, NAME_BYTES = 256 };

/* --- kinds ------------------------------------------------------------------------------------------------------------ */

typedef enum member_type { A_TEXT, A_LIST, A_FLAG, A_NUMBER } member_type_t;

typedef struct member {
    const char* name;
    member_type_t type;
    size_t offset;
    const char* choices; /* words it may hold; the first is the default of a text; NULL: any */
    uint64_t fallback;   /* of a number */
} member_t;

typedef struct kind_row {
    const char* name;
    const member_t* members; /* ascending by name */
    size_t count;
} kind_row_t;

#define TEXT(T, name)           {#name, A_TEXT, offsetof(T, name), NULL, 0}
#define WORD(T, name, words)    {#name, A_TEXT, offsetof(T, name), words, 0}
#define LIST(T, name)           {#name, A_LIST, offsetof(T, name), NULL, 0}
#define WORDS(T, name, words)   {#name, A_LIST, offsetof(T, name), words, 0}
#define FLAG(T, name)           {#name, A_FLAG, offsetof(T, name), NULL, 0}
#define NUMBER(T, name, normal) {#name, A_NUMBER, offsetof(T, name), NULL, normal}
static const member_t of_gc[] = {FLAG(reml_capability_gc_t, concurrent), TEXT(reml_capability_gc_t, strategy),
    FLAG(reml_capability_gc_t, supports_compaction)};
static const member_t of_io[] = {LIST(reml_capability_io_t, adapters), LIST(reml_capability_io_t, operations),
    FLAG(reml_capability_io_t, supports_async)};
static const member_t of_async[] = {TEXT(reml_capability_async_t, scheduler),
    FLAG(reml_capability_async_t, supports_backpressure), FLAG(reml_capability_async_t, supports_blocking_adapter),
    FLAG(reml_capability_async_t, supports_mailbox)};
static const member_t of_actor[] = {NUMBER(reml_capability_actor_t, mailbox_capacity, 1024),
    WORD(reml_capability_actor_t, scheduler, "local,distributed"),
    FLAG(reml_capability_actor_t, supports_remote_mailbox)};
static const member_t of_audit[] = {FLAG(reml_capability_audit_t, persists_history),
    TEXT(reml_capability_audit_t, schema_version),
    WORD(reml_capability_audit_t, transport, "json_lines,stdout,file,external_bridge")};
static const member_t of_metrics[] = {WORDS(reml_capability_metrics_t, exporters, "json,prometheus,otel"),
    FLAG(reml_capability_metrics_t, supports_histogram), FLAG(reml_capability_metrics_t, supports_sampling)};
static const member_t of_collections[] = {LIST(reml_capability_collections_t, collector_effects),
    FLAG(reml_capability_collections_t, tracks_mutation), FLAG(reml_capability_collections_t, tracks_reference_count)};
static const member_t of_memory[] = {NUMBER(reml_capability_memory_t, max_allocation_bytes, 0),
    TEXT(reml_capability_memory_t, model), FLAG(reml_capability_memory_t, supports_guard_pages)};
static const member_t of_security[] = {FLAG(reml_capability_security_t, enforces_path_sandbox),
    WORDS(reml_capability_security_t, policies, "fs_sandbox,capability_whitelist,manifest_contract"),
    FLAG(reml_capability_security_t, tracks_manifest)};
static const member_t of_operations[] = {LIST(reml_capability_operations_t, operations)};
static const member_t of_ffi[] = {LIST(reml_capability_ffi_t, operations), FLAG(reml_capability_ffi_t, sandbox_calls),
    FLAG(reml_capability_ffi_t, verify_abi)};
static const member_t of_plugin[] = {TEXT(reml_capability_plugin_t, bundle_id),
    TEXT(reml_capability_plugin_t, bundle_version), LIST(reml_capability_plugin_t, exposed_capabilities),
    TEXT(reml_capability_plugin_t, package), TEXT(reml_capability_plugin_t, version)};
static const member_t of_hardware[] = {WORDS(reml_capability_hardware_t, accelerators, "gpu,tpu,cryptography"),
    FLAG(reml_capability_hardware_t, supports_gpu), FLAG(reml_capability_hardware_t, supports_simd)};
static const member_t of_realtime[] = {TEXT(reml_capability_realtime_t, clock_source),
    NUMBER(reml_capability_realtime_t, latency_budget_ns, 1000000),
    FLAG(reml_capability_realtime_t, supports_deadlines)};
#undef TEXT
#undef WORD
#undef LIST
#undef WORDS
#undef FLAG
#undef NUMBER

#define KIND(name, members) {name, members, RL_COUNT_OF(members)}
static const kind_row_t kinds[] = {
    [REML_CAPABILITY_NONE] = {"none", NULL, 0},
    [REML_CAPABILITY_GC] = KIND("gc", of_gc),
    [REML_CAPABILITY_IO] = KIND("io", of_io),
    [REML_CAPABILITY_ASYNC] = KIND("async", of_async),
    [REML_CAPABILITY_ACTOR] = KIND("actor", of_actor),
    [REML_CAPABILITY_AUDIT] = KIND("audit", of_audit),
    [REML_CAPABILITY_METRICS] = KIND("metrics", of_metrics),
    [REML_CAPABILITY_COLLECTIONS] = KIND("collections", of_collections),
    [REML_CAPABILITY_MEMORY] = KIND("memory", of_memory),
    [REML_CAPABILITY_SECURITY] = KIND("security", of_security),
    [REML_CAPABILITY_NATIVE] = KIND("native", of_operations),
    [REML_CAPABILITY_SYSTEM] = KIND("system", of_operations),
    [REML_CAPABILITY_PROCESS] = KIND("process", of_operations),
    [REML_CAPABILITY_SIGNAL] = KIND("signal", of_operations),
    [REML_CAPABILITY_FFI] = KIND("ffi", of_ffi),
    [REML_CAPABILITY_PLUGIN] = KIND("plugin", of_plugin),
    [REML_CAPABILITY_HARDWARE] = KIND("hardware", of_hardware),
    [REML_CAPABILITY_REALTIME] = KIND("realtime", of_realtime),
};
#undef KIND
_Static_assert(RL_COUNT_OF(kinds) == REML_CAPABILITY_REALTIME + 1, "a row for every kind");

const char* reml_capability_kind_label(uint32_t kind) {
    return kind < RL_COUNT_OF(kinds) ? kinds[kind].name : kinds[REML_CAPABILITY_NONE].name;
}

static const char* const providers[] = {[RL_PROVIDER_CORE] = "core",
    [RL_PROVIDER_PLUGIN] = "plugin",
    [RL_PROVIDER_EXTERNAL_BRIDGE] = "external_bridge",
    [RL_PROVIDER_RUNTIME_COMPONENT] = "runtime_component"};
const char* rl_provider_label(rl_provider_kind_t kind) { return providers[kind]; }

/* --- lists ------------------------------------------------------------------------------------------------------------- */

static rl_str_t trimmed(rl_str_t text) {
    while (text.length && (*text.data == ' ' || *text.data == '\t')) text.data++, text.length--;
    while (text.length && (text.data[text.length - 1] == ' ' || text.data[text.length - 1] == '\t')) text.length--;
    return text;
}

bool rl_list_next(rl_str_t list, size_t* at, rl_str_t* out) {
    while (*at < list.length) {
        size_t end = *at;
        while (end < list.length && list.data[end] != ',') end++;
        *out = trimmed((rl_str_t){list.data + *at, end - *at});
        *at = end + 1;
        if (out->length) return true;
    }
    return false;
}

static int compare(const void* a, const void* b) {
    const rl_str_t *x = a, *y = b;
    int order = memcmp(x->data, y->data, x->length < y->length ? x->length : y->length);
    return order ? order : (x->length > y->length) - (x->length < y->length);
}

static uint32_t sort_distinct(rl_str_t* items, uint32_t count) {
    if (count) qsort(items, count, sizeof *items, compare);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!kept || !rl_str_equal(items[kept - 1], items[i])) items[kept++] = items[i];
    }
    return kept;
}

bool rl_list_sorted(rl_arena_t* arena, rl_str_t list, rl_str_t** out, uint32_t* out_count) {
    rl_str_t item;
    uint32_t count = 0, at = 0;
    for (size_t i = 0; rl_list_next(list, &i, &item);) count++;
    *out_count = 0;
    *out = rl_arena_alloc(arena, (count + 1) * sizeof **out);
    if (!*out) return false;
    for (size_t i = 0; rl_list_next(list, &i, &item);) (*out)[at++] = rl_arena_copy(arena, item);
    *out_count = sort_distinct(*out, count);
    return !arena->allocator->failed;
}

bool rl_capability_covers(const rl_capability_body_t* body, rl_str_t tag) {
    for (uint32_t i = 0; i < body->effect_count; i++) {
        if (rl_str_equal(body->effects[i], tag)) return true;
    }
    return false;
}

/* --- bodies ------------------------------------------------------------------------------------------------------------ */

static rl_capability_body_t* body_new(rl_resize_fn resize, void* user, uint32_t kind) {
    rl_allocator_t allocator;
    rl_allocator_init(&allocator, resize, user);
    rl_capability_body_t* body = rl_alloc_zero(&allocator, sizeof *body);
    if (!body) return NULL;
    body->allocator = allocator;
    rl_arena_init(&body->arena, &body->allocator);
    atomic_store(&body->owners, 1);
    body->kind = kind;
    for (size_t i = 0; i < kinds[kind].count; i++) {
        const member_t* member = &kinds[kind].members[i];
        void* place = (char*)&body->as + member->offset;
        if (member->type == A_NUMBER) *(uint64_t*)place = member->fallback;
        else if (member->type != A_FLAG) *(const char**)place = "";
    }
    return body;
}

void rl_capability_body_retain(rl_capability_body_t* body) { atomic_fetch_add(&body->owners, 1); }

void rl_capability_body_release(rl_capability_body_t* body) {
    if (!body || atomic_fetch_sub(&body->owners, 1) != 1) return;
    rl_arena_deinit(&body->arena);
    rl_allocator_t allocator = body->allocator;
    rl_free(&allocator, body, sizeof *body);
}

static void write_list(rl_json_t* json, rl_str_t list) {
    rl_str_t item;
    rl_json_array_begin(json);
    for (size_t at = 0; rl_list_next(list, &at, &item);) rl_json_string(json, item);
    rl_json_array_end(json);
}

/* What the typed struct holds, as JSON. */
static bool finish_metadata(rl_capability_body_t* body) {
    rl_buf_t text;
    rl_buf_init(&text, &body->allocator);
    rl_json_t json = rl_json_begin(&text);
    const kind_row_t* row = &kinds[body->kind];
    rl_json_object_begin(&json);
    for (size_t i = 0; i < row->count; i++) {
        const member_t* member = &row->members[i];
        void* place = (char*)&body->as + member->offset;
        if (member->type == A_TEXT && member->choices && !**(const char**)place) { /* not said: the first word */
            size_t at = 0;
            rl_str_t word;
            (void)rl_list_next(rl_str(member->choices), &at, &word);
            *(const char**)place = rl_arena_copy(&body->arena, word).data;
        }
        rl_json_key(&json, member->name);
        switch (member->type) {
        case A_TEXT: rl_json_string(&json, rl_str(*(const char**)place)); break;
        case A_LIST: write_list(&json, rl_str(*(const char**)place)); break;
        case A_FLAG: rl_json_bool(&json, *(int*)place != 0); break;
        case A_NUMBER: rl_json_u64(&json, *(uint64_t*)place); break;
        }
    }
    rl_json_object_end(&json);
    body->metadata = rl_arena_copy(&body->arena, rl_buf_str(&text));
    bool done = !text.failed && !body->allocator.failed;
    rl_buf_deinit(&text);
    return done;
}

/* --- from a row of capability.def ----------------------------------------------------------------------------------------- */

/* `member=value member`: our own table, so nothing can be wrong. */
static void read_compact(rl_capability_body_t* body, const char* text) {
    while (*text) {
        size_t length = strcspn(text, " "), name = strcspn(text, "= ");
        for (size_t i = 0; i < kinds[body->kind].count; i++) {
            const member_t* member = &kinds[body->kind].members[i];
            void* place = (char*)&body->as + member->offset;
            if (strlen(member->name) != name || memcmp(member->name, text, name) != 0) continue;
            rl_str_t value = {text + name + 1, name < length ? length - name - 1 : 0};
            if (member->type == A_FLAG) *(int*)place = 1;
            else if (member->type == A_NUMBER) *(uint64_t*)place = strtoull(value.data, NULL, 10);
            else *(const char**)place = rl_arena_copy(&body->arena, value).data;
        }
        text += length;
        while (*text == ' ') text++;
    }
}

static const char no_security[] = "{\"audit_required\":false,\"isolation_level\":\"none\",\"permissions\":[],"
                                  "\"policy\":null,\"sandbox_profile\":null,\"signature\":null}";
static const char ffi_security[] = "{\"audit_required\":true,\"isolation_level\":\"sandboxed\",\"permissions\":["
                                   "{\"kind\":\"runtime\",\"operation\":\"verify_abi\"}],\"policy\":\"core.ffi\","
                                   "\"sandbox_profile\":{\"name\":\"ffi\",\"version\":\"1\"},\"signature\":null}";

rl_capability_body_t* rl_capability_body_of_row(rl_resize_fn resize, void* user, const rl_capability_row_t* row) {
    rl_capability_body_t* body = body_new(resize, user, row->kind);
    if (!body) return NULL;
    body->id = rl_arena_copy(&body->arena, rl_str(row->id));
    body->ffi_ready = row->kind == REML_CAPABILITY_FFI;
    body->security = rl_str(body->ffi_ready ? ffi_security : no_security);
    read_compact(body, row->metadata);
    bool done = rl_list_sorted(&body->arena, rl_str(row->effects), &body->effects, &body->effect_count) &&
                finish_metadata(body);
    if (done) return body;
    rl_capability_body_release(body);
    return NULL;
}

/* --- from JSON -------------------------------------------------------------------------------------------------------------- */

typedef struct spec_reader {
    rl_json_doc_t doc;
    rl_capability_body_t* body;
    const char* id; /* when it is known */
    reml_capability_error_t* error;
    bool failed; /* told in *error */
} spec_reader_t;

static bool refuse(spec_reader_t* r, const char* path, const char* name, const char* reason) {
    rl_refusal_t refusal;
    char place[256];
    size_t length = strlen(path), more = strlen(name);
    if (length > 120) length = 120;
    if (more > 120) more = 120;
    memcpy(place, path, length);
    if (more) place[length++] = '.';
    memcpy(place + length, name, more);
    rl_str_t whole = {place, length + more};
    if (rl_utf8_validate(whole) != whole.length) whole.length = rl_utf8_validate(whole);
    rl_refusal_begin(&refusal, REML_CAPABILITY_ERROR_INVALID_DESCRIPTOR, r->id, r->error);
    rl_json_member(&refusal.json, "key_path", whole);
    rl_json_member(&refusal.json, "reason", rl_str(reason));
    (void)rl_refusal_end(&refusal);
    r->failed = true;
    return false;
}

/* A map without members other than those of the list. */
static bool is_map(spec_reader_t* r, uint32_t map, const char* path, const char* names) {
    const rl_json_value_t* value = rl_json_at(&r->doc, map);
    if (!value || value->kind != RL_JSON_MAP) return refuse(r, path, "", "an object is needed");
    for (uint32_t i = value->first; i; i = r->doc.values.data[i].next) {
        rl_str_t name, key = r->doc.values.data[i].key;
        bool known = false;
        for (size_t at = 0; !known && rl_list_next(rl_str(names), &at, &name);) known = rl_str_equal(name, key);
        if (!known) return refuse(r, path, key.data, "unknown key");
    }
    return true;
}

typedef enum text_need { NEEDED, OR_NULL, OPTIONAL } text_need_t;

/* OPTIONAL and OR_NULL leave *out empty (NULL data) when there is none. Texts with a NUL inside are refused. */
static bool text_of(
    spec_reader_t* r, uint32_t map, const char* path, const char* name, text_need_t need, rl_str_t* out) {
    const rl_json_value_t* value = rl_json_at(&r->doc, rl_json_find(&r->doc, map, name));
    *out = (rl_str_t){NULL, 0};
    if (need != NEEDED && (!value || (need == OR_NULL && value->kind == RL_JSON_NULL))) return true;
    if (!value) return refuse(r, path, name, "is missing");
    if (value->kind != RL_JSON_TEXT) return refuse(r, path, name, "a string is needed");
    if (!value->text.length) return refuse(r, path, name, "is empty");
    if (strlen(value->text.data) != value->text.length) return refuse(r, path, name, "has a NUL in it");
    *out = value->text;
    return true;
}

static bool flag_of(spec_reader_t* r, uint32_t map, const char* path, const char* name, bool* out) {
    const rl_json_value_t* value = rl_json_at(&r->doc, rl_json_find(&r->doc, map, name));
    *out = value && value->kind == RL_JSON_TRUE;
    if (!value || value->kind == RL_JSON_TRUE || value->kind == RL_JSON_FALSE) return true;
    return refuse(r, path, name, "true or false is needed");
}

static bool is_name(rl_str_t text) {
    if (!text.length || text.length > NAME_BYTES || text.data[0] == '.' || text.data[text.length - 1] == '.')
        return false;
    for (size_t i = 0; i < text.length; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c <= ' ' || c == ',' || c == '"' || c == '\\' || c == 0x7F || (c == '.' && text.data[i - 1] == '.'))
            return false;
    }
    return true;
}

static bool is_tag(rl_str_t text) {
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.')) return false;
    }
    return is_name(text);
}

static bool has_word(const char* words, rl_str_t word) {
    rl_str_t item;
    for (size_t at = 0; rl_list_next(rl_str(words), &at, &item);) {
        if (rl_str_equal(item, word)) return true;
    }
    return false;
}

/* A list of strings as a text with commas between them. */
static bool list_of(
    spec_reader_t* r, uint32_t list, const char* path, const char* name, const member_t* member, const char** out) {
    const rl_json_value_t* value = rl_json_at(&r->doc, list);
    if (value->kind != RL_JSON_LIST) return refuse(r, path, name, "a list of strings is needed");
    rl_buf_t text;
    rl_buf_init(&text, &r->body->allocator);
    bool fine = true;
    for (uint32_t i = value->first; fine && i; i = r->doc.values.data[i].next) {
        const rl_json_value_t* item = rl_json_at(&r->doc, i);
        if (item->kind != RL_JSON_TEXT || !item->text.length || memchr(item->text.data, ',', item->text.length) ||
            strlen(item->text.data) != item->text.length) {
            fine = refuse(r, path, name, "a list of strings without commas is needed");
        } else if (member && member->choices && !has_word(member->choices, item->text)) {
            fine = refuse(r, path, name, "an unknown word");
        }
        if (text.length) rl_buf_add_char(&text, ',');
        rl_buf_add(&text, item->text);
    }
    *out = rl_arena_copy(&r->body->arena, rl_buf_str(&text)).data;
    rl_buf_deinit(&text);
    return fine;
}

static bool read_metadata(spec_reader_t* r, uint32_t root) {
    rl_capability_body_t* body = r->body;
    const kind_row_t* row = &kinds[body->kind];
    const rl_json_value_t* map = rl_json_at(&r->doc, root);
    if (map->kind != RL_JSON_MAP) return refuse(r, "metadata", "", "an object is needed");
    for (uint32_t i = map->first; i; i = r->doc.values.data[i].next) {
        const rl_json_value_t* value = rl_json_at(&r->doc, i);
        const member_t* member = NULL;
        for (size_t k = 0; k < row->count; k++) {
            if (rl_str_equal(value->key, rl_str(row->members[k].name))) member = &row->members[k];
        }
        if (!member) return refuse(r, "metadata", value->key.data, "unknown key");
        void* place = (char*)&body->as + member->offset;
        switch (member->type) {
        case A_FLAG: {
            bool flag;
            if (!flag_of(r, root, "metadata", member->name, &flag)) return false;
            *(int*)place = flag;
            break;
        }
        case A_NUMBER:
            if (!rl_json_u64_of(value, place))
                return refuse(r, "metadata", member->name, "a whole number, 0 or above, is needed");
            break;
        case A_LIST:
            if (!list_of(r, i, "metadata", member->name, member, place)) return false;
            break;
        case A_TEXT: {
            rl_str_t text;
            if (value->kind == RL_JSON_NULL) break;
            if (!text_of(r, root, "metadata", member->name, NEEDED, &text)) return false;
            if (member->choices && !has_word(member->choices, text))
                return refuse(r, "metadata", member->name, "an unknown word");
            *(const char**)place = text.data;
            break;
        }
        }
    }
    return true;
}

static bool read_effects(spec_reader_t* r) {
    rl_capability_body_t* body = r->body;
    uint32_t list = rl_json_find(&r->doc, 1, "effect_scope");
    const char* joined = "";
    if (list && !list_of(r, list, "$", "effect_scope", NULL, &joined)) return false;
    if (!rl_list_sorted(&body->arena, rl_str(joined), &body->effects, &body->effect_count)) return false;
    for (uint32_t i = 0; i < body->effect_count; i++) {
        if (!is_tag(body->effects[i])) return refuse(r, "$", "effect_scope", "an effect tag is a lower-case word");
    }
    return true;
}

static bool read_provider(spec_reader_t* r) {
    rl_capability_body_t* body = r->body;
    uint32_t map = rl_json_find(&r->doc, 1, "provider");
    if (!map) return true;
    rl_str_t kind;
    if (!is_map(r, map, "$.provider", "kind,package,name,version") ||
        !text_of(r, map, "$.provider", "kind", NEEDED, &kind))
        return false;
    size_t found = 0;
    while (found < RL_COUNT_OF(providers) && !rl_str_equal(kind, rl_str(providers[found]))) found++;
    if (found == RL_COUNT_OF(providers)) return refuse(r, "$.provider", "kind", "an unknown word");
    body->provider = (rl_provider_kind_t)found;
    bool versioned = found == RL_PROVIDER_PLUGIN || found == RL_PROVIDER_EXTERNAL_BRIDGE;
    const char* named = found == RL_PROVIDER_PLUGIN ? "package" : "name";
    const char* other = found == RL_PROVIDER_PLUGIN ? "name" : "package";
    if (rl_json_find(&r->doc, map, other) || (found == RL_PROVIDER_CORE && rl_json_find(&r->doc, map, named)))
        return refuse(r, "$.provider", rl_json_find(&r->doc, map, other) ? other : named, "not for this kind");
    if (!versioned && rl_json_find(&r->doc, map, "version"))
        return refuse(r, "$.provider", "version", "not for this kind");
    if (found != RL_PROVIDER_CORE && !text_of(r, map, "$.provider", named, NEEDED, &body->provider_name)) return false;
    return text_of(r, map, "$.provider", "version", OR_NULL, &body->provider_version);
}

/* One permission: which member its kind has beside `kind`. */
static bool read_permission(spec_reader_t* r, uint32_t map, rl_json_t* out, bool* verifies_abi) {
    static const struct {
        const char *kind, *member;
    } known[] = {{"read_config", NULL}, {"write_config", NULL}, {"file_system", "pattern"}, {"network", "pattern"},
        {"runtime", "operation"}};
    static const char path[] = "$.security.permissions";
    rl_str_t kind, value = {NULL, 0};
    if (!is_map(r, map, path, "kind,pattern,operation") || !text_of(r, map, path, "kind", NEEDED, &kind)) return false;
    size_t found = 0;
    while (found < RL_COUNT_OF(known) && !rl_str_equal(kind, rl_str(known[found].kind))) found++;
    if (found == RL_COUNT_OF(known)) return refuse(r, path, "kind", "an unknown word");
    const char* member = known[found].member;
    uint32_t expected = member ? 2 : 1;
    if (member && !text_of(r, map, path, member, NEEDED, &value)) return false;
    if (rl_json_at(&r->doc, map)->count != expected)
        return refuse(r, path, known[found].kind, "a member that it does not have");
    rl_json_object_begin(out);
    rl_json_member(out, "kind", kind);
    if (member) rl_json_member(out, member, value);
    rl_json_object_end(out);
    if (rl_str_equal(kind, RL_STR("runtime")) && rl_str_equal(value, RL_STR("verify_abi"))) *verifies_abi = true;
    return true;
}

/* A map of needed texts, or null; written as it was read. */
static bool read_texts(spec_reader_t* r, uint32_t map, const char* path, const char* names, rl_json_t* out) {
    if (!map || rl_json_at(&r->doc, map)->kind == RL_JSON_NULL) {
        rl_json_null(out);
        return true;
    }
    if (!is_map(r, map, path, names)) return false;
    rl_json_object_begin(out);
    rl_str_t name, text;
    for (size_t at = 0; rl_list_next(rl_str(names), &at, &name);) {
        char word[16];
        memcpy(word, name.data, name.length);
        word[name.length] = '\0';
        const rl_json_value_t* value = rl_json_at(&r->doc, rl_json_find(&r->doc, map, word));
        bool number = value && value->kind == RL_JSON_NUMBER && strcmp(word, "version") == 0;
        if (!number && !text_of(r, map, path, word, NEEDED, &text)) return false;
        rl_json_key(out, word);
        if (number) rl_json_raw(out, value->written);
        else rl_json_string(out, text);
    }
    rl_json_object_end(out);
    return true;
}

static bool read_security(spec_reader_t* r) {
    rl_capability_body_t* body = r->body;
    static const char path[] = "$.security";
    uint32_t map = rl_json_find(&r->doc, 1, "security");
    body->security = rl_str(no_security);
    if (!map) return true;
    rl_str_t level, policy;
    bool audit_required, verifies_abi = false;
    if (!is_map(r, map, path, "audit_required,isolation_level,permissions,policy,sandbox_profile,signature") ||
        !flag_of(r, map, path, "audit_required", &audit_required) ||
        !text_of(r, map, path, "isolation_level", OPTIONAL, &level) ||
        !text_of(r, map, path, "policy", OR_NULL, &policy))
        return false;
    if (!level.data) level = RL_STR("none");
    if (!has_word("none,sandboxed,full_isolation", level)) return refuse(r, path, "isolation_level", "an unknown word");
    uint32_t permissions = rl_json_find(&r->doc, map, "permissions");
    uint32_t profile = rl_json_find(&r->doc, map, "sandbox_profile");
    if (permissions && rl_json_at(&r->doc, permissions)->kind != RL_JSON_LIST)
        return refuse(r, path, "permissions", "a list is needed");

    rl_buf_t text;
    rl_buf_init(&text, &body->allocator);
    rl_json_t json = rl_json_begin(&text);
    rl_json_object_begin(&json);
    rl_json_key(&json, "audit_required");
    rl_json_bool(&json, audit_required);
    rl_json_member(&json, "isolation_level", level);
    rl_json_key(&json, "permissions");
    rl_json_array_begin(&json);
    bool fine = true;
    uint32_t item = permissions ? rl_json_at(&r->doc, permissions)->first : 0;
    for (; fine && item; item = r->doc.values.data[item].next) fine = read_permission(r, item, &json, &verifies_abi);
    rl_json_array_end(&json);
    rl_json_key(&json, "policy");
    if (policy.data) rl_json_string(&json, policy);
    else rl_json_null(&json);
    rl_json_key(&json, "sandbox_profile");
    fine = fine && read_texts(r, profile, "$.security.sandbox_profile", "name,version", &json);
    rl_json_key(&json, "signature");
    fine = fine && read_texts(r, rl_json_find(&r->doc, map, "signature"), "$.security.signature",
                       "algorithm,digest,issuer", &json);
    rl_json_object_end(&json);
    body->security = rl_arena_copy(&body->arena, rl_buf_str(&text));
    bool profiled = profile && rl_json_at(&r->doc, profile)->kind == RL_JSON_MAP;
    body->ffi_ready = audit_required && profiled && verifies_abi && policy.data;
    rl_buf_deinit(&text);
    return fine;
}

static bool read_verified(spec_reader_t* r, int64_t* out) {
    uint32_t map = rl_json_find(&r->doc, 1, "last_verified_at");
    static const char path[] = "$.last_verified_at";
    uint64_t seconds, nanos;
    *out = RL_NEVER;
    if (!map || rl_json_at(&r->doc, map)->kind == RL_JSON_NULL) return true;
    if (!is_map(r, map, path, "seconds,nanos")) return false;
    if (!rl_json_u64_of(rl_json_at(&r->doc, rl_json_find(&r->doc, map, "seconds")), &seconds) ||
        seconds > (uint64_t)INT64_MAX / 1000000000 - 1)
        return refuse(r, path, "seconds", "a whole number from 0 to 9223372035 (the year 2262) is needed");
    if (!rl_json_u64_of(rl_json_at(&r->doc, rl_json_find(&r->doc, map, "nanos")), &nanos) || nanos > 999999999)
        return refuse(r, path, "nanos", "a whole number below 1000000000 is needed");
    *out = (int64_t)(seconds * 1000000000 + nanos);
    return true;
}

static bool read_document(spec_reader_t* r, const char* text, const char* what) {
    if (strlen(text) > DESCRIPTOR_BYTES) return refuse(r, what, "", "more than 64 KiB");
    if (rl_json_read(&r->doc, &r->body->arena, rl_str(text))) return true;
    return r->doc.problem ? refuse(r, what, "", r->doc.problem) : false;
}

static bool read_stage(spec_reader_t* r, uint32_t* out) {
    rl_str_t text;
    if (!text_of(r, 1, "$", "stage", NEEDED, &text)) return false;
    int32_t stage = reml_capability_stage_parse(text.data);
    *out = (uint32_t)stage;
    if (stage >= 0) return true;
    rl_refusal_t refusal;
    rl_refusal_begin(&refusal, REML_CAPABILITY_ERROR_INVALID_STAGE, r->id, r->error);
    rl_json_member(&refusal.json, "stage", text);
    (void)rl_refusal_end(&refusal);
    r->failed = true;
    return false;
}

static bool read_descriptor(spec_reader_t* r, uint32_t* out_stage, int64_t* out_verified_ns) {
    rl_capability_body_t* body = r->body;
    if (!is_map(r, 1, "$", "id,stage,effect_scope,provider,manifest_path,last_verified_at,security") ||
        !text_of(r, 1, "$", "id", NEEDED, &body->id))
        return false;
    if (!is_name(body->id)) return refuse(r, "$", "id", "a dotted name is needed");
    r->id = body->id.data;
    if (!read_stage(r, out_stage) || !read_effects(r) || !read_provider(r) ||
        !text_of(r, 1, "$", "manifest_path", OR_NULL, &body->manifest_path) || !read_security(r) ||
        !read_verified(r, out_verified_ns))
        return false;
    static const char* const demanded[] = {"audit", "ffi", "security"};
    for (size_t i = 0; i < RL_COUNT_OF(demanded); i++)
        body->ffi_ready = body->ffi_ready && rl_capability_covers(body, rl_str(demanded[i]));
    return true;
}

static uint32_t kind_of(const char* word) {
    for (uint32_t i = 1; word && i < RL_COUNT_OF(kinds); i++) {
        if (strcmp(kinds[i].name, word) == 0) return i;
    }
    return REML_CAPABILITY_NONE;
}

reml_embed_status_t rl_capability_body_read(rl_resize_fn resize, void* user, const reml_capability_spec_t* spec,
    rl_capability_body_t** out, uint32_t* out_stage, int64_t* out_verified_ns, reml_capability_error_t* out_error) {
    uint32_t kind = kind_of(spec->kind);
    spec_reader_t reader = {.error = out_error};
    *out = NULL;
    if (kind == REML_CAPABILITY_NONE) {
        (void)refuse(&reader, "kind", "", "an unknown word");
        return REML_EMBED_STATUS_ERROR;
    }
    reader.body = body_new(resize, user, kind);
    if (!reader.body) return REML_EMBED_STATUS_NO_MEMORY;
    bool fine =
        read_document(&reader, spec->descriptor, "descriptor") && read_descriptor(&reader, out_stage, out_verified_ns);
    rl_json_doc_deinit(&reader.doc, &reader.body->arena);
    if (fine && spec->metadata) {
        fine = read_document(&reader, spec->metadata, "metadata") && read_metadata(&reader, 1);
        rl_json_doc_deinit(&reader.doc, &reader.body->arena);
    }
    fine = fine && finish_metadata(reader.body);
    if (fine) *out = reader.body;
    else rl_capability_body_release(reader.body);
    if (fine) return REML_EMBED_STATUS_OK;
    return reader.failed ? REML_EMBED_STATUS_ERROR : REML_EMBED_STATUS_NO_MEMORY;
}

/* --- out again ---------------------------------------------------------------------------------------------------------- */

static void member_or_null(rl_json_t* json, const char* key, rl_str_t text) {
    rl_json_key(json, key);
    if (text.data) rl_json_string(json, text);
    else rl_json_null(json);
}

void rl_capability_write_descriptor(
    rl_json_t* json, const rl_capability_body_t* body, uint32_t stage, int64_t verified_ns) {
    rl_json_object_begin(json);
    rl_json_key(json, "effect_scope");
    rl_json_array_begin(json);
    for (uint32_t i = 0; i < body->effect_count; i++) rl_json_string(json, body->effects[i]);
    rl_json_array_end(json);
    rl_json_member(json, "id", body->id);
    rl_json_key(json, "last_verified_at");
    if (verified_ns == RL_NEVER) {
        rl_json_null(json);
    } else {
        rl_json_object_begin(json);
        rl_json_key(json, "nanos");
        rl_json_i64(json, verified_ns % 1000000000);
        rl_json_key(json, "seconds");
        rl_json_i64(json, verified_ns / 1000000000);
        rl_json_object_end(json);
    }
    member_or_null(json, "manifest_path", body->manifest_path);
    rl_json_key(json, "provider");
    rl_json_object_begin(json);
    rl_json_member(json, "kind", rl_str(providers[body->provider]));
    if (body->provider == RL_PROVIDER_PLUGIN) rl_json_member(json, "package", body->provider_name);
    else if (body->provider != RL_PROVIDER_CORE) rl_json_member(json, "name", body->provider_name);
    if (body->provider_version.data) rl_json_member(json, "version", body->provider_version);
    rl_json_object_end(json);
    rl_json_key(json, "security");
    rl_json_raw(json, body->security);
    rl_json_member(json, "stage", rl_str(reml_capability_stage_label(stage)));
    rl_json_object_end(json);
}

/* --- handles ------------------------------------------------------------------------------------------------------------- */

void reml_capability_handle_release(reml_capability_handle_t* handle) {
    if (!handle) return;
    rl_capability_body_release(handle->body);
    free(handle->descriptor);
    free(handle);
}
uint32_t reml_capability_handle_kind(const reml_capability_handle_t* handle) {
    return handle && handle->body ? handle->body->kind : REML_CAPABILITY_NONE;
}
int32_t reml_capability_handle_stage(const reml_capability_handle_t* handle) {
    return handle ? (int32_t)handle->stage : -1;
}
const char* reml_capability_handle_descriptor(const reml_capability_handle_t* handle) {
    return handle ? handle->descriptor : NULL;
}
const char* reml_capability_handle_metadata(const reml_capability_handle_t* handle) {
    if (!handle) return NULL;
    return handle->body ? handle->body->metadata.data : "{}";
}

#define AS(word, KIND, member, type)                                                                                   \
    const type* reml_capability_as_##word(const reml_capability_handle_t* handle) {                                    \
        return reml_capability_handle_kind(handle) == REML_CAPABILITY_##KIND ? &handle->body->as.member : NULL;        \
    }
AS(gc, GC, gc, reml_capability_gc_t)
AS(io, IO, io, reml_capability_io_t)
AS(async, ASYNC, async, reml_capability_async_t)
AS(actor, ACTOR, actor, reml_capability_actor_t)
AS(audit, AUDIT, audit, reml_capability_audit_t)
AS(metrics, METRICS, metrics, reml_capability_metrics_t)
AS(collections, COLLECTIONS, collections, reml_capability_collections_t)
AS(memory, MEMORY, memory, reml_capability_memory_t)
AS(security, SECURITY, security, reml_capability_security_t)
AS(native, NATIVE, operations, reml_capability_operations_t)
AS(system, SYSTEM, operations, reml_capability_operations_t)
AS(process, PROCESS, operations, reml_capability_operations_t)
AS(signal, SIGNAL, operations, reml_capability_operations_t)
AS(ffi, FFI, ffi, reml_capability_ffi_t)
AS(plugin, PLUGIN, plugin, reml_capability_plugin_t)
AS(hardware, HARDWARE, hardware, reml_capability_hardware_t)
AS(realtime, REALTIME, realtime, reml_capability_realtime_t)
#undef AS
