#include "tests/training/models/vision/torchvision_case.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/linear.h>

#include "server/base/files.h"
#include "tests/training/models/golden_tensors.h"

namespace attune::training {
namespace {

// As `sampled` in make_vision_goldens.py.
at::Tensor Sampled(const at::Tensor& gradient) {
  constexpr int64_t kKept = 65536;
  const at::Tensor flat = gradient.flatten();
  if (flat.numel() <= kKept) return gradient;
  return at::cat({flat.slice(0, 0, flat.numel(), flat.numel() / kKept), flat.norm().reshape({1})});
}

constexpr double kFloor = 1e-6;

// Relative to the tensor's own largest value, but not below `floor`: the gradient of a bias before a BatchNorm is zero in exact arithmetic, so that both sides hold rounding errors alone. The norm of a
// sampled gradient is compared by itself: it is far larger than any value.
double Difference(const at::Tensor& actual, const at::Tensor& expected, double floor) {
  if (actual.dim() != 1 || expected.numel() <= 65536) return RelativeDifference(actual, expected, floor);
  const int64_t values = expected.numel() - 1;
  return std::max(RelativeDifference(actual.narrow(0, 0, values), expected.narrow(0, 0, values), floor),
                  RelativeDifference(actual.narrow(0, values, 1), expected.narrow(0, values, 1), floor));
}

void Convert(TorchvisionCase& c, at::ScalarType type) {
  for (const Parameter& parameter : AllParameters(c)) at::Tensor(parameter.tensor).set_data(parameter.tensor.to(type));
  for (const Buffer& buffer : c.model->buffers()) {
    if (buffer.tensor.is_floating_point()) at::Tensor(buffer.tensor).set_data(buffer.tensor.to(type));
  }
  c.batch.pixels = c.batch.pixels.to(type);
}

at::Tensor HeadOf(const TorchvisionCase& c, size_t first, const at::Tensor& features) { return at::linear(features, c.head[first].tensor, c.head[first + 1].tensor); }

}  // namespace

TorchvisionCase LoadTorchvisionCase(const std::string& directory, at::ScalarType type, const nlohmann::json& changes) {
  at::set_num_threads(1);  // tests run beside others: threads that wait for each other at every operator would take seconds
  TorchvisionCase c;
  c.directory = directory;
  const auto text = ReadFile(directory + "/config.json");
  if (!text.ok()) throw std::runtime_error(std::string(text.status().message()));
  c.config = nlohmann::json::parse(*text);
  c.config.update(changes);
  auto golden = weights::SafetensorsFile::Open(directory + "/golden.safetensors");
  auto own = weights::SafetensorsFile::Open(directory + "/model.safetensors");
  if (!golden.ok() || !own.ok()) throw std::runtime_error("no golden files in " + directory);
  c.golden = *golden;
  c.factory = ModelRegistry::Get().Find(c.config["model_type"]);
  c.model = c.factory->create(c.config, /*seed=*/1);
  c.report = LoadWeights(*c.model, *c.factory, directory + "/model.safetensors");
  std::vector<std::string> heads = {c.factory->description_of().head_name};
  if (c.model->auxiliary_size() > 0) heads.push_back(c.factory->description_of().auxiliary_head_name);
  for (const std::string& head : heads) {
    for (const char* part : {".weight", ".bias"}) c.head.push_back({head + part, TensorOf(**own, head + part), static_cast<int>(c.model->groups().size())});
  }
  c.batch.pixels = TensorOf(*c.golden, "pixels");
  c.batch.rows = c.batch.pixels.size(0);
  c.batch.targets = TensorOf(*c.golden, "labels");
  Convert(c, type);
  return c;
}

std::vector<Parameter> AllParameters(const TorchvisionCase& c) {
  std::vector<Parameter> all = c.model->parameters();
  all.insert(all.end(), c.head.begin(), c.head.end());
  return all;
}

at::Tensor Logits(const TorchvisionCase& c, const ModelOutput& output) { return HeadOf(c, 0, output.features); }

at::Tensor Loss(const TorchvisionCase& c, const ModelOutput& output) {
  const at::Tensor loss = at::cross_entropy_loss(Logits(c, output), c.batch.targets);
  return output.auxiliary.defined() ? loss + 0.4 * at::cross_entropy_loss(HeadOf(c, 2, output.auxiliary), c.batch.targets) : loss;
}

GradientDifference CompareGradients(const TorchvisionCase& c, const std::string& prefix) {
  double largest = 0;
  const auto golden = [&](const Parameter& parameter) { return prefix + "grad." + parameter.name; };
  for (const Parameter& parameter : AllParameters(c)) {
    if (c.golden->Find(golden(parameter)) != nullptr) largest = std::max(largest, TensorOf(*c.golden, golden(parameter)).abs().max().item<double>());
  }
  GradientDifference result;
  double squares = 0, squared_difference = 0;
  for (const Parameter& parameter : AllParameters(c)) {
    if (!parameter.tensor.grad().defined()) continue;
    ++result.compared;
    const at::Tensor actual = Sampled(parameter.tensor.grad()), expected = TensorOf(*c.golden, golden(parameter));
    const double difference = Difference(actual, expected, largest * kFloor);
    if (!(difference <= result.worst)) result.worst = difference, result.name = parameter.name;
    squares += expected.square().sum().item<double>();
    squared_difference += (actual - expected).square().sum().item<double>();
  }
  result.together = std::sqrt(squared_difference / squares);
  return result;
}

}  // namespace attune::training
