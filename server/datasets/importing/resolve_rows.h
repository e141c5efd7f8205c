// Between the passes of an import: draws the splits that nobody gave, settles the classes, and finds rows with a label
// that training does not have, and duplicates. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "server/datasets/importing/read_rows.h"
#include "server/datasets/importing/split_draw.h"
#include "server/examples/example.h"

namespace attune::datasets {

struct Resolution {
  std::vector<std::string> classes;  // of training rows, in index order; empty for regression
  std::vector<std::vector<int32_t>>
      class_indices;  // by combination id, sorted; a class that training lacks is left out
  std::array<int64_t, examples::kSplitCount> rows{};                     // used rows of each split
  std::array<std::vector<int64_t>, examples::kSplitCount> class_counts;  // by split, then class index
  int64_t unseen = 0;                   // rows marked left_out: a label does not occur in training
  int64_t duplicates_within_split = 0;  // used rows that repeat a text of their split
  int64_t duplicates_across_splits =
      0;  // used validation and test rows whose text is in an earlier split (train, validation, test)
  struct Repeat {
    uint32_t row = 0;    // position in the table
    uint32_t first = 0;  // that of the first row with the same content
  };
  std::vector<Repeat> across_splits;  // the first of those, by row
  int64_t conflicting_labels = 0;     // images: used rows whose first occurrence has another label
  std::vector<Repeat> conflicts;      // the first of those, by row
};

// Gives each row of `table` its split, and marks those that are left out. Rows whose label is unseen are only those
// that the user put in validation or test: a drawn row never is.
Resolution ResolveRows(const SplitShares& shares, RowTable& table);

}  // namespace attune::datasets
