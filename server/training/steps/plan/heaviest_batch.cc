#include "server/training/steps/plan/heaviest_batch.h"

#include <algorithm>

namespace attune::training {

HeaviestBatches::Cut HeaviestBatches::Find(int64_t batch_size) const {
  Cut heaviest;
  for (size_t order = 0; order < orders_.size(); ++order) {
    const std::vector<int64_t>& rows = orders_[order];
    for (size_t begin = 0; begin < rows.size(); begin += static_cast<size_t>(batch_size)) {
      const size_t end = std::min(rows.size(), begin + static_cast<size_t>(batch_size));
      int64_t tokens = 0;
      for (size_t i = begin; i < end; ++i) tokens += lengths_[static_cast<size_t>(rows[i])];
      if (tokens > heaviest.tokens) heaviest = {order, begin, end, tokens};
    }
  }
  return heaviest;
}

std::vector<int64_t> HeaviestBatches::Rows(int64_t batch_size) const {
  const Cut cut = Find(batch_size);
  const std::vector<int64_t>& rows = orders_[cut.order];
  return {rows.begin() + static_cast<std::ptrdiff_t>(cut.begin), rows.begin() + static_cast<std::ptrdiff_t>(cut.end)};
}

int64_t HeaviestBatches::Tokens(int64_t batch_size) const { return Find(batch_size).tokens; }

}  // namespace attune::training
