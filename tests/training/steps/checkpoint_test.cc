#include <atomic>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "absl/synchronization/notification.h"
#include "server/base/sha256.h"
#include "server/training/steps/checkpoint_io.h"
#include "server/training/steps/checkpoint_writer.h"
#include "tests/fakes/fault_injecting_files.h"

namespace attune::training {
namespace {

using ::testing::ElementsAre;

CheckpointContent Content(int64_t step, std::string_view data) {
  CheckpointContent content;
  content.step = step;
  content.weights = {{"w", weights::DType::kF32, {2}, data}};
  content.optimizer = {{"exp_avg.w", weights::DType::kF32, {2}, data}};
  content.files = {{"config.json", std::make_shared<const std::string>("{}"), false}, {"training_state.json", std::make_shared<const std::string>("{\"a\":1}"), true}};
  return content;
}

constexpr std::string_view kData = "12345678";

std::vector<std::string> Names(const std::string& directory) {
  auto names = ListDirectory(directory);
  return names.ok() ? *names : std::vector<std::string>{};
}

TEST(WriteCheckpoint, ManifestDescribesEveryFile) {
  TemporaryDirectory root;
  ASSERT_TRUE(WriteCheckpoint(Files::Posix(), root.path(), Content(120, kData)).ok());
  const std::string directory = root.path() + "/step-120";
  EXPECT_THAT(Names(root.path()), ElementsAre("step-120"));
  EXPECT_THAT(Names(directory), ElementsAre("config.json", "manifest.json", "model.safetensors", "optimizer.safetensors", "training_state.json"));
  const auto manifest = nlohmann::json::parse(*ReadFile(directory + "/manifest.json"));
  EXPECT_EQ(manifest["step"], 120);
  std::map<std::string, std::string> purposes;
  for (const auto& entry : manifest["files"]) {
    const std::string path = directory + "/" + entry["path"].get<std::string>();
    EXPECT_EQ(entry["size_bytes"], *FileSize(path));
    EXPECT_EQ(entry["sha256"], *Sha256OfFile(path));
    purposes[entry["path"]] = entry["purpose"];
  }
  EXPECT_EQ(purposes, (std::map<std::string, std::string>{{"config.json", "weights"}, {"model.safetensors", "weights"},
                                                          {"optimizer.safetensors", "resume"}, {"training_state.json", "resume"}}));
}

TEST(WriteCheckpoint, EveryFileIsSyncedBeforeTheRename) {
  TemporaryDirectory root;
  FaultInjectingFiles files;
  ASSERT_TRUE(WriteCheckpoint(files, root.path(), Content(1, kData)).ok());
  int synced = 0;
  bool renamed = false, parent = false, directory = false;
  for (const auto& [op, path] : files.calls()) {
    if (op == FileOp::kSync) {
      ++synced;
      EXPECT_FALSE(renamed);
    }
    if (op == FileOp::kSyncDirectory && !renamed) directory = true;
    if (op == FileOp::kRename) renamed = true;
    if (op == FileOp::kSyncDirectory && renamed) parent = true;
  }
  EXPECT_EQ(synced, 5);
  EXPECT_TRUE(directory && renamed && parent);
}

// Whichever call fails, and whatever was lost of what was not synced: the checkpoint is whole or absent.
TEST(WriteCheckpoint, WholeOrAbsentWhicheverCallFails) {
  int64_t calls = 0;
  {
    TemporaryDirectory root;
    FaultInjectingFiles files;
    ASSERT_TRUE(WriteCheckpoint(files, root.path(), Content(1, kData)).ok());
    calls = static_cast<int64_t>(files.calls().size());
  }
  for (int64_t n = 1; n <= calls; ++n) {
    TemporaryDirectory root;
    FaultInjectingFiles files;
    files.FailCall(n, absl::ResourceExhaustedError("No space left on device"));
    const absl::Status status = WriteCheckpoint(files, root.path(), Content(1, kData));
    if (!FileExists(root.path() + "/step-1")) {
      EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << n;
      EXPECT_THAT(Names(root.path()), ElementsAre()) << "call " << n << " left something behind";
      continue;
    }
    files.LoseUnsyncedBytes();
    const std::string manifest = *ReadFile(root.path() + "/step-1/manifest.json");
    const auto json = nlohmann::json::parse(manifest);
    for (const auto& entry : json["files"]) {
      EXPECT_EQ(entry["sha256"], *Sha256OfFile(root.path() + "/step-1/" + entry["path"].get<std::string>())) << n;
    }
  }
}

TEST(WriteCheckpoint, ReplacesOneThatALostAttemptLeft) {
  TemporaryDirectory root;
  ASSERT_TRUE(WriteCheckpoint(Files::Posix(), root.path(), Content(3, "aaaaaaaa")).ok());
  ASSERT_TRUE(WriteCheckpoint(Files::Posix(), root.path(), Content(3, "bbbbbbbb")).ok());
  EXPECT_THAT(*ReadFile(root.path() + "/step-3/model.safetensors"), ::testing::EndsWith("bbbbbbbb"));
}

TEST(RemoveUnfinishedCheckpoints, LeavesFinishedOnes) {
  TemporaryDirectory root;
  ASSERT_TRUE(WriteCheckpoint(Files::Posix(), root.path(), Content(3, kData)).ok());
  ASSERT_TRUE(Files::Posix().CreateDirectories(root.path() + "/step-4.tmp/x").ok());
  ASSERT_TRUE(RemoveUnfinishedCheckpoints(Files::Posix(), root.path()).ok());
  EXPECT_THAT(Names(root.path()), ElementsAre("step-3"));
}

TEST(CheckpointWriter, ReportsEachResult) {
  TemporaryDirectory root;
  FaultInjectingFiles files;
  files.Inject({.op = FileOp::kCreate, .path_contains = "step-2.tmp/config.json", .status = absl::ResourceExhaustedError("full")});
  std::vector<absl::StatusCode> results;
  {
    CheckpointWriter writer(files, root.path());
    for (int64_t step : {1, 2, 3}) writer.Write(Content(step, kData), [&](const absl::Status& status) { results.push_back(status.code()); });
  }  // the destructor waits, so that this thread may read `results`
  EXPECT_THAT(results, ElementsAre(absl::StatusCode::kOk, absl::StatusCode::kResourceExhausted, absl::StatusCode::kOk));
  EXPECT_THAT(Names(root.path()), ElementsAre("step-1", "step-3"));
}

TEST(CheckpointWriter, OtherWorkIsDoneInItsTurn) {
  TemporaryDirectory root;
  std::vector<std::string> done;
  {
    CheckpointWriter writer(Files::Posix(), root.path());
    writer.Run([&] { done.push_back("ready"); });
    writer.Write(Content(1, kData), [&](const absl::Status&) { done.push_back("written"); });
    writer.Run([&] { done.push_back("ready again"); });
  }
  EXPECT_THAT(done, ElementsAre("ready", "written", "ready again"));
}

TEST(CheckpointWriter, WriteReturnsWhileTheFileIsBeingWritten) {
  TemporaryDirectory root;
  absl::Notification release;
  std::atomic<bool> done{false};
  CheckpointWriter writer(Files::Posix(), root.path());
  writer.Write(Content(1, kData), [&](const absl::Status&) {
    release.WaitForNotification();
    done = true;
  });
  EXPECT_FALSE(done);  // Write returned although its callback cannot have ended
  release.Notify();
  writer.WaitIdle();
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace attune::training
