// Reading what a reference implementation computed, and comparing with it: shared by the golden tests of texts and of images.
//
//   EXPECT_LT(RelativeDifference(logits, TensorOf(golden, "logits")), 1e-4);
#pragma once

#include <string>

#include <ATen/core/Tensor.h>

#include "server/weights/safetensors.h"

namespace attune::training {

// A copy. Throws when there is no such tensor.
at::Tensor TensorOf(const weights::SafetensorsFile& file, const std::string& name);

// Largest difference, relative to the largest value of `expected` (at least `floor`).
double RelativeDifference(const at::Tensor& actual, const at::Tensor& expected, double floor = 0);

// A file of the source tree, or an environment variable's value with a fallback.
std::string SourcePath(const std::string& path);
std::string Environment(const char* name, const std::string& fallback);

}  // namespace attune::training
