#include "server/scheduler/metrics/job_metrics.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "server/base/str_cat.h"
#include "server/jobs/job_state.h"
#include "server/metrics/metric_names.h"
#include "server/workers/exit_reason.h"

namespace attune::scheduler {
namespace {

using Buckets = prometheus::Histogram::BucketBoundaries;

// Jobs wait for seconds or for days.
const Buckets kWaitBuckets = {1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600, 72 * 3600};
const Buckets kByteBuckets = {1e6, 1e7, 5e7, 1e8, 2.5e8, 5e8, 1e9, 2.5e9, 5e9, 1e10, 2.5e10, 1e11};

prometheus::Family<prometheus::Counter>& Counters(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildCounter().Name(name).Help(help).Register(registry);
}

prometheus::Family<prometheus::Histogram>& Histograms(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildHistogram().Name(name).Help(help).Register(registry);
}

// "CATEGORY_USER" -> "user"
std::string CategoryLabel(v1::FailureInfo::Category category) {
  return absl::AsciiStrToLower(v1::FailureInfo::Category_Name(category).substr(sizeof("CATEGORY_") - 1));
}

// "none" where there is no failure.
std::string FailureLabel(const v1::FineTuningJob& job) {
  for (const google::protobuf::Any& detail : job.error().details()) {
    v1::FailureInfo info;
    if (detail.UnpackTo(&info)) return CategoryLabel(info.category());
  }
  return "none";
}

}  // namespace

const char* PriorityClass(int priority) { return priority < 0 ? "low" : priority == 0 ? "normal" : "high"; }

JobMetrics::JobMetrics(prometheus::Registry& registry)
    : created_(Counters(registry, "attune_jobs_created_total", "Jobs that were created.")),
      ended_(Counters(registry, "attune_jobs_ended_total", "Jobs that ended, by final state and, of failed ones, by whose fault it was.")),
      waited_(Histograms(registry, "attune_job_wait_seconds", "Time that a job has waited when a worker gets it; once for each attempt.")),
      first_step_(Histograms(registry, "attune_job_first_step_seconds", "Time from a job's creation to the end of its first optimizer step.")),
      steps_(Counters(registry, "attune_training_steps_total", "Optimizer steps, by whether an earlier attempt had done them already (kind: useful or repeated; after a restart of the server only steps up to the last checkpoint are known to be repeated).")),
      samples_(Counters(registry, "attune_training_samples_total", "Rows that went through optimizer steps.")),
      tokens_(Counters(registry, "attune_training_tokens_total", "Tokens of texts that went through optimizer steps, without padding.")),
      step_seconds_(Counters(registry, "attune_training_step_seconds_total", "Time that optimizer steps took.")),
      input_wait_seconds_(Counters(registry, "attune_training_input_wait_seconds_total", "Time that optimizer steps spent waiting for batches.")),
      retries_(Counters(registry, "attune_job_retries_total", "Attempts that ended before their job did and are followed by another, by reason.")),
      gave_way_(Counters(registry, "attune_job_preemptions_total", "Times that a running job gave way to one of higher priority.").Add({})),
      divided_(Counters(registry, "attune_out_of_memory_recoveries_total", "Times that memory ran out and a job went on with its batches in more parts.").Add({})),
      not_finite_(Counters(registry, "attune_jobs_not_finite_total", "Jobs that failed because the loss or the gradients became NaN or infinite.").Add({})),
      checkpoint_seconds_(Histograms(registry, "attune_checkpoint_write_seconds", "Time from the copy of a checkpoint's weights until its files are durable.").Add({}, metrics::SecondsBuckets())),
      checkpoint_bytes_(Histograms(registry, "attune_checkpoint_bytes", "Size of a checkpoint's files.").Add({}, kByteBuckets)),
      damaged_(Counters(registry, "attune_checkpoints_damaged_total", "Checkpoints whose files were not those that were written.").Add({})),
      cache_hits_(Counters(registry, "attune_feature_cache_hits_total", "Sets of rows whose output of the frozen layers was in the feature cache.").Add({})),
      cache_misses_(Counters(registry, "attune_feature_cache_misses_total", "Sets of rows whose output of the frozen layers had to be computed.").Add({})) {
  for (const workers::ExitReason reason : workers::kExitReasons) {
    if (reason != workers::ExitReason::kIdleShutdown) retries_.Add({{"reason", workers::ExitReasonName(reason)}});
  }
  for (const v1::FailureInfo::Category category : {v1::FailureInfo::CATEGORY_RESOURCE, v1::FailureInfo::CATEGORY_SYSTEM}) retries_.Add({{"reason", CategoryLabel(category)}});
}

void JobMetrics::MeetProject(const v1::FineTuningJob& job) {
  const std::string project = ProjectLabel(job.effective_spec().scheduling().project());
  for (const char* state : {"succeeded", "cancelled"}) ended_.Add({{"project", project}, {"state", state}, {"fault", "none"}});
  for (const v1::FailureInfo::Category category :
       {v1::FailureInfo::CATEGORY_USER, v1::FailureInfo::CATEGORY_DATA, v1::FailureInfo::CATEGORY_RESOURCE, v1::FailureInfo::CATEGORY_SYSTEM}) {
    ended_.Add({{"project", project}, {"state", "failed"}, {"fault", CategoryLabel(category)}});
  }
}

void JobMetrics::Created(const v1::FineTuningJob& job) {
  MeetProject(job);
  created_.Add({{"project", ProjectLabel(job.effective_spec().scheduling().project())}, {"priority", PriorityClass(job.priority())}}).Increment();
}

void JobMetrics::Ended(const v1::FineTuningJob& job) {
  ended_
      .Add({{"project", ProjectLabel(job.effective_spec().scheduling().project())},
            {"state", absl::AsciiStrToLower(AbslView(jobs::StateName(job.state())))},
            {"fault", FailureLabel(job)}})
      .Increment();
}

void JobMetrics::Placed(const v1::FineTuningJob& job, absl::Duration waited) {
  MeetProject(job);
  waited_.Add({{"project", ProjectLabel(job.effective_spec().scheduling().project())}, {"priority", PriorityClass(job.priority())}}, kWaitBuckets)
      .Observe(std::max(0.0, absl::ToDoubleSeconds(waited)));
}

void JobMetrics::FirstStep(const v1::FineTuningJob& job, absl::Duration since_creation) {
  first_step_.Add({{"priority", PriorityClass(job.priority())}}, kWaitBuckets).Observe(std::max(0.0, absl::ToDoubleSeconds(since_creation)));
}

void JobMetrics::Worked(const v1::FineTuningJob& job, const std::string& architecture, const worker::v1::WorkDone& before, const worker::v1::WorkDone& now, int64_t repeated) {
  const prometheus::Labels labels = {{"project", ProjectLabel(job.effective_spec().scheduling().project())}, {"architecture", architecture}};
  const auto with_kind = [&](const char* kind) {
    prometheus::Labels all = labels;
    all["kind"] = kind;
    return all;
  };
  const int64_t steps = std::max<int64_t>(0, now.steps() - before.steps());
  const int64_t again = std::clamp<int64_t>(repeated, 0, steps);
  steps_.Add(with_kind("useful")).Increment(static_cast<double>(steps - again));
  steps_.Add(with_kind("repeated")).Increment(static_cast<double>(again));
  const auto add = [&](prometheus::Family<prometheus::Counter>& family, double amount) { family.Add(labels).Increment(std::max(0.0, amount)); };
  add(samples_, static_cast<double>(now.samples() - before.samples()));
  add(tokens_, static_cast<double>(now.tokens() - before.tokens()));
  add(step_seconds_, now.step_seconds() - before.step_seconds());
  add(input_wait_seconds_, now.input_wait_seconds() - before.input_wait_seconds());
  cache_hits_.Increment(static_cast<double>(std::max<int64_t>(0, now.feature_cache_hits() - before.feature_cache_hits())));
  cache_misses_.Increment(static_cast<double>(std::max<int64_t>(0, now.feature_cache_misses() - before.feature_cache_misses())));
}

void JobMetrics::Retried(const std::string& reason) { retries_.Add({{"reason", reason}}).Increment(); }
void JobMetrics::GaveWay() { gave_way_.Increment(); }
void JobMetrics::BatchesDivided() { divided_.Increment(); }
void JobMetrics::NotFinite() { not_finite_.Increment(); }

void JobMetrics::CheckpointSaved(double seconds, int64_t bytes) {
  checkpoint_seconds_.Observe(seconds);
  checkpoint_bytes_.Observe(static_cast<double>(bytes));
}

void JobMetrics::CheckpointDamaged() { damaged_.Increment(); }

}  // namespace attune::scheduler
