// Replay: the second dataset of a job, whose rows are mixed into the training batches. Throws std::invalid_argument and TrainingError before anything has been trained.
//
//   std::unique_ptr<Replay> replay = OpenReplay(spec, paths.replay_dataset_dir, manifest, input, headed, config);
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "server/examples/example.h"
#include "server/training/recipes/fine_tune_spec.h"
#include "server/training/recipes/headed_model.h"
#include "server/training/recipes/job_input.h"

namespace attune::training {

struct Replay {
  std::shared_ptr<const examples::ExampleReader> reader;
  std::unique_ptr<JobInput> input;  // of its rows
  std::unique_ptr<Task> head;       // its own; null where the classes are those of the first dataset, whose head learns from both
  int64_t rows_per_batch = 0;       // of the second dataset

  std::vector<Parameter> parameters() const;  // of its own head, named "replay_head.<name>"; empty without one
  std::vector<NamedTensor> State() const;     // the same, for the resume part of checkpoints
};

// Rows of a batch that are the second dataset's: at least one, and at least one is left.
int64_t ReplayRows(int64_t batch_size, double fraction);

// `manifest`, `input`: of the first dataset. Throws std::invalid_argument where the second one is of another kind or has no training rows.
std::unique_ptr<Replay> OpenReplay(const FineTuneSpec& spec, const std::string& directory, const examples::DatasetManifest& manifest, const JobInput& input,
                                   const HeadedModel& headed, const nlohmann::json& config);

}  // namespace attune::training
