#include "server/api/checkpoint_service.h"

#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "server/base/files.h"
#include "tests/server/api/api_fixture.h"

namespace attune::api {
namespace {

constexpr char kName[] = "fineTuningJobs/j1/checkpoints/12";

class CheckpointServiceTest : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    stub_ = v1::CheckpointService::NewStub(channel_);
    checkpoint_.set_name(kName);
    checkpoint_.set_step(12);
    for (size_t i = 0; i < content_.size(); ++i) content_[i] = static_cast<char>(i * 31 + i / 997);
    AddFile("model.safetensors", content_);
    AddFile("config.json", "{}");
    AddFile("empty.txt", "");
    Put();
  }

  void AddFile(const std::string& path, const std::string& content) {
    std::ofstream(directory_.path() + "/" + path, std::ios::binary) << content;
    v1::CheckpointFile* file = checkpoint_.add_files();
    file->set_path(path);
    file->set_size_bytes(static_cast<int64_t>(content.size()));
  }
  void Put() { scheduler_.PutCheckpoint(checkpoint_, directory_.path()); }

  struct Downloaded {
    grpc::Status status;
    std::string data;
    size_t largest = 0;
  };
  Downloaded Download(const std::string& path, int64_t offset = 0, const std::string& name = kName) {
    v1::DownloadCheckpointFileRequest request;
    request.set_name(name);
    request.set_path(path);
    request.set_offset(offset);
    grpc::ClientContext context;
    auto reader = stub_->DownloadCheckpointFile(&context, request);
    Downloaded downloaded;
    v1::DownloadCheckpointFileResponse message;
    while (reader->Read(&message)) {
      EXPECT_EQ(message.offset(), offset + static_cast<int64_t>(downloaded.data.size()));
      downloaded.data += message.data();
      downloaded.largest = std::max(downloaded.largest, message.data().size());
    }
    downloaded.status = reader->Finish();
    return downloaded;
  }

  TemporaryDirectory directory_;
  std::string content_ = std::string(1'000'003, '\0');
  v1::Checkpoint checkpoint_;
  std::unique_ptr<v1::CheckpointService::Stub> stub_;
};

TEST_F(CheckpointServiceTest, DownloadsAWholeFileInChunks) {
  Downloaded downloaded = Download("model.safetensors");
  EXPECT_TRUE(downloaded.status.ok()) << downloaded.status.error_message();
  EXPECT_TRUE(downloaded.data == content_);
  EXPECT_EQ(downloaded.largest, 256u << 10);
  EXPECT_EQ(Download("config.json").data, "{}");
  EXPECT_TRUE(Download("empty.txt").status.ok());
}

TEST_F(CheckpointServiceTest, GoesOnFromAnOffset) {
  for (int64_t offset : {int64_t{1}, int64_t{256 << 10}, int64_t{1'000'002}, int64_t{1'000'003}}) {
    Downloaded downloaded = Download("model.safetensors", offset);
    EXPECT_TRUE(downloaded.status.ok()) << downloaded.status.error_message();
    EXPECT_TRUE(downloaded.data == content_.substr(static_cast<size_t>(offset))) << offset;
  }
  Downloaded past = Download("model.safetensors", 1'000'004);
  EXPECT_EQ(past.status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  EXPECT_NE(past.status.error_message().find("1000003 bytes"), std::string::npos) << past.status.error_message();
}

TEST_F(CheckpointServiceTest, OnlyListedFilesInsideTheDirectory) {
  Downloaded unlisted = Download("model.safetensor");
  EXPECT_EQ(unlisted.status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_NE(unlisted.status.error_message().find("did you mean \"model.safetensors\"?"), std::string::npos);
  EXPECT_EQ(Download("../../../../etc/passwd").status.error_code(), grpc::StatusCode::NOT_FOUND);
  // Not even when a checkpoint's own list leads outside.
  for (const char* path : {"../secret", "/etc/passwd", "a/../../b", "./config.json"}) {
    checkpoint_.add_files()->set_path(path);
    Put();
    EXPECT_EQ(Download(path).status.error_code(), grpc::StatusCode::INTERNAL) << path;
  }
}

TEST_F(CheckpointServiceTest, AFileThatWasChangedFromOutsideIsNotSent) {
  ASSERT_TRUE(Files::Posix().Truncate(directory_.path() + "/model.safetensors", 10).ok());
  Downloaded downloaded = Download("model.safetensors");
  EXPECT_EQ(downloaded.status.error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_TRUE(downloaded.data.empty());
  ASSERT_TRUE(Files::Posix().Remove(directory_.path() + "/config.json").ok());
  EXPECT_EQ(Download("config.json").status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(CheckpointServiceTest, DownloadChecksItsFields) {
  EXPECT_EQ(OnlyField(Download("config.json", 0, "x").status), "name");
  EXPECT_EQ(OnlyField(Download("").status), "path");
  EXPECT_EQ(OnlyField(Download("config.json", -1).status), "offset");
  EXPECT_EQ(Download("config.json", 0, "fineTuningJobs/j1/checkpoints/99").status.error_code(), grpc::StatusCode::NOT_FOUND);
}

TEST_F(CheckpointServiceTest, AClientThatLeavesEndsTheDownload) {
  v1::DownloadCheckpointFileRequest request;
  request.set_name(kName);
  request.set_path("model.safetensors");
  grpc::ClientContext context;
  auto reader = stub_->DownloadCheckpointFile(&context, request);
  v1::DownloadCheckpointFileResponse message;
  ASSERT_TRUE(reader->Read(&message));
  context.TryCancel();
  while (reader->Read(&message)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
  EXPECT_TRUE(server_->Shutdown(absl::Seconds(60)));  // nothing hangs on to the call
}

TEST_F(CheckpointServiceTest, UnaryMethods) {
  grpc::ClientContext c1, c2, c3, c4, c5, c6, c7, c8, c9, c10;
  v1::GetCheckpointRequest get;
  v1::Checkpoint checkpoint;
  EXPECT_EQ(OnlyField(stub_->GetCheckpoint(&c1, get, &checkpoint)), "name");
  get.set_name(kName);
  EXPECT_TRUE(stub_->GetCheckpoint(&c2, get, &checkpoint).ok());
  EXPECT_EQ(checkpoint.step(), 12);
  v1::ListCheckpointsRequest list;
  v1::ListCheckpointsResponse listed;
  EXPECT_EQ(OnlyField(stub_->ListCheckpoints(&c3, list, &listed)), "parent");
  list.set_parent("fineTuningJobs/j1");
  EXPECT_TRUE(stub_->ListCheckpoints(&c4, list, &listed).ok());
  EXPECT_EQ(listed.checkpoints_size(), 1);
  v1::UpdateCheckpointRequest update;
  EXPECT_EQ(OnlyField(stub_->UpdateCheckpoint(&c8, update, &checkpoint)), "checkpoint.name");
  update.mutable_checkpoint()->set_name(kName);
  update.mutable_checkpoint()->set_pinned(true);
  update.mutable_update_mask()->add_paths("pinned");
  EXPECT_TRUE(stub_->UpdateCheckpoint(&c9, update, &checkpoint).ok());
  EXPECT_TRUE(checkpoint.pinned());
  update.mutable_checkpoint()->set_name("fineTuningJobs/j1/checkpoints/best");  // a name like any other here; there is none
  EXPECT_EQ(stub_->UpdateCheckpoint(&c10, update, &checkpoint).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::DeleteCheckpointRequest remove;
  v1::DeleteCheckpointResponse removed;
  remove.set_name("fineTuningJobs/j1/checkpoints/best");
  EXPECT_EQ(OnlyField(stub_->DeleteCheckpoint(&c5, remove, &removed)), "name");
  remove.set_name(kName);
  EXPECT_TRUE(stub_->DeleteCheckpoint(&c6, remove, &removed).ok());
  EXPECT_EQ(stub_->DeleteCheckpoint(&c7, remove, &removed).error_code(), grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace attune::api
