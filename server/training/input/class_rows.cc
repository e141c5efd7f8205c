#include "server/training/input/class_rows.h"

#include "server/base/counter_random.h"
#include "server/training/input/targets.h"

namespace attune::training {
namespace {

constexpr uint64_t kBalancedStream = 0x42414C00'00000000ull;  // keeps draws apart from epoch orders, which are streams 0, 1, ...

}  // namespace

std::vector<int64_t> ClassRows::counts() const {
  std::vector<int64_t> counts;
  for (const std::vector<int64_t>& rows_of_class : of_class) counts.push_back(static_cast<int64_t>(rows_of_class.size()));
  return counts;
}

ClassRows ReadClassRows(const examples::ExampleReader& reader, examples::Split split) {
  ClassRows classes;
  classes.rows = reader.size(split);
  classes.of_class.resize(reader.manifest().labels.size());
  for (int64_t row = 0; row < classes.rows; ++row) {
    const examples::ExampleView example = ReadRow(reader, split, row);
    for (const int32_t label : example.labels) classes.of_class.at(static_cast<size_t>(label)).push_back(row);
    if (example.labels.empty()) classes.without.push_back(row);
  }
  return classes;
}

std::vector<int64_t> BalancedOrder(const ClassRows& classes, uint64_t seed, int64_t epoch) {
  std::vector<const std::vector<int64_t>*> seen;
  for (const std::vector<int64_t>& rows : classes.of_class) {
    if (!rows.empty()) seen.push_back(&rows);
  }
  if (!classes.without.empty()) seen.push_back(&classes.without);
  std::vector<int64_t> order;
  order.reserve(static_cast<size_t>(classes.rows));
  CounterRandom random(seed, kBalancedStream + static_cast<uint64_t>(epoch));
  for (int64_t i = 0; i < classes.rows; ++i) {
    const std::vector<int64_t>& rows = *seen[random.Below(seen.size())];
    order.push_back(rows[random.Below(rows.size())]);
  }
  return order;
}

}  // namespace attune::training
