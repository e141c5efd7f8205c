#include "server/training/models/layers/vision/parameter_set.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

namespace attune::training {
namespace {

using architectures::BufferShape;
using architectures::ModelLayout;
using architectures::ParameterShape;
using architectures::Role;

at::Tensor Normal(const std::vector<int64_t>& shape, double deviation, at::Generator& generator) { return at::empty(shape).normal_(0, deviation, generator); }

double ConvDeviation(const std::vector<int64_t>& shape, const InitOptions& options) {
  if (options.convolutions == Initialisation::kNormal) return options.convolution_deviation;
  return std::sqrt(2.0 / static_cast<double>(shape[0] * shape[2] * shape[3]));  // as in torch, the fan does not divide by a convolution's groups
}

at::Tensor NewParameter(const ParameterShape& parameter, const InitOptions& options, at::Generator& generator) {
  switch (parameter.role) {
    case Role::kConvWeight:
      return Normal(parameter.shape, ConvDeviation(parameter.shape, options), generator);
    case Role::kLinearWeight:
      return Normal(parameter.shape, options.linear_deviation, generator);
    case Role::kTable:
      return Normal(parameter.shape, options.table_deviation, generator);
    case Role::kNormWeight:
      return at::ones(parameter.shape);
    case Role::kLayerScale:
      return at::full(parameter.shape, options.layer_scale, at::kFloat);
    case Role::kBias:
      break;
  }
  return at::zeros(parameter.shape);
}

at::Tensor NewBuffer(const BufferShape& buffer) {
  if (buffer.kind == BufferShape::Kind::kBatchesTracked) return at::zeros(buffer.shape, at::kLong);
  return buffer.kind == BufferShape::Kind::kRunningVariance ? at::ones(buffer.shape) : at::zeros(buffer.shape);
}

bool Decays(Role role) { return role == Role::kLinearWeight || role == Role::kConvWeight || role == Role::kTable; }

// set_data keeps the tensor objects that optimizer, exporter and modules hold.
void Move(at::Tensor tensor, const at::Device& device) { tensor.set_data(tensor.detach().to(device)); }

}  // namespace

ParameterSet::ParameterSet(const ModelLayout& layout, const std::string& prefix, uint64_t seed, const InitOptions& options) : groups_(layout.groups) {
  at::Generator generator = at::detail::createCPUGenerator(seed);
  const auto group_of = [&](const std::string& group) { return static_cast<int>(std::find(groups_.begin(), groups_.end(), group) - groups_.begin()); };
  for (const ParameterShape& parameter : layout.parameters) {
    parameters_.push_back({prefix + parameter.name, NewParameter(parameter, options, generator), group_of(parameter.group), Decays(parameter.role), parameter.optional});
    by_name_[parameter.name] = parameters_.back().tensor;
  }
  for (const BufferShape& buffer : layout.buffers) {
    buffers_.push_back({prefix + buffer.name, NewBuffer(buffer), group_of(buffer.group)});
    by_name_[buffer.name] = buffers_.back().tensor;
  }
}

at::Tensor ParameterSet::Get(const std::string& name) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) throw std::logic_error("the layout has no tensor " + name);
  return found->second;
}

int ParameterSet::LowestTrainableGroup() const {
  int lowest = static_cast<int>(groups_.size());
  for (const Parameter& parameter : parameters_) {
    if (parameter.tensor.requires_grad()) lowest = std::min(lowest, parameter.group);
  }
  return lowest;
}

void ParameterSet::To(const at::Device& device) {
  for (const Parameter& parameter : parameters_) Move(parameter.tensor, device);
  for (const Buffer& buffer : buffers_) Move(buffer.tensor, device);
}

}  // namespace attune::training
