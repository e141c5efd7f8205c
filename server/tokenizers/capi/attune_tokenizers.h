/* C face of the Hugging Face tokenizers library (src/lib.rs). Only server/tokenizers includes it.
 *
 * A tokenizer is immutable and may be used by many threads at once. No call unwinds or aborts on bad input: each one returns a status, and on failure
 * *error holds a message to be released with attune_tokenizers_string_free. */
#ifndef ATTUNE_SERVER_TOKENIZERS_CAPI_ATTUNE_TOKENIZERS_H_
#define ATTUNE_SERVER_TOKENIZERS_CAPI_ATTUNE_TOKENIZERS_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct attune_tokenizer attune_tokenizer;

enum attune_tokenizers_status {
  ATTUNE_TOKENIZERS_OK = 0,
  ATTUNE_TOKENIZERS_INVALID_ARGUMENT = 1, /* the JSON, the text or max_length */
  ATTUNE_TOKENIZERS_INTERNAL = 2          /* the library panicked on this input */
};

typedef struct {
  const int32_t* ids;
  const int32_t* type_ids; /* as many as ids */
  size_t length;
  int32_t truncated; /* 0 or 1 */
} attune_tokens;

/* Parses the bytes of a tokenizer.json. Its padding and truncation settings are ignored, but for the side that truncation cuts. */
int32_t attune_tokenizer_create(const uint8_t* json, size_t json_size, attune_tokenizer** out, char** error);
void attune_tokenizer_free(attune_tokenizer* tokenizer);

/* 1 + the largest id that the vocabulary, the added tokens or the special tokens have. */
int32_t attune_tokenizer_vocabulary_size(const attune_tokenizer* tokenizer);

/* Cut long inputs at the start (1) or at the end (0). Call before the tokenizer is shared. */
void attune_tokenizer_set_truncate_left(attune_tokenizer* tokenizer, int32_t left);

/* Encodes a text, or a pair when `pair` is not null, with special tokens. Texts need not end in NUL. max_length 0 means: not cut. The result is released
 * with attune_tokens_free. */
int32_t attune_tokenizer_encode(const attune_tokenizer* tokenizer, const uint8_t* text, size_t text_size, const uint8_t* pair, size_t pair_size,
                                size_t max_length, attune_tokens* out, char** error);
void attune_tokens_free(attune_tokens* tokens);

void attune_tokenizers_string_free(char* string);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* ATTUNE_SERVER_TOKENIZERS_CAPI_ATTUNE_TOKENIZERS_H_ */
