/* Str functions that need Unicode's tables: grapheme clusters, normal forms, width (LANGUAGE 8.7). ASCII text needs none. */
#include "base/unicode.h"

#include "base/normalize.h"
#include "vm/builtin.h"
#include "vm/core/list.h"
#include "vm/string.h"

#define BUILTIN(id, name, function, uses)                                                                              \
    rl_outcome_t function(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site);
#include "vm/core/unicode.def"
#undef BUILTIN

#define FN(name) rl_outcome_t name(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site)
#define TEXT(i)  rl_string_str(args[i].o)
#define IS_ASCII(i) rl_string_is_ascii((rl_string_t*)args[i].o)

static rl_outcome_t give_int(rl_word_t* result, int64_t value) {
    result->i = value;
    return RL_DONE;
}

/* A result that is the argument itself has a second owner from now on. */
static rl_outcome_t give_same(rl_word_t* result, rl_object_t* object) {
    rl_share(object);
    result->o = object;
    return RL_DONE;
}

static size_t cluster_at(rl_str_t text, size_t at) {
    unsigned char here = (unsigned char)text.data[at];
    if (here < 0x80 && here != '\r' && at + 1 < text.length && (unsigned char)text.data[at + 1] < 0x80) return 1;
    return rl_unicode_grapheme(text, at);
}

FN(rl_str_grapheme_len) {
    (void)site;
    rl_str_t text = TEXT(0);
    if (!rl_vm_charge(vm, 1 + text.length)) return RL_RAISE;
    int64_t count = 0;
    for (size_t at = 0; at < text.length; at += cluster_at(text, at)) count++;
    return give_int(result, count);
}

FN(rl_str_graphemes) {
    (void)site;
    rl_str_t text = TEXT(0);
    RL_VEC(rl_word_t) items = {0};
    rl_outcome_t outcome = RL_COLLECT;
    rl_object_t* list = NULL;
    if (!rl_vm_charge(vm, 1 + text.length)) return RL_RAISE;
    size_t at = 0;
    while (at < text.length) {
        size_t length = cluster_at(text, at);
        rl_word_t word = {.o = rl_string_slice(vm, args[0].o, at, length)};
        if (!word.o || !rl_vec_push(vm->allocator, &items, word)) break;
        at += length;
    }
    if (at == text.length) outcome = rl_list_from_words(vm, RL_ELEM_REF, items.data, items.count, &list);
    rl_vec_deinit(vm->allocator, &items);
    result->o = list;
    return outcome;
}

/* The clusters of a range with step 1, clamped. */
FN(rl_str_grapheme_slice) {
    (void)site;
    rl_str_t text = TEXT(0);
    const rl_word_t* range = rl_object_words(args[1].o);
    int64_t from = range[0].i < 0 ? 0 : range[0].i, to = range[1].i, index = 0;
    if (range[2].i && to < INT64_MAX) to++;
    size_t at = 0, start = 0;
    if (!rl_vm_charge(vm, 1 + text.length)) return RL_RAISE;
    for (; at < text.length && index < from; index++) at += cluster_at(text, at);
    for (start = at; at < text.length && index < to; index++) at += cluster_at(text, at);
    if (start == 0 && at == text.length) return give_same(result, args[0].o);
    result->o = rl_string_slice(vm, args[0].o, start, at - start);
    return result->o ? RL_DONE : RL_COLLECT;
}

FN(rl_range_step) {
    (void)vm, (void)site;
    return give_int(result, rl_object_words(args[0].o)[3].i);
}

FN(rl_str_normalize) {
    (void)site;
    rl_str_t text = TEXT(0);
    rl_normal_form_t form = (rl_normal_form_t)args[1].i;
    if (IS_ASCII(0)) return give_same(result, args[0].o);
    if (!rl_vm_charge(vm, 1 + text.length / 2)) return RL_RAISE;
    if (rl_is_normalized(text, form)) return give_same(result, args[0].o);
    rl_buf_t buf;
    rl_buf_init(&buf, vm->allocator);
    buf.limit = vm->limits.string_bytes;
    (void)rl_normalize(text, form, &buf);
    rl_outcome_t outcome = rl_string_from_buf(vm, &buf, RL_OBJ_STR, &result->o);
    rl_buf_deinit(&buf);
    return outcome;
}

FN(rl_str_is_normalized) {
    (void)site;
    if (!IS_ASCII(0) && !rl_vm_charge(vm, 1 + TEXT(0).length / 4)) return RL_RAISE;
    return give_int(result, IS_ASCII(0) || rl_is_normalized(TEXT(0), (rl_normal_form_t)args[1].i));
}

FN(rl_str_display_width) {
    (void)site;
    rl_str_t text = TEXT(0);
    if (!rl_vm_charge(vm, 1 + text.length)) return RL_RAISE;
    int64_t cells = 0;
    for (size_t at = 0; at < text.length;) {
        size_t length = cluster_at(text, at);
        cells += rl_unicode_cluster_cells((rl_str_t){text.data + at, length});
        at += length;
    }
    return give_int(result, cells);
}

FN(rl_str_eq_bytes) {
    (void)site;
    rl_str_t a = TEXT(0), b = TEXT(1);
    if (!rl_vm_charge(vm, 1 + a.length / 16)) return RL_RAISE;
    return give_int(result, a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0));
}
