// BERT (Devlin et al. 2018, https://arxiv.org/abs/1810.04805) as in transformers' BertModel, on packed tokens: embeddings, linears and norms run on [T, H] with
// T the real tokens of the batch; only attention looks at sequences. Post-norm layers, learned absolute positions, pooler on the first token.
#include <algorithm>
#include <stdexcept>
#include <utility>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/grad_mode.h>
#include <ATen/TensorOperators.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "absl/strings/str_cat.h"
#include "server/training/models/bert_config.h"
#include "server/training/models/layers/packed_attention.h"
#include "server/training/models/model.h"

namespace attune::training {
namespace {

constexpr char kPrefix[] = "bert.";

struct Linear {
  at::Tensor weight;  // [out, in]
  at::Tensor bias;    // [out]
  at::Tensor operator()(const at::Tensor& x) const { return at::linear(x, weight, bias); }
};

struct Norm {
  at::Tensor weight;
  at::Tensor bias;
};

struct Layer {
  Linear query, key, value, attention_output, intermediate, output;
  Norm attention_norm, output_norm;
};

class BertModel : public Model {
 public:
  BertModel(const BertConfig& config, uint64_t seed) : config_(config), generator_(at::detail::createCPUGenerator(seed)) { CreateParameters(); }

  const std::vector<Parameter>& parameters() const override { return parameters_; }
  const std::vector<std::string>& groups() const override { return groups_; }
  int64_t feature_size() const override { return config_.hidden_size; }
  double default_head_dropout() const override { return config_.head_dropout; }
  at::Tensor Forward(const TextBatch& batch, bool training) override;
  void To(const at::Device& device) override;

 private:
  void CreateParameters();
  at::Tensor Add(const std::string& name, at::Tensor tensor, bool decay);
  Linear AddLinear(const std::string& name, int64_t out, int64_t in);
  Norm AddNorm(const std::string& name);
  at::Tensor AddEmbedding(const std::string& name, int64_t rows);

  int LowestTrainableGroup() const;
  void CheckBatch(const TextBatch& batch) const;
  at::Tensor Embed(const TextBatch& batch) const;
  at::Tensor RunLayer(const Layer& layer, const at::Tensor& x, const TextBatch& batch) const;
  at::Tensor RunLastLayer(const Layer& layer, const at::Tensor& x, const TextBatch& batch) const;
  at::Tensor FinishLayer(const Layer& layer, const at::Tensor& x, const at::Tensor& context) const;
  at::Tensor DropAddNorm(const at::Tensor& x, const at::Tensor& residual, const Norm& norm) const;
  at::Tensor Normalise(const at::Tensor& x, const Norm& norm) const;

  const BertConfig config_;
  at::Generator generator_;
  std::vector<std::string> groups_;
  std::vector<Parameter> parameters_;
  at::Tensor word_embeddings_, position_embeddings_, type_embeddings_;
  Norm embedding_norm_;
  std::vector<Layer> layers_;
  Linear pooler_;
  bool training_ = false;  // of the Forward that runs
};

at::Tensor BertModel::Add(const std::string& name, at::Tensor tensor, bool decay) {
  parameters_.push_back({kPrefix + name, tensor, static_cast<int>(groups_.size()) - 1, decay});
  return tensor;
}

Linear BertModel::AddLinear(const std::string& name, int64_t out, int64_t in) {
  Linear linear;
  linear.weight = Add(name + ".weight", at::empty({out, in}).normal_(0, config_.initializer_range, generator_), true);
  linear.bias = Add(name + ".bias", at::zeros({out}), false);
  return linear;
}

Norm BertModel::AddNorm(const std::string& name) {
  Norm norm;
  norm.weight = Add(name + ".weight", at::ones({config_.hidden_size}), false);
  norm.bias = Add(name + ".bias", at::zeros({config_.hidden_size}), false);
  return norm;
}

at::Tensor BertModel::AddEmbedding(const std::string& name, int64_t rows) {
  return Add(name + ".weight", at::empty({rows, config_.hidden_size}).normal_(0, config_.initializer_range, generator_), true);
}

void BertModel::CreateParameters() {
  const int64_t hidden = config_.hidden_size;
  groups_.push_back("embeddings");
  word_embeddings_ = AddEmbedding("embeddings.word_embeddings", config_.vocab_size);
  if (config_.pad_token_id >= 0) word_embeddings_[config_.pad_token_id].zero_();
  position_embeddings_ = AddEmbedding("embeddings.position_embeddings", config_.max_positions);
  type_embeddings_ = AddEmbedding("embeddings.token_type_embeddings", config_.type_vocab_size);
  embedding_norm_ = AddNorm("embeddings.LayerNorm");
  for (int64_t i = 0; i < config_.layers; ++i) {
    groups_.push_back(absl::StrCat("layer.", i));
    const std::string name = absl::StrCat("encoder.layer.", i);
    Layer layer;
    layer.query = AddLinear(name + ".attention.self.query", hidden, hidden);
    layer.key = AddLinear(name + ".attention.self.key", hidden, hidden);
    layer.value = AddLinear(name + ".attention.self.value", hidden, hidden);
    layer.attention_output = AddLinear(name + ".attention.output.dense", hidden, hidden);
    layer.attention_norm = AddNorm(name + ".attention.output.LayerNorm");
    layer.intermediate = AddLinear(name + ".intermediate.dense", config_.intermediate_size, hidden);
    layer.output = AddLinear(name + ".output.dense", hidden, config_.intermediate_size);
    layer.output_norm = AddNorm(name + ".output.LayerNorm");
    layers_.push_back(std::move(layer));
  }
  groups_.push_back("pooler");
  pooler_ = AddLinear("pooler.dense", hidden, hidden);
}

void BertModel::To(const at::Device& device) {
  // set_data keeps the tensor objects that optimizer and exporter hold.
  for (Parameter& parameter : parameters_) parameter.tensor.set_data(parameter.tensor.detach().to(device));
}

int BertModel::LowestTrainableGroup() const {
  int lowest = static_cast<int>(groups_.size());
  for (const Parameter& parameter : parameters_) {
    if (parameter.tensor.requires_grad()) lowest = std::min(lowest, parameter.group);
  }
  return lowest;
}

void BertModel::CheckBatch(const TextBatch& batch) const {
  if (batch.runs.empty()) throw std::invalid_argument("a batch needs at least one text");
  if (batch.runs.back().length > config_.max_positions) {
    throw std::invalid_argument(absl::StrCat("a text has ", batch.runs.back().length, " tokens, but the model has ", config_.max_positions,
                                             " positions; set max_length to at most ", config_.max_positions));
  }
}

at::Tensor BertModel::Normalise(const at::Tensor& x, const Norm& norm) const {
  return at::layer_norm(x, {config_.hidden_size}, norm.weight, norm.bias, config_.layer_norm_eps);
}

at::Tensor BertModel::DropAddNorm(const at::Tensor& x, const at::Tensor& residual, const Norm& norm) const {
  return Normalise(at::dropout(x, config_.hidden_dropout, training_) + residual, norm);
}

at::Tensor BertModel::Embed(const TextBatch& batch) const {
  at::Tensor x = at::embedding(word_embeddings_, batch.token_ids, config_.pad_token_id) + at::embedding(type_embeddings_, batch.type_ids) +
                 at::embedding(position_embeddings_, batch.position_ids);
  return at::dropout(Normalise(x, embedding_norm_), config_.hidden_dropout, training_);
}

at::Tensor BertModel::FinishLayer(const Layer& layer, const at::Tensor& x, const at::Tensor& context) const {
  const at::Tensor attended = DropAddNorm(layer.attention_output(context), x, layer.attention_norm);
  return DropAddNorm(layer.output(Activate(config_.activation, layer.intermediate(attended))), attended, layer.output_norm);
}

at::Tensor BertModel::RunLayer(const Layer& layer, const at::Tensor& x, const TextBatch& batch) const {
  const at::Tensor weight = at::cat({layer.query.weight, layer.key.weight, layer.value.weight}, 0);
  const at::Tensor bias = at::cat({layer.query.bias, layer.key.bias, layer.value.bias}, 0);
  const at::Tensor context = PackedAttention(at::linear(x, weight, bias), batch.runs, config_.heads, training_ ? config_.attention_dropout : 0);
  return FinishLayer(layer, x, context);
}

// Only the first token of each sequence goes on to the pooler: the last layer needs keys and values of all tokens, and everything else of B tokens alone.
at::Tensor BertModel::RunLastLayer(const Layer& layer, const at::Tensor& x, const TextBatch& batch) const {
  const at::Tensor first = x.index_select(0, batch.first_token);
  const at::Tensor weight = at::cat({layer.key.weight, layer.value.weight}, 0);
  const at::Tensor bias = at::cat({layer.key.bias, layer.value.bias}, 0);
  const at::Tensor context = PackedSingleQueryAttention(layer.query(first), at::linear(x, weight, bias), batch.runs, config_.heads,
                                                        training_ ? config_.attention_dropout : 0);
  return FinishLayer(layer, first, context);
}

at::Tensor BertModel::Forward(const TextBatch& batch, bool training) {
  CheckBatch(batch);
  training_ = training;
  const int lowest = LowestTrainableGroup();
  const bool outer = at::GradMode::is_enabled();
  at::AutoGradMode grad(outer && lowest <= 0);
  at::Tensor x = Embed(batch);
  const int count = static_cast<int>(layers_.size());
  for (int i = 0; i < count; ++i) {
    at::GradMode::set_enabled(outer && lowest <= i + 1);  // group 0 is the embeddings; the guard above restores the caller's mode
    x = i + 1 < count ? RunLayer(layers_[i], x, batch) : RunLastLayer(layers_[i], x, batch);
  }
  at::GradMode::set_enabled(outer && lowest <= count + 1);
  return pooler_(x).tanh();
}

ModelFactory BertFactory() {
  ModelFactory factory;
  factory.architecture = "bert";
  factory.description = "BERT encoder (Devlin et al. 2018): BERT, MiniLM and others that transformers loads as BertModel";
  factory.tasks = {"text-classification", "text-multi-label", "text-regression"};
  factory.prefix = kPrefix;
  factory.exported_class = [](const std::string&) { return std::string("BertForSequenceClassification"); };
  factory.head_name = "classifier";
  factory.create = [](const nlohmann::json& config, uint64_t seed) -> std::unique_ptr<Model> {
    return std::make_unique<BertModel>(ParseBertConfig(config), seed);
  };
  return factory;
}

ATTUNE_REGISTER_MODEL(BertFactory());

}  // namespace
}  // namespace attune::training
