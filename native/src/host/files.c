/*
 * Files of scripts, seen from the host: which capability an operation needs (CONTRACTS 6.2), and the record that it leaves (6.4). What was
 * verified is asked again as soon as any registry or any context's grants have changed.
 */
#include "host/capability.h"
#include "host/context.h"
#include "vm/file.h"

#include <stdio.h>

static const struct {
    const char *capability, *requirement, *effects;
} needs[RL_NEED_COUNT] = {
    [RL_NEED_READ] = {"io.fs.read", "at_least:beta", "fs.read,io"},
    [RL_NEED_WRITE] = {"io.fs.write", "at_least:beta", "fs.write,io"},
    [RL_NEED_WATCH] = {"fs.watcher.native", "at_least:beta", "io,watcher"},
    [RL_NEED_WATCH_DEEP] = {"fs.watcher.recursive", "exact:stable", "io,watcher"},
    [RL_NEED_WATCH_LIMITS] = {"watcher.resource_limits", "at_least:beta", "io,watcher"},
    [RL_NEED_POLICY] = {"security.fs.policy", "exact:stable", "security"},
    [RL_NEED_LINKS] = {"fs.symlink.query", "at_least:beta", "fs.symlink,io"},
};
_Static_assert((int)RL_NEED_COUNT == (int)RL_FILE_GUARDS, "one guard for each need");

static const char* capability_name(unsigned need) { return needs[need].capability; }

static bool may_record(void* host, bool* out_raised) {
    rl_context_t* context = host;
    if (RL_LIKELY(rl_audit_ready(&context->audit) == RL_AUDIT_OK)) return true;
    *out_raised = true;
    (void)rl_vm_raise(&context->vm, RL_CODE_AUDIT_UNAVAILABLE, "%s", rl_audit_problem(&context->audit));
    return false;
}

static bool may_use(void* host, unsigned need, rl_str_t operation, char why[256], bool* out_raised) {
    rl_context_t* context = host;
    if (!may_record(host, out_raised)) return false;
    rl_guard_t* guard = &context->file_guards[need];
    if (RL_UNLIKELY(!guard->capability)) {
        guard->capability = (char*)(uintptr_t)needs[need].capability;
        guard->effects = (char*)(uintptr_t)needs[need].effects;
        guard->requirement = (uint32_t)reml_capability_requirement_parse(needs[need].requirement);
    }
    rl_outcome_t outcome = rl_grants_ask(context, guard, operation, why);
    *out_raised = outcome == RL_RAISE;
    return outcome == RL_DONE;
}

static bool tells_every(void* host) { return ((const rl_context_t*)host)->audit.policy == RL_AUDIT_EVERY; }

static void add_count(rl_json_t* json, const char* key, uint64_t value) {
    rl_json_key(json, key);
    rl_json_u64(json, value);
}
static void add_flag(rl_json_t* json, const char* key) {
    rl_json_key(json, key);
    rl_json_bool(json, true);
}
static void add_ready(rl_json_t* json, const char* key, rl_str_t list) {
    rl_json_key(json, key);
    rl_json_raw(json, list.length ? list : RL_STR("[]"));
}

/* Keys ascending: nothing has to be sorted then. */
static void write_metadata(const rl_context_t* context, const rl_io_event_t* event, rl_json_t* json) {
    const char* capability = needs[event->need].capability;
    bool transfers = event->kind == RL_IO_OPERATION && !event->reason && !event->root.length;
    rl_capability_state_t state = rl_capability_look(context->registry, rl_str(capability));
    char bridge[64];
    int length = snprintf(bridge, sizeof bridge, "io::%s", capability ? capability : "");
    rl_json_object_begin(json);
    rl_json_member(json, "bridge.capability", rl_str(capability));
    rl_json_member(json, "bridge.id", (rl_str_t){bridge, (size_t)length});
    rl_json_member(
        json, "bridge.stage.actual", rl_str(state.registered ? reml_capability_stage_label(state.stage) : "unknown"));
    rl_json_member(json, "bridge.stage.required", rl_str(needs[event->need].requirement));
    if (event->error) {
        rl_json_member(json, "error.code", rl_str(event->code ? event->code : rl_io_kinds[event->error].code));
        rl_json_member(json, "error.message", event->message);
        rl_json_member(json, "error.severity", RL_STR("error"));
    }
    if (event->buffered) {
        add_count(json, "io.buffer.capacity", event->buffer_capacity);
        add_count(json, "io.buffer.fill", event->buffer_fill);
    }
    if (transfers) add_count(json, "io.bytes_processed", event->bytes);
    rl_json_member(json, "io.capability", rl_str(capability));
    if (event->syncs) {
        add_flag(json, "io.effects.fs_sync");
        add_count(json, "io.effects.fs_sync_calls", event->syncs);
    }
    add_flag(json, "io.effects.io");
    add_count(json, "io.effects.io_blocking_calls", event->calls);
    if (event->root.length) {
        add_flag(json, "io.effects.security");
        add_count(json, "io.effects.security_events", 1);
    }
    if (event->has_elapsed) {
        rl_json_key(json, "io.elapsed_ns");
        rl_json_i64(json, event->elapsed_ns);
    }
    if (event->error) rl_json_member(json, "io.error.kind", rl_str(rl_io_kinds[event->error].name));
    if (event->kind == RL_IO_GLOB) {
        if (event->error || event->offending.length)
            rl_json_member(json, "io.glob.offending_path", event->offending.length ? event->offending : event->path);
        rl_json_member(json, "io.glob.pattern", event->pattern);
    }
    rl_json_member(json, "io.helper", event->helper);
    rl_json_member(json, "io.operation", event->operation);
    rl_json_member(json, "io.path", event->path);
    if (event->kind == RL_IO_WATCH) {
        add_count(json, "io.watch.delay_ns", event->delay_ns);
        add_ready(json, "io.watch.events", event->watch_events);
        add_count(json, "io.watch.events_total", event->events_total);
        add_ready(json, "io.watch.paths", event->watch_paths);
        add_count(json, "io.watch.queue_size", event->queue_size);
    }
    if (event->root.length) {
        rl_json_member(json, "security.capability", rl_str(capability));
        rl_json_member(json, "security.path", event->path);
        if (event->reason) rl_json_member(json, "security.reason", rl_str(event->reason));
        rl_json_member(json, "security.root", event->root);
    }
    rl_json_object_end(json);
}

static bool tell(void* host, const rl_io_event_t* event) {
    static const char* const kinds[] = {
        [RL_IO_OPERATION] = "core.io.operation", [RL_IO_WATCH] = "core.io.watch", [RL_IO_GLOB] = "core.path.glob"};
    rl_context_t* context = host;
    rl_buf_t metadata;
    rl_buf_init(&metadata, &context->allocator);
    rl_json_t json = rl_json_begin(&metadata);
    write_metadata(context, event, &json);
    bool fails = event->error && event->kind != RL_IO_GLOB;
    rl_host_record_t record = {
        .kind = rl_str(fails ? "core.io.error" : kinds[event->kind]),
        .category = RL_STR("core.io"),
        .capability = rl_str(needs[event->need].capability),
        .channel = RL_STR("runtime"),
        .metadata = rl_buf_str(&metadata),
    };
    char audit_id[37];
    rl_audit_result_t result =
        metadata.failed ? RL_AUDIT_NO_MEMORY : rl_audit_host_record(&context->audit, &record, audit_id);
    rl_buf_deinit(&metadata);
    if (result == RL_AUDIT_OK) return true;
    rl_alloc_clear_failure(&context->allocator);
    if (result == RL_AUDIT_NO_MEMORY) (void)rl_vm_raise_standard(&context->vm, RL_CODE_RUNTIME_LIMIT_MEMORY);
    else (void)rl_vm_raise(&context->vm, RL_CODE_AUDIT_UNAVAILABLE, "%s", rl_audit_problem(&context->audit));
    return false;
}

void rl_files_connect(rl_context_t* context) {
    context->vm.may_use = may_use;
    context->vm.may_record = may_record;
    context->vm.tell_io = tell;
    context->vm.tells_every_io = tells_every;
    context->vm.capability_name = capability_name;
}
