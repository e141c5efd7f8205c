#include "client/cpp/download.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/client/cpp/fake_server.h"
#include "tests/fakes/fault_injecting_files.h"

namespace attune::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class DownloadTest : public ::testing::Test {
 protected:
  DownloadTest() {
    server_.checkpoints.checkpoint.set_name("fineTuningJobs/j1/checkpoints/30");
    server_.checkpoints.Add("config.json", "{}");
    server_.checkpoints.Add("model.safetensors", weights_);
    server_.checkpoints.Add("optimizer.safetensors", "moments", v1::CheckpointFile::PURPOSE_RESUME);
  }
  absl::StatusOr<DownloadResult> Download(DownloadOptions options = {}) {
    return DownloadCheckpoint(*client_, "fineTuningJobs/j1/checkpoints/best", target_, options);
  }
  std::string Content(const std::string& name) { return ReadFile(target_ + "/" + name).value_or("(none)"); }
  void Put(const std::string& name, const std::string& content) {
    ASSERT_TRUE(Files::Posix().CreateDirectories(target_).ok());
    ASSERT_TRUE(WriteFileAtomically(Files::Posix(), target_ + "/" + name, content).ok());
  }
  // Offsets from which model.safetensors was asked for.
  std::vector<int64_t> Offsets() {
    std::vector<int64_t> offsets;
    for (const auto& request : server_.checkpoints.downloads) {
      if (request.path() == "model.safetensors") offsets.push_back(request.offset());
    }
    return offsets;
  }

  const std::string weights_ = "0123456789abcdefghijklmnopqrstuvwxyz";
  FakeServer server_;
  std::unique_ptr<Client> client_ = server_.Connect();
  TemporaryDirectory directory_;
  const std::string target_ = directory_.path() + "/models/mine";
};

TEST_F(DownloadTest, FetchesTheWeightsByTheNameWithTheStep) {
  std::vector<int64_t> seen;
  auto result = Download({.progress = [&](const TransferProgress& p) {
    EXPECT_EQ(p.total_bytes, 38);
    seen.push_back(p.done_bytes);
  }});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(result->paths, ElementsAre(target_ + "/config.json", target_ + "/model.safetensors"));
  EXPECT_EQ(Content("model.safetensors"), weights_);
  EXPECT_EQ(result->received_bytes, 38);
  EXPECT_EQ(server_.checkpoints.downloads[0].name(), "fineTuningJobs/j1/checkpoints/30");
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.back(), 38);
  EXPECT_THAT(*ListDirectory(target_), ElementsAre("config.json", "model.safetensors")) << "no .part stays";
}

TEST_F(DownloadTest, ResumeFilesOnRequest) {
  auto result = Download({.resume_files = true});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Content("optimizer.safetensors"), "moments");
}

TEST_F(DownloadTest, ACutContinuesAtTheOffset) {
  server_.checkpoints.cut_after = {INT64_MAX, 20, 0, 10};
  ASSERT_TRUE(Download().ok());
  EXPECT_EQ(Content("model.safetensors"), weights_);
  EXPECT_THAT(Offsets(), ElementsAre(0, 20, 20, 30));
}

TEST_F(DownloadTest, AnotherRunContinuesThePart) {
  server_.checkpoints.cut_after = {INT64_MAX, 20, 0, 0, 0, 0};
  EXPECT_EQ(Download().status().code(), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Content("model.safetensors.part"), weights_.substr(0, 20));
  EXPECT_EQ(Content("model.safetensors"), "(none)");
  server_.checkpoints.downloads.clear();
  server_.checkpoints.cut_after.clear();
  auto result = Download();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(Content("model.safetensors"), weights_);
  EXPECT_THAT(Offsets(), ElementsAre(20));
  EXPECT_EQ(server_.checkpoints.downloads.size(), 1u) << "config.json was there";
  EXPECT_EQ(result->reused_bytes, 22);
  EXPECT_EQ(result->received_bytes, 16);
}

TEST_F(DownloadTest, APartOfSomethingElseIsFetchedAnew) {
  Put("model.safetensors.part", "XXXXXXXXXX");
  ASSERT_TRUE(Download().ok());
  EXPECT_EQ(Content("model.safetensors"), weights_);
  EXPECT_THAT(Offsets(), ElementsAre(10, 0));
}

TEST_F(DownloadTest, APartThatIsTooLongIsThrownAway) {
  Put("model.safetensors.part", weights_ + "more");
  ASSERT_TRUE(Download().ok());
  EXPECT_EQ(Content("model.safetensors"), weights_);
  EXPECT_THAT(Offsets(), ElementsAre(0));
}

TEST_F(DownloadTest, AnOldFileOfTheSameSizeIsReplaced) {
  Put("model.safetensors", std::string(weights_.size(), 'x'));
  ASSERT_TRUE(Download().ok());
  EXPECT_EQ(Content("model.safetensors"), weights_);
}

TEST_F(DownloadTest, AWrongHashTwiceIsDataLossAndLeavesNothing) {
  server_.checkpoints.contents["model.safetensors"][3] = '!';
  const absl::Status status = Download().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(status.message()), HasSubstr("model.safetensors arrived twice"));
  EXPECT_THAT(Offsets(), ElementsAre(0, 0));
  EXPECT_EQ(Content("model.safetensors"), "(none)");
  EXPECT_EQ(Content("model.safetensors.part"), "");
}

TEST_F(DownloadTest, ASizeThatDiffersFromTheListIsAnError) {
  server_.checkpoints.contents["model.safetensors"] += "0123456789";
  EXPECT_EQ(Download().status().code(), absl::StatusCode::kDataLoss);
  server_.checkpoints.contents["model.safetensors"] = weights_.substr(0, 30);
  EXPECT_EQ(Download().status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(DownloadTest, AnEmptyFileNeedsNoStream) {
  server_.checkpoints.Add("merges.txt", "");
  ASSERT_TRUE(Download().ok());
  EXPECT_EQ(Content("merges.txt"), "");
  EXPECT_EQ(server_.checkpoints.downloads.size(), 2u);
}

TEST_F(DownloadTest, FilesMayLieInFolders) {
  server_.checkpoints.Add("1_Pooling/config.json", "{1}");
  ASSERT_TRUE(Download().ok());
  EXPECT_EQ(Content("1_Pooling/config.json"), "{1}");
}

TEST_F(DownloadTest, NothingIsWrittenOutsideTheDirectory) {
  for (const std::string path : {"../evil", "/etc/evil", "a/../../evil", "", ".", "a//b"}) {
    FakeServer server;
    server.checkpoints.Add(path, "x");
    auto client = server.Connect();
    EXPECT_EQ(DownloadCheckpoint(*client, "x", target_).status().code(), absl::StatusCode::kDataLoss) << path;
    EXPECT_TRUE(server.checkpoints.downloads.empty());
  }
}

TEST_F(DownloadTest, AFullDiskIsReportedAndTheRestContinuesLater) {
  FaultInjectingFiles files;
  files.Inject({.op = FileOp::kAppend,
                .path_contains = "model.safetensors",
                .skip = 1,
                .status = absl::ResourceExhaustedError("disk full")});
  EXPECT_EQ(Download({.files = &files}).status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(Content("model.safetensors.part"), weights_.substr(0, 10));
  ASSERT_TRUE(Download({.files = &files}).ok());
  EXPECT_EQ(Content("model.safetensors"), weights_);
}

TEST_F(DownloadTest, NotEnoughRoomIsSaidBefore) {
  FaultInjectingFiles files;
  files.SetFreeBytes(20);
  const absl::Status status = Download({.files = &files}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("38 bytes"));
  EXPECT_TRUE(server_.checkpoints.downloads.empty());
}

}  // namespace
}  // namespace attune::client
