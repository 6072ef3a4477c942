/* Looking into an Any (LANGUAGE 8.9), and what a program may ask of its surroundings: Env. */
#include "types/program.h"
#include "base/utf8.h"
#include "vm/builtin.h"
#include "vm/core/basic.h"
#include "vm/core/collections.h"
#include "vm/core/keyed.h"
#include "vm/core/list.h"
#include "vm/format.h"
#include "vm/string.h"

#define BUILTIN(id, name, function, uses)                                                                              \
    rl_outcome_t function(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site);
#include "vm/core/json.def"
#undef BUILTIN

#define FN(name) rl_outcome_t name(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site)

static rl_value_t inside(rl_word_t any) {
    rl_value_t value = {any, NULL};
    do {
        rl_word_t* words = rl_object_words(value.word.o);
        value.type = words[1].p;
        value.word = words[0];
    } while (value.type->kind == RL_TYPE_ANY);
    return value;
}

static bool is_builtin(const rl_rtype_t* type, rl_builtin_type_t builtin) {
    return type->kind == RL_TYPE_NAMED && type->def_kind == RL_DEF_BUILTIN && type->builtin == builtin;
}

static bool is_option(const rl_rtype_t* type) {
    return type->kind == RL_TYPE_NAMED && type->def_kind == RL_DEF_SUM && rl_str_equal(type->name, RL_STR("Option"));
}

FN(rl_any_is_int) {
    (void)vm, (void)site;
    result->i = rl_type_is_integer(inside(args[0]).type->kind);
    return RL_DONE;
}
FN(rl_any_is_float) {
    (void)vm, (void)site;
    result->i = rl_type_is_float(inside(args[0]).type->kind);
    return RL_DONE;
}
FN(rl_any_is_bool) {
    (void)vm, (void)site;
    result->i = inside(args[0]).type->kind == RL_TYPE_BOOL;
    return RL_DONE;
}
FN(rl_any_is_str) {
    (void)vm, (void)site;
    result->i = inside(args[0]).type->kind == RL_TYPE_STR;
    return RL_DONE;
}
FN(rl_any_is_list) {
    (void)vm, (void)site;
    result->i = is_builtin(inside(args[0]).type, RL_BUILTIN_LIST);
    return RL_DONE;
}
FN(rl_any_is_map) {
    (void)vm, (void)site;
    result->i = is_builtin(inside(args[0]).type, RL_BUILTIN_MAP);
    return RL_DONE;
}
FN(rl_any_is_null) {
    (void)vm, (void)site;
    rl_value_t value = inside(args[0]);
    const rl_rtype_t* type = value.type;
    result->i = type->kind == RL_TYPE_UNIT ||
                (is_option(type) && !type->is_enum && type->shapes[value.word.o->tag].field_count == 0);
    return RL_DONE;
}

static rl_outcome_t none(const rl_builtin_site_t* site, rl_word_t* result) {
    rl_make_none(site->result_type, result);
    return RL_DONE;
}
static const rl_rtype_t* wanted(const rl_builtin_site_t* site) {
    return rl_shape_named(site->result_type, RL_STR("Some"))->fields[0].type;
}

FN(rl_any_as_int) {
    rl_value_t value = inside(args[0]);
    if (!rl_type_is_integer(value.type->kind) || (value.type->kind == RL_TYPE_U64 && value.word.i < 0))
        return none(site, result);
    return rl_make_some(vm, site->result_type, value.word, result);
}
FN(rl_any_as_float) {
    rl_value_t value = inside(args[0]);
    if (!rl_type_is_float(value.type->kind)) return none(site, result);
    return rl_make_some(vm, site->result_type, value.word, result);
}
/* Bool and Str: exactly the type that is asked for. */
FN(rl_any_as_same) {
    rl_value_t value = inside(args[0]);
    if (value.type->kind != wanted(site)->kind) return none(site, result);
    if (value.type->rep == RL_REP_R) rl_share(value.word.o);
    return rl_make_some(vm, site->result_type, value.word, result);
}
/* List<Any> and Map<Str, Any>: the elements become Any. */
FN(rl_any_as_collection) {
    rl_value_t value = inside(args[0]);
    const rl_rtype_t* to = wanted(site);
    if (!is_builtin(value.type, (rl_builtin_type_t)to->builtin)) return none(site, result);
    if (to->builtin == RL_BUILTIN_MAP && value.type->args[0]->kind != RL_TYPE_STR) return none(site, result);
    rl_word_t converted;
    rl_outcome_t outcome = rl_value_convert(vm, value.type, to, value.word, &converted);
    if (outcome != RL_DONE) return outcome;
    if (converted.o == value.word.o) rl_share(converted.o);
    return rl_make_some(vm, site->result_type, converted, result);
}

FN(rl_any_get) {
    rl_value_t value = inside(args[0]);
    const rl_rtype_t* type = value.type;
    const rl_rtype_t* member_type = NULL;
    rl_str_t name = rl_string_str(args[1].o);
    rl_word_t member = {0};
    while (type->kind == RL_TYPE_NAMED && type->def_kind == RL_DEF_NEWTYPE) type = type->payload;
    if (is_builtin(type, RL_BUILTIN_MAP) && type->args[0]->kind == RL_TYPE_STR) {
        bool found;
        rl_outcome_t outcome = rl_map_look_up(vm, type->args[0], value.word.o, args[1], &member, &found);
        if (outcome != RL_DONE) return outcome;
        if (found) member_type = type->args[1];
    } else if (type->kind == RL_TYPE_RECORD ||
               (type->kind == RL_TYPE_NAMED && (type->def_kind == RL_DEF_RECORD || type->def_kind == RL_DEF_STRUCT))) {
        const rl_rshape_t* shape = &type->shapes[0];
        if (!rl_vm_charge(vm, 1 + shape->field_count / 8u)) return RL_RAISE;
        for (unsigned i = 0; i < shape->field_count && !member_type; i++) {
            if (!rl_str_equal(shape->fields[i].name, name)) continue;
            member = rl_object_words(value.word.o)[shape->fields[i].slot];
            member_type = shape->fields[i].type;
        }
    }
    if (!member_type) return none(site, result);
    if (member_type->rep == RL_REP_R) rl_share(member.o);
    rl_word_t any;
    rl_outcome_t outcome = rl_value_to_any(vm, member_type, member, &any);
    return outcome == RL_DONE ? rl_make_some(vm, site->result_type, any, result) : outcome;
}

FN(rl_any_type_name) {
    (void)site;
    rl_buf_t text;
    rl_buf_init(&text, vm->allocator);
    rl_type_print(vm->program, inside(args[0]).type->type, &text);
    rl_outcome_t outcome =
        rl_vm_charge(vm, 1 + text.length / 16) ? rl_string_from_buf(vm, &text, RL_OBJ_STR, &result->o) : RL_RAISE;
    rl_buf_deinit(&text);
    return outcome;
}

/* --- the surroundings ------------------------------------------------------------------------------------------------- */

/* (name: Str) -> Result<Option<Str>, Str> */
FN(rl_env_look_up) {
    const rl_rshape_t* good = rl_shape_named(site->result_type, RL_STR("Ok"));
    const rl_rshape_t* bad = rl_shape_named(site->result_type, RL_STR("Err"));
    rl_str_t value = {0};
    rl_environment_t answer =
        vm->environment ? vm->environment(vm->host, rl_string_str(args[0].o), &value) : RL_ENVIRONMENT_DENIED;
    if (!rl_vm_charge(vm, 1 + value.length / 16)) return RL_RAISE;
    rl_word_t payload;
    if (answer == RL_ENVIRONMENT_VALUE && rl_utf8_validate(value) == value.length) {
        payload.o = rl_string_new(vm, value, RL_OBJ_STR);
        if (!payload.o) return RL_COLLECT;
        rl_outcome_t outcome = rl_make_some(vm, good->fields[0].type, payload, &payload);
        return outcome == RL_DONE ? rl_object_variant(vm, good, payload, result) : outcome;
    }
    if (answer == RL_ENVIRONMENT_UNSET) {
        rl_make_none(good->fields[0].type, &payload);
        return rl_object_variant(vm, good, payload, result);
    }
    payload.o = rl_string_new(vm,
        answer == RL_ENVIRONMENT_VALUE ? RL_STR("its value is not UTF-8")
                                       : RL_STR("the host does not let this program see its environment"),
        RL_OBJ_STR);
    return payload.o ? rl_object_variant(vm, bad, payload, result) : RL_COLLECT;
}

FN(rl_env_args) {
    (void)args;
    RL_VEC(rl_word_t) words = {0};
    rl_outcome_t outcome = RL_DONE;
    rl_str_t text;
    for (size_t i = 0; outcome == RL_DONE && vm->argument && vm->argument(vm->host, i, &text); i++) {
        rl_word_t word = {.o = rl_string_new(vm, text, RL_OBJ_STR)};
        if (!word.o || !rl_vec_push(vm->allocator, &words, word)) outcome = RL_COLLECT;
        else if (!rl_vm_charge(vm, 1 + text.length / 16)) outcome = RL_RAISE;
    }
    if (outcome == RL_DONE) {
        rl_element_t element = (rl_element_t)site->result_type->args[0]->element;
        outcome = rl_list_from_words(vm, element, words.data, words.count, &result->o);
    }
    rl_vec_deinit(vm->allocator, &words);
    return outcome;
}
