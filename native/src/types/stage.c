/*
 * Stages of handlers (CONTRACTS 19.2). Every place where a handler is applied goes into the program with the sets before and
 * after it; what is experimental there, or required with @requires_capability, is compared with what the host says of the
 * capability. An effect `ForeignCall` stands for the capability `foreign-call`, unless the attribute names one.
 */
#include "types/latent.h"

#include "base/json.h"

#include <stdio.h>

static const char* const stage_names[] = {"experimental", "beta", "stable"};
enum { EXPERIMENTAL, BETA, STABLE };

const char* rl_stage_name(int stage) { return stage >= 0 && stage <= STABLE ? stage_names[stage] : "unknown"; }

/* --- what is noted while checking ----------------------------------------------------------------------------------- */

void rl_note_handler(
    rl_checker_t* c, rl_ir_t ir, rl_ir_t body, rl_effect_id_t effect, rl_fn_id_t named, bool declared) {
    rl_applied_t applied = {.ir = ir, .body = body, .effect = effect, .named = named, .declared = declared};
    if (c->input->is_prelude || rl_failed(c)) return;
    applied.frame = c->frame;
    (void)rl_vec_push(c->allocator, &c->applied, applied);
}

void rl_note_stage(rl_checker_t* c, rl_node_t attr, rl_node_t node, int stage, rl_str_t id, bool refused) {
    rl_staged_t staged = {.attr = attr, .span = rl_span_of(c, node), .stage = stage, .id = id, .refused = refused};
    (void)rl_vec_push(c->allocator, &c->staged, staged);
}

/* --- names ------------------------------------------------------------------------------------------------------------ */

/* ForeignCall → foreign-call */
void rl_capability_of_effect(rl_str_t name, rl_buf_t* out) {
    for (size_t i = 0; i < name.length; i++) {
        char letter = name.data[i];
        bool upper = letter >= 'A' && letter <= 'Z';
        bool inner = i > 0 && !(name.data[i - 1] >= 'A' && name.data[i - 1] <= 'Z') && name.data[i - 1] != '_';
        if (upper && inner) rl_buf_add_char(out, '-');
        rl_buf_add_char(out, upper ? (char)(letter - 'A' + 'a') : letter == '_' ? '-' : letter);
    }
}

/* The function whose code stands at `offset`, for a reader: the innermost `fn` of the tree. */
static rl_str_t function_at(const rl_checker_t* c, uint32_t offset) {
    rl_node_t best = 0;
    for (rl_node_t at = 1; at < c->tree->nodes.count; at++) {
        const rl_node_data_t* data = rl_tree_node(c->tree, at);
        if (data->kind != RL_NODE_FN || data->start > offset || data->end <= offset) continue;
        if (!best || data->start >= rl_tree_node(c->tree, best)->start) best = at;
    }
    if (!best) return RL_STR("module");
    rl_list_t path = rl_tree_fn(c->tree, best).path;
    return rl_text(c, rl_tree_name(c->tree, rl_tree_list_at(c->tree, path, rl_tree_list_count(c->tree, path) - 1)));
}

/* --- what the host says ---------------------------------------------------------------------------------------------- */

typedef struct standing {
    rl_str_t id; /* NULL: no capability is known */
    int actual;  /* stage; -1: not registered */
    rl_str_t descriptor;
} standing_t;

static rl_str_t kept(rl_checker_t* c, const rl_buf_t* text) { return rl_arena_copy(c->diags->arena, rl_buf_str(text)); }

static standing_t standing_of(rl_checker_t* c, rl_str_t id) {
    const rl_stage_policy_t* policy = c->input->stages;
    standing_t found = {.id = id, .actual = -1};
    rl_buf_t descriptor;
    rl_buf_init(&descriptor, c->allocator);
    if (policy && policy->stage_of && id.length) found.actual = policy->stage_of(policy->user, id, &descriptor);
    if (descriptor.length) found.descriptor = kept(c, &descriptor);
    rl_buf_deinit(&descriptor);
    return found;
}

/* That of the capability an effect stands for; no id when there is none of that name. */
static standing_t standing_of_effect(rl_checker_t* c, rl_str_t name) {
    rl_buf_t id;
    rl_buf_init(&id, c->allocator);
    rl_capability_of_effect(name, &id);
    standing_t found = standing_of(c, kept(c, &id));
    rl_buf_deinit(&id);
    if (found.actual < 0) found.id = (rl_str_t){NULL, 0};
    return found;
}

static bool opted_in(const rl_checker_t* c, rl_str_t id) {
    const rl_stage_policy_t* policy = c->input->stages;
    return policy->feature || (id.length && policy->opted_in && policy->opted_in(policy->user, id));
}

/* --- diagnostics ------------------------------------------------------------------------------------------------------- */

typedef struct facts {
    int stage, required, actual; /* -1: not known */
    standing_t standing;
    const rl_application_t* application; /* or NULL */
    rl_str_t handler;
} facts_t;

static void add_set(rl_checker_t* c, rl_json_t* json, const char* key, rl_effects_t set) {
    rl_json_key(json, key);
    rl_effects_tags(c->program, set, json);
}

/* `extensions.effects` (CONTRACTS 19.2), and the keys of the record about it. */
static void attach(rl_checker_t* c, rl_diag_t* diag, const facts_t* facts) {
    rl_buf_t text;
    rl_buf_init(&text, c->allocator);
    rl_json_t json = rl_json_begin(&text);
    const rl_application_t* application = facts->application;
    char required[32];
    snprintf(required, sizeof required, "at_least:%s", rl_stage_name(facts->required));
    rl_json_object_begin(&json);
    rl_json_key(&json, "effects");
    rl_json_object_begin(&json);
    if (facts->stage >= 0) rl_json_member(&json, "stage", rl_str(rl_stage_name(facts->stage)));
    if (application) {
        add_set(c, &json, "before", application->before);
        add_set(c, &json, "handled", rl_effects_of_tag(c->program, rl_tag_of_effect(application->effect)));
        add_set(c, &json, "residual", application->after);
    }
    if (facts->handler.length) rl_json_member(&json, "handler_name", facts->handler);
    if (facts->standing.id.length) rl_json_member(&json, "capability", facts->standing.id);
    if (facts->required >= 0) rl_json_member(&json, "required_stage", rl_str(required));
    if (facts->actual >= 0) rl_json_member(&json, "actual_stage", rl_str(rl_stage_name(facts->actual)));
    if (facts->standing.descriptor.length) {
        rl_json_key(&json, "capability_metadata");
        rl_json_raw(&json, facts->standing.descriptor);
    }
    rl_json_object_end(&json);
    rl_json_object_end(&json);
    diag->extensions = kept(c, &text);
    rl_buf_clear(&text);
    json = rl_json_begin(&text);
    if (facts->standing.id.length && facts->required >= 0 && facts->actual >= 0) {
        rl_json_member(&json, "capability.id", facts->standing.id);
        rl_json_member(&json, "effect.capability", facts->standing.id);
        rl_json_key(&json, "effect.manifest_path");
        rl_json_null(&json);
        rl_json_member(&json, "effect.provider", RL_STR("core"));
        rl_json_member(&json, "effect.stage.actual", rl_str(rl_stage_name(facts->actual)));
        rl_json_member(&json, "effect.stage.required", rl_str(required));
    }
    if (facts->handler.length) rl_json_member(&json, "effect.handler", facts->handler);
    diag->audit = kept(c, &text);
    rl_buf_deinit(&text);
}

void rl_stage_refused(rl_checker_t* c, rl_diag_t* diag, rl_str_t id, int required, int actual) {
    const facts_t facts = {.stage = actual, .required = required, .actual = actual, .standing = {id, -1, {NULL, 0}}};
    attach(c, diag, &facts);
}

void rl_attach_sets(
    rl_checker_t* c, rl_diag_t* diag, rl_effects_t before, rl_effects_t handled, rl_effects_t residual) {
    rl_buf_t text;
    rl_buf_init(&text, c->allocator);
    rl_json_t json = rl_json_begin(&text);
    rl_json_object_begin(&json);
    rl_json_key(&json, "effects");
    rl_json_object_begin(&json);
    add_set(c, &json, "before", before);
    add_set(c, &json, "handled", handled);
    add_set(c, &json, "residual", residual);
    rl_json_object_end(&json);
    rl_json_object_end(&json);
    diag->extensions = kept(c, &text);
    rl_buf_deinit(&text);
}

/* Errors about what is experimental are warnings when they are acknowledged. */
static rl_severity_t strict(const rl_checker_t* c) { return c->input->stages->acknowledged ? RL_WARNING : RL_ERROR; }

static rl_str_t shown_id(const facts_t* facts) {
    return facts->standing.id.length ? facts->standing.id : RL_STR("this code");
}

static rl_diag_t* report_missing_opt_in(rl_checker_t* c, rl_span_t span, const facts_t* facts) {
    const rl_stage_policy_t* policy = c->input->stages;
    rl_str_t id = shown_id(facts);
    rl_diag_t* diag =
        rl_report_as(c->diags, RL_CODE_EFFECTS_STAGE_MISSING_OPT_IN, policy->demanded ? strict(c) : RL_HINT, span,
            "%.*s is %s, and nobody has opted in to it", RL_STR_ARG(id), rl_stage_name(facts->stage));
    attach(c, diag, facts);
    rl_note_plain(c->diags, diag, "opt in: -Zalgebraic-effects, `reml capability enable %.*s`, or a grant",
        RL_STR_ARG(facts->standing.id.length ? id : RL_STR("ID")));
    return diag;
}

static void note_attribute(rl_checker_t* c, rl_diag_t* diag, rl_str_t function, int stage) {
    rl_note_plain(
        c->diags, diag, "write @requires_capability(stage=\"%s\") on %.*s", rl_stage_name(stage), RL_STR_ARG(function));
}

/* --- rules --------------------------------------------------------------------------------------------------------------- */

static const rl_staged_t* region_at(const rl_checker_t* c, uint32_t offset) {
    const rl_staged_t* best = NULL;
    for (uint32_t i = 0; i < c->staged.count; i++) {
        const rl_staged_t* staged = &c->staged.data[i];
        if (staged->span.start > offset || staged->span.end <= offset) continue;
        if (!best || staged->span.start >= best->span.start) best = staged;
    }
    return best;
}

static rl_str_t effect_name(const rl_checker_t* c, rl_effect_id_t effect) {
    return rl_text(c, rl_program_effect(c->program, effect)->name);
}

/* What the code of a region is about: the id it names, else that of the first effect handled there that stands for one. */
static standing_t standing_of_region(
    rl_checker_t* c, const rl_staged_t* staged, uint32_t first, const rl_application_t** out_application) {
    *out_application = NULL;
    if (staged->id.length) return standing_of(c, staged->id);
    for (uint32_t i = first; i < c->program->applications.count; i++) {
        const rl_application_t* application = &c->program->applications.data[i];
        if (region_at(c, application->start) != staged) continue;
        standing_t found = standing_of_effect(c, effect_name(c, application->effect));
        if (!found.id.length) continue;
        *out_application = application;
        return found;
    }
    return (standing_t){.actual = -1};
}

static bool all_opted_in(rl_checker_t* c, uint32_t first) {
    bool any = false;
    for (uint32_t i = first; i < c->program->applications.count; i++) {
        standing_t found = standing_of_effect(c, effect_name(c, c->program->applications.data[i].effect));
        if (!found.id.length || found.actual == STABLE) continue;
        any = true;
        if (!opted_in(c, found.id)) return false;
    }
    return any;
}

static void check_region(rl_checker_t* c, const rl_staged_t* staged, uint32_t first) {
    facts_t facts = {.required = staged->stage < 0 ? EXPERIMENTAL : staged->stage};
    facts.standing = standing_of_region(c, staged, first, &facts.application);
    facts.actual = facts.standing.actual;
    facts.stage = facts.actual >= 0 ? facts.actual : staged->stage;
    if (facts.application) facts.handler = effect_name(c, facts.application->effect);
    rl_span_t span = rl_span_of(c, staged->attr);
    if (facts.actual >= 0 && facts.actual < facts.required) {
        rl_diag_t* diag = rl_report_as(c->diags, RL_CODE_EFFECTS_CONTRACT_STAGE_MISMATCH,
            facts.actual == EXPERIMENTAL ? strict(c) : RL_ERROR, span, "capability %.*s stands at %s, %s is required",
            RL_STR_ARG(facts.standing.id), rl_stage_name(facts.actual), rl_stage_name(facts.required));
        attach(c, diag, &facts);
        rl_note_plain(c->diags, diag, "required: at_least:%s", rl_stage_name(facts.required));
        rl_note_plain(c->diags, diag, "actual: %s", rl_stage_name(facts.actual));
    }
    if (facts.stage != EXPERIMENTAL || opted_in(c, facts.standing.id)) return;
    if (!facts.standing.id.length && all_opted_in(c, first)) return; /* it only passes on what a handler requires */
    if (facts.actual < 0) facts.actual = staged->stage;
    (void)report_missing_opt_in(c, span, &facts);
}

/* Experimental needs the attribute; beta without it is checked like experimental; stable needs nothing. */
static void check_handler(rl_checker_t* c, const rl_application_t* application) {
    const rl_stage_policy_t* policy = c->input->stages;
    facts_t facts = {.application = application, .required = EXPERIMENTAL};
    facts.handler = effect_name(c, application->effect);
    facts.standing = standing_of_effect(c, facts.handler);
    facts.stage = facts.actual = facts.standing.actual;
    if (region_at(c, application->start) || facts.actual < 0 || facts.actual == STABLE) return;
    rl_span_t span = application->span;
    rl_str_t function = function_at(c, application->start);
    if (!opted_in(c, facts.standing.id)) {
        note_attribute(c, report_missing_opt_in(c, span, &facts), function, facts.stage);
    }
    if (policy->feature || policy->demanded) {
        rl_diag_t* diag = rl_report_as(c->diags, RL_CODE_EFFECTS_CONTRACT_STAGE_MISMATCH, strict(c), span,
            "%.*s handles %.*s, which is %s, without saying so", RL_STR_ARG(function), RL_STR_ARG(facts.handler),
            rl_stage_name(facts.stage));
        attach(c, diag, &facts);
        note_attribute(c, diag, function, facts.stage);
    }
}

/* Callers of what requires an experimental capability. */
static void check_callers(rl_checker_t* c) {
    const rl_program_t* program = c->program;
    for (uint32_t i = c->first_node; i < program->nodes.count && !rl_failed(c); i++) {
        const rl_ir_node_t node = program->nodes.data[i];
        uint16_t op = node.op;
        if (op != RL_IR_CALL && op != RL_IR_CLOSURE) continue;
        const rl_function_t callee = *rl_program_function(program, node.a);
        if (!callee.required_stage || region_at(c, node.start)) continue;
        facts_t facts = {.required = EXPERIMENTAL, .standing = {.actual = -1}};
        if (callee.required_capability) facts.standing = standing_of(c, rl_text(c, callee.required_capability));
        facts.actual = facts.standing.actual;
        facts.stage = facts.actual >= 0 ? facts.actual : callee.required_stage - 1;
        if (facts.stage == STABLE) continue;
        rl_str_t function = function_at(c, node.start), name = rl_text(c, callee.name);
        rl_diag_t* diag = rl_report_as(c->diags, RL_CODE_EFFECTS_CONTRACT_STAGE_MISMATCH, strict(c),
            rl_span_of_ir(c, program->first_node + i), "%.*s uses %.*s, which is %s, without saying so",
            RL_STR_ARG(function), RL_STR_ARG(name), rl_stage_name(facts.stage));
        attach(c, diag, &facts);
        note_attribute(c, diag, function, facts.stage);
    }
}

/* --- applications ------------------------------------------------------------------------------------------------------ */

static rl_effects_t effects_of_closure(rl_checker_t* c, rl_ir_t ir) {
    const rl_ir_node_t node = *rl_program_node(c->program, ir);
    if (node.op != RL_IR_CLOSURE) return RL_EFFECTS_NONE;
    rl_effects_t set = rl_program_function(c->program, node.a)->effects;
    return set ? set : RL_EFFECTS_NONE;
}

static void add_application(rl_checker_t* c, const rl_applied_t* applied) {
    rl_program_t* program = c->program;
    const rl_ir_node_t node = *rl_program_node(program, applied->ir);
    rl_application_t made = {.ir = applied->ir,
        .module = c->module,
        .start = node.start,
        .effect = applied->effect,
        .named = applied->named,
        .declared = applied->declared,
        .stage = -1};
    made.span = applied->declared ? (rl_span_t){node.start, node.start + 1} : rl_span_of_ir(c, applied->ir);
    made.fn = rl_reader_function(c, c->frames.data[rl_frame_resolve(c, applied->frame)].fn);
    made.before = effects_of_closure(c, applied->body);
    rl_effects_t after = rl_effects_without(program, made.before, rl_tag_of_effect(made.effect));
    if (node.op == RL_IR_HANDLE) {
        uint32_t clauses = rl_program_extra(program, node.b)[2];
        for (uint32_t i = 0; i <= clauses; i++) {
            rl_ir_t clause = rl_program_extra(program, node.b)[i ? 2 + i : 1];
            if (clause) after = rl_effects_join(program, after, effects_of_closure(c, clause));
        }
    } else if (made.named) {
        rl_effects_t own = rl_program_function(program, made.named)->effects;
        if (own) after = rl_effects_join(program, after, own);
    }
    made.after = after;
    rl_effects_t bound = rl_program_function(program, made.fn)->declared;
    made.open = rl_effects_excess(program, after, bound ? bound : RL_EFFECTS_NONE) > RL_EFFECTS_NONE;
    const rl_staged_t* staged = region_at(c, made.start);
    if (staged) made.stage = (int8_t)staged->stage;
    if (staged && staged->id.length) made.capability = rl_sym_intern(c->symbols, staged->id);
    (void)rl_vec_push(c->allocator, &program->applications, made);
}

/* Functions remember what they require, for callers in this module and in later ones. */
static void mark_functions(rl_checker_t* c, uint32_t first) {
    for (uint32_t i = 0; i < c->contracts.count && !rl_failed(c); i++) {
        const rl_contract_t* contract = &c->contracts.data[i];
        rl_node_t attr = rl_attribute_find(c, contract->attrs, RL_ATTR_REQUIRES_CAPABILITY);
        for (uint32_t k = 0; attr && contract->fn && k < c->staged.count; k++) {
            const rl_staged_t* staged = &c->staged.data[k];
            if (staged->attr != attr || staged->stage < 0) continue;
            const rl_application_t* application;
            standing_t standing = standing_of_region(c, staged, first, &application);
            rl_sym_t id = standing.id.length ? rl_sym_intern(c->symbols, standing.id) : 0;
            rl_function_at(c, contract->fn)->required_stage = (uint8_t)(staged->stage + 1);
            rl_function_at(c, contract->fn)->required_capability = id;
            c->program->has_stages = true;
        }
    }
}

void rl_check_stages(rl_checker_t* c) {
    uint32_t first = c->program->applications.count;
    for (uint32_t i = 0; i < c->applied.count && !rl_failed(c); i++) add_application(c, &c->applied.data[i]);
    const rl_stage_policy_t* policy = c->input->stages;
    if (!policy || rl_failed(c)) return;
    if (c->staged.count) mark_functions(c, first);
    for (uint32_t i = 0; i < c->staged.count && !rl_failed(c); i++) {
        if (!c->staged.data[i].refused) check_region(c, &c->staged.data[i], first);
    }
    for (uint32_t i = first; i < c->program->applications.count && !rl_failed(c); i++) {
        if (!c->program->applications.data[i].declared) check_handler(c, &c->program->applications.data[i]);
    }
    if (c->program->has_stages && (policy->feature || policy->demanded)) check_callers(c);
}
