#include "server/api/streams/download_stream.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_split.h"
#include "server/api/grpc_status.h"
#include "server/api/validation.h"
#include "server/base/errno_status.h"
#include "server/base/nearest.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/base/utf8.h"

namespace attune::api {
namespace {

using Reactor = grpc::ServerWriteReactor<v1::DownloadCheckpointFileResponse>;

constexpr int64_t kChunkBytes = 256 << 10;

// The checkpoint's entry for `path`. Only what a checkpoint lists can be fetched, and a list that leads out of its directory is not believed either.
absl::StatusOr<v1::CheckpointFile> FindFile(const v1::Checkpoint& checkpoint, const std::string& path) {
  std::vector<std::string> known;
  for (const v1::CheckpointFile& file : checkpoint.files()) {
    known.push_back(file.path());
    if (file.path() != path) continue;
    for (absl::string_view part : absl::StrSplit(path, '/')) {
      if (part.empty() || part == "." || part == "..") {
        return absl::InternalError(StrCat(checkpoint.name(), " lists a file outside of its directory: \"", path, "\""));
      }
    }
    return file;
  }
  std::string nearest = Nearest(path, known);
  std::string hint = nearest.empty() ? "GetCheckpoint lists its files" : StrCat("did you mean \"", nearest, "\"?");
  return absl::NotFoundError(StrCat("path: ", checkpoint.name(), " has no file \"", Utf8Prefix(path, 120), "\"; ", hint));
}

class DownloadStream final : public Reactor {
 public:
  DownloadStream(scheduler::Scheduler& scheduler, BlockingPool& pool, v1::DownloadCheckpointFileRequest request)
      : scheduler_(scheduler), pool_(pool), request_(std::move(request)) {
    absl::Status admitted = pool_.TryRun([this] { Begin(); });
    if (!admitted.ok()) Finish(ToGrpcStatus(admitted));
  }
  ~DownloadStream() override {
    if (fd_ >= 0) close(fd_);
  }

  void OnWriteDone(bool ok) override {
    if (!ok) return Finish(grpc::Status::CANCELLED);
    pool_.Run([this] { SendNext(); });
  }
  void OnDone() override { delete this; }

 private:
  // Both run on the pool. After StartWrite or Finish this object belongs to gRPC's threads again.
  void Begin() {
    absl::Status status = Open();
    if (!status.ok()) return Finish(ToGrpcStatus(status));
    SendNext();
  }

  void SendNext() {
    if (offset_ == size_) return Finish(grpc::Status::OK);
    absl::StatusOr<int64_t> got = ReadChunk();
    if (!got.ok()) return Finish(ToGrpcStatus(got.status()));
    bool last = offset_ + *got == size_;
    message_.set_offset(offset_);
    offset_ += *got;
    if (last) {
      StartWriteAndFinish(&message_, grpc::WriteOptions(), grpc::Status::OK);
    } else {
      StartWrite(&message_);
    }
  }

  absl::Status Open() {
    RequestCheck check;
    check.CheckpointName("name", request_.name(), /*aliases=*/true);
    check.NotEmpty("path", request_.path(), "one of the paths that GetCheckpoint lists, for example model.safetensors");
    check.Range("offset", request_.offset(), 0, std::numeric_limits<int64_t>::max(), "the first byte to send");
    ATTUNE_RETURN_IF_ERROR(check.status());
    ATTUNE_ASSIGN_OR_RETURN(v1::Checkpoint checkpoint, scheduler_.GetCheckpoint(request_.name()));
    ATTUNE_ASSIGN_OR_RETURN(v1::CheckpointFile file, FindFile(checkpoint, request_.path()));
    if (request_.offset() > file.size_bytes()) {
      return absl::OutOfRangeError(StrCat("offset: is ", request_.offset(), ", and the file has ", file.size_bytes(),
                                          " bytes; start again from 0 if the local file is not a part of it"));
    }
    // By its own name, as "best" may have moved since.
    ATTUNE_ASSIGN_OR_RETURN(std::string directory, scheduler_.CheckpointDirectory(checkpoint.name()));
    path_ = StrCat(directory, "/", file.path());
    fd_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) return ErrnoStatus(errno, "open", path_);
    size_ = file.size_bytes();
    offset_ = request_.offset();
    posix_fadvise(fd_, offset_, 0, POSIX_FADV_SEQUENTIAL);
    return CheckSize();
  }

  absl::Status CheckSize() {
    struct stat status = {};
    if (fstat(fd_, &status) != 0) return ErrnoStatus(errno, "stat", path_);
    if (status.st_size == size_) return absl::OkStatus();
    return Damaged(status.st_size);
  }

  absl::Status Damaged(int64_t found) {
    return absl::DataLossError(StrCat("the file of ", request_.name(), " has ", found, " bytes on the server, and should have ", size_,
                                      ": it was changed from outside. Use another checkpoint"));
  }

  absl::StatusOr<int64_t> ReadChunk() {
    std::string& data = *message_.mutable_data();
    data.resize(static_cast<size_t>(std::min(kChunkBytes, size_ - offset_)));
    size_t filled = 0;
    while (filled < data.size()) {
      ssize_t got = pread(fd_, data.data() + filled, data.size() - filled, offset_ + static_cast<int64_t>(filled));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return ErrnoStatus(errno, "read", path_);
      if (got == 0) return Damaged(offset_ + static_cast<int64_t>(filled));
      filled += static_cast<size_t>(got);
    }
    return static_cast<int64_t>(filled);
  }

  scheduler::Scheduler& scheduler_;
  BlockingPool& pool_;
  const v1::DownloadCheckpointFileRequest request_;
  // Touched by one thread at a time: the pool, or gRPC while a write is pending.
  std::string path_;
  int fd_ = -1;
  int64_t size_ = 0;
  int64_t offset_ = 0;
  v1::DownloadCheckpointFileResponse message_;
};

}  // namespace

Reactor* StartDownload(scheduler::Scheduler& scheduler, BlockingPool& pool, v1::DownloadCheckpointFileRequest request) {
  return new DownloadStream(scheduler, pool, std::move(request));
}

}  // namespace attune::api
