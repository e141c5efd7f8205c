#include "server/training/input/text_batches.h"

#include <set>
#include <stdexcept>
#include <string>

#include <ATen/ops/full.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/examples/example.h"
#include "server/training/input/epoch_order.h"

namespace attune::training {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<int64_t> Values(const at::Tensor& tensor) { return {tensor.const_data_ptr<int64_t>(), tensor.const_data_ptr<int64_t>() + tensor.numel()}; }

TEST(PackTexts, SortsByLengthAndDescribesRuns) {
  const std::vector<TokenizedText> texts = {
      {.ids = {101, 1, 2, 102}}, {.ids = {101, 102}}, {.ids = {101, 5, 6, 102}, .type_ids = {0, 0, 1, 1}, .truncated = true}, {.ids = {101, 9, 102}}};
  const std::vector<int64_t> rows = {70, 71, 72, 73};
  const Batch packed = PackTexts(texts, &rows);
  const TextBatch& batch = packed.text;

  EXPECT_EQ(batch.sequences, 4);
  EXPECT_EQ(batch.tokens, 13);
  EXPECT_THAT(Values(batch.token_ids), ElementsAre(101, 102, 101, 9, 102, 101, 1, 2, 102, 101, 5, 6, 102));
  EXPECT_THAT(Values(batch.type_ids), ElementsAre(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1));
  EXPECT_THAT(Values(batch.position_ids), ElementsAre(0, 1, 0, 1, 2, 0, 1, 2, 3, 0, 1, 2, 3));
  EXPECT_THAT(Values(batch.first_token), ElementsAre(0, 2, 5, 9));
  EXPECT_THAT(packed.example_indices, ElementsAre(71, 73, 70, 72));
  EXPECT_THAT(batch.truncated, ElementsAre(false, false, false, true));
  ASSERT_EQ(batch.runs.size(), 3u);
  EXPECT_EQ(batch.runs[2].first_sequence, 2);
  EXPECT_EQ(batch.runs[2].first_token, 5);
  EXPECT_EQ(batch.runs[2].count, 2);
  EXPECT_EQ(batch.runs[2].length, 4);
  EXPECT_FALSE(packed.targets.defined());
}

TEST(PackTexts, NumbersTextsOfARequest) {
  EXPECT_THAT(PackTexts({{.ids = {1, 2}}, {.ids = {3}}}).example_indices, ElementsAre(1, 0));
}

TEST(PackTexts, RefusesNothing) {
  EXPECT_THROW(PackTexts({}), std::invalid_argument);
  EXPECT_THROW(PackTexts({TokenizedText{}}), std::invalid_argument);
}

// One token for each byte between 101 and 102; "!" is refused.
class ByteTokenizer : public tokenizers::Tokenizer {
 public:
  explicit ByteTokenizer(int32_t vocabulary = 1000) : vocabulary_(vocabulary) {}
  absl::StatusOr<tokenizers::Encoding> Encode(std::string_view text, const std::string_view* pair, int32_t max_length) const override {
    ++calls;
    if (text == "!") return absl::InvalidArgumentError("not UTF-8 at byte 0");
    tokenizers::Encoding out;
    Append(101, 0, &out);
    for (unsigned char c : text) Append(vocabulary_ - 256 + c, 0, &out);
    Append(102, 0, &out);
    if (pair != nullptr) {
      for (unsigned char c : *pair) Append(vocabulary_ - 256 + c, 1, &out);
      Append(102, 1, &out);
    }
    if (max_length > 0 && static_cast<int32_t>(out.ids.size()) > max_length) {
      out.ids.resize(max_length);
      out.type_ids.resize(max_length);
      out.truncated = true;
    }
    return out;
  }
  int32_t vocabulary_size() const override { return vocabulary_; }
  mutable std::atomic<int> calls{0};

 private:
  static void Append(int32_t id, int32_t type, tokenizers::Encoding* out) {
    out->ids.push_back(id);
    out->type_ids.push_back(type);
  }
  const int32_t vocabulary_;
};

class TextDatasetTest : public ::testing::Test {
 protected:
  std::shared_ptr<const examples::ExampleReader> Write(const std::vector<std::string>& texts, bool pairs = false) {
    auto writer = examples::ExampleWriter::Create(Files::Posix(), directory_.path() + "/data");
    EXPECT_TRUE(writer.ok()) << writer.status();
    int64_t line = 0;
    for (const std::string& text : texts) {
      examples::Example example;
      example.text = text;
      example.has_text_pair = pairs;
      if (pairs) example.text_pair = "p" + text;
      example.labels = {static_cast<int32_t>(line % 2)};
      example.line = ++line;
      EXPECT_TRUE((*writer)->Add(examples::Split::kTrain, example).ok());
    }
    examples::DatasetManifest manifest;
    manifest.labels = {"no", "yes"};
    manifest.has_text_pair = pairs;
    manifest.filenames = {"train.csv"};
    EXPECT_TRUE((*writer)->Finish(manifest).ok());
    auto reader = examples::ExampleReader::Open(directory_.path() + "/data");
    EXPECT_TRUE(reader.ok()) << reader.status();
    return *reader;
  }

  TemporaryDirectory directory_;
};

TEST_F(TextDatasetTest, TokenisesOnceAndKeeps) {
  auto tokenizer = std::make_shared<ByteTokenizer>();
  TextDataset dataset(Write({"ab", "", "abcdef"}), tokenizer, examples::Split::kTrain, {.max_length = 5});
  ASSERT_EQ(dataset.size(), 3);
  EXPECT_THAT(dataset.Get(0).ids, ElementsAre(101, 744 + 'a', 744 + 'b', 102));
  EXPECT_TRUE(dataset.Get(0).type_ids.empty());
  EXPECT_THAT(dataset.Get(1).ids, ElementsAre(101, 102));
  EXPECT_TRUE(dataset.Get(2).truncated);
  EXPECT_EQ(dataset.Get(2).ids.size(), 5u);
  EXPECT_EQ(tokenizer->calls, 3);
}

TEST_F(TextDatasetTest, KeepsTypesAndWideIds) {
  TextDataset dataset(Write({"a"}, /*pairs=*/true), std::make_shared<ByteTokenizer>(100000), examples::Split::kTrain, {});
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(dataset.Get(0).ids, ElementsAre(101, 99744 + 'a', 102, 99744 + 'p', 99744 + 'a', 102));
    EXPECT_THAT(dataset.Get(0).type_ids, ElementsAre(0, 0, 0, 1, 1, 1));
  }
}

TEST_F(TextDatasetTest, NamesFileAndLineOfARowThatCannotBeTokenised) {
  TextDataset dataset(Write({"fine", "!"}), std::make_shared<ByteTokenizer>(), examples::Split::kTrain, {});
  try {
    dataset.Get(1);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("train.csv line 2"));
    EXPECT_THAT(error.what(), HasSubstr("not UTF-8"));
  }
}

TEST_F(TextDatasetTest, BatchesArePureFunctionsOfSeedEpochAndIndex) {
  std::vector<std::string> texts;
  for (int i = 0; i < 50; ++i) texts.push_back(std::string(i % 7, 'x'));
  auto dataset = std::make_shared<TextDataset>(Write(texts), std::make_shared<ByteTokenizer>(), examples::Split::kTrain, TextDatasetOptions{});
  const TextBatches one(dataset, {.rows = 50, .batch_size = 8, .seed = 5}, nullptr);
  const TextBatches two(dataset, {.rows = 50, .batch_size = 8, .seed = 5}, nullptr);
  ASSERT_EQ(one.batches_per_epoch(), 7);
  std::multiset<int64_t> all;
  for (int64_t b = 0; b < 7; ++b) {
    const Batch batch = one.Make(1, b);
    all.insert(batch.example_indices.begin(), batch.example_indices.end());
  }
  EXPECT_EQ(all.size(), 50u);
  EXPECT_EQ(std::set<int64_t>(all.begin(), all.end()).size(), 50u);
  two.Make(0, 3);  // what was made before does not matter
  EXPECT_EQ(two.Make(1, 6).example_indices, one.Make(1, 6).example_indices);
  EXPECT_EQ(one.Make(1, 6).rows, 2);
  const std::vector<int64_t> order = EpochOrder(5, 1, 50);
  EXPECT_THAT(one.Make(1, 2).example_indices, ::testing::UnorderedElementsAreArray(order.begin() + 16, order.begin() + 24));
  EXPECT_THROW(one.Make(0, 7), std::out_of_range);
}

TEST_F(TextDatasetTest, TargetsFollowTheOrderOfTheBatch) {
  auto dataset = std::make_shared<TextDataset>(Write({"long text", "b"}), std::make_shared<ByteTokenizer>(), examples::Split::kTrain, TextDatasetOptions{});
  const TextBatches batches(dataset, {.rows = 2, .batch_size = 2, .shuffle = false}, [](const std::vector<const examples::Example*>& examples) {
    EXPECT_EQ(examples[0]->text, "b");
    return at::full({2}, examples[0]->labels[0]);
  });
  const Batch batch = batches.Make(0, 0);
  EXPECT_THAT(batch.example_indices, ElementsAre(1, 0));
  EXPECT_EQ(batch.targets[0].item<double>(), 1);
}

}  // namespace
}  // namespace attune::training
