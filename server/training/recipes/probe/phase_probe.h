// PhaseProbe: one phase of a job in miniature: its own optimizer, batches, steps, evaluation and checkpoint, over and over the same weights (the learning rate is 0). The training
// thread alone. Passes on what training throws.
//
//   PhaseProbe probe(context, /*phase=*/1);
//   PhaseFindings found = probe.Run();
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "server/training/recipes/checkpoint_keeper.h"
#include "server/training/recipes/feature_cache.h"
#include "server/training/recipes/fine_tune_spec.h"
#include "server/training/recipes/job_setup.h"
#include "server/training/recipes/probe/memory_meter.h"
#include "server/training/recipes/probe/probe_batches.h"
#include "server/training/recipes/probe/row_sizes.h"
#include "server/training/steps/plan/memory_fit.h"
#include "server/training/steps/weight_average.h"

namespace attune::training {

// What the phases of a probe share. All must outlive it.
struct ProbeContext {
  const FineTuneSpec& spec;
  const JobPaths& paths;
  JobSetup& setup;
  FeatureCache& job_features;  // where the job would keep the outputs of frozen layers; only asked
  FeatureCache& no_features;   // keeps nothing
  CheckpointKeeper& keeper;
  MemoryMeter& meter;
  const RowSizes& train_sizes;
  const RowSizes& evaluation_sizes;
  int64_t memory_limit = 0;         // 0: not known
  std::function<void()> check_stop;  // throws when the probe is to end
  bool memory_only = false;          // times of what is found are 0
  bool may_reload = false;           // whether the last phase may end with an older checkpoint being loaded
  int kept_groups = 0, kept_evaluation_groups = 0;  // whose output the phase before would have kept: a phase with as many finds it
};

struct PhaseFindings {
  int64_t trainable_parameters = 0;
  int64_t gradients_bytes = 0, optimizer_bytes = 0;
  double step_seconds = 0, spread = 0;  // of an ordinary step: on average, and as PhaseWork says
  double table_seconds = 0;             // of passes that fill the feature cache
  int64_t table_bytes = 0;              // that the job maps meanwhile
  double evaluation_seconds = 0;        // of one evaluation; 0: there is nothing to evaluate on
  double forward_seconds_per_unit = 0;  // of an evaluation of texts or pixels
  double copy_seconds = 0, write_seconds = 0;  // of its checkpoint
  int64_t checkpoint_bytes = 0;
  int64_t peak_bytes = 0;               // of all that was done here
  int64_t reload_peak_bytes = 0;        // of the last phase's end, with a checkpoint's file mapped; 0: none is loaded
  MemoryFit fit;                        // of the peak, over units of the largest batch of so many rows
  int64_t fitted_batch = 0;             // largest batch that ran; less than batch_size where memory would not have sufficed
  int64_t largest_batch = 0;            // that fits, by the line
  int64_t needed_bytes = 0;             // peak with the job's batch: as it was, or by the line where that did not run
};

class PhaseProbe {
 public:
  PhaseProbe(ProbeContext& context, int phase);
  ~PhaseProbe();

  // Once.
  PhaseFindings Run();

 private:
  struct Timed {
    double seconds = 0;
    std::vector<double> per_unit;  // seconds of each step or batch
    double start_seconds = 0;      // that the first took longer than it would have later
    double typical() const;        // the mean, in which the slowest, which another program may have held up, counts as the next slowest
  };
  void NotePeak();
  int64_t OwnRows(int64_t batch_size) const;
  std::vector<int64_t> LargestRows(int64_t batch_size) const;
  double LargestUnits(int64_t batch_size) const;
  Timed TimePrefix(examples::Split split, int groups);
  void Grow();
  // One step of the phase's largest batch of so many rows.
  void LargestStep(int64_t batch_size);
  Timed OrdinarySteps(int64_t batch_size);
  void TimeSteps();
  void Evaluate();
  void Save();
  void ReloadBest();
  // Whether steps come while the copy of a checkpoint is there.
  bool StepsFollowACheckpoint() const;
  void Conclude();
  // False ends it.
  using AfterStep = std::function<bool(double seconds, int64_t rows, int64_t tokens)>;
  void Steps(const BatchSource& batches, const TrainingPlan& plan, int phase, const AfterStep& after_step);

  ProbeContext& context_;
  const int phase_;
  const PlannedPhase planned_;
  const PhaseSpec& phase_spec_;
  const ProbeBatches batches_;
  std::unique_ptr<HeaviestBatches> heaviest_;  // texts
  std::unique_ptr<Optimizer> optimizer_;
  std::optional<WeightAverage> average_;
  FeatureUse train_use_, evaluation_use_;
  double prefix_seconds_per_unit_ = 0;
  int64_t row_bytes_ = 0;               // of a row's kept output
  int64_t steps_ = 0;
  PhaseFindings found_;
};

}  // namespace attune::training
