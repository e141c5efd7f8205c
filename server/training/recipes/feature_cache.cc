#include "server/training/recipes/feature_cache.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "server/training/input/feature_batches.h"
#include "server/training/steps/frozen_prefix.h"
#include "server/training/steps/training_error.h"

namespace attune::training {
namespace {

constexpr int kKeyVersion = 1;
constexpr int64_t kPrefixBatch = 32;  // not the job's: jobs with other batch sizes share the table

}  // namespace

FeatureCache::FeatureCache(JobSetup& setup, const JobPaths& paths, Files& files, JobReporter& reporter) : setup_(setup), reporter_(reporter) {
  if (!paths.feature_cache_dir.empty() && paths.feature_cache_bytes > 0) store_.emplace(files, paths.feature_cache_dir, paths.feature_cache_bytes);
}

void FeatureCache::BeginPhase() { prefix_digest_.clear(); }

std::string FeatureCache::Key(examples::Split split, int groups) {
  if (prefix_digest_.empty()) prefix_digest_ = PrefixDigest(*setup_.headed.model, groups);
  const nlohmann::ordered_json key = {{"version", kKeyVersion},
                                      {"architecture", setup_.headed.factory->architecture},
                                      {"config", setup_.config_digest},
                                      {"groups", groups},
                                      {"weights", prefix_digest_},
                                      {"dataset", setup_.reader->manifest().digest},
                                      {"split", examples::SplitName(split)},
                                      {"preprocessing", setup_.input->preprocessing()},
                                      {"precision", setup_.precision == Precision::kBf16 ? "bf16" : "fp32"},
                                      {"device", setup_.device.is_cuda() ? "cuda" : "cpu"},
                                      // Sums are split over threads, so their last bits depend on how many there are.
                                      {"threads", setup_.threads}};
  return key.dump();
}

std::shared_ptr<const FeatureTable> FeatureCache::Table(examples::Split split, int64_t rows, int groups, const std::function<bool()>& stop_requested, bool* stopped) {
  const std::string key = Key(split, groups);
  const std::string what = absl::StrCat("the frozen layers' output for the ", rows, " rows of ", examples::SplitName(split));
  if (std::shared_ptr<const FeatureTable> table = store_->Find(key); table != nullptr && table->rows() == rows) {
    reporter_.LogLine(absl::StrCat(what, " is known already: those layers are not run"));
    return table;
  }
  reporter_.LogLine(absl::StrCat("computing ", what, " once"));
  const auto plain = setup_.input->Batches(split, {.rows = rows, .batch_size = kPrefixBatch, .shuffle = false}, /*augmented=*/false, nullptr);
  const EvaluateOptions options = {setup_.device, setup_.precision, setup_.input->loader_threads(setup_.threads)};
  try {
    const auto stop = [&] { return *stopped = stop_requested(); };
    std::shared_ptr<const FeatureTable> table = ComputePrefix(*setup_.headed.model, groups, *plain, rows, options, key, *store_, stop);
    if (table == nullptr && !*stopped) {
      reporter_.LogLine(absl::StrCat(what, " is too large for the feature cache (", store_->max_bytes(), " bytes): it is computed anew in every epoch"));
    }
    return table;
  } catch (const TrainingError& error) {
    reporter_.LogLine(absl::StrCat("warning: ", what, " could not be kept, and is computed anew in every epoch: ", error.what()));
    return nullptr;
  }
}

std::unique_ptr<BatchSource> FeatureCache::Batches(examples::Split split, const BatchRowsOptions& rows, bool augmented, const TargetFunction& targets,
                                                   const std::function<bool()>& stop_requested) {
  const bool fixed = !augmented || !setup_.input->augments();
  const int groups = store_.has_value() && fixed && rows.rows > 0 ? FrozenGroups(*setup_.headed.model) : 0;
  if (groups > 0) {
    bool stopped = false;
    const std::shared_ptr<const FeatureTable> table = Table(split, rows.rows, groups, stop_requested, &stopped);
    if (stopped) return nullptr;
    if (table != nullptr) return std::make_unique<FeatureBatches>(table, groups, setup_.reader, split, rows, targets);
  }
  return setup_.input->Batches(split, rows, augmented, targets);
}

}  // namespace attune::training
