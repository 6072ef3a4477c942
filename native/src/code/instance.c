#include "code/emit_internal.h"

/* The table of instances of one context, and the queue of those still to be compiled. */

void rl_compiler_init(rl_compiler_t* compiler, rl_program_t* program, rl_allocator_t* allocator) {
    *compiler = (rl_compiler_t){
        .program = program, .allocator = allocator, .instance_limit = 10000, .depth_limit = RL_TYPE_DEPTH_LIMIT};
    rl_arena_init(&compiler->arena, allocator);
}

void rl_compiler_deinit(rl_compiler_t* compiler) {
    rl_allocator_t* allocator = compiler->allocator;
    rl_vec_deinit(allocator, &compiler->instances);
    rl_vec_deinit(allocator, &compiler->arguments);
    rl_vec_deinit(allocator, &compiler->pending);
    rl_vec_deinit(allocator, &compiler->rtypes);
    rl_vec_deinit(allocator, &compiler->notes);
    rl_vec_deinit(allocator, &compiler->layouts);
    rl_vec_deinit(allocator, &compiler->strings);
    rl_vec_deinit(allocator, &compiler->borrow_masks);
    rl_vec_deinit(allocator, &compiler->borrow_nodes);
    rl_emitter_free(allocator, compiler->emitter);
    rl_map_deinit(allocator, &compiler->instance_map);
    rl_map_deinit(allocator, &compiler->rtype_map);
    rl_map_deinit(allocator, &compiler->layout_map);
    rl_map_deinit(allocator, &compiler->string_map);
    rl_map_deinit(allocator, &compiler->borrow_map);
    rl_map_deinit(allocator, &compiler->inline_map);
    rl_map_deinit(allocator, &compiler->text_map);
    rl_map_deinit(allocator, &compiler->holder_map);
    rl_map_deinit(allocator, &compiler->held_map);
    rl_arena_deinit(&compiler->arena);
}

static uint64_t key_of(rl_fn_id_t function, const rl_type_t* args, uint32_t count, bool as_value) {
    uint64_t seed = rl_hash_mix((uint64_t)function << 1 | as_value, count);
    return count ? rl_hash_bytes(args, sizeof(rl_type_t) * count, seed) : seed;
}

static bool is_instance(rl_compiler_t* compiler, uint32_t index, rl_fn_id_t function, const rl_type_t* args,
    uint32_t count, bool as_value) {
    const rl_instance_t* instance = &compiler->instances.data[index];
    return instance->function == function && instance->as_value == as_value && instance->argument_count == count &&
           (count == 0 ||
               memcmp(compiler->arguments.data + instance->argument_first, args, sizeof(rl_type_t) * count) == 0);
}

/* Not type parameters that the function does not have: what a caller passes is cut to the function's own list. */
rl_proto_t* rl_instance_of(rl_compiler_t* compiler, rl_fn_id_t function, const rl_type_t* args, uint32_t count,
    bool as_value, uint32_t asked_by) {
    rl_allocator_t* allocator = compiler->allocator;
    uint64_t key = key_of(function, args, count, as_value);
    uint32_t first = 0;
    if (rl_map_get(&compiler->instance_map, key, &first)) {
        for (uint32_t i = first; i; i = compiler->instances.data[i].next) {
            if (is_instance(compiler, i, function, args, count, as_value)) return compiler->instances.data[i].proto;
        }
    }
    if (compiler->instances.count == 0 && !rl_vec_push(allocator, &compiler->instances, (rl_instance_t){0}))
        return NULL;
    bool too_deep = compiler->program->types.too_deep;
    for (uint32_t i = 0; i < count; i++)
        too_deep = too_deep || rl_type_node(&compiler->program->types, args[i])->depth > compiler->depth_limit;
    /* What the source spells out is bounded by its length; only instances of generic functions can run away. */
    if (too_deep || (count && compiler->generic_instances >= compiler->instance_limit)) {
        rl_compile_fail(compiler, RL_CODE_TYPE_INSTANTIATION_LIMIT, function);
        return NULL;
    }
    rl_proto_t* proto = rl_arena_alloc(&compiler->arena, sizeof *proto);
    if (!proto || !rl_vec_reserve(allocator, &compiler->arguments, count + 1) ||
        !rl_vec_reserve(allocator, &compiler->instances, 1) || !rl_vec_reserve(allocator, &compiler->pending, 1))
        return NULL;
    uint32_t index = compiler->instances.count;
    if (!rl_map_put(allocator, &compiler->instance_map, key, index)) return NULL;
    rl_instance_t instance = {.function = function,
        .as_value = as_value,
        .argument_first = compiler->arguments.count,
        .argument_count = count,
        .proto = proto,
        .next = first,
        .depth = asked_by ? compiler->instances.data[asked_by].depth + 1 : 0,
        .asked_by = asked_by,
        .asked_at = compiler->asking_at};
    for (uint32_t i = 0; i < count; i++) compiler->arguments.data[compiler->arguments.count++] = args[i];
    compiler->instances.data[compiler->instances.count++] = instance;
    compiler->generic_instances += count > 0;
    compiler->pending.data[compiler->pending.count++] = index;
    proto->function = function;
    proto->has_env = as_value;
    return proto;
}

/* Forget the instances made since: what failed half way must not be found again. */
static void take_back(rl_compiler_t* compiler, uint32_t count, uint32_t argument_count) {
    while (compiler->instances.count > count) {
        rl_instance_t instance = rl_vec_pop(&compiler->instances);
        compiler->generic_instances -= instance.argument_count > 0;
        uint64_t key = key_of(instance.function, compiler->arguments.data + instance.argument_first,
            instance.argument_count, instance.as_value);
        if (instance.next) (void)rl_map_put(compiler->allocator, &compiler->instance_map, key, instance.next);
        else rl_map_remove(&compiler->instance_map, key);
    }
    compiler->arguments.count = argument_count;
    compiler->pending.count = 0;
}

bool rl_compile_pending(rl_compiler_t* compiler) {
    bool outer = compiler->compiling, ok = true;
    compiler->compiling = true;
    while (ok && compiler->pending.count) {
        uint32_t next = rl_vec_pop(&compiler->pending);
        ok = rl_emit_function(compiler, next);
#ifdef RL_DEBUG
        if (ok) {
            rl_buf_t why;
            rl_buf_init(&why, compiler->allocator);
            RL_ASSERT(rl_verify(compiler->instances.data[next].proto, &why), rl_buf_cstr(&why));
            rl_buf_deinit(&why);
        }
#endif
        if (ok) compiler->instances.data[next].done = true;
    }
    compiler->compiling = outer;
    if (!outer) {
        rl_emitter_free(compiler->allocator, compiler->emitter);
        compiler->emitter = NULL;
        rl_vec_deinit(compiler->allocator, &compiler->borrow_nodes);
    }
    return ok;
}

rl_proto_t* rl_compile(
    rl_compiler_t* compiler, rl_fn_id_t function, const rl_type_t* arguments, uint32_t count, bool as_value) {
    compiler->failed = false;
    compiler->failed_module = 0;
    compiler->program->types.too_deep = false;
    uint32_t known = compiler->instances.count, known_arguments = compiler->arguments.count,
             known_rtypes = compiler->rtypes.count;
    rl_proto_t* proto = rl_instance_of(compiler, function, arguments, count, as_value, 0);
    bool ok = proto != NULL && rl_compile_pending(compiler);
    compiler->program->types.too_deep = false;
    if (ok) return proto;
    take_back(compiler, known, known_arguments);
    rl_forget_rtypes(compiler, known_rtypes); /* they may name instances that are gone */
    /* Neither memory nor a limit: a mistake of ours; say something rather than nothing. */
    if (!compiler->allocator->failed) rl_compile_fail(compiler, RL_CODE_TYPE_INSTANTIATION_LIMIT, function);
    return NULL;
}
