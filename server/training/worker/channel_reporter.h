// ChannelReporter: a recipe's reports as messages about one attempt. Owned by the worker's loop for the time of the attempt. As thread-safe as JobReporter asks.
#pragma once

#include <optional>
#include <utility>

#include "server/base/log.h"
#include "server/training/recipes/job_reporter.h"
#include "server/training/recipes/probe/memory_meter.h"
#include "server/training/worker/worker_channel.h"

namespace attune::training {

class ChannelReporter final : public JobReporter {
 public:
  // `memory`: of the attempt's device.
  ChannelReporter(WorkerChannel& channel, AttemptFence attempt, MemoryMeter& memory) : channel_(channel), attempt_(std::move(attempt)), memory_(memory) {}
  ~ChannelReporter() override { channel_.SetStep(0); }

  void Started(int64_t resumed_from_step, const std::string& device, int threads) override {
    step_ = resumed_from_step;
    channel_.SendStarted(attempt_, resumed_from_step, device, threads);
  }
  void Phase(const PhaseReport& report) override { channel_.Send(attempt_, report); }
  void Step(int64_t step) override {
    step_ = step;
    channel_.SetStep(step);
  }
  void Progress(const ProgressReport& report) override {
    progress_ = report;
    SendProgress();
  }
  void Metrics(const MetricReport& report) override { channel_.Send(attempt_, report); }
  void Evaluation(const EvaluationReport& report) override { channel_.Send(attempt_, report); }
  void CheckpointWritten(const CheckpointReport& report) override { channel_.Send(attempt_, report); }
  void Adjusted(const Adjustment& adjustment) override { channel_.Send(attempt_, adjustment); }
  std::optional<LiveSettings> NewSettings() override { return channel_.NewSettings(attempt_); }
  // On standard error too: its last lines go with a failure.
  void LogLine(const std::string& text) override {
    Log(LogLevel::kInfo, text, {{"job", attempt_.job}, {"attempt", attempt_.attempt}});
    channel_.SendLogLine(attempt_, text);
  }
  void FeaturesLookedUp(bool found) override { ++(found ? cache_hits_ : cache_misses_); }
  StopRequest Stop() override { return channel_.Stop(attempt_); }

  int64_t step() const { return step_; }  // the last one that ended

  // The last progress once more, with the peak of memory as it is now: what came after the last step (a checkpoint, the test split) counts, too.
  void SendProgress() {
    if (!progress_.has_value()) return;
    progress_->peak_memory_bytes = memory_.PeakBytes();
    progress_->work.feature_cache_hits = cache_hits_;
    progress_->work.feature_cache_misses = cache_misses_;
    channel_.Send(attempt_, *progress_);
  }

 private:
  WorkerChannel& channel_;
  const AttemptFence attempt_;
  MemoryMeter& memory_;
  int64_t step_ = 0;                        // the training thread's
  int64_t cache_hits_ = 0, cache_misses_ = 0;  // the training thread's
  std::optional<ProgressReport> progress_;  // the training thread's
};

}  // namespace attune::training
