// ImportPlan: an ImportDatasetRequest that has been checked, with its defaults filled in. Plain values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attune/v1/dataset.pb.h"
#include "server/datasets/formats/format.h"
#include "server/datasets/images/archive_reader.h"
#include "server/datasets/images/image_check.h"
#include "server/datasets/importing/split_draw.h"
#include "server/examples/example.h"
#include "server/tokenizers/tokenizer.h"

namespace attune::datasets {

struct PlannedFile {
  std::string path;      // where the upload's content is
  std::string filename;  // as uploaded
  int64_t size_bytes = 0;
  const Format* format = nullptr;
  std::optional<examples::Split> split;  // of all its rows
};

struct ImportPlan {
  std::vector<PlannedFile> files;
  examples::Modality modality = examples::Modality::kText;
  ColumnNames columns;
  std::optional<examples::LabelKind> label_kind;  // absent: decided from the data
  SplitShares shares;
  int64_t max_bad_rows = 0;                                // -1: any number
  std::shared_ptr<const tokenizers::Tokenizer> tokenizer;  // null: lengths in words
  size_t max_row_bytes = 0;
  int64_t max_rows = 0;  // bad ones too
  int64_t max_unpacked_bytes = 0;
  ImageLimits image_limits;
  ArchiveLimits archive_limits;
  std::vector<std::string> class_names;  // of IDX labels; empty: the numbers
};

// INVALID_ARGUMENT that names the field (also as payload "google.rpc.BadRequest") for what can be seen without looking
// at the uploads.
absl::Status CheckImportRequest(const v1::ImportDatasetRequest& request);

// Columns, label kind, shares and tolerance of a checked request; files and tokenizer are left to the caller.
ImportPlan PlanImport(const v1::ImportDatasetRequest& request);

// Once the plan has its files: decides by their formats whether it is about texts or images, and sets what follows from
// that. INVALID_ARGUMENT that names the field for what the other kind of data has, and for manifests without an
// archive.
absl::Status SettleModality(const v1::ImportDatasetRequest& request, ImportPlan& plan);

// Absent for SPLIT_UNSPECIFIED.
std::optional<examples::Split> FromProto(v1::Split split);
v1::Split ToProto(examples::Split split);
v1::LabelKind ToProto(examples::LabelKind kind);

}  // namespace attune::datasets
