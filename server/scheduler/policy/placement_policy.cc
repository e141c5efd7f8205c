#include "server/scheduler/policy/placement_policy.h"

#include <algorithm>
#include <deque>
#include <functional>
#include <set>
#include <tuple>
#include <utility>

#include "server/base/str_cat.h"
#include "server/scheduler/policy/device_room.h"
#include "server/scheduler/policy/quantities.h"

namespace attune::scheduler {
namespace {

int PriorityNow(const QueuedJob& job, const ClusterState& state) {
  if (state.aging_interval == absl::InfiniteDuration() || job.since >= state.now) return job.priority;
  absl::Duration rest;
  return job.priority + static_cast<int>(std::min<int64_t>(absl::IDivDuration(state.now - job.since, state.aging_interval, &rest), 1'000'000));
}

// Jobs of one priority, by age within a project; always the next of the project that has had the least.
void AppendFairly(std::vector<const QueuedJob*> jobs, const ClusterState& state, std::map<std::string, double>& seconds, std::vector<const QueuedJob*>& ranked) {
  std::sort(jobs.begin(), jobs.end(), [](const QueuedJob* a, const QueuedJob* b) { return a->order < b->order; });
  std::map<std::string, std::deque<const QueuedJob*>> of_project;
  for (const QueuedJob* job : jobs) of_project[job->project].push_back(job);
  std::set<std::tuple<double, int64_t, std::string>> next;  // seconds, order of the first job, project
  const auto offer = [&](const std::string& project) {
    if (const auto& waiting = of_project.at(project); !waiting.empty()) next.emplace(seconds[project], waiting.front()->order, project);
  };
  for (const auto& [project, waiting] : of_project) offer(project);
  while (!next.empty()) {
    const std::string project = std::get<std::string>(*next.begin());
    next.erase(next.begin());
    ranked.push_back(of_project[project].front());
    of_project[project].pop_front();
    seconds[project] += state.typical_seconds;
    offer(project);
  }
}

std::vector<const QueuedJob*> Rank(const std::vector<QueuedJob>& queued, const std::vector<RunningJob>& running, const ClusterState& state) {
  std::map<int, std::vector<const QueuedJob*>, std::greater<>> by_priority;
  for (const QueuedJob& job : queued) by_priority[PriorityNow(job, state)].push_back(&job);
  std::map<std::string, double> seconds = state.project_seconds;
  // What has just started will take its time, too: or a project would get every slot that comes free until its first job has trained for a while.
  for (const RunningJob& job : running) seconds[job.project] += std::max(0.0, state.typical_seconds - absl::ToDoubleSeconds(job.trained));
  std::vector<const QueuedJob*> ranked;
  for (auto& [priority, jobs] : by_priority) AppendFairly(std::move(jobs), state, seconds, ranked);
  return ranked;
}

// And of the least important the youngest, which has the least to lose.
void LeastImportantFirst(std::vector<const RunningJob*>& jobs) {
  std::sort(jobs.begin(), jobs.end(), [](const RunningJob* a, const RunningJob* b) { return std::pair(a->priority, -a->order) < std::pair(b->priority, -b->order); });
}

// A job that waits behind one that cannot displace anybody must not either: the slot would not be its own.
std::vector<Preempted> Preempt(const std::vector<const QueuedJob*>& waiting, const std::vector<RunningJob>& running) {
  std::vector<const RunningJob*> victims;
  size_t leaving = 0;  // slots that the first of the waiting will get in any case
  for (const RunningJob& job : running) {
    leaving += job.leaving;
    if (!job.leaving) victims.push_back(&job);
  }
  LeastImportantFirst(victims);
  std::vector<Preempted> preempt;
  for (size_t i = leaving; i < waiting.size() && preempt.size() < victims.size(); ++i) {
    const RunningJob& victim = *victims[preempt.size()];
    if (victim.priority >= waiting[i]->priority) break;
    preempt.push_back({victim.id, waiting[i]->id});
  }
  return preempt;
}

// The least important jobs of the device that make enough room by going, those that leave in any case before others; none where even all that may be asked do not.
std::vector<Preempted> PreemptForMemory(const QueuedJob& waiting, const std::string& device, const std::vector<RunningJob>& running, const DeviceRoom& room) {
  std::vector<const RunningJob*> victims;
  std::set<std::string> gone;
  for (const RunningJob& job : running) {
    if (job.device != device) continue;
    if (job.leaving) {
      gone.insert(job.id);
    } else if (job.priority < waiting.priority) {
      victims.push_back(&job);
    }
  }
  LeastImportantFirst(victims);
  std::vector<Preempted> preempt;
  for (const RunningJob* victim : victims) {
    if (room.FitsWithout(waiting, device, gone)) break;
    gone.insert(victim->id);
    preempt.push_back({victim->id, waiting.id});
  }
  if (!room.FitsWithout(waiting, device, gone)) preempt.clear();
  return preempt;
}

// The nth waiting job gets the nth slot that comes free, where all that run say when that is.
void Predict(const std::vector<RunningJob>& running, absl::Time now, std::vector<Waiting>& waiting) {
  std::vector<absl::Duration> left;
  for (const RunningJob& job : running) left.push_back(job.left);
  std::sort(left.begin(), left.end());
  for (size_t i = 0; i < std::min(left.size(), waiting.size()); ++i) waiting[i].predicted_start = now + left[i];
}

// The job that comes next and has no room on its device, and how that stands; it is the first of those that wait.
struct Blocked {
  const QueuedJob* job = nullptr;
  DeviceRoom::Answer answer;
};

std::string WhyNoRoom(const QueuedJob& job, const std::string& device, const DeviceRoom& room) {
  const int64_t total = room.Total(device).value_or(0);
  if (job.memory_bytes.value_or(0) > total) return StrCat("waits until it has ", device, " to itself");
  const std::string left = StrCat("of ", BinaryBytes(total), " the running jobs leave ", BinaryBytes(room.Free(device)));
  return StrCat("waits for memory of ", device, ": ", job.memory_bytes.has_value() ? StrCat("needs ", BinaryBytes(*job.memory_bytes), ", and ") : "", left);
}

// How many jobs a project has on slots, and whether one more may come.
class ProjectSlots {
 public:
  ProjectSlots(const std::vector<RunningJob>& running, const ClusterState& state) : state_(state) {
    for (const RunningJob& job : running) ++taken_[job.project];
  }
  void Take(const std::string& project) { ++taken_[project]; }
  // Empty where there is room.
  std::string WhyFull(const std::string& project) {
    const int64_t most = state_.most_running_jobs ? state_.most_running_jobs(project) : 0;
    if (most <= 0 || taken_[project] < most) return "";
    return most == 1 ? std::string("waits for its project's running job to end, which is all that the project's quota allows")
                     : StrCat("waits for one of its project's ", most, " running jobs to end, which are all that the project's quota allows");
  }

 private:
  const ClusterState& state_;
  std::map<std::string, int64_t> taken_;
};

void SayWhy(const ClusterState& state, int free_slots, const Blocked& blocked, const DeviceRoom& room, Placement& placement) {
  if (state.draining) {
    placement.reason = "waits for the server to start again: it is shutting down";
    placement.blocking_resource = "server";
  } else if (blocked.job != nullptr && blocked.answer.fit == DeviceRoom::Fit::kUnknown) {
    placement.reason = StrCat("waits until a plan has measured whether it fits beside what runs on ", blocked.answer.device);
    placement.blocking_resource = "plan";
  } else if (blocked.job != nullptr) {
    placement.reason = WhyNoRoom(*blocked.job, blocked.answer.device, room);
    placement.blocking_resource = "memory";
  } else if (free_slots <= 0) {
    placement.reason = state.job_slots == 1 ? std::string("waits for the running job to end") : StrCat("waits for one of ", state.job_slots, " running jobs to end");
    placement.blocking_resource = "job_slots";
  } else {
    placement.reason = state.trouble.empty() ? std::string("waits for a worker to be ready") : StrCat("waits for a worker, and none can be started: ", state.trouble);
    placement.blocking_resource = "worker";
  }
}

}  // namespace

Placement Place(const std::vector<QueuedJob>& queued, const std::vector<RunningJob>& running, const ClusterState& state) {
  const std::vector<const QueuedJob*> ranked = Rank(queued, running, state);
  const int free_slots = state.job_slots - static_cast<int>(running.size());
  const size_t can_start = state.draining ? 0 : std::max(0, std::min(free_slots, state.idle_workers));
  Placement placement;
  DeviceRoom room(state.devices, running);
  std::vector<const QueuedJob*> waiting;
  std::vector<Waiting> held;
  Blocked blocked;
  ProjectSlots slots(running, state);
  for (const QueuedJob* job : ranked) {
    if (std::string full = slots.WhyFull(job->project); !full.empty()) {
      held.push_back({.id = job->id, .held = std::move(full)});
      continue;
    }
    DeviceRoom::Answer answer;
    if (placement.start.size() < can_start) {
      answer = room.Find(*job);
      if (answer.fit == DeviceRoom::Fit::kFits) {
        room.Take(*job, answer.device);
        slots.Take(job->project);
        placement.start.push_back({job->id, PriorityNow(*job, state), answer.device});
        continue;
      }
      if (blocked.job == nullptr) blocked = {job, answer};
      room.Close(*job);
    }
    waiting.push_back(job);
    placement.waiting.push_back({job->id});
  }
  const auto add_held = [&] { placement.waiting.insert(placement.waiting.end(), held.begin(), held.end()); };
  if (waiting.empty()) {
    add_held();
    return placement;
  }
  const int left = free_slots - static_cast<int>(placement.start.size());
  SayWhy(state, left, blocked, room, placement);
  if (state.draining) {
    add_held();
    return placement;
  }
  if (blocked.job != nullptr && blocked.answer.fit == DeviceRoom::Fit::kUnknown) {
    if (!blocked.job->memory_bytes.has_value()) placement.measure.push_back(blocked.job->id);
    for (const std::string& id : room.Unknown(blocked.answer.device)) placement.measure.push_back(id);
  } else if (blocked.job != nullptr) {
    placement.preempt = PreemptForMemory(*blocked.job, blocked.answer.device, running, room);
  } else if (left <= 0) {
    placement.preempt = Preempt(waiting, running);
  }
  if (left <= 0 || placement.blocking_resource == "memory") Predict(running, state.now, placement.waiting);
  add_held();
  return placement;
}

}  // namespace attune::scheduler
