#include "server/training/tasks/head.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/autocast_mode.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tanh.h>
#include <ATen/ops/zeros.h>

#include "absl/strings/str_cat.h"
#include "server/training/tasks/metrics.h"

namespace attune::training {
namespace {

at::Tensor Activate(const at::Tensor& x, HeadActivation activation) {
  switch (activation) {
    case HeadActivation::kRelu:
      return at::relu(x);
    case HeadActivation::kGelu:
      return at::gelu(x);
    case HeadActivation::kTanh:
      return at::tanh(x);
    case HeadActivation::kSilu:
      return at::silu(x);
  }
  throw std::logic_error("unknown activation of a head");
}

// Inside an autocast region at::linear would compute in bf16.
c10::impl::ExcludeDispatchKeyGuard WithoutAutocast(const at::Tensor& x) {
  return c10::impl::ExcludeDispatchKeyGuard(at::autocast::get_autocast_dispatch_key_from_device_type(x.device().type()));
}

}  // namespace

Head::Head(const TaskOptions& options, int64_t outputs) : dropout_(options.head_dropout), activation_(options.activation) {
  if (options.feature_size < 1 || outputs < 1) {
    throw std::invalid_argument(absl::StrCat("a head of ", outputs, " outputs on ", options.feature_size, " features cannot be made"));
  }
  at::Generator generator = at::detail::createCPUGenerator(options.seed);
  int64_t inputs = options.feature_size;
  for (size_t i = 0; i < options.hidden_sizes.size(); ++i) {
    if (options.hidden_sizes[i] < 1) throw std::invalid_argument(absl::StrCat("head.hidden_sizes[", i, "] must be at least 1, not ", options.hidden_sizes[i]));
    layers_.push_back(Add(absl::StrCat(options.head_name, ".", 3 * i + 1), inputs, options.hidden_sizes[i], options, HeadInit::kUniform, generator));
    inputs = options.hidden_sizes[i];
  }
  const size_t hidden = options.hidden_sizes.size();
  const std::string last = hidden == 0 ? options.head_name : absl::StrCat(options.head_name, ".", 3 * hidden + 1);
  layers_.push_back(Add(last, inputs, outputs, options, options.init, generator));
  if (options.auxiliary_size > 0) auxiliary_ = Add(options.auxiliary_head_name, options.auxiliary_size, outputs, options, options.init, generator);
}

Head::Linear Head::Add(const std::string& name, int64_t inputs, int64_t outputs, const TaskOptions& options, HeadInit init, at::Generator& generator) {
  Linear linear;
  if (init == HeadInit::kNormal) {
    linear.weight = at::empty({outputs, inputs}).normal_(0, options.initializer_range, generator);
    linear.bias = at::zeros({outputs});
  } else {
    const double bound = 1 / std::sqrt(static_cast<double>(inputs));
    linear.weight = at::empty({outputs, inputs}).uniform_(-bound, bound, generator);
    linear.bias = at::empty({outputs}).uniform_(-bound, bound, generator);
  }
  parameters_.push_back({name + ".weight", linear.weight, options.head_group, true});
  parameters_.push_back({name + ".bias", linear.bias, options.head_group, false});
  return linear;
}

at::Tensor Head::Logits(const at::Tensor& features, bool training) const {
  const auto no_autocast = WithoutAutocast(features);
  at::Tensor x = features.to(at::kFloat);
  for (size_t i = 0; i < layers_.size(); ++i) {
    if (i > 0) x = Activate(x, activation_);
    x = at::linear(at::dropout(x, dropout_, training), layers_[i].weight, layers_[i].bias);
  }
  return x;
}

at::Tensor Head::AuxiliaryLogits(const at::Tensor& features) const {
  if (!auxiliary_.weight.defined()) throw std::logic_error("this head has no auxiliary classifier");
  const auto no_autocast = WithoutAutocast(features);
  return at::linear(features.to(at::kFloat), auxiliary_.weight, auxiliary_.bias);
}

void Head::To(const at::Device& device) {
  for (Parameter& parameter : parameters_) parameter.tensor.set_data(parameter.tensor.detach().to(device));
}

std::vector<double> ToDoubles(const at::Tensor& tensor) {
  const at::Tensor values = tensor.detach().to(at::kCPU, at::kDouble).contiguous();
  const double* data = values.const_data_ptr<double>();
  return std::vector<double>(data, data + values.numel());
}

std::span<const float> FloatsOf(const at::Tensor& tensor) { return {tensor.const_data_ptr<float>(), static_cast<size_t>(tensor.numel())}; }

void AddCalibration(const std::vector<double>& confidences, const std::vector<uint8_t>& right, EvaluationResult* result) {
  result->calibration = Calibrate(confidences, right);
  result->values["ece"] = ExpectedCalibrationError(result->calibration);
}

at::Tensor ClassWeightsOf(const TaskOptions& options) {
  if (options.class_weights.empty()) return {};
  if (options.class_weights.size() != options.labels.size()) {
    throw std::invalid_argument(absl::StrCat(options.class_weights.size(), " class weights do not belong to ", options.labels.size(), " labels"));
  }
  at::Tensor weights = at::empty({static_cast<int64_t>(options.class_weights.size())}, at::TensorOptions().dtype(at::kFloat));
  std::copy(options.class_weights.begin(), options.class_weights.end(), weights.mutable_data_ptr<float>());
  return weights;
}

void AddClassMetrics(const std::vector<std::string>& labels, const std::vector<ClassCounts>& counts, bool only_seen, EvaluationResult* result) {
  for (size_t i = 0; i < counts.size(); ++i) {
    result->classes.push_back({labels.at(i), counts[i].precision(), counts[i].recall(), counts[i].f1(), counts[i].support()});
  }
  result->values["f1_macro"] = MacroF1(counts, only_seen);
  result->values["f1_micro"] = MicroF1(counts);
}

}  // namespace attune::training
