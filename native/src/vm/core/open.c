/*
 * Values of written open record types (LANGUAGE 4.3): an Any that holds a record without name. The descriptor in it says
 * where a field lies; names of fields are texts of one symbol table, so comparing where they lie decides nearly always.
 */
#include "vm/builtin.h"
#include "vm/format.h"
#include "vm/vm.h"

#define FN(name) rl_outcome_t name(rl_vm_t* vm, const rl_word_t* args, rl_word_t* result, const rl_builtin_site_t* site)
FN(rl_open_get);
FN(rl_open_with);

/* The field of the record in `open`; NULL: the host gave something else (vm->failure is set). */
static const rl_rfield_t* find_field(rl_vm_t* vm, rl_object_t* open, rl_object_t* name, const rl_rshape_t** out_shape) {
    const rl_rtype_t* type = rl_object_words(open)[1].p;
    rl_str_t wanted = rl_string_str(name);
    bool record = type->kind == RL_TYPE_RECORD || (type->kind == RL_TYPE_NAMED && type->def_kind == RL_DEF_RECORD);
    const rl_rshape_t* shape = record ? &type->shapes[0] : NULL;
    *out_shape = shape;
    for (unsigned i = 0; shape && i < shape->field_count; i++) {
        const rl_rfield_t* field = &shape->fields[i];
        if (field->name.data == wanted.data && field->name.length == wanted.length) return field;
    }
    for (unsigned i = 0; shape && i < shape->field_count; i++) {
        if (rl_str_equal(shape->fields[i].name, wanted)) return &shape->fields[i];
    }
    (void)rl_vm_raise(
        vm, RL_CODE_HOST_VALUE_TYPE_MISMATCH, "%.*s has no field %.*s", RL_STR_ARG(type->name), RL_STR_ARG(wanted));
    return NULL;
}

FN(rl_open_get) {
    const rl_rshape_t* shape;
    const rl_rfield_t* field = find_field(vm, args[0].o, args[1].o, &shape);
    if (!field) return RL_RAISE;
    rl_word_t value = rl_object_words(rl_object_words(args[0].o)[0].o)[field->slot];
    if (field->type->rep == RL_REP_R && value.o) rl_share(value.o);
    if (field->type != site->result_type) { /* only where the host made the record */
        if (field->type->rep != site->result_type->rep && site->result_type->kind != RL_TYPE_ANY) {
            return rl_vm_raise(vm, RL_CODE_HOST_VALUE_TYPE_MISMATCH, "field %.*s is %.*s, expected %.*s",
                RL_STR_ARG(field->name), RL_STR_ARG(field->type->name), RL_STR_ARG(site->result_type->name));
        }
        return rl_value_convert(vm, field->type, site->result_type, value, result);
    }
    *result = value;
    return RL_DONE;
}

FN(rl_open_with) {
    const rl_rshape_t* shape;
    const rl_rfield_t* field = find_field(vm, args[0].o, args[1].o, &shape);
    if (!field) return RL_RAISE;
    if (field->type->type != site->types[0]->type) {
        return rl_vm_raise(vm, RL_CODE_HOST_VALUE_TYPE_MISMATCH, "field %.*s is %.*s, expected %.*s",
            RL_STR_ARG(field->name), RL_STR_ARG(field->type->name), RL_STR_ARG(site->types[0]->name));
    }
    if (!rl_vm_charge(vm, 1 + shape->words)) return RL_RAISE;
    const rl_rtype_t* type = rl_object_words(args[0].o)[1].p;
    rl_object_t *old = rl_object_words(args[0].o)[0].o,
                *copy = rl_heap_new(&vm->heap, RL_OBJ_CELLS, shape->tag, shape->refs, shape->words);
    if (!copy) return RL_COLLECT;
    for (unsigned i = 0; i < shape->words; i++) {
        rl_object_words(copy)[i] = rl_object_words(old)[i];
        if (i < shape->refs && rl_object_words(old)[i].o) rl_share(rl_object_words(old)[i].o);
    }
    rl_object_words(copy)[field->slot] = args[2];
    return rl_value_to_any(vm, type, (rl_word_t){.o = copy}, result);
}
