// BERT (Devlin et al. 2018, https://arxiv.org/abs/1810.04805) as transformers' BertModel: its config.json, read and bounded, for the layout (bert.cc) and for the model in
// server/training/models/bert.cc. Pure; thread-safe. INVALID_ARGUMENT names the key, its value and what is allowed.
//
//   ATTUNE_ASSIGN_OR_RETURN(BertConfig c, ReadBertConfig(config));
#pragma once

#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

#include "absl/status/statusor.h"
#include "server/architectures/pooling.h"

namespace attune::architectures {

// Defaults are those of transformers' BertConfig.
struct BertConfig {
  int64_t vocab_size = 30522;
  int64_t hidden_size = 768;
  int64_t layers = 12;
  int64_t heads = 12;
  int64_t intermediate_size = 3072;
  int64_t max_positions = 512;
  int64_t type_vocab_size = 2;
  int64_t pad_token_id = 0;  // its embedding gets no gradient, as in transformers; -1 (null in the file): no such token
  std::string hidden_act = "gelu";
  double layer_norm_eps = 1e-12;
  double hidden_dropout = 0.1;
  double attention_dropout = 0.1;
  double head_dropout = 0.1;  // classifier_dropout, else hidden_dropout_prob
  double initializer_range = 0.02;
  Pooling pooling = Pooling::kOwn;  // the pooler
};

absl::StatusOr<BertConfig> ReadBertConfig(const nlohmann::json& config);

}  // namespace attune::architectures
