/*
 * Registries of capabilities (CONTRACTS 4.2; the second seed document): entries in the order of registration, a map from id
 * to entry, one reader-writer lock. Entries do not move; what can change of one is its stage, whether it is enabled, and when
 * it was last verified.
 */
#include "host/capability.h"

#include "base/map.h"
#include "base/os.h"
#include "host/context.h"

#include <pthread.h>
#include <stdlib.h>

static const rl_capability_row_t built_in[] = {
#define CAPABILITY(id, stage, effects, kind, metadata)                                                                 \
    {id, effects, metadata, REML_EMBED_STAGE_##stage, REML_CAPABILITY_##kind},
#include "host/capability.def"
#undef CAPABILITY
};

typedef struct entry {
    rl_capability_body_t* body;
    uint32_t stage;
    bool enabled, opted_in;
    _Atomic int64_t verified_ns; /* set under the read lock */
    uint32_t next_of_hash;       /* + 1 */
} entry_t;

struct reml_capability_registry_t {
    pthread_rwlock_t lock;
    _Atomic uint32_t owners;
    uint32_t flags;
    rl_resize_fn resize;
    void* resize_user;
    rl_allocator_t allocator; /* of the two tables; only under the write lock */
    RL_VEC(entry_t*) ordered; /* in the order of registration */
    rl_map_t by_hash;         /* hash of an id → first entry with it, + 1 */
    struct reml_capability_registry_t *next_living, *previous_living;
};

_Atomic uint64_t rl_capability_generation = 1;
static void changed(void) { atomic_fetch_add(&rl_capability_generation, 1); }

/* --- stages ----------------------------------------------------------------------------------------------------------- */

static const char* const stages[] = {"experimental", "beta", "stable"};
static const char* const requirements[2][3] = {{"at_least:experimental", "at_least:beta", "at_least:stable"},
    {"exact:experimental", "exact:beta", "exact:stable"}};

const char* reml_capability_stage_label(uint32_t stage) { return stage < 3 ? stages[stage] : "unknown"; }

static int32_t stage_in(rl_str_t text) {
    for (int32_t i = 0; i < 3; i++) {
        if (rl_str_equal(text, rl_str(stages[i]))) return i;
    }
    return -1;
}
int32_t reml_capability_stage_parse(const char* text) { return stage_in(rl_str(text)); }

const char* reml_capability_requirement_text(uint32_t requirement) {
    uint32_t stage = requirement & ~(uint32_t)REML_CAPABILITY_EXACT;
    return stage < 3 ? requirements[(requirement & REML_CAPABILITY_EXACT) != 0][stage] : "unknown";
}

/* `exact:s` `exact s` `exact(s)`, the same with at_least and atleast, or `s` alone. */
int32_t reml_capability_requirement_parse(const char* text) {
    static const struct {
        const char* word;
        int32_t mode;
    } modes[] = {{"at_least", 0}, {"atleast", 0}, {"exact", REML_CAPABILITY_EXACT}};
    if (!text) return -1;
    int32_t alone = stage_in(rl_str(text));
    if (alone >= 0) return alone | REML_CAPABILITY_EXACT;
    for (size_t i = 0; i < RL_COUNT_OF(modes); i++) {
        size_t length = strlen(modes[i].word);
        if (strncmp(text, modes[i].word, length) != 0) continue;
        rl_str_t rest = rl_str(text + length);
        char mark = rest.length ? rest.data[0] : '\0';
        bool closed = mark == '(' && rest.data[rest.length - 1] == ')';
        if (mark != ':' && mark != ' ' && !closed) continue;
        int32_t stage = stage_in((rl_str_t){rest.data + 1, rest.length - 1 - closed});
        return stage < 0 ? -1 : stage | modes[i].mode;
    }
    return -1;
}

int reml_capability_satisfies(uint32_t actual, uint32_t requirement) {
    uint32_t stage = requirement & ~(uint32_t)REML_CAPABILITY_EXACT;
    if (actual > 2 || stage > 2) return 0;
    return requirement & REML_CAPABILITY_EXACT ? actual == stage : actual >= stage;
}

/* --- life ---------------------------------------------------------------------------------------------------------------- */

/* Registries are process-wide for a fork: nobody may be writing to one while a child is made. */
static struct {
    pthread_mutex_t lock;
    reml_capability_registry_t* first;
} living = {.lock = PTHREAD_MUTEX_INITIALIZER};
static pthread_once_t fork_watch = PTHREAD_ONCE_INIT;

static void before_fork(void) {
    pthread_mutex_lock(&living.lock);
    for (reml_capability_registry_t* r = living.first; r; r = r->next_living) pthread_rwlock_wrlock(&r->lock);
}
static void after_fork_in_parent(void) {
    for (reml_capability_registry_t* r = living.first; r; r = r->next_living) pthread_rwlock_unlock(&r->lock);
    pthread_mutex_unlock(&living.lock);
}
static void after_fork_in_child(void) { /* whoever held a lock is not here */
    for (reml_capability_registry_t* r = living.first; r; r = r->next_living) pthread_rwlock_init(&r->lock, NULL);
    pthread_mutex_init(&living.lock, NULL);
}
static void watch_forks(void) { (void)pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child); }

static uint64_t hash_of(rl_str_t id) { return rl_hash_bytes(id.data, id.length, 0x7265676973747279u); }

static entry_t* find(const reml_capability_registry_t* registry, rl_str_t id) {
    uint32_t at = 0;
    if (!rl_map_get(&registry->by_hash, hash_of(id), &at)) return NULL;
    while (at) {
        entry_t* entry = registry->ordered.data[at - 1];
        if (rl_str_equal(entry->body->id, id)) return entry;
        at = entry->next_of_hash;
    }
    return NULL;
}

/* Takes the body over, also when it answers false (memory). */
static bool add(reml_capability_registry_t* registry, rl_capability_body_t* body, uint32_t stage, int64_t verified_ns) {
    rl_allocator_t* allocator = &registry->allocator;
    entry_t* entry = rl_alloc_zero(allocator, sizeof *entry);
    bool done = entry && rl_vec_push(allocator, &registry->ordered, entry);
    if (done) {
        uint32_t first = 0;
        uint64_t hash = hash_of(body->id);
        (void)rl_map_get(&registry->by_hash, hash, &first);
        *entry = (entry_t){.body = body, .stage = stage, .enabled = true, .next_of_hash = first};
        atomic_store(&entry->verified_ns, verified_ns);
        done = rl_map_put(allocator, &registry->by_hash, hash, registry->ordered.count);
        if (!done) registry->ordered.count--;
    }
    rl_alloc_clear_failure(allocator);
    if (done) return true;
    rl_free(allocator, entry, sizeof *entry);
    rl_capability_body_release(body);
    return false;
}

static void destroy(reml_capability_registry_t* registry) {
    rl_allocator_t* allocator = &registry->allocator;
    for (uint32_t i = 0; i < registry->ordered.count; i++) {
        rl_capability_body_release(registry->ordered.data[i]->body);
        rl_free(allocator, registry->ordered.data[i], sizeof(entry_t));
    }
    rl_vec_deinit(allocator, &registry->ordered);
    rl_map_deinit(allocator, &registry->by_hash);
    pthread_rwlock_destroy(&registry->lock);
    rl_allocator_t last = registry->allocator;
    rl_free(&last, registry, sizeof *registry);
}

static reml_capability_registry_t* make(uint32_t flags, rl_resize_fn resize, void* user) {
    rl_allocator_t allocator;
    rl_allocator_init(&allocator, resize, user);
    reml_capability_registry_t* registry = rl_alloc_zero(&allocator, sizeof *registry);
    if (!registry) return NULL;
    registry->allocator = allocator;
    registry->flags = flags;
    registry->resize = resize;
    registry->resize_user = user;
    atomic_store(&registry->owners, 1);
    pthread_rwlock_init(&registry->lock, NULL);
    bool done = true;
    for (size_t i = 0; done && i < RL_COUNT_OF(built_in) && !(flags & REML_CAPABILITY_REGISTRY_EMPTY); i++) {
        rl_capability_body_t* body = rl_capability_body_of_row(resize, user, &built_in[i]);
        done = body && add(registry, body, built_in[i].stage, RL_NEVER);
    }
    if (!done) {
        destroy(registry);
        return NULL;
    }
    pthread_once(&fork_watch, watch_forks);
    pthread_mutex_lock(&living.lock);
    registry->next_living = living.first;
    if (living.first) living.first->previous_living = registry;
    living.first = registry;
    pthread_mutex_unlock(&living.lock);
    return registry;
}

reml_embed_status_t reml_capability_registry_create(
    const reml_capability_registry_options_t* given, reml_capability_registry_t** out) {
    reml_capability_registry_options_t options = REML_CAPABILITY_REGISTRY_OPTIONS_INIT;
    if (!out) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = NULL;
    const uint32_t known = REML_CAPABILITY_REGISTRY_EMPTY | REML_CAPABILITY_REGISTRY_LEGACY_STABLE;
    if (given && (!rl_copy_versioned(&options, sizeof options, given, given->struct_size) || (options.flags & ~known)))
        return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out = make(options.flags, options.resize, options.resize_user);
    return *out ? REML_EMBED_STATUS_OK : REML_EMBED_STATUS_NO_MEMORY;
}

void reml_capability_registry_dispose(reml_capability_registry_t* registry) {
    if (!registry || atomic_fetch_sub(&registry->owners, 1) != 1) return;
    pthread_mutex_lock(&living.lock);
    if (registry->previous_living) registry->previous_living->next_living = registry->next_living;
    else living.first = registry->next_living;
    if (registry->next_living) registry->next_living->previous_living = registry->previous_living;
    pthread_mutex_unlock(&living.lock);
    destroy(registry);
}

void rl_capability_registry_retain(reml_capability_registry_t* registry) {
    if (registry) atomic_fetch_add(&registry->owners, 1);
}

reml_capability_registry_t* rl_capability_registry(reml_capability_registry_t* registry) {
    static _Atomic(reml_capability_registry_t*) of_process; /* made at its first use, never disposed of */
    if (registry) return registry;
    registry = atomic_load_explicit(&of_process, memory_order_acquire);
    if (RL_LIKELY(registry != NULL)) return registry;
    reml_capability_registry_t* fresh = make(0, NULL, NULL);
    if (!fresh) return NULL;
    if (atomic_compare_exchange_strong(&of_process, &registry, fresh)) return fresh;
    reml_capability_registry_dispose(fresh);
    return registry;
}

/* The registry of a call, locked; NULL: memory. */
static reml_capability_registry_t* locked(reml_capability_registry_t* given, bool to_write) {
    reml_capability_registry_t* registry = rl_capability_registry(given);
    if (!registry) return NULL;
    if (to_write) pthread_rwlock_wrlock(&registry->lock);
    else pthread_rwlock_rdlock(&registry->lock);
    return registry;
}
static void unlock(reml_capability_registry_t* registry) { pthread_rwlock_unlock(&registry->lock); }

/* --- refusals ------------------------------------------------------------------------------------------------------------ */

static reml_embed_status_t refuse(uint32_t kind, const char* id, reml_capability_error_t* out) {
    rl_refusal_t refusal;
    rl_refusal_begin(&refusal, kind, id, out);
    return rl_refusal_end(&refusal);
}

static void write_entry(rl_json_t* json, const entry_t* entry) {
    rl_capability_write_descriptor(json, entry->body, entry->stage, atomic_load(&entry->verified_ns));
}

static reml_embed_status_t refuse_stage_text(const char* id, const char* text, reml_capability_error_t* out) {
    rl_refusal_t refusal;
    rl_refusal_begin(&refusal, REML_CAPABILITY_ERROR_INVALID_STAGE, id, out);
    rl_json_member(&refusal.json, "stage", rl_str(text));
    return rl_refusal_end(&refusal);
}

static reml_embed_status_t refuse_security(const entry_t* entry, const char* reason, reml_capability_error_t* out) {
    rl_refusal_t refusal;
    rl_refusal_begin(&refusal, REML_CAPABILITY_ERROR_SECURITY_VIOLATION, entry->body->id.data, out);
    rl_json_key(&refusal.json, "descriptor");
    write_entry(&refusal.json, entry);
    rl_json_member(&refusal.json, "reason", rl_str(reason));
    return rl_refusal_end(&refusal);
}

static reml_embed_status_t refuse_stage(
    const entry_t* entry, const char* id, uint32_t actual, uint32_t requirement, reml_capability_error_t* out) {
    rl_refusal_t refusal;
    rl_refusal_begin(&refusal, REML_CAPABILITY_ERROR_STAGE_VIOLATION, id, out);
    rl_json_member(&refusal.json, "actual", rl_str(reml_capability_stage_label(actual)));
    rl_json_key(&refusal.json, "descriptor");
    if (entry) write_entry(&refusal.json, entry);
    else rl_json_null(&refusal.json);
    rl_json_member(&refusal.json, "required", rl_str(reml_capability_requirement_text(requirement)));
    return rl_refusal_end(&refusal);
}

/* --- registering and reading ------------------------------------------------------------------------------------------------ */

/* Valid out-parameters and an id; *out_error is emptied. */
static bool usable(const char* id, reml_capability_error_t* out_error) {
    if (!rl_capability_error_usable(out_error)) return false;
    rl_capability_error_clear(out_error);
    return id && *id && rl_utf8_validate(rl_str(id)) == strlen(id);
}

reml_embed_status_t reml_capability_register(
    reml_capability_registry_t* given, const reml_capability_spec_t* spec, reml_capability_error_t* out_error) {
    reml_capability_spec_t copy = REML_CAPABILITY_SPEC_INIT;
    bool fine = usable("-", out_error) && spec && rl_copy_versioned(&copy, sizeof copy, spec, spec->struct_size) &&
                copy.flags == 0 && copy.kind && copy.descriptor;
    if (!fine) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    reml_capability_registry_t* registry = rl_capability_registry(given);
    if (!registry) return REML_EMBED_STATUS_NO_MEMORY;
    rl_capability_body_t* body;
    uint32_t stage;
    int64_t verified_ns;
    reml_embed_status_t status =
        rl_capability_body_read(registry->resize, registry->resize_user, &copy, &body, &stage, &verified_ns, out_error);
    if (status != REML_EMBED_STATUS_OK) return status;
    entry_t made = {.body = body, .stage = stage, .verified_ns = verified_ns};
    if (body->kind == REML_CAPABILITY_FFI && !body->ffi_ready) {
        status = refuse_security(&made,
            "a foreign interface needs the effects audit, ffi and security, audit_required, a sandbox profile, the "
            "permission runtime verify_abi and a policy",
            out_error);
        rl_capability_body_release(body);
        return status;
    }
    (void)locked(registry, true);
    if (find(registry, body->id)) {
        status = refuse(REML_CAPABILITY_ERROR_ALREADY_REGISTERED, body->id.data, out_error);
        rl_capability_body_release(body);
    } else if (add(registry, body, stage, verified_ns)) {
        changed();
    } else {
        status = REML_EMBED_STATUS_NO_MEMORY;
    }
    unlock(registry);
    return status;
}

static reml_capability_handle_t* handle_of(const entry_t* entry) {
    rl_allocator_t allocator;
    rl_buf_t text;
    rl_allocator_init(&allocator, NULL, NULL);
    rl_buf_init(&text, &allocator);
    rl_json_t json = rl_json_begin(&text);
    write_entry(&json, entry);
    reml_capability_handle_t* handle = malloc(sizeof *handle);
    size_t length;
    if (handle) {
        *handle = (reml_capability_handle_t){.stage = entry->stage};
        if (rl_copy_out(&text, &handle->descriptor, &length) == REML_EMBED_STATUS_OK) {
            rl_capability_body_retain(entry->body);
            handle->body = entry->body;
        } else {
            free(handle);
            handle = NULL;
        }
    }
    rl_buf_deinit(&text);
    return handle;
}

reml_embed_status_t reml_capability_get(reml_capability_registry_t* given, const char* id,
    reml_capability_handle_t** out_handle, reml_capability_error_t* out_error) {
    if (out_handle) *out_handle = NULL;
    if (!usable(id, out_error) || !out_handle) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    reml_capability_registry_t* registry = locked(given, false);
    if (!registry) return REML_EMBED_STATUS_NO_MEMORY;
    const entry_t* entry = find(registry, rl_str(id));
    if (entry) *out_handle = handle_of(entry);
    unlock(registry);
    if (!entry) return refuse(REML_CAPABILITY_ERROR_NOT_REGISTERED, id, out_error);
    return *out_handle ? REML_EMBED_STATUS_OK : REML_EMBED_STATUS_NO_MEMORY;
}

reml_embed_status_t reml_capability_describe(
    reml_capability_registry_t* registry, const char* id, char** out_json, reml_capability_error_t* out_error) {
    if (out_json) *out_json = NULL;
    if (!out_json) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    reml_capability_handle_t* handle = NULL;
    reml_embed_status_t status = reml_capability_get(registry, id, &handle, out_error);
    if (status != REML_EMBED_STATUS_OK) return status;
    *out_json = handle->descriptor;
    handle->descriptor = NULL;
    reml_capability_handle_release(handle);
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_capability_describe_all(reml_capability_registry_t* given, char** out_json) {
    if (!out_json) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out_json = NULL;
    reml_capability_registry_t* registry = locked(given, false);
    if (!registry) return REML_EMBED_STATUS_NO_MEMORY;
    rl_allocator_t allocator;
    rl_buf_t text;
    size_t length;
    rl_allocator_init(&allocator, NULL, NULL);
    rl_buf_init(&text, &allocator);
    rl_json_t json = rl_json_begin(&text);
    rl_json_array_begin(&json);
    for (uint32_t i = 0; i < registry->ordered.count; i++) write_entry(&json, registry->ordered.data[i]);
    rl_json_array_end(&json);
    unlock(registry);
    reml_embed_status_t status = rl_copy_out(&text, out_json, &length);
    rl_buf_deinit(&text);
    return status;
}

size_t reml_capability_count(reml_capability_registry_t* given) {
    reml_capability_registry_t* registry = locked(given, false);
    if (!registry) return 0;
    size_t count = registry->ordered.count;
    unlock(registry);
    return count;
}

int32_t reml_capability_stage_of(reml_capability_registry_t* given, const char* tag) {
    int32_t highest = -1;
    reml_capability_registry_t* registry = tag ? locked(given, false) : NULL;
    if (!registry) return -1;
    for (uint32_t i = 0; i < registry->ordered.count; i++) {
        const entry_t* entry = registry->ordered.data[i];
        if (entry->enabled && (int32_t)entry->stage > highest && rl_capability_covers(entry->body, rl_str(tag)))
            highest = (int32_t)entry->stage;
    }
    unlock(registry);
    return highest;
}

rl_capability_state_t rl_capability_look(reml_capability_registry_t* given, rl_str_t id) {
    rl_capability_state_t state = {0};
    reml_capability_registry_t* registry = locked(given, false);
    if (!registry) return state;
    const entry_t* entry = find(registry, id);
    if (entry) {
        state = (rl_capability_state_t){
            .registered = true, .enabled = entry->enabled, .opted_in = entry->opted_in, .stage = entry->stage};
    }
    unlock(registry);
    return state;
}

int reml_capability_enabled(reml_capability_registry_t* registry, const char* id) {
    rl_capability_state_t state = rl_capability_look(registry, rl_str(id));
    return state.registered ? state.enabled : -1;
}

/* --- checking ------------------------------------------------------------------------------------------------------------- */

reml_embed_status_t reml_capability_verify_capability(
    reml_capability_registry_t* registry, const char* id, reml_capability_error_t* out_error) {
    if (!usable(id, out_error)) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    if (rl_capability_look(registry, rl_str(id)).registered) return REML_EMBED_STATUS_OK;
    return refuse(REML_CAPABILITY_ERROR_NOT_REGISTERED, id, out_error);
}

/* The id counts as stable although nobody registered it: a handle of no kind. */
static reml_capability_handle_t* legacy_handle(const char* id) {
    rl_allocator_t allocator;
    rl_buf_t text;
    size_t length;
    rl_allocator_init(&allocator, NULL, NULL);
    rl_buf_init(&text, &allocator);
    rl_json_t json = rl_json_begin(&text);
    rl_capability_body_t body = {.id = rl_str(id),
        .security = RL_STR("{\"audit_required\":false,\"isolation_level\":\"none\",\"permissions\":[],\"policy\":null,"
                           "\"sandbox_profile\":null,\"signature\":null}")};
    rl_capability_write_descriptor(&json, &body, REML_EMBED_STAGE_STABLE, RL_NEVER);
    reml_capability_handle_t* handle = malloc(sizeof *handle);
    if (handle) {
        *handle = (reml_capability_handle_t){.stage = REML_EMBED_STAGE_STABLE};
        if (rl_copy_out(&text, &handle->descriptor, &length) != REML_EMBED_STATUS_OK) {
            free(handle);
            handle = NULL;
        }
    }
    rl_buf_deinit(&text);
    return handle;
}

static reml_embed_status_t refuse_effects(
    const entry_t* entry, const rl_str_t* effects, uint32_t count, reml_capability_error_t* out) {
    rl_refusal_t refusal;
    rl_refusal_begin(&refusal, REML_CAPABILITY_ERROR_EFFECT_SCOPE_MISMATCH, entry->body->id.data, out);
    rl_json_t* json = &refusal.json;
    rl_json_key(json, "actual");
    rl_json_array_begin(json);
    for (uint32_t i = 0; i < entry->body->effect_count; i++) rl_json_string(json, entry->body->effects[i]);
    rl_json_array_end(json);
    rl_json_key(json, "descriptor");
    write_entry(json, entry);
    rl_json_key(json, "missing_effects");
    rl_json_array_begin(json);
    for (uint32_t i = 0; i < count; i++) {
        if (!rl_capability_covers(entry->body, effects[i])) rl_json_string(json, effects[i]);
    }
    rl_json_array_end(json);
    rl_json_key(json, "required");
    rl_json_array_begin(json);
    for (uint32_t i = 0; i < count; i++) rl_json_string(json, effects[i]);
    rl_json_array_end(json);
    return rl_refusal_end(&refusal);
}

reml_embed_status_t rl_capability_check(reml_capability_registry_t* given, const reml_capability_request_t* request,
    reml_capability_handle_t** out_handle, reml_capability_error_t* out_error) {
    int32_t requirement = request->requirement ? reml_capability_requirement_parse(request->requirement) : 0;
    if (requirement < 0) return refuse_stage_text(request->id, request->requirement, out_error);
    rl_allocator_t allocator;
    rl_arena_t arena;
    rl_allocator_init(&allocator, NULL, NULL);
    rl_arena_init(&arena, &allocator);
    rl_str_t* effects;
    uint32_t count;
    reml_capability_registry_t* registry = NULL;
    if (rl_list_sorted(&arena, rl_str(request->effects), &effects, &count)) registry = locked(given, false);
    if (!registry) {
        rl_arena_deinit(&arena);
        return REML_EMBED_STATUS_NO_MEMORY;
    }
    reml_embed_status_t status = REML_EMBED_STATUS_OK;
    entry_t* entry = find(registry, rl_str(request->id));
    bool legacy = !entry && ((registry->flags & REML_CAPABILITY_REGISTRY_LEGACY_STABLE) ||
                                (request->flags & REML_CAPABILITY_REQUEST_LEGACY_STABLE));
    uint32_t stage = entry ? entry->stage : REML_EMBED_STAGE_STABLE;
    bool covered = true;
    for (uint32_t i = 0; entry && i < count; i++) covered = covered && rl_capability_covers(entry->body, effects[i]);
    if (!entry && !legacy) {
        status = refuse(REML_CAPABILITY_ERROR_NOT_REGISTERED, request->id, out_error);
    } else if (entry && !entry->enabled) {
        status = refuse_security(entry, "is disabled", out_error);
    } else if (!reml_capability_satisfies(stage, (uint32_t)requirement)) {
        status = refuse_stage(entry, request->id, stage, (uint32_t)requirement, out_error);
    } else if (!covered) {
        status = refuse_effects(entry, effects, count, out_error);
    } else {
        int64_t before = entry ? atomic_exchange(&entry->verified_ns, rl_os_wall_ns()) : RL_NEVER;
        if (out_handle) *out_handle = entry ? handle_of(entry) : legacy_handle(request->id);
        if (out_handle && !*out_handle) {
            status = REML_EMBED_STATUS_NO_MEMORY;
            if (entry) atomic_store(&entry->verified_ns, before);
        }
    }
    unlock(registry);
    rl_arena_deinit(&arena);
    return status;
}

reml_embed_status_t reml_capability_verify_dependencies(
    reml_capability_registry_t* given, const char* id, const char* needed, reml_capability_error_t* out_error) {
    if (!usable(id, out_error) || !needed) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_allocator_t allocator;
    rl_arena_t arena;
    rl_str_t* ids;
    uint32_t count, missing = 0;
    rl_allocator_init(&allocator, NULL, NULL);
    rl_arena_init(&arena, &allocator);
    reml_capability_registry_t* registry = NULL;
    if (rl_list_sorted(&arena, rl_str(needed), &ids, &count)) registry = locked(given, false);
    if (!registry) {
        rl_arena_deinit(&arena);
        return REML_EMBED_STATUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        const entry_t* entry = find(registry, ids[i]);
        if (!entry || !entry->enabled) ids[missing++] = ids[i];
    }
    unlock(registry);
    reml_embed_status_t status = REML_EMBED_STATUS_OK;
    if (missing) {
        rl_refusal_t refusal;
        rl_refusal_begin(&refusal, REML_CAPABILITY_ERROR_MISSING_DEPENDENCY, id, out_error);
        rl_json_key(&refusal.json, "missing");
        rl_json_array_begin(&refusal.json);
        for (uint32_t i = 0; i < missing; i++) rl_json_string(&refusal.json, ids[i]);
        rl_json_array_end(&refusal.json);
        status = rl_refusal_end(&refusal);
    }
    rl_arena_deinit(&arena);
    return status;
}

/* --- administration --------------------------------------------------------------------------------------------------------- */

reml_embed_status_t reml_capability_enable(
    reml_capability_registry_t* given, const char* id, const char* stage_text, reml_capability_error_t* out_error) {
    if (!usable(id, out_error)) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    int32_t stage = stage_text ? reml_capability_stage_parse(stage_text) : 0;
    if (stage < 0) return refuse_stage_text(id, stage_text, out_error);
    reml_capability_registry_t* registry = locked(given, true);
    if (!registry) return REML_EMBED_STATUS_NO_MEMORY;
    reml_embed_status_t status = REML_EMBED_STATUS_OK;
    entry_t* entry = find(registry, rl_str(id));
    if (!entry) {
        status = refuse(REML_CAPABILITY_ERROR_NOT_REGISTERED, id, out_error);
    } else if (stage_text && (uint32_t)stage > entry->stage) {
        status = refuse_stage(entry, id, entry->stage, (uint32_t)stage, out_error);
    } else {
        entry->enabled = entry->opted_in = true;
        if (stage_text) entry->stage = (uint32_t)stage;
        changed();
    }
    unlock(registry);
    return status;
}

reml_embed_status_t reml_capability_disable(
    reml_capability_registry_t* given, const char* id, reml_capability_error_t* out_error) {
    if (!usable(id, out_error)) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    reml_capability_registry_t* registry = locked(given, true);
    if (!registry) return REML_EMBED_STATUS_NO_MEMORY;
    entry_t* entry = find(registry, rl_str(id));
    if (entry) {
        entry->enabled = entry->opted_in = false;
        changed();
    }
    unlock(registry);
    return entry ? REML_EMBED_STATUS_OK : refuse(REML_CAPABILITY_ERROR_NOT_REGISTERED, id, out_error);
}

reml_embed_status_t reml_capability_set_stage(
    reml_capability_registry_t* given, const char* id, const char* stage_text, reml_capability_error_t* out_error) {
    if (!usable(id, out_error) || !stage_text) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    int32_t stage = reml_capability_stage_parse(stage_text);
    if (stage < 0) return refuse_stage_text(id, stage_text, out_error);
    reml_capability_registry_t* registry = locked(given, true);
    if (!registry) return REML_EMBED_STATUS_NO_MEMORY;
    entry_t* entry = find(registry, rl_str(id));
    if (entry) {
        entry->stage = (uint32_t)stage;
        changed();
    }
    unlock(registry);
    return entry ? REML_EMBED_STATUS_OK : refuse(REML_CAPABILITY_ERROR_NOT_REGISTERED, id, out_error);
}

/* Take the entries out that `goes` points at; nothing here can fail: the map only loses keys. */
static size_t remove_where(
    reml_capability_registry_t* registry, bool (*goes)(const entry_t*, rl_str_t), rl_str_t what) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < registry->ordered.count; i++) {
        entry_t* entry = registry->ordered.data[i];
        if (goes(entry, what)) {
            rl_capability_body_release(entry->body);
            rl_free(&registry->allocator, entry, sizeof *entry);
        } else {
            registry->ordered.data[kept++] = entry;
        }
    }
    size_t removed = registry->ordered.count - kept;
    registry->ordered.count = kept;
    if (!removed) return 0;
    for (uint32_t i = 0; i < kept; i++) registry->ordered.data[i]->next_of_hash = 0;
    rl_map_clear(&registry->by_hash);
    for (uint32_t i = 0; i < kept; i++) {
        uint32_t first = 0;
        uint64_t hash = hash_of(registry->ordered.data[i]->body->id);
        (void)rl_map_get(&registry->by_hash, hash, &first);
        registry->ordered.data[i]->next_of_hash = first;
        (void)rl_map_put(&registry->allocator, &registry->by_hash, hash, i + 1); /* it had room for more */
    }
    changed();
    return removed;
}

static bool is_id(const entry_t* entry, rl_str_t id) { return rl_str_equal(entry->body->id, id); }
static bool is_of_package(const entry_t* entry, rl_str_t package) {
    return entry->body->provider == RL_PROVIDER_PLUGIN && rl_str_equal(entry->body->provider_name, package);
}

reml_embed_status_t reml_capability_unregister(
    reml_capability_registry_t* given, const char* id, reml_capability_error_t* out_error) {
    if (!usable(id, out_error)) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    reml_capability_registry_t* registry = locked(given, true);
    if (!registry) return REML_EMBED_STATUS_NO_MEMORY;
    reml_embed_status_t status = REML_EMBED_STATUS_OK;
    const entry_t* entry = find(registry, rl_str(id));
    if (!entry) status = refuse(REML_CAPABILITY_ERROR_NOT_REGISTERED, id, out_error);
    else if (entry->body->provider == RL_PROVIDER_CORE)
        status = refuse_security(entry, "is part of the core", out_error);
    else (void)remove_where(registry, is_id, rl_str(id));
    unlock(registry);
    return status;
}

reml_embed_status_t reml_capability_revoke_plugin(
    reml_capability_registry_t* given, const char* package, size_t* out_count, reml_capability_error_t* out_error) {
    if (out_count) *out_count = 0;
    if (!usable(package, out_error)) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    reml_capability_registry_t* registry = locked(given, true);
    if (!registry) return REML_EMBED_STATUS_NO_MEMORY;
    size_t removed = remove_where(registry, is_of_package, rl_str(package));
    unlock(registry);
    if (out_count) *out_count = removed;
    return removed ? REML_EMBED_STATUS_OK : refuse(REML_CAPABILITY_ERROR_NOT_REGISTERED, package, out_error);
}
