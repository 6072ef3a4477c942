/* Str and Bytes functions (LANGUAGE 8.7). Positions are code points; searching works on bytes, which UTF-8 allows. */
#include "base/normalize.h"
#include "base/unicode.h"
#include "base/utf8.h"
#include "vm/builtin.h"
#include "vm/core/collections.h"
#include "vm/core/list.h"
#include "vm/string.h"

#define BUILTIN(id, name, function, uses)                                                                              \
    rl_outcome_t function(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site);
#include "vm/core/text.def"
#undef BUILTIN

#define FN(name) rl_outcome_t name(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site)
#define TEXT(i)  rl_string_str(args[i].o)
#define STRING(i) ((rl_string_t*)args[i].o)

/* --- helpers ---------------------------------------------------------------------------------------------------------- */

static bool charge(rl_vm_t* vm, size_t bytes) { return rl_vm_charge(vm, 1 + bytes / 16); }

static rl_outcome_t give_object(rl_word_t* result, rl_object_t* object) {
    result->o = object;
    return object ? RL_DONE : RL_COLLECT;
}
static rl_outcome_t give_int(rl_word_t* result, int64_t value) {
    result->i = value;
    return RL_DONE;
}
static rl_outcome_t give_text(rl_vm_t* vm, rl_word_t* result, rl_str_t text) {
    return give_object(result, rl_string_new(vm, text, RL_OBJ_STR));
}

/* A result that is the argument itself has a second owner from now on. */
static rl_outcome_t give_same(rl_word_t* result, rl_object_t* object) {
    rl_share(object);
    result->o = object;
    return RL_DONE;
}

static rl_outcome_t give_slice(rl_vm_t* vm, rl_word_t* result, rl_object_t* source, size_t start, size_t end) {
    if (start == 0 && end == rl_string_str(source).length) return give_same(result, source);
    return give_object(result, rl_string_slice(vm, source, start, end - start));
}

/* The texts of a collection one after the other; those of a Vec or a flat List are an array. */
typedef struct text_walk {
    rl_object_t* const* array; /* NULL: the cursor */
    rl_cursor_t cursor;
} text_walk_t;

static text_walk_t walk_texts(rl_object_t* collection) {
    text_walk_t walk = {0};
    if (collection->kind == RL_OBJ_VEC) walk.array = ((const rl_vector_t*)collection)->data;
    else walk.array = (rl_object_t* const*)rl_list_array(collection);
    if (!walk.array) rl_cursor_begin(&walk.cursor, collection);
    return walk;
}

static inline rl_string_t* next_text(text_walk_t* walk) {
    if (RL_LIKELY(walk->array != NULL)) return (rl_string_t*)*walk->array++;
    rl_word_t item = {0}, unused;
    (void)rl_cursor_next(&walk->cursor, &item, &unused);
    return (rl_string_t*)item.o;
}

static bool too_long(rl_vm_t* vm, uint64_t length) {
    return length > vm->limits.string_bytes || length > UINT32_MAX - 64;
}

/* A growing list of words outside the heap; what it holds needs no roots, since nothing collects inside a builtin. */
typedef struct words {
    rl_vm_t* vm;
    RL_VEC(rl_word_t) items;
    bool refused;
} words_t;
static void words_push(words_t* words, rl_word_t word) {
    if (!rl_vec_push(words->vm->allocator, &words->items, word)) words->refused = true;
}
static rl_outcome_t words_finish(words_t* words, rl_element_t element, rl_word_t* result) {
    rl_outcome_t outcome = RL_COLLECT;
    rl_object_t* list = NULL;
    if (!words->refused) outcome = rl_list_from_words(words->vm, element, words->items.data, words->items.count, &list);
    rl_vec_deinit(words->vm->allocator, &words->items);
    result->o = list;
    return outcome;
}
/* --- length, search, positions ------------------------------------------------------------------------------------------ */

FN(rl_str_len) {
    (void)site;
    rl_string_t* s = STRING(0);
    if (s->count == RL_STRING_UNCOUNTED && !charge(vm, s->length)) return RL_RAISE;
    return give_int(result, rl_string_count(s));
}
FN(rl_str_byte_len) {
    (void)vm, (void)site;
    return give_int(result, (int64_t)TEXT(0).length);
}
FN(rl_str_starts_with) {
    (void)site;
    rl_str_t text = TEXT(0), part = TEXT(1);
    if (!charge(vm, part.length)) return RL_RAISE;
    return give_int(result, part.length <= text.length && memcmp(text.data, part.data, part.length) == 0);
}
FN(rl_str_ends_with) {
    (void)site;
    rl_str_t text = TEXT(0), part = TEXT(1);
    if (!charge(vm, part.length)) return RL_RAISE;
    return give_int(result,
        part.length <= text.length && memcmp(text.data + text.length - part.length, part.data, part.length) == 0);
}
/* Code-point index, or -1. */
FN(rl_str_find_index) {
    (void)site;
    rl_str_t text = TEXT(0), part = TEXT(1);
    size_t at = rl_find_bytes(text, part, 0);
    if (!rl_vm_charge(vm, 1 + (at == SIZE_MAX ? text.length : at) / 8 + part.length / 8)) return RL_RAISE;
    if (at == SIZE_MAX) return give_int(result, -1);
    return give_int(
        result, rl_string_is_ascii(STRING(0)) ? (int64_t)at : (int64_t)rl_utf8_count((rl_str_t){text.data, at}));
}
/* The caller has checked the index against the length. */
FN(rl_str_char_index) {
    (void)site;
    size_t at = rl_string_offset(vm, STRING(0), (uint64_t)args[1].i);
    result->u = rl_utf8_next_valid(TEXT(0).data, &at);
    return rl_vm_charge(vm, 1) ? RL_DONE : RL_RAISE;
}
static uint64_t clamp_index(int64_t index) { return index < 0 ? 0 : (uint64_t)index; }

FN(rl_str_slice) {
    (void)site;
    uint64_t from = clamp_index(args[1].i), to = clamp_index(args[2].i);
    if (to <= from) return give_text(vm, result, (rl_str_t){"", 0});
    if (!rl_vm_charge(vm, 4)) return RL_RAISE;
    rl_string_t* s = STRING(0);
    if (s->count == RL_STRING_UNCOUNTED && !charge(vm, s->length)) return RL_RAISE;
    uint64_t count = rl_string_count(s);
    if (to > count) to = count;
    if (from >= to) return give_text(vm, result, (rl_str_t){"", 0});
    size_t start = rl_string_offset(vm, s, from), end = to == count ? s->length : rl_string_offset(vm, s, to);
    if (start == 0 && end == s->length) return give_same(result, args[0].o);
    return give_object(result, rl_string_slice_points(vm, args[0].o, start, end - start, from, to - from));
}

/* --- building ------------------------------------------------------------------------------------------------------------- */

FN(rl_str_concat) {
    if (site->arg_count > 2) return rl_string_concat(vm, args, site->arg_count, &result->o);
    return rl_string_append(vm, args[0].o, TEXT(1), rl_string_is_ascii(STRING(1)), &result->o);
}

/* A List<Str> or Vec<Str> and a separator. Two walks: the length is known, and refused, before anything is made. */
FN(rl_str_join) {
    (void)site;
    rl_str_t separator = TEXT(1);
    uint32_t count = rl_collection_length(args[0].o);
    unsigned tags = count > 1 ? STRING(1)->header.tag : RL_STR_ASCII;
    uint64_t total = count ? (uint64_t)(count - 1) * separator.length : 0;
    text_walk_t walk = walk_texts(args[0].o);
    for (uint32_t i = 0; i < count; i++) {
        const rl_string_t* part = next_text(&walk);
        total += part->length;
        tags &= part->header.tag;
    }
    if (!rl_vm_charge(vm, 1 + count + total / 16)) return RL_RAISE;
    if (too_long(vm, total)) return rl_string_too_long(vm);
    rl_string_t* joined = rl_string_uninit(vm, total, RL_OBJ_STR);
    if (!joined) return RL_COLLECT;
    char* out = (char*)(uintptr_t)joined->data;
    walk = walk_texts(args[0].o);
    for (uint32_t i = 0; i < count; i++) {
        const rl_string_t* part = next_text(&walk);
        if (i) out = rl_copy_bytes(out, separator.data, separator.length);
        out = rl_copy_bytes(out, part->data, part->length);
    }
    if (tags & RL_STR_ASCII) {
        joined->header.tag |= RL_STR_ASCII;
        joined->count = joined->length;
    }
    result->o = &joined->header;
    return RL_DONE;
}

FN(rl_str_repeat) {
    (void)site;
    rl_str_t text = TEXT(0);
    uint64_t count = clamp_index(args[1].i), total;
    if (text.length == 0 || count == 0) return give_text(vm, result, (rl_str_t){"", 0});
    if (__builtin_mul_overflow(count, (uint64_t)text.length, &total) || too_long(vm, total))
        return rl_string_too_long(vm);
    if (!charge(vm, total)) return RL_RAISE;
    rl_string_t* made = rl_string_uninit(vm, total, RL_OBJ_STR);
    if (!made) return RL_COLLECT;
    char* out = (char*)(uintptr_t)made->data;
    for (uint64_t i = 0; i < count; i++) memcpy(out + i * text.length, text.data, text.length);
    rl_string_finish(made);
    result->o = &made->header;
    return RL_DONE;
}

static rl_outcome_t pad(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, bool at_start) {
    uint64_t width = clamp_index(args[1].i), count = rl_string_count(STRING(0));
    if (!charge(vm, TEXT(0).length)) return RL_RAISE;
    if (width <= count) return give_same(result, args[0].o);
    char fill[4];
    size_t fill_length = rl_utf8_encode((uint32_t)args[2].u, fill);
    rl_str_t text = TEXT(0);
    uint64_t total;
    if (__builtin_mul_overflow(width - count, (uint64_t)fill_length, &total) || too_long(vm, total + text.length))
        return rl_string_too_long(vm);
    if (!charge(vm, total)) return RL_RAISE;
    rl_string_t* made = rl_string_uninit(vm, total + text.length, RL_OBJ_STR);
    if (!made) return RL_COLLECT;
    char* out = (char*)(uintptr_t)made->data;
    if (!at_start && text.length) memcpy(out, text.data, text.length);
    char* padding = at_start ? out : out + text.length;
    for (uint64_t i = 0; i < total; i += fill_length) memcpy(padding + i, fill, fill_length);
    if (at_start && text.length) memcpy(out + total, text.data, text.length);
    rl_string_finish(made);
    result->o = &made->header;
    return RL_DONE;
}
FN(rl_str_pad_start) {
    (void)site;
    return pad(vm, args, result, true);
}
FN(rl_str_pad_end) {
    (void)site;
    return pad(vm, args, result, false);
}

FN(rl_str_from_char) {
    (void)site;
    char bytes[4];
    return give_text(vm, result, (rl_str_t){bytes, rl_utf8_encode((uint32_t)args[0].u, bytes)});
}

FN(rl_str_from_chars) {
    (void)site;
    rl_cursor_t cursor;
    rl_word_t item, unused;
    uint64_t total = 0;
    char bytes[4];
    if (!rl_vm_charge(vm, 1 + rl_collection_length(args[0].o))) return RL_RAISE;
    rl_cursor_begin(&cursor, args[0].o);
    while (rl_cursor_next(&cursor, &item, &unused)) total += rl_utf8_encode((uint32_t)item.u, bytes);
    if (too_long(vm, total)) return rl_string_too_long(vm);
    rl_string_t* made = rl_string_uninit(vm, total, RL_OBJ_STR);
    if (!made) return RL_COLLECT;
    char* out = (char*)(uintptr_t)made->data;
    rl_cursor_begin(&cursor, args[0].o);
    while (rl_cursor_next(&cursor, &item, &unused)) out += rl_utf8_encode((uint32_t)item.u, out);
    rl_string_finish(made);
    result->o = &made->header;
    return RL_DONE;
}

FN(rl_str_reverse) {
    (void)site;
    rl_str_t text = TEXT(0);
    if (!charge(vm, text.length * 4)) return RL_RAISE;
    rl_string_t* made = rl_string_uninit(vm, text.length, RL_OBJ_STR);
    if (!made) return RL_COLLECT;
    char* out = (char*)(uintptr_t)made->data + text.length;
    for (size_t at = 0; at < text.length;) {
        size_t start = at;
        (void)rl_utf8_next_valid(text.data, &at);
        out -= at - start;
        memcpy(out, text.data + start, at - start);
    }
    rl_string_finish(made);
    result->o = &made->header;
    return RL_DONE;
}

static rl_outcome_t map_case(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, void (*map)(rl_str_t, rl_buf_t*)) {
    rl_str_t text = TEXT(0);
    rl_buf_t buf;
    if (!charge(vm, rl_string_is_ascii(STRING(0)) ? text.length : text.length * 4)) return RL_RAISE;
    rl_buf_init(&buf, vm->allocator);
    buf.limit = vm->limits.string_bytes;
    rl_buf_reserve(&buf, text.length);
    map(text, &buf);
    rl_outcome_t outcome = rl_string_from_buf(vm, &buf, RL_OBJ_STR, &result->o);
    rl_buf_deinit(&buf);
    return outcome;
}
FN(rl_str_to_upper) {
    (void)site;
    return map_case(vm, args, result, rl_unicode_upper_text);
}
FN(rl_str_to_lower) {
    (void)site;
    return map_case(vm, args, result, rl_unicode_lower_text);
}

FN(rl_str_replace) {
    (void)site;
    rl_str_t text = TEXT(0), old = TEXT(1), fresh = TEXT(2);
    if (!rl_vm_charge(vm, 1 + text.length / 4)) return RL_RAISE;
    if (old.length == 0 || rl_find_bytes(text, old, 0) == SIZE_MAX) return give_same(result, args[0].o);
    uint64_t count = 0;
    for (size_t at = rl_find_bytes(text, old, 0); at != SIZE_MAX; at = rl_find_bytes(text, old, at + old.length))
        count++;
    uint64_t added, total;
    if (__builtin_mul_overflow(count, (uint64_t)fresh.length, &added)) return rl_string_too_long(vm);
    total = text.length - count * old.length + added;
    if (too_long(vm, total)) return rl_string_too_long(vm);
    if (!charge(vm, total)) return RL_RAISE;
    rl_string_t* made = rl_string_uninit(vm, total, RL_OBJ_STR);
    if (!made) return RL_COLLECT;
    char* out = (char*)(uintptr_t)made->data;
    size_t from = 0;
    for (size_t at = rl_find_bytes(text, old, 0); at != SIZE_MAX; at = rl_find_bytes(text, old, from)) {
        memcpy(out, text.data + from, at - from);
        out += at - from;
        if (fresh.length) memcpy(out, fresh.data, fresh.length);
        out += fresh.length;
        from = at + old.length;
    }
    if (text.length > from) memcpy(out, text.data + from, text.length - from);
    rl_string_finish(made);
    result->o = &made->header;
    return RL_DONE;
}

/* --- taking apart --------------------------------------------------------------------------------------------------------- */

static size_t skip_space(rl_str_t text, size_t at) {
    while (at < text.length) {
        size_t next = at;
        if (!rl_unicode_is_white_space(rl_utf8_next_valid(text.data, &next))) break;
        at = next;
    }
    return at;
}
static size_t space_before(rl_str_t text, size_t end, size_t least) {
    while (end > least) {
        size_t start = end - 1;
        while (start > least && ((unsigned char)text.data[start] & 0xC0) == 0x80) start--;
        size_t at = start;
        if (!rl_unicode_is_white_space(rl_utf8_next_valid(text.data, &at))) break;
        end = start;
    }
    return end;
}
static rl_outcome_t trim(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, bool start, bool end) {
    rl_str_t text = TEXT(0);
    size_t from = start ? skip_space(text, 0) : 0;
    size_t to = end ? space_before(text, text.length, from) : text.length;
    if (!charge(vm, text.length - (to - from))) return RL_RAISE;
    return give_slice(vm, result, args[0].o, from, to);
}
FN(rl_str_trim) {
    (void)site;
    return trim(vm, args, result, true, true);
}
FN(rl_str_trim_start) {
    (void)site;
    return trim(vm, args, result, true, false);
}
FN(rl_str_trim_end) {
    (void)site;
    return trim(vm, args, result, false, true);
}

FN(rl_str_chars) {
    (void)site;
    rl_str_t text = TEXT(0);
    words_t words = {.vm = vm};
    if (!rl_vm_charge(vm, 1 + text.length)) return RL_RAISE;
    if (!rl_vec_reserve(vm->allocator, &words.items, rl_string_count(STRING(0)))) words.refused = true;
    for (size_t at = 0; at < text.length && !words.refused;)
        words_push(&words, (rl_word_t){.u = rl_utf8_next_valid(text.data, &at)});
    return words_finish(&words, RL_ELEM_U32, result);
}

/* --- Bytes ------------------------------------------------------------------------------------------------------------------ */

FN(rl_str_to_bytes) {
    (void)site;
    if (!charge(vm, TEXT(0).length)) return RL_RAISE;
    return give_object(result, rl_string_new(vm, TEXT(0), RL_OBJ_BYTES));
}
FN(rl_bytes_empty) {
    (void)args, (void)site;
    return give_object(result, rl_string_new(vm, (rl_str_t){"", 0}, RL_OBJ_BYTES));
}
FN(rl_bytes_from_list) {
    (void)site;
    uint32_t count = rl_collection_length(args[0].o);
    rl_cursor_t cursor;
    rl_word_t item, unused;
    if (!rl_vm_charge(vm, 1 + count)) return RL_RAISE;
    if (too_long(vm, count)) return rl_string_too_long(vm);
    rl_string_t* made = rl_string_uninit(vm, count, RL_OBJ_BYTES);
    if (!made) return RL_COLLECT;
    char* out = (char*)(uintptr_t)made->data;
    rl_cursor_begin(&cursor, args[0].o);
    while (rl_cursor_next(&cursor, &item, &unused)) {
        if (item.u > 255) return rl_vm_raise(vm, RL_CODE_E7101, "%lld does not fit in a byte", (long long)item.i);
        *out++ = (char)item.u;
    }
    result->o = &made->header;
    return RL_DONE;
}
FN(rl_bytes_len) {
    (void)vm, (void)site;
    return give_int(result, (int64_t)TEXT(0).length);
}
FN(rl_bytes_index) {
    (void)site;
    rl_str_t data = TEXT(0);
    if (args[1].u >= data.length) return rl_vm_raise_index(vm, args[1].i, data.length);
    return give_int(result, (unsigned char)data.data[args[1].u]);
}
FN(rl_bytes_slice) {
    (void)site;
    size_t length = TEXT(0).length;
    uint64_t from = clamp_index(args[1].i), to = clamp_index(args[2].i);
    if (to > length) to = length;
    if (from > to) from = to;
    return give_slice(vm, result, args[0].o, from, to);
}
FN(rl_bytes_concat) {
    (void)site;
    return rl_string_append(vm, args[0].o, TEXT(1), false, &result->o);
}
FN(rl_bytes_to_list) {
    (void)site;
    rl_str_t data = TEXT(0);
    words_t words = {.vm = vm};
    if (!rl_vm_charge(vm, 1 + data.length)) return RL_RAISE;
    if (!rl_vec_reserve(vm->allocator, &words.items, data.length)) words.refused = true;
    for (size_t i = 0; i < data.length && !words.refused; i++)
        words_push(&words, (rl_word_t){.u = (unsigned char)data.data[i]});
    return words_finish(&words, RL_ELEM_I64, result);
}
FN(rl_bytes_find_index) {
    (void)site;
    rl_str_t data = TEXT(0);
    if (!rl_vm_charge(vm, 1 + data.length / 4)) return RL_RAISE;
    uint64_t from = clamp_index(args[2].i);
    size_t at = from > data.length ? SIZE_MAX : rl_find_bytes(data, TEXT(1), from);
    return give_int(result, at == SIZE_MAX ? -1 : (int64_t)at);
}
FN(rl_bytes_to_hex) {
    (void)site;
    static const char digits[] = "0123456789abcdef";
    rl_str_t data = TEXT(0);
    if (!charge(vm, data.length * 2)) return RL_RAISE;
    if (too_long(vm, (uint64_t)data.length * 2)) return rl_string_too_long(vm);
    rl_string_t* made = rl_string_uninit(vm, data.length * 2, RL_OBJ_STR);
    if (!made) return RL_COLLECT;
    char* out = (char*)(uintptr_t)made->data;
    for (size_t i = 0; i < data.length; i++) {
        *out++ = digits[(unsigned char)data.data[i] >> 4];
        *out++ = digits[(unsigned char)data.data[i] & 15];
    }
    rl_string_finish(made);
    result->o = &made->header;
    return RL_DONE;
}
FN(rl_bytes_is_utf8) {
    (void)site;
    rl_str_t data = TEXT(0);
    if (!charge(vm, data.length)) return RL_RAISE;
    return give_int(result, rl_utf8_validate(data) == data.length);
}
/* The caller has checked that it is UTF-8. */
FN(rl_bytes_as_str) {
    (void)site;
    if (!charge(vm, TEXT(0).length)) return RL_RAISE;
    return give_text(vm, result, TEXT(0));
}
