// WhitespaceTokenizer: words become tokens (their lengths are the ids), with one special token, 0, at the start and one
// after each text. Header-only. Thread-safe.
#pragma once

#include <sstream>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/tokenizers/tokenizer.h"

namespace attune {

class WhitespaceTokenizer final : public tokenizers::Tokenizer {
 public:
  absl::StatusOr<tokenizers::Encoding> Encode(std::string_view text, const std::string_view* pair,
                                              int32_t max_length) const override {
    tokenizers::Encoding encoding;
    encoding.ids.push_back(0);
    encoding.type_ids.push_back(0);
    Add(text, 0, encoding);
    if (pair != nullptr) Add(*pair, 1, encoding);
    if (max_length > 0 && encoding.ids.size() > static_cast<size_t>(max_length)) {
      encoding.ids.resize(static_cast<size_t>(max_length));
      encoding.type_ids.resize(static_cast<size_t>(max_length));
      encoding.truncated = true;
    }
    return encoding;
  }
  int32_t vocabulary_size() const override { return 1000; }

 private:
  static void Add(std::string_view text, int32_t type, tokenizers::Encoding& encoding) {
    std::istringstream words{std::string(text)};
    for (std::string word; words >> word;) {
      encoding.ids.push_back(static_cast<int32_t>(word.size()));
      encoding.type_ids.push_back(type);
    }
    encoding.ids.push_back(0);
    encoding.type_ids.push_back(type);
  }
};

}  // namespace attune
