#include "client/examples/cpp/transfer.h"

#include <openssl/sha.h>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <random>
#include <stdexcept>
#include <thread>

#include "client/examples/cpp/connection.h"

namespace example {

namespace v1 = attune::v1;
using Uploads = v1::UploadService::Stub;

namespace {

constexpr size_t kPieceBytes = 256 << 10;
constexpr int kMaxPolls = 100;

v1::Upload GetUpload(Uploads& uploads, const std::string& name) {
  v1::GetUploadRequest request;
  request.set_name(name);
  return Call(uploads, &Uploads::GetUpload, request);
}

}  // namespace

std::string Sha256(const std::string& content) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(content.data()), content.size(), digest);
  std::string hex;
  for (const unsigned char byte : digest) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", byte);
    hex += digits;
  }
  return hex;
}

std::string NewRequestId() {
  std::random_device random;
  return std::to_string(random()) + "-" + std::to_string(random()) + "-" + std::to_string(random());
}

v1::Upload CreateUpload(Uploads& uploads, const std::string& path, const std::string& content) {
  v1::CreateUploadRequest request;
  request.set_filename(std::filesystem::path(path).filename());
  request.set_size_bytes(content.size());
  request.set_sha256(Sha256(content));
  request.set_request_id(NewRequestId());
  return Call(uploads, &Uploads::CreateUpload, request);
}

v1::Upload SendFirstPart(Uploads& uploads, const std::string& name, const std::string& part) {
  v1::Upload response;
  grpc::ClientContext context;
  const auto stream = uploads.WriteUpload(&context, &response);
  v1::WriteUploadRequest message;
  message.set_name(name);
  message.set_data(part);
  stream->Write(message);
  // Write may return before anything is on its way, and cancelling discards what is not. A connection delivers in
  // order: after the answer to a later call, the part has arrived.
  GetUpload(uploads, name);
  context.TryCancel();
  stream->Finish();
  // The server makes durable what has arrived when it notices the cut.
  for (int poll = 0; poll < kMaxPolls; ++poll) {
    const v1::Upload upload = GetUpload(uploads, name);
    if (upload.committed_bytes() > 0) return upload;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  throw std::runtime_error("the server kept nothing of the first part");
}

v1::Upload SendRest(Uploads& uploads, const std::string& name, const std::string& content) {
  v1::Upload upload;
  auto send = [&] {
    size_t offset = GetUpload(uploads, name).committed_bytes();
    grpc::ClientContext context;
    SetDeadline(context);
    const auto stream = uploads.WriteUpload(&context, &upload);
    v1::WriteUploadRequest message;
    message.set_name(name);
    message.set_offset(offset);
    bool open = true;
    // Once at least: where only the answer was lost, nothing is left to send, but the server must learn which upload
    // this is.
    do {
      message.set_data(content.substr(offset, kPieceBytes));
      offset += message.data().size();
      open = stream->Write(message);  // false: the server has ended the call; Finish says why
      message.Clear();
    } while (open && offset < content.size());
    stream->WritesDone();
    return stream->Finish();
  };
  // ABORTED: the server still holds the stream that was cut.
  Retry(send, {grpc::StatusCode::ABORTED});
  return upload;
}

void Receive(v1::CheckpointService::Stub& checkpoints, const std::string& checkpoint, const std::string& path,
             std::string& content, int most_pieces) {
  Retry([&] {
    v1::DownloadCheckpointFileRequest request;
    request.set_name(checkpoint);
    request.set_path(path);
    request.set_offset(content.size());
    grpc::ClientContext context;
    const auto stream = checkpoints.DownloadCheckpointFile(&context, request);
    v1::DownloadCheckpointFileResponse response;
    for (int pieces = 0; stream->Read(&response);) {
      if (response.offset() != static_cast<int64_t>(content.size()))
        throw std::runtime_error("byte " + std::to_string(response.offset()) + " came where " +
                                 std::to_string(content.size()) + " was due");
      content += response.data();
      if (++pieces == most_pieces) {
        context.TryCancel();
        stream->Finish();
        return grpc::Status::OK;
      }
    }
    return stream->Finish();
  });
}

}  // namespace example
