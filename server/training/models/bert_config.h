// Sizes and settings of a BERT encoder, read from the config.json that transformers writes. Plain and free of torch. Throws std::invalid_argument naming the key,
// the value and what is allowed.
#pragma once

#include <cstdint>

#include <nlohmann/json.hpp>

#include "server/training/models/layers/activation.h"

namespace attune::training {

struct BertConfig {
  int64_t vocab_size = 30522;
  int64_t hidden_size = 768;
  int64_t layers = 12;
  int64_t heads = 12;
  int64_t intermediate_size = 3072;
  int64_t max_positions = 512;
  int64_t type_vocab_size = 2;
  int64_t pad_token_id = 0;  // its embedding gets no gradient, as in transformers; -1: no such token
  Activation activation = Activation::kGelu;
  double layer_norm_eps = 1e-12;
  double hidden_dropout = 0.1;
  double attention_dropout = 0.1;
  double head_dropout = 0.1;  // classifier_dropout, else hidden_dropout_prob
  double initializer_range = 0.02;
};

BertConfig ParseBertConfig(const nlohmann::json& config);

}  // namespace attune::training
