/* Regular expressions: matching a text in full. */
#include "base/regex.h"

#include "base/utf8.h"

#include <string.h>

#define NO_CHARACTER 0xFFFFFFFEu /* beside RL_UTF8_INVALID */
enum { CHARGE_EACH = 256, SMALL = 64 /* nodes simulated without asking for memory */ };

typedef struct matcher {
    rl_regex_header_t header;
    const char *ascii, *starts, *nodes, *ranges, *accepting, *next;
    rl_str_t text;
    size_t at;
    rl_regex_charge_fn charge;
    void* user;
    uint64_t steps;
} matcher_t;

/* A program is bytes of any alignment. */
static inline uint32_t word(const char* table, size_t index) {
    uint32_t value;
    memcpy(&value, table + index * sizeof value, sizeof value);
    return value;
}
static inline uint32_t half(const char* table, size_t index) {
    uint16_t value;
    memcpy(&value, table + index * sizeof value, sizeof value);
    return value;
}

static void read_program(matcher_t* m, const char* program) {
    memcpy(&m->header, program, sizeof m->header);
    m->ascii = program + sizeof m->header;
    m->starts = m->ascii + 128 * sizeof(uint16_t);
    m->nodes = m->starts + (size_t)m->header.symbols * sizeof(uint32_t);
    m->ranges = m->nodes + (size_t)m->header.nodes * 3 * sizeof(uint32_t);
    m->accepting = m->ranges + (size_t)m->header.ranges * 2 * sizeof(uint32_t);
    m->next = m->accepting + (size_t)(m->header.states + 31) / 32 * sizeof(uint32_t);
}

static uint32_t symbol_of(const matcher_t* m, uint32_t code_point) {
    if (code_point < 128) return half(m->ascii, code_point);
    uint32_t low = 0, high = m->header.symbols;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (word(m->starts, middle) <= code_point) low = middle;
        else high = middle;
    }
    return low;
}

static bool spend(matcher_t* m, uint64_t steps) {
    m->steps += steps;
    if (m->steps < CHARGE_EACH) return true;
    uint64_t due = m->steps;
    m->steps = 0;
    return m->charge(m->user, due);
}

static rl_regex_result_t run_automaton(matcher_t* m) {
    uint32_t state = 1, symbols = m->header.symbols;
    while (m->at < m->text.length && state) {
        size_t part = m->text.length - m->at < 4096 ? m->text.length : m->at + 4096;
        if (!spend(m, (part - m->at) / 4)) return RL_REGEX_STOPPED;
        while (m->at < part && state) {
            unsigned char byte = (unsigned char)m->text.data[m->at];
            uint32_t symbol;
            if (byte < 128) {
                symbol = half(m->ascii, byte);
                m->at++;
            } else {
                uint32_t code_point = rl_utf8_next(m->text, &m->at);
                if (code_point == RL_UTF8_INVALID) return RL_REGEX_NO;
                symbol = symbol_of(m, code_point);
            }
            state = half(m->next, (size_t)state * symbols + symbol);
        }
    }
    return word(m->accepting, state / 32) >> (state % 32) & 1 ? RL_REGEX_YES : RL_REGEX_NO;
}

/* Places in the text between two characters; NO_CHARACTER at the ends. */
typedef struct place {
    uint32_t before, behind;
} place_t;

typedef struct threads {
    uint32_t *waiting, *ready, *stack, *marks; /* `nodes` words each */
    uint32_t waiting_count, ready_count, mark;
    bool matched;
} threads_t;

/* From the waiting nodes to all that read a character, at this place. */
static void advance(const matcher_t* m, threads_t* t, place_t place) {
    uint32_t depth = 0;
    t->mark++;
    t->ready_count = 0;
    t->matched = false;
    for (uint32_t i = 0; i < t->waiting_count; i++) {
        if (t->marks[t->waiting[i]] == t->mark) continue;
        t->marks[t->waiting[i]] = t->mark;
        t->stack[depth++] = t->waiting[i];
        while (depth) {
            uint32_t at = t->stack[--depth], targets[2], count = 0;
            switch ((rl_regex_op_t)word(m->nodes, (size_t)at * 3)) {
            case RL_REGEX_SET: t->ready[t->ready_count++] = at; break;
            case RL_REGEX_MATCH: t->matched = true; break;
            case RL_REGEX_SPLIT:
                targets[count++] = word(m->nodes, (size_t)at * 3 + 1);
                targets[count++] = word(m->nodes, (size_t)at * 3 + 2);
                break;
            case RL_REGEX_JUMP: targets[count++] = word(m->nodes, (size_t)at * 3 + 1); break;
            case RL_REGEX_BEGIN:
                if (place.before == NO_CHARACTER) targets[count++] = at + 1;
                break;
            case RL_REGEX_END:
                if (place.behind == NO_CHARACTER) targets[count++] = at + 1;
                break;
            case RL_REGEX_WORD_EDGE:
                if (rl_regex_is_word(place.before) != rl_regex_is_word(place.behind)) targets[count++] = at + 1;
                break;
            }
            for (uint32_t k = 0; k < count; k++) {
                if (t->marks[targets[k]] == t->mark) continue;
                t->marks[targets[k]] = t->mark;
                t->stack[depth++] = targets[k];
            }
        }
    }
}

static bool reads(const matcher_t* m, uint32_t node, uint32_t symbol) {
    uint32_t low = word(m->nodes, (size_t)node * 3 + 1), high = low + word(m->nodes, (size_t)node * 3 + 2);
    while (low < high) { /* sorted */
        uint32_t middle = low + (high - low) / 2;
        if (symbol > word(m->ranges, (size_t)middle * 2 + 1)) low = middle + 1;
        else if (symbol < word(m->ranges, (size_t)middle * 2)) high = middle;
        else return true;
    }
    return false;
}

static rl_regex_result_t run_threads(matcher_t* m, threads_t* t) {
    place_t place = {NO_CHARACTER, NO_CHARACTER};
    t->waiting[0] = 0;
    t->waiting_count = 1;
    for (;;) {
        place.behind = m->at < m->text.length ? rl_utf8_next(m->text, &m->at) : NO_CHARACTER;
        if (place.behind == RL_UTF8_INVALID) return RL_REGEX_NO;
        advance(m, t, place);
        if (place.behind == NO_CHARACTER) return t->matched ? RL_REGEX_YES : RL_REGEX_NO;
        if (t->ready_count == 0) return RL_REGEX_NO;
        if (!spend(m, 2 + t->ready_count)) return RL_REGEX_STOPPED;
        uint32_t symbol = symbol_of(m, place.behind);
        t->waiting_count = 0;
        for (uint32_t i = 0; i < t->ready_count; i++) {
            if (reads(m, t->ready[i], symbol)) t->waiting[t->waiting_count++] = t->ready[i] + 1;
        }
        place.before = place.behind;
    }
}

rl_regex_result_t rl_regex_match(
    rl_allocator_t* allocator, rl_str_t program, rl_str_t text, rl_regex_charge_fn charge, void* user) {
    matcher_t m = {.text = text, .charge = charge, .user = user};
    read_program(&m, program.data);
    rl_regex_result_t result;
    if (m.header.states) {
        result = run_automaton(&m);
    } else {
        uint32_t small[4 * SMALL], count = m.header.nodes;
        size_t size = (size_t)count * 4 * sizeof(uint32_t);
        uint32_t* memory = count <= SMALL ? small : rl_alloc(allocator, size);
        if (!memory) return RL_REGEX_NO_MEMORY;
        threads_t t = {memory, memory + count, memory + 2 * (size_t)count, memory + 3 * (size_t)count, 0, 0, 0, false};
        memset(t.marks, 0, count * sizeof(uint32_t));
        result = run_threads(&m, &t);
        if (memory != small) rl_free(allocator, memory, size);
    }
    if (result != RL_REGEX_STOPPED && !charge(user, m.steps)) return RL_REGEX_STOPPED;
    return result;
}
