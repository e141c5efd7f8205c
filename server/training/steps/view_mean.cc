#include "server/training/steps/view_mean.h"

#include <ATen/TensorOperators.h>

namespace attune::training {

void ViewMean::Add(const at::Tensor& logits) {
  const at::Tensor probabilities = task_.Probabilities(logits.to(at::kDouble));
  sum_ = sum_.defined() ? sum_ + probabilities : probabilities;
  if (views_++ == 0) first_ = logits;
}

at::Tensor ViewMean::Logits() const { return views_ == 1 ? first_ : task_.LogitsOf(sum_ / views_).to(at::kFloat); }

}  // namespace attune::training
