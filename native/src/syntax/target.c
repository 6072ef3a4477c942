/* Keys of @cfg and their values. */
#include "syntax/target.h"

#include "base/edit.h"
#include "base/os.h"

#ifndef REML_EMBED_VERSION
#define REML_EMBED_VERSION "0.1.0"
#endif

rl_target_config_t rl_target_of_host(void) {
    const rl_target_t* machine = rl_os_target();
    rl_str_t triple = rl_str(machine->triple), parts[4] = {{NULL, 0}};
    unsigned count = 0;
    for (size_t start = 0, at = 0; at <= triple.length && count < 4; at++) { /* arch-vendor-os-env */
        if (at < triple.length && (triple.data[at] != '-' || count == 3)) continue;
        parts[count++] = (rl_str_t){triple.data + start, at - start};
        start = at + 1;
    }
    return (rl_target_config_t){
        .os = rl_str(machine->os),
        .family = machine->os && strcmp(machine->os, "windows") == 0 ? RL_STR("windows") : RL_STR("unix"),
        .arch = rl_str(machine->arch),
        .abi = rl_str(machine->abi),
        .env = parts[3],
        .vendor = parts[1],
        .runtime_revision = RL_STR(REML_EMBED_VERSION),
        .stdlib_version = RL_STR(REML_EMBED_VERSION),
        .runners = RL_STR("embed,cli"),
    };
}

/* --- lists ------------------------------------------------------------------------------------------------------------ */

static rl_str_t trimmed(rl_str_t text) {
    while (text.length && text.data[0] == ' ') text = (rl_str_t){text.data + 1, text.length - 1};
    while (text.length && text.data[text.length - 1] == ' ') text.length--;
    return text;
}

/* The next entry behind *at, which moves past it; false at the end. */
static bool next_entry(rl_str_t list, size_t* at, rl_str_t* out) {
    if (*at >= list.length) return false;
    size_t end = *at;
    while (end < list.length && list.data[end] != ',') end++;
    *out = trimmed((rl_str_t){list.data + *at, end - *at});
    *at = end + 1;
    return true;
}

bool rl_target_list_has(rl_str_t list, rl_str_t name) {
    rl_str_t entry;
    for (size_t at = 0; next_entry(list, &at, &entry);) {
        if (rl_str_equal(entry, name)) return true;
    }
    return false;
}

static bool extra_equals(rl_str_t list, rl_str_t name, rl_str_t value) {
    rl_str_t entry;
    for (size_t at = 0; next_entry(list, &at, &entry);) {
        const char* mark = entry.length ? memchr(entry.data, '=', entry.length) : NULL;
        if (!mark) continue;
        size_t length = (size_t)(mark - entry.data);
        rl_str_t given = trimmed((rl_str_t){entry.data, length});
        if (rl_str_equal(given, name))
            return rl_str_equal(trimmed((rl_str_t){mark + 1, entry.length - length - 1}), value);
    }
    return false;
}

/* --- keys ------------------------------------------------------------------------------------------------------------- */

/* CONTRACTS 5.1 */
static const char* const target_capabilities =
    "unicode.nfc,unicode.grapheme,fs.case_sensitive,fs.case_insensitive,fs.case_preserving,fs.path_utf8,thread.local,"
    "process.job_control,clock.monotonic,clock.highres,ffi.callconv.c,ffi.callconv.sysv,ffi.callconv.win64,"
    "ffi.callconv.wasm,wasi.preview2";

static const char* const keys[] = {"target_os", "target_family", "target_arch", "target_abi", "target_env",
    "target_vendor", "profile_id", "target_profile", "runtime_revision", "stdlib_version", "feature", "capability",
    "has_target_profile", "target"};

static void unknown_key(rl_str_t key, rl_span_t span, rl_diags_t* diags) {
    rl_diag_t* diag =
        rl_report(diags, RL_CODE_TARGET_CONFIG_UNKNOWN_KEY, span, "unknown configuration key: %.*s", RL_STR_ARG(key));
    rl_note_plain(diags, diag,
        "known keys: target_os, target_family, target_arch, target_abi, target_env, target_vendor, profile_id, "
        "target_profile, runtime_revision, stdlib_version, feature, capability, extra.<name>, has_target_profile, "
        "target");
    const char* best = NULL;
    unsigned distance = 3;
    for (size_t i = 0; i < RL_COUNT_OF(keys); i++) {
        unsigned here = rl_edit_distance(key, rl_str(keys[i]));
        if (here >= distance || here >= key.length) continue;
        distance = here;
        best = keys[i];
    }
    /* `os = "linux"` for target_os */
    for (size_t i = 0; i < 6 && !best; i++) {
        if (rl_str_equal(key, rl_str(keys[i] + strlen("target_")))) best = keys[i];
    }
    if (best) rl_fix(diags, diag, RL_FIX_REPLACE, span, "%s", best);
}

static bool test_key(void* user, const rl_cfg_test_t* test, rl_diags_t* diags) {
    const rl_target_config_t* target = user;
    rl_str_t key = test->key, value = test->value;
    const struct {
        const char* key;
        rl_str_t value;
    } texts[] = {{"target_os", target->os}, {"target_family", target->family}, {"target_arch", target->arch},
        {"target_abi", target->abi}, {"target_env", target->env}, {"target_vendor", target->vendor},
        {"runtime_revision", target->runtime_revision}, {"stdlib_version", target->stdlib_version}};
    for (size_t i = 0; i < RL_COUNT_OF(texts); i++) {
        if (rl_str_equal(key, rl_str(texts[i].key)))
            return texts[i].value.data != NULL && rl_str_equal(texts[i].value, value);
    }
    if (rl_str_equal(key, RL_STR("profile_id")) || rl_str_equal(key, RL_STR("target_profile"))) {
        if (!target->profile_id.data) {
            rl_report(diags, RL_CODE_TARGET_PROFILE_MISSING, test->key_span, "no target profile is set");
            return false;
        }
        return rl_str_equal(target->profile_id, value);
    }
    if (rl_str_equal(key, RL_STR("has_target_profile")))
        return rl_str_equal(value, target->profile_id.data ? RL_STR("true") : RL_STR("false"));
    if (rl_str_equal(key, RL_STR("feature"))) return rl_target_list_has(target->features, value);
    if (rl_str_equal(key, RL_STR("capability"))) {
        if (rl_target_list_has(target->capabilities, value)) return true;
        if (!rl_target_list_has(rl_str(target_capabilities), value) &&
            !rl_target_list_has(target->known_capabilities, value)) {
            rl_report(diags, RL_CODE_TARGET_CAPABILITY_UNKNOWN, test->value_span,
                "no capability named %.*s is registered", RL_STR_ARG(value));
        }
        return false;
    }
    if (rl_str_equal(key, RL_STR("target"))) {
        if (rl_target_list_has(target->runners, value)) return true;
        if (!rl_target_list_has(RL_STR("cli,embed,test,lsp"), value) &&
            !rl_target_list_has(target->known_runners, value)) {
            rl_diag_t* diag = rl_report(diags, RL_CODE_LANGUAGE_CFG_UNSATISFIED_BRANCH, test->value_span,
                "no kind of runner is named %.*s", RL_STR_ARG(value));
            rl_note_plain(diags, diag, "known: cli, embed, test, lsp%s%.*s", target->known_runners.length ? ", " : "",
                RL_STR_ARG(target->known_runners));
        }
        return false;
    }
    static const char extra[] = "extra.";
    if (key.length > strlen(extra) && memcmp(key.data, extra, strlen(extra)) == 0)
        return extra_equals(target->extra, (rl_str_t){key.data + strlen(extra), key.length - strlen(extra)}, value);
    unknown_key(key, test->key_span, diags);
    return false;
}

rl_cfg_t rl_target_cfg(const rl_target_config_t* target) { return (rl_cfg_t){(void*)(uintptr_t)target, test_key}; }
