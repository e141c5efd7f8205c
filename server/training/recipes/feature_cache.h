// FeatureCache: a job's batches, with the output of the layers that are frozen read from disk instead of computed in every epoch. The key is made of everything that
// decides that output: the values of the frozen tensors, config.json, the dataset's digest, the preprocessing, the arithmetic. The training thread alone.
//
//   FeatureCache cache(setup, paths, files, reporter);
//   cache.BeginPhase();                                               // requires_grad says what learns from now on
//   auto batches = cache.Batches({.split = Split::kTrain, .rows = rows}, targets, stop);   // null: stop said so
//
// Images that are changed at random are run anew in every epoch, unless the spec limits them to some fixed views: then there is a table for each view.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/base/files.h"
#include "server/training/input/batch.h"
#include "server/training/input/feature_store.h"
#include "server/training/recipes/fine_tune_spec.h"
#include "server/training/recipes/job_reporter.h"
#include "server/training/recipes/job_setup.h"

namespace attune::training {

// Which batches, and in which epochs of the job they will be asked for.
struct FeatureRequest {
  examples::Split split = examples::Split::kTrain;
  BatchRowsOptions rows = {};
  bool augmented = false;
  int64_t first_epoch = 0, epochs = 1;
  bool keep = true;  // false: batches of texts or pixels
};

// What is kept for a request.
struct FeatureUse {
  int groups = 0;          // layer groups whose output is kept; 0: none is
  int64_t tables = 0;      // one for each fixed view that the request's epochs show
  int64_t known = 0;       // of them, those that are there already
};

class FeatureCache {
 public:
  // Without a feature_cache_dir nothing is kept: batches are those of the job's input.
  FeatureCache(JobSetup& setup, const JobPaths& paths, Files& files, JobReporter& reporter);

  void BeginPhase();
  // Null only when `stop_requested` said to stop while features were computed. Where features cannot be kept (they do not fit, the disk is full), says so in the job's log
  // and gives batches of texts or pixels. Throws what batches and model throw.
  std::unique_ptr<BatchSource> Batches(const FeatureRequest& request, const TargetFunction& targets, const std::function<bool()>& stop_requested);
  // What Batches would keep, if it fits; computes nothing.
  FeatureUse Use(const FeatureRequest& request);

 private:
  // Layer groups whose output is the same in every epoch.
  int FixedGroups(const FeatureRequest& request) const;
  using Tables = std::vector<std::shared_ptr<const FeatureTable>>;
  std::string Key(const FeatureRequest& request, int groups, const RowView& view);
  // Null when stopped, and when it cannot be kept.
  std::shared_ptr<const FeatureTable> Table(const FeatureRequest& request, int groups, const RowView& view, const std::function<bool()>& stop_requested,
                                            bool* stopped);
  // Of the fixed views that the request's epochs show; the others are null. Empty as Table is null.
  Tables ViewTables(const FeatureRequest& request, int groups, const std::function<bool()>& stop_requested, bool* stopped);

  JobSetup& setup_;
  JobReporter& reporter_;
  std::optional<FeatureStore> store_;
  std::string prefix_digest_;  // of the phase's frozen groups; empty: not computed yet
};

}  // namespace attune::training
