/* printf directives (LANGUAGE 8.2) and conversion of values to a type that differs by inner Any or names of records. */
#ifndef RL_VM_FORMAT_H
#define RL_VM_FORMAT_H

#include "types/template.h"
#include "vm/vm.h"

/* Append `value` as the specification says. RL_RAISE: type.format.arg_mismatch, limits; RL_COLLECT: memory. */
rl_outcome_t rl_value_format(
    rl_vm_t* vm, const rl_rtype_t* type, rl_word_t value, const rl_format_spec_t* spec, rl_buf_t* out);
/* A printf template with its arguments, a List<Any>. Count and kinds are checked: type.format.arity, .arg_mismatch. */
rl_outcome_t rl_format_template(rl_vm_t* vm, rl_str_t text, rl_object_t* arguments, rl_buf_t* out);
/* T to Any; inside lists, maps, options, tuples, records and sums too. The value itself when nothing has to change. */
rl_outcome_t rl_value_convert(
    rl_vm_t* vm, const rl_rtype_t* from, const rl_rtype_t* to, rl_word_t value, rl_word_t* out);
/* Any of a value. RL_COLLECT: memory. */
rl_outcome_t rl_value_to_any(rl_vm_t* vm, const rl_rtype_t* type, rl_word_t value, rl_word_t* out);

#endif
