/*
 * base: what every other folder may use, and nothing that knows about Reml.
 *
 * Comes in: bytes, sizes, the operating system. Goes out: arenas, buffers, maps, text, numbers, clocks.
 * Must not know: tokens, types, values, audit records.
 *
 * Failure: nothing here aborts, prints or jumps. A request for memory that cannot be met answers NULL or
 * false *and* sets `rl_allocator_t.failed`; passes over source text look at that flag at each loop iteration
 * and stop, so they need no check after every single push. Index 0 of every table is a harmless entry that
 * a failed push leaves its caller with.
 */
#ifndef RL_BASE_H
#define RL_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A view of text or bytes; borrowed, never NUL-terminated. */
typedef struct rl_str {
    const char* data;
    size_t length;
} rl_str_t;

#define RL_STR(literal) ((rl_str_t){(literal), sizeof(literal) - 1})
#define RL_STR_ARG(s)   (int)(s).length, (s).data /* for "%.*s" */

static inline rl_str_t rl_str(const char* text) { return (rl_str_t){text, text ? strlen(text) : 0}; }
static inline bool rl_str_equal(rl_str_t a, rl_str_t b) {
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

/* Our own mistakes. In release builds the condition is not evaluated. */
#ifdef RL_DEBUG
void rl_assert_failed(const char* condition, const char* what, const char* file, int line);
#define RL_ASSERT(condition, what) ((condition) ? (void)0 : rl_assert_failed(#condition, (what), __FILE__, __LINE__))
#else
#define RL_ASSERT(condition, what) ((void)sizeof(condition))
#endif

#if defined(__GNUC__) || defined(__clang__)
#define RL_LIKELY(x)                   __builtin_expect(!!(x), 1)
#define RL_UNLIKELY(x)                 __builtin_expect(!!(x), 0)
#define RL_PRINTF(format_index, first) __attribute__((format(printf, format_index, first)))
#define RL_NOINLINE                    __attribute__((noinline, cold))
#define RL_PREFETCH(address)           __builtin_prefetch((address), 1)
#else
#define RL_LIKELY(x)   (x)
#define RL_UNLIKELY(x) (x)
#define RL_PRINTF(format_index, first)
#define RL_NOINLINE
#define RL_PREFETCH(address) ((void)0)
#endif

#define RL_COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

#endif
