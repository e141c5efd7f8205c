// ArtifactStore: immutable content-addressed blobs, and the uploads that become blobs. Interface; local_artifact_store
// is the implementation on a directory, with rows in the shared Database. Owned by main. Thread-safe.
//
// Life of an upload: CreateUpload -> OpenUpload, Append..., Finish (again after each cut, from committed_bytes on) ->
// complete when all bytes are there and the SHA-256 matches -> a dataset or model takes the content with
// MaterializeUpload -> the upload expires. Content goes with its last upload. Errors: NOT_FOUND, OUT_OF_RANGE (wrong
// offset; message has the right one), DATA_LOSS (wrong hash; upload is reset to 0), RESOURCE_EXHAUSTED (disk full;
// committed bytes stay and the upload can go on), ALREADY_EXISTS (request_id reused with another payload),
// INVALID_ARGUMENT (names the field).
//
//   ATTUNE_ASSIGN_OR_RETURN(UploadInfo upload, store.CreateUpload({.filename = "reviews.csv", .size_bytes = 1234}));
//   ATTUNE_ASSIGN_OR_RETURN(auto writer, store.OpenUpload(upload.id, 0));
//   ATTUNE_RETURN_IF_ERROR(writer->Append(bytes));
//   ATTUNE_ASSIGN_OR_RETURN(upload, writer->Finish());
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace attune::artifacts {

struct UploadInfo {
  std::string id;
  std::string filename;
  int64_t size_bytes = 0;
  int64_t committed_bytes = 0;
  std::string sha256;  // 64 hex digits; of the content once complete
  bool complete = false;
  absl::Time create_time;
  absl::Time expire_time;
  std::string project;
};

// Whether a project may store so many bytes more; RESOURCE_EXHAUSTED otherwise. Asked before an upload is made, and by those that import, once before and while they write.
// Repeats of an earlier request are answered without it.
using StorageCheck = std::function<absl::Status(const std::string& project, int64_t added_bytes)>;

struct CreateUploadOptions {
  std::string filename;
  int64_t size_bytes = 0;
  std::string expected_sha256;  // empty: not checked
  std::string request_id;       // empty: no protection
  std::string project;          // empty: the default one
  StorageCheck storage_check;   // null: none
};

// An open upload stream: hashes while it writes. One writer per upload at a time (a second Open makes the first fail
// with ABORTED). Not thread-safe. The destructor syncs what was appended, so that it counts as committed.
class UploadWriter {
 public:
  virtual ~UploadWriter() = default;
  // INVALID_ARGUMENT (and nothing is taken) for more bytes than the upload was created for. After any other error the
  // stream is over.
  virtual absl::Status Append(std::string_view data) = 0;
  // Makes everything appended durable; completes the upload when all bytes are there.
  virtual absl::StatusOr<UploadInfo> Finish() = 0;
};

class ArtifactStore {
 public:
  virtual ~ArtifactStore() = default;
  virtual absl::StatusOr<UploadInfo> CreateUpload(const CreateUploadOptions& options) = 0;
  virtual absl::StatusOr<UploadInfo> GetUpload(const std::string& id) = 0;
  // `offset` must be committed_bytes. Of a complete upload too: then there is nothing to append, and Finish returns it
  // again. Reads what is committed to rebuild its hash, so this takes a second for each GB.
  virtual absl::StatusOr<std::unique_ptr<UploadWriter>> OpenUpload(const std::string& id, int64_t offset) = 0;
  // A writer that is open fails with ABORTED.
  virtual absl::Status DeleteUpload(const std::string& id) = 0;
  // Removes uploads past their expire_time. Returns how many.
  virtual absl::StatusOr<int64_t> RemoveExpiredUploads() = 0;
  // Uploads that are not complete.
  virtual absl::StatusOr<int64_t> CountOpenUploads() = 0;
  // Bytes that a project's uploads take, or will when they are complete.
  virtual absl::StatusOr<int64_t> UploadBytes(const std::string& project) = 0;

  // Path of a complete upload's content, read-only. FAILED_PRECONDITION when it is not complete.
  virtual absl::StatusOr<std::string> UploadPath(const std::string& id) = 0;
  // Puts a complete upload's content at `path` (hard link where possible, else copy), replacing what is there; it stays
  // there whatever becomes of the upload.
  virtual absl::Status MaterializeUpload(const std::string& id, const std::string& path) = 0;
};

}  // namespace attune::artifacts
