// FakeArtifactStore: uploads in memory, with the real one's rules about offsets, and places where a test can wait or make an append fail. Header-only. Thread-safe.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "server/artifacts/artifact_store.h"
#include "server/base/sha256.h"
#include "server/base/str_cat.h"

namespace attune::api {

class FakeArtifactStore final : public artifacts::ArtifactStore {
 public:
  // What the next append gives, once.
  void FailNextAppend(absl::Status status) {
    absl::MutexLock lock(&mutex_);
    next_append_ = std::move(status);
  }
  std::string Content(const std::string& id) {
    absl::MutexLock lock(&mutex_);
    return uploads_[id].content;
  }
  artifacts::CreateUploadOptions LastCreate() {
    absl::MutexLock lock(&mutex_);
    return last_create_;
  }
  void WaitForBytes(const std::string& id, size_t bytes) {
    auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return uploads_[id].content.size() >= bytes; };
    absl::MutexLock lock(&mutex_, absl::Condition(&enough));
  }
  void WaitUntilNoWriter() {
    auto none = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return writers_ == 0; };
    absl::MutexLock lock(&mutex_, absl::Condition(&none));
  }

  absl::StatusOr<artifacts::UploadInfo> CreateUpload(const artifacts::CreateUploadOptions& options) override {
    if (options.storage_check) {
      if (absl::Status status = options.storage_check(options.project, options.size_bytes); !status.ok()) return status;
    }
    absl::MutexLock lock(&mutex_);
    last_create_ = options;
    std::string id = StrCat("u", uploads_.size() + 1);
    uploads_[id].info = {.id = id,
                         .filename = options.filename,
                         .size_bytes = options.size_bytes,
                         .sha256 = options.expected_sha256,
                         .create_time = absl::FromUnixSeconds(1000),
                         .expire_time = absl::FromUnixSeconds(2000),
                         .project = options.project};
    return uploads_[id].info;
  }
  absl::StatusOr<artifacts::UploadInfo> GetUpload(const std::string& id) override {
    absl::MutexLock lock(&mutex_);
    auto found = uploads_.find(id);
    if (found == uploads_.end()) return absl::NotFoundError(StrCat("there is no uploads/", id));
    return found->second.info;
  }
  absl::StatusOr<std::unique_ptr<artifacts::UploadWriter>> OpenUpload(const std::string& id, int64_t offset) override {
    absl::MutexLock lock(&mutex_);
    auto found = uploads_.find(id);
    if (found == uploads_.end()) return absl::NotFoundError(StrCat("there is no uploads/", id));
    int64_t committed = found->second.info.committed_bytes;
    if (offset != committed) return absl::OutOfRangeError(StrCat("offset: is ", offset, "; continue from ", committed));
    ++writers_;
    return std::make_unique<Writer>(*this, id);
  }
  absl::Status DeleteUpload(const std::string& id) override {
    absl::MutexLock lock(&mutex_);
    if (uploads_.erase(id) == 0) return absl::NotFoundError(StrCat("there is no uploads/", id));
    return absl::OkStatus();
  }
  absl::StatusOr<int64_t> RemoveExpiredUploads() override { return 0; }
  absl::StatusOr<int64_t> UploadBytes(const std::string&) override { return 0; }
  absl::StatusOr<int64_t> CountOpenUploads() override { return 0; }
  absl::StatusOr<std::string> UploadPath(const std::string& id) override { return absl::UnimplementedError("in memory"); }
  absl::Status MaterializeUpload(const std::string& id, const std::string& path) override {
    return absl::UnimplementedError("in memory");
  }

 private:
  struct Entry {
    artifacts::UploadInfo info;
    std::string content;
  };

  class Writer final : public artifacts::UploadWriter {
   public:
    Writer(FakeArtifactStore& store, std::string id) : store_(store), id_(std::move(id)) {}
    ~Writer() override {
      absl::MutexLock lock(&store_.mutex_);
      Commit();
      --store_.writers_;
    }
    absl::Status Append(std::string_view data) override {
      absl::MutexLock lock(&store_.mutex_);
      absl::Status status = std::exchange(store_.next_append_, absl::OkStatus());
      if (!status.ok()) return status;
      Entry& entry = store_.uploads_[id_];
      if (entry.content.size() + data.size() > static_cast<size_t>(entry.info.size_bytes)) {
        return absl::InvalidArgumentError("more bytes than size_bytes");
      }
      entry.content.append(data);
      return absl::OkStatus();
    }
    absl::StatusOr<artifacts::UploadInfo> Finish() override {
      absl::MutexLock lock(&store_.mutex_);
      Commit();
      Entry& entry = store_.uploads_[id_];
      if (entry.info.committed_bytes < entry.info.size_bytes) return entry.info;
      std::string sha256 = Sha256Hex(entry.content);
      if (!entry.info.sha256.empty() && entry.info.sha256 != sha256) {
        entry.content.clear();
        entry.info.committed_bytes = 0;
        return absl::DataLossError("the content's SHA-256 is not the one announced; send the file again");
      }
      entry.info.sha256 = sha256;
      entry.info.complete = true;
      return entry.info;
    }

   private:
    void Commit() ABSL_EXCLUSIVE_LOCKS_REQUIRED(store_.mutex_) {
      Entry& entry = store_.uploads_[id_];
      entry.info.committed_bytes = static_cast<int64_t>(entry.content.size());
    }
    FakeArtifactStore& store_;
    const std::string id_;
  };

  absl::Mutex mutex_;
  std::map<std::string, Entry> uploads_ ABSL_GUARDED_BY(mutex_);
  artifacts::CreateUploadOptions last_create_ ABSL_GUARDED_BY(mutex_);
  absl::Status next_append_ ABSL_GUARDED_BY(mutex_);
  int writers_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace attune::api
