// A LocalArtifactStore in a temporary directory, whose disk can be made to fail. For the tests of this folder.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "server/artifacts/local_artifact_store.h"
#include "server/base/status_macros.h"
#include "server/database/database.h"
#include "tests/contracts/artifact_store_harness.h"
#include "tests/fakes/fault_injecting_files.h"

namespace attune::artifacts {

class LocalHarness final : public ArtifactStoreHarness {
 public:
  // Without room for bytes that are not synced, syncs come at known places.
  explicit LocalHarness(int64_t sync_every_bytes = 64 << 10, int64_t max_unsynced_bytes = 0)
      : sync_every_bytes_(sync_every_bytes), max_unsynced_bytes_(max_unsynced_bytes) {
    Restart();
  }
  ArtifactStore& store() override { return *store_; }
  void Restart() override {
    absl::Status status = TryRestart();
    ASSERT_TRUE(status.ok()) << status;
  }
  absl::Status TryRestart() {
    store_.reset();
    database_.reset();
    ATTUNE_ASSIGN_OR_RETURN(database_, Database::Open(directory_.path() + "/attune.db"));
    ATTUNE_ASSIGN_OR_RETURN(store_, LocalArtifactStore::Create({.root = root(),
                                                                .sync_every_bytes = sync_every_bytes_,
                                                                .max_unsynced_bytes = max_unsynced_bytes_,
                                                                .keep_free_bytes = 1000},
                                                               *database_, files_, clock()));
    return absl::OkStatus();
  }
  // The power goes: from now on nothing reaches the disk, and what was not synced is lost.
  void CutPower() {
    files_.Inject({.times = -1, .status = absl::InternalError("no power")});
    files_.LoseUnsyncedBytes();
  }
  void PowerOn() {
    files_.Clear();
    Restart();
  }
  std::string root() const { return directory_.path() + "/artifacts"; }
  FaultInjectingFiles& files() { return files_; }
  Database& database() { return *database_; }

 private:
  const int64_t sync_every_bytes_;
  const int64_t max_unsynced_bytes_;
  TemporaryDirectory directory_;
  FaultInjectingFiles files_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<ArtifactStore> store_;
};

}  // namespace attune::artifacts
