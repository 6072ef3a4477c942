/*
 * Str and Bytes objects. Text is valid UTF-8. Bytes of short strings follow the struct inside the cell; longer ones
 * have a side buffer; a slice shares the bytes of its owner (then marked SHARED, so that nobody appends to it in place).
 * NULL answers mean memory: answer RL_COLLECT.
 */
#ifndef RL_VM_STRING_H
#define RL_VM_STRING_H

#include "vm/vm.h"

#define RL_STRING_UNCOUNTED UINT32_MAX
enum {
    RL_STRING_INDEX_STEP = 64,  /* code points between two entries of an index */
    RL_STRING_INDEX_HEAD = 2,   /* words before its first entry: room for entries, entries */
    RL_STRING_WALKED_MOST = 128 /* positions up to here are walked to */
};
static inline size_t rl_string_index_bytes(const rl_string_t* s) {
    return !(s->header.tag & RL_STR_SHORT) && s->index ? ((size_t)s->index[0] + RL_STRING_INDEX_HEAD) * sizeof(uint32_t)
                                                       : 0;
}
/* Fill in the entries of an index from the last one on, so that `code_point` can be reached; there is room for them. */
void rl_string_index_extend(rl_string_t* s, uint64_t code_point);
enum { RL_STRING_INLINE_MOST = 512 - (int)sizeof(rl_string_t), RL_STRING_SHORT_MOST = RL_STRING_WALKED_MOST };

static inline bool rl_string_is_ascii(const rl_string_t* s) { return (s->header.tag & RL_STR_ASCII) != 0; }
/* Most texts are short: up to 16 bytes are copied without a call. Answers the end of the copy. */
static inline char* rl_copy_bytes(char* to, const char* from, size_t count) {
    if (RL_UNLIKELY(count > 16)) {
        memcpy(to, from, count);
    } else if (count >= 8) {
        uint64_t head, tail;
        memcpy(&head, from, 8);
        memcpy(&tail, from + count - 8, 8);
        memcpy(to, &head, 8);
        memcpy(to + count - 8, &tail, 8);
    } else if (count >= 4) {
        uint32_t head, tail;
        memcpy(&head, from, 4);
        memcpy(&tail, from + count - 4, 4);
        memcpy(to, &head, 4);
        memcpy(to + count - 4, &tail, 4);
    } else if (count) {
        char head = from[0], middle = from[count / 2], tail = from[count - 1];
        to[0] = head;
        to[count / 2] = middle;
        to[count - 1] = tail;
    }
    return to + count;
}
/* Call once the bytes of a new Str are filled in: notes whether it is ASCII, and counts it then. */
void rl_string_finish(rl_string_t* s);
/* A new object with the content of a buffer (RL_COLLECT, or RL_RAISE when the buffer hit its limit). */
rl_outcome_t rl_string_from_buf(rl_vm_t* vm, const rl_buf_t* buf, unsigned kind, rl_object_t** out);
/* The bytes offset … offset + length of `source`; shares them when that keeps less than twice their size alive. */
rl_object_t* rl_string_slice(rl_vm_t* vm, rl_object_t* source, size_t offset, size_t length);
/* The same for a Str of which is known, too, how many code points are before the slice and in it. */
rl_object_t* rl_string_slice_points(
    rl_vm_t* vm, rl_object_t* source, size_t offset, size_t length, uint64_t first, uint64_t count);
/* `left` and `right` joined; into `left` itself while it is not SHARED. Charges what it copies. */
rl_outcome_t rl_string_append(rl_vm_t* vm, rl_object_t* left, rl_str_t right, bool right_is_ascii, rl_object_t** out);
/* The same with all of `parts`, two or more: each byte is copied once. */
rl_outcome_t rl_string_concat(rl_vm_t* vm, const rl_word_t* parts, unsigned count, rl_object_t** out);
/* Byte offset of the first occurrence from `from` on, or SIZE_MAX; in linear time. Charged by the caller. */
size_t rl_find_bytes(rl_str_t text, rl_str_t part, size_t from);
/* Code points; remembered. */
uint32_t rl_string_count(rl_string_t* s);
/* Byte offset of a code point, clamped to the end; amortised constant time: an index of longer non-ASCII text grows with the
   positions that are asked for, and a slice uses that of its owner. Without memory for it the text is walked. Charged. */
size_t rl_string_offset(rl_vm_t* vm, rl_string_t* s, uint64_t code_point);
/* LANGUAGE 5.11: bytes first, else code points after NFC. */
rl_outcome_t rl_string_relate(rl_vm_t* vm, const rl_object_t* a, const rl_object_t* b, int* out_order);
rl_outcome_t rl_string_too_long(rl_vm_t* vm); /* raises runtime.limit.memory */
/* SipHash-1-3 under the context's secret; equal text (after NFC) hashes equal. */
rl_outcome_t rl_string_hash(rl_vm_t* vm, const rl_object_t* s, uint64_t* out_hash);

#endif
