#include "client/cpp/upload.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/files.h"
#include "tests/client/cpp/fake_server.h"

namespace attune::client {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class UploadTest : public ::testing::Test {
 protected:
  UploadTest() {
    for (int64_t i = 0; i < 1'000'000; ++i) content_.push_back(static_cast<char>('a' + i * 7919 % 26));
    Write(content_);
  }
  void Write(const std::string& content) { ASSERT_TRUE(WriteFileAtomically(Files::Posix(), path_, content).ok()); }
  const std::string& Received() { return server_.uploads.uploads.begin()->second.content; }

  TemporaryDirectory directory_;
  const std::string path_ = directory_.path() + "/reviews.csv";
  std::string content_;
  FakeServer server_;
  std::unique_ptr<Client> client_ = server_.Connect();
};

TEST_F(UploadTest, SendsInPiecesAndReportsProgress) {
  std::vector<int64_t> seen;
  auto upload = UploadFile(*client_, path_, {.progress = [&](const TransferProgress& p) {
    EXPECT_EQ(p.name, "reviews.csv");
    EXPECT_EQ(p.total_bytes, 1'000'000);
    seen.push_back(p.done_bytes);
  }});
  ASSERT_TRUE(upload.ok()) << upload.status();
  EXPECT_EQ(upload->state(), v1::Upload::STATE_COMPLETE);
  EXPECT_EQ(upload->filename(), "reviews.csv");
  EXPECT_EQ(Received(), content_);
  EXPECT_EQ(server_.uploads.largest_message, 256u << 10);
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.front(), 0);
  EXPECT_EQ(seen.back(), 1'000'000);
}

TEST_F(UploadTest, ContinuesFromTheCommittedSizeAfterEachCut) {
  server_.uploads.cut_after = {300'000, 0, 250'001};
  auto upload = UploadFile(*client_, path_);
  ASSERT_TRUE(upload.ok()) << upload.status();
  EXPECT_EQ(Received(), content_);
  EXPECT_THAT(server_.uploads.offsets, ElementsAre(0, 300'000, 300'000, 550'001));
  EXPECT_THAT(server_.sleeps, ElementsAre(absl::Seconds(0.15), absl::Seconds(0.15), absl::Seconds(0.3)))
      << "a cut that came after progress starts the backoff again";
}

TEST_F(UploadTest, GivesUpWhenNothingMoves) {
  server_.uploads.cut_after = {10, 0, 0, 0, 0, 0, 0};
  const absl::Status status = UploadFile(*client_, path_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
  EXPECT_EQ(server_.sleeps.size(), 5u);
}

TEST_F(UploadTest, ASecondRunGoesOnWhereTheFirstStopped) {
  server_.uploads.cut_after = {400'000, 0, 0, 0, 0, 0};
  ASSERT_FALSE(UploadFile(*client_, path_).ok());
  server_.uploads.offsets.clear();
  server_.uploads.cut_after.clear();
  ASSERT_TRUE(UploadFile(*server_.Connect(), path_).ok());
  EXPECT_THAT(server_.uploads.offsets, ElementsAre(400'000));
  ASSERT_TRUE(UploadFile(*server_.Connect(), path_).ok());
  EXPECT_THAT(server_.uploads.offsets, ElementsAre(400'000)) << "a complete upload is not sent again";
  Write("other content");
  ASSERT_TRUE(UploadFile(*server_.Connect(), path_).ok());
  EXPECT_EQ(server_.uploads.uploads.size(), 2u) << "other content is another upload";
}

TEST_F(UploadTest, AnUploadThatExpiredIsMadeAnew) {
  server_.uploads.forget = true;
  auto upload = UploadFile(*client_, path_);
  ASSERT_TRUE(upload.ok()) << upload.status();
  EXPECT_EQ(server_.uploads.by_request_id.size(), 2u);
}

TEST_F(UploadTest, AWrongHashIsMendedOnce) {
  server_.uploads.corrupt_streams = 1;
  ASSERT_TRUE(UploadFile(*client_, path_).ok());
  EXPECT_EQ(Received(), content_);
  EXPECT_THAT(server_.uploads.offsets, ElementsAre(0, 0));
}

TEST_F(UploadTest, AWrongHashTwiceIsDataLoss) {
  server_.uploads.corrupt_streams = 2;
  EXPECT_EQ(UploadFile(*client_, path_).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(UploadTest, AnOldOffsetIsAskedForAgain) {
  ASSERT_TRUE(client_->CreateUpload({}).ok());
  server_.uploads.on_write = [&] {
    // Another writer was faster.
    auto& entry = server_.uploads.uploads["uploads/u2"];
    if (entry.upload.committed_bytes() > 0) return;
    entry.content = content_.substr(0, 500);
    entry.upload.set_committed_bytes(500);
  };
  auto upload = UploadFile(*client_, path_);
  ASSERT_TRUE(upload.ok()) << upload.status();
  EXPECT_THAT(server_.uploads.offsets, ElementsAre(0, 500));
}

TEST_F(UploadTest, AFileThatChangesMeanwhileIsNamed) {
  server_.uploads.on_write = [&] { Write("shorter"); };
  const absl::Status status = UploadFile(*client_, path_).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("changed while it was being uploaded"));
}

TEST_F(UploadTest, WhatCannotBeSentIsSaidBeforeTheServerIsAsked) {
  Write("");
  EXPECT_THAT(std::string(UploadFile(*client_, path_).status().message()), HasSubstr("is empty"));
  EXPECT_THAT(std::string(UploadFile(*client_, directory_.path()).status().message()), HasSubstr("is not a file"));
  EXPECT_EQ(UploadFile(*client_, path_ + ".none").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(server_.uploads.create.calls, 0);
}

TEST_F(UploadTest, RetriesTheUnaryCallsToo) {
  server_.uploads.create.Fail(Unavailable());
  server_.uploads.get.Fail(Unavailable());
  server_.uploads.cut_after = {1};
  ASSERT_TRUE(UploadFile(*client_, path_).ok());
  EXPECT_EQ(server_.uploads.create.calls, 2);
  EXPECT_EQ(server_.uploads.get.calls, 2);
}

}  // namespace
}  // namespace attune::client
