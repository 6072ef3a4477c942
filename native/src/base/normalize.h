/* Text brought into Unicode normalisation form C. */
#ifndef RL_NORMALIZE_H
#define RL_NORMALIZE_H

#include "base/buf.h"

/* Append `valid_text` in NFC to `out`. False, and out->failed, when memory or the limit of `out` is short. Linear. */
bool rl_normalize_nfc(rl_str_t valid_text, rl_buf_t* out);

#endif
