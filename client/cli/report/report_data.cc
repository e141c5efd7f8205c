#include "client/cli/report/report_data.h"

#include "absl/strings/match.h"

namespace attune::cli {

bool HoldsImages(const ReportData& data) {
  if (data.dataset.has_value()) return data.dataset->modality() == "image";
  return absl::StartsWith(v1::Task_Name(data.job.effective_spec().task()), "TASK_IMAGE_");
}

bool IsRegression(const ReportData& data) {
  if (data.dataset.has_value()) return data.dataset->label_kind() == v1::LABEL_KIND_REGRESSION;
  return absl::EndsWith(v1::Task_Name(data.job.effective_spec().task()), "_REGRESSION");
}

const v1::Evaluation* BestKnownEvaluation(const ReportData& data) {
  if (data.job.has_test_evaluation()) return &data.job.test_evaluation();
  if (data.evaluation.has_value() && data.evaluation->has_evaluation()) return &data.evaluation->evaluation();
  const v1::Evaluation* best = nullptr;
  for (const v1::JobEvent& event : data.events) {
    if (event.has_evaluation() && (best == nullptr || event.evaluation().is_best() || !best->is_best()))
      best = &event.evaluation();
  }
  return best;
}

}  // namespace attune::cli
