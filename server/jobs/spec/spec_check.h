// Checks a FineTuningSpec against its model and dataset, and fills in what was left out. Pure: tables test it. What absent values become is written
// beside each field in proto/attune/v1/training_spec.proto.
//
//   SpecCheckResult result = CheckSpec({.spec = request.spec(), .model = model, .dataset = dataset, .layers = layers, ...});
//   ATTUNE_RETURN_IF_ERROR(ViolationsStatus(result.violations));
#pragma once

#include <string>
#include <vector>

#include "attune/v1/checkpoint.pb.h"
#include "attune/v1/dataset.pb.h"
#include "attune/v1/fine_tuning_job.pb.h"
#include "attune/v1/model.pb.h"
#include "attune/v1/system.pb.h"
#include "attune/v1/training_spec.pb.h"
#include "server/jobs/violations.h"

namespace attune::jobs {

// What spec.warm_start names.
struct WarmStartSource {
  v1::FineTuningJob job;
  v1::Checkpoint checkpoint;  // without a name: not known
  int phase = 0;              // of the job's phases, that the checkpoint is in; of use for PART_ALL
};

struct SpecCheckInput {
  v1::FineTuningSpec spec;
  v1::Model model;      // without a name: not known, checks against it are left out
  v1::Dataset dataset;  // the same
  v1::Dataset replay_dataset;  // the second one; the same
  WarmStartSource warm_start;
  std::vector<v1::Layer> layers;  // of the model, for patterns and groups
  std::vector<v1::Device> devices;  // of this server
  std::vector<v1::Architecture> architectures;  // that this server's workers train; empty: not checked
  std::vector<v1::Model> models;  // of this server, to name those that fit when the chosen one does not (see SameModality); may be empty
  int default_threads = 0;        // what absent resources.threads becomes
  int default_lost_attempts = 3;  // what absent scheduling.max_lost_attempts becomes
};

struct SpecCheckResult {
  v1::FineTuningSpec effective;             // every value filled in; meaningless when there are violations
  std::vector<FieldViolation> violations;   // all of them, not just the first
  std::vector<std::string> warnings;        // for example a class with fewer than 8 rows
};

SpecCheckResult CheckSpec(const SpecCheckInput& input);

// Whether jobs of this task learn from images; from texts otherwise.
bool TakesImages(v1::Task task);

// Whether the model takes what the dataset holds, texts or images.
bool SameModality(const v1::Model& model, const v1::Dataset& dataset);

// Rows of a split, from the dataset's report.
int64_t RowsOf(const v1::Dataset& dataset, v1::Split split);

// Why a model that learnt `task` cannot be judged by the rows of `dataset`: they are of another kind. Empty when it can.
std::string WhyRowsDoNotFit(v1::Task task, const v1::Dataset& dataset);

}  // namespace attune::jobs
