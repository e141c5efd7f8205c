#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include "gtest/gtest.h"
#include "server/backup/archive.h"
#include "server/backup/snapshot.h"
#include "server/base/str_cat.h"

namespace attune::backup {
namespace {

namespace fs = std::filesystem;

class BackupTest : public ::testing::Test {
 protected:
  BackupTest() {
    EXPECT_TRUE(database_->Execute("CREATE TABLE t(x INTEGER)").ok());
    EXPECT_TRUE(database_->Execute("INSERT INTO t VALUES(1)").ok());
    Write("models/m1/model.safetensors", std::string(700'000, 'w'));
    Write("jobs/j1/checkpoints/step-5/model.safetensors", "five");
    Write("artifacts/uploads/u1.part", "half of it");
    Write("feature-cache/table", "can be computed again");
    Write("LOCK", "123");
  }

  std::string At(const std::string& name) const { return directory_.path() + "/" + name; }
  void Write(const std::string& name, const std::string& content) {
    fs::create_directories(fs::path(At(name)).parent_path());
    std::ofstream(At(name), std::ios::binary) << content;
  }
  SnapshotSources Sources(std::function<void(const std::function<void()>&)> hold = [](const std::function<void()>& work) { work(); }) {
    return {.data_directory = directory_.path(), .database = *database_, .files = Files::Posix(), .hold = std::move(hold)};
  }
  // Writes the archive to a file.
  absl::Status Save(const BackupSnapshot& snapshot, const std::string& path) {
    std::ofstream out(path, std::ios::binary);
    return WriteArchive(snapshot, [&](std::string_view data) {
      out.write(data.data(), static_cast<std::streamsize>(data.size()));
      return absl::OkStatus();
    });
  }

  TemporaryDirectory directory_, elsewhere_;
  std::unique_ptr<Database> database_ = Database::Open(directory_.path() + "/attune.db").value();
};

TEST_F(BackupTest, TarUnpacksItAndTheSumsAreRight) {
  auto snapshot = BackupSnapshot::Take(Sources());
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_EQ((*snapshot)->names(), (std::vector<std::string>{"attune.db", "artifacts/uploads/u1.part", "jobs/j1/checkpoints/step-5/model.safetensors", "models/m1/model.safetensors"}));
  EXPECT_GT((*snapshot)->total_bytes(), 700'000);
  const std::string archive = elsewhere_.path() + "/backup.tar", restored = elsewhere_.path() + "/data";
  ASSERT_TRUE(Save(**snapshot, archive).ok());
  fs::create_directories(restored);
  ASSERT_EQ(std::system(StrCat("tar -xf ", archive, " -C ", restored, " && cd ", restored, " && sha256sum --quiet -c SHA256SUMS").c_str()), 0);
  EXPECT_EQ(ReadFile(restored + "/models/m1/model.safetensors").value(), std::string(700'000, 'w'));
  auto database = Database::Open(restored + "/attune.db");
  ASSERT_TRUE(database.ok()) << database.status();
  EXPECT_TRUE((*database)->CheckIntegrity().ok());
  EXPECT_EQ((*database)->Query("SELECT x FROM t").value().size(), 1u);
  EXPECT_FALSE(FileExists(restored + "/feature-cache"));
  EXPECT_FALSE(FileExists(restored + "/LOCK"));
}

TEST_F(BackupTest, ItIsOfTheMomentWhenItWasTaken) {
  auto snapshot = BackupSnapshot::Take(Sources());
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  fs::remove_all(At("jobs/j1"));
  Write("models/m2/model.safetensors", "later");
  ASSERT_TRUE(database_->Execute("INSERT INTO t VALUES(2)").ok());
  const std::string archive = elsewhere_.path() + "/backup.tar";
  ASSERT_TRUE(Save(**snapshot, archive).ok());
  ASSERT_EQ(std::system(StrCat("tar -xf ", archive, " -C ", elsewhere_.path()).c_str()), 0);
  EXPECT_TRUE(FileExists(elsewhere_.path() + "/jobs/j1/checkpoints/step-5/model.safetensors"));
  EXPECT_FALSE(FileExists(elsewhere_.path() + "/models/m2"));
  EXPECT_EQ(Database::Open(elsewhere_.path() + "/attune.db").value()->Query("SELECT x FROM t").value().size(), 1u);
}

TEST_F(BackupTest, EverythingHappensWhileCheckpointsAreHeld) {
  bool was_held = false;
  auto snapshot = BackupSnapshot::Take(Sources([&](const std::function<void()>& work) {
    EXPECT_FALSE(FileExists(At(StrCat(kScratchName, "/attune.db"))));
    work();
    was_held = FileExists(At(StrCat(kScratchName, "/attune.db"))) && FileExists(At(StrCat(kScratchName, "/jobs/j1/checkpoints/step-5/model.safetensors")));
  }));
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  EXPECT_TRUE(was_held);
}

TEST_F(BackupTest, TheSnapshotIsRemovedAndWhatAKilledServerLeftToo) {
  Write(StrCat(kScratchName, "/models/old/model.safetensors"), "of a server that was killed");
  {
    auto snapshot = BackupSnapshot::Take(Sources());
    ASSERT_TRUE(snapshot.ok()) << snapshot.status();
    EXPECT_FALSE(FileExists(At(StrCat(kScratchName, "/models/old"))));
    EXPECT_TRUE(FileExists(At(StrCat(kScratchName, "/models/m1/model.safetensors"))));
  }
  EXPECT_FALSE(FileExists(At(kScratchName)));
  EXPECT_TRUE(FileExists(At("models/m1/model.safetensors"))) << "only its second name went";
}

TEST_F(BackupTest, AnUploadThatIsCutMeanwhileKeepsTheArchiveWhole) {
  Write("artifacts/uploads/u2.part", std::string(600'000, 'u'));
  auto snapshot = BackupSnapshot::Take(Sources());
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  bool cut = false;
  const std::string archive = elsewhere_.path() + "/backup.tar";
  std::ofstream out(archive, std::ios::binary);
  ASSERT_TRUE(WriteArchive(**snapshot, [&](std::string_view data) {
                if (!std::exchange(cut, true)) fs::resize_file(At("artifacts/uploads/u2.part"), 10);
                out.write(data.data(), static_cast<std::streamsize>(data.size()));
                return absl::OkStatus();
              }).ok());
  out.close();
  EXPECT_EQ(std::system(StrCat("tar -xf ", archive, " -C ", elsewhere_.path(), " && cd ", elsewhere_.path(), " && sha256sum --quiet -c SHA256SUMS").c_str()), 0);
}

TEST_F(BackupTest, AReaderThatLeavesEndsIt) {
  auto snapshot = BackupSnapshot::Take(Sources());
  ASSERT_TRUE(snapshot.ok()) << snapshot.status();
  const absl::Status status = WriteArchive(**snapshot, [](std::string_view) { return absl::CancelledError("the client left"); });
  EXPECT_EQ(status.code(), absl::StatusCode::kCancelled) << status;
}

}  // namespace
}  // namespace attune::backup
