#include "client/cpp/upload.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <string_view>
#include <utility>

#include "client/cpp/error.h"
#include "client/cpp/retry.h"
#include "server/base/errno_status.h"
#include "server/base/ids.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::client {
namespace {

constexpr int64_t kPieceBytes = 256 << 10;

// What tells whether a file was written to.
struct Fingerprint {
  int64_t size = 0;
  int64_t modified_ns = 0;
  bool operator==(const Fingerprint&) const = default;
};

absl::StatusOr<Fingerprint> Look(const std::string& path) {
  struct stat found;
  if (stat(path.c_str(), &found) != 0) return ErrnoStatus(errno, "open", path);
  if (!S_ISREG(found.st_mode)) return absl::InvalidArgumentError(StrCat(path, " is not a file"));
  if (found.st_size == 0) return absl::InvalidArgumentError(StrCat(path, " is empty"));
  return Fingerprint{found.st_size, int64_t{found.st_mtim.tv_sec} * 1'000'000'000 + found.st_mtim.tv_nsec};
}

// One file on its way.
class Sender {
 public:
  Sender(Client& client, const std::string& path, UploadOptions options)
      : client_(client), path_(path), options_(std::move(options)) {}

  absl::StatusOr<v1::Upload> Run() {
    ATTUNE_ASSIGN_OR_RETURN(before_, Look(path_));
    ATTUNE_RETURN_IF_ERROR(Create());
    absl::Status status = SendAll();
    // Whatever the server says of a file that changed, this is the reason.
    ATTUNE_ASSIGN_OR_RETURN(const Fingerprint after, Look(path_));
    if (!(after == before_)) {
      return absl::FailedPreconditionError(
          StrCat(path_, " changed while it was being uploaded; upload it again when nothing writes to it"));
    }
    if (!status.ok()) return WithPrefix(status, path_);
    return upload_;
  }

 private:
  absl::Status Create() {
    create_.set_filename(options_.filename.empty() ? path_.substr(path_.rfind('/') + 1) : options_.filename);
    create_.set_size_bytes(before_.size);
    ATTUNE_ASSIGN_OR_RETURN(*create_.mutable_sha256(), Sha256OfFile(path_));
    create_.set_project(options_.project);
    create_.set_request_id(options_.request_id);
    if (options_.request_id.empty()) {
      const std::string key = Sha256Hex(StrCat(create_.filename(), "\n", create_.size_bytes(), "\n", create_.sha256()));
      create_.set_request_id("upload-" + key.substr(0, 32));
    }
    ATTUNE_ASSIGN_OR_RETURN(upload_, client_.CreateUpload(create_));
    return absl::OkStatus();
  }

  absl::Status SendAll() {
    Retrier retrier(client_.options().retry);
    bool restarted = false, recreated = false;
    Report(upload_.committed_bytes());
    while (upload_.state() != v1::Upload::STATE_COMPLETE) {
      const absl::Status status = SendOnce();
      if (status.ok()) continue;
      if (absl::IsDataLoss(status)) {
        if (std::exchange(restarted, true)) return status;
      } else if (absl::IsNotFound(status)) {
        // The upload of an earlier run is gone; its request_id would only bring back its name.
        if (std::exchange(recreated, true)) return status;
        create_.set_request_id(NewId('r'));
        ATTUNE_ASSIGN_OR_RETURN(upload_, client_.CreateUpload(create_));
        continue;
      } else if (!WaitAfter(retrier, status)) {
        return status;
      }
      ATTUNE_RETURN_IF_ERROR(Refresh(retrier));
    }
    Report(before_.size);
    return absl::OkStatus();
  }

  // ABORTED: somebody else writes this upload. OUT_OF_RANGE: our idea of the committed size was old. Both are mended by
  // asking again.
  static bool WaitAfter(Retrier& retrier, const absl::Status& status) {
    if (absl::IsAborted(status) || absl::IsOutOfRange(status)) return retrier.WaitAfterAny(status);
    return retrier.WaitAfter(status);
  }

  absl::Status Refresh(Retrier& retrier) {
    v1::GetUploadRequest request;
    request.set_name(upload_.name());
    const int64_t before = upload_.committed_bytes();
    ATTUNE_ASSIGN_OR_RETURN(upload_, client_.GetUpload(request));
    if (upload_.committed_bytes() > before) retrier.Progressed();
    Report(upload_.committed_bytes());
    return absl::OkStatus();
  }

  absl::Status SendOnce() {
    std::ifstream file(path_, std::ios::binary);
    file.seekg(upload_.committed_bytes());
    int64_t offset = upload_.committed_bytes();
    std::string piece;
    auto next = [&]() -> absl::StatusOr<std::string_view> {
      Report(offset);
      piece.resize(static_cast<size_t>(std::min(kPieceBytes, before_.size - offset)));
      if (!piece.empty() && !file.read(piece.data(), static_cast<std::streamsize>(piece.size()))) {
        return absl::FailedPreconditionError(StrCat("cannot be read at byte ", offset));
      }
      offset += static_cast<int64_t>(piece.size());
      return std::string_view(piece);
    };
    auto answer = client_.WriteUploadOnce(upload_.name(), upload_.committed_bytes(), next);
    ATTUNE_RETURN_IF_ERROR(answer.status());
    upload_ = *std::move(answer);
    if (upload_.state() == v1::Upload::STATE_COMPLETE) return absl::OkStatus();
    return absl::UnavailableError(
        StrCat("the server ended the upload at byte ", upload_.committed_bytes(), " of ", before_.size));
  }

  void Report(int64_t done) {
    if (options_.progress) options_.progress({create_.filename(), done, before_.size});
  }

  Client& client_;
  const std::string path_;
  const UploadOptions options_;
  Fingerprint before_;
  v1::CreateUploadRequest create_;
  v1::Upload upload_;
};

}  // namespace

absl::StatusOr<v1::Upload> UploadFile(Client& client, const std::string& path, const UploadOptions& options) {
  return Sender(client, path, options).Run();
}

}  // namespace attune::client
