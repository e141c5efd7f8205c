// Import, listing and deletion over a real store and database: idempotency, crashes, full disks, races.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "server/catalogue/model_catalogue.h"
#include "tests/server/catalogue/catalogue_harness.h"

namespace attune::catalogue {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ModelCatalogueTest : public ::testing::Test {
 protected:
  ModelCatalogue& catalogue() { return harness_.catalogue(); }
  absl::StatusOr<v1::Model> Import(const std::string& id, const TinyBertOptions& options = {}) {
    return catalogue().Import(harness_.Request(id, options));
  }
  std::vector<std::string> Directories() { return *ListDirectory(harness_.root()); }
  std::vector<std::string> Listed() {
    std::vector<std::string> names;
    const v1::ListModelsResponse response = *catalogue().List(ProjectSet::All(), 0, "");
    for (const v1::Model& model : response.models()) names.push_back(model.name());
    return names;
  }
  static absl::StatusCode Code(const absl::Status& status) { return status.code(); }
  CatalogueHarness harness_;
};

TEST_F(ModelCatalogueTest, ImportDescribesTheModel) {
  const v1::ImportModelRequest request = harness_.Request("tiny", TinyBertOptions{.layers = 3});
  const auto model = catalogue().Import(request);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ(model->name(), "models/tiny");
  EXPECT_EQ(model->display_name(), "tiny");
  EXPECT_EQ(model->architecture(), "bert");
  EXPECT_EQ(model->max_length(), 64);
  EXPECT_THAT(model->layer_groups(), ElementsAre("embeddings", "layer.0", "layer.1", "layer.2", "pooler"));
  EXPECT_THAT(model->ignored_tensors(), IsEmpty());
  EXPECT_EQ(model->create_time().seconds(), absl::ToUnixSeconds(harness_.clock().Now()));
  int64_t values = 0, bytes = 0;
  for (const TinyTensor& tensor : TinyBertTensors({.layers = 3}))
    values += static_cast<int64_t>(tensor.bytes.size()) / 4;
  for (const auto& [name, content] : CatalogueHarness::TinyBertFiles({.layers = 3}))
    bytes += static_cast<int64_t>(content.size());
  EXPECT_EQ(model->parameter_count(), values);
  EXPECT_EQ(model->size_bytes(), bytes);
  EXPECT_EQ(model->digest().size(), 64u);
  EXPECT_EQ(catalogue().Get("models/tiny")->SerializeAsString(), model->SerializeAsString());

  const std::string directory = *catalogue().Directory("models/tiny");
  EXPECT_EQ(ListDirectory(directory)->size(), 6u);
  EXPECT_EQ(*ReadFile(directory + "/tokenizer.json"), TinyTokenizerJson());
  EXPECT_EQ((*catalogue().Tokenizer("models/tiny"))->vocabulary_size(), TinyVocabularySize());
  EXPECT_THAT(Directories(), ElementsAre("tiny"));
}

TEST_F(ModelCatalogueTest, ModelsOutliveTheirUploadsAndTheServer) {
  const v1::ImportModelRequest request = harness_.Request("tiny");
  ASSERT_TRUE(catalogue().Import(request).ok());
  for (const v1::ModelFile& file : request.files()) {
    ASSERT_TRUE(harness_.artifacts().DeleteUpload(file.upload().substr(8)).ok());
  }
  harness_.Restart();
  EXPECT_THAT(Listed(), ElementsAre("models/tiny"));
  EXPECT_TRUE(FileExists(*catalogue().Directory("models/tiny") + "/model.safetensors"));
  EXPECT_TRUE(catalogue().Tokenizer("models/tiny").ok());
}

TEST_F(ModelCatalogueTest, DescribesLayers) {
  ASSERT_TRUE(Import("tiny", {.prefix = "bert."}).ok());
  v1::DescribeLayersRequest request;
  request.set_name("models/tiny");
  request.add_patterns("encoder.layer.[0-3].attention.self.query.*");
  request.add_patterns("bert.pooler.*");
  request.add_patterns("no.such.layer");
  const auto response = catalogue().DescribeLayers(request);
  ASSERT_TRUE(response.ok()) << response.status();
  EXPECT_EQ(response->layers_size(), 5 + 2 * 16 + 2);
  EXPECT_EQ(response->layers(0).name(), "embeddings.word_embeddings.weight");
  EXPECT_EQ(response->matches(0).names_size(), 4);
  EXPECT_THAT(response->matches(1).names(), ElementsAre("pooler.dense.weight", "pooler.dense.bias"));
  EXPECT_THAT(response->matches(2).names(), IsEmpty());
}

TEST_F(ModelCatalogueTest, WhatIsNotThereIsNotFound) {
  v1::DescribeLayersRequest layers;
  layers.set_name("models/none");
  EXPECT_EQ(Code(catalogue().Get("models/none").status()), absl::StatusCode::kNotFound);
  EXPECT_EQ(Code(catalogue().Directory("models/none").status()), absl::StatusCode::kNotFound);
  EXPECT_EQ(Code(catalogue().Tokenizer("models/none").status()), absl::StatusCode::kNotFound);
  EXPECT_EQ(Code(catalogue().DescribeLayers(layers).status()), absl::StatusCode::kNotFound);
  EXPECT_EQ(Code(catalogue().Delete("models/none")), absl::StatusCode::kNotFound);
  EXPECT_EQ(Code(catalogue().Get("datasets/none").status()), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Code(catalogue().Get("models/../../etc").status()), absl::StatusCode::kInvalidArgument);
}

TEST_F(ModelCatalogueTest, ARefusedImportLeavesNothing) {
  auto files = CatalogueHarness::TinyBertFiles();
  files["config.json"] = "{}";
  const auto model = catalogue().Import(harness_.Request("tiny", files));
  EXPECT_EQ(Code(model.status()), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Directories(), IsEmpty());
  EXPECT_THAT(Listed(), IsEmpty());
  EXPECT_TRUE(Import("tiny").ok()) << "the id is free";
}

TEST_F(ModelCatalogueTest, RefusesUploadsThatAreNotThereOrNotComplete) {
  v1::ImportModelRequest request = harness_.Request("tiny");
  request.mutable_files(2)->set_upload("uploads/unknown");
  auto model = catalogue().Import(request);
  EXPECT_EQ(Code(model.status()), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(model.status().message()), HasSubstr("files[2] (" + request.files(2).path() + ")"));
  const auto upload = harness_.artifacts().CreateUpload({.filename = "f", .size_bytes = 10});
  request.mutable_files(2)->set_upload("uploads/" + upload->id);
  model = catalogue().Import(request);
  EXPECT_EQ(Code(model.status()), absl::StatusCode::kFailedPrecondition) << model.status();
  EXPECT_THAT(Directories(), IsEmpty());
}

TEST_F(ModelCatalogueTest, TooLargeAFileIsRefusedBeforeItIsCopied) {
  auto files = CatalogueHarness::TinyBertFiles();
  files["config.json"] = std::string((4 << 20) + 1, ' ');
  const v1::ImportModelRequest request = harness_.Request("tiny", files);
  const int64_t links = harness_.files().CountCalls(FileOp::kLink, "/config.json");
  EXPECT_THAT(std::string(catalogue().Import(request).status().message()), HasSubstr("config.json has 4194305 bytes"));
  EXPECT_EQ(harness_.files().CountCalls(FileOp::kLink, "/config.json"), links);
}

TEST_F(ModelCatalogueTest, RequestIdMakesARetryHarmless) {
  v1::ImportModelRequest request = harness_.Request("tiny");
  request.set_request_id("once");
  const v1::Model first = *catalogue().Import(request);
  harness_.clock().Advance(absl::Hours(1));
  EXPECT_EQ(catalogue().Import(request)->SerializeAsString(), first.SerializeAsString());
  harness_.Restart();
  EXPECT_EQ(catalogue().Import(request)->SerializeAsString(), first.SerializeAsString());

  v1::ImportModelRequest other = request;
  other.set_display_name("Another");
  const auto refused = catalogue().Import(other);
  EXPECT_EQ(Code(refused.status()), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("request_id: was used before"));
  other = harness_.Request("tiny-2");
  other.set_request_id("once");
  EXPECT_EQ(Code(catalogue().Import(other).status()), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(Directories(), ElementsAre("tiny"));
}

TEST_F(ModelCatalogueTest, AnIdIsTakenOnce) {
  ASSERT_TRUE(Import("tiny").ok());
  const auto again = Import("tiny");
  EXPECT_EQ(Code(again.status()), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(again.status().message()), HasSubstr("choose another model_id"));
}

TEST_F(ModelCatalogueTest, RacingRetriesMakeOneModel) {
  v1::ImportModelRequest request = harness_.Request("tiny");
  request.set_request_id("once");
  std::vector<absl::StatusOr<v1::Model>> results(4, absl::UnknownError(""));
  std::vector<std::thread> threads;
  for (auto& result : results) threads.emplace_back([&, request] { result = catalogue().Import(request); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) {
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->SerializeAsString(), results[0]->SerializeAsString());
  }
  EXPECT_THAT(Listed(), ElementsAre("models/tiny"));
}

TEST_F(ModelCatalogueTest, ListsPagesNewestFirst) {
  for (const char* id : {"a", "b", "c", "d", "e"}) ASSERT_TRUE(Import(id, {.layers = 1}).ok());
  v1::ListModelsResponse page = *catalogue().List(ProjectSet::All(), 2, "");
  EXPECT_EQ(page.models(0).name(), "models/e");
  EXPECT_EQ(page.models(1).name(), "models/d");
  ASSERT_TRUE(Import("f", {.layers = 1}).ok());      // a new one does not shift the pages
  ASSERT_TRUE(catalogue().Delete("models/d").ok());  // nor does the loss of the cursor's own
  page = *catalogue().List(ProjectSet::All(), 2, page.next_page_token());
  EXPECT_EQ(page.models(0).name(), "models/c");
  EXPECT_EQ(page.models(1).name(), "models/b");
  page = *catalogue().List(ProjectSet::All(), 2, page.next_page_token());
  EXPECT_EQ(page.models_size(), 1);
  EXPECT_EQ(page.next_page_token(), "");
  EXPECT_EQ(Code(catalogue().List(ProjectSet::All(), 2, "made-up").status()), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Code(catalogue().List(ProjectSet::All(), -1, "").status()), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(catalogue().List(ProjectSet::All(), 5000, "")->models_size(), 5);
}

TEST_F(ModelCatalogueTest, DeletionIsRefusedWhileAJobUsesTheModel) {
  ASSERT_TRUE(Import("tiny").ok());
  std::string used = "models/tiny";
  catalogue().SetInUseCheck([&](const std::string& name) { return name == used; });
  const absl::Status refused = catalogue().Delete("models/tiny");
  EXPECT_EQ(Code(refused), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("cancel it"));
  EXPECT_TRUE(catalogue().Get("models/tiny").ok());
  used = "";
  EXPECT_TRUE(catalogue().Delete("models/tiny").ok());
  EXPECT_THAT(Directories(), IsEmpty());
  EXPECT_THAT(Listed(), IsEmpty());
}

TEST_F(ModelCatalogueTest, AnIdThatComesBackHasItsOwnTokenizer) {
  ASSERT_TRUE(Import("tiny").ok());
  const auto first = *catalogue().Tokenizer("models/tiny");
  EXPECT_EQ(*catalogue().Tokenizer("models/tiny"), first) << "cached";
  ASSERT_TRUE(catalogue().Delete("models/tiny").ok());
  auto files = CatalogueHarness::TinyBertFiles();
  auto tokenizer = TinyTokenizer();
  tokenizer["normalizer"]["lowercase"] = false;
  files["tokenizer.json"] = tokenizer.dump();
  ASSERT_TRUE(catalogue().Import(harness_.Request("tiny", files)).ok());
  const auto second = *catalogue().Tokenizer("models/tiny");
  EXPECT_NE(first->Encode("GOOD", nullptr, 0)->ids, second->Encode("GOOD", nullptr, 0)->ids);
}

TEST_F(ModelCatalogueTest, FilesThatSomeoneRemovedAreDataLoss) {
  ASSERT_TRUE(Import("tiny").ok());
  ASSERT_TRUE(Files::Posix().RemoveRecursively(harness_.root() + "/tiny").ok());
  EXPECT_EQ(Code(catalogue().Directory("models/tiny").status()), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(catalogue().Delete("models/tiny").ok());
}

TEST_F(ModelCatalogueTest, ADiskThatFailsAnywhereLeavesNothingHalf) {
  const v1::ImportModelRequest request = harness_.Request("tiny");
  for (int call = 1;; ++call) {
    ASSERT_LT(call, 200);
    harness_.files().FailCall(call, absl::ResourceExhaustedError("disk full"));
    const auto model = catalogue().Import(request);
    harness_.files().Clear();
    if (model.ok()) {
      EXPECT_GT(call, 10);
      break;
    }
    EXPECT_EQ(Code(model.status()), absl::StatusCode::kResourceExhausted) << call << ": " << model.status();
    EXPECT_EQ(Code(catalogue().Get("models/tiny").status()), absl::StatusCode::kNotFound) << call;
    EXPECT_THAT(Directories(), IsEmpty()) << call;
  }
  EXPECT_TRUE(catalogue().Tokenizer("models/tiny").ok());
}

TEST_F(ModelCatalogueTest, ARowThatCannotBeWrittenTakesTheFilesBack) {
  ASSERT_TRUE(harness_.database()
                  .Execute("CREATE TRIGGER full BEFORE INSERT ON models BEGIN SELECT RAISE(ABORT, 'no room'); END")
                  .ok());
  const v1::ImportModelRequest request = harness_.Request("tiny");
  EXPECT_FALSE(catalogue().Import(request).ok());
  EXPECT_THAT(Directories(), IsEmpty());
  ASSERT_TRUE(harness_.database().Execute("DROP TRIGGER full").ok());
  EXPECT_TRUE(catalogue().Import(request).ok());
}

TEST_F(ModelCatalogueTest, AServerThatStopsAnywhereStartsClean) {
  const v1::ImportModelRequest request = harness_.Request("tiny");
  for (int call = 1;; ++call) {
    ASSERT_LT(call, 200);
    harness_.files().Inject({.skip = call - 1, .times = -1, .status = absl::InternalError("no power")});
    const auto model = catalogue().Import(request);
    harness_.files().Clear();
    harness_.Restart();
    if (model.ok()) break;
    EXPECT_EQ(Code(catalogue().Get("models/tiny").status()), absl::StatusCode::kNotFound) << call;
    EXPECT_THAT(Directories(), IsEmpty()) << call;
  }
  EXPECT_TRUE(catalogue().Get("models/tiny").ok());
}

TEST_F(ModelCatalogueTest, ADeletionThatCannotRemoveFilesIsFinishedLater) {
  ASSERT_TRUE(Import("tiny").ok());
  harness_.files().Inject({.op = FileOp::kRemoveRecursively, .times = -1});
  EXPECT_TRUE(catalogue().Delete("models/tiny").ok());
  EXPECT_THAT(Directories(), ElementsAre("tiny"));
  harness_.files().Clear();
  EXPECT_TRUE(Import("tiny", {.layers = 1}).ok()) << "over the remains";
  ASSERT_TRUE(Import("other").ok());
  harness_.files().Inject({.op = FileOp::kRemoveRecursively, .times = -1});
  EXPECT_TRUE(catalogue().Delete("models/other").ok());
  harness_.files().Clear();
  harness_.Restart();
  EXPECT_THAT(Directories(), ElementsAre("tiny"));
}

}  // namespace
}  // namespace attune::catalogue
