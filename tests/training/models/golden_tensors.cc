#include "tests/training/models/golden_tensors.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include <ATen/TensorOperators.h>
#include <ATen/ops/from_blob.h>

namespace attune::training {

at::Tensor TensorOf(const weights::SafetensorsFile& file, const std::string& name) {
  const weights::TensorInfo* info = file.Find(name);
  if (info == nullptr) throw std::runtime_error("no tensor " + name);
  const at::ScalarType type = info->dtype == weights::DType::kI64 ? at::kLong : at::kFloat;
  const std::string bytes(file.data(*info));
  return at::from_blob(const_cast<char*>(bytes.data()), info->shape, at::TensorOptions().dtype(type)).clone();
}

double RelativeDifference(const at::Tensor& actual, const at::Tensor& expected, double floor) {
  const double scale = std::max(expected.abs().max().item<double>(), floor);
  const double difference = (actual - expected).abs().max().item<double>();
  return difference == 0 ? 0 : difference / scale;
}

std::string SourcePath(const std::string& path) { return Environment("ATTUNE_SOURCE_DIR", ".") + "/" + path; }

std::string Environment(const char* name, const std::string& fallback) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : fallback;
}

}  // namespace attune::training
