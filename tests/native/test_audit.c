/* The audit log in memory: what a line says, the queue, the callback, tallies. Files: test_audit_file.c. */
#include "audit_support.h"

/* --- SHA-256 ------------------------------------------------------------------------------------------------- */

static void check_sha(const char* text, size_t length, const char* expected) {
    rl_sha256_t sha;
    unsigned char digest[RL_SHA256_BYTES];
    char hex[RL_SHA256_HEX + 1] = "";
    rl_sha256_init(&sha);
    for (size_t i = 0; i < length; i += 7) rl_sha256_update(&sha, text + i, length - i < 7 ? length - i : 7);
    rl_sha256_final(&sha, digest);
    rl_sha256_hex(digest, hex);
    CHECK_STR_EQ(hex, expected);
}

TEST(test_sha256__published_vectors) {
    check_sha("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    check_sha("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    check_sha("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char* million = malloc(1000000);
    memset(million, 'a', 1000000);
    check_sha(million, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}

TEST(test_sha256__processor_and_portable_rounds_agree) {
    unsigned char data[256];
    uint32_t one[8], two[8];
    srand(7);
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < sizeof data; i++) data[i] = (unsigned char)rand();
        for (int i = 0; i < 8; i++) one[i] = two[i] = (uint32_t)rand();
        rl_sha256_blocks(one, data, 4, false);
        rl_sha256_blocks(two, data, 4, true);
        CHECK(memcmp(one, two, sizeof one) == 0);
    }
}

/* --- what a line says ---------------------------------------------------------------------------------------- */

static const rl_target_t sample_target = {"linux", "x86_64", "x86_64-unknown-linux-gnu", "linux-x86_64", "system_v"};

/* The line of a single event, its random id replaced by ID. */
static char* one_line(rl_audit_t* log) {
    char* text = drained(log);
    char* id = strstr(text, "\"audit_id\":\"");
    if (CHECK(id != NULL)) {
        id += strlen("\"audit_id\":\"");
        CHECK(id[8] == '-' && id[14] == '4' && strchr("89ab", id[19]) && id[36] == '"');
        memmove(id + 2, id + 36, strlen(id + 36) + 1);
        memcpy(id, "ID", 2);
    }
    char* end = strchr(text, '\n');
    if (CHECK(end != NULL)) *end = '\0';
    check_line(text);
    return text;
}

TEST(test_embed_call__abi_mismatch_is_the_contract_sample) {
    begin(&log_a, &fixed_env);
    rl_audit_embed_call_t call = {.function = RL_AUDIT_CREATE_CONTEXT,
        .abi_version = RL_STR("0.2.0"),
        .status_label = RL_STR("abi_mismatch"),
        .failed = true,
        .abi_mismatch = true,
        .error_code = RL_STR("native.embed.abi_mismatch"),
        .error_message = RL_STR("abi mismatch: expected 0.1.0, got 0.2.0"),
        .target = &sample_target};
    CHECK(rl_audit_embed_call(&log_a, &call));
    char* line = one_line(&log_a);
    CHECK_STR_EQ(line,
        "{\"timestamp\":\"2026-03-02T08:15:00Z\",\"category\":\"native.embed\",\"envelope\":{\"audit_id\":\"ID\","
        "\"capability\":\"native.embed\",\"metadata\":{\"audit.channel\":\"embed\",\"audit.policy.version\":"
        "\"rust.poc.audit.v1\",\"effect.capability\":\"native.embed\",\"effect.manifest_path\":null,\"effect."
        "provider\":\"core\",\"effect.stage.actual\":\"experimental\",\"effect.stage.required\":\"at_least:"
        "experimental\",\"embed.abi.version\":\"0.2.0\",\"embed.status\":\"abi_mismatch\",\"error.code\":"
        "\"native.embed.abi_mismatch\",\"error.message\":\"abi mismatch: expected 0.1.0, got "
        "0.2.0\",\"error.severity\":\"error\",\"event.kind\":\"native.embed.call\",\"native.embed.abi_mismatch\":"
        "true,\"native.embed.entrypoint\":\"reml_create_context\",\"schema.version\":\"3.0.0-alpha\",\"target."
        "arch\":\"x86_64\",\"target.os\":\"linux\",\"target.triple\":\"x86_64-unknown-linux-gnu\"}}}");
    free(line);
    rl_audit_deinit(&log_a);
}

TEST(test_embed_call__load_and_run_tell_what_was_loaded_and_run) {
    begin(&log_a, &fixed_env);
    rl_audit_embed_call_t call = {.function = RL_AUDIT_LOAD_MODULE, .status_label = RL_STR("ok"), .source_bytes = 1234};
    CHECK(rl_audit_embed_call(&log_a, &call));
    char* line = one_line(&log_a);
    CHECK(strstr(
        line, "\"embed.abi.version\":\"unknown\",\"embed.source.bytes\":1234,\"embed.status\":\"ok\",\"event.kind\""));
    CHECK(strstr(line, "\"native.embed.entrypoint\":\"reml_load_module\""));
    CHECK(!strstr(line, "error.") && !strstr(line, "embed.run.entrypoint"));
    free(line);
    CHECK(run_called(&log_a, "main"));
    line = one_line(&log_a);
    CHECK(strstr(line,
        "\"embed.abi.version\":\"0.1.0\",\"embed.run.entrypoint\":\"main\",\"embed.status\":\"ok\",\"event.kind\""));
    free(line);
    rl_audit_deinit(&log_a);
}

TEST(test_ffi_call__transferred_result_is_the_contract_sample) {
    begin(&log_a, &fixed_env);
    rl_audit_ffi_call_t call = {.symbol = RL_STR("reml_embed_result_take"),
        .ownership = RL_AUDIT_OWN_TRANSFERRED,
        .result = RL_AUDIT_RETURN_TRANSFERRED,
        .latency_ns = 1840,
        .bridge_total = 3,
        .bridge_success = 3};
    CHECK(rl_audit_ffi_call(&log_a, &call));
    char* line = one_line(&log_a);
    if (rl_str_equal(rl_str(rl_os_target()->triple), rl_str(sample_target.triple))) {
        CHECK_STR_EQ(line,
            "{\"timestamp\":\"2026-03-02T08:15:00Z\",\"category\":\"ffi.bridge\",\"envelope\":{\"audit_id\":\"ID\","
            "\"capability\":\"ffi.bridge\",\"metadata\":{\"audit.channel\":\"runtime\",\"audit.policy.version\":\"rust."
            "poc.audit.v1\",\"bridge\":{\"abi\":\"system_v\",\"arch\":\"x86_64\",\"audit_pass_rate\":1.0,\"expected_"
            "abi\":\"system_v\",\"extern_symbol\":\"reml_embed_result_take\",\"ownership\":\"transferred\","
            "\"platform\":\"linux-x86_64\",\"return\":{\"ownership\":\"transferred\",\"rc_adjustment\":\"dec_ref\","
            "\"release_handler\":\"dec_ref\",\"status\":\"wrap_and_release\",\"wrap\":\"wrap_foreign_ptr\"},\"status\":"
            "\"ok\",\"target\":\"x86_64-unknown-linux-gnu\"},\"event.kind\":\"ffi.call\",\"ffi\":{\"capability\":\"ffi."
            "bridge\",\"capability_stage\":\"beta\",\"effect_flags\":[\"ffi\",\"unsafe\"],\"event\":\"ffi.call\","
            "\"latency_ns\":1840,\"library\":\"reml_embed\",\"status\":\"success\",\"symbol\":\"reml_embed_result_"
            "take\"},\"schema.version\":\"3.0.0-alpha\"}}}");
    }
    free(line);
    rl_audit_deinit(&log_a);
}

TEST(test_ffi_call__each_row_of_the_return_table) {
    static const struct {
        rl_audit_ownership_t ownership;
        rl_audit_return_t result;
        const char* expected;
    } rows[] = {
        {RL_AUDIT_OWN_BORROWED, RL_AUDIT_RETURN_BORROWED,
            "{\"ownership\":\"borrowed\",\"rc_adjustment\":\"none\",\"release_handler\":\"none\",\"status\":\"wrap\","
            "\"wrap\":\"wrap_foreign_ptr\"}"},
        {RL_AUDIT_OWN_TRANSFERRED, RL_AUDIT_RETURN_PENDING,
            "{\"ownership\":\"transferred\",\"rc_adjustment\":\"none\",\"release_handler\":\"dec_ref\",\"status\":"
            "\"pending\",\"wrap\":\"wrap_foreign_ptr\"}"},
        {RL_AUDIT_OWN_TRANSFERRED, RL_AUDIT_RETURN_FAILURE,
            "{\"ownership\":\"transferred\",\"rc_adjustment\":\"none\",\"release_handler\":\"none\",\"status\":"
            "\"failure\",\"wrap\":\"none\"}"},
        {RL_AUDIT_OWN_BORROWED, RL_AUDIT_RETURN_NULL,
            "{\"ownership\":\"borrowed\",\"rc_adjustment\":\"none\",\"release_handler\":\"none\",\"status\":\"null\","
            "\"wrap\":\"none\"}"},
        {RL_AUDIT_OWN_NONE, RL_AUDIT_RETURN_SCALAR,
            "{\"ownership\":\"none\",\"rc_adjustment\":\"none\",\"release_handler\":\"none\",\"status\":\"none\","
            "\"wrap\":\"none\"}"},
    };
    begin(&log_a, &fixed_env);
    for (size_t i = 0; i < RL_COUNT_OF(rows); i++) {
        rl_audit_ffi_call_t call = good_call("f");
        call.ownership = rows[i].ownership;
        call.result = rows[i].result;
        CHECK(rl_audit_ffi_call(&log_a, &call));
        char* line = one_line(&log_a);
        if (!CHECK(strstr(line, rows[i].expected))) printf("  %s\n", line);
        free(line);
    }
    rl_audit_deinit(&log_a);
}

TEST(test_ffi_call__failure_has_code_and_rate) {
    begin(&log_a, &fixed_env);
    CHECK(rl_audit_ownership_violation(&log_a, RL_STR("reml_ffi_release_transferred"), RL_STR("released twice"), 4, 3));
    char* line = one_line(&log_a);
    CHECK(strstr(line, "\"audit_pass_rate\":0.75,"));
    CHECK(strstr(line, "\"error.code\":\"ffi.wrap.ownership_violation\",\"error.message\":\"released "
                       "twice\",\"error.severity\":\"error\""));
    CHECK(strstr(line, "\"status\":\"error\",\"target\"") && strstr(line, "\"status\":\"failed\",\"symbol\""));
    free(line);
    rl_audit_deinit(&log_a);
}

TEST(test_lines__other_kinds) {
    begin(&log_a, &fixed_env);
    CHECK(rl_audit_unsafe_region(&log_a, RL_STR("Billing"), RL_STR("poke"), 17));
    char* line = one_line(&log_a);
    CHECK(strstr(line, "\"event.kind\":\"unsafe.region\",\"schema.version\":\"3.0.0-alpha\",\"unsafe.function\":"
                       "\"poke\",\"unsafe.line\":17,\"unsafe.module\":\"Billing\"}"));
    free(line);
    CHECK(rl_audit_limits_unlimited(&log_a, RL_STR("fuel heap_bytes")));
    line = one_line(&log_a);
    CHECK(strstr(line, "\"limits.unlimited\":[\"fuel\",\"heap_bytes\"]"));
    free(line);
    rl_audit_deinit(&log_a);
}

TEST(test_lines__hostile_text_stays_inside_its_string) {
    static const char hostile[] =
        "a\n{\"forged\":1}\r\t\"\\\x1b[31m\x7f\xff\xc0\xaf\xed\xa0\x80\xe2\x80\xa8\xf0\x9f\x98\x80";
    begin(&log_a, &fixed_env);
    CHECK(run_called(&log_a, hostile));
    char* line = one_line(&log_a);
    CHECK(strstr(line, "\"a\\n{\\\"forged\\\":1}\\r\\t\\\"\\\\\\u001b[31m\\u007f\xEF\xBF\xBD"));
    CHECK(strstr(line, "\\u2028\xf0\x9f\x98\x80\""));
    free(line);
    rl_audit_deinit(&log_a);
}

TEST(test_lines__long_text_is_cut_and_leaves_length_and_hash) {
    begin(&log_a, &fixed_env);
    size_t length = 10u << 20;
    char* big = malloc(length + 1);
    memset(big, 'x', length);
    big[length] = '\0';
    memcpy(big + RL_AUDIT_FIELD_BYTES - 1, "\xc3\xa4", 2); /* must not be cut in half */
    CHECK(run_called(&log_a, big));
    rl_sha256_t sha;
    unsigned char digest[RL_SHA256_BYTES];
    char expected[256], hex[RL_SHA256_HEX + 1] = "";
    rl_sha256_init(&sha);
    rl_sha256_update(&sha, big, length);
    rl_sha256_final(&sha, digest);
    rl_sha256_hex(digest, hex);
    snprintf(expected, sizeof expected,
        "\"audit.truncated\":{\"embed.run.entrypoint\":{\"bytes\":10485760,\"sha256\":\"%s\"}}", hex);
    char* line = one_line(&log_a);
    CHECK(strstr(line, expected));
    const char* text = strstr(line, "\"embed.run.entrypoint\":\"");
    if (CHECK(text != NULL)) CHECK_INT_EQ(strcspn(text + 24, "\""), RL_AUDIT_FIELD_BYTES - 1);
    CHECK(strlen(line) < 6000);
    free(line);
    free(big);
    rl_audit_deinit(&log_a);
}

TEST(test_lines__command_members_stand_in_their_place) {
    begin(&log_a, &fixed_env);
    CHECK_INT_EQ(rl_audit_set_command(&log_a, RL_STR("\"cli.command\":\"run\",\"cli.run_id\":\"7\"")), RL_AUDIT_OK);
    CHECK(run_called(&log_a, "main"));
    char* line = one_line(&log_a);
    CHECK(strstr(line, "\"cli.command\":\"run\",\"cli.run_id\":\"7\",\"effect.capability\""));
    free(line);
    rl_audit_ffi_call_t call = good_call("f");
    CHECK(rl_audit_ffi_call(&log_a, &call));
    free(one_line(&log_a));
    static const char* const bad[] = {"\"x\":1", "\"cli.b\":1,\"cli.a\":2", "\"cli.a\":1},{\"cli.b\":2",
        "\"cli.a\":", "\"cli.\\u0061\":1", "\"cli.a\":\n1", "}{"};
    for (size_t i = 0; i < RL_COUNT_OF(bad); i++)
        CHECK_INT_EQ(rl_audit_set_command(&log_a, rl_str(bad[i])), RL_AUDIT_INVALID);
    rl_audit_deinit(&log_a);
}

/* --- queue --------------------------------------------------------------------------------------------------- */

TEST(test_queue__drains_in_order_and_is_empty_then) {
    begin(&log_a, NULL);
    for (unsigned i = 1; i <= 100; i++) CHECK(run_numbered(&log_a, i));
    CHECK_INT_EQ(rl_audit_record_count(&log_a), 100);
    CHECK_INT_EQ(rl_audit_lifecycle_count(&log_a), 100);
    char* text = drained(&log_a);
    CHECK_INT_EQ(count_of(text, "\n"), 100);
    const char* at = text;
    for (unsigned i = 1; i <= 100 && at; i++) {
        char name[16];
        snprintf(name, sizeof name, "\"n%u\"", i);
        at = strstr(at, name);
        CHECK(at != NULL);
    }
    free(text);
    text = drained(&log_a);
    CHECK_STR_EQ(text, "");
    free(text);
    CHECK_INT_EQ(rl_audit_dropped(&log_a), 0);
    rl_audit_deinit(&log_a);
}

TEST(test_queue__keeps_the_last_4096_and_tells_what_it_let_go) {
    begin(&log_a, NULL);
    for (unsigned i = 1; i <= 5000; i++) CHECK(run_numbered(&log_a, i));
    CHECK_INT_EQ(rl_audit_dropped(&log_a), 904);
    char* text = drained(&log_a);
    CHECK_INT_EQ(count_of(text, "native.embed.call"), 4096);
    CHECK_INT_EQ(count_of(text, "\"audit.records.lost\":904"), 1);
    CHECK(!strstr(text, "\"n904\"") && strstr(text, "\"n905\""));
    free(text);
    rl_audit_deinit(&log_a);
}

TEST(test_queue__lives_with_every_allocation_failing) {
    for (uint64_t n = 1; n < 40; n++) {
        rl_allocator_t poor;
        rl_audit_t log;
        rl_allocator_init(&poor, NULL, NULL);
        poor.fail_at = n;
        poor.fail_every = 1;
        if (rl_audit_init(&log, &poor, NULL)) {
            for (unsigned i = 1; i <= 300; i++) CHECK(run_numbered(&log, i)); /* room is made by letting old ones go */
            CHECK(!poor.failed);
            CHECK_INT_EQ(log.ring.records + rl_audit_dropped(&log), 300);
            poor.fail_at = 0;
            rl_buf_t text;
            rl_buf_init(&text, &poor);
            CHECK_INT_EQ(rl_audit_drain(&log, &text), RL_AUDIT_OK);
            CHECK_INT_EQ(count_of(rl_buf_cstr(&text), "native.embed.call"), 300 - (int)rl_audit_dropped(&log));
            CHECK(strstr(rl_buf_cstr(&text), "\"n300\""));
            rl_buf_deinit(&text);
        }
        rl_audit_deinit(&log);
        CHECK_INT_EQ(poor.live_bytes, 0);
    }
}

TEST(test_queue__drain_without_memory_keeps_the_queue) {
    begin(&log_a, NULL);
    for (unsigned i = 1; i <= 50; i++) CHECK(run_numbered(&log_a, i));
    rl_buf_t text;
    rl_buf_init(&text, &allocator);
    text.limit = 20000;
    CHECK_INT_EQ(rl_audit_drain(&log_a, &text), RL_AUDIT_NO_MEMORY);
    CHECK_INT_EQ(text.length, 0);
    rl_buf_deinit(&text);
    char* all = drained(&log_a);
    CHECK_INT_EQ(count_of(all, "\n"), 50);
    free(all);
    rl_audit_deinit(&log_a);
}

TEST(test_queue__transfer_keeps_order_and_ids) {
    begin(&log_a, NULL);
    begin(&log_b, NULL);
    CHECK(run_numbered(&log_b, 1));
    CHECK(run_numbered(&log_a, 2));
    CHECK(run_numbered(&log_a, 3));
    CHECK(rl_audit_transfer(&log_a, &log_b));
    rl_audit_deinit(&log_a);
    char* text = drained(&log_b);
    const char *one = strstr(text, "\"n1\""), *two = strstr(text, "\"n2\""), *three = strstr(text, "\"n3\"");
    CHECK(one && two && three && one < two && two < three);
    free(text);
    rl_audit_deinit(&log_b);
}

TEST(test_count__grows_by_one_for_each_lifecycle_call_on_this_thread) {
    begin(&log_a, NULL);
    uint64_t before = rl_audit_thread_lifecycle_count();
    CHECK(run_numbered(&log_a, 1));
    rl_audit_ffi_call_t call = good_call("f");
    CHECK(rl_audit_ffi_call(&log_a, &call));
    CHECK_INT_EQ(rl_audit_thread_lifecycle_count() - before, 1);
    CHECK_INT_EQ(rl_audit_record_count(&log_a), 2);
    rl_audit_deinit(&log_a);
}

/* --- callback ------------------------------------------------------------------------------------------------ */

TEST(test_callback__gets_each_line_once_in_order) {
    heard_t heard = {.log = &log_a, .in_order = true};
    begin(&log_a, NULL);
    CHECK(run_numbered(&log_a, 1)); /* waits in the queue */
    CHECK_INT_EQ(rl_audit_set_sink(&log_a, hear, &heard), RL_AUDIT_OK);
    CHECK_INT_EQ(heard.lines, 1);
    for (unsigned i = 2; i <= 200; i++) CHECK(run_numbered(&log_a, i));
    CHECK_INT_EQ(heard.lines, 200);
    rl_audit_ffi_call_t call = good_call("f");
    for (int i = 0; i < 1000; i++) CHECK(rl_audit_ffi_call(&log_a, &call));
    rl_audit_deinit(&log_a);
    CHECK_INT_EQ(heard.lines, 1200);
    CHECK(heard.in_order);
}

TEST(test_callback__refusing_closes_the_door_until_it_takes_again) {
    heard_t heard = {.log = &log_a, .in_order = true, .refuse = 2};
    begin(&log_a, NULL);
    CHECK_INT_EQ(rl_audit_set_sink(&log_a, hear, &heard), RL_AUDIT_OK);
    CHECK_INT_EQ(rl_audit_ready(&log_a), RL_AUDIT_OK);
    CHECK(run_numbered(&log_a, 1));                             /* refused once */
    CHECK_INT_EQ(rl_audit_ready(&log_a), RL_AUDIT_UNAVAILABLE); /* twice */
    CHECK_STR_EQ(rl_audit_problem(&log_a), "audit sink refused a record");
    CHECK_INT_EQ(rl_audit_ready(&log_a), RL_AUDIT_OK); /* taken */
    CHECK_INT_EQ(heard.lines, 1);
    CHECK(run_numbered(&log_a, 2));
    CHECK_INT_EQ(heard.lines, 2);
    CHECK(heard.in_order);
    CHECK_INT_EQ(rl_audit_dropped(&log_a), 0);
    rl_audit_deinit(&log_a);
}

TEST(test_callback__count_goes_on_and_reports_what_was_lost) {
    heard_t heard = {.log = &log_a, .in_order = true, .refuse = UINT32_MAX};
    begin(&log_a, NULL);
    rl_audit_set_on_failure(&log_a, RL_AUDIT_COUNT);
    rl_audit_set_sink(&log_a, hear, &heard);
    for (unsigned i = 1; i <= 40000; i++) {
        CHECK_INT_EQ(rl_audit_ready(&log_a), RL_AUDIT_OK);
        run_numbered(&log_a, i);
    }
    uint64_t lost = rl_audit_dropped(&log_a);
    CHECK(lost > 0);
    heard.refuse = 0;
    CHECK_INT_EQ(rl_audit_flush(&log_a), RL_AUDIT_OK);
    CHECK_INT_EQ(heard.lines, 40000 - lost);
    CHECK(run_numbered(&log_a, (unsigned)(40001 - lost)));
    CHECK_INT_EQ(heard.lines, 40000 - lost + 2); /* and the record that tells the loss */
    rl_audit_deinit(&log_a);
}

TEST(test_callback__from_inside_settings_are_busy_and_events_wait) {
    heard_t heard = {.log = &log_a, .in_order = true, .reenter = true};
    begin(&log_a, NULL);
    rl_audit_set_sink(&log_a, hear, &heard);
    CHECK(run_numbered(&log_a, 1));
    CHECK_INT_EQ(heard.inside, RL_AUDIT_BUSY);
    CHECK_INT_EQ(heard.lines, 2);
    rl_audit_deinit(&log_a);
}

/* --- tallies ------------------------------------------------------------------------------------------------- */

TEST(test_tally__counts_become_one_record) {
    rl_audit_tally_t tally = {.symbol = RL_STR("total")};
    begin(&log_a, NULL);
    rl_audit_tally_attach(&log_a, &tally);
    for (int i = 0; i < 1000; i++) rl_audit_tally_count(&log_a, &tally);
    char* line = one_line(&log_a);
    CHECK(strstr(line, "\"ffi.count\":1000,\"ffi.failures\":0,\"ffi.first_at\":\"20"));
    CHECK(strstr(line, "\"extern_symbol\":\"total\""));
    CHECK(strstr(line, "\"audit_pass_rate\":1.0,"));
    free(line);
    uint64_t total = 4, success = 3; /* of all calls of the bridge, when it is told */
    log_a.bridge_total = &total;
    log_a.bridge_success = &success;
    rl_audit_tally_count(&log_a, &tally);
    rl_audit_tally_detach(&log_a, &tally);
    line = one_line(&log_a);
    CHECK(strstr(line, "\"ffi.count\":1,"));
    CHECK(strstr(line, "\"audit_pass_rate\":0.75,"));
    free(line);
    rl_audit_tally_detach(&log_a, &tally); /* again: nothing */
    CHECK_INT_EQ(rl_audit_record_count(&log_a), 2);
    rl_audit_deinit(&log_a);
}

TEST(test_tally__an_interval_over_tells) {
    rl_audit_tally_t tally = {.symbol = RL_STR("total")};
    begin(&log_a, NULL);
    rl_audit_set_policy(&log_a, RL_AUDIT_SUMMARY, 1);
    rl_audit_tally_attach(&log_a, &tally);
    /* At least 20 ms, and on a machine that lets us wait until it has run often enough. */
    uint64_t start = rl_os_monotonic_ns(), spent = 0;
    while (spent < 20000000 || (rl_audit_record_count(&log_a) < 3 && spent < 5000000000)) {
        rl_audit_tally_count(&log_a, &tally);
        spent = rl_os_monotonic_ns() - start;
    }
    CHECK(rl_audit_record_count(&log_a) >= 3 && rl_audit_record_count(&log_a) <= spent / 1000000 + 2);
    rl_audit_deinit(&log_a); /* detaches */
    CHECK(tally.link == NULL);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_sha256__published_vectors),
        RUN(test_sha256__processor_and_portable_rounds_agree),
        RUN(test_embed_call__abi_mismatch_is_the_contract_sample),
        RUN(test_embed_call__load_and_run_tell_what_was_loaded_and_run),
        RUN(test_ffi_call__transferred_result_is_the_contract_sample),
        RUN(test_ffi_call__each_row_of_the_return_table),
        RUN(test_ffi_call__failure_has_code_and_rate),
        RUN(test_lines__other_kinds),
        RUN(test_lines__hostile_text_stays_inside_its_string),
        RUN(test_lines__long_text_is_cut_and_leaves_length_and_hash),
        RUN(test_lines__command_members_stand_in_their_place),
        RUN(test_queue__drains_in_order_and_is_empty_then),
        RUN(test_queue__keeps_the_last_4096_and_tells_what_it_let_go),
        RUN(test_queue__lives_with_every_allocation_failing),
        RUN(test_queue__drain_without_memory_keeps_the_queue),
        RUN(test_queue__transfer_keeps_order_and_ids),
        RUN(test_count__grows_by_one_for_each_lifecycle_call_on_this_thread),
        RUN(test_callback__gets_each_line_once_in_order),
        RUN(test_callback__refusing_closes_the_door_until_it_takes_again),
        RUN(test_callback__count_goes_on_and_reports_what_was_lost),
        RUN(test_callback__from_inside_settings_are_busy_and_events_wait),
        RUN(test_tally__counts_become_one_record),
        RUN(test_tally__an_interval_over_tells),
    };
    int result = check_main(tests, sizeof tests / sizeof *tests, argc, argv);
    if (directory[0]) {
        remove_all();
        rmdir(directory);
    }
    return result;
}
