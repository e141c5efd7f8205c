// Tokenizer: text to token ids, exactly as the Python `tokenizers` library does. Torch-free. Immutable after creation;
// thread-safe, and calls of several threads do not wait for each other.
//
//   ATTUNE_ASSIGN_OR_RETURN(auto tokenizer, LoadTokenizer(model_dir));
//   ATTUNE_ASSIGN_OR_RETURN(Encoding e, tokenizer->Encode("hello", nullptr, 128));
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace attune::tokenizers {

// Bounds on hostile input: parsing and encoding need some 30 bytes of memory for each byte.
inline constexpr int64_t kMaxTokenizerJsonBytes = int64_t{40} << 20;
inline constexpr size_t kMaxTextBytes = size_t{8} << 20;

struct Encoding {
  std::vector<int32_t> ids;       // special tokens included
  std::vector<int32_t> type_ids;  // segment of each id
  bool truncated = false;
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  // `text` and `pair` must be UTF-8 of at most kMaxTextBytes (INVALID_ARGUMENT otherwise). `pair` may be null. The
  // result is cut to `max_length` tokens, longest first for pairs, as transformers' truncation=True does; 0 means: not
  // cut. INVALID_ARGUMENT when `max_length` has no room for the special tokens.
  virtual absl::StatusOr<Encoding> Encode(std::string_view text, const std::string_view* pair,
                                          int32_t max_length) const = 0;
  // 1 + the largest id that Encode can return, added and special tokens included: rows that the model's word embedding
  // needs.
  virtual int32_t vocabulary_size() const = 0;
};

// Reads tokenizer.json of a model directory; padding and truncation settings stored in it are ignored, but for the side
// that truncation cuts (tokenizer_config.json's truncation_side, where there is one, comes first). INVALID_ARGUMENT
// when it is too large or cannot be parsed (the message of the library is included), NOT_FOUND when the file is
// missing.
absl::StatusOr<std::shared_ptr<const Tokenizer>> LoadTokenizer(const std::string& model_dir);

// The same from the content of a tokenizer.json; `name` is what errors call it.
absl::StatusOr<std::shared_ptr<const Tokenizer>> ParseTokenizer(std::string_view json, std::string_view name);

}  // namespace attune::tokenizers
