// JobMetrics: what an operator counts about jobs. Owned by the scheduler, told by its loop; the registry must outlive it. Labels: project (the first 20 that are seen, then
// "other"), architecture (of the base model), priority ("low" below 0, "normal", "high"); never a job. Thread-safe.
//
//   JobMetrics metrics(registry);
//   metrics.Ended(job);
#pragma once

#include <cstdint>
#include <string>

#include "absl/time/time.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "attune/worker/v1/worker.pb.h"
#include "prometheus/counter.h"
#include "prometheus/family.h"
#include "prometheus/histogram.h"
#include "prometheus/registry.h"
#include "server/metrics/label_limit.h"

namespace attune::scheduler {

// "low", "normal" or "high".
const char* PriorityClass(int priority);

class JobMetrics {
 public:
  explicit JobMetrics(prometheus::Registry& registry);

  // As the label of a project.
  std::string ProjectLabel(const std::string& project) { return projects_.Of(project); }

  void Created(const v1::FineTuningJob& job);
  void Ended(const v1::FineTuningJob& job);
  // A worker got the job after it has waited for so long.
  void Placed(const v1::FineTuningJob& job, absl::Duration waited);
  // The first optimizer step of a job's first attempt has ended.
  void FirstStep(const v1::FineTuningJob& job, absl::Duration since_creation);
  // `before`: what the attempt had reported; of the steps since then `repeated` had been done by earlier attempts, too.
  void Worked(const v1::FineTuningJob& job, const std::string& architecture, const worker::v1::WorkDone& before, const worker::v1::WorkDone& now, int64_t repeated);
  // `reason`: a worker's exit ("crashed"), or the category of a failure ("system").
  void Retried(const std::string& reason);
  void GaveWay();
  void BatchesDivided();
  void NotFinite();
  void CheckpointSaved(double seconds, int64_t bytes);
  void CheckpointDamaged();

 private:
  // Prometheus sees an increase only of series that were there before: those that a project's jobs may come to need are made with its first one.
  void MeetProject(const v1::FineTuningJob& job);

  metrics::LabelLimit projects_{20};
  prometheus::Family<prometheus::Counter>&created_, &ended_;
  prometheus::Family<prometheus::Histogram>&waited_, &first_step_;
  prometheus::Family<prometheus::Counter>&steps_, &samples_, &tokens_, &step_seconds_, &input_wait_seconds_;
  prometheus::Family<prometheus::Counter>& retries_;
  prometheus::Counter &gave_way_, &divided_, &not_finite_;
  prometheus::Histogram &checkpoint_seconds_, &checkpoint_bytes_;
  prometheus::Counter& damaged_;
  prometheus::Counter &cache_hits_, &cache_misses_;
};

}  // namespace attune::scheduler
