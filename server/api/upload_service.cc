#include "server/api/upload_service.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "server/api/timestamps.h"
#include "server/api/unary.h"
#include "server/api/validation.h"
#include "server/base/ids.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::api {
namespace {

constexpr size_t kMaxChunkBytes = 1 << 20;
constexpr size_t kMaxFilenameBytes = 255;
constexpr std::string_view kCollection = "uploads";

v1::Upload ToProto(const artifacts::UploadInfo& info) {
  v1::Upload upload;
  upload.set_name(StrCat(kCollection, "/", info.id));
  upload.set_filename(info.filename);
  upload.set_size_bytes(info.size_bytes);
  upload.set_committed_bytes(info.committed_bytes);
  upload.set_sha256(info.sha256);
  upload.set_project(info.project);
  upload.set_state(info.complete ? v1::Upload::STATE_COMPLETE : v1::Upload::STATE_ACTIVE);
  *upload.mutable_create_time() = ToTimestamp(info.create_time);
  *upload.mutable_expire_time() = ToTimestamp(info.expire_time);
  return upload;
}

absl::StatusOr<v1::Upload> ToProto(const absl::StatusOr<artifacts::UploadInfo>& info) {
  if (!info.ok()) return info.status();
  return ToProto(*info);
}

void CheckFilename(std::string_view name, RequestCheck& check) {
  check.NotEmpty("filename", name, "the file's name, for example \"reviews.csv.gz\"; its ending decides the format");
  check.Text("filename", name, kMaxFilenameBytes);
  if (name.find('/') != name.npos || name.find('\\') != name.npos || name == "." || name == "..") {
    check.Violate("filename", "has directory parts; send the last part only");
  }
}

void CheckHash(std::string_view sha256, RequestCheck& check) {
  auto hex = [](char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); };
  if (!sha256.empty() && (sha256.size() != 64 || !std::all_of(sha256.begin(), sha256.end(), hex))) {
    check.Violate("sha256", "is not a SHA-256: give its 64 hex digits (sha256sum FILE), or leave it out");
  }
}

absl::StatusOr<std::string> UploadId(const std::string& name) {
  RequestCheck check;
  check.Name("name", name, kCollection);
  ATTUNE_RETURN_IF_ERROR(check.status());
  return ParseResourceName(name, kCollection);
}

// One WriteUpload call. gRPC's threads only pass messages on; open, append and finish run on the pool, one at a time.
class UploadStream final : public grpc::ServerReadReactor<v1::WriteUploadRequest> {
 public:
  UploadStream(Access& access, absl::StatusOr<Caller> caller, artifacts::ArtifactStore& store, BlockingPool& pool, v1::Upload* response)
      : access_(access), caller_(std::move(caller)), store_(store), pool_(pool), response_(response) {
    if (caller_.ok()) {
      StartRead(&message_);
    } else {
      Finish(ToGrpcStatus(caller_.status()));
    }
  }

  void OnReadDone(bool ok) override {
    if (admitted_) {
      pool_.Run([this, ok] { Step(ok); });
      return;
    }
    admitted_ = true;
    absl::Status status = pool_.TryRun([this, ok] { Step(ok); });
    if (!status.ok()) Finish(ToGrpcStatus(status));
  }

  void OnDone() override { delete this; }

 private:
  // After StartRead or Finish this object belongs to gRPC's threads again.
  void Step(bool has_message) {
    if (!has_message) return End();
    absl::Status status = Take();
    if (status.ok()) return StartRead(&message_);
    writer_.reset();  // what was written before the fault stays
    Finish(ToGrpcStatus(status));
  }

  absl::Status Take() {
    if (message_.data().size() > kMaxChunkBytes) {
      RequestCheck check;
      check.Violate("data", StrCat("is ", message_.data().size(), " bytes; send at most 1 MiB (", kMaxChunkBytes,
                                   " bytes) in a message; 256 KiB is best"));
      return check.status();
    }
    if (writer_ == nullptr) ATTUNE_RETURN_IF_ERROR(Open());
    if (message_.data().empty()) return absl::OkStatus();
    return writer_->Append(message_.data());
  }

  absl::Status Open() {
    ATTUNE_ASSIGN_OR_RETURN(std::string id, UploadId(message_.name()));
    RequestCheck check;
    check.Range("offset", message_.offset(), 0, std::numeric_limits<int64_t>::max(), "where the first byte belongs");
    ATTUNE_RETURN_IF_ERROR(check.status());
    ATTUNE_ASSIGN_OR_RETURN(const std::string project, access_.ProjectSeenBy(*caller_, message_.name(), /*changes=*/true));
    ATTUNE_ASSIGN_OR_RETURN(lease_, access_.Begin(project, auth::QuotaKind::kUpload));
    auto writer = store_.OpenUpload(id, message_.offset());
    if (!writer.ok()) return WithOffset(id, writer.status());
    writer_ = *std::move(writer);
    return absl::OkStatus();
  }

  // A client that asked for the wrong offset learns the right one without another call.
  absl::Status WithOffset(const std::string& id, absl::Status status) {
    if (status.code() != absl::StatusCode::kOutOfRange) return status;
    SetReason(status, "UPLOAD_OFFSET");
    absl::StatusOr<artifacts::UploadInfo> info = store_.GetUpload(id);
    if (info.ok()) SetMetadata(status, "committedBytes", StrCat(info->committed_bytes));
    return status;
  }

  // The client closed its side, or the connection was cut: either way what arrived becomes durable. Nobody hears the answer of a cut one.
  void End() {
    if (writer_ == nullptr) {
      RequestCheck check;
      check.Violate("name", "the stream ended without a message; the first one must name the upload (uploads/{id}) and the offset");
      return Finish(ToGrpcStatus(check.status()));
    }
    absl::Status status = Store(ToProto(writer_->Finish()), response_);
    writer_.reset();
    Finish(ToGrpcStatus(status));
  }

  Access& access_;
  const absl::StatusOr<Caller> caller_;
  artifacts::ArtifactStore& store_;
  BlockingPool& pool_;
  v1::Upload* const response_;
  // Touched by one thread at a time: gRPC while a read is pending, the pool until the next one starts.
  v1::WriteUploadRequest message_;
  bool admitted_ = false;
  auth::QuotaLease lease_;
  std::unique_ptr<artifacts::UploadWriter> writer_;
};

}  // namespace

grpc::ServerUnaryReactor* UploadService::CreateUpload(grpc::CallbackServerContext* context,
                                                      const v1::CreateUploadRequest* request, v1::Upload* response) {
  RequestCheck check;
  CheckFilename(request->filename(), check);
  check.Range("size_bytes", request->size_bytes(), 1, max_upload_bytes_, "the size in bytes (this server's max_upload_bytes is the most)");
  CheckHash(request->sha256(), check);
  check.RequestId(request->request_id());
  if (!check.status().ok()) return Answer(context, check.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, request](const Caller& caller) -> absl::StatusOr<v1::Upload> {
    ATTUNE_ASSIGN_OR_RETURN(const std::string project, caller.ProjectForNew(request->project(), "project"));
    ATTUNE_RETURN_IF_ERROR(access_.CheckStorage(project, request->size_bytes()));
    return ToProto(store_.CreateUpload({.filename = request->filename(),
                                        .size_bytes = request->size_bytes(),
                                        .expected_sha256 = absl::AsciiStrToLower(request->sha256()),
                                        .request_id = ScopedRequestId(project, request->request_id()),
                                        .project = project}));
  });
}

grpc::ServerUnaryReactor* UploadService::GetUpload(grpc::CallbackServerContext* context,
                                                   const v1::GetUploadRequest* request, v1::Upload* response) {
  absl::StatusOr<std::string> id = UploadId(request->name());
  if (!id.ok()) return Answer(context, id.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, id = *id] { return ToProto(store_.GetUpload(id)); });
}

grpc::ServerReadReactor<v1::WriteUploadRequest>* UploadService::WriteUpload(grpc::CallbackServerContext* context,
                                                                            v1::Upload* response) {
  return new UploadStream(access_, access_.CallerOf(*context), store_, pool_, response);
}

grpc::ServerUnaryReactor* UploadService::DeleteUpload(grpc::CallbackServerContext* context,
                                                      const v1::DeleteUploadRequest* request,
                                                      v1::DeleteUploadResponse* response) {
  absl::StatusOr<std::string> id = UploadId(request->name());
  if (!id.ok()) return Answer(context, id.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, id = *id] { return store_.DeleteUpload(id); });
}

}  // namespace attune::api
