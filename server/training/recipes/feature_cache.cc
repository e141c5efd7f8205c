#include "server/training/recipes/feature_cache.h"

#include <algorithm>
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

std::string FeatureCache::Key(const FeatureRequest& request, int groups, const RowView& view) {
  if (prefix_digest_.empty()) prefix_digest_ = PrefixDigest(*setup_.headed.model, groups);
  nlohmann::ordered_json key = {{"version", kKeyVersion},
                                {"architecture", setup_.headed.factory->architecture},
                                {"config", setup_.config_digest},
                                {"groups", groups},
                                {"weights", prefix_digest_},
                                {"dataset", setup_.reader->manifest().digest},
                                {"split", examples::SplitName(request.split)},
                                {"preprocessing", setup_.input->preprocessing()},
                                {"precision", setup_.precision == Precision::kBf16 ? "bf16" : "fp32"},
                                {"device", setup_.device.is_cuda() ? "cuda" : "cpu"},
                                // Sums are split over threads, so their last bits depend on how many there are.
                                {"threads", setup_.threads}};
  if (view.kind == RowView::kFixed) key["view"] = {{"seed", request.rows.seed}, {"number", view.number}, {"augmentation", setup_.input->augmentation()}};
  return key.dump();
}

std::shared_ptr<const FeatureTable> FeatureCache::Table(const FeatureRequest& request, int groups, const RowView& view,
                                                        const std::function<bool()>& stop_requested, bool* stopped) {
  const int64_t rows = request.rows.rows;
  const std::string key = Key(request, groups, view);
  const std::string what = absl::StrCat("the frozen layers' output for the ", rows, " rows of ", examples::SplitName(request.split),
                                        view.kind == RowView::kFixed ? absl::StrCat(", view ", view.number, ",") : "");
  if (std::shared_ptr<const FeatureTable> table = store_->Find(key); table != nullptr && table->rows() == rows) {
    reporter_.LogLine(absl::StrCat(what, " is known already: those layers are not run"));
    reporter_.FeaturesLookedUp(/*found=*/true);
    return table;
  }
  reporter_.LogLine(absl::StrCat("computing ", what, " once"));
  reporter_.FeaturesLookedUp(/*found=*/false);
  const auto batches = setup_.input->Batches(request.split, {.rows = rows, .batch_size = kPrefixBatch, .seed = request.rows.seed, .shuffle = false}, view, nullptr);
  const EvaluateOptions options = {setup_.device, setup_.precision, setup_.input->loader_threads(setup_.threads)};
  try {
    const auto stop = [&] { return *stopped = stop_requested(); };
    std::shared_ptr<const FeatureTable> table = ComputePrefix(*setup_.headed.model, groups, *batches, rows, options, key, *store_, stop);
    if (table == nullptr && !*stopped) {
      reporter_.LogLine(absl::StrCat(what, " is too large for the feature cache (", store_->max_bytes(), " bytes): it is computed anew in every epoch"));
    }
    return table;
  } catch (const TrainingError& error) {
    reporter_.LogLine(absl::StrCat("warning: ", what, " could not be kept, and is computed anew in every epoch: ", error.what()));
    return nullptr;
  }
}

FeatureCache::Tables FeatureCache::ViewTables(const FeatureRequest& request, int groups, const std::function<bool()>& stop_requested, bool* stopped) {
  const int64_t views = setup_.input->cached_views();
  const int64_t shown = std::min(views, request.epochs);
  Tables tables(static_cast<size_t>(views));
  for (int64_t i = 0; i < shown; ++i) {
    const int64_t view = (request.first_epoch + i) % views;
    const std::shared_ptr<const FeatureTable> table = Table(request, groups, {RowView::kFixed, static_cast<int>(view)}, stop_requested, stopped);
    if (table == nullptr) return {};
    // All of them are used in turn: where they do not fit together, each would push out the one that is needed next.
    const int64_t bytes = shown * table->rows() * table->row_values() * static_cast<int64_t>(sizeof(float));
    if (bytes > store_->max_bytes()) {
      reporter_.LogLine(absl::StrCat("the frozen layers' output for ", shown, " views (", bytes, " bytes) is too large for the feature cache (", store_->max_bytes(),
                                     " bytes): it is computed anew in every epoch; a smaller augmentation.cached_views may fit"));
      return {};
    }
    tables[static_cast<size_t>(view)] = table;
  }
  return tables;
}

int FeatureCache::FixedGroups(const FeatureRequest& request) const {
  const bool random = request.augmented && setup_.input->augments();
  return request.rows.rows > 0 && (!random || setup_.input->cached_views() > 0) ? FrozenGroups(*setup_.headed.model) : 0;
}

FeatureUse FeatureCache::Use(const FeatureRequest& request) {
  FeatureUse use;
  if (!request.keep || !store_.has_value()) return use;
  use.groups = FixedGroups(request);
  if (use.groups == 0) return use;
  const bool random = request.augmented && setup_.input->augments();
  const int64_t views = random ? setup_.input->cached_views() : 1;
  use.tables = std::min(views, request.epochs);
  for (int64_t i = 0; i < use.tables; ++i) {
    const RowView view = {random ? RowView::kFixed : RowView::kPlain, random ? static_cast<int>((request.first_epoch + i) % views) : 0};
    const std::shared_ptr<const FeatureTable> table = store_->Find(Key(request, use.groups, view));
    use.known += table != nullptr && table->rows() == request.rows.rows;
  }
  return use;
}

std::unique_ptr<BatchSource> FeatureCache::Batches(const FeatureRequest& request, const TargetFunction& targets, const std::function<bool()>& stop_requested) {
  const bool random = request.augmented && setup_.input->augments();
  const int groups = FixedGroups(request);
  // Whether views are fixed must not depend on whether there is room to keep what becomes of them.
  const RowView view = {!random ? RowView::kPlain : groups > 0 ? RowView::kFixed : RowView::kRandom, 0};
  if (groups > 0 && request.keep && store_.has_value()) {
    bool stopped = false;
    Tables tables = random ? ViewTables(request, groups, stop_requested, &stopped) : Tables{Table(request, groups, view, stop_requested, &stopped)};
    if (stopped) return nullptr;
    if (!tables.empty() && (random || tables[0] != nullptr)) {
      return std::make_unique<FeatureBatches>(std::move(tables), groups, setup_.reader, request.split, request.rows, targets);
    }
  }
  return setup_.input->Batches(request.split, request.rows, view, targets);
}

}  // namespace attune::training
