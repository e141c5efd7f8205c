// The parameters of transformers' BertModel under the names that it saves them with. The counterpart of server/training/models/bert.cc.
#include "server/architectures/bert.h"

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

absl::Status CheckSupported(const nlohmann::json& config) {
  ATTUNE_RETURN_IF_ERROR(CheckConfigChoice(config, "position_embedding_type", {"absolute"}));
  for (const char* key : {"is_decoder", "add_cross_attention"}) {
    ATTUNE_RETURN_IF_ERROR(CheckConfigFalse(config, key, "only encoders are supported: set it to false"));
  }
  return absl::OkStatus();
}

absl::Status CheckSizes(const BertConfig& c) {
  if (c.hidden_size % c.heads != 0) {
    return absl::InvalidArgumentError(
        StrCat("config.json: hidden_size (", c.hidden_size, ") must be a multiple of num_attention_heads (", c.heads, ")"));
  }
  // Each factor is bounded above, so that none of these sums comes near 2^63.
  const int64_t total = (c.vocab_size + c.max_positions + c.type_vocab_size) * c.hidden_size +
                        c.layers * (4 * c.hidden_size * c.hidden_size + 2 * c.hidden_size * c.intermediate_size);
  if (total > kMaxParameters) {
    return absl::InvalidArgumentError(
        StrCat("config.json: vocab_size, hidden_size, intermediate_size and num_hidden_layers together describe ",
               total / 1'000'000'000, " billion parameters; at most 17 billion are supported"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ModelLayout> Describe(const nlohmann::json& config) {
  ATTUNE_ASSIGN_OR_RETURN(const BertConfig c, ReadBertConfig(config));
  LayoutBuilder builder;
  builder.BeginGroup("embeddings");
  builder.Table("embeddings.word_embeddings.weight", {c.vocab_size, c.hidden_size});
  builder.Table("embeddings.position_embeddings.weight", {c.max_positions, c.hidden_size});
  builder.Table("embeddings.token_type_embeddings.weight", {c.type_vocab_size, c.hidden_size});
  builder.LayerNorm("embeddings.LayerNorm", c.hidden_size);
  for (int64_t i = 0; i < c.layers; ++i) {
    builder.BeginGroup(StrCat("layer.", i));
    const std::string name = StrCat("encoder.layer.", i);
    builder.Linear(name + ".attention.self.query", c.hidden_size, c.hidden_size);
    builder.Linear(name + ".attention.self.key", c.hidden_size, c.hidden_size);
    builder.Linear(name + ".attention.self.value", c.hidden_size, c.hidden_size);
    builder.Linear(name + ".attention.output.dense", c.hidden_size, c.hidden_size);
    builder.LayerNorm(name + ".attention.output.LayerNorm", c.hidden_size);
    builder.Linear(name + ".intermediate.dense", c.intermediate_size, c.hidden_size);
    builder.Linear(name + ".output.dense", c.hidden_size, c.intermediate_size);
    builder.LayerNorm(name + ".output.LayerNorm", c.hidden_size);
  }
  if (c.pooling == Pooling::kOwn) {
    builder.BeginGroup("pooler", /*optional=*/true);
    builder.Linear("pooler.dense", c.hidden_size, c.hidden_size);
  }
  ModelLayout layout = builder.Take();
  layout.max_length = c.max_positions;
  layout.vocabulary_size = c.vocab_size;
  layout.type_count = c.type_vocab_size;
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

absl::StatusOr<BertConfig> ReadBertConfig(const nlohmann::json& config) {
  if (!config.is_object()) return absl::InvalidArgumentError("config.json: must be a JSON object");
  ATTUNE_RETURN_IF_ERROR(CheckSupported(config));
  BertConfig c;
  ATTUNE_ASSIGN_OR_RETURN(c.vocab_size, ConfigInteger(config, "vocab_size", c.vocab_size, 1, 4'000'000));
  ATTUNE_ASSIGN_OR_RETURN(c.hidden_size, ConfigInteger(config, "hidden_size", c.hidden_size, 1, 16384));
  ATTUNE_ASSIGN_OR_RETURN(c.layers, ConfigInteger(config, "num_hidden_layers", c.layers, 1, 256));
  ATTUNE_ASSIGN_OR_RETURN(c.heads, ConfigInteger(config, "num_attention_heads", c.heads, 1, 256));
  ATTUNE_ASSIGN_OR_RETURN(c.intermediate_size, ConfigInteger(config, "intermediate_size", c.intermediate_size, 1, 131072));
  ATTUNE_ASSIGN_OR_RETURN(c.max_positions, ConfigInteger(config, "max_position_embeddings", c.max_positions, 1, 1'048'576));
  ATTUNE_ASSIGN_OR_RETURN(c.type_vocab_size, ConfigInteger(config, "type_vocab_size", c.type_vocab_size, 1, 256));
  const int64_t no_pad_token = config.contains("pad_token_id") ? -1 : c.pad_token_id;  // null means none
  ATTUNE_ASSIGN_OR_RETURN(c.pad_token_id, ConfigInteger(config, "pad_token_id", no_pad_token, -1, c.vocab_size - 1));
  ATTUNE_ASSIGN_OR_RETURN(c.hidden_act, ConfigChoice(config, "hidden_act", c.hidden_act, {"gelu", "gelu_new", "gelu_pytorch_tanh", "relu", "silu", "swish"}));
  ATTUNE_ASSIGN_OR_RETURN(c.layer_norm_eps, ConfigReal(config, "layer_norm_eps", c.layer_norm_eps, 0, 1));
  ATTUNE_ASSIGN_OR_RETURN(c.hidden_dropout, ConfigReal(config, "hidden_dropout_prob", c.hidden_dropout, 0, kMaxDropout));
  ATTUNE_ASSIGN_OR_RETURN(c.attention_dropout, ConfigReal(config, "attention_probs_dropout_prob", c.attention_dropout, 0, kMaxDropout));
  ATTUNE_ASSIGN_OR_RETURN(c.head_dropout, ConfigReal(config, "classifier_dropout", c.hidden_dropout, 0, kMaxDropout));
  ATTUNE_ASSIGN_OR_RETURN(c.initializer_range, ConfigReal(config, "initializer_range", c.initializer_range, 0, 10));
  ATTUNE_ASSIGN_OR_RETURN(c.pooling, ReadPooling(config, TokenOutput::kHasFirstToken));
  ATTUNE_RETURN_IF_ERROR(CheckSizes(c));
  return c;
}

}  // namespace attune::architectures
