// Which rows make the largest batch of a job on texts. Orders are a pure function of the seed, so the batches that will come are known; what they weigh is their tokens. Pure.
//
//   HeaviestBatches heaviest(lengths, {order_of_epoch_0, order_of_epoch_1});
//   std::vector<int64_t> rows = heaviest.Rows(/*batch_size=*/32);
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace attune::training {

class HeaviestBatches {
 public:
  // `lengths`: tokens of each row. `orders`: of each epoch, rows as indices of `lengths`; at least one that is not empty.
  HeaviestBatches(std::vector<int32_t> lengths, std::vector<std::vector<int64_t>> orders) : lengths_(std::move(lengths)), orders_(std::move(orders)) {}

  // The batch with the most tokens among those that the orders are cut into; of equal ones the first.
  std::vector<int64_t> Rows(int64_t batch_size) const;
  // Its tokens.
  int64_t Tokens(int64_t batch_size) const;

 private:
  struct Cut {
    size_t order = 0, begin = 0, end = 0;
    int64_t tokens = -1;
  };
  Cut Find(int64_t batch_size) const;

  const std::vector<int32_t> lengths_;
  const std::vector<std::vector<int64_t>> orders_;
};

}  // namespace attune::training
