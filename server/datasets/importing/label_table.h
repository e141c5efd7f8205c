// LabelTable: class names met while reading, and the combinations of them that rows have. A row then needs 4 bytes for
// its labels, whatever it has. Not thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"

namespace attune::datasets {

class LabelTable {
 public:
  // More classes, or longer names, mean that the column holds something else: an id, a text.
  static constexpr size_t kMaxLabels = 10000;
  static constexpr size_t kMaxLabelBytes = 1000;

  // The id of the combination of `names`, which are distinct. INVALID_ARGUMENT, to be prefixed with the place, beyond
  // the limits.
  absl::StatusOr<uint32_t> Add(const std::vector<std::string_view>& names);

  // Names by label id, in the order in which they were met.
  const std::vector<std::string>& names() const { return names_; }
  // Label ids, sorted, by combination id.
  const std::vector<std::vector<uint32_t>>& combinations() const { return combinations_; }

 private:
  absl::StatusOr<uint32_t> LabelId(std::string_view name);

  std::vector<std::string> names_;
  absl::flat_hash_map<std::string, uint32_t> ids_;
  std::vector<std::vector<uint32_t>> combinations_;
  std::vector<uint32_t> single_;  // by label id: the combination of that label alone, or kNone
  absl::flat_hash_map<std::string, uint32_t> combination_ids_;  // by the bytes of the label ids
};

// The ids of `names` in class order: by number when all are integers, otherwise by bytes.
std::vector<uint32_t> ClassOrder(const std::vector<std::string>& names);

}  // namespace attune::datasets
