#include "server/catalogue/layer_listing.h"

#include "server/base/glob.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::catalogue {
namespace {

constexpr int kMaxPatterns = 100;
constexpr size_t kMaxPatternBytes = 512;

absl::Status CheckPattern(int index, const std::string& pattern) {
  const std::string field = StrCat("patterns[", index, "]");
  if (pattern.size() > kMaxPatternBytes) {
    return absl::InvalidArgumentError(
        StrCat(field, " has more than ", kMaxPatternBytes, " bytes; split it into several"));
  }
  const absl::Status status = CheckGlob(pattern);
  if (status.ok()) return status;
  return absl::Status(status.code(), StrCat(field, ": ", std::string(status.message())));
}

}  // namespace

absl::StatusOr<v1::DescribeLayersResponse> ListLayers(const architectures::ModelLayout& layout, const std::string& prefix,
                                                      const google::protobuf::RepeatedPtrField<std::string>& patterns) {
  v1::DescribeLayersResponse response;
  for (const architectures::ParameterShape& parameter : layout.parameters) {
    v1::Layer& layer = *response.add_layers();
    layer.set_name(parameter.name);
    for (const int64_t size : parameter.shape) layer.add_shape(size);
    layer.set_group(parameter.group);
    layer.set_parameter_count(parameter.value_count());
  }
  if (patterns.size() > kMaxPatterns) {
    return absl::InvalidArgumentError(
        StrCat("patterns: ", patterns.size(), " are too many; ask for at most ", kMaxPatterns, " at once"));
  }
  for (int i = 0; i < patterns.size(); ++i) {
    ATTUNE_RETURN_IF_ERROR(CheckPattern(i, patterns[i]));
    v1::PatternMatch& match = *response.add_matches();
    match.set_pattern(patterns[i]);
    int64_t values = 0;
    for (const v1::Layer& layer : response.layers()) {
      if (!GlobMatches(patterns[i], layer.name()) && !GlobMatches(patterns[i], prefix + layer.name())) continue;
      match.add_names(layer.name());
      values += layer.parameter_count();
    }
    match.set_parameter_count(values);
  }
  return response;
}

}  // namespace attune::catalogue
