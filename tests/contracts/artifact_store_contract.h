// What every ArtifactStore promises (server/artifacts/artifact_store.h). A backend's test includes this and writes
//
//   INSTANTIATE_TEST_SUITE_P(Local, ArtifactStoreContract, ::testing::Values([] { return
//   std::make_unique<LocalHarness>(); }));
//
// with a harness that makes a fresh, empty backend whose uploads live 24 hours on the harness's clock. Include it in
// one file of a test binary.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "server/artifacts/artifact_store.h"
#include "server/base/files.h"
#include "server/base/sha256.h"
#include "server/base/str_cat.h"
#include "tests/contracts/artifact_store_harness.h"

namespace attune::artifacts {

class ArtifactStoreContract : public ::testing::TestWithParam<std::function<std::unique_ptr<ArtifactStoreHarness>()>> {
 protected:
  ArtifactStoreContract() : harness_(GetParam()()) {}
  ArtifactStore& store() { return harness_->store(); }
  std::string Path(const std::string& name) const { return scratch_.path() + "/" + name; }

  UploadInfo CreateUpload(CreateUploadOptions options) {
    auto info = store().CreateUpload(options);
    EXPECT_TRUE(info.ok()) << info.status();
    return info.value_or(UploadInfo{});
  }
  // Sends `data` from `offset` on and finishes.
  absl::StatusOr<UploadInfo> Send(const std::string& id, int64_t offset, std::string_view data) {
    auto writer = store().OpenUpload(id, offset);
    if (!writer.ok()) return writer.status();
    absl::Status appended = (*writer)->Append(data);
    if (!appended.ok()) return appended;
    return (*writer)->Finish();
  }
  UploadInfo Uploaded(const std::string& filename, std::string_view content) {
    UploadInfo created = CreateUpload({.filename = filename, .size_bytes = static_cast<int64_t>(content.size())});
    auto info = Send(created.id, 0, content);
    EXPECT_TRUE(info.ok()) << info.status();
    return info.value_or(UploadInfo{});
  }

  TemporaryDirectory scratch_;
  std::unique_ptr<ArtifactStoreHarness> harness_;
};

using ::testing::HasSubstr;

TEST_P(ArtifactStoreContract, UploadBecomesContent) {
  const std::string content = "text,label\ngood,1\n";
  UploadInfo created = CreateUpload({.filename = "reviews.csv", .size_bytes = 18});
  EXPECT_FALSE(created.id.empty());
  EXPECT_EQ(created.filename, "reviews.csv");
  EXPECT_EQ(created.size_bytes, 18);
  EXPECT_EQ(created.committed_bytes, 0);
  EXPECT_EQ(created.sha256, "");
  EXPECT_FALSE(created.complete);
  EXPECT_EQ(created.create_time, harness_->clock().Now());
  EXPECT_EQ(created.expire_time, harness_->clock().Now() + absl::Hours(24));
  EXPECT_EQ(store().UploadPath(created.id).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(store().MaterializeUpload(created.id, Path("x")).code(), absl::StatusCode::kFailedPrecondition);

  auto info = Send(created.id, 0, content);
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_TRUE(info->complete);
  EXPECT_EQ(info->committed_bytes, 18);
  EXPECT_EQ(info->sha256, Sha256Hex(content));
  EXPECT_EQ(*ReadFile(*store().UploadPath(created.id)), content);
  EXPECT_EQ(store().GetUpload(created.id)->sha256, Sha256Hex(content));
  harness_->Restart();
  EXPECT_TRUE(store().GetUpload(created.id)->complete);
  EXPECT_EQ(*ReadFile(*store().UploadPath(created.id)), content);
}

TEST_P(ArtifactStoreContract, UnknownUploadsAreNotFound) {
  EXPECT_EQ(store().GetUpload("unobody").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store().OpenUpload("unobody", 0).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store().DeleteUpload("unobody").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store().UploadPath("unobody").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store().MaterializeUpload("unobody", Path("x")).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store().GetUpload("../../etc/passwd").status().code(), absl::StatusCode::kNotFound);
}

TEST_P(ArtifactStoreContract, ManyAppendsAndManyResumptionsGiveOneContent) {
  std::string content;
  for (int i = 0; i < 100'000; ++i) content += std::to_string(i);
  UploadInfo upload = CreateUpload({.filename = "big.txt",
                                    .size_bytes = static_cast<int64_t>(content.size()),
                                    .expected_sha256 = Sha256Hex(content)});
  EXPECT_EQ(upload.sha256, Sha256Hex(content)) << "what the client announced";
  size_t sent = 0;
  for (size_t cut : {size_t{1}, size_t{70'000}, size_t{300'000}, content.size()}) {
    auto writer = store().OpenUpload(upload.id, static_cast<int64_t>(sent));
    ASSERT_TRUE(writer.ok()) << writer.status();
    while (sent < cut) {
      size_t piece = std::min<size_t>(cut - sent, 4099);
      ASSERT_TRUE((*writer)->Append(std::string_view(content).substr(sent, piece)).ok());
      sent += piece;
    }
    if (cut == content.size()) {
      EXPECT_TRUE((*writer)->Finish()->complete);
    } else {
      writer->reset();  // a cut connection: what was appended counts
      EXPECT_EQ(store().GetUpload(upload.id)->committed_bytes, static_cast<int64_t>(sent));
      harness_->Restart();
      EXPECT_EQ(store().GetUpload(upload.id)->committed_bytes, static_cast<int64_t>(sent));
    }
  }
  EXPECT_EQ(*ReadFile(*store().UploadPath(upload.id)), content);
}

TEST_P(ArtifactStoreContract, FinishBeforeTheEndKeepsTheBytesAndGoesOn) {
  UploadInfo upload = CreateUpload({.filename = "a", .size_bytes = 6});
  auto writer = store().OpenUpload(upload.id, 0);
  ASSERT_TRUE((*writer)->Append("abc").ok());
  auto half = (*writer)->Finish();
  ASSERT_TRUE(half.ok()) << half.status();
  EXPECT_FALSE(half->complete);
  EXPECT_EQ(half->committed_bytes, 3);
  ASSERT_TRUE((*writer)->Append("").ok());
  ASSERT_TRUE((*writer)->Append("def").ok());
  auto all = (*writer)->Finish();
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_TRUE(all->complete);
  EXPECT_TRUE((*writer)->Finish()->complete) << "asked again";
  EXPECT_EQ(*ReadFile(*store().UploadPath(upload.id)), "abcdef");
}

TEST_P(ArtifactStoreContract, WrongOffsetTellsTheRightOne) {
  UploadInfo upload = CreateUpload({.filename = "a", .size_bytes = 6});
  ASSERT_TRUE(Send(upload.id, 0, "abc").ok());
  for (int64_t wrong : {int64_t{0}, int64_t{2}, int64_t{4}, int64_t{-1}, int64_t{6}, int64_t{1} << 62}) {
    absl::Status status = store().OpenUpload(upload.id, wrong).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange) << wrong;
    EXPECT_THAT(std::string(status.message()), HasSubstr("continue from offset 3"));
  }
  EXPECT_TRUE(Send(upload.id, 3, "def")->complete);
  EXPECT_EQ(store().OpenUpload(upload.id, 0).status().code(), absl::StatusCode::kOutOfRange);
  auto writer = store().OpenUpload(upload.id, 6);  // a client that lost the last answer
  ASSERT_TRUE(writer.ok()) << writer.status();
  EXPECT_TRUE((*writer)->Finish()->complete);
}

TEST_P(ArtifactStoreContract, MoreBytesThanAnnouncedAreRefused) {
  UploadInfo upload = CreateUpload({.filename = "a", .size_bytes = 3});
  auto writer = store().OpenUpload(upload.id, 0);
  EXPECT_EQ((*writer)->Append("abcd").code(), absl::StatusCode::kInvalidArgument);
  ASSERT_TRUE((*writer)->Append("abc").ok()) << "nothing of the refused piece was taken";
  EXPECT_EQ((*writer)->Append("d").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE((*writer)->Finish()->complete);
  EXPECT_EQ((*writer)->Append("d").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(store().GetUpload(upload.id)->sha256, Sha256Hex("abc"));
}

TEST_P(ArtifactStoreContract, WrongHashResetsTheUpload) {
  UploadInfo upload = CreateUpload({.filename = "a", .size_bytes = 3, .expected_sha256 = Sha256Hex("abc")});
  ASSERT_TRUE(Send(upload.id, 0, "ab").ok());
  {
    auto writer = store().OpenUpload(upload.id, 2);
    ASSERT_TRUE((*writer)->Append("X").ok());
    absl::Status status = (*writer)->Finish().status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("offset 0"));
    EXPECT_EQ((*writer)->Append("").code(), absl::StatusCode::kDataLoss) << "the stream is over";
  }
  EXPECT_EQ(store().GetUpload(upload.id)->committed_bytes, 0);
  EXPECT_FALSE(store().GetUpload(upload.id)->complete);
  EXPECT_TRUE(Send(upload.id, 0, "abc")->complete);
}

TEST_P(ArtifactStoreContract, UpperCaseHashIsTheSameHash) {
  std::string upper = Sha256Hex("abc");
  for (char& c : upper) c = static_cast<char>(toupper(c));
  UploadInfo upload = CreateUpload({.filename = "a", .size_bytes = 3, .expected_sha256 = upper});
  EXPECT_TRUE(Send(upload.id, 0, "abc")->complete);
}

TEST_P(ArtifactStoreContract, SecondWriterAbortsTheFirst) {
  UploadInfo upload = CreateUpload({.filename = "a", .size_bytes = 6});
  auto first = store().OpenUpload(upload.id, 0);
  ASSERT_TRUE((*first)->Append("ab").ok());
  ASSERT_TRUE((*first)->Finish().ok());
  ASSERT_TRUE((*first)->Append("X").ok());
  auto second = store().OpenUpload(upload.id, 2);
  ASSERT_TRUE(second.ok()) << second.status();
  EXPECT_EQ((*first)->Append("Y").code(), absl::StatusCode::kAborted);
  EXPECT_EQ((*first)->Finish().status().code(), absl::StatusCode::kAborted);
  ASSERT_TRUE((*second)->Append("cd").ok());
  first->reset();
  ASSERT_TRUE((*second)->Append("ef").ok());
  EXPECT_TRUE((*second)->Finish()->complete);
  EXPECT_EQ(*ReadFile(*store().UploadPath(upload.id)), "abcdef");
}

TEST_P(ArtifactStoreContract, WrongOffsetLeavesTheFirstWriterAlone) {
  UploadInfo upload = CreateUpload({.filename = "a", .size_bytes = 3});
  auto first = store().OpenUpload(upload.id, 0);
  EXPECT_EQ(store().OpenUpload(upload.id, 1).status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_TRUE((*first)->Append("abc").ok());
  EXPECT_TRUE((*first)->Finish()->complete);
}

TEST_P(ArtifactStoreContract, RequestIdMakesRetriesHarmless) {
  const CreateUploadOptions options = {
      .filename = "a", .size_bytes = 3, .expected_sha256 = Sha256Hex("abc"), .request_id = "r1"};
  UploadInfo first = CreateUpload(options);
  EXPECT_EQ(CreateUpload(options).id, first.id);
  ASSERT_TRUE(Send(first.id, 0, "ab").ok());
  harness_->Restart();
  EXPECT_EQ(CreateUpload(options).id, first.id);
  EXPECT_EQ(CreateUpload(options).committed_bytes, 2);
  for (auto change : std::vector<std::function<void(CreateUploadOptions&)>>{
           [](CreateUploadOptions& o) { o.filename = "b"; }, [](CreateUploadOptions& o) { o.size_bytes = 4; },
           [](CreateUploadOptions& o) { o.expected_sha256 = ""; }}) {
    CreateUploadOptions other = options;
    change(other);
    absl::Status status = store().CreateUpload(other).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kAlreadyExists) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("new request_id"));
  }
  CreateUploadOptions unprotected = options;
  unprotected.request_id = "";
  EXPECT_NE(CreateUpload(unprotected).id, CreateUpload(unprotected).id);
  ASSERT_TRUE(store().DeleteUpload(first.id).ok());
  EXPECT_NE(CreateUpload(options).id, first.id) << "the first is gone, and its request_id with it";
}

TEST_P(ArtifactStoreContract, AsksWhatAProjectMayStoreUnlessItRepeats) {
  std::vector<std::string> asked;
  CreateUploadOptions options = {.filename = "a", .size_bytes = 3, .request_id = "r1", .project = "team-a"};
  options.storage_check = [&](const std::string& project, int64_t bytes) {
    asked.push_back(StrCat(project, " ", bytes));
    return asked.size() == 1 ? absl::OkStatus() : absl::ResourceExhaustedError("full");
  };
  const UploadInfo first = CreateUpload(options);
  EXPECT_EQ(CreateUpload(options).id, first.id) << "although the project is full by now";
  options.request_id = "r2";
  EXPECT_EQ(store().CreateUpload(options).status().message(), "full");
  EXPECT_EQ(asked, (std::vector<std::string>{"team-a 3", "team-a 3"}));
}

TEST_P(ArtifactStoreContract, BadRequestsNameTheField) {
  struct Case {
    CreateUploadOptions options;
    const char* field;
  };
  const std::string control("a\x01z");
  for (const Case& c : std::initializer_list<Case>{
           {{.filename = "", .size_bytes = 1}, "filename"},
           {{.filename = ".", .size_bytes = 1}, "filename"},
           {{.filename = "..", .size_bytes = 1}, "filename"},
           {{.filename = "../x", .size_bytes = 1}, "filename"},
           {{.filename = "/etc/passwd", .size_bytes = 1}, "filename"},
           {{.filename = "C:\\x.csv", .size_bytes = 1}, "filename"},
           {{.filename = control, .size_bytes = 1}, "filename"},
           {{.filename = std::string("a\0b", 3), .size_bytes = 1}, "filename"},
           {{.filename = "a\x7f", .size_bytes = 1}, "filename"},
           {{.filename = "a\n", .size_bytes = 1}, "filename"},
           {{.filename = "\xff.csv", .size_bytes = 1}, "filename"},
           {{.filename = std::string(256, 'a'), .size_bytes = 1}, "filename"},
           {{.filename = "a", .size_bytes = 0}, "size_bytes"},
           {{.filename = "a", .size_bytes = -5}, "size_bytes"},
           {{.filename = "a", .size_bytes = 1, .expected_sha256 = "abc"}, "sha256"},
           {{.filename = "a", .size_bytes = 1, .expected_sha256 = std::string(64, 'g')}, "sha256"},
           {{.filename = "a", .size_bytes = 1, .request_id = std::string(193, 'r')}, "request_id"},
           {{.filename = "a", .size_bytes = 1, .request_id = "\n"}, "request_id"},
       }) {
    absl::Status status = store().CreateUpload(c.options).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.options.filename;
    EXPECT_THAT(std::string(status.message()), HasSubstr(c.field));
  }
  for (const char* good : {"a", ".hidden", "...", "with space.csv", "größe.jsonl.gz", "a:b"})
    CreateUpload({.filename = good, .size_bytes = 1});
}

TEST_P(ArtifactStoreContract, AbsurdSizeIsResourceExhausted) {
  absl::Status status = store().CreateUpload({.filename = "a", .size_bytes = int64_t{1} << 62}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
}

TEST_P(ArtifactStoreContract, UploadsExpireAfterTheirLastByte) {
  UploadInfo idle = CreateUpload({.filename = "idle", .size_bytes = 2, .request_id = "r"});
  UploadInfo busy = CreateUpload({.filename = "busy", .size_bytes = 2});
  harness_->clock().Advance(absl::Hours(23));
  ASSERT_TRUE(Send(busy.id, 0, "a").ok());
  EXPECT_EQ(*store().RemoveExpiredUploads(), 0);
  harness_->clock().Advance(absl::Hours(1));
  EXPECT_EQ(store().GetUpload(idle.id).status().code(), absl::StatusCode::kNotFound)
      << "expired, though not yet removed";
  EXPECT_EQ(store().OpenUpload(idle.id, 0).status().code(), absl::StatusCode::kNotFound);
  EXPECT_NE(CreateUpload({.filename = "idle", .size_bytes = 2, .request_id = "r"}).id, idle.id);
  EXPECT_EQ(*store().RemoveExpiredUploads(), 0) << "the new one with its request_id took the old one's place";
  EXPECT_EQ(*store().CountOpenUploads(), 2);
  EXPECT_EQ(store().GetUpload(busy.id)->committed_bytes, 1);
  UploadInfo complete = Uploaded("complete", "abc");
  EXPECT_EQ(*store().CountOpenUploads(), 2) << "a complete one is not open";
  harness_->clock().Advance(absl::Hours(25));
  EXPECT_EQ(*store().RemoveExpiredUploads(), 3);
  EXPECT_EQ(store().GetUpload(complete.id).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(*store().RemoveExpiredUploads(), 0);
}

TEST_P(ArtifactStoreContract, DeletingEndsTheWriter) {
  UploadInfo upload = CreateUpload({.filename = "a", .size_bytes = 3});
  auto writer = store().OpenUpload(upload.id, 0);
  ASSERT_TRUE((*writer)->Append("ab").ok());
  ASSERT_TRUE(store().DeleteUpload(upload.id).ok());
  EXPECT_EQ((*writer)->Append("c").code(), absl::StatusCode::kAborted);
  EXPECT_EQ(store().GetUpload(upload.id).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store().DeleteUpload(upload.id).code(), absl::StatusCode::kNotFound);
}

TEST_P(ArtifactStoreContract, MaterializedContentOutlivesTheUpload) {
  UploadInfo upload = Uploaded("a", "abc");
  ASSERT_TRUE(store().MaterializeUpload(upload.id, Path("copy")).ok());
  ASSERT_TRUE(WriteFileAtomically(Files::Posix(), Path("taken"), "something else").ok());
  ASSERT_TRUE(store().MaterializeUpload(upload.id, Path("taken")).ok()) << "replaces what was there";
  ASSERT_TRUE(store().DeleteUpload(upload.id).ok());
  harness_->Restart();
  EXPECT_EQ(*ReadFile(Path("copy")), "abc");
  EXPECT_EQ(*ReadFile(Path("taken")), "abc");
  absl::Status status = store().MaterializeUpload(upload.id, Path("again"));
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
}

TEST_P(ArtifactStoreContract, EqualContentIsSharedUntilItsLastUploadGoes) {
  UploadInfo first = Uploaded("a", "same");
  UploadInfo second = Uploaded("b", "same");
  EXPECT_EQ(first.sha256, second.sha256);
  ASSERT_TRUE(store().DeleteUpload(first.id).ok());
  auto path = store().UploadPath(second.id);
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_EQ(*ReadFile(*path), "same");
  ASSERT_TRUE(store().DeleteUpload(second.id).ok());
  EXPECT_EQ(Uploaded("c", "same").sha256, first.sha256) << "comes back after the last one went";
}

TEST_P(ArtifactStoreContract, ManyUploadsAtOnce) {
  constexpr int kThreads = 8;
  std::vector<std::thread> threads;
  std::vector<absl::StatusOr<UploadInfo>> results(kThreads, absl::UnknownError("did not run"));
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      // Pairs send the same content, so that blobs are shared while they come and go.
      const std::string content(50'000, static_cast<char>('a' + t / 2));
      for (int round = 0; round < 3; ++round) {
        auto created =
            store().CreateUpload({.filename = "f", .size_bytes = 50'000, .expected_sha256 = Sha256Hex(content)});
        if (!created.ok()) {
          results[static_cast<size_t>(t)] = created.status();
          return;
        }
        results[static_cast<size_t>(t)] = Send(created->id, 0, content);
        if (!results[static_cast<size_t>(t)].ok()) return;
        if (round < 2) store().DeleteUpload(created->id).IgnoreError();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int t = 0; t < kThreads; ++t) {
    const auto& result = results[static_cast<size_t>(t)];
    ASSERT_TRUE(result.ok()) << result.status();
    auto path = store().UploadPath(result->id);
    ASSERT_TRUE(path.ok()) << path.status();
    EXPECT_EQ(*ReadFile(*path), std::string(50'000, static_cast<char>('a' + t / 2)));
  }
}

TEST_P(ArtifactStoreContract, WritersThatTakeTurnsLoseNothingThatWasCommitted) {
  // Two clients fight for one upload; whatever happens, the content is right in the end.
  const std::string content(200'000, 'x');
  UploadInfo upload = CreateUpload({.filename = "f", .size_bytes = 200'000, .expected_sha256 = Sha256Hex(content)});
  auto client = [&] {
    for (;;) {
      auto state = store().GetUpload(upload.id);
      if (!state.ok() || state->complete) return;
      auto writer = store().OpenUpload(upload.id, state->committed_bytes);
      if (!writer.ok()) continue;  // the other one was quicker
      int64_t sent = state->committed_bytes;
      while (sent < state->size_bytes) {
        int64_t piece = std::min<int64_t>(20'000, state->size_bytes - sent);
        if (!(*writer)->Append(std::string_view(content).substr(0, static_cast<size_t>(piece))).ok()) break;
        sent += piece;
        if (sent < state->size_bytes && !(*writer)->Finish().ok()) break;
      }
      if (sent == state->size_bytes) (*writer)->Finish().status().IgnoreError();
    }
  };
  std::thread other(client);
  client();
  other.join();
  EXPECT_TRUE(store().GetUpload(upload.id)->complete);
  EXPECT_EQ(*ReadFile(*store().UploadPath(upload.id)), content);
}

}  // namespace attune::artifacts
