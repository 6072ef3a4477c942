/*
 * Templates of `format` (LANGUAGE 8.2): printf directives and `{expr:spec}` interpolation, taken apart at compile time
 * and, for dynamic templates, at run time by the same code.
 */
#ifndef RL_TEMPLATE_H
#define RL_TEMPLATE_H

#include "base/base.h"

typedef struct rl_format_spec {
    bool minus, plus, space, zero, alternate;
    bool has_precision;
    uint32_t width, precision; /* at most 4,096 each; larger is an error */
    char letter;               /* d i u x X o b f e g E G s v c q, or 0: by type */
} rl_format_spec_t;

typedef enum rl_template_part_kind {
    RL_PART_TEXT,
    RL_PART_DIRECTIVE,
    RL_PART_EXPRESSION,
    RL_PART_END,
    RL_PART_ERROR
} rl_template_part_kind_t;
typedef struct rl_template_part {
    rl_template_part_kind_t kind;
    size_t start, end; /* TEXT: bytes of the template (escapes `%%`, `{{`, `}}` end a TEXT after one of the two);
                                   EXPRESSION: the expression's text without braces and spec */
    size_t spec_start, spec_end; /* text of the specification, without `%` or `:` */
    rl_format_spec_t spec;
    const char* error; /* ERROR: what is wrong with the specification at start…end */
} rl_template_part_t;

/* Next part of a printf template from *offset; moves it. */
rl_template_part_t rl_template_next_printf(rl_str_t text, size_t* offset);
/* Next part of an interpolation template. Strings, chars and brackets inside braces are skipped correctly. */
rl_template_part_t rl_template_next_braces(rl_str_t text, size_t* offset);
/* Read a specification such as "04X" or ".2f" (LANGUAGE 8.2); false: malformed. */
bool rl_format_spec_parse(rl_str_t text, rl_format_spec_t* out_spec);

#endif
