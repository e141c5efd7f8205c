// ProjectQuotas: what one project may take of a server, so that it cannot keep the others from theirs: calls for each second (a token bucket), uploads and watches at one time, bytes, jobs. Holds
// counts alone and asks nobody: bytes and jobs are told by who knows them. Owned by main. Thread-safe.
//
// Errors: RESOURCE_EXHAUSTED with reason QUOTA_EXCEEDED, a google.rpc.QuotaFailure in payload "google.rpc.QuotaFailure" (subject "projects/{id}"), and a retry delay where waiting helps: it does not
// for stored bytes.
//
//   ProjectQuotas quotas({.limits = {.requests_per_second = 50, .watchers = 100}}, clock);
//   ATTUNE_RETURN_IF_ERROR(quotas.TakeRequest(project));
//   ATTUNE_ASSIGN_OR_RETURN(QuotaLease lease, quotas.Begin(project, QuotaKind::kWatcher));   // until it is destroyed
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/base/clock.h"

namespace attune::auth {

// Of one project. 0: no limit.
struct QuotaLimits {
  double requests_per_second = 0;
  int64_t request_burst = 0;  // calls at once after a pause; 0: those of one second, at least one
  int64_t uploads = 0;        // being written
  int64_t watchers = 0;       // open watches
  int64_t stored_bytes = 0;
  int64_t queued_jobs = 0;
  int64_t running_jobs = 0;
};

struct QuotaOptions {
  QuotaLimits limits;                           // of projects without their own
  std::map<std::string, QuotaLimits> projects;  // by id
};

enum class QuotaKind { kUpload, kWatcher };

// Counts until it is destroyed. May outlive its ProjectQuotas.
class QuotaLease {
 public:
  QuotaLease() = default;  // of nothing
  explicit QuotaLease(std::shared_ptr<void> held) : held_(std::move(held)) {}

 private:
  std::shared_ptr<void> held_;
};

class ProjectQuotas {
 public:
  ProjectQuotas(QuotaOptions options, const Clock& clock);
  ~ProjectQuotas();

  // A call begins.
  absl::Status TakeRequest(const std::string& project);
  absl::StatusOr<QuotaLease> Begin(const std::string& project, QuotaKind kind);

  // Whether `added` bytes fit beside those that are stored.
  absl::Status CheckStorage(const std::string& project, int64_t stored_bytes, int64_t added_bytes) const;
  // Whether one more job may wait beside those that do. (Of running_jobs the scheduler is told: what is too much waits.)
  absl::Status CheckQueue(const std::string& project, int64_t queued_jobs) const;

  const QuotaLimits& LimitsOf(const std::string& project) const;

 private:
  struct Bucket;
  struct Counts;
  void Forget(absl::Time now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const QuotaOptions options_;
  const Clock& clock_;
  const std::shared_ptr<Counts> counts_;  // shared with leases
  absl::Mutex mutex_;
  std::map<std::string, Bucket> buckets_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace attune::auth
