// The Tokenizer that the Hugging Face library (capi/) gives.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/base/files.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/tokenizers/capi/attune_tokenizers.h"
#include "server/tokenizers/tokenizer.h"

namespace attune::tokenizers {
namespace {

constexpr int64_t kMaxTokenizerConfigBytes = 16 << 20;

// The message of a failed call; releases it.
std::string TakeMessage(char* error) {
  std::string message = error == nullptr ? "" : error;
  attune_tokenizers_string_free(error);
  return message;
}

const uint8_t* Bytes(std::string_view text) { return reinterpret_cast<const uint8_t*>(text.data()); }

struct TokenizerDeleter {
  void operator()(attune_tokenizer* tokenizer) const { attune_tokenizer_free(tokenizer); }
};
using Handle = std::unique_ptr<attune_tokenizer, TokenizerDeleter>;

class HuggingFaceTokenizer : public Tokenizer {
 public:
  explicit HuggingFaceTokenizer(Handle handle)
      : handle_(std::move(handle)), vocabulary_size_(attune_tokenizer_vocabulary_size(handle_.get())) {}

  absl::StatusOr<Encoding> Encode(std::string_view text, const std::string_view* pair,
                                  int32_t max_length) const override {
    ATTUNE_RETURN_IF_ERROR(CheckArguments(text, pair, max_length));
    // A null pointer means "no pair" to the library, so an empty view must not be one.
    const uint8_t* pair_bytes = pair == nullptr ? nullptr : pair->empty() ? Bytes("") : Bytes(*pair);
    attune_tokens tokens{};
    char* error = nullptr;
    const int32_t status =
        attune_tokenizer_encode(handle_.get(), Bytes(text), text.size(), pair_bytes, pair == nullptr ? 0 : pair->size(),
                                static_cast<size_t>(max_length), &tokens, &error);
    if (status == ATTUNE_TOKENIZERS_INVALID_ARGUMENT) return absl::InvalidArgumentError(TakeMessage(error));
    if (status != ATTUNE_TOKENIZERS_OK) {
      return absl::InternalError(StrCat("the tokenizer failed on this text: ", TakeMessage(error)));
    }
    Encoding encoding;
    encoding.ids.assign(tokens.ids, tokens.ids + tokens.length);
    encoding.type_ids.assign(tokens.type_ids, tokens.type_ids + tokens.length);
    encoding.truncated = tokens.truncated != 0;
    attune_tokens_free(&tokens);
    // They stand in the post-processor alone, and come as negative numbers where they do not fit.
    if (std::any_of(encoding.type_ids.begin(), encoding.type_ids.end(), [](int32_t type) { return type < 0; })) {
      return absl::InvalidArgumentError("tokenizer.json gives tokens a segment (type_id) that does not fit in 31 bits");
    }
    // The library cuts texts so that they fit in the post-processor's template once.
    if (max_length > 0 && encoding.ids.size() > static_cast<size_t>(max_length)) {
      return absl::InvalidArgumentError(
          "tokenizer.json has a post_processor that repeats a text: a template may name each text once");
    }
    return encoding;
  }

  int32_t vocabulary_size() const override { return vocabulary_size_; }

 private:
  static absl::Status CheckArguments(std::string_view text, const std::string_view* pair, int32_t max_length) {
    if (max_length < 0) {
      return absl::InvalidArgumentError(StrCat("max_length is ", max_length, ": use 0 (not cut) or more"));
    }
    const size_t longest = std::max(text.size(), pair == nullptr ? 0 : pair->size());
    if (longest > kMaxTextBytes) {
      return absl::InvalidArgumentError(
          StrCat("the text has ", longest, " bytes, more than the ", kMaxTextBytes, " allowed: split it"));
    }
    return absl::OkStatus();
  }

  Handle handle_;
  int32_t vocabulary_size_;
};

absl::StatusOr<Handle> Parse(std::string_view json, std::string_view name) {
  if (static_cast<int64_t>(json.size()) > kMaxTokenizerJsonBytes) {
    return absl::InvalidArgumentError(
        StrCat(name, " has ", json.size(), " bytes, more than the ", kMaxTokenizerJsonBytes, " allowed"));
  }
  attune_tokenizer* tokenizer = nullptr;
  char* error = nullptr;
  if (attune_tokenizer_create(Bytes(json), json.size(), &tokenizer, &error) != ATTUNE_TOKENIZERS_OK) {
    return absl::InvalidArgumentError(
        StrCat(name, " is not a tokenizer that can be used: ", TakeMessage(error),
               ". Write it again with AutoTokenizer.from_pretrained(...).save_pretrained(...) of transformers"));
  }
  return Handle(tokenizer);
}

// truncation_side of tokenizer_config.json; nothing when the file or the key is absent.
absl::StatusOr<std::optional<bool>> ReadTruncateLeft(const std::string& path) {
  if (!FileExists(path)) return std::nullopt;
  ATTUNE_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxTokenizerConfigBytes));
  const nlohmann::json config = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) return absl::InvalidArgumentError("tokenizer_config.json is not a JSON object");
  const auto side = config.find("truncation_side");
  if (side == config.end() || side->is_null()) return std::nullopt;
  if (*side == "left") return true;
  if (*side == "right") return false;
  return absl::InvalidArgumentError("tokenizer_config.json: truncation_side must be \"left\" or \"right\"");
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Tokenizer>> ParseTokenizer(std::string_view json, std::string_view name) {
  ATTUNE_ASSIGN_OR_RETURN(Handle handle, Parse(json, name));
  return std::make_shared<HuggingFaceTokenizer>(std::move(handle));
}

absl::StatusOr<std::shared_ptr<const Tokenizer>> LoadTokenizer(const std::string& model_dir) {
  const std::string path = StrCat(model_dir, "/tokenizer.json");
  ATTUNE_ASSIGN_OR_RETURN(const int64_t size, FileSize(path));
  if (size > kMaxTokenizerJsonBytes) {  // not even read
    return absl::InvalidArgumentError(
        StrCat("tokenizer.json has ", size, " bytes, more than the ", kMaxTokenizerJsonBytes, " allowed"));
  }
  ATTUNE_ASSIGN_OR_RETURN(const std::string json, ReadFile(path, kMaxTokenizerJsonBytes));
  ATTUNE_ASSIGN_OR_RETURN(Handle handle, Parse(json, "tokenizer.json"));
  ATTUNE_ASSIGN_OR_RETURN(const std::optional<bool> left,
                          ReadTruncateLeft(StrCat(model_dir, "/tokenizer_config.json")));
  if (left.has_value()) attune_tokenizer_set_truncate_left(handle.get(), *left ? 1 : 0);
  return std::make_shared<HuggingFaceTokenizer>(std::move(handle));
}

}  // namespace attune::tokenizers
