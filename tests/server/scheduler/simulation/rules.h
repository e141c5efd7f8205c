// Rules: what must hold at every moment, and what clients were told, which must stay true whatever fails. Each broken rule ends the run (World::Fail).
//
// Three sources: what the scheduler hands to its event log (ObservedLog), what passes between it and its workers, and what clients got as answers and events.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "server/jobs/job_event_log.h"
#include "server/jobs/job_state.h"
#include "server/jobs/job_store.h"
#include "server/workers/worker_pool.h"
#include "tests/server/scheduler/simulation/scenario.h"
#include "tests/server/scheduler/simulation/world.h"

namespace attune::simulation {

enum class Verb { kCancel, kPause, kResume, kUpdate, kDelete, kDeleteCheckpoint };

class Rules {
 public:
  Rules(World& world, const Scenario& scenario, jobs::JobStore& store) : world_(world), scenario_(scenario), store_(store) {}

  // A server starts on what is durable. Everything that clients were told must be in it.
  void OnServerStart();
  // The job as readers see it, for rules that depend on it.
  std::function<absl::StatusOr<v1::FineTuningJob>(const std::string& name)> get_job;

  // What the scheduler writes, in order, before it is durable.
  void OnAppend(const std::string& job_id, const v1::JobEvent& event, const std::vector<jobs::JobChange>& changes);
  void OnChanges(const std::vector<jobs::JobChange>& changes);

  // Between scheduler and workers.
  void OnAssign(const worker::v1::Assign& assignment);
  void OnDelivered(const worker::v1::ConnectRequest& message);
  void OnEndDelivered(const workers::AttemptId& attempt);
  // Puts a mark into a message that must have no effect.
  void MarkLate(worker::v1::ConnectRequest& message);
  void OnDamage(const std::string& job_id, int64_t step) { damaged_.emplace(job_id, step); }

  // Requests that reach the server, and answers that reach a client. `priority`: of an update.
  // Returns what the answer is to be given back with: one that was overtaken by another request promises nothing.
  int OnArrival(Verb verb, const std::string& name);
  void OnCreated(const std::string& request_id, const std::string& name);
  void OnAnswer(Verb verb, const std::string& name, int priority, int arrival);
  // A request about a job that the client knows came back with an error.
  void OnRefusal(const std::string& name, const absl::Status& status);
  // An event as a watcher got it.
  void OnEvent(const std::string& job_id, const jobs::EventSubscription::Item& item);
  int64_t LastEventOf(const std::string& job_id) { return told_[job_id].last; }
  void OnWatchedJobGone(const std::string& job_id);

  // At the end: all that is stored, against all that was told. `outputs`: the directory of a job's checkpoints.
  void CheckStored(const std::function<std::string(const std::string& job_id)>& outputs);
  // The newest registered checkpoint; 0: none.
  int64_t NewestCheckpoint(const std::string& job_id) const;
  // A client has asked for the deletion of one: while its removal is not durable, an attempt that begins may take its files away.
  bool CheckpointsMayGo(const std::string& job_id) { return told_[job_id].checkpoints_may_go; }

 private:
  // A job as the scheduler has written it, durable or not.
  struct Job {
    v1::FineTuningJob resource;
    int lost_attempts = 0;
    absl::Time since = absl::InfinitePast();  // of its state
    double trained = 0;                       // seconds that it should have counted
    bool open = false;                        // a worker has it
    bool spoke = false;                       // the present attempt has said that it started, or that it ended
    int resumes = 0;                          // that have arrived
    int assigned = 0;                         // the last attempt that a worker got
    std::set<int64_t> checkpoints;
    std::set<int64_t> reported;               // checkpoints that the present attempt has reported and that are not registered yet
    jobs::State state() const { return resource.state(); }
  };
  // What clients know.
  struct Told {
    bool created = false, cancelled = false, paused = false, deleted = false;
    bool may_go = false;                  // somebody has asked for its deletion
    int arrivals = 0;
    bool checkpoints_may_go = false;
    int64_t newest_checkpoint = 0;        // by an event
    std::optional<int> priority;
    std::map<int64_t, uint64_t> events;   // sequence to digest
    int64_t last = 0;
    std::string state;                    // by the last event
    bool terminal = false;
  };

  void OnJobPut(const jobs::Job& job);
  void OnStateChange(const std::string& id, Job& job, const v1::StateChanged& change);
  void CheckOrder(const std::string& id, const Job& started);
  void CheckEvents(const std::string& id, jobs::State state);
  void CheckPromises(const std::map<std::string, jobs::Job>& stored, const std::vector<jobs::CheckpointRecord>& checkpoints);
  bool Damaged(const std::string& id) const;

  World& world_;
  const Scenario& scenario_;
  jobs::JobStore& store_;
  std::map<std::string, Job> jobs_;                     // by id
  std::map<std::string, Told> told_;                    // by id
  std::map<std::string, std::string> requests_;         // request_id to the name that was answered
  std::set<std::pair<std::string, int64_t>> damaged_;   // job id, step
};

// The server's event log, with the rules looking on.
class ObservedLog final : public jobs::JobEventLog {
 public:
  ObservedLog(jobs::JobEventLog& log, Rules& rules) : log_(log), rules_(rules) {}
  void Append(const std::string& job_id, v1::JobEvent event, jobs::AppendOptions options) override {
    rules_.OnAppend(job_id, event, options.changes);
    log_.Append(job_id, std::move(event), std::move(options));
  }
  void Commit(jobs::AppendOptions options) override {
    rules_.OnChanges(options.changes);
    log_.Commit(std::move(options));
  }
  absl::Status Flush() override { return log_.Flush(); }
  absl::StatusOr<std::unique_ptr<jobs::EventSubscription>> Subscribe(const std::string& job_id, int64_t after_sequence, jobs::WatchCallback wake) override {
    return log_.Subscribe(job_id, after_sequence, std::move(wake));
  }
  absl::StatusOr<std::vector<v1::JobEvent>> List(const std::string& job_id, int64_t after_sequence, int limit) override {
    return log_.List(job_id, after_sequence, limit);
  }
  absl::StatusOr<std::vector<v1::MetricPoint>> ListMetrics(const std::string& job_id, int64_t after_sequence, int limit, int64_t* last_sequence) override {
    return log_.ListMetrics(job_id, after_sequence, limit, last_sequence);
  }
  jobs::WatchStats Watchers() const override { return log_.Watchers(); }
  bool Failing() const override { return log_.Failing(); }

 private:
  jobs::JobEventLog& log_;
  Rules& rules_;
};

}  // namespace attune::simulation
