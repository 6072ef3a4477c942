/*
 * reml_ref.h: the state of cells that have counted handles, found by the cell's address: a counted handle is a root, and objects do not
 * move. A row of handles knows that it is counted; whatever frees it counts down (handles.c).
 */
#include "host/context.h"
#include "reml_ref.h"

static uint64_t key_of(const rl_object_t* object) { return (uint64_t)(uintptr_t)object; }

static rl_cell_t* find(rl_context_t* context, const rl_handle_t* handle) {
    uint32_t row;
    if (!handle->counted || !rl_map_get(&context->cells.by_object, key_of(handle->word.o), &row)) return NULL;
    return &context->cells.rows.data[row];
}

static reml_embed_status_t refuse(rl_context_t* context, const char* why) {
    return rl_context_fail(
        context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT, "%s", why);
}

/* The row for a cell that has none yet; false: memory. */
static bool add(rl_context_t* context, rl_object_t* object) {
    rl_cells_t* cells = &context->cells;
    uint32_t row = cells->rows.count, next = 0;
    if (cells->free_row) {
        row = cells->free_row - 1;
        next = cells->rows.data[row].next_free;
    } else if (!rl_vec_push(&context->allocator, &cells->rows, (rl_cell_t){0})) {
        return false;
    }
    if (!rl_map_put(&context->allocator, &cells->by_object, key_of(object), row)) {
        if (row + 1 == cells->rows.count && !cells->free_row) cells->rows.count--;
        return false;
    }
    cells->free_row = next;
    cells->rows.data[row] = (rl_cell_t){0};
    return true;
}

void rl_cell_leave(rl_context_t* context, rl_handle_t* handle) {
    rl_cell_t* cell = find(context, handle);
    handle->counted = false;
    if (!cell || --cell->strong) return;
    rl_map_remove(&context->cells.by_object, key_of(handle->word.o));
    cell->next_free = context->cells.free_row;
    context->cells.free_row = (uint32_t)(cell - context->cells.rows.data) + 1;
}

void rl_cells_deinit(rl_context_t* context) {
    rl_vec_deinit(&context->allocator, &context->cells.rows);
    rl_map_deinit(&context->allocator, &context->cells.by_object);
    context->cells.free_row = 0;
}

/* The handle of a cell, counted or not. */
static reml_embed_status_t use(
    rl_context_t* context, reml_value_t value, const char* symbol, rl_handle_t** out_handle) {
    rl_context_clear_error(context);
    reml_embed_status_t status = rl_handle_use(context, value, symbol, out_handle);
    if (status != REML_EMBED_STATUS_OK) return status;
    return rl_kind_of((*out_handle)->type) == REML_KIND_CELL ? REML_EMBED_STATUS_OK
                                                             : refuse(context, "value is no cell");
}

static reml_embed_status_t use_counted(
    rl_context_t* context, reml_value_t value, const char* symbol, rl_cell_t** out_cell) {
    rl_handle_t* handle;
    rl_take_remote_releases(context);
    reml_embed_status_t status = use(context, value, symbol, &handle);
    if (status != REML_EMBED_STATUS_OK) return status;
    *out_cell = find(context, handle);
    return *out_cell ? REML_EMBED_STATUS_OK : refuse(context, "the handle of the cell is not counted");
}

reml_embed_status_t reml_ref_open(reml_embed_context_t* id, reml_value_t value) {
    RL_ENTER(id, context);
    rl_handle_t* handle;
    reml_embed_status_t status = use(context, value, "reml_ref_open", &handle);
    if (status != REML_EMBED_STATUS_OK || handle->counted) return status;
    uint32_t row;
    if (!rl_map_get(&context->cells.by_object, key_of(handle->word.o), &row) && !add(context, handle->word.o))
        return rl_context_no_memory(context);
    handle->counted = true;
    find(context, handle)->strong++;
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_ref_clone(reml_embed_context_t* id, reml_value_t value, reml_value_t* out_value) {
    RL_ENTER(id, context);
    if (!out_value) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    *out_value = (reml_value_t){0};
    rl_cell_t* cell;
    rl_handle_t* handle;
    reml_embed_status_t status = use_counted(context, value, "reml_ref_clone", &cell);
    if (status != REML_EMBED_STATUS_OK) return status;
    status = rl_handle_find(context, value, &handle);
    if (status != REML_EMBED_STATUS_OK) return status;
    if (cell->strong == UINT32_MAX) return rl_context_no_memory(context);
    reml_value_t made = rl_handle_new(context, handle->type, handle->word, false);
    if (made.kind == REML_KIND_NONE) return rl_context_no_memory(context);
    context->handles.data[(uint32_t)made.bits].counted = true;
    cell->strong++;
    cell->clones++;
    *out_value = made;
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_ref_borrow(reml_embed_context_t* id, reml_value_t value, int exclusive) {
    RL_ENTER(id, context);
    rl_cell_t* cell;
    reml_embed_status_t status = use_counted(context, value, "reml_ref_borrow", &cell);
    if (status != REML_EMBED_STATUS_OK) return status;
    if (cell->poisoned)
        return rl_context_fail(
            context, REML_EMBED_STATUS_ERROR, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT, "the cell is poisoned");
    if (cell->exclusive || (exclusive && cell->shared) || cell->shared == UINT32_MAX)
        return rl_context_fail(
            context, REML_EMBED_STATUS_BUSY, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT, "the cell is borrowed");
    if (exclusive) cell->exclusive = true;
    else cell->shared++;
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_ref_return(reml_embed_context_t* id, reml_value_t value, int exclusive, int poison) {
    RL_ENTER(id, context);
    rl_cell_t* cell;
    reml_embed_status_t status = use_counted(context, value, "reml_ref_return", &cell);
    if (status != REML_EMBED_STATUS_OK) return status;
    if (exclusive ? !cell->exclusive : !cell->shared) return refuse(context, "there is no such borrow of the cell");
    if (exclusive) cell->exclusive = false;
    else cell->shared--;
    if (exclusive && poison) cell->poisoned = true;
    return REML_EMBED_STATUS_OK;
}

reml_embed_status_t reml_ref_state(reml_embed_context_t* id, reml_value_t value, reml_ref_state_t* out) {
    RL_ENTER(id, context);
    if (!out || out->struct_size < 2 * sizeof(uint32_t)) return REML_EMBED_STATUS_INVALID_ARGUMENT;
    rl_cell_t* cell;
    reml_embed_status_t status = use_counted(context, value, "reml_ref_state", &cell);
    if (status != REML_EMBED_STATUS_OK) return status;
    reml_ref_state_t state = REML_REF_STATE_INIT;
    state.strong = cell->strong;
    state.shared = cell->shared;
    state.exclusive = cell->exclusive;
    state.poisoned = cell->poisoned;
    state.clones = cell->clones;
    state.struct_size = out->struct_size;
    memcpy(out, &state, out->struct_size < sizeof state ? out->struct_size : sizeof state);
    return REML_EMBED_STATUS_OK;
}
