/* Regular expressions: text → tree → nodes → automaton. Every stack here is on the heap: patterns nest as they like. */
#include "base/regex.h"

#include "base/map.h"
#include "base/vec.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

#define LAST_CODE_POINT 0x10FFFFu
#define UNBOUNDED       0xFFFFFFFFu
enum { MOST_STATES = 255 };

typedef struct range {
    uint32_t low, high;
} range_t;

typedef enum part_kind { PART_SET, PART_SEQUENCE, PART_EITHER, PART_REPEAT, PART_ASSERT } part_kind_t;
/* Part 0 is the empty text. */
typedef struct part {
    part_kind_t kind;
    uint32_t a, b;     /* SET: range_first, range_count; SEQUENCE, EITHER: parts; REPEAT: part; ASSERT: op */
    uint32_t min, max; /* REPEAT */
} part_t;

typedef struct group {
    uint32_t either, sequence; /* alternatives before the one being read; that one */
    uint32_t offset;
} group_t;

typedef struct node {
    uint32_t op, x, y;
} node_t;

typedef enum task_kind { TASK_PART, TASK_OTHERWISE, TASK_JOIN, TASK_REPEAT, TASK_LOOP } task_kind_t;
typedef struct task {
    task_kind_t kind;
    uint32_t part, x, y;
} task_t;

typedef struct compiler {
    rl_allocator_t* allocator;
    rl_str_t text;
    size_t at;
    rl_regex_error_t* error;
    RL_VEC(part_t) parts;
    RL_VEC(range_t) ranges;
    RL_VEC(group_t) groups;
    RL_VEC(node_t) nodes;
    RL_VEC(task_t) tasks;
    RL_VEC(uint32_t) starts;
    bool has_word_edge;
    /* the automaton */
    RL_VEC(uint32_t) members; /* of all states, one run each */
    RL_VEC(range_t) states;   /* first, end in members */
    RL_VEC(uint32_t) next;    /* rows of `symbols` */
    RL_VEC(uint32_t) accepting;
    RL_VEC(uint32_t) stack, marks;
    rl_map_t known; /* hash → state */
    uint32_t mark;
    uint64_t work, budget;
} compiler_t;

static bool fail(compiler_t* c, size_t offset, size_t length, const char* message) {
    if (!c->error->message && !c->allocator->failed)
        *c->error = (rl_regex_error_t){(uint32_t)offset, (uint32_t)(length ? length : 1), message};
    return false;
}
static bool failed(const compiler_t* c) { return c->error->message || c->allocator->failed; }

/* --- sets of code points ------------------------------------------------------------------------------------------ */

static void add_range(compiler_t* c, uint32_t low, uint32_t high) {
    (void)rl_vec_push(c->allocator, &c->ranges, (range_t){low, high});
}

static int by_low(const void* a, const void* b) {
    const range_t *x = a, *y = b;
    return x->low < y->low ? -1 : x->low > y->low;
}

/* Ranges from `first` on: sorted, without overlap, turned around when `negated`. */
static void normalise(compiler_t* c, uint32_t first, bool negated) {
    uint32_t count = c->ranges.count - first, kept = 0;
    range_t* r = c->ranges.data + first;
    if (failed(c)) return;
    if (count > 1) qsort(r, count, sizeof *r, by_low);
    for (uint32_t i = 0; i < count; i++) {
        if (kept && r[i].low <= r[kept - 1].high + 1) {
            if (r[i].high > r[kept - 1].high) r[kept - 1].high = r[i].high;
        } else {
            r[kept++] = r[i];
        }
    }
    c->ranges.count = first + kept;
    if (!negated) return;
    if (!rl_vec_reserve(c->allocator, &c->ranges, kept + 1)) return;
    uint32_t low = 0;
    bool open = true; /* something above the last range is still to be taken */
    for (uint32_t i = 0; i < kept; i++) {
        range_t one = c->ranges.data[first + i];
        if (one.low > low) add_range(c, low, one.low - 1);
        open = one.high < LAST_CODE_POINT;
        low = one.high + 1;
    }
    if (open) add_range(c, low, LAST_CODE_POINT);
    uint32_t made = c->ranges.count - first - kept;
    memmove(c->ranges.data + first, c->ranges.data + first + kept, made * sizeof(range_t));
    c->ranges.count = first + made;
}

/* \d \w \s and their opposites; false: no such class. */
static bool add_class(compiler_t* c, char letter) {
    uint32_t first = c->ranges.count;
    switch (letter) {
    case 'd':
    case 'D': add_range(c, '0', '9'); break;
    case 'w':
    case 'W':
        add_range(c, '0', '9');
        add_range(c, 'A', 'Z');
        add_range(c, '_', '_');
        add_range(c, 'a', 'z');
        break;
    case 's':
    case 'S':
        add_range(c, '\t', '\r');
        add_range(c, ' ', ' ');
        break;
    default: return false;
    }
    if (letter < 'a') normalise(c, first, true);
    return true;
}

/* --- text → parts ------------------------------------------------------------------------------------------------- */

static char peek(const compiler_t* c, size_t ahead) {
    return c->at + ahead < c->text.length ? c->text.data[c->at + ahead] : '\0';
}
static bool more(const compiler_t* c) { return c->at < c->text.length; }

static uint32_t add_part(compiler_t* c, part_kind_t kind, uint32_t a, uint32_t b, uint32_t min, uint32_t max) {
    if (!rl_vec_push(c->allocator, &c->parts, (part_t){kind, a, b, min, max})) return 0;
    return c->parts.count - 1;
}

static uint32_t set_part(compiler_t* c, uint32_t first) {
    return add_part(c, PART_SET, first, c->ranges.count - first, 0, 0);
}

static uint32_t one_of(compiler_t* c, uint32_t code_point) {
    uint32_t first = c->ranges.count;
    add_range(c, code_point, code_point);
    return set_part(c, first);
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* \xHH, \uHHHH or \u{…}, behind the letter. */
static bool read_hex(compiler_t* c, size_t start, bool long_form, uint32_t* out) {
    uint32_t value = 0, digits = 0;
    bool braces = long_form && peek(c, 0) == '{';
    uint32_t wanted = braces ? 6 : long_form ? 4 : 2;
    if (braces) c->at++;
    while (digits < wanted && more(c) && hex_digit(peek(c, 0)) >= 0) {
        value = value * 16 + (uint32_t)hex_digit(peek(c, 0));
        digits++;
        c->at++;
    }
    bool fine = braces ? digits > 0 && peek(c, 0) == '}' : digits == wanted;
    if (braces && fine) c->at++;
    if (!fine || value > LAST_CODE_POINT) return fail(c, start, c->at - start, "bad hexadecimal escape");
    *out = value;
    return true;
}

/*
 * Behind a backslash. A class letter is answered in `*out_class`, else one code point. In the source of a regex pattern
 * `\\d` may stand for `\d`, and so with the other letters (LANGUAGE D39).
 */
static bool read_escape(compiler_t* c, size_t start, char* out_class, uint32_t* out) {
    static const char letters[] = "dwsDWSb";
    *out_class = 0;
    if (!more(c)) return fail(c, start, 1, "a backslash at the end");
    char e = peek(c, 0);
    if (e == '\\' && c->at + 1 < c->text.length && strchr(letters, peek(c, 1)) && peek(c, 1)) {
        c->at++;
        e = peek(c, 0);
    }
    if ((unsigned char)e >= 0x80) {
        *out = rl_utf8_next(c->text, &c->at);
        return true;
    }
    c->at++;
    if (e && strchr(letters, e)) {
        *out_class = e;
        return true;
    }
    switch (e) {
    case 'n': *out = '\n'; return true;
    case 't': *out = '\t'; return true;
    case 'r': *out = '\r'; return true;
    case 'f': *out = '\f'; return true;
    case 'v': *out = '\v'; return true;
    case 'a': *out = '\a'; return true;
    case '0': *out = 0; return true;
    case 'x': return read_hex(c, start, false, out);
    case 'u': return read_hex(c, start, true, out);
    default: break;
    }
    if ((e >= '1' && e <= '9') || (e >= 'a' && e <= 'z') || (e >= 'A' && e <= 'Z'))
        return fail(c, start, c->at - start,
            e <= '9' ? "back-references are not supported" : "unknown escape in a regular expression");
    *out = (unsigned char)e;
    return true;
}

/* [ … ], behind the bracket. */
static uint32_t read_class(compiler_t* c, size_t start) {
    uint32_t first = c->ranges.count;
    bool negated = peek(c, 0) == '^', empty = true;
    if (negated) c->at++;
    for (;; empty = false) {
        if (!more(c)) {
            fail(c, start, 1, "this class is not closed");
            return 0;
        }
        if (peek(c, 0) == ']' && !empty) break;
        size_t item = c->at;
        char letter = 0;
        uint32_t low = 0, high;
        if (peek(c, 0) == '\\') {
            c->at++;
            if (!read_escape(c, item, &letter, &low)) return 0;
        } else {
            low = rl_utf8_next(c->text, &c->at);
        }
        if (letter == 'b') {
            letter = 0;
            low = '\b';
        }
        bool is_range = peek(c, 0) == '-' && c->at + 1 < c->text.length && peek(c, 1) != ']';
        if (letter) {
            if (is_range) {
                fail(c, item, c->at + 1 - item, "a class cannot begin a range");
                return 0;
            }
            (void)add_class(c, letter);
            continue;
        }
        high = low;
        if (is_range) {
            c->at++;
            size_t end = c->at;
            if (peek(c, 0) == '\\') {
                c->at++;
                if (!read_escape(c, end, &letter, &high)) return 0;
                if (letter == 'b') {
                    letter = 0;
                    high = '\b';
                }
            } else {
                high = rl_utf8_next(c->text, &c->at);
            }
            if (letter || low > high) {
                fail(c, item, c->at - item, letter ? "a class cannot end a range" : "this range is turned around");
                return 0;
            }
        }
        add_range(c, low, high);
    }
    c->at++;
    normalise(c, first, negated);
    return failed(c) ? 0 : set_part(c, first);
}

/* {m}, {m,}, {,n} or {m,n}. False: these are no such braces; nothing is taken. */
static bool read_counts(compiler_t* c, uint32_t* min, uint32_t* max) {
    size_t at = c->at + 1;
    uint32_t values[2] = {0, 0}, digits[2] = {0, 0};
    bool comma = false;
    for (; at < c->text.length && c->text.data[at] != '}'; at++) {
        char d = c->text.data[at];
        if (d == ',' && !comma) {
            comma = true;
        } else if (d >= '0' && d <= '9') {
            uint32_t* value = &values[comma];
            *value = *value > 100000 ? *value : *value * 10 + (uint32_t)(d - '0');
            digits[comma]++;
        } else {
            return false;
        }
    }
    if (at >= c->text.length || (digits[0] == 0 && digits[1] == 0)) return false;
    *min = values[0];
    *max = !comma ? values[0] : digits[1] ? values[1] : UNBOUNDED;
    c->at = at + 1;
    return true;
}

static bool at_quantifier(compiler_t* c) {
    char q = peek(c, 0);
    if (q == '*' || q == '+' || q == '?') return more(c);
    size_t start = c->at;
    uint32_t min, max;
    bool counts = q == '{' && read_counts(c, &min, &max);
    c->at = start;
    return counts;
}

/* An atom has been read: what follows may say how often it stands. */
static uint32_t read_quantifier(compiler_t* c, uint32_t atom, bool repeatable) {
    if (!at_quantifier(c) || failed(c)) return atom;
    size_t start = c->at;
    uint32_t min = 0, max = UNBOUNDED;
    char q = peek(c, 0);
    if (q == '{') (void)read_counts(c, &min, &max);
    else c->at++;
    if (q == '+') min = 1;
    if (q == '?') max = 1;
    if (!repeatable) {
        fail(c, start, c->at - start, "nothing to repeat");
        return 0;
    }
    if (min > max) {
        fail(c, start, c->at - start, "the least number is greater than the most");
        return 0;
    }
    if (peek(c, 0) == '?') c->at++; /* lazy: the same texts match in full */
    if (at_quantifier(c)) {
        fail(c, c->at, 1, "a repetition cannot be repeated: put it in a group");
        return 0;
    }
    return atom && max ? add_part(c, PART_REPEAT, atom, 0, min, max) : 0;
}

static uint32_t join(compiler_t* c, part_kind_t kind, uint32_t a, uint32_t b) {
    return kind == PART_SEQUENCE && (!a || !b) ? a | b : add_part(c, kind, a, b, 0, 0);
}

static void append(compiler_t* c, uint32_t part) {
    group_t* group = &rl_vec_last(&c->groups);
    uint32_t made = join(c, PART_SEQUENCE, group->sequence, part);
    rl_vec_last(&c->groups).sequence = made;
}

static uint32_t whole(compiler_t* c, group_t group) {
    if (group.either == UNBOUNDED) return group.sequence;
    return join(c, PART_EITHER, group.either, group.sequence);
}

static void open_group(compiler_t* c) {
    size_t start = c->at++;
    if (peek(c, 0) == '?') {
        size_t at = c->at + 1 < c->text.length && c->text.data[c->at + 1] == 'P' ? c->at + 2 : c->at + 1;
        char mark = at < c->text.length ? c->text.data[at] : '\0';
        char behind = at + 1 < c->text.length ? c->text.data[at + 1] : '\0';
        if (mark == ':' && at == c->at + 1) {
            c->at = at + 1;
        } else if (mark == '<' && (rl_regex_is_word((unsigned char)behind) && !(behind >= '0' && behind <= '9'))) {
            at++;
            while (at < c->text.length && rl_regex_is_word((unsigned char)c->text.data[at])) at++;
            if (at >= c->text.length || c->text.data[at] != '>') {
                fail(c, start, at - start, "bad name of a group");
                return;
            }
            c->at = at + 1;
        } else {
            fail(c, start, 3, "only (…), (?:…) and (?<name>…) are groups here");
            return;
        }
    }
    (void)rl_vec_push(c->allocator, &c->groups, (group_t){UNBOUNDED, 0, (uint32_t)start});
}

static void read_atom(compiler_t* c) {
    size_t start = c->at;
    uint32_t first = c->ranges.count, part = 0, code_point = 0;
    char letter = 0, at = peek(c, 0);
    bool repeatable = true;
    switch (at) {
    case '(': open_group(c); return;
    case ')':
        if (c->groups.count == 1) {
            fail(c, start, 1, "this bracket closes nothing");
            return;
        }
        c->at++;
        part = whole(c, rl_vec_pop(&c->groups));
        break;
    case '|': {
        c->at++;
        uint32_t before = whole(c, rl_vec_last(&c->groups));
        rl_vec_last(&c->groups).either = before;
        rl_vec_last(&c->groups).sequence = 0;
        return;
    }
    case '.':
        c->at++;
        add_range(c, '\n', '\n');
        normalise(c, first, true);
        part = set_part(c, first);
        break;
    case '^':
    case '$':
        c->at++;
        part = add_part(c, PART_ASSERT, at == '^' ? RL_REGEX_BEGIN : RL_REGEX_END, 0, 0, 0);
        repeatable = false;
        break;
    case '[':
        c->at++;
        part = read_class(c, start);
        break;
    case '\\':
        c->at++;
        if (!read_escape(c, start, &letter, &code_point)) return;
        if (letter == 'b') {
            part = add_part(c, PART_ASSERT, RL_REGEX_WORD_EDGE, 0, 0, 0);
            c->has_word_edge = true;
            repeatable = false;
        } else if (letter) {
            (void)add_class(c, letter);
            part = set_part(c, first);
        } else {
            part = one_of(c, code_point);
        }
        break;
    default:
        if (at_quantifier(c)) {
            fail(c, start, 1, "nothing to repeat");
            return;
        }
        part = one_of(c, rl_utf8_next(c->text, &c->at));
        break;
    }
    if (!failed(c)) append(c, read_quantifier(c, part, repeatable));
}

static uint32_t read_all(compiler_t* c) {
    (void)rl_vec_push(c->allocator, &c->parts, (part_t){PART_SEQUENCE, 0, 0, 0, 0});
    (void)rl_vec_push(c->allocator, &c->groups, (group_t){UNBOUNDED, 0, 0});
    while (more(c) && !failed(c)) read_atom(c);
    if (failed(c)) return 0;
    if (c->groups.count > 1) {
        fail(c, rl_vec_last(&c->groups).offset, 1, "this group is not closed");
        return 0;
    }
    return whole(c, rl_vec_pop(&c->groups));
}

/* --- parts → nodes ------------------------------------------------------------------------------------------------ */

static uint32_t add_node(compiler_t* c, uint32_t op, uint32_t x, uint32_t y) {
    if (c->nodes.count == RL_REGEX_NODES) fail(c, 0, c->text.length, "this regular expression is too large");
    if (!failed(c)) (void)rl_vec_push(c->allocator, &c->nodes, (node_t){op, x, y});
    return c->nodes.count ? c->nodes.count - 1 : 0;
}

static void push_task(compiler_t* c, task_kind_t kind, uint32_t part, uint32_t x, uint32_t y) {
    (void)rl_vec_push(c->allocator, &c->tasks, (task_t){kind, part, x, y});
}

static void do_task(compiler_t* c, task_t t) {
    const part_t part = c->parts.data[t.part];
    uint32_t here = c->nodes.count, at;
    switch (t.kind) {
    case TASK_PART:
        if (t.part == 0) return;
        switch (part.kind) {
        case PART_SET: add_node(c, RL_REGEX_SET, part.a, part.b); return;
        case PART_ASSERT: add_node(c, part.a, 0, 0); return;
        case PART_SEQUENCE:
            push_task(c, TASK_PART, part.b, 0, 0);
            push_task(c, TASK_PART, part.a, 0, 0);
            return;
        case PART_EITHER:
            at = add_node(c, RL_REGEX_SPLIT, here + 1, 0);
            push_task(c, TASK_OTHERWISE, t.part, at, 0);
            push_task(c, TASK_PART, part.a, 0, 0);
            return;
        case PART_REPEAT: push_task(c, TASK_REPEAT, t.part, 0, UNBOUNDED); return;
        }
        return;
    case TASK_OTHERWISE:
        at = add_node(c, RL_REGEX_JUMP, 0, 0);
        c->nodes.data[t.x].y = at + 1;
        push_task(c, TASK_JOIN, 0, at, 0);
        push_task(c, TASK_PART, part.b, 0, 0);
        return;
    case TASK_JOIN: c->nodes.data[t.x].x = here; return;
    case TASK_REPEAT: /* x copies are there; those that may be left out are linked from y on through their y */
        if (t.x < part.min) {
            push_task(c, TASK_REPEAT, t.part, t.x + 1, t.y);
        } else if (part.max == UNBOUNDED) {
            push_task(c, TASK_LOOP, 0, add_node(c, RL_REGEX_SPLIT, here + 1, 0), 0);
        } else if (t.x < part.max) {
            push_task(c, TASK_REPEAT, t.part, t.x + 1, add_node(c, RL_REGEX_SPLIT, here + 1, t.y));
        } else {
            for (at = t.y; at != UNBOUNDED;) {
                uint32_t before = c->nodes.data[at].y;
                c->nodes.data[at].y = here;
                at = before;
            }
            return;
        }
        push_task(c, TASK_PART, part.a, 0, 0);
        return;
    case TASK_LOOP:
        add_node(c, RL_REGEX_JUMP, t.x, 0);
        c->nodes.data[t.x].y = c->nodes.count;
        return;
    }
}

/* --- code points → symbols ---------------------------------------------------------------------------------------- */

static int by_value(const void* a, const void* b) {
    const uint32_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

static uint32_t symbol_of(const compiler_t* c, uint32_t code_point) {
    uint32_t low = 0, high = c->starts.count;
    while (high - low > 1) {
        uint32_t middle = low + (high - low) / 2;
        if (c->starts.data[middle] <= code_point) low = middle;
        else high = middle;
    }
    return low;
}

static void find_symbols(compiler_t* c) {
    (void)rl_vec_push(c->allocator, &c->starts, 0);
    for (uint32_t i = 0; i < c->ranges.count && !failed(c); i++) {
        (void)rl_vec_push(c->allocator, &c->starts, c->ranges.data[i].low);
        if (c->ranges.data[i].high < LAST_CODE_POINT)
            (void)rl_vec_push(c->allocator, &c->starts, c->ranges.data[i].high + 1);
    }
    if (failed(c)) return;
    qsort(c->starts.data, c->starts.count, sizeof(uint32_t), by_value);
    uint32_t kept = 1;
    for (uint32_t i = 1; i < c->starts.count; i++) {
        if (c->starts.data[i] != c->starts.data[kept - 1]) c->starts.data[kept++] = c->starts.data[i];
    }
    c->starts.count = kept;
    if (kept > RL_REGEX_SYMBOLS) fail(c, 0, c->text.length, "this regular expression is too large");
    for (uint32_t i = 0; i < c->ranges.count && !failed(c); i++) {
        range_t* r = &c->ranges.data[i];
        *r = (range_t){symbol_of(c, r->low), symbol_of(c, r->high)};
    }
}

/* --- nodes → automaton -------------------------------------------------------------------------------------------- */

static void go_on(compiler_t* c, uint32_t node) {
    if (c->marks.data[node] == c->mark) return;
    c->marks.data[node] = c->mark;
    (void)rl_vec_push(c->allocator, &c->stack, node);
}

/* All that is reached from the nodes on the stack without reading. SET, END and MATCH are appended to members; true:
   MATCH is reached when the text ends here too. */
static bool closure(compiler_t* c, bool begin, bool at_end) {
    bool matches = false;
    while (c->stack.count && !c->allocator->failed) {
        uint32_t at = rl_vec_pop(&c->stack);
        const node_t n = c->nodes.data[at];
        c->work++;
        switch ((rl_regex_op_t)n.op) {
        case RL_REGEX_SPLIT:
            go_on(c, n.x);
            go_on(c, n.y);
            break;
        case RL_REGEX_JUMP: go_on(c, n.x); break;
        case RL_REGEX_BEGIN:
            if (begin) go_on(c, at + 1);
            break;
        case RL_REGEX_END:
            if (at_end) go_on(c, at + 1);
            else (void)rl_vec_push(c->allocator, &c->members, at);
            break;
        case RL_REGEX_MATCH:
            matches = true;
            if (!at_end) (void)rl_vec_push(c->allocator, &c->members, at);
            break;
        case RL_REGEX_SET:
            if (!at_end) (void)rl_vec_push(c->allocator, &c->members, at);
            break;
        case RL_REGEX_WORD_EDGE: break;
        }
    }
    return matches;
}

/* The state of the nodes on the stack, found or made; 0: of none. */
static uint32_t state_of(compiler_t* c, bool begin) {
    uint32_t first = c->members.count;
    (void)closure(c, begin, false);
    uint32_t count = c->members.count - first;
    if (c->allocator->failed || count == 0) return 0;
    uint32_t* own = c->members.data + first;
    if (count > 1) qsort(own, count, sizeof *own, by_value);
    uint64_t hash = 0x9E3779B97F4A7C15u;
    for (uint32_t i = 0; i < count; i++) hash = (hash ^ own[i]) * 0x100000001B3u;
    uint32_t known = 0;
    while (!begin && rl_map_get(&c->known, hash, &known)) { /* two sets of one hash stand at neighbouring keys */
        range_t s = c->states.data[known];
        if (s.high - s.low == count && memcmp(c->members.data + s.low, own, count * sizeof *own) == 0) {
            c->members.count = first;
            return known;
        }
        hash++;
    }
    c->work += count + c->starts.count;
    uint32_t state = c->states.count;
    bool accepting = false;
    c->mark++;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t node = c->members.data[first + i];
        accepting = accepting || c->nodes.data[node].op == RL_REGEX_MATCH;
        if (c->nodes.data[node].op == RL_REGEX_END) go_on(c, node);
    }
    accepting = closure(c, begin, true) || accepting;
    (void)rl_vec_push(c->allocator, &c->states, (range_t){first, first + count});
    (void)rl_vec_push(c->allocator, &c->accepting, accepting);
    if (!begin) (void)rl_map_put(c->allocator, &c->known, hash, state);
    return c->allocator->failed ? 0 : state;
}

static bool reads(const compiler_t* c, const node_t* n, uint32_t symbol) {
    for (uint32_t i = 0; i < n->y; i++) {
        range_t r = c->ranges.data[n->x + i];
        if (symbol <= r.high) return symbol >= r.low;
    }
    return false;
}

/* False: it would grow too large; the nodes are simulated then. */
static bool make_automaton(compiler_t* c) {
    uint32_t symbols = c->starts.count;
    c->budget = 500 + 200 * (uint64_t)c->text.length;
    if (c->has_word_edge || symbols > 256 || !rl_vec_reserve(c->allocator, &c->marks, c->nodes.count)) return false;
    memset(c->marks.data, 0, c->nodes.count * sizeof(uint32_t));
    c->mark = 1;
    (void)rl_vec_push(c->allocator, &c->states, (range_t){0, 0});
    (void)rl_vec_push(c->allocator, &c->accepting, 0);
    go_on(c, 0);
    if (state_of(c, true) != 1) return false;
    for (uint32_t state = 0; state < c->states.count && !c->allocator->failed; state++) {
        if (c->states.count > MOST_STATES) return false;
        for (uint32_t symbol = 0; symbol < symbols && !c->allocator->failed; symbol++) {
            c->mark++;
            range_t s = c->states.data[state];
            for (uint32_t i = s.low; i < s.high; i++) {
                uint32_t node = c->members.data[i];
                const node_t n = c->nodes.data[node];
                c->work += 1 + n.y / 4;
                if (n.op == RL_REGEX_SET && reads(c, &n, symbol)) go_on(c, node + 1);
            }
            if (c->work > c->budget) return false;
            uint32_t target = c->stack.count ? state_of(c, false) : 0;
            (void)rl_vec_push(c->allocator, &c->next, target);
        }
    }
    return !c->allocator->failed;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static void add_words(rl_buf_t* out, const void* words, size_t count) {
    if (count) rl_buf_add(out, (rl_str_t){words, count * sizeof(uint32_t)});
}
static void add_halves(rl_buf_t* out, const uint32_t* values, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint16_t half = (uint16_t)values[i];
        rl_buf_add(out, (rl_str_t){(const char*)&half, sizeof half});
    }
}

static void write(compiler_t* c, bool automaton, rl_buf_t* out) {
    rl_regex_header_t header = {c->nodes.count, c->starts.count, c->ranges.count, automaton ? c->states.count : 0};
    add_words(out, &header, sizeof header / sizeof(uint32_t));
    for (uint32_t i = 0; i < 128; i++) {
        uint32_t symbol = symbol_of(c, i);
        add_halves(out, &symbol, 1);
    }
    add_words(out, c->starts.data, c->starts.count);
    add_words(out, c->nodes.data, (size_t)c->nodes.count * 3);
    add_words(out, c->ranges.data, (size_t)c->ranges.count * 2);
    for (uint32_t i = 0; i < header.states; i += 32) {
        uint32_t bits = 0;
        for (uint32_t k = i; k < i + 32 && k < header.states; k++) bits |= c->accepting.data[k] << (k - i);
        add_words(out, &bits, 1);
    }
    if (automaton) add_halves(out, c->next.data, c->next.count);
}

bool rl_regex_compile(rl_allocator_t* allocator, rl_str_t pattern, rl_buf_t* out_program, rl_regex_error_t* out_error) {
    compiler_t c = {.allocator = allocator, .text = pattern, .error = out_error};
    *out_error = (rl_regex_error_t){0, 0, NULL};
    uint32_t root = read_all(&c);
    if (!failed(&c)) push_task(&c, TASK_PART, root, 0, 0);
    while (c.tasks.count && !failed(&c)) do_task(&c, rl_vec_pop(&c.tasks));
    if (!failed(&c)) add_node(&c, RL_REGEX_MATCH, 0, 0);
    if (!failed(&c)) find_symbols(&c);
    if (!failed(&c)) write(&c, make_automaton(&c), out_program);
    rl_vec_deinit(allocator, &c.parts);
    rl_vec_deinit(allocator, &c.ranges);
    rl_vec_deinit(allocator, &c.groups);
    rl_vec_deinit(allocator, &c.nodes);
    rl_vec_deinit(allocator, &c.tasks);
    rl_vec_deinit(allocator, &c.starts);
    rl_vec_deinit(allocator, &c.members);
    rl_vec_deinit(allocator, &c.states);
    rl_vec_deinit(allocator, &c.next);
    rl_vec_deinit(allocator, &c.accepting);
    rl_vec_deinit(allocator, &c.stack);
    rl_vec_deinit(allocator, &c.marks);
    rl_map_deinit(allocator, &c.known);
    return !out_error->message && !allocator->failed && !out_program->failed;
}
