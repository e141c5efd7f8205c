#include "server/training/steps/plan/memory_fit.h"

#include <algorithm>

namespace attune::training {

MemoryFit FitMemory(const std::vector<MemoryPoint>& points) {
  double weight = 0, mean_units = 0, mean_bytes = 0;
  for (const MemoryPoint& point : points) {
    weight += point.units;
    mean_units += point.units * point.units;
    mean_bytes += point.units * point.bytes;
  }
  if (weight <= 0) return {points.empty() ? 0 : points.back().bytes, 0};
  mean_units /= weight;
  mean_bytes /= weight;
  double covariance = 0, variance = 0;
  for (const MemoryPoint& point : points) {
    covariance += point.units * (point.units - mean_units) * (point.bytes - mean_bytes);
    variance += point.units * (point.units - mean_units) * (point.units - mean_units);
  }
  MemoryFit fit;
  fit.bytes_per_unit = variance > 0 ? std::max(0.0, covariance / variance) : 0;
  fit.base_bytes = mean_bytes - fit.bytes_per_unit * mean_units;
  return fit;
}

int64_t LargestBatch(const MemoryFit& fit, double limit_bytes, int64_t batch_size, const std::function<double(int64_t rows)>& units_of) {
  if (limit_bytes <= 0) return batch_size;
  int64_t fits = 0, does_not = batch_size + 1;
  while (does_not - fits > 1) {
    const int64_t middle = fits + (does_not - fits) / 2;
    (fit.At(units_of(middle)) <= limit_bytes ? fits : does_not) = middle;
  }
  return fits;
}

int64_t AccumulationFor(int64_t batch_size, int64_t accumulation, int64_t largest_batch) {
  if (largest_batch <= 0) return 0;
  const int64_t rows = batch_size * accumulation;
  int64_t batches = (rows + largest_batch - 1) / largest_batch;
  while (rows % batches != 0) ++batches;
  return batches;
}

}  // namespace attune::training
