// ParameterSet: the tensors of a model, made from its layout: parameters initialised by role with a seeded generator, buffers as a new BatchNorm has them. Owned by its
// model; not thread-safe. What Get returns stays the model's tensor for good: loading copies into it, To moves its data.
//
//   ParameterSet set(layout, "bert.", /*seed=*/1, {.convolutions = Initialisation::kKaimingFanOut});
//   at::Tensor weight = set.Get("conv1.weight");
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include <ATen/core/Tensor.h>

#include "absl/status/statusor.h"
#include "server/architectures/architecture.h"
#include "server/training/models/model.h"

namespace attune::training {

enum class Initialisation {
  kKaimingFanOut,  // normal, variance 2 / (out * kernel height * kernel width) (He et al. 2015)
  kNormal,         // normal with the deviation beside it. The references that truncate do so at +-2: far outside of what is ever drawn
};

// How parameters are initialised that no checkpoint gives. Biases are 0, norms 1.
struct InitOptions {
  Initialisation convolutions = Initialisation::kKaimingFanOut;
  double convolution_deviation = 0.02;
  double linear_deviation = 0.01;
  double table_deviation = 0.02;
  double layer_scale = 1;
};

class ParameterSet {
 public:
  // Every full name is `prefix` and the layout's.
  ParameterSet(const architectures::ModelLayout& layout, const std::string& prefix, uint64_t seed, const InitOptions& options);

  const std::vector<Parameter>& parameters() const { return parameters_; }
  const std::vector<Buffer>& buffers() const { return buffers_; }
  const std::vector<std::string>& groups() const { return groups_; }
  bool Has(const std::string& name) const { return by_name_.count(name) > 0; }
  // A parameter or buffer, by its name without prefix. Throws std::logic_error if there is none.
  at::Tensor Get(const std::string& name) const;
  // Index of the lowest group with a parameter that requires a gradient; groups().size() where nothing does.
  int LowestTrainableGroup() const;
  void To(const at::Device& device);

 private:
  std::vector<std::string> groups_;
  std::vector<Parameter> parameters_;
  std::vector<Buffer> buffers_;
  std::unordered_map<std::string, at::Tensor> by_name_;
};

// What parsers of server/architectures return, as the training side reports it: throws std::invalid_argument with the status's message.
template <typename T>
T ValueOrThrow(absl::StatusOr<T> value) {
  if (!value.ok()) throw std::invalid_argument(std::string(value.status().message()));
  return *std::move(value);
}

}  // namespace attune::training
