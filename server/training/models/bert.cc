// BERT (Devlin et al. 2018, https://arxiv.org/abs/1810.04805) as in transformers' BertModel, on packed tokens: embeddings, linears and norms run on [T, H] with
// T the real tokens of the batch; only attention looks at sequences. Post-norm layers, learned absolute positions, pooler on the first token unless config.json asks
// for another pooling.
#include <algorithm>
#include <mutex>
#include <stdexcept>
#include <utility>

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>

#include "absl/strings/str_cat.h"
#include "server/architectures/bert.h"
#include "server/training/models/layers/activation.h"
#include "server/training/models/layers/encoder_blocks.h"
#include "server/training/models/layers/vision/parameter_set.h"
#include "server/training/models/model.h"

namespace attune::training {
namespace {

using architectures::BertConfig;
using architectures::Pooling;

constexpr char kPrefix[] = "bert.";

struct Layer {
  AttentionWeights attention;
  FeedForwardWeights feed_forward;
};

class BertModel : public Model {
 public:
  BertModel(const BertConfig& config, uint64_t seed) : config_(config), generator_(at::detail::createCPUGenerator(seed)) {
    ParseActivation(config.hidden_act, &activation_);
    CreateParameters();
  }

  const std::vector<Parameter>& parameters() const override { return parameters_; }
  const std::vector<std::string>& groups() const override { return groups_; }
  int64_t feature_size() const override { return config_.hidden_size; }
  double default_head_dropout() const override { return config_.head_dropout; }
  ModelOutput Forward(const Batch& batch, const ForwardMode& mode) override;
  std::vector<int> cut_points() const override { return {static_cast<int>(groups_.size())}; }  // a layer's output needs the batch's runs of tokens beside it
  at::Tensor Prefix(const Batch& batch, int groups) override;
  void To(const at::Device& device) override;

 private:
  void CreateParameters();
  at::Tensor Add(const std::string& name, at::Tensor tensor, bool decay);
  at::Tensor AddTable(const std::string& name, int64_t rows);
  LinearWeights AddLinear(const std::string& name, int64_t out, int64_t in);
  NormWeights AddNorm(const std::string& name);
  Layer AddLayer(const std::string& name);

  at::Tensor Features(const TextBatch& batch, bool training) const;
  int LowestTrainableGroup() const;
  void CheckBatch(const TextBatch& batch) const;
  BlockSettings SettingsOf(bool training) const;

  const BertConfig config_;
  Activation activation_ = Activation::kGelu;
  at::Generator generator_;
  std::vector<std::string> groups_;
  std::vector<Parameter> parameters_;
  EmbeddingWeights embeddings_;
  std::vector<Layer> layers_;
  LinearWeights pooler_;
};

at::Tensor BertModel::Add(const std::string& name, at::Tensor tensor, bool decay) {
  parameters_.push_back({kPrefix + name, tensor, static_cast<int>(groups_.size()) - 1, decay});
  return tensor;
}

at::Tensor BertModel::AddTable(const std::string& name, int64_t rows) {
  return Add(name + ".weight", at::empty({rows, config_.hidden_size}).normal_(0, config_.initializer_range, generator_), true);
}

LinearWeights BertModel::AddLinear(const std::string& name, int64_t out, int64_t in) {
  LinearWeights linear;
  linear.weight = Add(name + ".weight", at::empty({out, in}).normal_(0, config_.initializer_range, generator_), true);
  linear.bias = Add(name + ".bias", at::zeros({out}), false);
  return linear;
}

NormWeights BertModel::AddNorm(const std::string& name) {
  NormWeights norm;
  norm.weight = Add(name + ".weight", at::ones({config_.hidden_size}), false);
  norm.bias = Add(name + ".bias", at::zeros({config_.hidden_size}), false);
  return norm;
}

Layer BertModel::AddLayer(const std::string& name) {
  const int64_t hidden = config_.hidden_size;
  Layer layer;
  layer.attention.query = AddLinear(name + ".attention.self.query", hidden, hidden);
  layer.attention.key = AddLinear(name + ".attention.self.key", hidden, hidden);
  layer.attention.value = AddLinear(name + ".attention.self.value", hidden, hidden);
  layer.attention.output = AddLinear(name + ".attention.output.dense", hidden, hidden);
  layer.attention.norm = AddNorm(name + ".attention.output.LayerNorm");
  layer.feed_forward.intermediate = AddLinear(name + ".intermediate.dense", config_.intermediate_size, hidden);
  layer.feed_forward.output = AddLinear(name + ".output.dense", hidden, config_.intermediate_size);
  layer.feed_forward.norm = AddNorm(name + ".output.LayerNorm");
  return layer;
}

void BertModel::CreateParameters() {
  groups_.push_back("embeddings");
  embeddings_.word = AddTable("embeddings.word_embeddings", config_.vocab_size);
  if (config_.pad_token_id >= 0) embeddings_.word[config_.pad_token_id].zero_();
  embeddings_.position = AddTable("embeddings.position_embeddings", config_.max_positions);
  embeddings_.type = AddTable("embeddings.token_type_embeddings", config_.type_vocab_size);
  embeddings_.norm = AddNorm("embeddings.LayerNorm");
  embeddings_.pad_token_id = config_.pad_token_id;
  embeddings_.word_gradient = std::make_shared<TableGradient>();
  embeddings_.position_gradient = std::make_shared<TableGradient>();
  embeddings_.type_gradient = std::make_shared<TableGradient>();
  for (int64_t i = 0; i < config_.layers; ++i) {
    groups_.push_back(absl::StrCat("layer.", i));
    layers_.push_back(AddLayer(absl::StrCat("encoder.layer.", i)));
  }
  if (config_.pooling != Pooling::kOwn) return;
  groups_.push_back("pooler");
  pooler_ = AddLinear("pooler.dense", config_.hidden_size, config_.hidden_size);
  for (Parameter& parameter : parameters_) parameter.optional = parameter.group + 1 == static_cast<int>(groups_.size());
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
  int64_t longest = 0;
  for (const LengthRun& run : batch.runs) longest = std::max(longest, run.length);
  if (longest > config_.max_positions) {
    throw std::invalid_argument(absl::StrCat("a text has ", longest, " tokens, but the model has ", config_.max_positions,
                                             " positions; set max_length to at most ", config_.max_positions));
  }
}

BlockSettings BertModel::SettingsOf(bool training) const {
  BlockSettings settings;
  settings.heads = config_.heads;
  settings.activation = activation_;
  settings.norm_epsilon = config_.layer_norm_eps;
  // The CPU's blocks do by themselves what autocast does elsewhere.
  if (at::autocast::is_autocast_enabled(at::kCPU) && at::autocast::get_autocast_dtype(at::kCPU) == at::kBFloat16) {
    settings.product_type = at::kBFloat16;
  }
  if (!training) return settings;
  settings.hidden_dropout = config_.hidden_dropout;
  settings.attention_dropout = config_.attention_dropout;
  at::Generator generator = at::detail::getDefaultCPUGenerator();
  std::lock_guard lock(generator.mutex());
  settings.seed = at::check_generator<at::CPUGeneratorImpl>(generator)->random64();
  return settings;
}

ModelOutput BertModel::Forward(const Batch& batch, const ForwardMode& mode) {
  if (!batch.prefix_output.defined()) return {.features = Features(batch.text, mode.training)};
  if (batch.prefix_groups != static_cast<int>(groups_.size())) throw std::logic_error(absl::StrCat("a prefix of ", batch.prefix_groups, " groups is no cut point"));
  return {.features = batch.prefix_output};
}

at::Tensor BertModel::Prefix(const Batch& batch, int groups) {
  if (groups != static_cast<int>(groups_.size())) throw std::logic_error(absl::StrCat("a prefix of ", groups, " groups is no cut point"));
  at::NoGradGuard no_grad;
  return Features(batch.text, /*training=*/false);
}

// Packed tokens [T, H] to [B, H]: mean or maximum over each text's tokens, special ones included, as sentence-transformers' Pooling has it.
at::Tensor PoolTexts(const at::Tensor& x, const TextBatch& batch, Pooling pooling) {
  std::vector<at::Tensor> pooled;
  for (const LengthRun& run : batch.runs) {
    const at::Tensor tokens = x.narrow(0, run.first_token, run.count * run.length).view({run.count, run.length, x.size(1)});
    pooled.push_back(pooling == Pooling::kMean ? tokens.mean(1) : tokens.amax(1));
  }
  return at::cat(pooled);
}

at::Tensor BertModel::Features(const TextBatch& batch, bool training) const {
  CheckBatch(batch);
  const int lowest = LowestTrainableGroup();
  const bool outer = at::GradMode::is_enabled();
  at::AutoGradMode grad(outer && lowest <= 0);  // restores the caller's mode in the end
  // What nothing below learns is in evaluation mode: its output is then the same in every epoch, computed or read from the feature cache.
  const BlockSettings learning = SettingsOf(training), frozen = SettingsOf(/*training=*/false);
  BlockSettings settings = lowest <= 0 ? learning : frozen;
  at::Tensor x = EmbeddingBlock(embeddings_, batch, settings);
  const int count = static_cast<int>(layers_.size());
  const bool first_tokens_alone = config_.pooling == Pooling::kOwn || config_.pooling == Pooling::kFirstToken;
  for (int i = 0; i < count; ++i) {
    at::GradMode::set_enabled(outer && lowest <= i + 1);  // group 0 is the embeddings
    settings = lowest <= i + 1 ? learning : frozen;
    settings.site = 2 * i;
    // Where only the first token of each sequence goes on, the last layer needs keys and values of all tokens, and everything else of B tokens alone.
    const TokenChoice choice = i + 1 == count && first_tokens_alone ? TokenChoice::kFirstTokens : TokenChoice::kAllTokens;
    ++settings.site;
    x = AttentionBlock(layers_[i].attention, x, batch, choice, settings);
    ++settings.site;
    x = FeedForwardBlock(layers_[i].feed_forward, x, settings);
  }
  if (!first_tokens_alone) return PoolTexts(x, batch, config_.pooling);
  if (config_.pooling == Pooling::kFirstToken) return x;
  at::GradMode::set_enabled(outer && lowest <= count + 1);
  return at::linear(x, pooler_.weight, pooler_.bias).tanh();
}

ModelFactory BertFactory() {
  ModelFactory factory;
  factory.architecture = "bert";
  factory.description = "BERT encoder (Devlin et al. 2018): BERT, MiniLM and others that transformers loads as BertModel";
  factory.tasks = {"text-classification", "text-multi-label", "text-regression"};
  factory.exported_class = [](const std::string&) { return std::string("BertForSequenceClassification"); };
  factory.create = [](const nlohmann::json& config, uint64_t seed) -> std::unique_ptr<Model> {
    return std::make_unique<BertModel>(ValueOrThrow(architectures::ReadBertConfig(config)), seed);
  };
  return factory;
}

ATTUNE_REGISTER_MODEL(BertFactory());

}  // namespace
}  // namespace attune::training
