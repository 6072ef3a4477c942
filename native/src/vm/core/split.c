/* Text taken apart at separators, line ends and white space: as a list, and piece by piece for `for` (LANGUAGE 8.7). */
#include "base/unicode.h"
#include "base/utf8.h"
#include "vm/builtin.h"
#include "vm/core/iterate.h"
#include "vm/core/list.h"
#include "vm/string.h"

#define BUILTIN(id, name, function, uses)                                                                              \
    rl_outcome_t function(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site);
#include "vm/core/text.def"
#undef BUILTIN

#define FN(name) rl_outcome_t name(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site)

size_t rl_find_bytes(rl_str_t text, rl_str_t part, size_t from) {
    if (from > text.length || part.length > text.length - from) return SIZE_MAX;
    if (part.length == 0) return from;
    const char* at = part.length == 1 ? memchr(text.data + from, part.data[0], text.length - from)
                                      : memmem(text.data + from, text.length - from, part.data, part.length);
    return at ? (size_t)(at - text.data) : SIZE_MAX;
}

/* --- one piece -------------------------------------------------------------------------------------------------------- */

typedef struct piece {
    size_t start, end;
} piece_t;
/* The piece that begins at *at, which moves to where the next one is looked for; past the end: text.length + 1. */
typedef bool (*next_piece_fn)(rl_str_t text, rl_str_t separator, size_t* at, piece_t* out);

static bool next_split(rl_str_t text, rl_str_t separator, size_t* at, piece_t* out) {
    if (*at > text.length) return false;
    size_t found = rl_find_bytes(text, separator, *at);
    *out = (piece_t){*at, found == SIZE_MAX ? text.length : found};
    *at = found == SIZE_MAX ? text.length + 1 : found + separator.length;
    return true;
}

static bool next_character(rl_str_t text, rl_str_t separator, size_t* at, piece_t* out) {
    (void)separator;
    if (*at >= text.length) return false;
    out->start = *at;
    (void)rl_utf8_next_valid(text.data, at);
    out->end = *at;
    return true;
}

/* LF, CRLF and CR end a line; the end of the text after a line end makes no empty line. */
static bool next_line(rl_str_t text, rl_str_t separator, size_t* at, piece_t* out) {
    (void)separator;
    if (*at >= text.length) return false;
    size_t end = *at;
    while (end < text.length && text.data[end] != '\n' && text.data[end] != '\r') end++;
    *out = (piece_t){*at, end};
    bool pair = end + 1 < text.length && text.data[end] == '\r' && text.data[end + 1] == '\n';
    *at = end + (pair ? 2 : 1);
    return true;
}

static bool is_ascii_space(unsigned char c) { return c == ' ' || (c >= 9 && c <= 13); }

/* Moves over what is (or is not) white space. */
static inline size_t skip(rl_str_t text, size_t at, bool space) {
    while (at < text.length) {
        unsigned char c = (unsigned char)text.data[at];
        size_t next = at + 1;
        bool is_space =
            c < 0x80 ? is_ascii_space(c) : (next = at, rl_unicode_is_white_space(rl_utf8_next_valid(text.data, &next)));
        if (is_space != space) break;
        at = next;
    }
    return at;
}

static bool next_word(rl_str_t text, rl_str_t separator, size_t* at, piece_t* out) {
    (void)separator;
    out->start = skip(text, *at, true);
    if (out->start >= text.length) return false;
    *at = out->end = skip(text, out->start, false);
    return true;
}

static next_piece_fn splitter(rl_str_t separator) { return separator.length ? next_split : next_character; }

/* --- all pieces ------------------------------------------------------------------------------------------------------- */

static rl_outcome_t all_pieces(
    rl_vm_t* vm, rl_object_t* source, rl_str_t separator, next_piece_fn next, rl_word_t* result) {
    rl_str_t text = rl_string_str(source);
    RL_VEC(rl_word_t) words = {0};
    rl_outcome_t outcome = RL_DONE;
    size_t at = 0;
    piece_t piece;
    while (outcome == RL_DONE) {
        size_t before = at;
        if (!next(text, separator, &at, &piece)) break;
        rl_word_t word = {.o = rl_string_slice(vm, source, piece.start, piece.end - piece.start)};
        if (!word.o || !rl_vec_push(vm->allocator, &words, word)) outcome = RL_COLLECT;
        else if (!rl_vm_charge(vm, 2 + (at - before) / 4)) outcome = RL_RAISE;
    }
    if (outcome == RL_DONE) outcome = rl_list_from_words(vm, RL_ELEM_REF, words.data, words.count, &result->o);
    rl_vec_deinit(vm->allocator, &words);
    return outcome;
}

FN(rl_str_split) {
    (void)site;
    rl_str_t separator = rl_string_str(args[1].o);
    return all_pieces(vm, args[0].o, separator, splitter(separator), result);
}
FN(rl_str_lines) {
    (void)site;
    return all_pieces(vm, args[0].o, RL_STR(""), next_line, result);
}
FN(rl_str_split_whitespace) {
    (void)site;
    return all_pieces(vm, args[0].o, RL_STR(""), next_word, result);
}

/* --- one after the other: position is the byte offset, `extra` the separator -------------------------------------------- */

static inline rl_outcome_t walk_on(
    rl_vm_t* vm, rl_iter_t* iter, next_piece_fn next, rl_word_t* out_element, bool* out_ended) {
    rl_str_t separator = iter->extra ? rl_string_str(iter->extra) : RL_STR("");
    size_t at = (size_t)iter->position;
    piece_t piece;
    *out_ended = !next(rl_string_str(iter->source), separator, &at, &piece);
    if (*out_ended) return RL_DONE;
    if (!rl_vm_charge(vm, 2 + (at - (size_t)iter->position) / 4)) return RL_RAISE;
    out_element->o = rl_string_slice(vm, iter->source, piece.start, piece.end - piece.start);
    if (!out_element->o) return RL_COLLECT;
    iter->position = at;
    return RL_DONE;
}

static rl_outcome_t walk_split(rl_vm_t* vm, rl_iter_t* iter, rl_word_t* out_element, bool* out_ended) {
    return walk_on(vm, iter, splitter(rl_string_str(iter->extra)), out_element, out_ended);
}
static rl_outcome_t walk_lines(rl_vm_t* vm, rl_iter_t* iter, rl_word_t* out_element, bool* out_ended) {
    return walk_on(vm, iter, next_line, out_element, out_ended);
}
static rl_outcome_t walk_words(rl_vm_t* vm, rl_iter_t* iter, rl_word_t* out_element, bool* out_ended) {
    return walk_on(vm, iter, next_word, out_element, out_ended);
}
static const rl_iter_class_t split_class = {"split", walk_split}, lines_class = {"lines", walk_lines},
                             words_class = {"split_whitespace", walk_words};

static rl_outcome_t begin(rl_vm_t* vm, const rl_iter_class_t* walker, const rl_builtin_site_t* site,
    const rl_word_t* args, rl_word_t* result) {
    rl_iter_t* iter = rl_iter_new(vm, walker, site->result_type, args[0].o, 0);
    if (!iter) return RL_COLLECT;
    if (site->arg_count > 1) iter->extra = args[1].o;
    for (unsigned i = 0; i < site->arg_count; i++) rl_share(args[i].o);
    result->o = &iter->header;
    return RL_DONE;
}
FN(rl_str_walk_split) { return begin(vm, &split_class, site, args, result); }
FN(rl_str_walk_lines) { return begin(vm, &lines_class, site, args, result); }
FN(rl_str_walk_words) { return begin(vm, &words_class, site, args, result); }
