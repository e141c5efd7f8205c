#include "server/architectures/pooling.h"

#include <string>

#include <nlohmann/json.hpp>

#include "server/architectures/config_values.h"
#include "server/base/status_macros.h"

namespace attune::architectures {

const char* PoolingName(Pooling pooling) {
  switch (pooling) {
    case Pooling::kFirstToken:
      return "first_token";
    case Pooling::kMean:
      return "mean";
    case Pooling::kMax:
      return "max";
    case Pooling::kOwn:
      break;
  }
  return "";
}

absl::StatusOr<Pooling> ReadPooling(const nlohmann::json& config, TokenOutput output) {
  ATTUNE_ASSIGN_OR_RETURN(const std::string word, ConfigChoice(config, kPoolingKey, "", {"first_token", "mean", "max"}));
  for (const Pooling pooling : {Pooling::kFirstToken, Pooling::kMean, Pooling::kMax}) {
    if (word != PoolingName(pooling)) continue;
    if (pooling != Pooling::kFirstToken || output == TokenOutput::kHasFirstToken) return pooling;
    return ConfigError(kPoolingKey, word, "a convolutional network has no first token: use mean or max");
  }
  return Pooling::kOwn;
}

void SetPooling(Pooling pooling, nlohmann::json& config) {
  if (pooling != Pooling::kOwn) config[kPoolingKey] = PoolingName(pooling);
}

}  // namespace attune::architectures
