// What workers say about their attempts, up to the scheduler: jobs go from state to state by it. The input is a list of
// moves; each begins with a byte that says which.
#include <deque>
#include <filesystem>
#include <fstream>
#include <utility>

#include "google/protobuf/stubs/logging.h"
#include "server/base/log.h"
#include "server/base/str_cat.h"
#include "server/jobs/group_commit_event_log.h"
#include "server/scheduler/checkpoint_files.h"
#include "server/scheduler/scheduler.h"
#include "tests/fakes/fake_worker_pool.h"
#include "tests/fakes/manual_clock.h"
#include "tests/fakes/memory_job_store.h"
#include "tests/fakes/worker_description.h"
#include "tests/fuzz/driver/fuzz.h"
#include "tests/server/scheduler/fake_stores.h"

namespace attune::fuzz {
namespace {

// Runs what was posted when it is told to.
class QueueExecutor final : public scheduler::Executor {
 public:
  explicit QueueExecutor(Task when_idle) : when_idle_(std::move(when_idle)) {}
  void Post(Task task) override {
    if (!stopped_) queue_.push_back(std::move(task));
  }
  void WakeAfter(absl::Duration) override {}
  void Stop() override {
    Run();
    stopped_ = true;
  }
  bool AwaitWithTimeout(absl::Mutex&, const absl::Condition& done, absl::Duration) override { return done.Eval(); }
  // False when there was nothing to do.
  bool Run() {
    if (queue_.empty()) return false;
    while (!queue_.empty()) {
      const Task task = std::move(queue_.front());
      queue_.pop_front();
      task();
    }
    Idle();
    return true;
  }
  void Idle() {
    if (when_idle_ && !stopped_) when_idle_();
  }

 private:
  const Task when_idle_;
  std::deque<Task> queue_;
  bool stopped_ = false;
};

// Files that were there before stay as they are.
class NoFiles final : public Files {
 public:
  absl::StatusOr<std::unique_ptr<WritableFile>> Create(const std::string&) override {
    return absl::UnimplementedError("fake");
  }
  absl::StatusOr<std::unique_ptr<WritableFile>> OpenForAppend(const std::string&) override {
    return absl::UnimplementedError("fake");
  }
  absl::StatusOr<int64_t> FreeBytes(const std::string&) override { return int64_t{1} << 40; }
  absl::Status Truncate(const std::string&, int64_t) override { return absl::OkStatus(); }
  absl::Status Rename(const std::string&, const std::string&) override { return absl::OkStatus(); }
  absl::Status SyncDirectory(const std::string&) override { return absl::OkStatus(); }
  absl::Status CreateDirectories(const std::string&) override { return absl::OkStatus(); }
  absl::Status Remove(const std::string&) override { return absl::OkStatus(); }
  absl::Status RemoveRecursively(const std::string&) override { return absl::OkStatus(); }
  absl::Status Link(const std::string&, const std::string&) override { return absl::OkStatus(); }
};

// What workers leave on the disk: checkpoints of both jobs, some of them whole.
class DataDirectory {
 public:
  DataDirectory() {
    const std::string good =
        R"({"step": 1, "files": [{"path": "model.safetensors", "size_bytes": 1, "purpose": "weights"}, {"path": "o", "size_bytes": 1, "purpose": "resume"}]})";
    const std::string other_step = R"({"step": 9, "files": [{"path": "model.safetensors", "size_bytes": 1}]})";
    for (const char* job : {"j1", "j2"}) {
      Write(job, 1, good);
      Write(job, 2, good.substr(0, good.find('1')) + "2" + good.substr(good.find('1') + 1));
      Write(job, 3, other_step);
      Write(job, -4, R"({"step": -4, "files": [{"path": "../../x", "size_bytes": 0}]})");
    }
  }
  const std::string& path() const { return directory_.path(); }

 private:
  void Write(const std::string& job, int64_t step, const std::string& manifest) {
    const std::string path =
        StrCat(directory_.path(), "/jobs/", job, "/checkpoints/", scheduler::CheckpointDirectoryName(step));
    std::filesystem::create_directories(path);
    std::ofstream(path + "/manifest.json") << manifest;
    std::ofstream(path + "/model.safetensors") << "w";
    std::ofstream(path + "/o") << "o";
  }
  TemporaryDirectory directory_;
};

class Game {
 public:
  Game() : log_(store_, clock_, jobs::EventLogOptions{.own_thread = false}) {
    static const auto& data = *new DataDirectory;
    scheduler::SchedulerDependencies dependencies{store_, log_, pool_, models_, datasets_, files_, clock_};
    dependencies.make_executor = [this](scheduler::Executor::Task when_idle) {
      return executors_.emplace_back(std::make_shared<QueueExecutor>(std::move(when_idle)));
    };
    dependencies.new_id = [this](char prefix) { return StrCat(std::string(1, prefix), ++ids_); };
    scheduler_ = scheduler::Scheduler::Create({.data_directory = data.path()}, dependencies, OneCpuDescription()).value();
    for (const int seconds : {1, 0}) {
      v1::CreateFineTuningJobRequest request;
      request.mutable_spec()->set_base_model("models/mini");
      request.mutable_spec()->set_dataset("datasets/tweets");
      request.mutable_spec()->mutable_resources()->set_memory_bytes(1);
      request.mutable_spec()->mutable_scheduling()->mutable_retry_policy()->set_backoff_seconds(seconds);
      scheduler_->CreateJob(request, absl::OkStatus(),
                            [this](absl::StatusOr<v1::FineTuningJob> job) { names_.push_back(job.value().name()); });
      Settle();
    }
    Require(names_.size() == 2 && pool_.assignments() == 1, "one job waits for the other");
  }
  ~Game() {
    Settle();
    for (const std::string& name : names_) CheckEvents(name);
    scheduler_ = nullptr;
  }

  void Move(Pieces& pieces) {
    const uint8_t move = pieces.Byte();
    switch (move % 8) {
      case 4:
        End(pieces);
        break;
      case 5:
        Steer(pieces);
        break;
      case 6:
        clock_.Advance(absl::Seconds(int64_t{pieces.Byte()} * 10));
        executors_[0]->Idle();
        break;
      default:
        Say(pieces.TakeCounted(), /*fence_it=*/move % 8 != 3);
    }
    Settle();
  }

 private:
  void Settle() {
    for (bool more = true; more;) {
      more = false;
      for (size_t i = 0; i < executors_.size(); ++i) more |= executors_[i]->Run();
      while (log_.HasWaiting()) {
        Require(log_.CommitNext() == absl::ZeroDuration(), "what happens to jobs can be stored");
        more = true;
      }
    }
  }

  std::optional<worker::v1::Fence> Open() {
    const size_t count = pool_.assignments();
    if (count == ended_) return std::nullopt;
    return pool_.WaitForAssign(count).fence();
  }

  // As the pool hands it on.
  void Say(std::string_view bytes, bool fence_it) {
    worker::v1::ConnectRequest message;
    if (!Parse(bytes, message)) return;
    if (fence_it) {
      if (const auto fence = Open()) *message.mutable_fence() = *fence;
    }
    pool_.Say(std::move(message));
  }

  void End(Pieces& pieces) {
    const uint8_t how = pieces.Byte();
    const std::string_view bytes = pieces.TakeCounted();
    const auto fence = Open();
    if (!fence) return;
    const workers::AttemptId attempt{fence->job(), fence->attempt()};
    worker::v1::Finished finished;
    worker::v1::Failed failed;
    if (how % 3 == 0 && Parse(bytes, finished)) {
      pool_.End(attempt, std::move(finished));
    } else if (how % 3 == 1 && Parse(bytes, failed)) {
      pool_.End(attempt, std::move(failed), {"last", "words"});
    } else {
      pool_.End(attempt, workers::WorkerLost{static_cast<workers::ExitReason>(how / 3 % 9), "it was lost"},
                {"last", "words"});
    }
    ended_ = pool_.assignments();
  }

  // As clients do.
  void Steer(Pieces& pieces) {
    const uint8_t verb = pieces.Byte();
    const std::string& name = names_[verb % 2];
    const auto ignore = [](const auto&) {};
    switch (verb / 2 % 6) {
      case 0:
        return scheduler_->CancelJob(name, ignore);
      case 1:
        return scheduler_->PauseJob(name, ignore);
      case 2:
        return scheduler_->ResumeJob(name, ignore);
      case 3:
        return scheduler_->DeleteJob(name, ignore);
      case 4:
        return scheduler_->DeleteCheckpoint(name + "/checkpoints/1", ignore);
      default: {
        v1::UpdateFineTuningJobRequest request;
        if (!Parse(pieces.TakeCounted(), request)) return;
        request.mutable_fine_tuning_job()->set_name(name);
        scheduler_->UpdateJob(std::move(request), ignore);
      }
    }
  }

  // Watchers and lists can read everything that was stored.
  void CheckEvents(const std::string& name) {
    const auto events = log_.List(name.substr(name.rfind('/') + 1), 0, 1000);
    Require(events.ok(), "events can be read");
    constexpr int64_t kYear10000 = 253'402'300'800;  // of what JSON can say
    const auto job = scheduler_->GetJob(name);
    if (job.ok()) Require(job->predicted_start_time().seconds() < kYear10000, "clients can print a job");
  }

  template <typename Message>
  static bool Parse(std::string_view bytes, Message& message) {
    return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  }

  ManualClock clock_;
  jobs::MemoryJobStore store_;
  jobs::GroupCommitEventLog log_;
  workers::FakeWorkerPool pool_;
  scheduler::FakeCatalogue models_;
  scheduler::FakeDatasets datasets_;
  NoFiles files_;
  int ids_ = 0;
  size_t ended_ = 0;                                       // of the pool's assignments
  std::vector<std::shared_ptr<QueueExecutor>> executors_;  // the loop's first
  std::vector<std::string> names_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
};

}  // namespace
}  // namespace attune::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace attune;
  SetMinLogLevel(LogLevel::kError);
  google::protobuf::SetLogHandler(nullptr);  // what cannot be parsed is refused, and no news
  constexpr int kMostMoves = 24;
  fuzz::Pieces pieces(fuzz::Input(data, size));
  fuzz::Game game;
  for (int i = 0; i < kMostMoves && !pieces.empty(); ++i) game.Move(pieces);
  return 0;
}
