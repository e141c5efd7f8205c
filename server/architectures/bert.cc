// BERT (https://arxiv.org/abs/1810.04805) as transformers' BertModel names it. The counterpart of
// server/training/models/bert.cc.
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/architectures/architecture.h"
#include "server/architectures/config_values.h"
#include "server/architectures/layout_builder.h"

namespace attune::architectures {
namespace {

constexpr int64_t kMaxParameters = int64_t{1} << 34;  // 64 GiB of fp32

// Defaults are those of transformers' BertConfig.
struct Sizes {
  int64_t vocabulary = 30522;
  int64_t hidden = 768;
  int64_t layers = 12;
  int64_t heads = 12;
  int64_t intermediate = 3072;
  int64_t positions = 512;
  int64_t types = 2;
};

absl::StatusOr<Sizes> ReadSizes(const nlohmann::json& config) {
  Sizes s;
  ATTUNE_ASSIGN_OR_RETURN(s.vocabulary, ConfigInteger(config, "vocab_size", s.vocabulary, 1, 4'000'000));
  ATTUNE_ASSIGN_OR_RETURN(s.hidden, ConfigInteger(config, "hidden_size", s.hidden, 1, 16384));
  ATTUNE_ASSIGN_OR_RETURN(s.layers, ConfigInteger(config, "num_hidden_layers", s.layers, 1, 256));
  ATTUNE_ASSIGN_OR_RETURN(s.heads, ConfigInteger(config, "num_attention_heads", s.heads, 1, 256));
  ATTUNE_ASSIGN_OR_RETURN(s.intermediate, ConfigInteger(config, "intermediate_size", s.intermediate, 1, 131072));
  ATTUNE_ASSIGN_OR_RETURN(s.positions, ConfigInteger(config, "max_position_embeddings", s.positions, 1, 1'048'576));
  ATTUNE_ASSIGN_OR_RETURN(s.types, ConfigInteger(config, "type_vocab_size", s.types, 1, 256));
  ATTUNE_RETURN_IF_ERROR(ConfigInteger(config, "pad_token_id", 0, -1, s.vocabulary - 1).status());
  if (s.hidden % s.heads != 0) {
    return absl::InvalidArgumentError(
        StrCat("config.json: hidden_size (", s.hidden, ") must be a multiple of num_attention_heads (", s.heads, ")"));
  }
  // Each factor is bounded above, so that none of these sums comes near 2^63.
  const int64_t total = (s.vocabulary + s.positions + s.types) * s.hidden +
                        s.layers * (4 * s.hidden * s.hidden + 2 * s.hidden * s.intermediate);
  if (total > kMaxParameters) {
    return absl::InvalidArgumentError(
        StrCat("config.json: vocab_size, hidden_size, intermediate_size and num_hidden_layers together describe ",
               total / 1'000'000'000, " billion parameters; at most 17 billion are supported"));
  }
  return s;
}

absl::Status CheckSupported(const nlohmann::json& config) {
  ATTUNE_RETURN_IF_ERROR(
      CheckConfigChoice(config, "hidden_act", {"gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish"}));
  ATTUNE_RETURN_IF_ERROR(CheckConfigChoice(config, "position_embedding_type", {"absolute"}));
  for (const char* key : {"is_decoder", "add_cross_attention"}) {
    ATTUNE_RETURN_IF_ERROR(CheckConfigFalse(config, key, "only encoders are supported: set it to false"));
  }
  ATTUNE_RETURN_IF_ERROR(CheckConfigReal(config, "layer_norm_eps", 0, 1));
  ATTUNE_RETURN_IF_ERROR(CheckConfigReal(config, "initializer_range", 0, 10));
  for (const char* key : {"hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout"}) {
    ATTUNE_RETURN_IF_ERROR(CheckConfigReal(config, key, 0, 0.999));
  }
  return absl::OkStatus();
}

absl::StatusOr<ModelLayout> Describe(const nlohmann::json& config) {
  ATTUNE_RETURN_IF_ERROR(CheckSupported(config));
  ATTUNE_ASSIGN_OR_RETURN(const Sizes s, ReadSizes(config));
  LayoutBuilder builder;
  builder.BeginGroup("embeddings");
  builder.Table("embeddings.word_embeddings.weight", {s.vocabulary, s.hidden});
  builder.Table("embeddings.position_embeddings.weight", {s.positions, s.hidden});
  builder.Table("embeddings.token_type_embeddings.weight", {s.types, s.hidden});
  builder.LayerNorm("embeddings.LayerNorm", s.hidden);
  for (int64_t i = 0; i < s.layers; ++i) {
    builder.BeginGroup(StrCat("layer.", i));
    const std::string name = StrCat("encoder.layer.", i);
    builder.Linear(name + ".attention.self.query", s.hidden, s.hidden);
    builder.Linear(name + ".attention.self.key", s.hidden, s.hidden);
    builder.Linear(name + ".attention.self.value", s.hidden, s.hidden);
    builder.Linear(name + ".attention.output.dense", s.hidden, s.hidden);
    builder.LayerNorm(name + ".attention.output.LayerNorm", s.hidden);
    builder.Linear(name + ".intermediate.dense", s.intermediate, s.hidden);
    builder.Linear(name + ".output.dense", s.hidden, s.intermediate);
    builder.LayerNorm(name + ".output.LayerNorm", s.hidden);
  }
  builder.BeginGroup("pooler", /*optional=*/true);
  builder.Linear("pooler.dense", s.hidden, s.hidden);
  ModelLayout layout = builder.Take();
  layout.max_length = s.positions;
  layout.vocabulary_size = s.vocabulary;
  layout.type_count = s.types;
  return layout;
}

// Checkpoints converted from TensorFlow long ago call a norm's weight gamma and its bias beta.
std::string ModernName(std::string_view name) {
  for (const auto& [old_end, new_end] :
       {std::pair<std::string_view, std::string_view>{"LayerNorm.gamma", "LayerNorm.weight"},
        {"LayerNorm.beta", "LayerNorm.bias"}}) {
    if (absl::EndsWith(AbslView(name), AbslView(old_end)))
      return StrCat(name.substr(0, name.size() - old_end.size()), new_end);
  }
  return std::string(name);
}

bool IsBuffer(std::string_view name) {
  return name == "embeddings.position_ids" || name == "embeddings.token_type_ids";
}

ATTUNE_REGISTER_ARCHITECTURE((Architecture{
    .name = "bert", .prefix = "bert.", .head_name = "classifier", .describe = Describe, .modern_name = ModernName, .is_buffer = IsBuffer}));

}  // namespace
}  // namespace attune::architectures
