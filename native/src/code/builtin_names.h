/*
 * Builtins that emitted code calls by itself (operators, literals, patterns), beside those that the prelude declares with
 * @builtin("name"). Each must have a row of the same name and uses in vm/core/<file>.def; emit looks them up with
 * rl_builtin_find, and a missing one is a mistake of ours (tests/native/test_emit.c compares).
 *
 * Rules for every builtin, also those of the prelude:
 *  - args[i] are words; site->arg_reps says which are references. A () argument or result is the scalar 0.
 *  - `uses`: b = only looked at; the caller goes on using the object and has not marked it. c = consumed: the builtin may
 *    keep it, answer it or update it in place while it is not RL_OBJ_SHARED; the caller has marked it when it has another
 *    use. Scalars: either letter. Rows with variable counts ("…" below) take site->arg_count arguments, uses "".
 *  - A reference result that stays reachable from elsewhere (an element of a collection, a part of an argument) must be
 *    marked RL_OBJ_SHARED by the builtin before it is answered (never write to an object that already has the bit). Elements
 *    inside a fresh container (Some(x), tuple, list) need no mark: loads out of containers mark.
 *  - site->types are ground: here as listed in the third column; for prelude functions their type parameters in order.
 *
 *  X(ID, name, uses, signature and meaning)
 */
#ifndef RL_BUILTIN_NAMES_H
#define RL_BUILTIN_NAMES_H

#define RL_EMIT_BUILTINS(X)                                                                                            \
    X(EQ, "eq", "bb", "<T>(T, T) -> Bool: structural ==, also of Any; T has no instruction of its own")                \
    X(COMPARE, "compare", "bb", "<T>(T, T) -> Int: negative, 0, positive (rl_value_compare)")                          \
    X(TO_STRING, "to_string", "b", "<T>(T) -> Str: Display text")                                                      \
    X(DEBUG, "debug", "b", "<T>(T) -> Str: Debug text")                                                                \
    X(FORMAT_VALUE, "format_value", "bb", "<T>(spec: Str, T) -> Str: by a printf specification such as 04X or .2f")    \
    X(CONVERT, "convert", "c", "<From, To>(From) -> To: rebuilt; inner T to Any, records renamed")                     \
    X(STR_CONCAT, "str.concat", "cbbbbbbb",                                                                            \
        "(Str, Str …) -> Str: 2 to 8 of them; in place when the first is not SHARED and has room (or grows)")          \
    X(OPEN_GET, "open.get", "bb", "<T>(open record, field: Str) -> T: the field of that name")                         \
    X(OPEN_WITH, "open.with", "bbc", "<T>(open record, field: Str, T) -> the same type: a copy with that field")       \
    X(REGEX_MATCH, "regex.match", "bb", "(program: Bytes, Str or Bytes) -> Bool: does the whole text match?")          \
    X(LIST_OF, "list.of", "", "<T>(T …) -> List<T>: 0 to 8 elements, site->arg_count of them, all consumed")           \
    X(LIST_PUSH, "list.push", "cc", "<T>(List<T>, T) -> List<T>: at the end")                                          \
    X(LIST_CONCAT, "list.concat", "cb", "<T>(List<T>, List<T>) -> List<T>")                                            \
    X(LIST_LEN, "list.len", "b", "<T>(List<T>) -> Int")                                                                \
    X(LIST_INDEX, "list.index", "bb", "<T>(List<T>, Int) -> T: panics runtime.index.out_of_bounds")                    \
    X(LIST_SET, "list.set", "cbc", "<T>(List<T>, Int, T) -> List<T>: panics runtime.index.out_of_bounds")              \
    X(LIST_SLICE, "list.slice", "bbb", "<T>(List<T>, Int, Int) -> List<T>: half-open, clamped")                        \
    X(MAP_EMPTY, "map.empty", "", "<K, V>() -> Map<K, V>")                                                             \
    X(MAP_INSERT, "map.insert", "ccc", "<K, V>(Map<K, V>, K, V) -> Map<K, V>: inserts or replaces")                    \
    X(MAP_INDEX, "map.index", "bb", "<K, V>(Map<K, V>, K) -> V: panics runtime.map.missing_key")                       \
    X(TABLE_INDEX, "table.index", "bb", "<K, V>(Table<K, V>, K) -> V: panics runtime.map.missing_key")                 \
    X(TABLE_SET, "table.set", "bcc", "<K, V>(Table<K, V>, K, V) -> (): inserts or replaces")                           \
    X(BYTES_INDEX, "bytes.index", "bb", "(Bytes, Int) -> Int: panics runtime.index.out_of_bounds")                     \
    X(VEC_OF, "vec.of", "", "<T>(T …) -> Vec<T> (also [T; N]): 0 to 8 elements, all consumed")                         \
    X(VEC_PUSH, "vec.push", "bc", "<T>(Vec<T>, T) -> (): at the end, in place")                                        \
    X(VEC_SLICE, "vec.slice", "bbb", "<T>(Vec<T>, Int, Int) -> List<T>: half-open, clamped; a new list")

/*
 * Ranges are made with NEW: kind RL_OBJ_RANGE, refs 0, words 4: from, to, inclusive (0 or 1), step (1).
 *
 * Prelude functions that become instructions instead of calls when their @builtin name is one of these:
 *   "vec.len" (VECLEN) · "vec.index" (VECGET…) · "vec.set" (VECSET…) · "int.to_float" on i64 (I2F)
 */

#endif
