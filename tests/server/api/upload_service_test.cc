#include "server/api/upload_service.h"

#include <string>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/base/sha256.h"
#include "tests/server/api/api_fixture.h"

namespace attune::api {
namespace {

class UploadServiceTest : public ApiTest {
 protected:
  std::string Create(int64_t size, const std::string& sha256 = "") {
    v1::CreateUploadRequest request;
    request.set_filename("a.csv");
    request.set_size_bytes(size);
    request.set_sha256(sha256);
    v1::Upload upload;
    grpc::ClientContext context;
    grpc::Status status = Stub()->CreateUpload(&context, request, &upload);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return upload.name();
  }

  std::unique_ptr<v1::UploadService::Stub> Stub() { return v1::UploadService::NewStub(channel_); }

  v1::Upload Get(const std::string& name) {
    v1::GetUploadRequest request;
    request.set_name(name);
    v1::Upload upload;
    grpc::ClientContext context;
    grpc::Status status = Stub()->GetUpload(&context, request, &upload);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return upload;
  }

  // Sends `data` from `offset` in pieces.
  grpc::Status Send(const std::string& name, int64_t offset, std::string_view data, size_t chunk, v1::Upload* upload) {
    grpc::ClientContext context;
    auto stub = Stub();
    auto writer = stub->WriteUpload(&context, upload);
    v1::WriteUploadRequest request;
    request.set_name(name);
    request.set_offset(offset);
    for (size_t begin = 0; begin < data.size(); begin += chunk) {
      request.set_data(std::string(data.substr(begin, chunk)));
      if (!writer->Write(request)) break;
      request.Clear();
    }
    writer->WritesDone();
    return writer->Finish();
  }
};

std::string Content(size_t bytes) {
  std::string content(bytes, '\0');
  for (size_t i = 0; i < bytes; ++i) content[i] = static_cast<char>(i * 7 + i / 251);
  return content;
}

TEST_F(UploadServiceTest, StreamsAFileInChunks) {
  std::string content = Content(5'000'001);
  std::string name = Create(static_cast<int64_t>(content.size()), Sha256Hex(content));
  v1::Upload upload;
  grpc::Status status = Send(name, 0, content, 256 << 10, &upload);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(upload.state(), v1::Upload::STATE_COMPLETE);
  EXPECT_EQ(upload.committed_bytes(), 5'000'001);
  EXPECT_EQ(upload.sha256(), Sha256Hex(content));
  EXPECT_EQ(upload.create_time().seconds(), 1000);
  EXPECT_EQ(artifacts_.Content("u1"), content);
}

TEST_F(UploadServiceTest, ACutConnectionKeepsWhatWasWrittenAndTheNextOneGoesOn) {
  std::string content = Content(3'000'000);
  std::string name = Create(static_cast<int64_t>(content.size()));
  constexpr size_t kSent = 1'000'000;
  {
    auto channel = NewChannel();
    auto stub = v1::UploadService::NewStub(channel);
    grpc::ClientContext context;
    v1::Upload upload;
    auto writer = stub->WriteUpload(&context, &upload);
    v1::WriteUploadRequest request;
    request.set_name(name);
    for (size_t begin = 0; begin < kSent; begin += 250'000) {
      request.set_data(content.substr(begin, 250'000));
      ASSERT_TRUE(writer->Write(request));
    }
    artifacts_.WaitForBytes("u1", kSent);
    context.TryCancel();
    EXPECT_EQ(writer->Finish().error_code(), grpc::StatusCode::CANCELLED);
  }
  artifacts_.WaitUntilNoWriter();
  v1::Upload upload = Get(name);
  ASSERT_EQ(upload.committed_bytes(), static_cast<int64_t>(kSent));
  EXPECT_EQ(upload.state(), v1::Upload::STATE_ACTIVE);

  grpc::Status status = Send(name, 0, content, 250'000, &upload);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::OUT_OF_RANGE);
  Details details = DetailsOf(status);
  EXPECT_EQ(details.info.reason(), "UPLOAD_OFFSET");
  EXPECT_EQ(details.info.metadata().at("committedBytes"), "1000000");

  status = Send(name, kSent, std::string_view(content).substr(kSent), 250'000, &upload);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(upload.state(), v1::Upload::STATE_COMPLETE);
  EXPECT_EQ(artifacts_.Content("u1"), content);
}

TEST_F(UploadServiceTest, AHalfSentFileThatEndsWellIsAnActiveUpload) {
  std::string name = Create(100);
  v1::Upload upload;
  grpc::Status status = Send(name, 0, "12345", 2, &upload);
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(upload.state(), v1::Upload::STATE_ACTIVE);
  EXPECT_EQ(upload.committed_bytes(), 5);
}

TEST_F(UploadServiceTest, AStreamThatFallsSilentEndsAndKeepsWhatCame) {
  StartServer({.uploads = {.idle_timeout = absl::Milliseconds(50)}});
  const std::string name = Create(10);
  grpc::ClientContext context, silent;
  v1::Upload upload;
  auto stub = Stub();
  auto writer = stub->WriteUpload(&context, &upload);
  v1::WriteUploadRequest request;
  request.set_name(name);
  request.set_data("12345");
  ASSERT_TRUE(writer->Write(request));
  const grpc::Status status = writer->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNAVAILABLE) << status.error_message();
  const Details details = DetailsOf(status);
  EXPECT_EQ(details.info.reason(), "UPLOAD_IDLE");
  EXPECT_EQ(details.info.metadata().at("committedBytes"), "5");
  EXPECT_TRUE(details.retry.has_retry_delay());
  ASSERT_TRUE(Send(name, 5, "67890", 5, &upload).ok());
  EXPECT_EQ(artifacts_.Content("u1"), "1234567890");

  // Nor does it take a first message to be let go.
  EXPECT_EQ(stub->WriteUpload(&silent, &upload)->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
}

TEST_F(UploadServiceTest, MessagesKeepAStreamOpen) {
  constexpr absl::Duration kIdle = absl::Seconds(1);
  StartServer({.uploads = {.idle_timeout = kIdle}});
  const std::string name = Create(1 << 20);
  grpc::ClientContext context;
  v1::Upload upload;
  auto stub = Stub();
  auto writer = stub->WriteUpload(&context, &upload);
  v1::WriteUploadRequest request;
  request.set_name(name);
  request.set_data("x");
  size_t sent = 0;
  for (const absl::Time end = absl::Now() + 1.5 * kIdle; absl::Now() < end; artifacts_.WaitForBytes("u1", ++sent)) {
    ASSERT_TRUE(writer->Write(request));
  }
  writer->WritesDone();
  const grpc::Status status = writer->Finish();
  EXPECT_TRUE(status.ok()) << status.error_message();
  EXPECT_EQ(upload.committed_bytes(), static_cast<int64_t>(sent));
}

TEST_F(UploadServiceTest, AFullDiskEndsTheStreamAndKeepsWhatIsThere) {
  std::string name = Create(100);
  v1::Upload upload;
  ASSERT_TRUE(Send(name, 0, "12345", 5, &upload).ok());
  artifacts_.FailNextAppend(absl::ResourceExhaustedError("the disk is full; make room and send again"));
  grpc::Status status = Send(name, 5, "67890", 5, &upload);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_FALSE(DetailsOf(status).retry.has_retry_delay());
  EXPECT_EQ(Get(name).committed_bytes(), 5);
}

TEST_F(UploadServiceTest, WrongHash) {
  std::string name = Create(5, Sha256Hex("other"));
  v1::Upload upload;
  EXPECT_EQ(Send(name, 0, "12345", 5, &upload).error_code(), grpc::StatusCode::DATA_LOSS);
  EXPECT_EQ(Get(name).committed_bytes(), 0);
}

TEST_F(UploadServiceTest, StreamsThatAreRefused) {
  std::string name = Create(10'000'000);
  v1::Upload upload;
  grpc::Status status = Send(name, 0, std::string((1 << 20) + 1, 'x'), 2 << 20, &upload);
  EXPECT_EQ(OnlyField(status), "data");
  EXPECT_NE(status.error_message().find("256 KiB is best"), std::string::npos);
  EXPECT_EQ(OnlyField(Send("nonsense", 0, "x", 1, &upload)), "name");
  EXPECT_EQ(OnlyField(Send(name, -1, "x", 1, &upload)), "offset");
  EXPECT_EQ(OnlyField(Send(name, 0, "", 1, &upload)), "name");  // no message at all
  EXPECT_EQ(Send("uploads/none", 0, "x", 1, &upload).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_TRUE(Send(name, 0, std::string(1 << 20, 'x'), 1 << 20, &upload).ok());  // the most
}

TEST_F(UploadServiceTest, CreateChecksEachField) {
  struct Case {
    std::string filename;
    int64_t size;
    std::string sha256;
    std::string request_id;
    std::string field;
  };
  const std::string hash(64, 'A');
  const Case cases[] = {
      {"", 1, "", "", "filename"},
      {"a/b.csv", 1, "", "", "filename"},
      {"a\\b.csv", 1, "", "", "filename"},
      {"..", 1, "", "", "filename"},
      {std::string(256, 'x'), 1, "", "", "filename"},
      {"a\nb", 1, "", "", "filename"},
      {"a.csv", 0, "", "", "size_bytes"},
      {"a.csv", -5, "", "", "size_bytes"},
      {"a.csv", (int64_t{1} << 40) + 1, "", "", "size_bytes"},
      {"a.csv", 1, "abc", "", "sha256"},
      {"a.csv", 1, std::string(64, 'g'), "", "sha256"},
      {"a.csv", 1, "", "with space", "request_id"},
  };
  for (const Case& c : cases) {
    v1::CreateUploadRequest request;
    request.set_filename(c.filename);
    request.set_size_bytes(c.size);
    request.set_sha256(c.sha256);
    request.set_request_id(c.request_id);
    grpc::ClientContext context;
    v1::Upload upload;
    EXPECT_EQ(OnlyField(Stub()->CreateUpload(&context, request, &upload)), c.field) << request.ShortDebugString();
  }
  v1::CreateUploadRequest request;
  request.set_filename("Größe.csv");
  request.set_size_bytes(1);
  request.set_sha256(hash);
  request.set_request_id("once");
  grpc::ClientContext context;
  v1::Upload upload;
  ASSERT_TRUE(Stub()->CreateUpload(&context, request, &upload).ok());
  EXPECT_EQ(artifacts_.LastCreate().expected_sha256, std::string(64, 'a'));
  EXPECT_EQ(artifacts_.LastCreate().request_id, "default:once");
}

TEST_F(UploadServiceTest, Delete) {
  std::string name = Create(10);
  v1::DeleteUploadRequest request;
  request.set_name(name);
  v1::DeleteUploadResponse response;
  grpc::ClientContext first, second;
  EXPECT_TRUE(Stub()->DeleteUpload(&first, request, &response).ok());
  EXPECT_EQ(Stub()->DeleteUpload(&second, request, &response).error_code(), grpc::StatusCode::NOT_FOUND);
}

}  // namespace
}  // namespace attune::api
