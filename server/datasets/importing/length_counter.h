// LengthCounter: lengths of texts, counted exactly and summed up as attune.v1.LengthHistogram. Not thread-safe.
#pragma once

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "attune/v1/dataset.pb.h"

namespace attune::datasets {

class LengthCounter {
 public:
  void Add(int32_t length) { ++counts_[length]; }

  // Median and 95th percentile are the smallest lengths that at least half and 95 % of the rows do not exceed. All 0
  // without rows.
  v1::LengthHistogram ToProto(v1::LengthHistogram::Unit unit) const;

 private:
  absl::flat_hash_map<int32_t, int64_t> counts_;
};

}  // namespace attune::datasets
