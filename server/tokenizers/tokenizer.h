// Tokenizer: text to token ids, exactly as the Python `tokenizers` library does. Torch-free. Immutable after creation; thread-safe.
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

struct Encoding {
  std::vector<int32_t> ids;       // special tokens included
  std::vector<int32_t> type_ids;  // segment of each id
  bool truncated = false;
};

class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  // `text` and `pair` must be UTF-8 (INVALID_ARGUMENT otherwise). `pair` may be null. The result is cut to `max_length` tokens, longest first
  // for pairs, as transformers' truncation=True does; 0 means: not cut.
  virtual absl::StatusOr<Encoding> Encode(std::string_view text, const std::string_view* pair, int32_t max_length) const = 0;
  virtual int32_t vocabulary_size() const = 0;  // added tokens included
};

// Reads tokenizer.json of a model directory; padding and truncation settings stored in it are ignored. INVALID_ARGUMENT when it
// cannot be parsed (the message of the library is included), NOT_FOUND when the file is missing.
absl::StatusOr<std::shared_ptr<const Tokenizer>> LoadTokenizer(const std::string& model_dir);

}  // namespace attune::tokenizers
