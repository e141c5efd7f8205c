// First pass of an import: reads and judges all rows; texts go to the spill file, 32 bytes a row stay in memory. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "server/datasets/images/image_check.h"
#include "server/datasets/importing/import_plan.h"
#include "server/datasets/importing/issue_log.h"
#include "server/datasets/importing/label_table.h"
#include "server/datasets/importing/spill_file.h"
#include "server/datasets/importing/text_digest.h"
#include "server/examples/example.h"

namespace attune::datasets {

// A usable row, in the order of the spill file.
struct RowEntry {
  TextDigest digest;
  uint32_t row = 0;                      // among all rows read, bad ones too
  uint32_t labels = 0;                   // combination id in the LabelTable; 0 for regression
  int32_t length = -1;                   // tokens or words; -1: not measured, because the import has failed
  std::optional<examples::Split> split;  // absent until drawn
  bool left_out = false;                 // found unusable later
};

// What is known of a usable image beside its RowEntry.
struct ImageRow {
  ImageFacts facts;
  uint32_t bytes = 0;
  double value = 0;  // regression: manifests come after the images, and the spill file has none
};

struct RowTable {
  std::vector<RowEntry> rows;
  std::vector<ImageRow> images;  // one for each of `rows`; empty for texts
  LabelTable labels;
  IssueLog issues;
  examples::LabelKind kind = examples::LabelKind::kSingleLabel;
  bool has_text_pair = false;
  int64_t rows_read = 0;
  int64_t wrong_extensions = 0;  // images
  int64_t other_files = 0;       // in archives, that are no images
};

// (rows read, share of the input bytes read)
using ReadProgress = std::function<void(int64_t, double)>;

// INVALID_ARGUMENT for what is wrong with a file as a whole: no rows, a missing column, corrupt packing, labels that
// cannot be classes. `table` then has what was found so far.
absl::Status ReadRows(const ImportPlan& plan, SpillWriter& spill, const ReadProgress& progress, RowTable& table);

}  // namespace attune::datasets
