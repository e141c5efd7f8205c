// Checks a FineTuningSpec against its model and dataset, and fills in what was left out. Pure: tables test it.
#pragma once

#include <string>
#include <vector>

#include "attune/v1/dataset.pb.h"
#include "attune/v1/model.pb.h"
#include "attune/v1/system.pb.h"
#include "attune/v1/training_spec.pb.h"

namespace attune::jobs {

struct FieldViolation {
  std::string field;        // "spec.hyperparameters.n_epochs"
  std::string description;  // what is wrong and what to do
};

struct SpecCheckInput {
  v1::FineTuningSpec spec;
  v1::Model model;
  v1::Dataset dataset;
  std::vector<v1::Layer> layers;  // of the model, for patterns and groups
  std::vector<v1::Device> devices;  // of this server
  int default_threads = 0;        // what absent resources.threads becomes
};

struct SpecCheckResult {
  v1::FineTuningSpec effective;             // every value filled in; meaningless when there are violations
  std::vector<FieldViolation> violations;   // all of them, not just the first
  std::vector<std::string> warnings;        // for example a class with fewer than 8 rows
};

SpecCheckResult CheckSpec(const SpecCheckInput& input);

}  // namespace attune::jobs
