#include "server/architectures/image_config.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "server/architectures/config_values.h"
#include "server/base/status_macros.h"

namespace attune::architectures {
namespace {

constexpr int64_t kSmallest = 32, kLargest = 1024, kLargestResize = 2048;
constexpr double kMinDeviation = 1e-6;

absl::StatusOr<std::array<float, 3>> ReadColour(const nlohmann::json& config, const char* key, const std::array<float, 3>& fallback, double low) {
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<double> values, ConfigReals(config, key, {fallback.begin(), fallback.end()}, low, 10));
  return std::array<float, 3>{static_cast<float>(values[0]), static_cast<float>(values[1]), static_cast<float>(values[2])};
}

}  // namespace

absl::StatusOr<ImageInput> ReadImageInput(const nlohmann::json& config, const ImageInput& defaults) {
  ImageInput input = defaults;
  const int64_t smallest = std::max<int64_t>(kSmallest, defaults.min_image_size);
  ATTUNE_ASSIGN_OR_RETURN(input.image_size, ConfigInteger(config, "image_size", defaults.image_size, smallest, kLargest));
  const double ratio = static_cast<double>(defaults.resize_size) / defaults.image_size;
  const int64_t resize = std::clamp<int64_t>(std::llround(input.image_size * ratio), input.image_size, kLargestResize);
  ATTUNE_ASSIGN_OR_RETURN(input.resize_size, ConfigInteger(config, "resize_size", resize, input.image_size, kLargestResize));
  ATTUNE_ASSIGN_OR_RETURN(const std::string interpolation,
                          ConfigChoice(config, "interpolation", defaults.bicubic ? "bicubic" : "bilinear", {"bilinear", "bicubic"}));
  input.bicubic = interpolation == "bicubic";
  ATTUNE_ASSIGN_OR_RETURN(input.mean, ReadColour(config, "image_mean", defaults.mean, -10));
  ATTUNE_ASSIGN_OR_RETURN(input.standard_deviation, ReadColour(config, "image_std", defaults.standard_deviation, kMinDeviation));
  return input;
}

}  // namespace attune::architectures
