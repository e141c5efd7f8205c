#include "server/datasets/importing/import_plan.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string_view>

#include "server/base/ids.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/datasets/formats/text.h"

namespace attune::datasets {
namespace {

constexpr double kMaxShare = 0.9;
constexpr double kDefaultValidationShare = 0.1;
constexpr int kMaxFiles = 1000;

absl::Status CheckShare(std::string_view field, double share) {
  if (share >= 0 && share <= kMaxShare) return absl::OkStatus();  // false for NaN
  return FieldError(field, StrCat(field, " is ", share, ": give a share of the rows from 0 to ", kMaxShare));
}

absl::Status CheckFiles(const v1::ImportDatasetRequest& request) {
  if (request.files().empty()) return FieldError("files", "files is empty: give at least one complete upload");
  if (request.files_size() > kMaxFiles) {
    return FieldError("files", StrCat("files has ", request.files_size(), " entries, at most ", kMaxFiles,
                                      " are allowed: join some of the files"));
  }
  std::set<std::string> seen;
  for (int i = 0; i < request.files_size(); ++i) {
    const v1::ImportFile& file = request.files(i);
    const std::string field = StrCat("files[", i, "].upload");
    absl::StatusOr<std::string> id = ParseResourceName(file.upload(), "uploads");
    if (!id.ok()) return FieldError(field, StrCat(field, ": ", std::string(id.status().message())));
    if (!seen.insert(*id).second)
      return FieldError(field, StrCat(field, " ", file.upload(), " is there twice: give each upload once"));
    if (!v1::Split_IsValid(file.split())) {
      return FieldError(StrCat("files[", i, "].split"),
                        "unknown split: use SPLIT_TRAIN, SPLIT_VALIDATION or SPLIT_TEST");
    }
  }
  return absl::OkStatus();
}

// A column that serves two purposes is a mistake that would otherwise show as strange rows.
absl::Status CheckColumns(const ColumnNames& columns) {
  std::set<std::string> seen;
  for (const WantedColumn& wanted : WantedColumns(columns)) {
    if (wanted.name.empty() || seen.insert(wanted.name).second) continue;
    return FieldError(wanted.request_field, StrCat(wanted.request_field, " ", Quoted(wanted.name),
                                                   " is also another column of the request: give each its own"));
  }
  return absl::OkStatus();
}

absl::Status SettleTexts(const v1::ImportDatasetRequest& request) {
  constexpr std::string_view kFor = " is for images, and the files hold texts: leave it out";
  if (!request.image_column().empty()) return FieldError("image_column", StrCat("image_column", kFor));
  if (!request.class_names().empty()) return FieldError("class_names", StrCat("class_names", kFor));
  return absl::OkStatus();
}

absl::Status SettleImages(const v1::ImportDatasetRequest& request, ImportPlan& plan) {
  constexpr std::string_view kFor = " is for texts, and the files hold images: leave it out";
  for (const auto& [field, value] : {std::pair("text_pair_column", &request.text_pair_column()),
                                     std::pair("tokenizer_model", &request.tokenizer_model())}) {
    if (!value->empty()) return FieldError(field, StrCat(field, kFor));
  }
  if (!request.text_column().empty())
    return FieldError("text_column", StrCat("text_column", kFor, ", or name a manifest's column with image_column"));
  const auto holds = [&](auto&& what) { return std::any_of(plan.files.begin(), plan.files.end(), what); };
  const bool archives = holds([](const PlannedFile& file) { return file.format->open_archive != nullptr; });
  const bool manifests = holds([](const PlannedFile& file) { return !file.format->holds_images(); });
  const bool idx = holds([](const PlannedFile& file) { return file.format->id == v1::FILE_FORMAT_IDX; });
  if (manifests && !archives) {
    return FieldError("files",
                      "a manifest is given and no archive that it could be about: upload that too, or only the "
                      "IDX files");
  }
  if (!request.class_names().empty() && !idx)
    return FieldError("class_names", "class_names are for the numbers of IDX labels, and no such file is given");
  plan.class_names.assign(request.class_names().begin(), request.class_names().end());
  plan.columns.images = true;
  plan.columns.text = request.image_column().empty() ? "file_name" : request.image_column();
  plan.columns.text_pair.clear();
  if (plan.columns.split.empty() && plan.columns.label != "split" && plan.columns.text != "split") {
    plan.columns.split = "split";
    plan.columns.split_required = false;
  }
  return CheckColumns(plan.columns);
}

}  // namespace

absl::Status SettleModality(const v1::ImportDatasetRequest& request, ImportPlan& plan) {
  const bool images = std::any_of(plan.files.begin(), plan.files.end(),
                                  [](const PlannedFile& file) { return file.format->holds_images(); });
  plan.modality = images ? examples::Modality::kImage : examples::Modality::kText;
  return images ? SettleImages(request, plan) : SettleTexts(request);
}

std::optional<examples::Split> FromProto(v1::Split split) {
  switch (split) {
    case v1::SPLIT_TRAIN:
      return examples::Split::kTrain;
    case v1::SPLIT_VALIDATION:
      return examples::Split::kValidation;
    case v1::SPLIT_TEST:
      return examples::Split::kTest;
    default:
      return std::nullopt;
  }
}

v1::Split ToProto(examples::Split split) {
  switch (split) {
    case examples::Split::kTrain:
      return v1::SPLIT_TRAIN;
    case examples::Split::kValidation:
      return v1::SPLIT_VALIDATION;
    case examples::Split::kTest:
      return v1::SPLIT_TEST;
  }
  return v1::SPLIT_UNSPECIFIED;
}

v1::LabelKind ToProto(examples::LabelKind kind) {
  switch (kind) {
    case examples::LabelKind::kSingleLabel:
      return v1::LABEL_KIND_SINGLE_LABEL;
    case examples::LabelKind::kMultiLabel:
      return v1::LABEL_KIND_MULTI_LABEL;
    case examples::LabelKind::kRegression:
      return v1::LABEL_KIND_REGRESSION;
  }
  return v1::LABEL_KIND_UNSPECIFIED;
}

absl::Status CheckImportRequest(const v1::ImportDatasetRequest& request) {
  if (!request.dataset_id().empty()) {
    const absl::Status id = CheckResourceId(request.dataset_id(), "dataset_id");
    if (!id.ok()) return FieldError("dataset_id", std::string(id.message()));
  }
  ATTUNE_RETURN_IF_ERROR(CheckFiles(request));
  if (!v1::LabelKind_IsValid(request.label_kind())) {
    return FieldError(
        "label_kind",
        "unknown label_kind: use LABEL_KIND_SINGLE_LABEL, LABEL_KIND_MULTI_LABEL or LABEL_KIND_REGRESSION");
  }
  ATTUNE_RETURN_IF_ERROR(CheckShare("validation_fraction", request.validation_fraction()));
  ATTUNE_RETURN_IF_ERROR(CheckShare("test_fraction", request.test_fraction()));
  const ImportPlan plan = PlanImport(request);
  if (plan.shares.validation + plan.shares.test > kMaxShare) {
    return FieldError("test_fraction",
                      StrCat("validation_fraction (", plan.shares.validation, ") and test_fraction (", plan.shares.test,
                             ") leave less than a tenth of the rows for training: make them smaller"));
  }
  if (request.max_bad_rows() < -1) {
    return FieldError("max_bad_rows", StrCat("max_bad_rows is ", request.max_bad_rows(),
                                             ": give a number of rows, or -1 for any number"));
  }
  return CheckColumns(plan.columns);
}

ImportPlan PlanImport(const v1::ImportDatasetRequest& request) {
  ImportPlan plan;
  if (!request.text_column().empty()) plan.columns.text = request.text_column();
  if (!request.label_column().empty()) plan.columns.label = request.label_column();
  if (!request.text_pair_column().empty()) {
    plan.columns.text_pair = request.text_pair_column();
    plan.columns.text_pair_required = true;
  } else if (plan.columns.text == plan.columns.text_pair || plan.columns.label == plan.columns.text_pair ||
             request.split_column() == plan.columns.text_pair) {
    plan.columns.text_pair.clear();  // the default name has another purpose in this file
  }
  plan.columns.split = request.split_column();
  switch (request.label_kind()) {
    case v1::LABEL_KIND_SINGLE_LABEL:
      plan.label_kind = examples::LabelKind::kSingleLabel;
      break;
    case v1::LABEL_KIND_MULTI_LABEL:
      plan.label_kind = examples::LabelKind::kMultiLabel;
      break;
    case v1::LABEL_KIND_REGRESSION:
      plan.label_kind = examples::LabelKind::kRegression;
      break;
    default:
      break;
  }
  plan.shares.validation = request.has_validation_fraction() ? request.validation_fraction() : kDefaultValidationShare;
  plan.shares.test = request.test_fraction();
  plan.shares.seed = request.split_seed();
  plan.max_bad_rows = request.max_bad_rows();
  return plan;
}

}  // namespace attune::datasets
