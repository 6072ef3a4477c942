/* Text brought into a Unicode normalisation form (UAX #15). */
#ifndef RL_NORMALIZE_H
#define RL_NORMALIZE_H

#include "base/buf.h"

typedef enum rl_normal_form { RL_NFC, RL_NFD, RL_NFKC, RL_NFKD } rl_normal_form_t; /* NormalizationForm's order */

/*
 * Append `valid_text` in the form to `out`. False, and out->failed, when memory or the limit of `out` is short. Linear,
 * and so is the memory, whatever sequences of marks the text holds.
 */
bool rl_normalize(rl_str_t valid_text, rl_normal_form_t form, rl_buf_t* out);
bool rl_normalize_nfc(rl_str_t valid_text, rl_buf_t* out);
/* Linear, without memory. */
bool rl_is_normalized(rl_str_t valid_text, rl_normal_form_t form);

/* Full case mappings (SpecialCasing without languages; the final sigma). Append to `out`; see out->failed. */
void rl_unicode_upper_text(rl_str_t valid_text, rl_buf_t* out);
void rl_unicode_lower_text(rl_str_t valid_text, rl_buf_t* out);

#endif
