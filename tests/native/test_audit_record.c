/* Records that the host makes: what is refused, what the line looks like, where it goes. */
#include "audit_support.h"

#include "audit/record.h"

static char record_id[37];

static rl_audit_result_t put(rl_audit_t* log, const char* metadata) {
    rl_host_record_t record = {.kind = RL_STR("host.record"), .metadata = rl_str(metadata)};
    return rl_audit_host_record(log, &record, record_id);
}

/* The line of a record, to be freed; NULL: refused, with the reason in `problem`. */
static char problem[256];
static char* line_of(const rl_host_record_t* record, const char* command) {
    rl_ready_record_t ready;
    if (!allocator.resize) rl_allocator_init(&allocator, NULL, NULL);
    problem[0] = '\0';
    rl_audit_result_t result = rl_record_prepare(&allocator, &fixed_env, record, rl_str(command), &ready, problem);
    if (result != RL_AUDIT_OK) {
        CHECK_INT_EQ(result, RL_AUDIT_INVALID);
        return NULL;
    }
    char* text = strndup(ready.text, ready.length);
    CHECK_INT_EQ(strlen(text), ready.length);
    check_line(text);
    rl_record_deinit(&ready);
    return text;
}

TEST(test_record__has_envelope_and_common_keys_in_order) {
    rl_host_record_t record = {.kind = RL_STR("bridge.reload"),
        .category = RL_STR("bridge"),
        .capability = RL_STR("core.runtime.bridge"),
        .channel = RL_STR("bridge"),
        .audit_id = RL_STR("b8a3f2c1-6b1a-4e44-9d0d-6c6e5a1e7f30"),
        .metadata = RL_STR(" { \"z\" : [ 1 , -2.5e3, true, null ] ,\n\t\"a.b\" : {\"y\":1,\"x\":{}} } "),
        .change_set = RL_STR("{\"origin\": \"cli\", \"items\": []}"),
        .extensions = RL_STR("{ }")};
    char* line = line_of(&record, "");
    CHECK_STR_EQ(line,
        "{\"timestamp\":\"2026-03-02T08:15:00Z\",\"category\":\"bridge\",\"envelope\":{\"audit_id\":"
        "\"b8a3f2c1-6b1a-4e44-9d0d-6c6e5a1e7f30\",\"change_set\":{\"origin\":\"cli\",\"items\":[]},\"capability\":"
        "\"core.runtime.bridge\",\"metadata\":{\"a.b\":{\"y\":1,\"x\":{}},\"audit.channel\":\"bridge\","
        "\"audit.policy.version\":\"rust.poc.audit.v1\",\"event.kind\":\"bridge.reload\",\"schema.version\":"
        "\"3.0.0-alpha\",\"z\":[1,-2.5e3,true,null]}},\"extensions\":{}}");
    free(line);
}

TEST(test_record__needs_nothing_but_a_kind) {
    rl_host_record_t record = {.kind = RL_STR("k")};
    char* line = line_of(&record, "");
    CHECK_STR_EQ(line,
        "{\"timestamp\":\"2026-03-02T08:15:00Z\",\"envelope\":{\"audit_id\":\"01020304-0506-4708-890a-0b0c0d0e0f10\","
        "\"metadata\":{\"audit.channel\":\"runtime\",\"audit.policy.version\":\"rust.poc.audit.v1\",\"event.kind\":"
        "\"k\","
        "\"schema.version\":\"3.0.0-alpha\"}}}");
    free(line);
}

TEST(test_record__texts_have_one_spelling_and_cannot_forge_a_line) {
    rl_host_record_t record = {.kind = RL_STR("k"),
        .capability = RL_STR("a\"b\\c"),
        .metadata = RL_STR("{\"\\u0061\":\"\\u000a\\b\\/\\u00e9\\ud83d\\ude00\x7F\xE2\x80\xA8\xE2\x82\xAC\\u0000\"}")};
    char* line = line_of(&record, "");
    CHECK(line && strstr(line, "\"a\":\"\\n\\u0008/\xC3\xA9\xF0\x9F\x98\x80\\u007f\\u2028\xE2\x82\xAC\\u0000\""));
    CHECK(line && strstr(line, "\"capability\":\"a\\\"b\\\\c\""));
    free(line);
}

TEST(test_record__json_is_read_strictly) {
    static const struct {
        const char *metadata, *problem;
    } rows[] = {
        {"[]", "metadata: a JSON object is expected at byte 1"},
        {"nonsense", "metadata: a JSON object is expected at byte 1"},
        {"{", "metadata: a text is missing at byte 2"},
        {"{\"a\":1", "metadata: it does not end at byte 7"},
        {"{\"a\":1,}", "metadata: a text is missing at byte 8"},
        {"{\"a\" 1}", "metadata: a `:` is missing at byte 6"},
        {"{\"a\":1 \"b\":2}", "metadata: a `,` or an end is missing at byte 8"},
        {"{\"a\":[1,]}", "metadata: a value is missing at byte 9"},
        {"{\"a\":[1}}", "metadata: a `,` or an end is missing at byte 8"},
        {"{\"a\":1}{}", "metadata: something follows the object at byte 8"},
        {"{\"a\":NaN}", "metadata: a value is missing at byte 6"},
        {"{\"a\":Infinity}", "metadata: a value is missing at byte 6"},
        {"{\"a\":-Infinity}", "metadata: a value is missing at byte 6"},
        {"{\"a\":1e999}", "metadata: a number out of range at byte 6"},
        {"{\"a\":01}", "metadata: a `,` or an end is missing at byte 7"},
        {"{\"a\":1.}", "metadata: an unfinished number at byte 8"},
        {"{\"a\":+1}", "metadata: a value is missing at byte 6"},
        {"{\"a\":tru}", "metadata: an unknown word at byte 6"},
        {"{a:1}", "metadata: a text is missing at byte 2"},
        {"{\"a\":'b'}", "metadata: a value is missing at byte 6"},
        {"{\"a\":\"\n\"}", "metadata: a control character in a text at byte 7"},
        {"{\"a\":\"\\x\"}", "metadata: an unknown escape at byte 9"},
        {"{\"a\":\"\\ud800\"}", "metadata: half a surrogate pair at byte 13"},
        {"{\"a\":\"\\udc00\"}", "metadata: half a surrogate pair at byte 13"},
        {"{\"a\":\"\\ud800\\u0041\"}", "metadata: half a surrogate pair at byte 19"},
        {"{\"a\":\"\xED\xA0\x80\"}", "metadata: not UTF-8 at byte 7"},
        {"{\"a\":\"\xFF\"}", "metadata: not UTF-8 at byte 7"},
        {"{\"a\":1,\"b\":2,\"a\":3}", "metadata: the key `a` appears twice at byte 19"},
        {"{\"a\":1,\"\\u0061\":3}", "metadata: the key `a` appears twice at byte 18"},
        {"{\"x\":[{\"q\":{\"b\":1,\"b\":2}}]}", "metadata: the key `b` appears twice at byte 24"},
        {"{\"event.kind\":1}", "metadata: the library gives `event.kind`"},
        {"{\"audit.sequence\":1}", "metadata: the library gives `audit.sequence`"},
        {"{\"audit.chain.hash\":1}", "metadata: the library gives `audit.chain.hash`"},
        {"{\"audit.chain.\\u0068\":1}", "metadata: the library gives `audit.chain.h`"},
        {"{\"schema.version\":1}", "metadata: the library gives `schema.version`"},
    };
    for (size_t i = 0; i < RL_COUNT_OF(rows); i++) {
        rl_host_record_t record = {.kind = RL_STR("k"), .metadata = rl_str(rows[i].metadata)};
        char* line = line_of(&record, "");
        if (!CHECK(line == NULL)) printf("  %s\n", rows[i].metadata);
        CHECK_STR_EQ(problem, rows[i].problem);
        free(line);
    }
    rl_host_record_t record = {.kind = RL_STR("k"), .change_set = RL_STR("[]")};
    CHECK(line_of(&record, "") == NULL);
    CHECK_STR_EQ(problem, "change_set: a JSON object is expected at byte 1");
    record = (rl_host_record_t){.kind = RL_STR("k"), .extensions = RL_STR("{\"a\":1,\"a\":1}")};
    CHECK(line_of(&record, "") == NULL);
    CHECK_STR_EQ(problem, "extensions: the key `a` appears twice at byte 13");
}

TEST(test_record__other_members_are_checked) {
    static const char good[] = "b8a3f2c1-6b1a-4e44-9d0d-6c6e5a1e7f30";
    const rl_host_record_t bad[] = {
        {.kind = RL_STR("")},
        {.kind = RL_STR("a\nb")},
        {.kind = RL_STR("\xFF")},
        {.kind = RL_STR("k"), .category = RL_STR("a\x01")},
        {.kind = RL_STR("k"), .capability = RL_STR("\xC0\x80")},
        {.kind = RL_STR("k"), .channel = RL_STR("radio")},
        {.kind = RL_STR("k"), .audit_id = RL_STR("B8A3F2C1-6b1a-4e44-9d0d-6c6e5a1e7f30")},
        {.kind = RL_STR("k"), .audit_id = (rl_str_t){good, 35}},
        {.kind = RL_STR("k"), .audit_id = RL_STR("b8a3f2c1x6b1a-4e44-9d0d-6c6e5a1e7f30")},
        {.kind = RL_STR("k"), .timestamp = RL_STR("2026-03-02 08:15:00Z")},
        {.kind = RL_STR("k"), .timestamp = RL_STR("2026-03-02T08:15:00+00:00")},
        {.kind = RL_STR("k"), .timestamp = RL_STR("2026-13-02T08:15:00Z")},
        {.kind = RL_STR("k"), .timestamp = RL_STR("2026-03-02T24:15:00Z")},
        {.kind = RL_STR("k"), .timestamp = RL_STR("2026-03-02T08:15:00.Z")},
        {.kind = RL_STR("k"), .timestamp = RL_STR("2026-03-02T08:15:00.1234567890Z")},
        {.kind = RL_STR("k"), .timestamp = RL_STR("2026-03-02T08:15Z")},
    };
    for (size_t i = 0; i < RL_COUNT_OF(bad); i++) {
        if (!CHECK(line_of(&bad[i], "") == NULL)) printf("  row %zu\n", i);
        CHECK(problem[0] != '\0');
    }
    rl_host_record_t fine = {.kind = RL_STR("k"), .timestamp = RL_STR("2016-12-31T23:59:60.123456789Z")};
    free(line_of(&fine, ""));
    CHECK_STR_EQ(problem, "");
}

/* `count` of `open`, then `inside`, then as many of `close`, as the value of one key. */
static char* nested(unsigned count, char open, const char* inside, char close) {
    char* text = calloc(1, 2 * (size_t)count + strlen(inside) + 32);
    strcpy(text, "{\"a\":");
    memset(text + strlen(text), open, count);
    strcat(text, inside);
    memset(text + strlen(text), close, count);
    strcat(text, "}");
    return text;
}

TEST(test_record__depth_has_a_limit_and_no_stack_is_used_up) {
    char* text = nested(63, '[', "1", ']');
    rl_host_record_t record = {.kind = RL_STR("k"), .metadata = rl_str(text)};
    free(line_of(&record, ""));
    CHECK_STR_EQ(problem, "");
    free(text);
    text = nested(64, '[', "1", ']');
    record.metadata = rl_str(text);
    CHECK(line_of(&record, "") == NULL);
    CHECK(strstr(problem, "nested more than 64 deep"));
    free(text);
    text = nested(1000000, '[', "1", ']');
    record.metadata = rl_str(text);
    CHECK(line_of(&record, "") == NULL);
    free(text);
}

TEST(test_record__a_million_bytes_are_fine_and_more_than_four_are_an_error_not_a_cut) {
    fresh();
    begin(&log_a, NULL);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    size_t sizes[] = {1u << 20, 4000000, 4u << 20, 6000000};
    for (size_t i = 0; i < RL_COUNT_OF(sizes); i++) {
        char* text = calloc(1, sizes[i] + 16);
        strcpy(text, "{\"a\":\"");
        memset(text + 6, 'x', sizes[i]);
        strcpy(text + 6 + sizes[i], "\"}");
        CHECK_INT_EQ(put(&log_a, text), i < 2 ? RL_AUDIT_OK : RL_AUDIT_INVALID);
        if (i >= 2) CHECK_STR_EQ(rl_audit_problem(&log_a), "the record is larger than 4 MiB");
        free(text);
    }
    CHECK(run_numbered(&log_a, 1));
    rl_audit_deinit(&log_a);
    check_verdict(REML_AUDIT_VERDICT_OK, 3);
}

TEST(test_record__thousands_of_keys_are_sorted_and_found_twice) {
    char* text = malloc(400000);
    size_t length = 0;
    text[length++] = '{';
    for (unsigned i = 0; i < 9999; i++) {
        length += (size_t)sprintf(text + length, "%s\"k%05u\":%u", i ? "," : "", (i * 7919) % 10007, i);
    }
    strcpy(text + length, "}");
    rl_host_record_t record = {.kind = RL_STR("k"), .metadata = rl_str(text)};
    free(line_of(&record, "")); /* checks that keys ascend */
    CHECK_STR_EQ(problem, "");
    strcpy(text + length, ",\"k00000\":1}");
    record.metadata = rl_str(text);
    CHECK(line_of(&record, "") == NULL);
    CHECK(strstr(problem, "the key `k00000` appears twice"));
    free(text);
}

TEST(test_record__members_of_the_command_are_added_where_the_host_has_none) {
    rl_host_record_t record = {.kind = RL_STR("k"), .metadata = RL_STR("{\"cli.command\":\"mine\",\"zz\":1}")};
    char* line = line_of(&record, "\"cli.audit_id\":\"i\",\"cli.command\":\"run\",\"cli.run_id\":\"r\"");
    CHECK(line && strstr(line, "\"cli.audit_id\":\"i\",\"cli.command\":\"mine\",\"cli.run_id\":\"r\",\"event.kind\""));
    free(line);
}

/* --- where it goes ---------------------------------------------------------------------------------------------- */

TEST(test_host__keeps_its_place_among_events_in_a_file) {
    fresh();
    begin(&log_a, NULL);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    for (unsigned i = 1; i <= 300; i++) {
        char text[64];
        snprintf(text, sizeof text, "{\"embed.run.entrypoint\":\"n%u\"}", i);
        CHECK(i % 3 ? run_numbered(&log_a, i) : put(&log_a, text) == RL_AUDIT_OK);
    }
    CHECK_INT_EQ(rl_audit_record_count(&log_a), 300);
    rl_audit_deinit(&log_a);
    check_verdict(REML_AUDIT_VERDICT_OK, 300);
    size_t length;
    char *text = file_text(log_path, &length), *at = text;
    for (unsigned i = 1; i <= 300 && at; i++) {
        char name[32];
        snprintf(name, sizeof name, "\"audit.sequence\":%u,", i);
        CHECK((at = strstr(at, name)) != NULL);
        snprintf(name, sizeof name, "\"embed.run.entrypoint\":\"n%u\"", i);
        CHECK(at && (at = strstr(at, name)) != NULL);
    }
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        check_keys_ascend(line);
    }
    free(text);
}

TEST(test_host__keys_around_those_of_the_chain_stay_in_order) {
    fresh();
    begin(&log_a, NULL);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    CHECK_INT_EQ(put(&log_a, "{\"audit.chai\":1,\"audit.chain\":1,\"audit.chainz\":1,\"audit.sequenc\":1,\"audit."
                             "sequence.x\":1,\"a\":1}"),
        RL_AUDIT_OK);
    CHECK_INT_EQ(put(&log_a, NULL), RL_AUDIT_OK);
    rl_audit_deinit(&log_a);
    check_verdict(REML_AUDIT_VERDICT_OK, 2);
    size_t length;
    char* text = file_text(log_path, &length);
    char* end = strchr(text, '\n');
    *end = '\0';
    check_keys_ascend(text);
    check_keys_ascend(end + 1);
    free(text);
}

TEST(test_host__is_in_the_file_when_the_call_returns) {
    fresh();
    begin(&log_a, NULL);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    CHECK(run_numbered(&log_a, 1)); /* in the journal */
    CHECK_INT_EQ(put(&log_a, "{\"x\":1}"), RL_AUDIT_OK);
    size_t length;
    char* text = file_text(log_path, &length);
    CHECK(strstr(text, "\"x\":1") && strstr(text, "\"n1\"") && strstr(text, record_id));
    free(text);
    rl_audit_deinit(&log_a);
}

TEST(test_host__rotates) {
    fresh();
    begin(&log_a, NULL);
    rl_audit_file_settings_t settings = {
        .path = log_path, .rotate_bytes = 3000, .journal_bytes = RL_AUDIT_JOURNAL_LEAST};
    CHECK_INT_EQ(rl_audit_set_file(&log_a, &settings), RL_AUDIT_OK);
    for (int i = 0; i < 50; i++) CHECK_INT_EQ(put(&log_a, "{\"x\":1}"), RL_AUDIT_OK);
    rl_audit_deinit(&log_a);
    rl_audit_verification_t found = verify(NULL);
    CHECK_INT_EQ(found.verdict, REML_AUDIT_VERDICT_OK);
    CHECK_INT_EQ(found.last_sequence, 50);
    CHECK(found.first_sequence > 40);
}

TEST(test_host__waits_in_order_without_a_sink_and_moves_to_file_and_context) {
    fresh();
    begin(&log_a, NULL);
    begin(&log_b, NULL);
    for (int to = 0; to < 3; to++) {
        CHECK(run_numbered(&log_a, 1));
        CHECK_INT_EQ(put(&log_a, "{\"x\":\"n2\"}"), RL_AUDIT_OK);
        CHECK(run_numbered(&log_a, 3));
        CHECK_INT_EQ(log_a.ring.host_records, 1);
        size_t length;
        char* text;
        if (to == 0) {
            text = drained(&log_a);
        } else if (to == 1) {
            CHECK(rl_audit_transfer(&log_a, &log_b));
            text = drained(&log_b);
        } else {
            CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
            rl_audit_flush(&log_a);
            text = file_text(log_path, &length);
        }
        const char *one = strstr(text, "\"n1\""), *two = strstr(text, "\"n2\""), *three = strstr(text, "\"n3\"");
        CHECK(one && two && three && one < two && two < three);
        CHECK_INT_EQ(count_of(text, "\n"), 3);
        CHECK_INT_EQ(log_a.ring.host_records + log_b.ring.host_records, 0);
        CHECK_INT_EQ(log_a.ring.host_bytes + log_b.ring.host_bytes, 0);
        free(text);
    }
    rl_audit_deinit(&log_a);
    rl_audit_deinit(&log_b);
    check_verdict(REML_AUDIT_VERDICT_OK, 3);
    CHECK_INT_EQ(allocator.live_bytes, 0);
}

TEST(test_host__without_a_sink_the_oldest_go_and_are_counted) {
    begin(&log_a, NULL);
    char* text = calloc(1, 1000100);
    strcpy(text, "{\"a\":\"");
    memset(text + 6, 'x', 1000000);
    strcat(text, "\"}");
    for (int i = 0; i < 40; i++) CHECK_INT_EQ(put(&log_a, text), RL_AUDIT_OK);
    CHECK(log_a.ring.host_bytes <= 16u << 20);
    CHECK_INT_EQ(rl_audit_dropped(&log_a) + log_a.ring.records, 40);
    for (int i = 0; i < 5000; i++) CHECK_INT_EQ(put(&log_a, NULL), RL_AUDIT_OK);
    CHECK_INT_EQ(log_a.ring.records, 4096);
    free(text);
    rl_audit_deinit(&log_a);
    CHECK_INT_EQ(allocator.live_bytes, 0);
}

TEST(test_host__a_callback_takes_it_at_once_or_it_is_nowhere) {
    heard_t heard = {.log = &log_a, .in_order = true};
    begin(&log_a, NULL);
    CHECK_INT_EQ(rl_audit_set_sink(&log_a, hear, &heard), RL_AUDIT_OK);
    CHECK_INT_EQ(put(&log_a, NULL), RL_AUDIT_OK);
    CHECK_INT_EQ(heard.lines, 1);
    heard.refuse = 1;
    CHECK_INT_EQ(put(&log_a, NULL), RL_AUDIT_UNAVAILABLE);
    CHECK_STR_EQ(rl_audit_problem(&log_a), "audit sink refused a record");
    CHECK_INT_EQ(log_a.ring.records, 0);
    CHECK_INT_EQ(rl_audit_record_count(&log_a), 1);
    heard.refuse = 2; /* an event waits: it goes first */
    CHECK(run_numbered(&log_a, 1));
    CHECK_INT_EQ(put(&log_a, NULL), RL_AUDIT_UNAVAILABLE);
    CHECK_INT_EQ(log_a.ring.records, 1);
    CHECK_INT_EQ(put(&log_a, NULL), RL_AUDIT_OK);
    CHECK_INT_EQ(heard.lines, 3);
    CHECK_INT_EQ(heard.last, 1);
    rl_audit_deinit(&log_a);
}

static int log_again(const char* line, size_t length, void* user) {
    (void)line, (void)length;
    *(rl_audit_result_t*)user = put(&log_a, NULL);
    return 0;
}

TEST(test_host__a_callback_cannot_log) {
    rl_audit_result_t inside = RL_AUDIT_OK;
    begin(&log_a, NULL);
    CHECK_INT_EQ(rl_audit_set_sink(&log_a, log_again, &inside), RL_AUDIT_OK);
    CHECK_INT_EQ(put(&log_a, NULL), RL_AUDIT_OK);
    CHECK_INT_EQ(inside, RL_AUDIT_BUSY);
    rl_audit_deinit(&log_a);
}

TEST(test_host__beside_a_file_a_callback_that_refuses_is_only_counted) {
    fresh();
    heard_t heard = {.log = &log_a, .in_order = true, .refuse = UINT32_MAX};
    begin(&log_a, NULL);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    CHECK_INT_EQ(rl_audit_set_sink(&log_a, hear, &heard), RL_AUDIT_OK);
    CHECK_INT_EQ(put(&log_a, NULL), RL_AUDIT_OK);
    heard.refuse = 0;
    CHECK_INT_EQ(put(&log_a, NULL), RL_AUDIT_OK);
    CHECK_INT_EQ(heard.lines, 2);
    rl_audit_deinit(&log_a);
    check_verdict(REML_AUDIT_VERDICT_OK, 2);
}

TEST(test_host__a_full_disk_refuses_it_whole_and_it_works_again_when_there_is_room) {
    fresh();
    begin(&log_a, &fixed_env);
    no_fault();
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    CHECK_INT_EQ(put(&log_a, "{\"x\":1}"), RL_AUDIT_OK);
    for (int64_t room = 0; room < 700; room += 33) {
        fault.room = room;
        rl_audit_result_t result = put(&log_a, "{\"never\":1}");
        if (result == RL_AUDIT_OK) break;
        CHECK_INT_EQ(result, RL_AUDIT_UNAVAILABLE);
        CHECK(strstr(rl_audit_problem(&log_a), "no space left"));
        fault.room = -1;
        rl_audit_verification_t found = verify(NULL);
        CHECK_INT_EQ(found.verdict, REML_AUDIT_VERDICT_OK);
        size_t length;
        char* text = file_text(log_path, &length);
        CHECK(!strstr(text, "never"));
        free(text);
        CHECK(run_numbered(&log_a, 1));
        CHECK_INT_EQ(put(&log_a, "{\"x\":2}"), RL_AUDIT_OK);
    }
    no_fault();
    rl_audit_deinit(&log_a);
    CHECK_INT_EQ(verify(NULL).verdict, REML_AUDIT_VERDICT_OK);
}

TEST(test_host__each_failing_allocation_leaves_it_whole_or_nowhere) {
    for (int with_file = 0; with_file < 2; with_file++) {
        for (uint64_t n = 1; n < 60; n++) {
            for (uint64_t every = 0; every < 2; every++) {
                fresh();
                rl_allocator_t poor;
                rl_audit_t log;
                rl_allocator_init(&poor, NULL, NULL);
                if (!CHECK(rl_audit_init(&log, &poor, NULL))) return;
                if (with_file) CHECK_INT_EQ(open_file(&log), RL_AUDIT_OK);
                poor.fail_at = poor.requests + n;
                poor.fail_every = every;
                unsigned kept = 0;
                for (unsigned i = 0; i < 3; i++) {
                    rl_audit_result_t result = put(&log, "{\"b\":{\"x\":[1,2,3]},\"a\":\"\\u0041\"}");
                    CHECK(result == RL_AUDIT_OK || result == RL_AUDIT_NO_MEMORY);
                    CHECK(!poor.failed);
                    kept += result == RL_AUDIT_OK;
                }
                poor.fail_at = 0;
                rl_buf_t text;
                rl_buf_init(&text, &poor);
                CHECK_INT_EQ(rl_audit_drain(&log, &text), RL_AUDIT_OK);
                if (!with_file) CHECK_INT_EQ(count_of(rl_buf_cstr(&text), "host.record"), kept);
                rl_buf_deinit(&text);
                rl_audit_deinit(&log);
                if (with_file) check_verdict(REML_AUDIT_VERDICT_OK, kept);
                CHECK_INT_EQ(poor.live_bytes, 0);
            }
        }
    }
}

TEST(test_host__drain_without_memory_keeps_the_queue) {
    begin(&log_a, NULL);
    for (unsigned i = 1; i <= 9; i++) CHECK(i % 2 ? run_numbered(&log_a, i) : put(&log_a, NULL) == RL_AUDIT_OK);
    rl_allocator_t poor;
    rl_buf_t text;
    rl_allocator_init(&poor, NULL, NULL);
    poor.limit_bytes = 6000;
    rl_buf_init(&text, &poor);
    CHECK_INT_EQ(rl_audit_drain(&log_a, &text), RL_AUDIT_NO_MEMORY);
    rl_buf_deinit(&text);
    CHECK_INT_EQ(log_a.ring.host_records, 4);
    char* all = drained(&log_a);
    CHECK_INT_EQ(count_of(all, "\n"), 9);
    CHECK_INT_EQ(count_of(all, "host.record"), 4);
    free(all);
    rl_audit_deinit(&log_a);
    CHECK_INT_EQ(allocator.live_bytes, 0);
}

/* --- a kill between the line and the note of it ----------------------------------------------------------------- */

static int64_t write_then_die(void* user, int fd, const void* data, size_t length) {
    (void)user;
    if (!memmem(data, length, "host.record", 11)) return rl_os_io()->write(NULL, fd, data, length);
    for (unsigned i = 1; i <= 3; i++)
        run_numbered(&log_b, i); /* another thread: into the ring, behind what was flushed */
    int64_t answer = rl_os_io()->write(NULL, fd, data, length);
    raise(SIGKILL);
    return answer;
}

TEST(test_host__killed_behind_its_line_takes_no_event_of_another_thread_with_it) {
    fresh();
    pid_t child = fork();
    if (child == 0) {
        rl_io_t io = faulty_io;
        io.write = write_then_die;
        rl_env_t env = fixed_env;
        env.io = &io;
        no_fault();
        begin(&log_a, &env);
        begin(&log_b, &env);
        if (open_file(&log_a) != RL_AUDIT_OK || open_file(&log_b) != RL_AUDIT_OK) _exit(3);
        run_called(&log_a, "before");
        put(&log_a, NULL);
        _exit(4);
    }
    int status;
    waitpid(child, &status, 0);
    CHECK(WIFSIGNALED(status));
    CHECK_INT_EQ(verify(NULL).records, 2);
    CHECK_INT_EQ(verify(NULL).pending, 3);
    for (int again = 0; again < 2; again++) {
        CHECK_INT_EQ(reml_audit_recover(log_path), REML_EMBED_STATUS_OK);
        check_verdict(REML_AUDIT_VERDICT_OK, 6); /* with the note of the recovery */
        size_t length;
        char* text = file_text(log_path, &length);
        for (unsigned i = 1; i <= 3; i++) {
            char name[16];
            snprintf(name, sizeof name, "\"n%u\"", i);
            CHECK_INT_EQ(count_of(text, name), 1);
        }
        CHECK_INT_EQ(count_of(text, "host.record"), 1);
        free(text);
    }
}

/* --- without a context --------------------------------------------------------------------------------------------- */

static reml_embed_status_t append_one(const char* kind) {
    reml_audit_record_t record = REML_AUDIT_RECORD_INIT;
    record.kind = kind;
    record.metadata = "{\"x\":1}";
    return reml_audit_append(log_path, &record, record_id);
}

TEST(test_append__makes_a_chain_and_joins_an_open_log) {
    fresh();
    for (int i = 0; i < 5; i++) CHECK_INT_EQ(append_one("one"), REML_EMBED_STATUS_OK);
    check_verdict(REML_AUDIT_VERDICT_OK, 5);
    begin(&log_a, NULL);
    CHECK_INT_EQ(open_file(&log_a), RL_AUDIT_OK);
    CHECK(run_numbered(&log_a, 1));
    CHECK_INT_EQ(append_one("two"), REML_EMBED_STATUS_OK);
    CHECK(run_numbered(&log_a, 2));
    rl_audit_deinit(&log_a);
    check_verdict(REML_AUDIT_VERDICT_OK, 8);
    CHECK_STR_EQ(reml_audit_last_problem(), "");
}

TEST(test_append__says_what_is_wrong) {
    fresh();
    CHECK_INT_EQ(append_one("a\nb"), REML_EMBED_STATUS_INVALID_ARGUMENT);
    CHECK_STR_EQ(reml_audit_last_problem(), "kind: not a short text in one line");
    CHECK_INT_EQ(reml_audit_append(log_path, NULL, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    reml_audit_record_t record = REML_AUDIT_RECORD_INIT;
    record.kind = "k";
    record.flags = 1;
    CHECK_INT_EQ(reml_audit_append(log_path, &record, NULL), REML_EMBED_STATUS_INVALID_ARGUMENT);
    record.flags = 0;
    CHECK_INT_EQ(reml_audit_append("/nonexistent/directory/log", &record, NULL), REML_EMBED_STATUS_AUDIT_UNAVAILABLE);
    CHECK(strstr(reml_audit_last_problem(), "no such file or directory"));
    struct stat status;
    CHECK(stat(log_path, &status) != 0); /* nothing was made for a bad record */
    write_text(log_path, "{\"a\":1}\n", 8);
    CHECK_INT_EQ(append_one("k"), REML_EMBED_STATUS_AUDIT_UNAVAILABLE);
    size_t length;
    char* text = file_text(log_path, &length);
    CHECK_STR_EQ(text, "{\"a\":1}\n");
    free(text);
}

TEST(test_append__processes_take_turns) {
    fresh();
    pid_t children[4];
    for (int c = 0; c < 4; c++) {
        children[c] = fork();
        if (children[c] == 0) {
            for (int i = 0; i < 25; i++) {
                if (append_one("k") != REML_EMBED_STATUS_OK) _exit(1);
            }
            _exit(0);
        }
    }
    for (int c = 0; c < 4; c++) {
        int status;
        waitpid(children[c], &status, 0);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    check_verdict(REML_AUDIT_VERDICT_OK, 100);
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_record__has_envelope_and_common_keys_in_order),
        RUN(test_record__needs_nothing_but_a_kind),
        RUN(test_record__texts_have_one_spelling_and_cannot_forge_a_line),
        RUN(test_record__json_is_read_strictly),
        RUN(test_record__other_members_are_checked),
        RUN(test_record__depth_has_a_limit_and_no_stack_is_used_up),
        RUN(test_record__a_million_bytes_are_fine_and_more_than_four_are_an_error_not_a_cut),
        RUN(test_record__thousands_of_keys_are_sorted_and_found_twice),
        RUN(test_record__members_of_the_command_are_added_where_the_host_has_none),
        RUN(test_host__keeps_its_place_among_events_in_a_file),
        RUN(test_host__keys_around_those_of_the_chain_stay_in_order),
        RUN(test_host__is_in_the_file_when_the_call_returns),
        RUN(test_host__rotates),
        RUN(test_host__waits_in_order_without_a_sink_and_moves_to_file_and_context),
        RUN(test_host__without_a_sink_the_oldest_go_and_are_counted),
        RUN(test_host__a_callback_takes_it_at_once_or_it_is_nowhere),
        RUN(test_host__a_callback_cannot_log),
        RUN(test_host__beside_a_file_a_callback_that_refuses_is_only_counted),
        RUN(test_host__a_full_disk_refuses_it_whole_and_it_works_again_when_there_is_room),
        RUN(test_host__each_failing_allocation_leaves_it_whole_or_nowhere),
        RUN(test_host__drain_without_memory_keeps_the_queue),
        RUN(test_host__killed_behind_its_line_takes_no_event_of_another_thread_with_it),
        RUN(test_append__makes_a_chain_and_joins_an_open_log),
        RUN(test_append__says_what_is_wrong),
        RUN(test_append__processes_take_turns),
    };
    setvbuf(stdout, NULL, _IONBF, 0);
    int result = check_main(tests, sizeof tests / sizeof *tests, argc, argv);
    if (directory[0]) {
        remove_all();
        rmdir(directory);
    }
    return result;
}
