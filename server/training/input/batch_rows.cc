#include "server/training/input/batch_rows.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/training/input/epoch_order.h"

namespace attune::training {

BatchRows::BatchRows(const BatchRowsOptions& options) : options_(options) {
  if (options_.batch_size < 1) throw std::invalid_argument(absl::StrCat("batch_size must be at least 1, not ", options_.batch_size));
}

int64_t BatchRows::batches_per_epoch() const { return (options_.rows + options_.batch_size - 1) / options_.batch_size; }

std::shared_ptr<const std::vector<int64_t>> BatchRows::Order(int64_t epoch) const {
  std::lock_guard lock(mutex_);
  if (cached_epoch_ != epoch || cached_order_ == nullptr) {
    std::vector<int64_t> order = options_.order ? options_.order(epoch) : EpochOrder(options_.seed, epoch, options_.rows);
    if (static_cast<int64_t>(order.size()) != options_.rows) {
      throw std::logic_error(absl::StrCat("an order of ", order.size(), " rows is not that of an epoch of ", options_.rows));
    }
    cached_order_ = std::make_shared<const std::vector<int64_t>>(std::move(order));
    cached_epoch_ = epoch;
  }
  return cached_order_;
}

std::vector<int64_t> BatchRows::Of(int64_t epoch, int64_t batch) const {
  if (batch < 0 || batch >= batches_per_epoch()) {
    throw std::out_of_range(absl::StrCat("batch ", batch, " of an epoch that has ", batches_per_epoch()));
  }
  const int64_t begin = batch * options_.batch_size;
  const int64_t end = std::min(begin + options_.batch_size, options_.rows);
  std::vector<int64_t> rows(end - begin);
  if (options_.shuffle) {
    const auto order = Order(epoch);
    std::copy(order->begin() + begin, order->begin() + end, rows.begin());
  } else {
    std::iota(rows.begin(), rows.end(), begin);
  }
  return rows;
}

}  // namespace attune::training
