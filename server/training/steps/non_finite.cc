#include "server/training/steps/non_finite.h"

#include <cmath>
#include <string>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/isfinite.h>

#include "absl/strings/str_cat.h"
#include "server/training/steps/training_error.h"

namespace attune::training {
namespace {

bool AllFinite(const at::Tensor& tensor) { return !tensor.is_floating_point() || at::isfinite(tensor).all().item<bool>(); }

}  // namespace

std::string FirstNotFinite(const Model& model, const Task& task) {
  at::NoGradGuard no_grad;
  for (const Buffer& buffer : model.buffers()) {
    if (!AllFinite(buffer.tensor)) return buffer.name;
  }
  for (const std::vector<Parameter>* parameters : {&model.parameters(), &task.head_parameters()}) {
    for (const Parameter& parameter : *parameters) {
      if (!AllFinite(parameter.tensor)) return parameter.name;
    }
  }
  return "";
}

void ThrowNotFinite(const Model& model, const Task& task, const at::Tensor& targets, const NonFiniteStep& step) {
  if (targets.defined() && !AllFinite(targets)) {
    throw TrainingError(FailureCategory::kData,
                        absl::StrCat("step ", step.job_step, ": a label is NaN, infinite or too large for 32-bit floating point; mend the dataset"), step.job_step);
  }
  const std::string broken = FirstNotFinite(model, task);
  if (step.job_step == 1 && !broken.empty()) {
    throw TrainingError(FailureCategory::kData,
                        absl::StrCat("step 1: the base model's weights have NaN or infinite values (first in ", broken, "); import a sound copy of the model"),
                        step.job_step);
  }
  const std::string what = std::isnan(step.loss) ? "the loss became NaN" : std::isinf(step.loss) ? "the loss became infinite" : "the gradients became infinite or NaN";
  if (step.job_step == 1) {
    throw NotFiniteError(FailureCategory::kData,
                        absl::StrCat("step 1: ", what, " before any weight had changed: the base model's weights are too large for this arithmetic; ",
                                     step.precision == Precision::kBf16 ? "try precision fp32, or " : "", "import a sound copy of the model"),
                        step.job_step);
  }
  throw NotFiniteError(FailureCategory::kUser,
                      absl::StrCat("step ", step.job_step, ": ", what, " at learning rate ", step.learning_rate,
                                   "; lower learning_rate, lengthen the warm-up (warmup_ratio), or clip gradients (max_grad_norm of 1)",
                                   step.precision == Precision::kBf16 ? ", or use precision fp32" : "", ". Checkpoints saved before this step are kept"),
                      step.job_step);
}

}  // namespace attune::training
