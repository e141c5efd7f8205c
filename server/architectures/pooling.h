// How the outputs of a model's last layer become the one vector that the head takes: config.json's "attune_pooling". Pure; thread-safe.
//
//   ATTUNE_ASSIGN_OR_RETURN(c.pooling, ReadPooling(config, TokenOutput::kHasFirstToken));
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "absl/status/statusor.h"

namespace attune::architectures {

// Numbered as attune.v1.Pooling.
enum class Pooling {
  kOwn,         // as the architecture's own classifier takes it
  kFirstToken,  // [CLS] or the class token
  kMean,        // over the tokens of a text, the patches or positions of an image
  kMax,
};

enum class TokenOutput { kHasFirstToken, kPositionsAlone };

inline constexpr char kPoolingKey[] = "attune_pooling";

// "first_token", "mean", "max"; empty for the model's own.
const char* PoolingName(Pooling pooling);

// Absent: the model's own. INVALID_ARGUMENT for any other word, and for "first_token" where there are positions alone.
absl::StatusOr<Pooling> ReadPooling(const nlohmann::json& config, TokenOutput output);

// `config` for a model with this pooling; the model's own leaves it as it is.
void SetPooling(Pooling pooling, nlohmann::json& config);

}  // namespace attune::architectures
