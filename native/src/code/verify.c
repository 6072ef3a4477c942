#include "code/emit.h"

#include "vm/builtin.h"

/*
 * What the loop takes for granted, looked at once: registers inside the frame, table indices inside tables, jumps inside
 * the code, windows of calls and objects inside the frame, results in the right bank. Not whether a register was written
 * before it is read.
 */

typedef struct verifier {
    const rl_proto_t* p;
    rl_buf_t* why;
    uint32_t at;
    bool ok;
} verifier_t;

static void complain(verifier_t* v, const char* what, uint32_t number) {
    if (v->ok && v->why) {
        rl_buf_printf(v->why, "%.*s: instruction %u (%s): %s %u", RL_STR_ARG(v->p->name), v->at,
            v->at < v->p->code_count ? rl_op_name(v->p->code[v->at].op) : "end", what, number);
    }
    v->ok = false;
}

static void in_s(verifier_t* v, uint32_t first, uint32_t count) {
    if (first + count > v->p->s_count) complain(v, "scalar register outside the frame:", first + count);
}
static void in_r(verifier_t* v, uint32_t first, uint32_t count) {
    if (first + count > v->p->r_count) complain(v, "reference register outside the frame:", first + count);
}
static void in_table(verifier_t* v, uint32_t index, uint32_t count) {
    if (index >= count) complain(v, "no such table entry:", index);
}
static void to_target(verifier_t* v, int64_t target) {
    if (target < 0 || target >= v->p->code_count || rl_op_reads_last(v->p->code[target].op))
        complain(v, "jump to", (uint32_t)target);
}

static bool jumps_back(unsigned op) {
    return strncmp(rl_op_name(op), "WHILE_", 6) == 0 || strncmp(rl_op_name(op), "FOR_", 4) == 0;
}

static bool goes_on(unsigned op) { /* may the next instruction be reached from here in order? */
    switch (op) {
    case RL_OP_JMP:
    case RL_OP_LOOP:
    case RL_OP_SWITCH_S:
    case RL_OP_SWITCH_TAG:
    case RL_OP_TAILCALL:
    case RL_OP_TAILCALLV:
    case RL_OP_RETS:
    case RL_OP_RETS_LI:
    case RL_OP_RETS_LF:
    case RL_OP_RETR:
    case RL_OP_RETU:
    case RL_OP_RAISE:
    case RL_OP_TRAP:
    case RL_OP_ESCAPES:
    case RL_OP_ESCAPER:
    case RL_OP_RESUME:
    case RL_OP_HALT: return false;
    default: return true;
    }
}

/* Calls and objects: their operands are the starts of windows. */
static bool check_window(verifier_t* v, rl_instr_t in) {
    const rl_proto_t* p = v->p;
    switch (in.op) {
    case RL_OP_CALL:
    case RL_OP_TAILCALL: {
        in_table(v, in.c, p->callee_count);
        if (!v->ok) return true;
        const rl_proto_t* callee = p->callees[in.c];
        if (callee->param_types) { /* not yet compiled: its counts are not known */
            in_s(v, in.a, callee->s_params);
            in_r(v, in.b, (uint32_t)callee->r_params + callee->has_env);
            if (in.op == RL_OP_CALL && callee->result_rep == RL_REP_R) in_r(v, in.b, 1);
            if (in.op == RL_OP_CALL && callee->result_rep != RL_REP_R) in_s(v, in.a, 1);
        }
        if (in.op == RL_OP_TAILCALL && callee->param_types &&
            (callee->result_rep == RL_REP_R) != (p->result_rep == RL_REP_R) &&
            callee->result_type->type != RL_TYPE_NEVER)
            complain(v, "tail call with a result of the other bank:", callee->result_rep);
        return true;
    }
    case RL_OP_CALLV:
    case RL_OP_TAILCALLV:
        in_s(v, in.a, 0);
        in_r(v, in.b, 1);
        return true;
    case RL_OP_HANDLE:
        in_table(v, in.c, p->handle_count);
        if (!v->ok) return true;
        in_r(v, in.b, 1u + p->handles[in.c].has_return + p->handles[in.c].clause_count);
        if (p->handles[in.c].result_rep != RL_REP_R) in_s(v, in.a, 1);
        return true;
    case RL_OP_PERFORM:
        in_table(v, in.c, p->perform_count);
        if (!v->ok) return true;
        if (p->performs[in.c].value_rep == RL_REP_R) in_r(v, in.b, 1);
        else in_s(v, in.a, 1);
        for (unsigned i = 0; p->performs[in.c].root && i < p->performs[in.c].root->arg_count; i++) {
            if (p->performs[in.c].root->arg_reps[i] == RL_REP_R) in_r(v, p->performs[in.c].root->args[i], 1);
            else in_s(v, p->performs[in.c].root->args[i], 1);
        }
        return true;
    case RL_OP_CALLH:
        in_table(v, in.c, p->host_count);
        for (uint32_t i = 0, s = 0, r = 0; v->ok && i < p->hosts[in.c].param_count; i++) {
            if (p->hosts[in.c].params[i]->rep == RL_REP_R) in_r(v, in.b + r++, 1);
            else in_s(v, in.a + s++, 1);
        }
        return true;
    case RL_OP_NEW:
        in_table(v, in.c, p->shape_count);
        if (!v->ok) return true;
        in_r(v, in.b, p->shapes[in.c].refs ? p->shapes[in.c].refs : 1);
        in_s(v, in.a, p->shapes[in.c].words - p->shapes[in.c].refs);
        return true;
    case RL_OP_CLOSURE:
        in_table(v, in.c, p->closure_count);
        if (!v->ok) return true;
        in_r(v, in.b, p->closures[in.c].refs ? p->closures[in.c].refs : 1);
        in_s(v, in.a, p->closures[in.c].scalars);
        if (!p->closures[in.c].proto || !p->closures[in.c].proto->has_env) complain(v, "closure without code:", in.c);
        return true;
    default: return false;
    }
}

static void check_site(verifier_t* v, const rl_builtin_site_t* site) {
    if (!site->call || site->id >= RL_BUILTIN_ID_COUNT) complain(v, "no such builtin:", site->id);
    bool wants_ref = v->p->code[v->at].op == RL_OP_CALLB_R;
    if ((site->result_rep == RL_REP_R) != wants_ref) complain(v, "result in the other bank:", site->result_rep);
    if (site->arg_count > RL_BUILTIN_ARGS_MAX) complain(v, "too many arguments:", site->arg_count);
    for (unsigned i = 0; v->ok && i < site->arg_count; i++) {
        if (site->arg_reps[i] == RL_REP_R) in_r(v, site->args[i], 1);
        else in_s(v, site->args[i], 1);
    }
}

static void check_index(verifier_t* v, unsigned op, uint32_t k) {
    const rl_proto_t* p = v->p;
    switch (op) {
    case RL_OP_LDK: in_table(v, k, p->constant_count); break;
    case RL_OP_LDR: in_table(v, k, p->ref_constant_count); break;
    case RL_OP_LDNULLARY: in_table(v, k, 256); break;
    case RL_OP_CALLB_S:
    case RL_OP_CALLB_R:
        in_table(v, k, p->builtin_count);
        if (v->ok) check_site(v, &p->builtins[k]);
        break;
    case RL_OP_ANY_S:
    case RL_OP_ANY_R:
    case RL_OP_ITER: in_table(v, k, p->type_count); break;
    case RL_OP_RAISE:
    case RL_OP_TRAP: in_table(v, k, RL_CODE_COUNT); break;
    case RL_OP_JTAG:
    case RL_OP_JNTAG:
    case RL_OP_GETS:
    case RL_OP_GETR:
    case RL_OP_GETR_SHARE:
    case RL_OP_SETS:
    case RL_OP_SETR: break;
    case RL_OP_SWITCH_S:
    case RL_OP_SWITCH_TAG:
        in_table(v, k, p->switch_count);
        for (uint32_t i = 1; v->ok && i < p->switches[k][0] + 2; i++) to_target(v, p->switches[k][i]);
        break;
    default: break;
    }
}

/* A builtin that cannot come back has a register that nobody chose. */
static bool never_writes(const verifier_t* v, rl_instr_t in) {
    if (in.op != RL_OP_CALLB_S || in.index >= v->p->builtin_count) return false;
    return v->p->builtins[in.index].result_type->kind == RL_TYPE_NEVER;
}

static void check_instr(verifier_t* v, rl_instr_t in) {
    const char* operands = rl_op_operands(in.op);
    uint16_t fields[4] = {in.a, in.b, in.c, in.d};
    int64_t next = (int64_t)v->at + 1;
    if (check_window(v, in)) return;
    if (rl_op_reads_last(in.op) && (v->at == 0 || !rl_op_goes_on(v->p->code[v->at - 1].op, in.op)))
        complain(v, "nothing of its kind was computed before it:", v->at);
    for (unsigned i = 0; operands[i] && v->ok; i++) {
        switch (operands[i]) {
        case 's':
            if (!never_writes(v, in)) in_s(v, fields[i], 1);
            break;
        case 'r': in_r(v, fields[i], 1); break;
        case 'j':
            if ((int16_t)fields[i] < 0) complain(v, "short jump backward from", v->at);
            to_target(v, next + (int16_t)fields[i]);
            break;
        case 'J':
            if ((in.op == RL_OP_LOOP) != (in.imm < 0)) complain(v, "jump in the wrong direction from", v->at);
            to_target(v, next + in.imm);
            break;
        case 'K': check_index(v, in.op, in.index); break;
        case 'u':
            if (i == 2 && jumps_back(in.op)) to_target(v, next - fields[i]);
            else check_index(v, in.op, fields[i]);
            break;
        default: break;
        }
    }
    if (in.op == RL_OP_FOR_STEP) in_s(v, in.a, 2);
    if ((in.op == RL_OP_DIVP_I || in.op == RL_OP_REMP_I || in.op == RL_OP_DIVP_LI || in.op == RL_OP_REMP_LI) &&
        (in.c == 0 || in.c > 62))
        complain(v, "no such power:", in.c);
    bool returns_scalar = in.op == RL_OP_RETS || in.op == RL_OP_RETS_LI || in.op == RL_OP_RETS_LF;
    if ((returns_scalar && v->p->result_rep == RL_REP_R) || (in.op == RL_OP_RETR && v->p->result_rep != RL_REP_R)) {
        complain(v, "return from the other bank:", v->p->result_rep);
    }
}

bool rl_verify(const rl_proto_t* proto, rl_buf_t* why) {
    verifier_t v = {.p = proto, .why = why, .ok = true};
    if (proto->code_count == 0 || !proto->code || !proto->starts) complain(&v, "no code:", 0);
    in_s(&v, 0, proto->s_params);
    in_r(&v, 0, (uint32_t)proto->r_params + proto->has_env);
    for (; v.ok && v.at < proto->code_count; v.at++) {
        if (proto->code[v.at].op >= RL_OP_COUNT) complain(&v, "no such instruction:", proto->code[v.at].op);
        else check_instr(&v, proto->code[v.at]);
    }
    if (v.ok && goes_on(proto->code[proto->code_count - 1].op)) complain(&v, "runs past its end:", proto->code_count);
    return v.ok;
}
