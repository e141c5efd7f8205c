// CheckpointKeeper: what a recipe asks for checkpoints. Copies the tensors and writes in the background, reports, and decides what a failed write means: while an older
// checkpoint exists and training goes on, a warning; otherwise the job's failure. The training thread alone.
//
//   keeper.Save({.step = 120, .tensors = headed.tensors(), .optimizer = optimizer.State(), .state = state, .is_best = true});
//   ...                      // forward, backward
//   keeper.FinishCopy();     // weights and optimizer may change
//   if (keeper.Settle()) tracker.ForgetBest(...);   // the checkpoint in flight was the best and is lost
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/base/files.h"
#include "server/training/recipes/job_reporter.h"
#include "server/training/steps/checkpoint_io.h"
#include "server/training/steps/checkpoint_writer.h"
#include "server/training/steps/plan/training_state.h"
#include "server/training/steps/tensor_io.h"

namespace attune::training {

struct SaveRequest {
  std::vector<NamedTensor> tensors;
  std::vector<NamedTensor> optimizer;
  TrainingState state;                    // its step names the checkpoint
  std::map<std::string, double> metrics;  // of an evaluation at this step; empty when there was none
  bool is_best = false;
  bool required = false;                  // the job has no result without it
};

class CheckpointKeeper {
 public:
  // Makes {output_dir}/checkpoints and removes what writes that were cut off left there. Throws TrainingError.
  CheckpointKeeper(Files& files, const std::string& output_dir, std::vector<CheckpointFile> fixed_files, JobReporter& reporter);

  // Starts with a checkpoint of an earlier attempt as the older one.
  void Resumed(int64_t step) { last_saved_ = step; }

  // Has the memory for copies made ready while training goes on. Without it the first Save of so many tensors takes a second more for each gigabyte.
  void Prepare(const std::vector<NamedTensor>& tensors, const std::vector<NamedTensor>& optimizer);
  // Waits for the checkpoint before, and returns while the new one is being copied and written; without memory for a copy, when it is written. Until FinishCopy or Settle only what
  // a forward pass changes (NamedTensor::moves_in_forward) may change. Throws TrainingError when the one before failed fatally.
  void Save(const SaveRequest& request);
  // Returns when all is copied, at once where nothing is. A thread of its own has most often done it.
  void FinishCopy();
  // Throws TrainingError when a write has failed fatally. Does not wait.
  void Check();
  // Waits for the checkpoint in flight; throws as Check does. True when it failed, harmlessly, and was the best.
  bool Settle();

  // How long the last checkpoint took, copying and writing: on a busy machine the writer's time is taken from training, too. Zero before the first.
  absl::Duration cost() const;

  // Step of the last durable checkpoint; absent before the first. Exact after Settle.
  std::optional<int64_t> last_saved() const;
  std::string PathOf(int64_t step) const;

 private:
  // Begins to copy what is to be written; false where memory does not hold a copy, and the tensors themselves are.
  bool BeginCopy(const SaveRequest& request);
  void Written(const CheckpointReport& report, bool required, absl::Duration took, const absl::Status& status);

  JobReporter& reporter_;
  const std::string root_;
  const std::vector<CheckpointFile> fixed_files_;
  Snapshot weights_, optimizer_;
  mutable std::mutex mutex_;
  std::optional<int64_t> last_saved_;  // guarded by mutex_
  absl::Status fatal_;                 // guarded by mutex_
  int64_t fatal_step_ = 0;             // guarded by mutex_
  bool lost_best_ = false;             // guarded by mutex_
  absl::Duration cost_;                // guarded by mutex_
  CheckpointWriter writer_;            // last: its thread uses the members above
};

}  // namespace attune::training
