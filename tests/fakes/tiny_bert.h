// A tiny BERT with seeded random weights, written as the directory that transformers' save_pretrained makes:
// config.json, model.safetensors and the tokenizer of tiny_tokenizer.h. Header-only, torch-free; names and shapes are
// spelled out here on purpose, independent of the code under test.
//
//   TemporaryDirectory dir;
//   ASSERT_TRUE(WriteTinyBert(dir.path(), {.layers = 3}).ok());
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/base/files.h"
#include "server/base/status_macros.h"
#include "server/weights/safetensors.h"
#include "tests/fakes/tiny_tensors.h"
#include "tests/fakes/tiny_tokenizer.h"

namespace attune {

struct TinyBertOptions {
  int64_t hidden = 32;
  int64_t layers = 2;
  int64_t heads = 4;
  int64_t intermediate = 64;
  int64_t positions = 64;
  std::string prefix;  // "bert.": as a model with a head saves its encoder
  bool pooler = true;
  bool old_norm_names = false;                  // gamma and beta
  weights::DType dtype = weights::DType::kF32;  // F32, BF16 or F16
  uint32_t seed = 1;
};

inline nlohmann::ordered_json TinyBertConfig(const TinyBertOptions& options = {}) {
  return {{"architectures", {"BertModel"}},
          {"model_type", "bert"},
          {"vocab_size", TinyVocabularySize()},
          {"hidden_size", options.hidden},
          {"num_hidden_layers", options.layers},
          {"num_attention_heads", options.heads},
          {"intermediate_size", options.intermediate},
          {"max_position_embeddings", options.positions},
          {"type_vocab_size", 2},
          {"hidden_act", "gelu"},
          {"hidden_dropout_prob", 0.1},
          {"attention_probs_dropout_prob", 0.1},
          {"initializer_range", 0.02},
          {"layer_norm_eps", 1e-12},
          {"pad_token_id", 0},
          {"position_embedding_type", "absolute"}};
}

// The tensors in the order in which they are written.
inline std::vector<TinyTensor> TinyBertTensors(const TinyBertOptions& options = {}) {
  std::mt19937 random(options.seed);
  const auto uniform = [&] {
    return static_cast<float>(random() % 2001) / 25000.0f - 0.04f;
  };  // as wide as a normal of 0.02
  std::vector<TinyTensor> tensors;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape, float center, bool spread) {
    TinyTensor tensor{options.prefix + name, std::move(shape), options.dtype, ""};
    int64_t count = 1;
    for (const int64_t size : tensor.shape) count *= size;
    for (int64_t i = 0; i < count; ++i)
      AppendTinyValue(center + (spread ? uniform() : 0.0f), options.dtype, &tensor.bytes);
    tensors.push_back(std::move(tensor));
  };
  const auto norm = [&](const std::string& name) {
    add(name + (options.old_norm_names ? ".gamma" : ".weight"), {options.hidden}, 1.0f, true);
    add(name + (options.old_norm_names ? ".beta" : ".bias"), {options.hidden}, 0.0f, true);
  };
  const auto linear = [&](const std::string& name, int64_t out, int64_t in) {
    add(name + ".weight", {out, in}, 0.0f, true);
    add(name + ".bias", {out}, 0.0f, true);
  };
  add("embeddings.word_embeddings.weight", {TinyVocabularySize(), options.hidden}, 0.0f, true);
  add("embeddings.position_embeddings.weight", {options.positions, options.hidden}, 0.0f, true);
  add("embeddings.token_type_embeddings.weight", {2, options.hidden}, 0.0f, true);
  norm("embeddings.LayerNorm");
  for (int64_t i = 0; i < options.layers; ++i) {
    const std::string layer = "encoder.layer." + std::to_string(i);
    linear(layer + ".attention.self.query", options.hidden, options.hidden);
    linear(layer + ".attention.self.key", options.hidden, options.hidden);
    linear(layer + ".attention.self.value", options.hidden, options.hidden);
    linear(layer + ".attention.output.dense", options.hidden, options.hidden);
    norm(layer + ".attention.output.LayerNorm");
    linear(layer + ".intermediate.dense", options.intermediate, options.hidden);
    linear(layer + ".output.dense", options.hidden, options.intermediate);
    norm(layer + ".output.LayerNorm");
  }
  if (options.pooler) linear("pooler.dense", options.hidden, options.hidden);
  return tensors;
}

// Everything but the weights: name to content.
inline std::map<std::string, std::string> TinyBertTextFiles(const TinyBertOptions& options = {}) {
  std::string vocabulary;
  for (const std::string& token : TinyVocabulary()) vocabulary += token + "\n";
  const nlohmann::ordered_json special = {{"unk_token", "[UNK]"},
                                          {"sep_token", "[SEP]"},
                                          {"pad_token", "[PAD]"},
                                          {"cls_token", "[CLS]"},
                                          {"mask_token", "[MASK]"}};
  nlohmann::ordered_json tokenizer_config = special;
  tokenizer_config["do_lower_case"] = true;
  tokenizer_config["tokenizer_class"] = "BertTokenizer";
  tokenizer_config["model_max_length"] = options.positions;
  return {{"config.json", TinyBertConfig(options).dump(2)},
          {"tokenizer.json", TinyTokenizerJson()},
          {"tokenizer_config.json", tokenizer_config.dump(2)},
          {"special_tokens_map.json", special.dump(2)},
          {"vocab.txt", vocabulary}};
}

inline absl::Status WriteTinyBert(const std::string& directory, const TinyBertOptions& options = {}) {
  ATTUNE_RETURN_IF_ERROR(Files::Posix().CreateDirectories(directory));
  for (const auto& [name, content] : TinyBertTextFiles(options)) {
    ATTUNE_RETURN_IF_ERROR(WriteFileAtomically(Files::Posix(), directory + "/" + name, content));
  }
  return WriteTinyTensors(directory + "/model.safetensors", TinyBertTensors(options));
}

}  // namespace attune
