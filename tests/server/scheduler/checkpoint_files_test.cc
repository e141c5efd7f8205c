#include "server/scheduler/checkpoint_files.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/base/sha256.h"
#include "tests/fakes/fault_injecting_files.h"

namespace attune::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class CheckpointFilesTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(files_.CreateDirectories(path_).ok()); }
  void Write(const std::string& name, const std::string& content) { ASSERT_TRUE(WriteFileAtomically(files_, path_ + "/" + name, content).ok()); }
  std::string Error() {
    absl::Status status = ReadCheckpoint(path_).status();
    EXPECT_FALSE(status.ok());
    return std::string(status.message());
  }

  TemporaryDirectory directory_;
  FaultInjectingFiles files_;
  const std::string path_ = directory_.path() + "/checkpoints/step-5";
};

TEST_F(CheckpointFilesTest, ReadsWhatTheWorkerWrote) {
  std::string digest = Sha256Hex("abc");
  Write("model.safetensors", "abc");
  Write("optimizer.safetensors", "12345");
  Write("manifest.json", R"({"step": 5, "files": [{"path": "model.safetensors", "size_bytes": 3, "sha256": ")" + digest +
                             R"(", "purpose": "weights"}, {"path": "optimizer.safetensors", "size_bytes": 5, "purpose": "resume"}]})");
  absl::StatusOr<v1::Checkpoint> checkpoint = ReadCheckpoint(path_);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->step(), 5);
  EXPECT_EQ(checkpoint->size_bytes(), 8);
  EXPECT_TRUE(checkpoint->resumable());
  EXPECT_EQ(checkpoint->files(0).sha256(), digest);
  EXPECT_EQ(checkpoint->files(0).purpose(), v1::CheckpointFile::PURPOSE_WEIGHTS);
  EXPECT_EQ(checkpoint->files(1).sha256(), Sha256Hex("12345")) << "hashed where the manifest says nothing";
  EXPECT_EQ(checkpoint->files(1).purpose(), v1::CheckpointFile::PURPOSE_RESUME);
}

TEST_F(CheckpointFilesTest, DamageIsNamed) {
  EXPECT_THAT(Error(), HasSubstr("manifest.json"));
  Write("manifest.json", "nonsense");
  EXPECT_THAT(Error(), HasSubstr("no step or files"));
  Write("manifest.json", R"({"step": 5, "files": []})");
  EXPECT_THAT(Error(), HasSubstr("no files"));
  Write("manifest.json", R"({"step": 5, "files": [{"path": "a"}]})");
  EXPECT_THAT(Error(), HasSubstr("size_bytes"));
  Write("manifest.json", R"({"step": 5, "files": [{"path": "a", "size_bytes": 3}]})");
  EXPECT_THAT(Error(), HasSubstr("a is missing"));
  Write("a", "ab");
  EXPECT_THAT(Error(), HasSubstr("a has 2 bytes and should have 3"));
  for (const char* path : {"../a", "/etc/passwd", "x/../../a", ""}) {
    Write("manifest.json", std::string(R"({"step": 5, "files": [{"path": ")") + path + R"(", "size_bytes": 3}]})");
    EXPECT_THAT(Error(), HasSubstr("outside")) << path;
  }
}

// A worker whose code was taken over could make them, and whoever downloads the checkpoint would get what they lead to.
TEST_F(CheckpointFilesTest, LinksAreNotFollowed) {
  std::ofstream(directory_.path() + "/secret") << "abc";
  std::filesystem::create_symlink(directory_.path() + "/secret", path_ + "/model.safetensors");
  Write("manifest.json", R"({"step": 5, "files": [{"path": "model.safetensors", "size_bytes": 3}]})");
  EXPECT_THAT(Error(), HasSubstr("not a plain file"));
  std::filesystem::create_symlink(directory_.path(), path_ + "/folder");
  Write("manifest.json", R"({"step": 5, "files": [{"path": "folder/secret", "size_bytes": 3}]})");
  EXPECT_THAT(Error(), HasSubstr("not a plain file"));
}

TEST_F(CheckpointFilesTest, ACheckpointThatCannotBeMovedAwayStaysWhole) {
  Write("model.safetensors", "abc");
  files_.Inject({.op = FileOp::kRename});
  EXPECT_FALSE(RemoveCheckpointDirectory(files_, path_).ok());
  EXPECT_TRUE(FileExists(path_ + "/model.safetensors"));
}

TEST_F(CheckpointFilesTest, RemovalCutOffLeavesTheDirectoryMarkedAsRubbish) {
  Write("model.safetensors", "abc");
  files_.Inject({.op = FileOp::kRemoveRecursively, .path_contains = ".tmp", .skip = 1});
  EXPECT_TRUE(RemoveCheckpointDirectory(files_, path_).ok()) << "there is no checkpoint any more";
  EXPECT_FALSE(FileExists(path_));
  EXPECT_TRUE(FileExists(path_ + ".tmp"));
  files_.Clear();
  RemoveRubbish(files_, directory_.path());
  EXPECT_FALSE(FileExists(path_ + ".tmp"));
  ASSERT_TRUE(files_.CreateDirectories(path_ + ".tmp").ok());
  ASSERT_TRUE(files_.CreateDirectories(path_).ok());
  EXPECT_TRUE(RemoveCheckpointDirectory(files_, path_).ok());
  EXPECT_FALSE(FileExists(path_ + ".tmp"));
  EXPECT_TRUE(RemoveCheckpointDirectory(files_, path_).ok()) << "absent is fine";
}

TEST_F(CheckpointFilesTest, PreparationKeepsWhatIsRegisteredAndNothingElse) {
  for (const char* name : {"step-6", "step-7.tmp"}) ASSERT_TRUE(files_.CreateDirectories(directory_.path() + "/checkpoints/" + name).ok());
  ASSERT_TRUE(PrepareOutputDirectory(files_, directory_.path(), {"step-5"}).ok());
  EXPECT_THAT(*ListDirectory(directory_.path() + "/checkpoints"), ElementsAre("step-5"));
  ASSERT_TRUE(PrepareOutputDirectory(files_, directory_.path() + "/new", {}).ok());
  EXPECT_TRUE(FileExists(directory_.path() + "/new/checkpoints"));
}

}  // namespace
}  // namespace attune::scheduler
