// What is particular to the store on a directory: crashes, full disks, files on the disk. The rest is in the contract.
#include "server/artifacts/local_artifact_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/sha256.h"
#include "tests/server/artifacts/local_harness.h"

namespace attune::artifacts {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class LocalArtifactStoreTest : public ::testing::Test {
 protected:
  ArtifactStore& store() { return harness_.store(); }
  FaultInjectingFiles& files() { return harness_.files(); }
  std::string Create(int64_t size, const std::string& sha256 = "") {
    auto info = store().CreateUpload({.filename = "f", .size_bytes = size, .expected_sha256 = sha256});
    EXPECT_TRUE(info.ok()) << info.status();
    return info.ok() ? info->id : "";
  }
  int64_t Committed(const std::string& id) { return store().GetUpload(id)->committed_bytes; }
  std::string Part(const std::string& id) const { return harness_.root() + "/uploads/" + id + ".part"; }
  std::string Blob(std::string_view content) const {
    std::string hash = Sha256Hex(content);
    return harness_.root() + "/blobs/" + hash.substr(0, 2) + "/" + hash.substr(2);
  }
  // Sends the rest of `content` from the committed bytes on.
  absl::StatusOr<UploadInfo> SendRest(const std::string& id, std::string_view content) {
    int64_t offset = Committed(id);
    ATTUNE_ASSIGN_OR_RETURN(auto writer, store().OpenUpload(id, offset));
    ATTUNE_RETURN_IF_ERROR(writer->Append(content.substr(static_cast<size_t>(offset))));
    return writer->Finish();
  }

  static constexpr int64_t kSync = 64 << 10;
  LocalHarness harness_{kSync};
};

TEST_F(LocalArtifactStoreTest, BytesAreSyncedAndCommittedWhileTheyCome) {
  std::string id = Create(10 * kSync);
  auto writer = store().OpenUpload(id, 0);
  std::string piece(kSync / 2, 'a');
  ASSERT_TRUE((*writer)->Append(piece).ok());
  EXPECT_EQ(Committed(id), 0);
  ASSERT_TRUE((*writer)->Append(piece).ok());
  EXPECT_EQ(Committed(id), kSync);
  ASSERT_TRUE((*writer)->Append(std::string(3 * kSync + 1, 'b')).ok()) << "one large piece is synced on the way";
  EXPECT_EQ(Committed(id), 4 * kSync);
  EXPECT_EQ(files().CountCalls(FileOp::kSync, ".part"), 4);
}

TEST_F(LocalArtifactStoreTest, PowerCutKeepsTheCommittedBytes) {
  std::string content;
  while (static_cast<int64_t>(content.size()) < 5 * kSync) content += std::to_string(content.size());
  std::string id = Create(static_cast<int64_t>(content.size()), Sha256Hex(content));
  {
    auto writer = store().OpenUpload(id, 0);
    ASSERT_TRUE((*writer)->Append(std::string_view(content).substr(0, 2 * kSync + 777)).ok());
    EXPECT_EQ(*FileSize(Part(id)), 2 * kSync + 777);
    harness_.CutPower();
  }
  harness_.PowerOn();
  EXPECT_EQ(Committed(id), 2 * kSync);
  auto info = SendRest(id, content);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_TRUE(info->complete) << "the hash was rebuilt from the file";
}

TEST_F(LocalArtifactStoreTest, BytesBeyondTheCommittedOnesAreCutOff) {
  // A process that was killed leaves what the kernel had: more than is committed, and perhaps nonsense.
  std::string id = Create(6, Sha256Hex("abcdef"));
  {
    auto writer = store().OpenUpload(id, 0);
    ASSERT_TRUE((*writer)->Append("abc").ok());
  }
  ASSERT_TRUE((*Files::Posix().OpenForAppend(Part(id)))->Append("garbage").ok());
  harness_.Restart();
  EXPECT_EQ(*FileSize(Part(id)), 3);
  ASSERT_TRUE((*Files::Posix().OpenForAppend(Part(id)))->Append("garbage").ok());
  EXPECT_TRUE(SendRest(id, "abcdef")->complete) << "cut again when the upload is opened";
}

TEST_F(LocalArtifactStoreTest, ShorterFileThanCommittedGoesBack) {
  std::string id = Create(6, Sha256Hex("abcdef"));
  {
    ASSERT_TRUE((*store().OpenUpload(id, 0))->Append("abcd").ok());
  }
  EXPECT_EQ(Committed(id), 4);
  ASSERT_TRUE(Files::Posix().Truncate(Part(id), 1).ok());
  absl::Status status = store().OpenUpload(id, 4).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange) << status;
  EXPECT_EQ(Committed(id), 1);
  ASSERT_TRUE(Files::Posix().Remove(Part(id)).ok());
  harness_.Restart();
  EXPECT_EQ(Committed(id), 0);
  EXPECT_TRUE(SendRest(id, "abcdef")->complete);
}

TEST_F(LocalArtifactStoreTest, FullDiskKeepsWhatCameBefore) {
  std::string content(3 * kSync, 'x');
  std::string id = Create(3 * kSync, Sha256Hex(content));
  {
    auto writer = store().OpenUpload(id, 0);
    files().LimitBytes(kSync + 5000);
    ASSERT_TRUE((*writer)->Append(std::string_view(content).substr(0, kSync + 1000)).ok());
    absl::Status status = (*writer)->Append(std::string_view(content).substr(0, 10'000));
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_THAT(std::string(status.message()), ::testing::HasSubstr("continue from there"));
    EXPECT_EQ((*writer)->Append("x").code(), absl::StatusCode::kResourceExhausted) << "the stream is over";
    EXPECT_EQ((*writer)->Finish().status().code(), absl::StatusCode::kResourceExhausted);
  }
  EXPECT_EQ(Committed(id), kSync + 1000);
  EXPECT_EQ(*FileSize(Part(id)), kSync + 1000);
  files().Clear();
  EXPECT_TRUE(SendRest(id, content)->complete) << "goes on once there is room";
}

TEST_F(LocalArtifactStoreTest, FailedSyncIsNotTriedAgain) {
  std::string content(2 * kSync, 'x');
  std::string id = Create(2 * kSync, Sha256Hex(content));
  {
    auto writer = store().OpenUpload(id, 0);
    files().Inject({.op = FileOp::kSync, .path_contains = ".part"});
    EXPECT_EQ((*writer)->Append(content).code(), absl::StatusCode::kInternal);
    EXPECT_EQ((*writer)->Finish().status().code(), absl::StatusCode::kInternal);
  }
  EXPECT_EQ(Committed(id), 0);
  EXPECT_TRUE(SendRest(id, content)->complete);
}

TEST_F(LocalArtifactStoreTest, RefusesWhatTheDiskCannotHold) {
  files().SetFreeBytes(5000);  // of which 1000 stay free
  EXPECT_EQ(store().CreateUpload({.filename = "f", .size_bytes = 4001}).status().code(),
            absl::StatusCode::kResourceExhausted);
  auto created = store().CreateUpload({.filename = "f", .size_bytes = 4000, .request_id = "r"});
  EXPECT_TRUE(created.ok()) << created.status();
  files().SetFreeBytes(0);
  EXPECT_TRUE(store().CreateUpload({.filename = "f", .size_bytes = 4000, .request_id = "r"}).ok())
      << "a retry asks for nothing new";
}

// Every call of the disk fails in turn, for ever (as a crash does) or once; after a restart the upload can always be
// brought to its end.
TEST_F(LocalArtifactStoreTest, WhateverFailsTheUploadCanBeBroughtToItsEnd) {
  const std::string content(kSync + 100, 'y');
  auto upload = [&](const std::string& id) -> absl::Status {
    ATTUNE_ASSIGN_OR_RETURN(auto writer, store().OpenUpload(id, Committed(id)));
    ATTUNE_RETURN_IF_ERROR(writer->Append(std::string_view(content).substr(static_cast<size_t>(Committed(id)))));
    return writer->Finish().status();
  };
  const size_t before = files().calls().size();
  ASSERT_TRUE(upload(Create(kSync + 100, Sha256Hex(content))).ok());
  const int64_t calls =
      static_cast<int64_t>(files().calls().size() - before) - 1;  // without the free space that Create asks for
  ASSERT_GT(calls, 8);
  for (bool for_ever : {false, true}) {
    for (int64_t n = 0; n < calls; ++n) {
      SCOPED_TRACE(testing::Message() << "call " << n << (for_ever ? " and all after it" : ""));
      const std::string id = Create(kSync + 100, Sha256Hex(content));
      files().Inject({.skip = n, .times = for_ever ? -1 : 1});
      EXPECT_FALSE(upload(id).ok());
      if (for_ever) {
        files().LoseUnsyncedBytes();
        harness_.PowerOn();
      }
      files().Clear();
      if (!store().GetUpload(id)->complete) {
        absl::Status status = upload(id);
        EXPECT_TRUE(status.ok()) << status;
      }
      auto path = store().UploadPath(id);
      ASSERT_TRUE(path.ok()) << path.status();
      EXPECT_EQ(*ReadFile(*path), content);
      EXPECT_TRUE(store().DeleteUpload(id).ok());
    }
  }
}

TEST_F(LocalArtifactStoreTest, CrashBetweenHashAndRenameIsMendedAtTheStart) {
  std::string id = Create(3);
  {
    auto writer = store().OpenUpload(id, 0);
    ASSERT_TRUE((*writer)->Append("abc").ok());
    files().Inject({.op = FileOp::kRename, .times = -1});
    EXPECT_FALSE((*writer)->Finish().ok());
    EXPECT_FALSE(store().GetUpload(id)->complete);
  }
  harness_.PowerOn();
  EXPECT_TRUE(store().GetUpload(id)->complete);
  EXPECT_EQ(*ReadFile(*store().UploadPath(id)), "abc");
}

TEST_F(LocalArtifactStoreTest, CrashBetweenRenameAndRowIsMendedAtTheStart) {
  std::string id = Create(3);
  {
    auto writer = store().OpenUpload(id, 0);
    ASSERT_TRUE((*writer)->Append("abc").ok());
    files().Inject({.op = FileOp::kSyncDirectory, .path_contains = "/blobs/", .times = -1});
    EXPECT_FALSE((*writer)->Finish().ok());
  }
  EXPECT_TRUE(FileExists(Blob("abc")));
  harness_.PowerOn();
  EXPECT_TRUE(store().GetUpload(id)->complete);
}

TEST_F(LocalArtifactStoreTest, CompletingUploadWithoutItsFileStartsAgain) {
  std::string id = Create(3);
  {
    auto writer = store().OpenUpload(id, 0);
    ASSERT_TRUE((*writer)->Append("abc").ok());
    files().Inject({.op = FileOp::kRename, .times = -1});
    EXPECT_FALSE((*writer)->Finish().ok());
  }
  ASSERT_TRUE(Files::Posix().Remove(Part(id)).ok());
  harness_.PowerOn();
  EXPECT_EQ(Committed(id), 0);
  EXPECT_TRUE(SendRest(id, "abc")->complete);
}

TEST_F(LocalArtifactStoreTest, FilesComeAndGoWithTheirUploads) {
  std::string a = Create(3), b = Create(3), c = Create(3);
  ASSERT_TRUE(SendRest(a, "abc").ok());
  ASSERT_TRUE(SendRest(b, "abc").ok());
  {
    ASSERT_TRUE((*store().OpenUpload(c, 0))->Append("ab").ok());
  }
  EXPECT_THAT(*ListDirectory(harness_.root() + "/uploads"), ElementsAre(c + ".part"));
  EXPECT_EQ(*store().UploadPath(a), Blob("abc"));
  EXPECT_EQ(*store().UploadPath(b), Blob("abc"));
  ASSERT_TRUE(store().DeleteUpload(a).ok());
  EXPECT_TRUE(FileExists(Blob("abc")));
  ASSERT_TRUE(store().DeleteUpload(b).ok());
  EXPECT_FALSE(FileExists(Blob("abc")));
  ASSERT_TRUE(store().DeleteUpload(c).ok());
  EXPECT_THAT(*ListDirectory(harness_.root() + "/uploads"), IsEmpty());
}

TEST_F(LocalArtifactStoreTest, FilesThatNoRowKnowsGoAtTheStart) {
  std::string kept = Create(3), active = Create(3);
  ASSERT_TRUE(SendRest(kept, "abc").ok());
  {
    ASSERT_TRUE((*store().OpenUpload(active, 0))->Append("ab").ok());
  }
  auto write = [](const std::string& path) {
    ASSERT_TRUE(Files::Posix().CreateDirectories(path.substr(0, path.rfind('/'))).ok());
    ASSERT_TRUE(Files::Posix().Create(path).ok());
  };
  write(harness_.root() + "/uploads/uorphan.part");
  write(Blob("orphan"));
  write(harness_.root() + "/blobs/README");
  harness_.Restart();
  EXPECT_THAT(*ListDirectory(harness_.root() + "/uploads"), ElementsAre(active + ".part"));
  EXPECT_FALSE(FileExists(Blob("orphan")));
  EXPECT_TRUE(FileExists(Blob("abc")));
  EXPECT_TRUE(FileExists(harness_.root() + "/blobs/README")) << "not a blob";
}

TEST_F(LocalArtifactStoreTest, MissingBlobIsDataLoss) {
  std::string id = Create(3);
  ASSERT_TRUE(SendRest(id, "abc").ok());
  ASSERT_TRUE(Files::Posix().Remove(Blob("abc")).ok());
  EXPECT_EQ(store().UploadPath(id).status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(store().MaterializeUpload(id, harness_.root() + "/x").code(), absl::StatusCode::kDataLoss);
}

TEST_F(LocalArtifactStoreTest, MaterializeCopiesWhereLinksAreImpossible) {
  const std::string content(3 << 20, 'z');
  std::string id = Create(3 << 20);
  ASSERT_TRUE(SendRest(id, content).ok());
  const std::string path = harness_.root() + "/copy";
  files().Inject({.op = FileOp::kLink, .times = -1, .status = absl::InternalError("Invalid cross-device link")});
  ASSERT_TRUE(store().MaterializeUpload(id, path).ok());
  EXPECT_EQ(*ReadFile(path), content);
  files().LoseUnsyncedBytes();
  EXPECT_EQ(*ReadFile(path), content);
  files().LimitBytes(1'500'000);
  EXPECT_EQ(store().MaterializeUpload(id, path).code(), absl::StatusCode::kResourceExhausted);
  EXPECT_FALSE(FileExists(path)) << "no half copy is left";
}

TEST_F(LocalArtifactStoreTest, DeletingDuringAnUploadLeavesNoFile) {
  std::string id = Create(kSync * 2);
  auto writer = store().OpenUpload(id, 0);
  ASSERT_TRUE((*writer)->Append("abc").ok());
  harness_.clock().Advance(absl::Hours(25));
  EXPECT_EQ(*store().RemoveExpiredUploads(), 1);
  EXPECT_EQ((*writer)->Append("d").code(), absl::StatusCode::kAborted);
  writer->reset();
  EXPECT_THAT(*ListDirectory(harness_.root() + "/uploads"), IsEmpty());
}

TEST_F(LocalArtifactStoreTest, RowThatGoesBehindTheWritersBackEndsIt) {
  std::string id = Create(kSync * 2);
  auto writer = store().OpenUpload(id, 0);
  ASSERT_TRUE(harness_.database().Execute("DELETE FROM uploads").ok());
  EXPECT_EQ((*writer)->Append(std::string(kSync, 'x')).code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(*ListDirectory(harness_.root() + "/uploads"), IsEmpty());
}

TEST_F(LocalArtifactStoreTest, StartReportsADiskThatCannotBeUsed) {
  files().Inject({.op = FileOp::kCreateDirectories});
  EXPECT_FALSE(harness_.TryRestart().ok());
  EXPECT_TRUE(harness_.TryRestart().ok());
}

class SyncingBehindTest : public ::testing::Test {
 protected:
  static constexpr int64_t kSync = 64 << 10;
  static constexpr int64_t kMaxUnsynced = 256 << 10;
  static constexpr int64_t kSize = 4 << 20;
  std::string Create() {
    return store().CreateUpload({.filename = "f", .size_bytes = kSize, .expected_sha256 = Sha256Hex(content_)})->id;
  }
  ArtifactStore& store() { return harness_.store(); }
  std::string_view Rest(int64_t offset) const { return std::string_view(content_).substr(static_cast<size_t>(offset)); }
  const std::string content_ = std::string(kSize, 'q');
  LocalHarness harness_{kSync, kMaxUnsynced};
};

TEST_F(SyncingBehindTest, NeverMoreThanTheLimitIsUnsyncedAndAPowerCutLosesNoMore) {
  std::string id = Create();
  constexpr int64_t kSent = 3 << 20;
  {
    auto writer = store().OpenUpload(id, 0);
    for (int64_t sent = 0; sent < kSent; sent += 4096) {
      ASSERT_TRUE((*writer)->Append(Rest(0).substr(0, 4096)).ok());
      ASSERT_GE(store().GetUpload(id)->committed_bytes, sent + 4096 - kMaxUnsynced - kSync);
    }
    harness_.CutPower();
  }
  harness_.PowerOn();
  const int64_t committed = store().GetUpload(id)->committed_bytes;
  EXPECT_GE(committed, kSent - kMaxUnsynced - kSync);
  EXPECT_LE(committed, kSent);
  auto writer = store().OpenUpload(id, committed);
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE((*writer)->Append(Rest(committed)).ok());
  EXPECT_TRUE((*writer)->Finish()->complete);
}

TEST_F(SyncingBehindTest, ErrorOfTheBackgroundReachesTheClient) {
  std::string id = Create();
  auto writer = store().OpenUpload(id, 0);
  harness_.files().Inject(
      {.op = FileOp::kSync, .path_contains = ".part", .skip = 2, .status = absl::InternalError("bad disk")});
  absl::Status status;
  for (int64_t sent = 0; sent < kSize && status.ok(); sent += kSync)
    status = (*writer)->Append(Rest(0).substr(0, kSync));
  if (status.ok()) status = (*writer)->Finish().status();
  EXPECT_EQ(status.message(), "bad disk");
  writer->reset();
  const int64_t committed = store().GetUpload(id)->committed_bytes;
  writer = store().OpenUpload(id, committed);
  ASSERT_TRUE(writer.ok()) << writer.status();
  ASSERT_TRUE((*writer)->Append(Rest(committed)).ok());
  EXPECT_TRUE((*writer)->Finish()->complete);
}

TEST_F(SyncingBehindTest, FewBytesAreSyncedOnlyWhenAsked) {
  std::string id = Create();
  auto writer = store().OpenUpload(id, 0);
  ASSERT_TRUE((*writer)->Append("q").ok());
  EXPECT_EQ(harness_.files().CountCalls(FileOp::kSync, ".part"), 0);
  EXPECT_EQ((*writer)->Finish()->committed_bytes, 1);
  EXPECT_EQ(harness_.files().CountCalls(FileOp::kSync, ".part"), 1);
}

}  // namespace
}  // namespace attune::artifacts
