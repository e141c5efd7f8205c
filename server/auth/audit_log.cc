#include "server/auth/audit_log.h"

#include <algorithm>
#include <fstream>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "server/base/log.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::auth {
namespace {

constexpr char kCurrent[] = "audit.jsonl";
constexpr std::string_view kFinishedPrefix = "audit-";  // and a number that only grows
constexpr size_t kDigits = 10;
constexpr std::string_view kEnding = ".jsonl";
constexpr size_t kMaxTextBytes = 256;
constexpr double kMostRefusals = 60;  // at once; they come back one a second

std::string_view Bounded(std::string_view text) { return text.substr(0, kMaxTextBytes); }

bool EndsWithNewline(const std::string& path, int64_t size) {
  std::ifstream in(path, std::ios::binary);
  in.seekg(size - 1);
  return in.get() == '\n';
}

}  // namespace

std::string FormatAuditLine(absl::Time time, const AuditRecord& record) {
  return FormatLogLine(time, LogLevel::kInfo, "audit",
                       {{"subject", Bounded(record.caller.subject)},
                        {"kind", KindName(record.caller.kind)},
                        {"credential", Bounded(record.caller.credential_id)},
                        {"method", Bounded(record.method)},
                        {"resource", Bounded(record.resource)},
                        {"peer", Bounded(record.peer)},
                        {"code", record.code}});
}

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(AuditOptions options, Files& files, const Clock& clock) {
  std::unique_ptr<AuditLog> log(new AuditLog(std::move(options), files, clock));
  ATTUNE_RETURN_IF_ERROR(files.CreateDirectories(log->options_.directory));
  absl::MutexLock lock(&log->mutex_);
  ATTUNE_RETURN_IF_ERROR(log->OpenFile());
  ATTUNE_RETURN_IF_ERROR(files.SyncDirectory(log->options_.directory));
  return log;
}

std::string AuditLog::Path(std::string_view name) const { return StrCat(options_.directory, "/", name); }

absl::Status AuditLog::OpenFile() {
  ATTUNE_ASSIGN_OR_RETURN(file_, files_.OpenForAppend(Path(kCurrent)));
  ATTUNE_ASSIGN_OR_RETURN(size_, FileSize(Path(kCurrent)));
  torn_ = size_ > 0 && !EndsWithNewline(Path(kCurrent), size_);
  return absl::OkStatus();
}

absl::Status AuditLog::Append(const std::string& line) {
  if (file_ == nullptr) ATTUNE_RETURN_IF_ERROR(OpenFile());
  const absl::Status written = file_->Append(torn_ ? StrCat("\n", line) : line);
  if (!written.ok()) {
    file_ = nullptr;  // how much of it is there, the next one finds out
    return written;
  }
  size_ += static_cast<int64_t>(line.size()) + (torn_ ? 1 : 0);
  torn_ = false;
  unsynced_ = true;
  return absl::OkStatus();
}

void AuditLog::Record(const AuditRecord& record) {
  const std::string line = FormatAuditLine(clock_.Now(), record);
  absl::Status status;
  {
    absl::MutexLock lock(&mutex_);
    status = Append(line);
    if (status.ok()) return;
    ++failures_;
  }
  Log(LogLevel::kError, "a line of the audit log could not be written", {{"error", std::string(status.message())}, {"line", line}});
}

void AuditLog::RecordRefusal(const AuditRecord& record) {
  {
    absl::MutexLock lock(&mutex_);
    const absl::Time now = clock_.Now();
    refusals_left_ = std::min(kMostRefusals, refusals_left_ + std::max(0.0, absl::ToDoubleSeconds(now - refusals_time_)));  // clocks are set back
    refusals_time_ = now;
    if (refusals_left_ < 1) return;
    refusals_left_ -= 1;
  }
  Record(record);
}

absl::Status AuditLog::Sync() {
  absl::MutexLock syncing(&sync_mutex_);
  std::shared_ptr<WritableFile> file;
  {
    absl::MutexLock lock(&mutex_);
    if (std::exchange(unsynced_, false)) file = file_;
  }
  if (file != nullptr) {
    if (absl::Status status = file->Sync(); !status.ok()) {
      absl::MutexLock lock(&mutex_);
      unsynced_ = true;
      return status;
    }
  }
  ATTUNE_ASSIGN_OR_RETURN(bool rotated, Rotate());
  return rotated ? RemoveOldest() : absl::OkStatus();
}

absl::StatusOr<bool> AuditLog::Rotate() {
  {
    absl::MutexLock lock(&mutex_);
    if (size_ < options_.max_file_bytes) return false;
  }
  ATTUNE_ASSIGN_OR_RETURN(std::vector<std::string> names, FinishedFiles());
  int64_t number = 0;
  if (!names.empty() && !absl::SimpleAtoi(names.back().substr(kFinishedPrefix.size(), kDigits), &number)) return absl::InternalError("a finished file of the audit log has no number");
  const std::string next = StrCat(kFinishedPrefix, absl::Dec(number + 1, absl::kZeroPad10), kEnding);
  std::shared_ptr<WritableFile> finished;
  {
    absl::MutexLock lock(&mutex_);
    ATTUNE_RETURN_IF_ERROR(files_.Rename(Path(kCurrent), Path(next)));
    finished = std::exchange(file_, nullptr);
    size_ = 0;
    ATTUNE_RETURN_IF_ERROR(OpenFile());
  }
  if (finished != nullptr) ATTUNE_RETURN_IF_ERROR(finished->Sync());  // its last lines
  ATTUNE_RETURN_IF_ERROR(files_.SyncDirectory(options_.directory));
  return true;
}

absl::StatusOr<std::vector<std::string>> AuditLog::FinishedFiles() const {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<std::string> names, ListDirectory(options_.directory));  // sorted: the oldest first
  const auto is_other = [](const std::string& name) {
    return name.size() != kFinishedPrefix.size() + kDigits + kEnding.size() || !absl::StartsWith(name, AbslView(kFinishedPrefix)) || !absl::EndsWith(name, AbslView(kEnding)) ||
           !std::all_of(name.begin() + kFinishedPrefix.size(), name.begin() + kFinishedPrefix.size() + kDigits, [](char c) { return c >= '0' && c <= '9'; });
  };
  names.erase(std::remove_if(names.begin(), names.end(), is_other), names.end());
  return names;
}

absl::Status AuditLog::RemoveOldest() {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<std::string> names, FinishedFiles());
  for (size_t i = 0; i + static_cast<size_t>(options_.max_files) < names.size(); ++i) ATTUNE_RETURN_IF_ERROR(files_.Remove(Path(names[i])));
  return absl::OkStatus();
}

int64_t AuditLog::failures() const {
  absl::MutexLock lock(&mutex_);
  return failures_;
}

}  // namespace attune::auth
