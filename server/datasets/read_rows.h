// First pass of an import: reads and judges all rows; texts go to the spill file, 32 bytes a row stay in memory. Not
// thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "server/datasets/import_plan.h"
#include "server/datasets/issue_log.h"
#include "server/datasets/label_table.h"
#include "server/datasets/spill_file.h"
#include "server/datasets/text_digest.h"
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

struct RowTable {
  std::vector<RowEntry> rows;
  LabelTable labels;
  IssueLog issues;
  examples::LabelKind kind = examples::LabelKind::kSingleLabel;
  bool has_text_pair = false;
  int64_t rows_read = 0;
};

// (rows read, share of the input bytes read)
using ReadProgress = std::function<void(int64_t, double)>;

// INVALID_ARGUMENT for what is wrong with a file as a whole: no rows, a missing column, corrupt packing, labels that
// cannot be classes. `table` then has what was found so far.
absl::Status ReadRows(const ImportPlan& plan, SpillWriter& spill, const ReadProgress& progress, RowTable& table);

}  // namespace attune::datasets
