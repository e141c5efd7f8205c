// TextDataset: one split of a dataset as token ids. A row is tokenised when it is first asked for (by a loader thread, ahead of the step that needs it) and kept in
// memory in 2 bytes a token (4 for vocabularies over 65536). Thread-safe. Throws std::invalid_argument where a row cannot be tokenised and std::runtime_error
// where the dataset is damaged; both name file and line.
//
//   auto train = std::make_shared<TextDataset>(reader, tokenizer, Split::kTrain, TextDatasetOptions{.max_length = 128});
//   TokenizedText row = train->Get(7);
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "server/examples/example.h"
#include "server/tokenizers/tokenizer.h"

namespace attune::training {

struct TextDatasetOptions {
  int32_t max_length = 512;  // tokens, special tokens included
};

struct TokenizedText {
  std::vector<int32_t> ids;
  std::vector<int32_t> type_ids;  // empty: all zero
  bool truncated = false;
};

// Tokenises one text (and its pair, unless null) as TextDataset does; for prediction. Throws std::invalid_argument.
TokenizedText Tokenize(const tokenizers::Tokenizer& tokenizer, std::string_view text, const std::string_view* pair, int32_t max_length);

class TextDataset {
 public:
  TextDataset(std::shared_ptr<const examples::ExampleReader> reader, std::shared_ptr<const tokenizers::Tokenizer> tokenizer, examples::Split split,
              const TextDatasetOptions& options);
  ~TextDataset();
  TextDataset(const TextDataset&) = delete;
  TextDataset& operator=(const TextDataset&) = delete;

  int64_t size() const { return static_cast<int64_t>(rows_.size()); }
  const examples::ExampleReader& reader() const { return *reader_; }
  examples::Split split() const { return split_; }
  const examples::DatasetManifest& manifest() const { return reader_->manifest(); }
  TokenizedText Get(int64_t index) const;
  examples::Example GetExample(int64_t index) const;  // with its text

 private:
  class Arena;
  const uint8_t* Load(int64_t index) const;

  const std::shared_ptr<const examples::ExampleReader> reader_;
  const std::shared_ptr<const tokenizers::Tokenizer> tokenizer_;
  const examples::Split split_;
  const TextDatasetOptions options_;
  const bool wide_;  // 4-byte ids
  mutable std::vector<std::atomic<const uint8_t*>> rows_;  // null: not tokenised yet
  mutable std::mutex mutex_;
  std::unique_ptr<Arena> arena_;  // guarded by mutex_
};

}  // namespace attune::training
