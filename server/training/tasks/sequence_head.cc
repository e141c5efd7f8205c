#include "server/training/tasks/sequence_head.h"

#include <stdexcept>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/autocast_mode.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/zeros.h>

#include "absl/strings/str_cat.h"
#include "server/training/tasks/metrics.h"

namespace attune::training {

SequenceHead::SequenceHead(const TaskOptions& options, int64_t outputs) : dropout_(options.head_dropout) {
  if (options.feature_size < 1 || outputs < 1) {
    throw std::invalid_argument(absl::StrCat("a head of ", outputs, " outputs on ", options.feature_size, " features cannot be made"));
  }
  at::Generator generator = at::detail::createCPUGenerator(options.seed);
  weight_ = at::empty({outputs, options.feature_size}).normal_(0, options.initializer_range, generator);
  bias_ = at::zeros({outputs});
  parameters_ = {{options.head_name + ".weight", weight_, options.head_group, true}, {options.head_name + ".bias", bias_, options.head_group, false}};
}

at::Tensor SequenceHead::Logits(const at::Tensor& features, bool training) const {
  // Inside an autocast region at::linear would compute in bf16.
  c10::impl::ExcludeDispatchKeyGuard no_autocast(at::autocast::get_autocast_dispatch_key_from_device_type(features.device().type()));
  return at::linear(at::dropout(features.to(at::kFloat), dropout_, training), weight_, bias_);
}

void SequenceHead::To(const at::Device& device) {
  for (Parameter& parameter : parameters_) parameter.tensor.set_data(parameter.tensor.detach().to(device));
}

std::vector<double> ToDoubles(const at::Tensor& tensor) {
  const at::Tensor values = tensor.detach().to(at::kCPU, at::kDouble).contiguous();
  const double* data = values.const_data_ptr<double>();
  return std::vector<double>(data, data + values.numel());
}

void AddClassMetrics(const std::vector<std::string>& labels, const std::vector<ClassCounts>& counts, bool only_seen, EvaluationResult* result) {
  for (size_t i = 0; i < counts.size(); ++i) {
    result->classes.push_back({labels.at(i), counts[i].precision(), counts[i].recall(), counts[i].f1(), counts[i].support()});
  }
  result->values["f1_macro"] = MacroF1(counts, only_seen);
  result->values["f1_micro"] = MicroF1(counts);
}

}  // namespace attune::training
