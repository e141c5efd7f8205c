#include "server/training/input/text_dataset.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"

namespace attune::training {
namespace {

constexpr int32_t kNarrowVocabulary = 1 << 16;
constexpr uint8_t kTruncated = 1;
constexpr uint8_t kHasTypes = 2;
constexpr size_t kHeaderBytes = sizeof(uint32_t) + 1;

// A row in memory: u32 count, u8 flags, ids of 2 or 4 bytes, then, where flagged, a byte of type for each id. Unaligned.
std::vector<uint8_t> Pack(const TokenizedText& text, bool wide) {
  const size_t count = text.ids.size();
  const size_t id_bytes = wide ? 4 : 2;
  std::vector<uint8_t> out(kHeaderBytes + count * id_bytes + text.type_ids.size());
  const uint32_t count32 = static_cast<uint32_t>(count);
  std::memcpy(out.data(), &count32, sizeof(count32));
  out[sizeof(count32)] = (text.truncated ? kTruncated : 0) | (text.type_ids.empty() ? 0 : kHasTypes);
  uint8_t* at = out.data() + kHeaderBytes;
  for (int32_t id : text.ids) {
    std::memcpy(at, &id, id_bytes);  // little-endian: the low bytes come first
    at += id_bytes;
  }
  for (int32_t type : text.type_ids) *at++ = static_cast<uint8_t>(type);
  return out;
}

TokenizedText Unpack(const uint8_t* row, bool wide) {
  uint32_t count = 0;
  std::memcpy(&count, row, sizeof(count));
  const uint8_t flags = row[sizeof(count)];
  const size_t id_bytes = wide ? 4 : 2;
  const uint8_t* at = row + kHeaderBytes;
  TokenizedText text;
  text.truncated = (flags & kTruncated) != 0;
  text.ids.resize(count);
  for (int32_t& id : text.ids) {
    id = 0;
    std::memcpy(&id, at, id_bytes);
    at += id_bytes;
  }
  if (flags & kHasTypes) text.type_ids.assign(at, at + count);
  return text;
}

}  // namespace

// Rows of a split live and die together, so they are packed into large blocks instead of one allocation each.
class TextDataset::Arena {
 public:
  const uint8_t* Add(const std::vector<uint8_t>& row) {
    if (blocks_.empty() || row.size() > room_) {
      room_ = std::max(kBlockBytes, row.size());
      blocks_.push_back(std::make_unique<uint8_t[]>(room_));
      next_ = blocks_.back().get();
    }
    uint8_t* at = next_;
    std::memcpy(at, row.data(), row.size());
    next_ += row.size();
    room_ -= row.size();
    return at;
  }

 private:
  static constexpr size_t kBlockBytes = 1 << 18;
  std::vector<std::unique_ptr<uint8_t[]>> blocks_;
  uint8_t* next_ = nullptr;
  size_t room_ = 0;
};

TokenizedText Tokenize(const tokenizers::Tokenizer& tokenizer, std::string_view text, const std::string_view* pair, int32_t max_length) {
  absl::StatusOr<tokenizers::Encoding> encoding = tokenizer.Encode(text, pair, max_length);
  if (!encoding.ok()) throw std::invalid_argument(std::string(encoding.status().message()));
  if (encoding->ids.empty()) {
    throw std::invalid_argument("the tokenizer gave no tokens for this text, not even [CLS]: its post-processor is missing from tokenizer.json");
  }
  TokenizedText out;
  out.ids = std::move(encoding->ids);
  out.truncated = encoding->truncated;
  const auto& types = encoding->type_ids;
  if (std::any_of(types.begin(), types.end(), [](int32_t type) { return type != 0; })) {
    if (std::any_of(types.begin(), types.end(), [](int32_t type) { return type < 0 || type > 255; })) {
      throw std::invalid_argument("the tokenizer gave a token type outside 0..255");
    }
    out.type_ids = std::move(encoding->type_ids);
  }
  return out;
}

TextDataset::TextDataset(std::shared_ptr<const examples::ExampleReader> reader, std::shared_ptr<const tokenizers::Tokenizer> tokenizer, examples::Split split,
                         const TextDatasetOptions& options)
    : reader_(std::move(reader)),
      tokenizer_(std::move(tokenizer)),
      split_(split),
      options_(options),
      wide_(tokenizer_->vocabulary_size() > kNarrowVocabulary),
      rows_(static_cast<size_t>(reader_->size(split))),
      arena_(std::make_unique<Arena>()) {}

TextDataset::~TextDataset() = default;

examples::Example TextDataset::GetExample(int64_t index) const {
  absl::StatusOr<examples::Example> example = reader_->Get(split_, index);
  if (!example.ok()) {
    throw std::runtime_error(
        absl::StrCat("row ", index, " of split ", examples::SplitName(split_), " cannot be read: ", example.status().message(), "; import the dataset again"));
  }
  return *std::move(example);
}

TokenizedText TextDataset::Get(int64_t index) const {
  const uint8_t* row = rows_.at(static_cast<size_t>(index)).load(std::memory_order_acquire);
  return Unpack(row != nullptr ? row : Load(index), wide_);
}

const uint8_t* TextDataset::Load(int64_t index) const {
  const examples::Example example = GetExample(index);
  const std::string_view pair = example.text_pair;
  std::vector<uint8_t> packed;
  try {
    packed = Pack(Tokenize(*tokenizer_, example.text, example.has_text_pair ? &pair : nullptr, options_.max_length), wide_);
  } catch (const std::invalid_argument& error) {
    const auto& names = manifest().filenames;
    const std::string file = example.file < names.size() ? names[example.file] : "dataset";
    throw std::invalid_argument(absl::StrCat(file, " line ", example.line, ": ", error.what()));
  }
  std::lock_guard lock(mutex_);
  auto& slot = rows_[static_cast<size_t>(index)];
  if (const uint8_t* other = slot.load(std::memory_order_relaxed)) return other;  // another thread was faster
  const uint8_t* row = arena_->Add(packed);
  slot.store(row, std::memory_order_release);
  return row;
}

}  // namespace attune::training
