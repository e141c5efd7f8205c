#include "server/scheduler/job_snapshots.h"

#include <algorithm>
#include <optional>

#include "absl/strings/numbers.h"
#include "server/base/ids.h"
#include "server/base/page_token.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/jobs/job_fields.h"
#include "server/jobs/job_filter.h"
#include "server/jobs/job_state.h"
#include "server/jobs/timestamps.h"
#include "server/scheduler/metrics/job_metrics.h"

namespace attune::scheduler {
namespace {

constexpr int kDefaultPage = 50;
constexpr int kLargestPage = 1000;
constexpr absl::Duration kNews = absl::Seconds(1);  // of a predicted start

absl::StatusOr<int> PageSize(int asked) {
  if (asked < 0) return absl::InvalidArgumentError(StrCat("page_size must be 0 (for ", kDefaultPage, ") or more, not ", asked));
  return asked == 0 ? kDefaultPage : std::min(asked, kLargestPage);
}

// The number in a page token; `first` for an empty one.
absl::StatusOr<int64_t> Cursor(const std::string& scope, const std::string& token, int64_t first) {
  ATTUNE_ASSIGN_OR_RETURN(std::string cursor, ReadPageToken(scope, token));
  int64_t value = first;
  if (!cursor.empty() && !absl::SimpleAtoi(cursor, &value)) return absl::InvalidArgumentError("page_token was not made by this list");
  return value;
}

// "fineTuningJobs/{id}/checkpoints/{which}".
absl::StatusOr<std::pair<std::string, std::string>> ParseCheckpointName(const std::string& name) {
  constexpr std::string_view kMiddle = "/checkpoints/";
  size_t at = name.find(kMiddle);
  std::string which = at == std::string::npos ? "" : name.substr(at + kMiddle.size());
  int64_t step = 0;
  if (which != "best" && which != "last" && !(absl::SimpleAtoi(which, &step) && step >= 0)) {
    return absl::InvalidArgumentError(StrCat("name: \"", name, "\" is no checkpoint; use fineTuningJobs/{job}/checkpoints/{step}, or best or last in place of the step"));
  }
  ATTUNE_ASSIGN_OR_RETURN(std::string id, ParseResourceName(name.substr(0, at), "fineTuningJobs"));
  return std::pair(id, which);
}

}  // namespace

std::vector<std::string> ResourcesOf(const v1::FineTuningSpec& spec) {
  std::vector<std::string> names = {spec.base_model(), spec.dataset()};
  if (!spec.replay().dataset().empty()) names.push_back(spec.replay().dataset());
  return names;
}

v1::Checkpoint ToResource(const ResolvedCheckpoint& checkpoint) {
  v1::Checkpoint resource = checkpoint.record.resource;
  resource.set_is_best(checkpoint.is_best);
  return resource;
}

void JobSnapshots::PutJob(const jobs::Job& job, absl::Time since) {
  auto copy = std::make_shared<const v1::FineTuningJob>(job.resource);
  absl::MutexLock lock(&mutex_);
  Entry& entry = entries_[job.id];
  const bool waits = job.resource.state() == v1::FineTuningJob::STATE_QUEUED;
  if (waits && (entry.job == nullptr || entry.job->state() != job.resource.state() || entry.job->state_reason() != copy->state_reason())) entry.version = ++versions_;
  entry.order = job.order;
  entry.since = since;
  entry.job = std::move(copy);
  if (entry.checkpoints == nullptr) entry.checkpoints = std::make_shared<const CheckpointMap>();
  by_order_[job.order] = job.id;
  if (jobs::IsFinal(job.resource.state())) {
    unfinished_.erase(job.id);
  } else {
    unfinished_.insert(job.id);
  }
}

void JobSnapshots::PutCheckpoints(const std::string& job_id, const CheckpointMap& checkpoints) {
  auto copy = std::make_shared<const CheckpointMap>(checkpoints);
  absl::MutexLock lock(&mutex_);
  auto found = entries_.find(job_id);
  if (found != entries_.end()) found->second.checkpoints = std::move(copy);
}

void JobSnapshots::Remove(const std::string& job_id) {
  absl::MutexLock lock(&mutex_);
  auto found = entries_.find(job_id);
  if (found == entries_.end()) return;
  by_order_.erase(found->second.order);
  unfinished_.erase(job_id);
  entries_.erase(found);
}

void JobSnapshots::SetWaiting(const std::vector<Waiting>& waiting, const std::string& reason, const std::string& blocking_resource) {
  absl::MutexLock lock(&mutex_);
  const bool reason_changes = reason != front_.reason, all_change = blocking_resource != front_.blocking_resource;
  front_ = {reason, blocking_resource};
  for (size_t i = 0; i < waiting.size(); ++i) {
    auto found = entries_.find(waiting[i].id);
    if (found == entries_.end()) continue;
    Entry& entry = found->second;
    const int jobs_ahead = static_cast<int>(i);
    // Estimates are never the same twice; what is less than this is no news.
    const bool moves = entry.predicted_start != waiting[i].predicted_start &&
                       (entry.predicted_start == absl::InfiniteFuture() || waiting[i].predicted_start == absl::InfiniteFuture() ||
                        absl::AbsDuration(entry.predicted_start - waiting[i].predicted_start) >= kNews);
    if (moves || all_change || entry.held != waiting[i].held || entry.jobs_ahead != jobs_ahead || (i == 0 && reason_changes)) entry.version = ++versions_;
    entry.jobs_ahead = jobs_ahead;
    entry.held = waiting[i].held;
    if (moves) entry.predicted_start = waiting[i].predicted_start;
  }
}

void JobSnapshots::SetJobsAhead(const std::string& id, int jobs_ahead) {
  absl::MutexLock lock(&mutex_);
  auto found = entries_.find(id);
  if (found == entries_.end()) return;
  if (found->second.jobs_ahead != jobs_ahead) found->second.version = ++versions_;
  found->second.jobs_ahead = jobs_ahead;
}

int64_t JobSnapshots::WaitingVersion(const std::string& name) const {
  const size_t slash = name.find('/');
  absl::ReaderMutexLock lock(&mutex_);
  auto found = slash == std::string::npos ? entries_.end() : entries_.find(name.substr(slash + 1));
  return found == entries_.end() || found->second.job->state() != v1::FineTuningJob::STATE_QUEUED ? 0 : found->second.version;
}

void JobSnapshots::Hold(const std::vector<std::string>& resources) {
  absl::MutexLock lock(&mutex_);
  held_.insert(resources.begin(), resources.end());
}

void JobSnapshots::Release(const std::vector<std::string>& resources) {
  absl::MutexLock lock(&mutex_);
  for (const std::string& name : resources) {
    auto found = held_.find(name);
    if (found != held_.end()) held_.erase(found);
  }
}

v1::FineTuningJob JobSnapshots::Filled(const Entry& entry, const Front& front) {
  v1::FineTuningJob job = *entry.job;
  if (job.state() != v1::FineTuningJob::STATE_QUEUED) return job;
  if (job.has_retry_time()) {  // state_reason says what for
    job.set_blocking_resource("retry_time");
    return job;
  }
  job.set_jobs_ahead(entry.jobs_ahead);
  job.set_blocking_resource(entry.held.empty() ? front.blocking_resource : "quota");
  if (entry.predicted_start != absl::InfiniteFuture()) *job.mutable_predicted_start_time() = jobs::ToTimestamp(entry.predicted_start);
  // What it waits for, and then what brought it here (a lost worker, for example).
  std::string reason = entry.jobs_ahead == 0 ? front.reason : StrCat("waits for ", entry.jobs_ahead, entry.jobs_ahead == 1 ? " job" : " jobs", " before it");
  if (!entry.held.empty()) reason = entry.held;
  if (reason.empty()) reason = "waits for its turn";
  if (!job.state_reason().empty()) StrAppend(&reason, "; ", job.state_reason());
  job.set_state_reason(reason);
  return job;
}

absl::StatusOr<v1::FineTuningJob> JobSnapshots::Get(const std::string& name) const {
  ATTUNE_ASSIGN_OR_RETURN(std::string id, ParseResourceName(name, "fineTuningJobs"));
  Entry entry;
  Front front;
  {
    absl::ReaderMutexLock lock(&mutex_);
    auto found = entries_.find(id);
    if (found == entries_.end()) return jobs::NoSuchJob(id);
    entry = found->second;
    front = front_;
  }
  return Filled(entry, front);
}

absl::StatusOr<v1::ListFineTuningJobsResponse> JobSnapshots::List(const v1::ListFineTuningJobsRequest& request, const ProjectSet& projects) const {
  ATTUNE_ASSIGN_OR_RETURN(int page_size, PageSize(request.page_size()));
  ATTUNE_ASSIGN_OR_RETURN(jobs::JobFilter filter, jobs::JobFilter::Parse(request.filter()));
  std::string scope = StrCat("fineTuningJobs?", request.filter());
  ATTUNE_ASSIGN_OR_RETURN(int64_t before, Cursor(scope, request.page_token(), std::numeric_limits<int64_t>::max()));
  std::vector<Entry> page;
  Front front;
  bool more = false;
  {
    absl::ReaderMutexLock lock(&mutex_);
    front = front_;
    for (auto it = by_order_.lower_bound(before); it != by_order_.begin() && !more;) {
      --it;
      const Entry& entry = entries_.at(it->second);
      if (!projects.Has(entry.job->spec().scheduling().project()) || !filter.Matches(*entry.job)) continue;
      more = static_cast<int>(page.size()) == page_size;
      if (!more) page.push_back(entry);
    }
  }
  v1::ListFineTuningJobsResponse response;
  for (const Entry& entry : page) *response.add_fine_tuning_jobs() = Filled(entry, front);
  // The next page begins below the last job of this one.
  if (more) response.set_next_page_token(MakePageToken(scope, std::to_string(page.back().order)));
  return response;
}

absl::StatusOr<ResolvedCheckpoint> JobSnapshots::GetCheckpoint(const std::string& name) const {
  ATTUNE_ASSIGN_OR_RETURN(auto parsed, ParseCheckpointName(name));
  const auto& [id, which] = parsed;
  std::shared_ptr<const CheckpointMap> checkpoints;
  std::string best;
  {
    absl::ReaderMutexLock lock(&mutex_);
    auto found = entries_.find(id);
    if (found == entries_.end()) return jobs::NoSuchJob(id);
    checkpoints = found->second.checkpoints;
    best = found->second.job->best_checkpoint();
  }
  if (checkpoints->empty()) return absl::NotFoundError(StrCat(jobs::JobName(id), " has no checkpoint yet; watch the job for checkpoint_saved"));
  const jobs::CheckpointRecord* record = nullptr;
  for (const auto& [step, candidate] : *checkpoints) {
    bool wanted = which == "last" || (which == "best" ? candidate.resource.name() == best : std::to_string(step) == which);
    if (wanted) record = &candidate;  // steps rise: the last one wins
  }
  if (record == nullptr) return absl::NotFoundError(StrCat(name, " does not exist; ListCheckpoints shows those that do"));
  return ResolvedCheckpoint{*record, record->resource.name() == best};
}

absl::StatusOr<v1::ListCheckpointsResponse> JobSnapshots::ListCheckpoints(const v1::ListCheckpointsRequest& request) const {
  ATTUNE_ASSIGN_OR_RETURN(std::string id, ParseResourceName(request.parent(), "fineTuningJobs"));
  ATTUNE_ASSIGN_OR_RETURN(int page_size, PageSize(request.page_size()));
  std::string scope = StrCat(request.parent(), "/checkpoints");
  ATTUNE_ASSIGN_OR_RETURN(int64_t before, Cursor(scope, request.page_token(), std::numeric_limits<int64_t>::max()));
  std::shared_ptr<const CheckpointMap> checkpoints;
  std::string best;
  {
    absl::ReaderMutexLock lock(&mutex_);
    auto found = entries_.find(id);
    if (found == entries_.end()) return jobs::NoSuchJob(id);
    checkpoints = found->second.checkpoints;
    best = found->second.job->best_checkpoint();
  }
  v1::ListCheckpointsResponse response;
  for (auto it = checkpoints->lower_bound(before); it != checkpoints->begin();) {
    --it;
    if (response.checkpoints_size() == page_size) {
      response.set_next_page_token(MakePageToken(scope, std::to_string(before)));
      break;
    }
    *response.add_checkpoints() = ToResource({it->second, it->second.resource.name() == best});
    before = it->first;
  }
  return response;
}

bool JobSnapshots::IsInUse(const std::string& resource_name) const {
  absl::ReaderMutexLock lock(&mutex_);
  if (held_.count(resource_name) != 0) return true;
  for (const std::string& id : unfinished_) {
    const std::vector<std::string> used = ResourcesOf(entries_.at(id).job->spec());
    if (std::find(used.begin(), used.end(), resource_name) != used.end()) return true;
  }
  return false;
}

ProjectUse JobSnapshots::UseOf(const std::string& project) const {
  ProjectUse use;
  absl::ReaderMutexLock lock(&mutex_);
  for (const auto& [id, entry] : entries_) {
    if (ProjectOrDefault(entry.job->spec().scheduling().project()) != project) continue;
    use.queued_jobs += entry.job->state() == v1::FineTuningJob::STATE_QUEUED;
    use.running_jobs += jobs::HoldsSlot(entry.job->state());
    for (const auto& [step, checkpoint] : *entry.checkpoints) use.checkpoint_bytes += checkpoint.resource.size_bytes();
  }
  return use;
}

SchedulerCounts JobSnapshots::Count(absl::Time now, const std::function<std::string(const std::string&)>& project_label) const {
  SchedulerCounts counts;
  std::map<std::pair<std::string, std::string>, QueueCount> queues;
  absl::ReaderMutexLock lock(&mutex_);
  for (const std::string& id : unfinished_) {
    const Entry& entry = entries_.at(id);
    const jobs::State state = entry.job->state();
    const absl::Duration in_state = entry.since == absl::InfinitePast() ? absl::ZeroDuration() : std::max(absl::ZeroDuration(), now - entry.since);
    counts.running += jobs::HoldsSlot(state);
    if (state == v1::FineTuningJob::STATE_QUEUED) {
      ++counts.queued;
      const std::string project = project_label(entry.job->effective_spec().scheduling().project()), priority = PriorityClass(entry.job->priority());
      QueueCount& queue = queues.try_emplace({project, priority}, QueueCount{project, priority, 0, absl::ZeroDuration()}).first->second;
      ++queue.queued;
      queue.longest_wait = std::max(queue.longest_wait, in_state);
    } else if (state == v1::FineTuningJob::STATE_RUNNING) {
      absl::Duration age = in_state;
      if (!entry.checkpoints->empty()) age = std::min(age, now - jobs::FromTimestamp(entry.checkpoints->rbegin()->second.resource.create_time()));
      counts.oldest_checkpoint = std::max(counts.oldest_checkpoint, age);
    }
  }
  for (auto& [key, queue] : queues) counts.queues.push_back(std::move(queue));
  return counts;
}

}  // namespace attune::scheduler
