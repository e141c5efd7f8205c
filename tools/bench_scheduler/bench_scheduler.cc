// The CPU time of the scheduler while jobs wait and two run, in real time:
//
//   bench_scheduler [SECONDS = 60] [JOBS = 1000]
//
// Jobs of three projects with three priorities, two slots; each running job reports its progress five times and a metric once a second. Counted is the whole process but for the
// thread that plays the workers: the scheduler's loop, its file work, the event log's commits to SQLite.
#include <sys/resource.h>
#include <time.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>

#include "absl/synchronization/blocking_counter.h"
#include "server/base/log.h"
#include "server/database/database.h"
#include "server/jobs/job_event_log.h"
#include "server/jobs/sqlite_job_store.h"
#include "server/scheduler/scheduler.h"
#include "tests/fakes/fake_worker_pool.h"
#include "tests/fakes/worker_description.h"
#include "tests/server/scheduler/fake_stores.h"

namespace attune {
namespace {

constexpr int kSlots = 2, kProgressInASecond = 5;

double Seconds(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Of the process without the calling thread.
double CpuOfOthers() { return Seconds(CLOCK_PROCESS_CPUTIME_ID) - Seconds(CLOCK_THREAD_CPUTIME_ID); }

void CreateJobs(scheduler::Scheduler& scheduler, int jobs) {
  absl::BlockingCounter created(jobs);
  for (int i = 0; i < jobs; ++i) {
    v1::CreateFineTuningJobRequest request;
    request.mutable_spec()->set_base_model("models/mini");
    request.mutable_spec()->set_dataset("datasets/tweets");
    request.mutable_spec()->mutable_scheduling()->set_priority(i % 3);
    request.mutable_spec()->mutable_scheduling()->set_project("p" + std::to_string(i / 3 % 3));
    scheduler.CreateJob(request, [&](const absl::StatusOr<v1::FineTuningJob>& job) {
      if (!job.ok()) std::fprintf(stderr, "%s\n", job.status().ToString().c_str()), std::exit(1);
      created.DecrementCount();
    });
  }
  created.Wait();
}

int Run(int seconds, int jobs) {
  SetMinLogLevel(LogLevel::kError);
  const TemporaryDirectory directory;
  auto database = Database::Open(directory.path() + "/attune.db").value();
  auto store = jobs::SqliteJobStore::Create(*database).value();
  auto events = jobs::JobEventLog::Create(*store, Clock::System()).value();
  workers::FakeWorkerPool pool;
  scheduler::FakeCatalogue models;
  scheduler::FakeDatasets datasets;
  pool.SetStatus({.idle = kSlots});
  auto scheduler = scheduler::Scheduler::Create({.data_directory = directory.path(), .job_slots = kSlots},
                                                {*store, *events, pool, models, datasets, Files::Posix(), Clock::System()}, OneCpuDescription())
                       .value();
  CreateJobs(*scheduler, jobs + kSlots);
  std::vector<worker::v1::ConnectRequest> running;
  for (int i = 0; i < kSlots; ++i) {
    worker::v1::ConnectRequest message;
    *message.mutable_fence() = pool.WaitForAssign(static_cast<size_t>(i) + 1).fence();
    running.push_back(message);
    message.mutable_started()->set_device("cpu");
    pool.Say(message);
  }
  const double before = CpuOfOthers();
  const auto begin = std::chrono::steady_clock::now();
  for (int tick = 1; tick <= seconds * kProgressInASecond; ++tick) {
    std::this_thread::sleep_until(begin + tick * std::chrono::milliseconds(1000 / kProgressInASecond));
    for (const worker::v1::ConnectRequest& about : running) {
      worker::v1::ConnectRequest message = about;
      message.mutable_progress()->set_step(tick);
      message.mutable_progress()->set_total_steps(100000);
      message.mutable_progress()->set_eta_seconds(0.2 * (100000 - tick));
      pool.Say(message);
      if (tick % kProgressInASecond != 0) continue;
      message.clear_progress();
      message.mutable_metrics()->set_step(tick);
      for (const char* name : {"loss", "learning_rate", "gradient_norm", "samples_per_second"}) (*message.mutable_metrics()->mutable_values())[name] = 0.5;
      pool.Say(message);
    }
  }
  const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  const scheduler::SchedulerCounts counts = scheduler->Counts();
  std::printf("%d jobs wait and %d run: %.2f %% of a core over %.0f s\n", counts.queued, counts.running, 100 * (CpuOfOthers() - before) / wall, wall);
  return 0;
}

}  // namespace
}  // namespace attune

int main(int argc, char** argv) { return attune::Run(argc > 1 ? std::atoi(argv[1]) : 60, argc > 2 ? std::atoi(argv[2]) : 1000); }
