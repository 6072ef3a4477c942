/* Counted handles of shared cells (CONTRACTS 8). Only public headers. */
#include "check.h"

#include "reml_embed.h"
#include "reml_ffi_bridge.h"
#include "reml_ref.h"
#include "reml_value.h"

#include <pthread.h>

#define OK      REML_EMBED_STATUS_OK
#define INVALID REML_EMBED_STATUS_INVALID_ARGUMENT

static const char program[] =
    "let place: Ref<Int> = Ref.new(1)\nlet cell: Cell<List<Int>> = Cell.new([1])\n"
    "fn get() -> Ref<Int> = place\nfn fresh() -> Ref<Int> = Ref.new(5)\nfn read() -> Int = place.get()\n";

static reml_embed_context_t* create(void) {
    reml_embed_context_t* context = NULL;
    CHECK_INT_EQ(reml_create_context("0.1.0", &context), OK);
    CHECK_INT_EQ(reml_load_module(context, (const unsigned char*)program, strlen(program)), OK);
    return context;
}

static reml_value_t global(reml_embed_context_t* context, const char* name) {
    reml_value_t value;
    CHECK_INT_EQ(reml_embed_global(context, name, strlen(name), &value), OK);
    return value;
}

static reml_ref_state_t state(reml_embed_context_t* context, reml_value_t value) {
    reml_ref_state_t found = REML_REF_STATE_INIT;
    CHECK_INT_EQ(reml_ref_state(context, value, &found), OK);
    return found;
}

TEST(test_ref__handles_of_one_cell_are_counted_together) {
    reml_embed_context_t* context = create();
    reml_value_t first = global(context, "place"), second = global(context, "place"), third;
    CHECK_INT_EQ(reml_ref_open(context, first), OK);
    CHECK_INT_EQ(reml_ref_open(context, first), OK);
    CHECK_INT_EQ(state(context, first).strong, 1);
    CHECK_INT_EQ(reml_ref_open(context, second), OK);
    CHECK_INT_EQ(reml_ref_clone(context, first, &third), OK);
    CHECK_INT_EQ(state(context, second).strong, 3);
    CHECK_INT_EQ(state(context, third).clones, 1);
    reml_value_t other = global(context, "cell");
    CHECK_INT_EQ(reml_ref_open(context, other), OK);
    CHECK_INT_EQ(state(context, other).strong, 1);
    CHECK_INT_EQ(reml_value_release(context, first), OK);
    CHECK_INT_EQ(reml_value_release(context, third), OK);
    CHECK_INT_EQ(state(context, second).strong, 1);
    CHECK_INT_EQ(state(context, second).clones, 1);
    CHECK_INT_EQ(reml_value_release(context, second), OK);
    reml_value_t again = global(context, "place");
    CHECK_INT_EQ(reml_ref_open(context, again), OK);
    CHECK_INT_EQ(state(context, again).strong, 1);
    CHECK_INT_EQ(state(context, again).clones, 0);
    CHECK_INT_EQ(reml_value_release(context, again), OK);
    CHECK_INT_EQ(reml_value_release(context, other), OK);
    reml_ffi_bridge_metrics_t found;
    CHECK_INT_EQ(reml_ffi_bridge_context_metrics(context, &found), OK);
    CHECK_INT_EQ(found.live, 0);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

TEST(test_ref__many_read_or_one_writes) {
    reml_embed_context_t* context = create();
    reml_value_t a = global(context, "place"), b;
    CHECK_INT_EQ(reml_ref_open(context, a), OK);
    CHECK_INT_EQ(reml_ref_clone(context, a, &b), OK);
    CHECK_INT_EQ(reml_ref_borrow(context, a, 0), OK);
    CHECK_INT_EQ(reml_ref_borrow(context, b, 0), OK);
    CHECK_INT_EQ(state(context, a).shared, 2);
    CHECK_INT_EQ(reml_ref_borrow(context, a, 1), REML_EMBED_STATUS_BUSY);
    CHECK_INT_EQ(reml_ref_return(context, a, 1, 0), INVALID);
    CHECK_INT_EQ(reml_ref_return(context, a, 0, 1), OK); /* what only read does not poison */
    CHECK_INT_EQ(reml_ref_return(context, b, 0, 0), OK);
    CHECK_INT_EQ(reml_ref_return(context, b, 0, 0), INVALID);
    CHECK_INT_EQ(reml_ref_borrow(context, a, 1), OK);
    CHECK_INT_EQ(reml_ref_borrow(context, b, 1), REML_EMBED_STATUS_BUSY);
    CHECK_INT_EQ(reml_ref_borrow(context, b, 0), REML_EMBED_STATUS_BUSY);
    CHECK_INT_EQ(state(context, b).exclusive, 1);
    CHECK_INT_EQ(reml_ref_return(context, a, 1, 1), OK);
    CHECK_INT_EQ(reml_ref_borrow(context, b, 0), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(reml_ref_borrow(context, b, 1), REML_EMBED_STATUS_ERROR);
    CHECK_INT_EQ(state(context, b).poisoned, 1);
    CHECK_INT_EQ(reml_value_release(context, a), OK);
    CHECK_INT_EQ(reml_value_release(context, b), OK);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

TEST(test_ref__what_is_no_counted_cell_is_refused) {
    reml_embed_context_t* context = create();
    reml_embed_context_t* other = create();
    reml_value_t cell = global(context, "place"), text, made, number = reml_value_int(3);
    reml_ref_state_t found = REML_REF_STATE_INIT;
    CHECK_INT_EQ(reml_value_string(context, "a", 1, &text), OK);
    CHECK_INT_EQ(reml_ref_open(context, text), INVALID);
    CHECK(reml_ref_open(context, number) != OK);
    CHECK_INT_EQ(reml_ref_open(other, cell), REML_EMBED_STATUS_WRONG_CONTEXT);
    CHECK_INT_EQ(reml_ref_clone(context, cell, &made), INVALID);
    CHECK_INT_EQ(made.kind, REML_KIND_NONE);
    CHECK_INT_EQ(reml_ref_clone(context, cell, NULL), INVALID);
    CHECK_INT_EQ(reml_ref_borrow(context, cell, 0), INVALID);
    CHECK_INT_EQ(reml_ref_return(context, cell, 0, 0), INVALID);
    CHECK_INT_EQ(reml_ref_state(context, cell, &found), INVALID);
    CHECK_INT_EQ(reml_ref_state(context, cell, NULL), INVALID);
    found.struct_size = 4;
    CHECK_INT_EQ(reml_ref_open(context, cell), OK);
    CHECK_INT_EQ(reml_ref_state(context, cell, &found), INVALID);
    CHECK_INT_EQ(reml_value_release(context, cell), OK);
    CHECK_INT_EQ(reml_ref_state(context, cell, &found), INVALID);
    found.struct_size = sizeof found;
    CHECK_INT_EQ(reml_ref_state(context, cell, &found), REML_EMBED_STATUS_STALE);
    CHECK_INT_EQ(reml_value_release(context, text), OK);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
    CHECK_INT_EQ(reml_dispose_context(other), OK);
}

TEST(test_ref__a_counted_handle_keeps_its_cell_and_collections_change_nothing) {
    reml_embed_context_t* context = create();
    reml_function_t fresh;
    reml_value_t cells[40];
    CHECK_INT_EQ(reml_function_find(context, "fresh", 5, NULL, 0, &fresh), OK);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 40; i++) {
            CHECK_INT_EQ(reml_function_call(context, fresh, NULL, 0, &cells[i]), OK);
            CHECK_INT_EQ(reml_ref_open(context, cells[i]), OK);
            if (i % 3 == 0) CHECK_INT_EQ(reml_ref_borrow(context, cells[i], 1), OK);
        }
        CHECK_INT_EQ(reml_embed_collect(context), OK);
        for (int i = 0; i < 40; i++) {
            CHECK_INT_EQ(state(context, cells[i]).strong, 1);
            CHECK_INT_EQ(state(context, cells[i]).exclusive, i % 3 == 0);
            CHECK_INT_EQ(reml_value_release(context, cells[i]), OK);
        }
    }
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

typedef struct elsewhere {
    reml_embed_context_t* context;
    reml_value_t value;
} elsewhere_t;

static void* release_elsewhere(void* user) {
    elsewhere_t* job = user;
    CHECK_INT_EQ(reml_value_release(job->context, job->value), OK);
    CHECK_INT_EQ(reml_ref_borrow(job->context, job->value, 0), REML_EMBED_STATUS_WRONG_THREAD);
    return NULL;
}

TEST(test_ref__a_release_of_another_thread_counts_down) {
    reml_embed_context_t* context = create();
    reml_value_t cell = global(context, "place");
    CHECK_INT_EQ(reml_ref_open(context, cell), OK);
    elsewhere_t job = {context, {0}};
    CHECK_INT_EQ(reml_ref_clone(context, cell, &job.value), OK);
    CHECK_INT_EQ(state(context, cell).strong, 2);
    pthread_t thread;
    CHECK_INT_EQ(pthread_create(&thread, NULL, release_elsewhere, &job), 0);
    CHECK_INT_EQ(pthread_join(thread, NULL), 0);
    CHECK_INT_EQ(state(context, cell).strong, 1);
    CHECK_INT_EQ(reml_value_release(context, cell), OK);
    CHECK_INT_EQ(reml_dispose_context(context), OK);
}

TEST(test_ref__a_refused_allocation_counts_nothing) {
    for (uint64_t number = 1; number < 6; number++) {
        reml_embed_context_t* context = create();
        reml_value_t cell = global(context, "place"), made;
        CHECK_INT_EQ(reml_embed_fail_allocation(context, number, 1), OK);
        reml_embed_status_t opened = reml_ref_open(context, cell);
        reml_embed_status_t cloned = opened == OK ? reml_ref_clone(context, cell, &made) : opened;
        CHECK(opened == OK || opened == REML_EMBED_STATUS_NO_MEMORY);
        CHECK(cloned == OK || cloned == REML_EMBED_STATUS_NO_MEMORY);
        CHECK_INT_EQ(reml_embed_fail_allocation(context, 0, 0), OK);
        CHECK_INT_EQ(reml_ref_open(context, cell), OK);
        CHECK_INT_EQ(state(context, cell).strong, cloned == OK ? 2 : 1);
        CHECK_INT_EQ(reml_dispose_context(context), OK);
    }
}

int main(int argc, char** argv) {
    static const test_t tests[] = {
        RUN(test_ref__handles_of_one_cell_are_counted_together),
        RUN(test_ref__many_read_or_one_writes),
        RUN(test_ref__what_is_no_counted_cell_is_refused),
        RUN(test_ref__a_counted_handle_keeps_its_cell_and_collections_change_nothing),
        RUN(test_ref__a_release_of_another_thread_counts_down),
        RUN(test_ref__a_refused_allocation_counts_nothing),
    };
    return check_main(tests, sizeof tests / sizeof *tests, argc, argv);
}
