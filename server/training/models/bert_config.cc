#include "server/training/models/bert_config.h"

#include <cmath>
#include <stdexcept>
#include <string>

#include "absl/strings/str_cat.h"

namespace attune::training {
namespace {

[[noreturn]] void Fail(std::string_view key, const nlohmann::json& value, std::string_view allowed) {
  throw std::invalid_argument("config.json: " + std::string(key) + " is " + value.dump() + "; " + std::string(allowed));
}

// Present and not null.
const nlohmann::json* Find(const nlohmann::json& config, const char* key) {
  auto it = config.find(key);
  return it == config.end() || it->is_null() ? nullptr : &*it;
}

int64_t Integer(const nlohmann::json& config, const char* key, int64_t fallback, int64_t low, int64_t high) {
  const nlohmann::json* value = Find(config, key);
  if (value == nullptr) return fallback;
  // An unsigned value beyond int64 would wrap around when it is read as int64.
  const bool in_range = value->is_number_integer() && !(value->is_number_unsigned() && value->get<uint64_t>() > static_cast<uint64_t>(high)) &&
                        value->get<int64_t>() >= low && value->get<int64_t>() <= high;
  if (!in_range) Fail(key, *value, absl::StrCat("it must be a whole number from ", low, " to ", high));
  return value->get<int64_t>();
}

double Real(const nlohmann::json& config, const char* key, double fallback, double low, double high) {
  const nlohmann::json* value = Find(config, key);
  if (value == nullptr) return fallback;
  if (!value->is_number() || !(value->get<double>() >= low && value->get<double>() <= high)) {
    Fail(key, *value, absl::StrCat("it must be a number from ", low, " to ", high));
  }
  return value->get<double>();
}

constexpr double kMaxDropout = 0.999;
constexpr int64_t kMaxParameters = int64_t{1} << 34;  // 64 GiB of fp32

void CheckTotalSize(const BertConfig& c) {
  const double per_layer = 4.0 * c.hidden_size * c.hidden_size + 2.0 * c.hidden_size * c.intermediate_size;
  const double total = static_cast<double>(c.vocab_size + c.max_positions + c.type_vocab_size) * c.hidden_size + per_layer * c.layers;
  if (total > static_cast<double>(kMaxParameters)) {
    throw std::invalid_argument(absl::StrCat("config.json: vocab_size, hidden_size, intermediate_size and num_hidden_layers together describe ",
                                             std::llround(total / 1e9), " billion parameters; at most 17 billion are supported"));
  }
}

void CheckSupported(const nlohmann::json& config) {
  if (const auto* value = Find(config, "position_embedding_type"); value != nullptr && *value != "absolute") {
    Fail("position_embedding_type", *value, "only \"absolute\" is supported");
  }
  for (const char* key : {"is_decoder", "add_cross_attention"}) {
    if (const auto* value = Find(config, key); value != nullptr && *value != false) Fail(key, *value, "only encoders are supported: set it to false");
  }
}

}  // namespace

BertConfig ParseBertConfig(const nlohmann::json& config) {
  if (!config.is_object()) throw std::invalid_argument("config.json: must be a JSON object");
  CheckSupported(config);
  BertConfig c;
  c.vocab_size = Integer(config, "vocab_size", c.vocab_size, 1, 4'000'000);
  c.hidden_size = Integer(config, "hidden_size", c.hidden_size, 1, 16384);
  c.layers = Integer(config, "num_hidden_layers", c.layers, 1, 256);
  c.heads = Integer(config, "num_attention_heads", c.heads, 1, 256);
  c.intermediate_size = Integer(config, "intermediate_size", c.intermediate_size, 1, 131072);
  c.max_positions = Integer(config, "max_position_embeddings", c.max_positions, 1, 1'048'576);
  c.type_vocab_size = Integer(config, "type_vocab_size", c.type_vocab_size, 1, 256);
  c.pad_token_id = Integer(config, "pad_token_id", -1, -1, c.vocab_size - 1);
  if (Find(config, "pad_token_id") == nullptr && !config.contains("pad_token_id")) c.pad_token_id = 0;  // transformers' default
  if (c.hidden_size % c.heads != 0) {
    throw std::invalid_argument(absl::StrCat("config.json: hidden_size (", c.hidden_size, ") must be a multiple of num_attention_heads (", c.heads, ")"));
  }
  if (const auto* value = Find(config, "hidden_act")) {
    if (!value->is_string() || !ParseActivation(value->get<std::string>(), &c.activation)) {
      Fail("hidden_act", *value, "supported are gelu, gelu_new, gelu_pytorch_tanh, relu, silu and swish");
    }
  }
  c.layer_norm_eps = Real(config, "layer_norm_eps", c.layer_norm_eps, 0, 1);
  c.hidden_dropout = Real(config, "hidden_dropout_prob", c.hidden_dropout, 0, kMaxDropout);
  c.attention_dropout = Real(config, "attention_probs_dropout_prob", c.attention_dropout, 0, kMaxDropout);
  c.head_dropout = Real(config, "classifier_dropout", c.hidden_dropout, 0, kMaxDropout);
  c.initializer_range = Real(config, "initializer_range", c.initializer_range, 0, 10);
  CheckTotalSize(c);
  return c;
}

}  // namespace attune::training
