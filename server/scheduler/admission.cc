// Which memory jobs are counted with where they share a device: what their spec says, what a plan found equal jobs to take, or else a plan that is made when a placement depends
// on it; and more where they have had more.
#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "server/base/str_cat.h"
#include "server/scheduler/job_scheduler.h"
#include "server/scheduler/policy/quantities.h"
#include "server/scheduler/requests/plan_facts.h"

namespace attune::scheduler {
namespace {

// What is left is for the server, the page cache, and what plans do not see.
constexpr double kShareForJobs = 0.9;
// Specs whose memory is remembered; a sweep has few.
constexpr size_t kMostRemembered = 1000;

}  // namespace

std::vector<DeviceMemory> JobScheduler::JobDevices(const SchedulerOptions& options, const workers::WorkerDescription& description) {
  std::vector<DeviceMemory> devices;
  for (const v1::Device& device : description.devices.devices()) {
    if (!device.usable()) continue;
    int64_t bytes = static_cast<int64_t>(kShareForJobs * static_cast<double>(device.memory_bytes()));
    if (device.name() == "cpu" && options.job_memory_bytes > 0) bytes = options.job_memory_bytes;
    devices.push_back({device.name(), options.share_by_memory ? bytes : 0});
  }
  return devices;
}

std::string JobScheduler::ConcreteDevice(const std::string& device) const {
  if (device != "cuda") return device;
  const auto gpu = std::find_if(devices_.begin(), devices_.end(), [](const DeviceMemory& each) { return absl::StartsWith(each.name, "cuda:"); });
  return gpu == devices_.end() ? device : gpu->name;
}

std::optional<int64_t> JobScheduler::MemoryOf(const LiveJob& live) const {
  const v1::FineTuningJob& job = live.job.resource;
  if (job.memory_bytes() > 0) return std::max(job.memory_bytes(), job.progress().peak_memory_bytes());
  return live.unmeasurable ? std::optional<int64_t>(kWholeDevice) : std::nullopt;
}

void JobScheduler::LearnMemory(v1::FineTuningJob& job) const {
  const v1::FineTuningSpec& spec = job.effective_spec();
  if (spec.resources().has_memory_bytes()) return job.set_memory_bytes(spec.resources().memory_bytes());
  if (memory_of_.empty()) return;
  const auto found = memory_of_.find(MemoryKey(spec));
  if (found != memory_of_.end()) job.set_memory_bytes(found->second);
}

void JobScheduler::RememberMemory(const v1::FineTuningSpec& effective_spec, int64_t bytes) {
  if (bytes <= 0) return;
  if (memory_of_.size() >= kMostRemembered) memory_of_.clear();
  memory_of_[MemoryKey(effective_spec)] = bytes;
  for (auto& [id, live] : jobs_) {
    if (live.job.resource.memory_bytes() > 0 || jobs::IsFinal(live.state())) continue;
    LearnMemory(live.job.resource);
    if (live.job.resource.memory_bytes() > 0) Publish(live);
  }
  placement_due_ = true;
}

void JobScheduler::MeasureFirst(const std::vector<std::string>& wanted) {
  if (measuring_ != nullptr) {
    if (std::find(wanted.begin(), wanted.end(), measured_id_) == wanted.end()) CancelPlan(*measuring_);
    return;
  }
  if (wanted.empty()) return;
  const LiveJob& live = jobs_.at(wanted.front());
  measured_id_ = live.job.id;
  measuring_ = std::make_shared<PlanInProgress>();
  measuring_->memory_only = true;
  measuring_->used = ResourcesOf(live.job.resource.spec());
  measuring_->done = [this, id = live.job.id](const absl::StatusOr<v1::PlanFineTuningJobResponse>& result) { HandleMeasured(id, result); };
  snapshots_.Hold(measuring_->used);
  PreparePlan(measuring_, live.job.resource);
}

void JobScheduler::HandleMeasured(const std::string& id, const absl::StatusOr<v1::PlanFineTuningJobResponse>& result) {
  measuring_ = nullptr;
  placement_due_ = true;
  LiveJob* live = Find(id);
  if (live == nullptr || jobs::IsFinal(live->state()) || absl::IsCancelled(result.status())) return;
  if (result.ok()) {
    const std::string text = StrCat("a plan has measured that it takes up to ", BinaryBytes(result->memory().peak_bytes()), " of ", result->device());
    return Append(*live, LogEvent(text, live->attempt()), {jobs::PutJob{live->job}});
  }
  live->unmeasurable = true;
  Append(*live, WarningEvent(StrCat("how much memory it takes could not be measured, so no other job runs on its device meanwhile: ", std::string(result.status().message())),
                             live->attempt()));
}

}  // namespace attune::scheduler
