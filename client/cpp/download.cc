#include "client/cpp/download.h"

#include <fstream>
#include <memory>
#include <string_view>
#include <utility>

#include "absl/strings/str_split.h"
#include "client/cpp/channel.h"
#include "client/cpp/error.h"
#include "client/cpp/retry.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::client {
namespace {

constexpr int kReadBytes = 1 << 20;

// A server must not write outside the directory.
absl::Status CheckPath(const std::string& path) {
  if (path.find('\0') != std::string::npos)
    return absl::DataLossError("the server lists a file whose name has a NUL byte");
  for (const std::string& part : std::vector<std::string>(absl::StrSplit(path, '/'))) {
    if (part.empty() || part == "." || part == "..") {
      return absl::DataLossError(StrCat("the server lists a file with the unsafe name '", path, "'"));
    }
  }
  return absl::OkStatus();
}

// One file on its way.
class FileDownload {
 public:
  FileDownload(Client& client, const std::string& checkpoint, const v1::CheckpointFile& file,
               const std::string& directory, Files& files, std::function<void(int64_t)> report)
      : client_(client),
        file_(file),
        path_(directory + "/" + file.path()),
        part_(path_ + ".part"),
        files_(files),
        report_(std::move(report)) {
    request_.set_name(checkpoint);
    request_.set_path(file.path());
  }

  absl::Status Run() {
    ATTUNE_ASSIGN_OR_RETURN(const bool there, IsThere());
    if (there) {
      reused_ = file_.size_bytes();
      return absl::OkStatus();
    }
    ATTUNE_RETURN_IF_ERROR(files_.CreateDirectories(path_.substr(0, path_.rfind('/'))));
    ATTUNE_RETURN_IF_ERROR(OpenPart());
    reused_ = offset_;
    bool wrong_before = false;
    while (true) {
      ATTUNE_RETURN_IF_ERROR(Fetch());
      if (hash_.HexDigest() == file_.sha256()) break;
      ATTUNE_RETURN_IF_ERROR(Restart());
      // What was in NAME.part may be of another checkpoint; a fresh copy that is wrong again is the server's fault.
      if (std::exchange(wrong_before, true)) {
        return absl::DataLossError(StrCat(file_.path(), " arrived twice with a SHA-256 other than ", file_.sha256(),
                                          "; the checkpoint on the server may be damaged: try another one"));
      }
      reused_ = 0;
    }
    ATTUNE_RETURN_IF_ERROR(out_->Sync());
    ATTUNE_RETURN_IF_ERROR(out_->Close());
    ATTUNE_RETURN_IF_ERROR(files_.Rename(part_, path_));
    return files_.SyncDirectory(path_.substr(0, path_.rfind('/')));
  }

  const std::string& path() const { return path_; }
  int64_t received_bytes() const { return received_; }
  int64_t reused_bytes() const { return reused_; }

 private:
  absl::StatusOr<bool> IsThere() {
    auto size = FileSize(path_);
    if (!size.ok() || *size != file_.size_bytes()) return false;
    ATTUNE_ASSIGN_OR_RETURN(const std::string found, Sha256OfFile(path_));
    return found == file_.sha256();
  }

  // Takes over what an earlier call left, so far as it can be a beginning of the file.
  absl::Status OpenPart() {
    auto size = FileSize(part_);
    if (size.ok() && *size > file_.size_bytes()) ATTUNE_RETURN_IF_ERROR(files_.Remove(part_));
    offset_ = 0;
    std::ifstream part(part_, std::ios::binary);
    std::string buffer(kReadBytes, '\0');
    while (part.read(buffer.data(), kReadBytes) || part.gcount() > 0) {
      hash_.Update(std::string_view(buffer.data(), static_cast<size_t>(part.gcount())));
      offset_ += part.gcount();
    }
    ATTUNE_ASSIGN_OR_RETURN(out_, files_.OpenForAppend(part_));
    return absl::OkStatus();
  }

  absl::Status Restart() {
    ATTUNE_RETURN_IF_ERROR(out_->Close());
    ATTUNE_RETURN_IF_ERROR(files_.Remove(part_));
    ATTUNE_ASSIGN_OR_RETURN(out_, files_.OpenForAppend(part_));
    hash_ = Sha256();
    offset_ = 0;
    return absl::OkStatus();
  }

  // Until all bytes are here, through cuts.
  absl::Status Fetch() {
    Retrier retrier(client_.options().retry);
    report_(offset_);
    while (offset_ < file_.size_bytes()) {
      request_.set_offset(offset_);
      absl::Status status = client_.DownloadOnce(request_, [&](const v1::DownloadCheckpointFileResponse& piece) {
        retrier.Progressed();
        return Take(piece);
      });
      if (status.ok() && offset_ == file_.size_bytes()) break;
      if (status.ok())
        status = absl::UnavailableError(StrCat(file_.path(), " ended at byte ", offset_, " of ", file_.size_bytes()));
      if (!retrier.WaitAfter(status)) return ExplainFinal(status, client_.options(), retrier.failures());
    }
    return absl::OkStatus();
  }

  absl::Status Take(const v1::DownloadCheckpointFileResponse& piece) {
    const int64_t size = static_cast<int64_t>(piece.data().size());
    if (piece.offset() != offset_ || size > file_.size_bytes() - offset_) {
      return absl::DataLossError(StrCat(file_.path(), ": the server sent bytes ", piece.offset(), " to ",
                                        piece.offset() + size, " where byte ", offset_, " of ", file_.size_bytes(),
                                        " was due"));
    }
    ATTUNE_RETURN_IF_ERROR(out_->Append(piece.data()));
    hash_.Update(piece.data());
    offset_ += size;
    received_ += size;
    report_(offset_);
    return absl::OkStatus();
  }

  Client& client_;
  const v1::CheckpointFile& file_;
  const std::string path_, part_;
  Files& files_;
  const std::function<void(int64_t)> report_;
  v1::DownloadCheckpointFileRequest request_;
  std::unique_ptr<WritableFile> out_;
  Sha256 hash_;
  int64_t offset_ = 0, received_ = 0, reused_ = 0;
};

std::vector<v1::CheckpointFile> Wanted(const v1::Checkpoint& checkpoint, bool resume_files) {
  std::vector<v1::CheckpointFile> wanted;
  for (const v1::CheckpointFile& file : checkpoint.files()) {
    if (file.purpose() == v1::CheckpointFile::PURPOSE_WEIGHTS || resume_files) wanted.push_back(file);
  }
  return wanted;
}

absl::Status CheckSpace(const std::string& directory, int64_t needed, Files& files) {
  auto free = files.FreeBytes(directory);
  if (!free.ok() || *free >= needed) return absl::OkStatus();
  return absl::ResourceExhaustedError(StrCat("the checkpoint has ", needed, " bytes and ", directory, " has room for ",
                                             *free, ": make room or choose another directory"));
}

}  // namespace

absl::StatusOr<DownloadResult> DownloadCheckpoint(Client& client, const std::string& checkpoint,
                                                  const std::string& directory, const DownloadOptions& options) {
  v1::GetCheckpointRequest request;
  request.set_name(checkpoint);
  DownloadResult result;
  ATTUNE_ASSIGN_OR_RETURN(result.checkpoint, client.GetCheckpoint(request));
  const std::vector<v1::CheckpointFile> wanted = Wanted(result.checkpoint, options.resume_files);
  if (wanted.empty())
    return absl::FailedPreconditionError(StrCat(result.checkpoint.name(), " lists no files to download"));
  int64_t total = 0, done = 0;
  for (const v1::CheckpointFile& file : wanted) {
    ATTUNE_RETURN_IF_ERROR(CheckPath(file.path()));
    total += file.size_bytes();
  }
  ATTUNE_RETURN_IF_ERROR(options.files->CreateDirectories(directory));
  ATTUNE_RETURN_IF_ERROR(CheckSpace(directory, total, *options.files));
  for (const v1::CheckpointFile& file : wanted) {
    // By the name with the step: "best" may come to mean another checkpoint meanwhile.
    FileDownload download(client, result.checkpoint.name(), file, directory, *options.files, [&](int64_t bytes) {
      if (options.progress) options.progress({file.path(), done + bytes, total});
    });
    ATTUNE_RETURN_IF_ERROR(download.Run());
    done += file.size_bytes();
    if (options.progress) options.progress({file.path(), done, total});
    result.paths.push_back(download.path());
    result.received_bytes += download.received_bytes();
    result.reused_bytes += download.reused_bytes();
  }
  return result;
}

}  // namespace attune::client
