/* Editions: what of a context belongs to one version of its modules, taken out and put back as it is. See reload.h. */
#include "host/reload.h"

#include "host/program.h"

static void swap_bytes(void* a, void* b, size_t size) {
    char piece[256], *left = a, *right = b;
    while (size) {
        size_t part = size < sizeof piece ? size : sizeof piece;
        memcpy(piece, left, part);
        memcpy(left, right, part);
        memcpy(right, piece, part);
        left += part;
        right += part;
        size -= part;
    }
}

#define PART(name)                                                                                                     \
    _Static_assert(sizeof(((rl_context_t*)0)->name) == sizeof(((rl_edition_t*)0)->name), "a part of an edition");
RL_EDITION_PARTS(PART)
#undef PART

void rl_edition_exchange(rl_context_t* context, rl_edition_t* edition) {
    context->direct = false;
#define PART(name) swap_bytes(&context->name, &edition->name, sizeof context->name);
    RL_EDITION_PARTS(PART)
#undef PART
}

void rl_edition_connect(rl_context_t* context) {
    context->vm.poll_interval = RL_POLL_INTERVAL;
    rl_heap_watch(&context->vm.heap, false);
    rl_context_connect(context);
    rl_context_apply_limits(context);
    rl_profile_follow(context);
}

void rl_edition_settle(rl_context_t* context, const rl_edition_t* aside) {
    rl_vm_t* vm = &context->vm;
    rl_edition_connect(context);
    vm->started_ns = aside->vm.started_ns;
    if (vm->foreign_epoch < aside->vm.foreign_epoch) vm->foreign_epoch = aside->vm.foreign_epoch;
    /* Counters go on. */
    rl_heap_stats_t *now = &vm->heap.stats, before = aside->vm.heap.stats;
    now->collections = before.collections;
    now->steps = before.steps;
    now->freed_objects = before.freed_objects;
    now->allocated_bytes = before.allocated_bytes;
    now->pause_ns_max = before.pause_ns_max;
    now->pause_ns_total = before.pause_ns_total;
    now->pause_ns_last = before.pause_ns_last;
}

bool rl_edition_make(rl_context_t* context, const rl_edition_t* aside) {
    rl_allocator_t* allocator = &context->allocator;
    rl_program_init(&context->program, aside->program.below, allocator);
    rl_buf_init(&context->history, allocator);
    context->history_extent = rl_program_extent(&context->program);
    rl_compiler_init(&context->compiler, &context->program, allocator);
    bool made = rl_vm_init(&context->vm, allocator, &context->program);
    rl_edition_settle(context, aside);
    memcpy(
        context->vm.hash_secret, aside->vm.hash_secret, sizeof aside->vm.hash_secret); /* tables go over as they are */
    context->type_serial = rl_slot_serial();
    return made && !allocator->failed;
}

void rl_edition_clear(rl_context_t* context) {
    rl_vm_deinit(&context->vm);
    rl_compiler_deinit(&context->compiler);
    rl_program_deinit(&context->program);
    rl_image_leave(context);
    rl_buf_deinit(&context->history);
    rl_vec_deinit(&context->allocator, &context->module_states);
    rl_vec_deinit(&context->allocator, &context->effect_guards);
    context->modules_ready = 0;
    context->loaded = false;
}

void rl_edition_free(rl_context_t* context, rl_edition_t* edition) {
    rl_edition_exchange(context, edition);
    rl_edition_clear(context);
    rl_edition_exchange(context, edition);
    rl_edition_free_empty(context, edition);
}

void rl_edition_free_empty(rl_context_t* context, rl_edition_t* edition) {
    rl_profile_forget_code(context);
    rl_held_deinit(context, &edition->held);
    rl_vec_deinit(&context->allocator, &edition->names);
    rl_free(&context->allocator, edition, sizeof *edition);
}

/* --- names ------------------------------------------------------------------------------------------------------------ */

typedef bool (*name_fn)(rl_sym_t* name, void* user);

static bool each_name(rl_context_t* context, name_fn each, void* user) {
    bool fine = true;
    for (uint32_t i = 0; i < context->bindings.count && fine; i++)
        fine = each(&context->bindings.data[i]->symbol, user);
    for (uint32_t i = 0; i < context->effects.handlers.count && fine; i++) {
        rl_host_handler_t* handler = &context->effects.handlers.data[i];
        fine = each(&handler->effect, user) && each(&handler->module, user);
        for (uint32_t k = 0; k < handler->count && fine; k++) fine = each(&handler->operations[k].name, user);
    }
    return fine;
}

typedef struct naming {
    rl_context_t* context;
    rl_edition_t* edition;
    const rl_edition_t* aside;
    uint32_t at;
} naming_t;

static bool keep_name(rl_sym_t* name, void* user) {
    naming_t* n = user;
    return rl_vec_push(&n->context->allocator, &n->edition->names, *name);
}
static bool move_name(rl_sym_t* name, void* user) {
    naming_t* n = user;
    if (*name) *name = rl_sym_intern(&n->context->program.symbols, rl_sym_text(&n->aside->program.symbols, *name));
    return !n->context->allocator.failed;
}
static bool restore_name(rl_sym_t* name, void* user) {
    naming_t* n = user;
    *name = n->aside->names.data[n->at++];
    return true;
}

bool rl_edition_keep_names(rl_context_t* context, rl_edition_t* edition) {
    naming_t n = {.context = context, .edition = edition};
    edition->names.count = 0;
    return each_name(context, keep_name, &n);
}
bool rl_edition_move_names(rl_context_t* context, const rl_edition_t* aside) {
    naming_t n = {.context = context, .aside = aside};
    return each_name(context, move_name, &n);
}
void rl_edition_restore_names(rl_context_t* context, const rl_edition_t* edition) {
    naming_t n = {.context = context, .aside = edition};
    (void)each_name(context, restore_name, &n);
}

/* --- what the host holds ---------------------------------------------------------------------------------------------- */

static uint64_t key_of(rl_word_t word) { return (uint64_t)(uintptr_t)word.o; }

bool rl_held_keep(rl_context_t* context, rl_held_t* out) {
    rl_allocator_t* allocator = &context->allocator;
    if (!rl_vec_reserve(allocator, &out->values, context->handles.count + 1) ||
        !rl_vec_reserve(allocator, &out->functions, context->functions.count + 1))
        return false;
    for (uint32_t i = 0; i < context->handles.count; i++) {
        const rl_handle_t* handle = &context->handles.data[i];
        uint32_t generation = handle->type ? handle->generation : 0;
        out->values.data[out->values.count++] = (rl_held_value_t){generation, handle->type, handle->word};
    }
    for (uint32_t i = 0; i < context->functions.count; i++) {
        const rl_function_entry_t* entry = context->functions.data[i];
        uint32_t generation = entry->proto ? entry->generation : 0;
        out->functions.data[out->functions.count++] = (rl_held_function_t){generation, entry->proto, entry->closure};
    }
    return true;
}

void rl_held_deinit(rl_context_t* context, rl_held_t* held) {
    rl_vec_deinit(&context->allocator, &held->values);
    rl_vec_deinit(&context->allocator, &held->functions);
    rl_map_deinit(&context->allocator, &held->cells);
}

static void set_function(rl_function_entry_t* entry, const rl_held_function_t* held) {
    if (held->proto) rl_function_fill(entry, held->proto, held->closure);
    else entry->proto = NULL, entry->closure = NULL, entry->direct_count = UINT32_MAX;
}

void rl_held_use(rl_context_t* context, rl_held_t* fresh, rl_held_t* before) {
    for (uint32_t i = 1; i < fresh->values.count; i++) {
        if (!fresh->values.data[i].generation) continue;
        context->handles.data[i].type = fresh->values.data[i].type;
        context->handles.data[i].word = fresh->values.data[i].word;
    }
    for (uint32_t i = 1; i < fresh->functions.count; i++) {
        if (fresh->functions.data[i].generation) set_function(context->functions.data[i], &fresh->functions.data[i]);
    }
    before->cells = context->cells.by_object;
    context->cells.by_object = fresh->cells;
    fresh->cells = (rl_map_t){0};
}

void rl_held_commit(rl_context_t* context, const rl_held_t* fresh) {
    for (uint32_t i = 1; i < fresh->values.count; i++) {
        rl_handle_t* handle = &context->handles.data[i];
        if (!fresh->values.data[i].generation || handle->generation != fresh->values.data[i].generation) continue;
        if (handle->type) continue;
        handle->counted = false;
        rl_handle_free(context, i);
    }
    for (uint32_t i = 1; i < fresh->functions.count; i++) {
        const rl_function_entry_t* entry = context->functions.data[i];
        if (!fresh->functions.data[i].generation || entry->generation != fresh->functions.data[i].generation) continue;
        if (!entry->proto) rl_function_free(context, i);
    }
}

/* No memory is asked for: the map of cells has room for all that it had. */
void rl_held_undo(rl_context_t* context, rl_held_t* before) {
    rl_map_clear(&before->cells);
    for (uint32_t i = 1; i < context->handles.count; i++) {
        rl_handle_t* handle = &context->handles.data[i];
        const rl_held_value_t* held = i < before->values.count ? &before->values.data[i] : NULL;
        if (held && held->generation && held->generation == handle->generation) {
            uint32_t row;
            if (handle->counted && rl_map_get(&context->cells.by_object, key_of(handle->word), &row))
                (void)rl_map_put(&context->allocator, &before->cells, key_of(held->word), row);
            handle->type = held->type;
            handle->word = held->word;
        } else if (handle->type) {
            rl_handle_free(context, i);
        }
    }
    for (uint32_t i = 1; i < context->functions.count; i++) {
        rl_function_entry_t* entry = context->functions.data[i];
        const rl_held_function_t* held = i < before->functions.count ? &before->functions.data[i] : NULL;
        if (held && held->generation && held->generation == entry->generation) set_function(entry, held);
        else if (entry->proto) rl_function_free(context, i);
    }
    rl_map_deinit(&context->allocator, &context->cells.by_object);
    context->cells.by_object = before->cells;
    before->cells = (rl_map_t){0};
}
