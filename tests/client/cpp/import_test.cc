#include "client/cpp/import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/cpp/names.h"
#include "server/base/files.h"
#include "tests/client/cpp/fake_server.h"

namespace attune::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ImportTest : public ::testing::Test {
 protected:
  std::string Put(const std::string& name, const std::string& content = "content") {
    const std::string path = directory_.path() + "/" + name;
    EXPECT_TRUE(WriteFileAtomically(Files::Posix(), path, content).ok());
    return path;
  }
  static v1::ImportDatasetResponse Done(v1::Dataset::State state = v1::Dataset::STATE_READY) {
    v1::ImportDatasetResponse response;
    response.mutable_dataset()->set_name("datasets/d1");
    response.mutable_dataset()->set_state(state);
    return response;
  }
  static v1::ImportDatasetResponse Rows(int64_t rows) {
    v1::ImportDatasetResponse response;
    response.set_rows_read(rows);
    return response;
  }

  static v1::ImportModelRequest Named(const std::string& id) {
    v1::ImportModelRequest request;
    request.set_model_id(id);
    return request;
  }
  std::vector<std::string> SentFiles(size_t request) {
    std::vector<std::string> names;
    for (const v1::ModelFile& file : server_.models.requests[request].files()) names.push_back(file.path());
    return names;
  }

  TemporaryDirectory directory_;
  FakeServer server_;
  std::unique_ptr<Client> client_ = server_.Connect();
};

TEST_F(ImportTest, FilesGoUpAndBecomeADataset) {
  server_.datasets.imports = {{{Rows(10), Rows(20), Done()}}};
  v1::ImportDatasetRequest request;
  request.set_dataset_id("d1");
  std::vector<int64_t> rows;
  auto dataset =
      ImportDatasetFiles(*client_, {{Put("a.csv", "a"), v1::SPLIT_TRAIN}, {Put("b.csv", "b"), v1::SPLIT_TEST}}, request,
                         {.import = [&](const v1::ImportDatasetResponse& r) { rows.push_back(r.rows_read()); }});
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->name(), "datasets/d1");
  EXPECT_THAT(rows, ElementsAre(10, 20));
  const v1::ImportDatasetRequest& sent = server_.datasets.requests[0];
  ASSERT_EQ(sent.files_size(), 2);
  EXPECT_EQ(server_.uploads.uploads[sent.files(1).upload()].content, "b");
  EXPECT_EQ(sent.files(1).split(), v1::SPLIT_TEST);
  EXPECT_EQ(sent.dataset_id(), "d1");
}

TEST_F(ImportTest, ACutImportIsAskedForAgainWithTheSameId) {
  server_.datasets.imports = {{{Rows(10)}, Unavailable()}, {{Rows(15)}}, {{Done()}}};
  ASSERT_TRUE(client_->ImportDataset({}).ok());
  ASSERT_EQ(server_.datasets.requests.size(), 3u);
  EXPECT_FALSE(server_.datasets.requests[0].request_id().empty());
  EXPECT_EQ(server_.datasets.requests[0].request_id(), server_.datasets.requests[2].request_id());
}

TEST_F(ImportTest, AnImportThatStillRunsIsWaitedFor) {
  server_.datasets.imports = {{{Done(v1::Dataset::STATE_IMPORTING)}}};
  server_.datasets.answers = {Done(v1::Dataset::STATE_IMPORTING).dataset(), Done().dataset()};
  auto dataset = client_->ImportDataset({});
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->state(), v1::Dataset::STATE_READY);
  EXPECT_EQ(server_.sleeps.size(), 2u);
}

TEST_F(ImportTest, AFailedImportIsAnError) {
  v1::ImportDatasetResponse failed = Done(v1::Dataset::STATE_FAILED);
  failed.mutable_dataset()->set_error("no rows");
  server_.datasets.imports = {{{failed}}};
  const absl::Status status = client_->ImportDataset({}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no rows"));
}

TEST_F(ImportTest, AModelDirectorySendsWhatTheServerKnows) {
  for (const char* name :
       {"config.json", "model.safetensors", "tokenizer.json", "vocab.txt", "README.md", "pytorch_model.bin"})
    Put(name, name);
  v1::ImportModelRequest request;
  request.set_model_id("minilm");
  auto model = ImportModelDirectory(*client_, directory_.path(), request);
  ASSERT_TRUE(model.ok()) << model.status();
  std::vector<std::string> sent;
  for (const v1::ModelFile& file : server_.models.requests[0].files()) {
    sent.push_back(file.path());
    EXPECT_EQ(server_.uploads.uploads[file.upload()].content, file.path());
  }
  EXPECT_THAT(sent, ElementsAre("config.json", "model.safetensors", "tokenizer.json", "vocab.txt"));
}

TEST_F(ImportTest, AnImageModelsDirectoryNeedsNoTokenizer) {
  Put("config.json", R"({"model_type": "resnet50"})");
  Put("model.safetensors");
  Put("vocab.txt", "a stray file, which the server would refuse");
  ASSERT_TRUE(ImportModelDirectory(*client_, directory_.path(), Named("resnet")).ok());
  EXPECT_THAT(SentFiles(0), ElementsAre("config.json", "model.safetensors"));
  Put("preprocessor_config.json", "{}");
  ASSERT_TRUE(ImportModelDirectory(*client_, directory_.path(), Named("resnet")).ok());
  EXPECT_THAT(SentFiles(1), ElementsAre("config.json", "model.safetensors", "preprocessor_config.json"));
}

TEST_F(ImportTest, ATextModelsTokenizerIsMissedBeforeAnythingIsUploaded) {
  Put("config.json", R"({"model_type": "bert"})");
  Put("model.safetensors");
  Put("preprocessor_config.json", "{}");
  const absl::Status status = ImportModelDirectory(*client_, directory_.path(), Named("bert")).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("has no tokenizer.json: AutoTokenizer"));
  EXPECT_EQ(server_.uploads.create.calls, 0);
  Put("tokenizer.json");
  ASSERT_TRUE(ImportModelDirectory(*client_, directory_.path(), Named("bert")).ok());
  EXPECT_THAT(SentFiles(0), ElementsAre("config.json", "model.safetensors", "tokenizer.json"));
}

TEST_F(ImportTest, AConfigThatSaysNothingIsForTheServerToJudge) {
  Put("model.safetensors");
  Put("vocab.txt");
  for (const char* config : {"{", "[]", "{}", R"({"model_type": 7})", R"({"model_type": "mamba"})"}) {
    Put("config.json", config);
    ASSERT_TRUE(ImportModelDirectory(*client_, directory_.path(), Named("m")).ok()) << config;
    EXPECT_THAT(SentFiles(server_.models.requests.size() - 1), ElementsAre("config.json", "model.safetensors", "vocab.txt")) << config;
  }
}

TEST_F(ImportTest, AnIncompleteDirectorySaysWhatToDo) {
  Put("config.json");
  Put("pytorch_model.bin");
  Put("tokenizer.json");
  const absl::Status status = ImportModelDirectory(*client_, directory_.path(), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("has no model.safetensors: pytorch_model.bin is a pickle"));
  EXPECT_EQ(FindModelFiles(directory_.path() + "/none", "").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(server_.uploads.create.calls, 0);
}

TEST(NamesTest, ShortFormsBecomeNames) {
  EXPECT_EQ(FullName("minilm", "models"), "models/minilm");
  EXPECT_EQ(FullName("models/minilm", "models"), "models/minilm");
  EXPECT_EQ(FullName("", "models"), "");
  const std::pair<const char*, const char*> checkpoints[] = {
      {"j7", "fineTuningJobs/j7/checkpoints/best"},
      {"fineTuningJobs/j7", "fineTuningJobs/j7/checkpoints/best"},
      {"j7/300", "fineTuningJobs/j7/checkpoints/300"},
      {"j7/checkpoints/last", "fineTuningJobs/j7/checkpoints/last"},
      {"fineTuningJobs/j7/checkpoints/300", "fineTuningJobs/j7/checkpoints/300"},
      {"a/b/c/d", "a/b/c/d"},
      {"", ""},
  };
  for (const auto& [text, name] : checkpoints) EXPECT_EQ(CheckpointName(text), name) << text;
  EXPECT_EQ(ShortName("models/minilm"), "minilm");
  EXPECT_EQ(ShortName("fineTuningJobs/j7/checkpoints/300"), "j7/300");
}

TEST(NamesTest, IdsFromPaths) {
  EXPECT_EQ(IdFromPath("/data/All-MiniLM_L6.v2/"), "all-minilm-l6-v2");
  EXPECT_EQ(IdFromPath("2024_bert"), "bert");
  EXPECT_EQ(IdFromPath("123"), "");
  EXPECT_EQ(IdFromPath(std::string(100, 'a')).size(), 63u);
}

}  // namespace
}  // namespace attune::client
