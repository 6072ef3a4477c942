/* What a program may see of its surroundings: arguments and variables, as the host has given them (LANGUAGE 8.9). */
#include "base/utf8.h"
#include "host/context.h"

static bool copy_text(rl_context_t* context, rl_arena_t* arena, const char* text, rl_texts_t* out) {
    rl_str_t copy = rl_arena_copy(arena, rl_str(text));
    return (copy.data || copy.length == 0) && rl_vec_push(&context->allocator, out, copy);
}

static bool is_text(const char* text) {
    rl_str_t bytes = rl_str(text);
    return rl_utf8_validate(bytes) == bytes.length;
}

static reml_embed_status_t replace(rl_context_t* context, rl_surroundings_t* old, rl_surroundings_t* made, bool ok) {
    if (!ok) {
        rl_surroundings_deinit(context, made);
        return rl_context_no_memory(context);
    }
    rl_surroundings_deinit(context, old);
    *old = *made;
    return REML_EMBED_STATUS_OK;
}

void rl_surroundings_init(rl_context_t* context, rl_surroundings_t* surroundings) {
    *surroundings = (rl_surroundings_t){.others_denied = true};
    rl_arena_init(&surroundings->arena, &context->allocator);
}

void rl_surroundings_deinit(rl_context_t* context, rl_surroundings_t* surroundings) {
    rl_vec_deinit(&context->allocator, &surroundings->texts);
    rl_arena_deinit(&surroundings->arena);
}

reml_embed_status_t reml_embed_set_args(reml_embed_context_t* id, const char* const* args, size_t count) {
    RL_ENTER(id, context);
    if (context->depth)
        return rl_context_fail(context, REML_EMBED_STATUS_BUSY, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT,
            "arguments cannot change during a run");
    for (size_t i = 0; i < count; i++) {
        if (!args || !args[i] || !is_text(args[i])) {
            return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT,
                "argument %zu of the program is no UTF-8 text", i);
        }
    }
    rl_surroundings_t made;
    rl_surroundings_init(context, &made);
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) ok = copy_text(context, &made.arena, args[i], &made.texts);
    return replace(context, &context->arguments, &made, ok);
}

reml_embed_status_t reml_embed_set_variables(
    reml_embed_context_t* id, const char* const* names, const char* const* values, size_t count, int deny_others) {
    RL_ENTER(id, context);
    if (context->depth)
        return rl_context_fail(context, REML_EMBED_STATUS_BUSY, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT,
            "variables cannot change during a run");
    for (size_t i = 0; i < count; i++) {
        if (!names || !values || !names[i] || !values[i] || !is_text(names[i])) {
            return rl_context_fail(context, REML_EMBED_STATUS_INVALID_ARGUMENT, RL_CODE_NATIVE_EMBED_INVALID_ARGUMENT,
                "variable %zu has no name or no value", i);
        }
    }
    rl_surroundings_t made;
    rl_surroundings_init(context, &made);
    made.others_denied = deny_others != 0;
    bool ok = true;
    for (size_t i = 0; i < count && ok; i++) {
        ok = copy_text(context, &made.arena, names[i], &made.texts) &&
             copy_text(context, &made.arena, values[i], &made.texts);
    }
    return replace(context, &context->variables, &made, ok);
}

rl_environment_t rl_host_environment(void* host, rl_str_t name, rl_str_t* out_value) {
    const rl_context_t* context = host;
    const rl_texts_t* texts = &context->variables.texts;
    for (uint32_t i = texts->count; i >= 2; i -= 2) { /* the last of a name counts */
        if (!rl_str_equal(texts->data[i - 2], name)) continue;
        *out_value = texts->data[i - 1];
        return RL_ENVIRONMENT_VALUE;
    }
    return context->variables.others_denied ? RL_ENVIRONMENT_DENIED : RL_ENVIRONMENT_UNSET;
}

bool rl_host_argument(void* host, size_t index, rl_str_t* out) {
    const rl_context_t* context = host;
    if (index >= context->arguments.texts.count) return false;
    *out = context->arguments.texts.data[index];
    return true;
}
