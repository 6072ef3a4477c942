/* SHA-256 (FIPS 180-4), with the processor's own instructions where it has them. No allocation, never fails. */
#ifndef RL_AUDIT_SHA256_H
#define RL_AUDIT_SHA256_H

#include "base/base.h"

#define RL_SHA256_BYTES 32u
#define RL_SHA256_HEX   64u

typedef struct rl_sha256 {
    uint32_t state[8];
    uint64_t length; /* bytes so far */
    unsigned char block[64];
} rl_sha256_t;

void rl_sha256_init(rl_sha256_t* sha);
void rl_sha256_update(rl_sha256_t* sha, const void* data, size_t length);
void rl_sha256_final(rl_sha256_t* sha, unsigned char out[RL_SHA256_BYTES]);

/* Lower-case hexadecimal, not NUL-terminated. */
void rl_sha256_hex(const unsigned char digest[RL_SHA256_BYTES], char out[RL_SHA256_HEX]);

/* For tests: with `portable` the plain C rounds are used whatever the processor can do. */
void rl_sha256_blocks(uint32_t state[8], const unsigned char* data, size_t blocks, bool portable);

#endif
