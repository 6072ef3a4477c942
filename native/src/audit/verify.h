/* verify: the walk over a log behind reml_audit_verify(), with the I/O table as a parameter. */
#ifndef RL_AUDIT_VERIFY_H
#define RL_AUDIT_VERIFY_H

#include "audit/sha256.h"
#include "base/os.h"
#include "reml_audit.h"

typedef struct rl_audit_verification { /* the fields of reml_audit_report_t */
    int32_t verdict;
    uint64_t record, records, first_sequence, last_sequence, pending, torn_bytes;
    char head[RL_SHA256_HEX + 1];
    char detail[200];
} rl_audit_verification_t;

/* False: no memory. `expected_head_or_null` is 64 lower-case digits, or NULL. */
bool rl_audit_verify_file(
    const rl_io_t* io, const char* path, const char* expected_head_or_null, rl_audit_verification_t* out);

#endif
