// RunLrRangeTest: the recipe that finds a learning rate. Trains the first phase's layers while the rate grows exponentially from step to step, without evaluation and without
// checkpoints, until the loss blows up or the steps are used up; the curve goes to the metrics, the suggestions to the log and into the result. Weights are thrown away.
//
// Runs on the calling thread, which alone touches the model. A run that was stopped starts over. Throws as FineTune does, but for a loss that is not finite after the first
// step: that is an end like any other.
//
//   JobResult result = RunLrRangeTest(spec, {.model_dir = ..., .dataset_dir = ..., .output_dir = ...}, reporter, Files::Posix());
#pragma once

#include "server/base/clock.h"
#include "server/base/files.h"
#include "server/training/recipes/fine_tune_spec.h"
#include "server/training/recipes/job_reporter.h"

namespace attune::training {

JobResult RunLrRangeTest(const FineTuneSpec& spec, const JobPaths& paths, JobReporter& reporter, Files& files, const Clock& clock = Clock::System());

}  // namespace attune::training
