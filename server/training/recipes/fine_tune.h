// FineTune: the recipe for adapting a pretrained encoder to a task. New head; phases with their own trainable layers and rates; evaluation, early stopping and the best
// checkpoint; test figures with the best checkpoint at the end. The textbook policy (head first, then everything at a smaller rate) is a spec with two phases.
//
// Runs on the calling thread, which alone touches the model. A stopped run leaves a checkpoint from which another attempt goes on and ends in the same bytes.
// Throws TrainingError, std::invalid_argument and c10::Error; whatever was saved before stays.
//
//   JobResult result = FineTune(spec, {.model_dir = ..., .dataset_dir = ..., .output_dir = ...}, reporter, Files::Posix());
#pragma once

#include "server/base/clock.h"
#include "server/base/files.h"
#include "server/training/recipes/fine_tune_spec.h"
#include "server/training/recipes/job_reporter.h"

namespace attune::training {

JobResult FineTune(const FineTuneSpec& spec, const JobPaths& paths, JobReporter& reporter, Files& files, const Clock& clock = Clock::System());

}  // namespace attune::training
