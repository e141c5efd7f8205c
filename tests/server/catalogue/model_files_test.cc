// Which files make a model, the request that names them, and the small JSON ones.
#include "server/catalogue/model_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/files.h"
#include "server/catalogue/import_request.h"

namespace attune::catalogue {
namespace {

using ::testing::HasSubstr;
using Names = std::vector<std::string>;

const Names kRequired = {"config.json", "model.safetensors"};

Names With(const std::string& name) {
  Names names = kRequired;
  names.push_back(name);
  return names;
}

TEST(ModelFilesTest, AcceptsTheUsualFiles) {
  EXPECT_TRUE(CheckModelFileNames(kRequired).ok());
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json", "vocab.txt", "preprocessor_config.json", "README.md", "LICENSE",
                           "tokenizer.json"}) {
    EXPECT_TRUE(CheckModelFileNames(With(name)).ok()) << name;
  }
}

TEST(ModelFilesTest, RefusesOtherNamesAndSaysWhatToDo) {
  struct Case {
    std::string name;
    const char* advice;
  };
  const std::vector<Case> cases = {
      {"pytorch_model.bin", "save_pretrained"},
      {"weights.pt", "a pickle can run code"},
      {"tf_model.h5", "only safetensors weights"},
      {"model-00001-of-00002.safetensors", "max_shard_size"},
      {"model.safetensors.index.json", "max_shard_size"},
      {"resnet50-0676ba61.pth", "save_file(model.state_dict()"},
      {"preprocesor_config.json", "did you mean preprocessor_config.json?"},
      {"tokeniser.json", "did you mean tokenizer.json?"},
      {"confg.json", "did you mean config.json?"},
      {"notes.docx", "leave it out"},
      {"", "is empty"},
      {"../config.json", "no directory parts"},
      {"1_Pooling/config.json", "no directory parts"},
      {"/etc/passwd", "no directory parts"},
      {"..\\config.json", "no directory parts"},
      {"config.json", "is there twice"},
      {std::string("vocab.txt\0x", 11), "vocab.txt\\x00x"},
      {"..", "leave it out"},
      {".", "leave it out"},
  };
  for (const Case& c : cases) {
    const absl::Status status = CheckModelFileNames(With(c.name));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.name;
    EXPECT_THAT(std::string(status.message()), HasSubstr("files[2].path")) << c.name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.advice)) << c.name;
  }
}

TEST(ModelFilesTest, NamesWhatIsMissing) {
  for (const std::string& missing : kRequired) {
    Names names;
    for (const std::string& name : kRequired) {
      if (name != missing) names.push_back(name);
    }
    EXPECT_THAT(std::string(CheckModelFileNames(names).message()), HasSubstr(missing + " is missing"));
  }
}

TEST(ModelFilesTest, FilesGoWithWhatTheModelTakes) {
  const architectures::Architecture text{.name = "bert"};
  const architectures::Architecture image{.name = "resnet50", .modality = architectures::Modality::kImage};
  EXPECT_TRUE(CheckModelFilesFit(text, With("tokenizer.json")).ok());
  EXPECT_TRUE(CheckModelFilesFit(image, kRequired).ok());
  EXPECT_TRUE(CheckModelFilesFit(image, With("preprocessor_config.json")).ok());
  const absl::Status missing = CheckModelFilesFit(text, kRequired);
  EXPECT_EQ(missing.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("tokenizer.json is missing, and the bert of config.json takes text"));
  for (const char* name : {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"}) {
    const absl::Status status = CheckModelFilesFit(image, With(name));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_THAT(std::string(status.message()), HasSubstr(std::string(name) + " is for models that take text, but the resnet50")) << name;
  }
  Names names = With("tokenizer.json");
  names.push_back("preprocessor_config.json");
  EXPECT_THAT(std::string(CheckModelFilesFit(text, names).message()), HasSubstr("preprocessor_config.json is for models that take images"));
}

TEST(ModelFilesTest, SizesAreBounded) {
  EXPECT_TRUE(CheckModelFileSize(*FindModelFileRule("config.json"), 4 << 20).ok());
  EXPECT_FALSE(CheckModelFileSize(*FindModelFileRule("config.json"), (4 << 20) + 1).ok());
  EXPECT_TRUE(CheckModelFileSize(*FindModelFileRule("model.safetensors"), int64_t{1} << 40).ok());
}

TEST(ReadJsonObjectTest, RefusesWhatIsNotAShallowObject) {
  struct Case {
    std::string content;
    const char* message;
  };
  const std::vector<Case> cases = {
      {"{", "is not JSON"},
      {"", "is not JSON"},
      {"[1]", "must hold a JSON object"},
      {"7", "must hold a JSON object"},
      {"{\"a\": \"\xff\"}", "is not JSON"},
      {"{\"a\": NaN}", "is not JSON"},
      {"{\"a\": " + std::string(1000000, '['), "levels deep"},
      {"{\"a\": " + std::string(70, '[') + std::string(70, ']') + "}", "levels deep"},
      {std::string(2000000, '['), "levels deep"},
      {"{\"a\": 1} {\"b\": 2}", "is not JSON"},
  };
  TemporaryDirectory dir;
  for (const Case& c : cases) {
    ASSERT_TRUE(WriteFileAtomically(Files::Posix(), dir.path() + "/config.json", c.content).ok());
    const auto json = ReadJsonObject(dir.path(), "config.json", 4 << 20);
    EXPECT_EQ(json.status().code(), absl::StatusCode::kInvalidArgument) << c.content.substr(0, 20);
    EXPECT_THAT(std::string(json.status().message()), HasSubstr(c.message)) << c.content.substr(0, 20);
  }
  ASSERT_TRUE(WriteFileAtomically(Files::Posix(), dir.path() + "/config.json", "{\"a\": [[1]]}").ok());
  EXPECT_TRUE(ReadJsonObject(dir.path(), "config.json", 100).ok());
  EXPECT_FALSE(ReadJsonObject(dir.path(), "config.json", 5).ok());
}

const Names kFiles = {"config.json", "model.safetensors", "tokenizer.json"};

v1::ImportModelRequest Request(const Names& names) {
  v1::ImportModelRequest request;
  request.set_model_id("mini");
  for (const std::string& name : names) {
    v1::ModelFile& file = *request.add_files();
    file.set_path(name);
    file.set_upload("uploads/u" + std::to_string(request.files_size()));
  }
  return request;
}

TEST(ImportRequestTest, NamesTheFieldAtFault) {
  EXPECT_TRUE(CheckImportRequest(Request(kFiles)).ok());
  v1::ImportModelRequest request = Request(kFiles);
  request.set_model_id("No/Good");
  EXPECT_THAT(std::string(CheckImportRequest(request).message()), HasSubstr("model_id"));
  request = Request(kFiles);
  request.set_display_name(std::string(257, 'x'));
  EXPECT_THAT(std::string(CheckImportRequest(request).message()), HasSubstr("display_name"));
  request = Request(kFiles);
  request.set_request_id(std::string(193, 'x'));
  EXPECT_THAT(std::string(CheckImportRequest(request).message()), HasSubstr("request_id"));
  request = Request(kFiles);
  request.mutable_files(1)->set_upload("datasets/d");
  EXPECT_THAT(std::string(CheckImportRequest(request).message()), HasSubstr("files[1].upload"));
  EXPECT_THAT(std::string(CheckImportRequest(Request(Names(65, "vocab.txt"))).message()), HasSubstr("too many"));
  EXPECT_FALSE(CheckImportRequest(Request({})).ok());
}

TEST(ImportRequestTest, DigestsDifferExactlyWhenRequestsDo) {
  const std::string digest = ImportRequestDigest(Request(kFiles));
  v1::ImportModelRequest same = Request(kFiles);
  same.set_request_id("r");
  same.mutable_files()->SwapElements(0, 2);
  EXPECT_EQ(ImportRequestDigest(same), digest);
  v1::ImportModelRequest other = Request(kFiles);
  other.mutable_files(0)->set_upload("uploads/other");
  EXPECT_NE(ImportRequestDigest(other), digest);
  other = Request(kFiles);
  other.set_display_name("d");
  EXPECT_NE(ImportRequestDigest(other), digest);
  other = Request(kFiles);
  other.set_model_id("min");
  other.set_display_name("i");
  EXPECT_NE(ImportRequestDigest(other), digest);
}

}  // namespace
}  // namespace attune::catalogue
