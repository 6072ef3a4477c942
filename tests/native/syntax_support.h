/* What the tests of the syntax stage share: a world with everything rl_parse needs, and trees as short one-line text. */
#ifndef SYNTAX_SUPPORT_H
#define SYNTAX_SUPPORT_H

#include "check.h"

#include "syntax/lexer.h"
#include "syntax/parser.h"

#include <stdlib.h>

typedef struct world {
    rl_allocator_t allocator;
    rl_arena_t arena;
    rl_symbols_t symbols;
    rl_diags_t diags;
    rl_tree_t tree;
    rl_parser_input_t input;
    rl_buf_t text;
    bool ok;
} world_t;

static inline void world_open(world_t* w, const char* source, size_t length) {
    memset(w, 0, sizeof *w);
    rl_allocator_init(&w->allocator, NULL, NULL);
    rl_arena_init(&w->arena, &w->allocator);
    rl_symbols_init(&w->symbols, NULL, &w->allocator, &w->arena);
    rl_diags_init(&w->diags, &w->allocator, &w->arena);
    rl_buf_init(&w->text, &w->allocator);
    w->diags.source = (rl_str_t){source, length};
    w->diags.file = RL_STR("test.reml");
    w->diags.module = RL_STR("main");
    w->input = (rl_parser_input_t){&w->allocator, {source, length}, &w->symbols, &w->diags, {0}};
}

/* Everything given back? */
static inline void world_close(world_t* w) {
    rl_buf_deinit(&w->text);
    if (w->tree.allocator) rl_tree_deinit(&w->tree);
    rl_diags_deinit(&w->diags);
    rl_symbols_deinit(&w->symbols);
    rl_arena_deinit(&w->arena);
    CHECK_INT_EQ(w->allocator.live_bytes, 0);
}

static inline void world_parse(world_t* w, const char* source) {
    world_open(w, source, strlen(source));
    w->ok = rl_parse(&w->input, &w->tree);
}

/*
 * The tree without spans and labels: `CHAIN a`, `BINARY + b` on lines below each other become `(CHAIN a (BINARY + b))`;
 * names and literals stand for themselves.
 */
static inline const char* compact(world_t* w, rl_node_t node) {
    static char out[1 << 16];
    static const char* const drop[] = {" upper", " keyword", " raw", " escaped"};
    static const char* const bare[] = {"NAME ", "INT ", "FLOAT ", "STRING ", "BOOL "};
    rl_buf_clear(&w->text);
    rl_tree_print(&w->tree, &w->symbols, node, &w->text);
    const char* line = rl_buf_cstr(&w->text);
    size_t length = 0, depth = 0;
    while (*line && length + 300 < sizeof out) {
        size_t indent = strspn(line, " ") / 2;
        line += indent * 2;
        const char* end = strchr(line, '\n');
        const char* head = line;
        while (*head && *head != ' ' && *head != ':') head++;
        head = *head == ':' ? head + 2 : line; /* behind the label */
        const char* span = head;
        while (*span != ' ') span++;
        const char* rest = span + 1;
        while (rest < end && *rest != ' ') rest++; /* behind the span */
        for (; depth > indent; depth--) out[length++] = ')';
        char kind[64];
        snprintf(kind, sizeof kind, "%.*s ", (int)(span - head), head);
        bool is_bare = false;
        for (size_t i = 0; i < sizeof bare / sizeof *bare; i++) is_bare |= strcmp(kind, bare[i]) == 0;
        const char* shown = rest;
        if (is_bare) {
            for (size_t i = 0; i < sizeof drop / sizeof *drop; i++)
                if (strncmp(shown, drop[i], strlen(drop[i])) == 0 && shown + strlen(drop[i]) < end)
                    shown += strlen(drop[i]);
            length += (size_t)snprintf(
                out + length, sizeof out - length, "%s%.*s", length ? " " : "", (int)(end - shown - 1), shown + 1);
        } else {
            length += (size_t)snprintf(out + length, sizeof out - length, "%s(%.*s%.*s", length ? " " : "",
                (int)(span - head), head, (int)(end - rest), rest);
            depth++;
        }
        line = end + 1;
    }
    while (depth--) out[length++] = ')';
    out[length] = 0;
    return out;
}

static inline const char* code_of(const world_t* w, uint32_t index) {
    return index < w->diags.items.count ? rl_code_text(w->diags.items.data[index].code) : "(none)";
}

static inline bool has_code(const world_t* w, const char* code) {
    for (uint32_t i = 0; i < w->diags.items.count; i++)
        if (strcmp(code_of(w, i), code) == 0) return true;
    return false;
}

#endif
