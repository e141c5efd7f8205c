#include "server/training/recipes/checkpoint_keeper.h"

#include <chrono>
#include <exception>
#include <new>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/training/steps/out_of_memory.h"
#include "server/training/steps/training_error.h"

namespace attune::training {
namespace {

std::string PrepareRoot(Files& files, const std::string& output_dir, JobReporter& reporter) {
  const std::string root = output_dir + "/checkpoints";
  ThrowIfError(files.CreateDirectories(root));
  // Rubbish in the way of nothing: worth a word, not the job.
  const absl::Status removed = RemoveUnfinishedCheckpoints(files, root);
  if (!removed.ok()) reporter.LogLine(absl::StrCat("warning: an unfinished checkpoint could not be removed: ", std::string(removed.message())));
  return root;
}

const char* Advice(const absl::Status& status) {
  return status.code() == absl::StatusCode::kResourceExhausted ? "; free some disk space, or keep fewer checkpoints (keep_last, save_steps)" : "";
}

}  // namespace

CheckpointKeeper::CheckpointKeeper(Files& files, const std::string& output_dir, std::vector<CheckpointFile> fixed_files, JobReporter& reporter)
    : reporter_(reporter), root_(PrepareRoot(files, output_dir, reporter)), fixed_files_(std::move(fixed_files)), writer_(files, root_) {}

std::string CheckpointKeeper::PathOf(int64_t step) const { return absl::StrCat(root_, "/", CheckpointDirectory(step)); }

std::optional<int64_t> CheckpointKeeper::last_saved() const {
  std::lock_guard lock(mutex_);
  return last_saved_;
}

absl::Duration CheckpointKeeper::cost() const {
  std::lock_guard lock(mutex_);
  return cost_;
}

void CheckpointKeeper::Prepare(const std::vector<NamedTensor>& tensors, const std::vector<NamedTensor>& optimizer) {
  writer_.WaitIdle();
  try {
    weights_.Reserve(tensors);
    optimizer_.Reserve(optimizer);
  } catch (const std::bad_alloc&) {
    return;  // Save does without
  }
  writer_.Run([this] {
    weights_.Populate();
    optimizer_.Populate();
  });
}

void CheckpointKeeper::Save(const SaveRequest& request) {
  writer_.WaitIdle();
  Check();
  const auto start = std::chrono::steady_clock::now();
  const bool copied = BeginCopy(request);
  CheckpointContent content;
  content.step = request.state.step;
  content.weights = weights_.views();
  content.optimizer = optimizer_.views();
  content.files = fixed_files_;
  content.files.push_back({kTrainingStateFile, std::make_shared<const std::string>(request.state.ToJson()), true});
  CheckpointReport report{request.state.step, CheckpointDirectory(request.state.step), request.metrics, request.is_best};
  const auto written = [this, report = std::move(report), required = request.required, start](const absl::Status& status) {
    Written(report, required, absl::FromChrono(std::chrono::steady_clock::now() - start), status);
  };
  writer_.Write(std::move(content), written, [this] { FinishCopy(); });
  if (!copied) writer_.WaitIdle();  // it reads the tensors themselves
}

void CheckpointKeeper::FinishCopy() {
  weights_.Finish();
  optimizer_.Finish();
}

bool CheckpointKeeper::BeginCopy(const SaveRequest& request) {
  try {
    weights_.Begin(request.tensors);
    optimizer_.Begin(request.optimizer);
    return true;
  } catch (const std::exception& error) {
    if (!IsOutOfMemory(error)) throw;
  }
  weights_.Borrow(request.tensors);
  optimizer_.Borrow(request.optimizer);
  return false;
}

void CheckpointKeeper::Written(const CheckpointReport& report, bool required, absl::Duration took, const absl::Status& status) {
  if (status.ok()) {
    {
      std::lock_guard lock(mutex_);
      cost_ = took;
      last_saved_ = report.step;
    }
    CheckpointReport written = report;
    written.seconds = absl::ToDoubleSeconds(took);
    reporter_.CheckpointWritten(written);
    return;
  }
  const std::string what = absl::StrCat("checkpoint ", report.directory, " could not be written: ", std::string(status.message()), Advice(status));
  std::string outcome;
  {
    std::lock_guard lock(mutex_);
    if (required || !last_saved_.has_value()) {
      fatal_ = absl::Status(status.code(), what);
      fatal_step_ = report.step;
      return;
    }
    lost_best_ = report.is_best;
    outcome = absl::StrCat("; training goes on, the checkpoint of step ", *last_saved_, " is kept");
  }
  reporter_.LogLine("warning: " + what + outcome);
}

void CheckpointKeeper::Check() {
  std::lock_guard lock(mutex_);
  ThrowIfError(fatal_, fatal_step_);
}

bool CheckpointKeeper::Settle() {
  writer_.WaitIdle();
  Check();
  std::lock_guard lock(mutex_);
  return std::exchange(lost_best_, false);
}

}  // namespace attune::training
