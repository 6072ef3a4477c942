/*
 * What scripts do with host pointers: look whether they are there, and read buffers within their bounds. Every reading asks first
 * whether the memory is still lent; a refusal is a panic ffi.wrap.ownership_violation, and the host records it.
 */
#include "vm/foreign.h"

#include "vm/builtin.h"
#include "vm/string.h"
#include "vm/vm.h"

#define BUILTIN(id, name, function, uses)                                                                              \
    rl_outcome_t function(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site);
#include "vm/core/foreign.def"
#undef BUILTIN

#define FN(name) rl_outcome_t name(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site)

static rl_outcome_t refuse(rl_vm_t* vm, const char* symbol, const char* reason) {
    if (vm->ownership_violation) vm->ownership_violation(vm->host, symbol, reason);
    return rl_vm_raise(vm, RL_CODE_FFI_WRAP_OWNERSHIP_VIOLATION, "%s: %s", symbol, reason);
}

/* The record of a buffer that may be read; NULL: refused, *out is what the builtin answers. */
static const rl_foreign_t* readable(rl_vm_t* vm, rl_object_t* object, const char* symbol, rl_outcome_t* out) {
    const rl_foreign_t* foreign = rl_foreign_of(object);
    if (RL_LIKELY(foreign && !rl_foreign_is_over(foreign, vm->foreign_epoch))) return foreign;
    *out = refuse(vm, symbol, foreign ? rl_foreign_reason(foreign) : "it is no buffer");
    return NULL;
}

FN(rl_foreign_is_null) {
    (void)vm, (void)site;
    const rl_foreign_t* foreign = rl_foreign_of(args[0].o);
    result->u = (foreign ? foreign->data : rl_object_words(args[0].o)->p) == NULL;
    return RL_DONE;
}
FN(rl_foreign_is_alive) {
    (void)site;
    const rl_foreign_t* foreign = rl_foreign_of(args[0].o);
    result->u = !foreign || !rl_foreign_is_over(foreign, vm->foreign_epoch);
    return RL_DONE;
}
FN(rl_foreign_pointer) {
    (void)vm, (void)site;
    rl_share(args[0].o);
    *result = args[0];
    return RL_DONE;
}
FN(rl_foreign_len) {
    (void)site;
    rl_outcome_t refused;
    const rl_foreign_t* foreign = readable(vm, args[0].o, "ForeignBuffer.len", &refused);
    if (!foreign) return refused;
    result->i = (int64_t)foreign->length;
    return RL_DONE;
}
FN(rl_foreign_slice) {
    (void)site;
    rl_outcome_t refused;
    const rl_foreign_t* foreign = readable(vm, args[0].o, "ForeignBuffer.slice", &refused);
    if (!foreign) return refused;
    size_t from = args[1].i < 0 ? 0 : (size_t)args[1].i, to = args[2].i < 0 ? 0 : (size_t)args[2].i;
    if (to > foreign->length) to = foreign->length;
    if (from > to) from = to;
    if (to - from > vm->limits.string_bytes || to - from > UINT32_MAX - 64) return rl_string_too_long(vm);
    if (!rl_vm_charge(vm, 1 + (to - from) / 16)) return RL_RAISE;
    const char* data = to > from ? (const char*)foreign->data + from : "";
    result->o = rl_string_new(vm, (rl_str_t){data, to - from}, RL_OBJ_BYTES);
    return result->o ? RL_DONE : RL_COLLECT;
}

/* Address of element `index` of `size` bytes; NULL: refused or out of range. */
static const unsigned char* element(
    rl_vm_t* vm, const rl_word_t* args, const char* symbol, size_t size, rl_outcome_t* refused) {
    const rl_foreign_t* foreign = readable(vm, args[0].o, symbol, refused);
    if (!foreign) return NULL;
    size_t count = foreign->length / size;
    if (args[1].i >= 0 && (uint64_t)args[1].i < count)
        return (const unsigned char*)foreign->data + (size_t)args[1].i * size;
    *refused = rl_vm_raise_index(vm, args[1].i, count);
    return NULL;
}

/* Elements lie as C lays them, at any address: copied, not followed. */
FN(rl_foreign_int) {
    (void)site;
    rl_outcome_t refused;
    size_t size = args[2].i == 8 ? 8 : args[2].i == 4 ? 4 : 1;
    const unsigned char* at = element(vm, args, "ForeignBuffer.get", size, &refused);
    if (!at) return refused;
    int32_t narrow;
    if (size == 8) memcpy(&result->i, at, 8);
    else if (size == 4) memcpy(&narrow, at, 4), result->i = narrow;
    else result->i = *at;
    return RL_DONE;
}
FN(rl_foreign_float) {
    (void)site;
    rl_outcome_t refused;
    size_t size = args[2].i == 4 ? 4 : 8;
    const unsigned char* at = element(vm, args, "ForeignBuffer.get", size, &refused);
    if (!at) return refused;
    float narrow;
    if (size == 8) memcpy(&result->f, at, 8);
    else memcpy(&narrow, at, 4), result->f = (double)narrow;
    return RL_DONE;
}
