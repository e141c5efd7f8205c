// The embedding block on the CPU: dropout(LayerNorm(word + type + position)) as one node of autograd's graph. Gradients of the tables go straight into their .grad (TableGradient).
#include <algorithm>
#include <stdexcept>
#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/index_add.h>
#include <ATen/ops/zeros_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "absl/strings/str_cat.h"
#include "server/training/models/layers/cpu/embedding_norm.h"
#include "server/training/models/layers/cpu_products.h"
#include "server/training/models/layers/encoder_blocks.h"

namespace attune::training {

void TableGradient::Add(at::Tensor table, const at::Tensor& rows, const at::Tensor& indices, int64_t skipped) {
  at::NoGradGuard no_grad;
  const int64_t width = table.size(1);
  at::Tensor grad = table.grad();
  if (!grad.defined()) {
    // The optimizer has let go of the last step's gradient: its untouched rows are zero still.
    if (buffer_.defined() && buffer_.use_count() == 1) {
      float* data = buffer_.mutable_data_ptr<float>();
      for (int64_t row : touched_) std::fill_n(data + row * width, width, 0.0f);
    } else {
      buffer_ = at::zeros_like(table.detach(), at::MemoryFormat::Contiguous);
    }
    touched_.clear();
    grad = buffer_;
    table.mutable_grad() = grad;
  } else if (!grad.is_contiguous() || grad.scalar_type() != at::kFloat) {
    throw std::invalid_argument("the gradient of an embedding table must be a dense fp32 matrix");
  }
  const int64_t* index = indices.const_data_ptr<int64_t>();
  cpu::AddToRows(rows.const_data_ptr<float>(), index, indices.numel(), width, skipped, grad.mutable_data_ptr<float>());
  if (buffer_.defined() && grad.is_same(buffer_)) touched_.insert(touched_.end(), index, index + indices.numel());
}

namespace cpu {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

enum Input { kWord, kPosition, kType, kNormWeight, kNormBias, kWeights, kBatch, kSettings, kRecord, kInputs };

struct Saved : torch::CustomClassHolder {
  EmbeddingWeights weights;
  BlockSettings settings;
  at::Tensor word_ids, position_ids, type_ids;
  at::Tensor sum, mean, scale;
  bool used = false;
};

class EmbeddingNode : public torch::autograd::Function<EmbeddingNode> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& word, const at::Tensor& position, const at::Tensor& type, const at::Tensor& norm_weight,
                            const at::Tensor& norm_bias, const EmbeddingWeights& weights, const TextBatch& batch, const BlockSettings& settings, bool record) {
    BareOperators bare;
    auto saved = c10::make_intrusive<Saved>();
    Saved& s = *saved;
    s.weights = weights;
    s.settings = settings;
    s.word_ids = batch.token_ids;
    s.position_ids = batch.position_ids;
    s.type_ids = batch.type_ids;
    const int64_t width = word.size(1);
    at::Tensor out = EmptyMatrix(batch.tokens, width, at::kFloat);
    s.sum = at::empty_like(out);
    s.mean = EmptyFloats(batch.tokens);
    s.scale = EmptyFloats(batch.tokens);
    Run(EmbeddingNormForward{.rows = batch.tokens,
                             .width = width,
                             .tables = {ConstFloats(word), ConstFloats(position), ConstFloats(type)},
                             .indices = {s.word_ids.const_data_ptr<int64_t>(), s.position_ids.const_data_ptr<int64_t>(), s.type_ids.const_data_ptr<int64_t>()},
                             .weight = ConstFloats(norm_weight),
                             .shift = ConstFloats(norm_bias),
                             .epsilon = static_cast<float>(settings.norm_epsilon),
                             .dropout = {settings.hidden_dropout, settings.seed, 2 * settings.site},
                             .output = Floats(out),
                             .sum = Floats(s.sum),
                             .mean = Floats(s.mean),
                             .scale = Floats(s.scale)});
    if (record) context->saved_data["saved"] = c10::IValue::make_capsule(std::move(saved));
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    BareOperators bare;
    auto saved = c10::static_intrusive_pointer_cast<Saved>(context->saved_data["saved"].toCapsule());
    TORCH_CHECK(!std::exchange(saved->used, true), "backward through an embedding block a second time: its activations are freed");
    const Saved s = std::move(*saved);
    const at::Tensor grad = grads[0].contiguous();
    at::Tensor grad_sum = at::empty_like(grad);
    at::Tensor grad_norm = EmptyMatrix(2, grad.size(1), at::kFloat);
    Run(EmbeddingNormBackward{.rows = grad.size(0),
                              .width = grad.size(1),
                              .grad_output = ConstFloats(grad),
                              .sum = ConstFloats(s.sum),
                              .mean = ConstFloats(s.mean),
                              .scale = ConstFloats(s.scale),
                              .weight = ConstFloats(s.weights.norm.weight),
                              .dropout = {s.settings.hidden_dropout, s.settings.seed, 2 * s.settings.site},
                              .grad_sum = Floats(grad_sum),
                              .grad_parameters = Floats(grad_norm)});
    const EmbeddingWeights& w = s.weights;
    if (context->needs_input_grad(kWord)) w.word_gradient->Add(w.word, grad_sum, s.word_ids, w.pad_token_id);
    if (context->needs_input_grad(kPosition)) w.position_gradient->Add(w.position, grad_sum, s.position_ids, -1);
    if (context->needs_input_grad(kType)) w.type_gradient->Add(w.type, grad_sum, s.type_ids, -1);
    variable_list out(kInputs);  // the tables' stay undefined: autograd has nothing to add
    out[kNormWeight] = grad_norm[0];
    out[kNormBias] = grad_norm[1];
    return out;
  }
};

// The kernels read tables without asking; a tokenizer that does not belong to the model would read past their end.
void CheckIndices(const at::Tensor& indices, int64_t rows, const char* what, const char* key) {
  const int64_t* data = indices.const_data_ptr<int64_t>();
  for (int64_t i = 0; i < indices.numel(); ++i) {
    if (data[i] < 0 || data[i] >= rows) {
      throw std::invalid_argument(
          absl::StrCat("a text has ", what, " ", data[i], ", but config.json's ", key, " is ", rows, ": the tokenizer and the model do not belong together"));
    }
  }
}

}  // namespace

at::Tensor EmbeddingBlock(const EmbeddingWeights& weights, const TextBatch& batch, const BlockSettings& settings) {
  CheckIndices(batch.token_ids, weights.word.size(0), "token id", "vocab_size");
  CheckIndices(batch.type_ids, weights.type.size(0), "token type", "type_vocab_size");
  CheckIndices(batch.position_ids, weights.position.size(0), "position", "max_position_embeddings");
  const auto& w = weights;
  bool record = at::GradMode::is_enabled() && (w.word.requires_grad() || w.position.requires_grad() || w.type.requires_grad() || w.norm.weight.requires_grad() ||
                                               w.norm.bias.requires_grad());
  return EmbeddingNode::apply(w.word, w.position, w.type, w.norm.weight, w.norm.bias, weights, batch, settings, record);
}

}  // namespace cpu
}  // namespace attune::training
