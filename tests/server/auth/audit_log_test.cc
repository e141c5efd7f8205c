#include "server/auth/audit_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"
#include "server/base/str_cat.h"
#include "tests/fakes/fault_injecting_files.h"
#include "tests/fakes/manual_clock.h"

namespace attune::auth {
namespace {

class AuditLogTest : public ::testing::Test {
 protected:
  void Open(AuditOptions options = {}) {
    log_.reset();
    options.directory = folder_;
    auto log = AuditLog::Open(options, files_, clock_);
    ASSERT_TRUE(log.ok()) << log.status();
    log_ = *std::move(log);
  }
  void Write(const std::string& resource) {
    log_->Record({.caller = {.subject = "ci", .kind = IdentityKind::kToken, .credential_id = "t1"}, .method = "attune.v1.DatasetService/DeleteDataset", .resource = resource, .peer = "ipv4:10.0.0.7:5", .code = "OK"});
  }
  // Each line as JSON; a line that is none fails the test.
  std::vector<nlohmann::json> Lines(const std::string& name = "audit.jsonl") {
    std::vector<nlohmann::json> lines;
    const std::string text = ReadFile(folder_ + "/" + name).value_or("");
    for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
      lines.push_back(nlohmann::json::parse(line.begin(), line.end(), nullptr, false));
      EXPECT_FALSE(lines.back().is_discarded()) << line;
    }
    return lines;
  }

  ManualClock clock_;
  TemporaryDirectory directory_;
  const std::string folder_ = directory_.path() + "/data/audit";
  FaultInjectingFiles files_;
  std::unique_ptr<AuditLog> log_;
};

TEST_F(AuditLogTest, RefusalsPushNothingOut) {
  Open();
  const auto refuse = [&](int times) {
    for (int i = 0; i < times; ++i) log_->RecordRefusal({.method = "attune.v1.DatasetService/DeleteDataset", .code = "PERMISSION_DENIED"});
  };
  refuse(100);
  EXPECT_EQ(Lines().size(), 60u);
  clock_.Advance(absl::Seconds(2));
  refuse(100);
  EXPECT_EQ(Lines().size(), 62u);
  Write("datasets/d1");
  EXPECT_EQ(Lines().size(), 63u) << "calls that began are all there";
}

TEST_F(AuditLogTest, ALineSaysWhoDidWhat) {
  Open();
  Write("datasets/d1");
  ASSERT_EQ(Lines().size(), 1u);
  const nlohmann::json line = Lines()[0];
  EXPECT_EQ(line["subject"], "ci");
  EXPECT_EQ(line["kind"], "token");
  EXPECT_EQ(line["credential"], "t1");
  EXPECT_EQ(line["method"], "attune.v1.DatasetService/DeleteDataset");
  EXPECT_EQ(line["resource"], "datasets/d1");
  EXPECT_EQ(line["peer"], "ipv4:10.0.0.7:5");
  EXPECT_EQ(line["code"], "OK");
  EXPECT_THAT(line["time"].get<std::string>(), ::testing::StartsWith("2023-11-14T22:13:20"));
}

TEST_F(AuditLogTest, WhatAClientSendsStaysInItsField) {
  Open();
  Write("x\"}\n{\"subject\":\"root\"\x1b\xff" + std::string(1000, 'y'));
  ASSERT_EQ(Lines().size(), 1u);
  EXPECT_EQ(Lines()[0]["subject"], "ci");
  EXPECT_LE(Lines()[0].dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).size(), 600u);
}

TEST_F(AuditLogTest, GoesOnWhereItWasAndEndsACutLine) {
  Open();
  Write("a");
  Open();
  Write("b");
  ASSERT_EQ(Lines().size(), 2u);
  ASSERT_TRUE(Files::Posix().Truncate(folder_ + "/audit.jsonl", FileSize(folder_ + "/audit.jsonl").value() - 10).ok());
  Open();
  Write("c");
  std::vector<std::string> lines = absl::StrSplit(ReadFile(folder_ + "/audit.jsonl").value(), '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_TRUE(nlohmann::json::accept(lines[0]));
  EXPECT_TRUE(nlohmann::json::accept(lines[2]));
}

TEST_F(AuditLogTest, AFullDiskIsCountedAndNoLineIsSpoilt) {
  Open();
  Write("a");
  files_.Inject({.op = FileOp::kAppend, .short_write = 7, .status = absl::ResourceExhaustedError("full")});
  Write("lost");
  EXPECT_EQ(log_->failures(), 1);
  Write("b");
  EXPECT_EQ(log_->failures(), 1);
  std::vector<std::string> lines = absl::StrSplit(ReadFile(folder_ + "/audit.jsonl").value(), '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_TRUE(nlohmann::json::accept(lines[0]));
  EXPECT_EQ(lines[1].size(), 7u);
  EXPECT_TRUE(nlohmann::json::accept(lines[2]));
}

TEST_F(AuditLogTest, FilesAreFinishedAndTheOldestGo) {
  Open({.max_file_bytes = 1000, .max_files = 2});
  for (int i = 0; i < 30; ++i) {  // the clock stands still: names must differ all the same
    Write(StrCat("datasets/d", i));
    ASSERT_TRUE(log_->Sync().ok());
  }
  const std::vector<std::string> names = ListDirectory(folder_).value();
  ASSERT_EQ(names.size(), 3u);
  std::vector<std::string> resources;
  for (const std::string& name : names) {
    EXPECT_LE(FileSize(folder_ + "/" + name).value(), 1300);
    for (const nlohmann::json& line : Lines(name)) resources.push_back(line["resource"]);
  }
  ASSERT_GT(resources.size(), 5u);
  for (size_t i = 0; i < resources.size(); ++i) EXPECT_EQ(resources[i], StrCat("datasets/d", 30 - resources.size() + i)) << "in order, and the newest";
  EXPECT_EQ(log_->failures(), 0);
}

TEST_F(AuditLogTest, AFileThatCannotBeFinishedGoesOn) {
  Open({.max_file_bytes = 500});
  files_.Inject({.op = FileOp::kRename, .times = 3, .status = absl::InternalError("no")});
  int faults = 0;
  for (int i = 0; i < 10; ++i) {
    Write("x");
    faults += log_->Sync().ok() ? 0 : 1;
  }
  EXPECT_EQ(faults, 3);
  EXPECT_EQ(log_->failures(), 0);
  size_t lines = 0;
  const std::vector<std::string> names = ListDirectory(folder_).value();
  for (const std::string& name : names) lines += Lines(name).size();
  EXPECT_EQ(lines, 10u);
  EXPECT_GT(names.size(), 1u);
}

TEST_F(AuditLogTest, AfterAFailedSyncTheNextOneTriesAgain) {
  Open();
  Write("a");
  files_.Inject({.op = FileOp::kSync, .status = absl::InternalError("no")});
  EXPECT_FALSE(log_->Sync().ok());
  EXPECT_TRUE(log_->Sync().ok());
  files_.LoseUnsyncedBytes();
  EXPECT_EQ(Lines().size(), 1u);
}

TEST_F(AuditLogTest, SyncIsForWhatIsNew) {
  Open();
  Write("a");
  ASSERT_TRUE(log_->Sync().ok());
  ASSERT_TRUE(log_->Sync().ok());
  EXPECT_EQ(files_.CountCalls(FileOp::kSync, "audit.jsonl"), 1);
  Write("b");
  ASSERT_TRUE(log_->Sync().ok());
  Write("c");
  files_.LoseUnsyncedBytes();
  EXPECT_EQ(Lines().size(), 2u);
}

TEST_F(AuditLogTest, ManyThreads) {
  Open({.max_file_bytes = 4000, .max_files = 1000});
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this] {
      for (int i = 0; i < 50; ++i) Write("x");
    });
  }
  threads.emplace_back([this] {
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(log_->Sync().ok());
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(log_->Sync().ok());
  size_t lines = 0;
  const std::vector<std::string> names = ListDirectory(folder_).value();
  EXPECT_GT(names.size(), 1u);
  for (const std::string& name : names) lines += Lines(name).size();
  EXPECT_EQ(lines, 200u);
}

}  // namespace
}  // namespace attune::auth
