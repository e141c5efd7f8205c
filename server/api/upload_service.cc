#include "server/api/upload_service.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "server/api/streams/upload_stream.h"
#include "server/api/unary.h"
#include "server/api/validation.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::api {
namespace {

constexpr size_t kMaxFilenameBytes = 255;

absl::StatusOr<v1::Upload> ToProto(const absl::StatusOr<artifacts::UploadInfo>& info) {
  if (!info.ok()) return info.status();
  return UploadProto(*info);
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

}  // namespace

grpc::ServerUnaryReactor* UploadService::CreateUpload(grpc::CallbackServerContext* context,
                                                      const v1::CreateUploadRequest* request, v1::Upload* response) {
  RequestCheck check;
  CheckFilename(request->filename(), check);
  check.Range("size_bytes", request->size_bytes(), 1, limits_.max_bytes, "the size in bytes (this server's max_upload_bytes is the most)");
  CheckHash(request->sha256(), check);
  check.RequestId(request->request_id());
  if (!check.status().ok()) return Answer(context, check.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, request](const Caller& caller) -> absl::StatusOr<v1::Upload> {
    ATTUNE_ASSIGN_OR_RETURN(const std::string project, caller.ProjectForNew(request->project(), "project"));
    return ToProto(store_.CreateUpload({.filename = request->filename(),
                                        .size_bytes = request->size_bytes(),
                                        .expected_sha256 = absl::AsciiStrToLower(request->sha256()),
                                        .request_id = ScopedRequestId(project, request->request_id()),
                                        .project = project,
                                        .storage_check = [this](const std::string& of, int64_t added) { return access_.CheckStorage(of, added); }}));
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
  return StartUpload({access_, store_, pool_, limits_.idle_timeout}, access_.CallerOf(*context), response);
}

grpc::ServerUnaryReactor* UploadService::DeleteUpload(grpc::CallbackServerContext* context,
                                                      const v1::DeleteUploadRequest* request,
                                                      v1::DeleteUploadResponse* response) {
  absl::StatusOr<std::string> id = UploadId(request->name());
  if (!id.ok()) return Answer(context, id.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, id = *id] { return store_.DeleteUpload(id); });
}

}  // namespace attune::api
