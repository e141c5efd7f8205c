#include "server/auth/quotas.h"

#include <algorithm>
#include <utility>

#include "absl/strings/cord.h"
#include "google/rpc/error_details.pb.h"
#include "server/auth/auth_errors.h"
#include "server/base/str_cat.h"

namespace attune::auth {
namespace {

constexpr char kQuotaFailurePayload[] = "google.rpc.QuotaFailure";
// A caller with all projects may invent names; buckets that are full again say nothing.
constexpr size_t kMaxBuckets = 4096;
constexpr absl::Duration kCountRetryDelay = absl::Seconds(5);
constexpr absl::Duration kJobRetryDelay = absl::Seconds(60);

absl::Status Exceeded(const std::string& project, std::string_view what) {
  const std::string description = StrCat("project ", project, " ", what);
  google::rpc::QuotaFailure failure;
  auto* violation = failure.add_violations();
  violation->set_subject(StrCat("projects/", project));
  violation->set_description(description);
  absl::Status status = absl::ResourceExhaustedError(description);
  status.SetPayload(kQuotaFailurePayload, absl::Cord(failure.SerializeAsString()));
  SetReason(status, "QUOTA_EXCEEDED");
  return status;
}

absl::Status Exceeded(const std::string& project, std::string_view what, absl::Duration retry_delay) {
  absl::Status status = Exceeded(project, what);
  SetRetryDelay(status, retry_delay);
  return status;
}

double Burst(const QuotaLimits& limits) { return limits.request_burst > 0 ? static_cast<double>(limits.request_burst) : std::max(1.0, limits.requests_per_second); }

}  // namespace

struct ProjectQuotas::Bucket {
  double tokens;
  absl::Time time;  // of `tokens`

  void Fill(const QuotaLimits& limits, absl::Time now) {
    if (now <= time) return;  // also where the clock was set back
    tokens = std::min(Burst(limits), tokens + absl::ToDoubleSeconds(now - time) * limits.requests_per_second);
    time = now;
  }
};

struct ProjectQuotas::Counts {
  absl::Mutex mutex;
  std::map<std::pair<std::string, QuotaKind>, int64_t> open ABSL_GUARDED_BY(mutex);

  void End(const std::pair<std::string, QuotaKind>& key) {
    absl::MutexLock lock(&mutex);
    auto found = open.find(key);
    if (--found->second == 0) open.erase(found);
  }
};

ProjectQuotas::ProjectQuotas(QuotaOptions options, const Clock& clock) : options_(std::move(options)), clock_(clock), counts_(std::make_shared<Counts>()) {}

ProjectQuotas::~ProjectQuotas() = default;

const QuotaLimits& ProjectQuotas::LimitsOf(const std::string& project) const {
  auto found = options_.projects.find(project);
  return found == options_.projects.end() ? options_.limits : found->second;
}

void ProjectQuotas::Forget(absl::Time now) {
  for (auto next = buckets_.begin(); next != buckets_.end();) {
    const QuotaLimits& limits = LimitsOf(next->first);
    next->second.Fill(limits, now);
    next = next->second.tokens >= Burst(limits) ? buckets_.erase(next) : std::next(next);
  }
}

absl::Status ProjectQuotas::TakeRequest(const std::string& project) {
  const QuotaLimits& limits = LimitsOf(project);
  if (limits.requests_per_second <= 0) return absl::OkStatus();
  const absl::Time now = clock_.Now();
  absl::MutexLock lock(&mutex_);
  if (buckets_.size() >= kMaxBuckets) Forget(now);
  Bucket& bucket = buckets_.try_emplace(project, Bucket{.tokens = Burst(limits), .time = now}).first->second;
  bucket.Fill(limits, now);
  if (bucket.tokens >= 1) {
    bucket.tokens -= 1;
    return absl::OkStatus();
  }
  const absl::Duration wait = absl::Seconds((1 - bucket.tokens) / limits.requests_per_second);
  return Exceeded(project, StrCat("makes more than its ", limits.requests_per_second, " calls a second; wait as long as the error says, and watch jobs in place of asking again and again"), wait);
}

absl::StatusOr<QuotaLease> ProjectQuotas::Begin(const std::string& project, QuotaKind kind) {
  const bool upload = kind == QuotaKind::kUpload;
  const int64_t limit = upload ? LimitsOf(project).uploads : LimitsOf(project).watchers;
  if (limit <= 0) return QuotaLease();
  const std::pair<std::string, QuotaKind> key(project, kind);
  {
    absl::MutexLock lock(&counts_->mutex);
    int64_t& open = counts_->open[key];
    if (open >= limit) {
      return Exceeded(project, StrCat("has its ", limit, upload ? " uploads under way; try again when one has ended" : " watches open; end one, or let its readers share"), kCountRetryDelay);
    }
    ++open;
  }
  return QuotaLease(std::shared_ptr<void>(nullptr, [counts = counts_, key](void*) { counts->End(key); }));
}

absl::Status ProjectQuotas::CheckStorage(const std::string& project, int64_t stored_bytes, int64_t added_bytes) const {
  const int64_t limit = LimitsOf(project).stored_bytes;
  if (limit <= 0 || (added_bytes <= limit && stored_bytes <= limit - added_bytes)) return absl::OkStatus();
  const std::string more = stored_bytes >= limit ? "" : StrCat(", and ", added_bytes, " more do not fit");
  return Exceeded(project, StrCat("has ", stored_bytes, " of its ", limit, " bytes stored", more, "; delete uploads, datasets, models or checkpoints that are not needed"));
}

absl::Status ProjectQuotas::CheckQueue(const std::string& project, int64_t queued_jobs) const {
  const int64_t limit = LimitsOf(project).queued_jobs;
  if (limit <= 0 || queued_jobs < limit) return absl::OkStatus();
  return Exceeded(project, StrCat("has its ", limit, " jobs waiting; wait until one has started, or cancel one"), kJobRetryDelay);
}

}  // namespace attune::auth
