#include "server/jobs/job_fields.h"

#include <algorithm>

#include "absl/strings/str_join.h"
#include "server/base/nearest.h"
#include "server/base/str_cat.h"
#include "server/base/utf8.h"
#include "server/jobs/job.h"

namespace attune::jobs {
namespace {

constexpr size_t kMaxDisplayName = 256;
constexpr int kMaxLabels = 64;
constexpr size_t kMaxLabelKey = 63;
constexpr size_t kMaxLabelValue = 255;
constexpr size_t kShown = 80;
constexpr int kMaxPriority = 100;
constexpr double kMaxRateScale = 1000;
constexpr int kMaxEpochs = 1000;

}  // namespace

void CheckDisplayName(const std::string& name, const std::string& field, std::vector<FieldViolation>& violations) {
  if (name.size() > kMaxDisplayName) violations.push_back({field, StrCat("has ", name.size(), " bytes and may have ", kMaxDisplayName)});
}

void CheckLabels(const google::protobuf::Map<std::string, std::string>& labels, const std::string& field, std::vector<FieldViolation>& violations) {
  if (labels.size() > kMaxLabels) violations.push_back({field, StrCat("has ", labels.size(), " entries and may have ", kMaxLabels)});
  for (const auto& [key, value] : labels) {
    const std::string_view shown = Utf8Prefix(key, kShown);
    if (key.empty() || key.size() > kMaxLabelKey) violations.push_back({field, StrCat("the key \"", shown, "\" must have 1 to ", kMaxLabelKey, " characters")});
    if (value.size() > kMaxLabelValue) violations.push_back({StrCat(field, ".", shown), StrCat("has ", value.size(), " bytes and may have ", kMaxLabelValue)});
  }
}

bool IsPriority(int priority) { return priority >= -kMaxPriority && priority <= kMaxPriority; }

void DropWaiting(v1::FineTuningJob& job, const std::function<bool(const v1::Adjustment&)>& which) {
  auto& all = *job.mutable_adjustments();
  all.erase(std::remove_if(all.begin(), all.end(), [&](const v1::Adjustment& known) { return known.after_step() < 0 && which(known); }), all.end());
}

absl::Status CheckUpdate(const v1::UpdateFineTuningJobRequest& request) {
  const std::vector<std::string> known = {"display_name", "labels", "priority", kLearningRateScale, kEpochs, kPatience};
  const v1::FineTuningJob& job = request.fine_tuning_job();
  std::vector<FieldViolation> violations;
  if (request.update_mask().paths().empty()) violations.push_back({"update_mask", StrCat("must name what to change: ", absl::StrJoin(known, ", "))});
  for (const std::string& path : request.update_mask().paths()) {
    if (path == "display_name") {
      CheckDisplayName(job.display_name(), "fine_tuning_job.display_name", violations);
    } else if (path == "labels") {
      CheckLabels(job.labels(), "fine_tuning_job.labels", violations);
    } else if (path == "priority") {
      if (!IsPriority(job.priority())) violations.push_back({"fine_tuning_job.priority", StrCat("must be -100 to 100, not ", job.priority())});
    } else if (path == kLearningRateScale) {
      const double scale = job.live_settings().learning_rate_scale();
      const bool right = scale > 0 && scale <= kMaxRateScale;
      if (job.live_settings().has_learning_rate_scale() && !right) violations.push_back({StrCat("fine_tuning_job.", path), StrCat("must be over 0 to 1000, not ", scale)});
    } else if (path == kEpochs) {
      const int epochs = job.live_settings().n_epochs();
      const bool right = epochs >= 1 && epochs <= kMaxEpochs;
      if (job.live_settings().has_n_epochs() && !right) violations.push_back({StrCat("fine_tuning_job.", path), StrCat("must be 1 to 1000, not ", epochs)});
    } else if (path == kPatience) {
      const int patience = job.live_settings().early_stopping_patience();
      if (patience < 0) violations.push_back({StrCat("fine_tuning_job.", path), StrCat("must be at least 0, not ", patience)});
    } else {
      const std::string nearest = Nearest(path.substr(0, kShown), known);
      violations.push_back({"update_mask", StrCat("\"", Utf8Prefix(path, kShown), "\" cannot be changed; ", nearest.empty() ? "" : StrCat("did you mean ", nearest, "? "),
                                                  "these can: ", absl::StrJoin(known, ", "))});
    }
  }
  return ViolationsStatus(violations);
}

absl::Status CheckUpdate(const v1::UpdateCheckpointRequest& request) {
  std::vector<FieldViolation> violations;
  if (request.update_mask().paths().empty()) violations.push_back({"update_mask", "must name what to change: pinned"});
  for (const std::string& path : request.update_mask().paths()) {
    if (path != "pinned") violations.push_back({"update_mask", StrCat("\"", Utf8Prefix(path, kShown), "\" cannot be changed; pinned can")});
  }
  return ViolationsStatus(violations);
}

absl::Status NoSuchJob(const std::string& id) { return absl::NotFoundError(StrCat(JobName(id), " does not exist; ListFineTuningJobs shows those that do")); }

}  // namespace attune::jobs
