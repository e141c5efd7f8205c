// WeightAverage: an exponential moving average of a model's tensors beside the tensors themselves, one fused call a step. The warm-up is TensorFlow's and timm's: step t
// counts with 1 - min(decay, (1 + t) / (10 + t)). The training thread alone.
//
//   WeightAverage average(tensors, /*decay=*/0.999);   // starts at their values
//   average.Update(t);                                 // after optimizer step t, from 1
//   average.Swap(); Evaluate(...); average.Swap();     // the model computes with the average in between
//   average.Adopt();                                   // the model goes on from the average
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "server/training/steps/tensor_io.h"

namespace attune::training {

class WeightAverage {
 public:
  // Tensors of whole numbers (counters) are passed over: they have no average.
  WeightAverage(const std::vector<NamedTensor>& tensors, double decay);

  void Update(int64_t t);
  // Exchanges the values of tensors and average.
  void Swap();
  // Tensors take the average's values.
  void Adopt();

  // `tensors` with the average in place of those that have one: what is exported.
  std::vector<NamedTensor> Averaged(std::vector<NamedTensor> tensors) const;
  // The tensors themselves as "raw.{name}": with the exported average all that a resumed run needs. Loading into them restores it.
  std::vector<NamedTensor> Raw() const;

 private:
  const double decay_;
  std::vector<NamedTensor> named_;              // alias the model's
  std::vector<at::Tensor> tensors_, averages_;  // tensors_ are those of named_
  std::map<std::string, size_t> index_;
};

}  // namespace attune::training
