#include "server/training/steps/weight_average.h"

#include <algorithm>
#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_lerp.h>

namespace attune::training {

WeightAverage::WeightAverage(const std::vector<NamedTensor>& tensors, double decay) : decay_(decay) {
  at::NoGradGuard no_grad;
  for (const NamedTensor& named : tensors) {
    if (!named.tensor.is_floating_point()) continue;
    index_[named.name] = named_.size();
    named_.push_back({named.name, named.tensor.detach(), named.moves_in_forward});
    tensors_.push_back(named_.back().tensor);
    averages_.push_back(named.tensor.detach().clone());
  }
}

void WeightAverage::Update(int64_t t) {
  if (tensors_.empty()) return;
  at::NoGradGuard no_grad;
  const double steps = static_cast<double>(t);
  at::_foreach_lerp_(averages_, tensors_, 1 - std::min(decay_, (1 + steps) / (10 + steps)));
}

void WeightAverage::Swap() {
  at::NoGradGuard no_grad;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    const at::Tensor raw = tensors_[i].clone();  // one at a time: a second copy of the model is not needed
    tensors_[i].copy_(averages_[i]);
    averages_[i].copy_(raw);
  }
}

void WeightAverage::Adopt() {
  at::NoGradGuard no_grad;
  for (size_t i = 0; i < tensors_.size(); ++i) tensors_[i].copy_(averages_[i]);
}

std::vector<NamedTensor> WeightAverage::Averaged(std::vector<NamedTensor> tensors) const {
  for (NamedTensor& named : tensors) {
    if (const auto found = index_.find(named.name); found != index_.end()) named.tensor = averages_[found->second];
  }
  return tensors;
}

std::vector<NamedTensor> WeightAverage::Raw() const {
  std::vector<NamedTensor> raw;
  for (const NamedTensor& named : named_) raw.push_back({"raw." + named.name, named.tensor, named.moves_in_forward});
  return raw;
}

}  // namespace attune::training
