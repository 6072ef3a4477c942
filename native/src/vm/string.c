#include "vm/string.h"

#include "base/normalize.h"
#include "base/unicode.h"
#include "base/utf8.h"

static bool is_short(const rl_string_t* s) { return (s->header.tag & RL_STR_SHORT) != 0; }
static size_t head_bytes(const rl_string_t* s) {
    return is_short(s) ? offsetof(rl_string_t, capacity) : sizeof(rl_string_t);
}
static size_t inline_room(const rl_string_t* s) {
    return (size_t)s->header.words * 8 + sizeof(rl_object_t) - head_bytes(s);
}
static uint32_t capacity_of(const rl_string_t* s) { return is_short(s) ? 0 : s->capacity; }

/* Empty, with room for `room` bytes right behind its count. */
static rl_string_t* new_short_string(rl_vm_t* vm, size_t room, unsigned kind) {
    rl_heap_t* heap = &vm->heap;
    unsigned words = (unsigned)((offsetof(rl_string_t, capacity) - sizeof(rl_object_t) + room + 7) / 8);
    rl_object_t* object = rl_heap_take(heap, rl_heap_classes[words + 1]);
    if (RL_LIKELY(object != NULL)) rl_heap_set_header(heap, object, kind, RL_STR_SHORT, 1, words);
    else if (!(object = rl_heap_new(heap, kind, RL_STR_SHORT, 1, words))) return NULL;
    rl_string_t* s = (rl_string_t*)object;
    s->owner = NULL;
    s->data = (const char*)s + offsetof(rl_string_t, capacity);
    s->length = 0;
    s->count = RL_STRING_UNCOUNTED;
    return s;
}

/* An empty string object with room for `room` bytes, inside the cell or in a side buffer. */
static rl_string_t* new_string(rl_vm_t* vm, size_t room, unsigned kind) {
    if (room > UINT32_MAX || room > vm->limits.string_bytes) {
        vm->allocator->failed = true;
        return NULL;
    }
    if (room <= RL_STRING_SHORT_MOST) return new_short_string(vm, room, kind);
    bool is_inline = room <= RL_STRING_INLINE_MOST;
    rl_string_t* s = rl_heap_new_sized(&vm->heap, kind, 1, sizeof *s + (is_inline ? room : 0));
    if (!s) return NULL;
    s->count = RL_STRING_UNCOUNTED;
    s->data = (const char*)(s + 1);
    if (is_inline) return s;
    char* bytes = rl_heap_buffer(&vm->heap, NULL, 0, room);
    if (!bytes) {
        s->data = "";
        rl_string_finish(s); /* a valid empty string until it is collected */
        return NULL;
    }
    s->data = bytes;
    s->capacity = (uint32_t)room;
    return s;
}

rl_string_t* rl_string_uninit(rl_vm_t* vm, size_t length, unsigned kind) {
    rl_string_t* s = new_string(vm, length, kind);
    if (s) s->length = (uint32_t)length;
    return s;
}

void rl_string_finish(rl_string_t* s) {
    if (s->header.kind != RL_OBJ_STR) return;
    if (rl_utf8_is_ascii((rl_str_t){s->data, s->length})) {
        s->header.tag |= RL_STR_ASCII;
        s->count = s->length;
    } else {
        s->header.tag &= (uint16_t)~RL_STR_ASCII;
        s->count = RL_STRING_UNCOUNTED;
    }
}

rl_object_t* rl_string_new_known(rl_vm_t* vm, rl_str_t bytes, unsigned kind, bool ascii) {
    rl_string_t* s = rl_string_uninit(vm, bytes.length, kind);
    if (!s) return NULL;
    rl_copy_bytes((char*)(uintptr_t)s->data, bytes.data, bytes.length);
    if (ascii) {
        s->header.tag |= RL_STR_ASCII;
        s->count = s->length;
    }
    return &s->header;
}

rl_object_t* rl_string_new(rl_vm_t* vm, rl_str_t bytes, unsigned kind) {
    return rl_string_new_known(vm, bytes, kind, kind == RL_OBJ_STR && rl_utf8_is_ascii(bytes));
}

rl_outcome_t rl_string_too_long(rl_vm_t* vm) {
    return rl_vm_raise(vm, RL_CODE_RUNTIME_LIMIT_MEMORY, "a string would be longer than %llu bytes",
        (unsigned long long)vm->limits.string_bytes);
}

rl_outcome_t rl_string_from_buf(rl_vm_t* vm, const rl_buf_t* buf, unsigned kind, rl_object_t** out) {
    if (buf->failed) return vm->allocator->failed ? RL_COLLECT : rl_string_too_long(vm);
    if (buf->length > vm->limits.string_bytes || buf->length > UINT32_MAX) return rl_string_too_long(vm);
    *out = rl_string_new(vm, rl_buf_str(buf), kind);
    return *out ? RL_DONE : RL_COLLECT;
}

rl_object_t* rl_string_slice_points(
    rl_vm_t* vm, rl_object_t* source, size_t offset, size_t length, uint64_t first, uint64_t count) {
    rl_string_t* from = (rl_string_t*)source;
    if (offset == 0 && length == from->length) {
        rl_share(source);
        return source;
    }
    rl_object_t* owner = from->owner ? from->owner : source;
    const rl_string_t* all = (const rl_string_t*)owner;
    bool ascii = rl_string_is_ascii(from);
    if (length <= 64 || (owner->flags & RL_OBJ_STATIC) || length < all->length / 2 || length < capacity_of(all) / 2) {
        rl_string_t* copy = rl_string_uninit(vm, length, source->kind);
        if (!copy) return NULL;
        rl_copy_bytes((char*)(uintptr_t)copy->data, from->data + offset, length);
        if (ascii) {
            copy->header.tag |= RL_STR_ASCII;
            copy->count = copy->length;
        } else {
            rl_string_finish(copy);
            if (copy->count == RL_STRING_UNCOUNTED) copy->count = (uint32_t)count;
        }
        return &copy->header;
    }
    rl_string_t* slice = rl_heap_new_sized(&vm->heap, source->kind, 1, sizeof *slice);
    if (!slice) return NULL;
    rl_share(owner);
    slice->owner = owner;
    slice->data = from->data + offset;
    slice->length = (uint32_t)length;
    slice->count = (uint32_t)count;
    slice->first_point = RL_STRING_UNCOUNTED;
    if (ascii) {
        slice->header.tag |= RL_STR_ASCII;
        slice->count = slice->length;
    } else if (first != RL_STRING_UNCOUNTED) { /* not looked at for ASCII: that would cost as much as copying it */
        if (!from->owner) slice->first_point = (uint32_t)first;
        else if (from->first_point != RL_STRING_UNCOUNTED) slice->first_point = from->first_point + (uint32_t)first;
    }
    return &slice->header;
}

rl_object_t* rl_string_slice(rl_vm_t* vm, rl_object_t* source, size_t offset, size_t length) {
    return rl_string_slice_points(vm, source, offset, length, RL_STRING_UNCOUNTED, RL_STRING_UNCOUNTED);
}

/* Make sure an unshared string owns room for `total` bytes. False: memory. */
static bool make_room(rl_vm_t* vm, rl_string_t* s, size_t total) {
    uint32_t capacity = capacity_of(s);
    if (capacity >= total || (capacity == 0 && inline_room(s) >= total)) return true;
    size_t wanted = total + total / 2;
    if (wanted > UINT32_MAX || wanted > vm->limits.string_bytes) wanted = total;
    char* bytes = rl_heap_buffer(&vm->heap, s->capacity ? (void*)(uintptr_t)s->data : NULL, s->capacity, wanted);
    if (!bytes) return false;
    if (s->capacity == 0 && s->length) memcpy(bytes, s->data, s->length);
    s->data = bytes;
    s->capacity = (uint32_t)wanted;
    return true;
}

/* May `total` bytes lie in the string itself? Not when others see it, and a SHORT one has only the room of its cell. */
static bool grows_in_place(const rl_string_t* s, size_t total) {
    return !(s->header.flags & (RL_OBJ_SHARED | RL_OBJ_STATIC)) && !s->owner &&
           (!is_short(s) || inline_room(s) >= total);
}

/* There is room. */
static void extend(rl_string_t* s, rl_str_t right, bool right_is_ascii) {
    rl_copy_bytes((char*)(uintptr_t)s->data + s->length, right.data, right.length);
    s->length += (uint32_t)right.length; /* an index stays true: it is of the text before */
    if (rl_string_is_ascii(s) && right_is_ascii) {
        s->count = s->length;
    } else {
        s->header.tag &= RL_STR_SHORT; /* nor is it known to be in NFC or not */
        if (s->count != RL_STRING_UNCOUNTED)
            s->count += right_is_ascii ? (uint32_t)right.length : (uint32_t)rl_utf8_count(right);
    }
}

/* A copy of `s` with room for `room` bytes; NULL: memory. */
static rl_string_t* copy_with_room(rl_vm_t* vm, const rl_string_t* s, size_t room) {
    rl_string_t* joined = new_string(vm, room, s->header.kind);
    if (!joined) return NULL;
    rl_copy_bytes((char*)(uintptr_t)joined->data, s->data, s->length);
    joined->length = s->length;
    joined->header.tag |= s->header.tag & (uint16_t)~RL_STR_SHORT;
    joined->count = s->count;
    return joined;
}

rl_outcome_t rl_string_append(rl_vm_t* vm, rl_object_t* left, rl_str_t right, bool right_is_ascii, rl_object_t** out) {
    rl_string_t* s = (rl_string_t*)left;
    if (right.length == 0) {
        *out = left;
        return RL_DONE;
    }
    size_t total = s->length + right.length;
    if (total > vm->limits.string_bytes || total > UINT32_MAX) return rl_string_too_long(vm);
    bool in_place = grows_in_place(s, total);
    if (!rl_vm_charge(vm, 1 + (in_place ? right.length : total) / 16)) return RL_RAISE;
    if (in_place) {
        /* `right` may be a view of this very string: its bytes are where they were only until the buffer grows. */
        bool own = right.data >= s->data && right.data < s->data + s->length;
        size_t own_offset = own ? (size_t)(right.data - s->data) : 0;
        if (!make_room(vm, s, total)) return RL_COLLECT;
        if (own) right.data = s->data + own_offset;
    } else {
        size_t room = total + total / 2;
        if (room >= RL_STRING_INLINE_MOST || room > vm->limits.string_bytes) room = total;
        if (!(s = copy_with_room(vm, s, room))) return RL_COLLECT;
    }
    extend(s, right, right_is_ascii);
    *out = &s->header;
    return RL_DONE;
}

rl_outcome_t rl_string_concat(rl_vm_t* vm, const rl_word_t* parts, unsigned count, rl_object_t** out) {
    rl_string_t* s = (rl_string_t*)parts[0].o;
    uint64_t total = s->length;
    bool repeated = false;
    for (unsigned i = 1; i < count; i++) {
        total += ((const rl_string_t*)parts[i].o)->length;
        repeated |= parts[i].o == parts[0].o;
    }
    if (total > vm->limits.string_bytes || total > UINT32_MAX) return rl_string_too_long(vm);
    bool in_place = !repeated && grows_in_place(s, (size_t)total);
    if (!rl_vm_charge(vm, count - 1 + (in_place ? total - s->length : total) / 16)) return RL_RAISE;
    if (in_place) {
        if (!make_room(vm, s, (size_t)total)) return RL_COLLECT;
    } else if (!(s = copy_with_room(vm, s, (size_t)total))) {
        return RL_COLLECT;
    }
    for (unsigned i = 1; i < count; i++) {
        const rl_string_t* part = (const rl_string_t*)parts[i].o;
        if (part->length) extend(s, (rl_str_t){part->data, part->length}, rl_string_is_ascii(part));
    }
    *out = &s->header;
    return RL_DONE;
}

uint32_t rl_string_count(rl_string_t* s) {
    if (s->header.kind == RL_OBJ_BYTES || rl_string_is_ascii(s)) return s->length;
    if (s->count != RL_STRING_UNCOUNTED) return s->count;
    uint32_t count = (uint32_t)rl_utf8_count((rl_str_t){s->data, s->length});
    if (!(s->header.flags & RL_OBJ_STATIC)) s->count = count; /* constants may be shared by threads */
    return count;
}

void rl_string_index_extend(rl_string_t* s, uint64_t code_point) {
    uint32_t* entries = s->index + RL_STRING_INDEX_HEAD;
    uint32_t wanted = (uint32_t)(code_point / RL_STRING_INDEX_STEP) + 1;
    for (uint32_t used = s->index[1]; used < wanted; used++) {
        size_t offset = used ? entries[used - 1] : 0;
        for (unsigned i = 0; used && i < RL_STRING_INDEX_STEP && offset < s->length; i++)
            rl_utf8_next_valid(s->data, &offset);
        entries[used] = (uint32_t)offset;
        s->index[1] = used + 1;
    }
}

/* An index that reaches the code point, below the count. False: no memory for it. */
static bool reach(rl_vm_t* vm, rl_string_t* s, uint64_t code_point) {
    uint32_t wanted = (uint32_t)(code_point / RL_STRING_INDEX_STEP) + 1, used = s->index ? s->index[1] : 0;
    if (wanted <= used) return true;
    if (s->header.flags & RL_OBJ_STATIC) return false; /* constants have a whole one, or are short */
    if (!s->index || wanted > s->index[0]) {
        bool failed = vm->allocator->failed;
        uint32_t room = s->count / RL_STRING_INDEX_STEP + 1;
        size_t size = ((size_t)room + RL_STRING_INDEX_HEAD) * sizeof(uint32_t);
        uint32_t* index = rl_heap_buffer(&vm->heap, s->index, rl_string_index_bytes(s), size);
        vm->allocator->failed = failed;
        if (!index) return false;
        if (!s->index) index[1] = 0;
        index[0] = room;
        s->index = index;
    }
    vm->budget -= (int64_t)(wanted - used) * (RL_STRING_INDEX_STEP / 8);
    rl_string_index_extend(s, code_point);
    return true;
}

size_t rl_string_offset(rl_vm_t* vm, rl_string_t* s, uint64_t code_point) {
    if (rl_string_is_ascii(s)) return code_point < s->length ? (size_t)code_point : s->length;
    if (s->count == RL_STRING_UNCOUNTED) vm->budget -= s->length / 64;
    uint32_t count = rl_string_count(s);
    if (code_point >= count) return s->length;
    size_t offset = 0;
    uint64_t left = code_point;
    if (code_point > RL_STRING_WALKED_MOST) {
        rl_string_t* owner = (rl_string_t*)s->owner;
        if (owner && s->first_point != RL_STRING_UNCOUNTED) {
            if (owner->count == RL_STRING_UNCOUNTED) vm->budget -= owner->length / 64;
            (void)rl_string_count(owner);
            return rl_string_offset(vm, owner, s->first_point + code_point) - (size_t)(s->data - owner->data);
        }
        if (reach(vm, s, code_point)) {
            offset = s->index[RL_STRING_INDEX_HEAD + code_point / RL_STRING_INDEX_STEP];
            left = code_point % RL_STRING_INDEX_STEP;
        } else {
            vm->budget -= (int64_t)(left / 8);
        }
    }
    while (left-- > 0) rl_utf8_next_valid(s->data, &offset);
    return offset;
}

/* --- equality, order, hash -------------------------------------------------------------------------------------- */

static int order_of(rl_str_t a, rl_str_t b) {
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    if (order) return order < 0 ? -1 : 1;
    return (a.length > b.length) - (a.length < b.length);
}

/* The text itself when it is in NFC, else its normal form in `buf`. What was found out is remembered, except by
   constants, which threads may share. */
static rl_outcome_t normal_form(rl_vm_t* vm, const rl_object_t* object, rl_buf_t* buf, rl_str_t* out) {
    rl_str_t text = rl_string_str(object);
    *out = text;
    if (object->kind != RL_OBJ_STR || (object->tag & (RL_STR_ASCII | RL_STR_NFC))) return RL_DONE;
    if (!(object->tag & RL_STR_NOT_NFC)) {
        if (!rl_vm_charge(vm, text.length / 8)) return RL_RAISE;
        bool is_nfc = rl_unicode_is_nfc(text);
        if (!(object->flags & RL_OBJ_STATIC))
            ((rl_object_t*)(uintptr_t)object)->tag |= is_nfc ? RL_STR_NFC : RL_STR_NOT_NFC;
        if (is_nfc) return RL_DONE;
    }
    if (!rl_vm_charge(vm, text.length / 4)) return RL_RAISE;
    if (!rl_normalize_nfc(text, buf)) return RL_COLLECT;
    *out = rl_buf_str(buf);
    return RL_DONE;
}

rl_outcome_t rl_string_relate(rl_vm_t* vm, const rl_object_t* a, const rl_object_t* b, int* out_order) {
    rl_str_t x = rl_string_str(a), y = rl_string_str(b);
    if (!rl_vm_charge(vm, 1 + (x.length < y.length ? x.length : y.length) / 16)) return RL_RAISE;
    *out_order = a == b ? 0 : order_of(x, y);
    if (*out_order == 0 || a->kind != RL_OBJ_STR || (a->tag & b->tag & RL_STR_ASCII)) return RL_DONE;
    rl_buf_t first, second;
    rl_buf_init(&first, vm->allocator);
    rl_buf_init(&second, vm->allocator);
    rl_outcome_t outcome = normal_form(vm, a, &first, &x);
    if (outcome == RL_DONE) outcome = normal_form(vm, b, &second, &y);
    if (outcome == RL_DONE) *out_order = order_of(x, y);
    rl_buf_deinit(&first);
    rl_buf_deinit(&second);
    return outcome;
}

#define ROTATE(x, bits) ((x) << (bits) | (x) >> (64 - (bits)))
#define SIP_ROUND                                                                                                      \
    do {                                                                                                               \
        v0 += v1;                                                                                                      \
        v1 = ROTATE(v1, 13) ^ v0;                                                                                      \
        v0 = ROTATE(v0, 32);                                                                                           \
        v2 += v3;                                                                                                      \
        v3 = ROTATE(v3, 16) ^ v2;                                                                                      \
        v0 += v3;                                                                                                      \
        v3 = ROTATE(v3, 21) ^ v0;                                                                                      \
        v2 += v1;                                                                                                      \
        v1 = ROTATE(v1, 17) ^ v2;                                                                                      \
        v2 = ROTATE(v2, 32);                                                                                           \
    } while (0)

/* SipHash-1-3. Words are read in the machine's order: the secret differs in each context anyway. */
static inline uint64_t sip_hash(const uint64_t secret[2], rl_str_t text) {
    uint64_t v0 = secret[0] ^ 0x736f6d6570736575u, v1 = secret[1] ^ 0x646f72616e646f6du;
    uint64_t v2 = secret[0] ^ 0x6c7967656e657261u, v3 = secret[1] ^ 0x7465646279746573u;
    const char* at = text.data;
    size_t rest = text.length;
    for (; rest >= 8; at += 8, rest -= 8) {
        uint64_t m;
        memcpy(&m, at, 8);
        v3 ^= m;
        SIP_ROUND;
        v0 ^= m;
    }
    uint64_t last = (uint64_t)text.length << 56;
    if (rest >= 4) {
        uint32_t low, high;
        memcpy(&low, at, 4);
        memcpy(&high, at + rest - 4, 4);
        last |= low | (uint64_t)high << (8 * (rest - 4));
    } else if (rest) {
        last |= (uint64_t)(unsigned char)at[0] | (uint64_t)(unsigned char)at[rest / 2] << (8 * (rest / 2)) |
                (uint64_t)(unsigned char)at[rest - 1] << (8 * (rest - 1));
    }
    v3 ^= last;
    SIP_ROUND;
    v0 ^= last;
    v2 ^= 0xff;
    SIP_ROUND;
    SIP_ROUND;
    SIP_ROUND;
    return v0 ^ v1 ^ v2 ^ v3;
}

rl_outcome_t rl_string_hash(rl_vm_t* vm, const rl_object_t* s, uint64_t* out_hash) {
    rl_str_t text = rl_string_str(s);
    if (!rl_vm_charge(vm, 1 + text.length / 16)) return RL_RAISE;
    if (s->tag & RL_STR_ASCII) {
        *out_hash = sip_hash(vm->hash_secret, text);
        return RL_DONE;
    }
    rl_buf_t buf;
    rl_buf_init(&buf, vm->allocator);
    rl_outcome_t outcome = normal_form(vm, s, &buf, &text);
    if (outcome == RL_DONE) *out_hash = sip_hash(vm->hash_secret, text);
    rl_buf_deinit(&buf);
    return outcome;
}
