// A phase's training batches: rows of the job's dataset, with frozen layers' output in place of pixels or texts where it can be kept, and with rows of the second dataset
// where there is replay. What all recipes train on.
//
//   std::unique_ptr<BatchSource> batches = TrainingBatches(setup, features, spec, state.phase, [&] { return stopped; });
#pragma once

#include <functional>
#include <memory>

#include "server/training/recipes/feature_cache.h"
#include "server/training/recipes/fine_tune_spec.h"
#include "server/training/recipes/job_setup.h"

namespace attune::training {

// What TrainingBatches asks the cache for. `phase`: index into setup.plan->phases().
FeatureRequest TrainingRequest(const JobSetup& setup, const FineTuneSpec& spec, int phase);

// `own`, and in each of its batches `rows_per_batch` rows of the second dataset. Only where there is replay.
std::unique_ptr<BatchSource> WithReplay(const JobSetup& setup, std::unique_ptr<BatchSource> own, const FineTuneSpec& spec, bool augmented, int64_t rows_per_batch);

// Null only when `stop_requested` said to stop while features were computed. Throws what batches and model throw.
std::unique_ptr<BatchSource> TrainingBatches(JobSetup& setup, FeatureCache& features, const FineTuneSpec& spec, int phase, const std::function<bool()>& stop_requested);

}  // namespace attune::training
