// The attention block on the CPU: LayerNorm(dropout(attention(x) Wo^T + bo) + x) as one node of autograd's graph.
#include <utility>
#include <vector>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>

#include "server/training/models/layers/cpu/attention.h"
#include "server/training/models/layers/cpu_drop_add_norm.h"
#include "server/training/models/layers/cpu_products.h"
#include "server/training/models/layers/encoder_blocks.h"

namespace attune::training::cpu {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

enum Input {
  kX,
  kQueryWeight,
  kQueryBias,
  kKeyWeight,
  kKeyBias,
  kValueWeight,
  kValueBias,
  kOutputWeight,
  kOutputBias,
  kNormWeight,
  kNormBias,
  kBatch,
  kChoice,
  kSettings,
  kRecord,
  kInputs
};

struct Saved : torch::CustomClassHolder {
  BlockSettings settings;
  std::vector<Sequence> sequences;
  at::Tensor first;                // [B], defined where only first tokens go on
  at::Tensor x, x_query;           // as the products took them; x_query is x, or its first tokens
  at::Tensor query, key, value;    // [rows, H], before bias; views of one matrix
  at::Tensor query_weight, key_weight, value_weight, output_weight;
  at::Tensor query_bias, key_bias, value_bias;
  at::Tensor context, log_sums;
  SavedNorm norm;
  bool used = false;
};

std::vector<Sequence> SequencesOf(const TextBatch& batch, bool first_only) {
  std::vector<Sequence> sequences;
  sequences.reserve(batch.sequences);
  for (const LengthRun& run : batch.runs) {
    for (int64_t i = 0; i < run.count; ++i) {
      const int64_t token = run.first_token + i * run.length;
      sequences.push_back(first_only ? Sequence{run.first_sequence + i, 1, token, run.length} : Sequence{token, run.length, token, run.length});
    }
  }
  return sequences;
}

template <class G>
AttentionInputs<G> InputsOf(const Saved& s) {
  AttentionInputs<G> in;
  in.sequences = s.sequences.data();
  in.sequence_count = static_cast<int64_t>(s.sequences.size());
  in.query_rows = s.query.size(0);
  in.heads = s.settings.heads;
  in.head_size = s.query.size(1) / s.settings.heads;
  in.query = s.query.const_data_ptr<G>();
  in.key = s.key.const_data_ptr<G>();
  in.value = s.value.const_data_ptr<G>();
  in.query_stride = s.query.stride(0);
  in.key_stride = s.key.stride(0);
  in.query_bias = ConstFloats(s.query_bias);
  in.key_bias = ConstFloats(s.key_bias);
  in.value_bias = ConstFloats(s.value_bias);
  in.dropout = {s.settings.attention_dropout, s.settings.seed, 2 * s.settings.site + 1};
  return in;
}

// Queries, keys and values side by side in one matrix, or queries apart where only first tokens have one.
void EmptyProjections(int64_t width, int64_t query_rows, int64_t rows, bool together, at::ScalarType type, at::Tensor* query, at::Tensor* key, at::Tensor* value) {
  const at::Tensor matrix = EmptyMatrix(rows, together ? 3 * width : 2 * width, type);
  *query = together ? matrix.narrow(1, 0, width) : EmptyMatrix(query_rows, width, type);
  *key = matrix.narrow(1, together ? width : 0, width);
  *value = matrix.narrow(1, together ? 2 * width : width, width);
}

class AttentionNode : public torch::autograd::Function<AttentionNode> {
 public:
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, const at::Tensor& query_weight, const at::Tensor& query_bias, const at::Tensor& key_weight,
                            const at::Tensor& key_bias, const at::Tensor& value_weight, const at::Tensor& value_bias, const at::Tensor& output_weight,
                            const at::Tensor& output_bias, const at::Tensor& norm_weight, const at::Tensor& norm_bias, const TextBatch& batch, TokenChoice choice,
                            const BlockSettings& settings, bool record) {
    BareOperators bare;
    auto saved = c10::make_intrusive<Saved>();
    Saved& s = *saved;
    const at::ScalarType type = settings.product_type;
    const bool first_only = choice == TokenChoice::kFirstTokens;
    s.settings = settings;
    s.sequences = SequencesOf(batch, first_only);
    if (first_only) s.first = batch.first_token;
    s.x = ForProducts(x, type);
    s.x_query = first_only ? s.x.index_select(0, s.first) : s.x;
    s.query_weight = ForProducts(query_weight, type);
    s.key_weight = ForProducts(key_weight, type);
    s.value_weight = ForProducts(value_weight, type);
    s.output_weight = ForProducts(output_weight, type);
    s.query_bias = query_bias.detach();
    s.key_bias = key_bias.detach();
    s.value_bias = value_bias.detach();
    s.norm.weight = norm_weight.detach();
    EmptyProjections(x.size(1), s.x_query.size(0), x.size(0), !first_only, type, &s.query, &s.key, &s.value);
    at::mm_out(s.query, s.x_query, s.query_weight.t());
    at::mm_out(s.key, s.x, s.key_weight.t());
    at::mm_out(s.value, s.x, s.value_weight.t());
    const at::Tensor residual = first_only ? x.detach().index_select(0, s.first) : x.detach();
    at::Tensor out =
        type == at::kBFloat16 ? Finish<c10::BFloat16>(residual, output_bias, norm_bias, record, s) : Finish<float>(residual, output_bias, norm_bias, record, s);
    if (record) context->saved_data["saved"] = c10::IValue::make_capsule(std::move(saved));
    return out;
  }

  static variable_list backward(AutogradContext* context, variable_list grads) {
    BareOperators bare;
    auto saved = c10::static_intrusive_pointer_cast<Saved>(context->saved_data["saved"].toCapsule());
    TORCH_CHECK(!std::exchange(saved->used, true), "backward through an attention block a second time: its activations are freed");
    const Saved s = std::move(*saved);
    return s.settings.product_type == at::kBFloat16 ? Backward<c10::BFloat16>(*context, s, grads[0]) : Backward<float>(*context, s, grads[0]);
  }

 private:
  template <class G>
  static at::Tensor Finish(const at::Tensor& residual, const at::Tensor& output_bias, const at::Tensor& norm_bias, bool record, Saved& s) {
    const int64_t rows = residual.size(0), width = residual.size(1);
    s.context = EmptyMatrix(rows, width, s.settings.product_type);
    if (record) s.log_sums = EmptyMatrix(s.settings.heads, rows, at::kFloat);
    Run(AttentionForward<G>{.in = InputsOf<G>(s), .output = s.context.mutable_data_ptr<G>(), .log_sums = Floats(s.log_sums)});
    const at::Tensor product = Project(s.context, s.output_weight);
    return DropAddNorm<G>(product, output_bias, residual, norm_bias, s.settings, record, s.norm);
  }

  // The end of the block. Returns the gradient of the attention's context, or nothing where nothing below is trained; grad_residual is set.
  template <class G>
  static at::Tensor BackwardToContext(const AutogradContext& context, const Saved& s, const at::Tensor& grad, bool below, at::Tensor* grad_residual, variable_list& out) {
    const auto [grad_x, grad_product, grad_norm] = DropAddNormBackward<G>(grad, s.settings, s.norm);
    *grad_residual = grad_x;
    out[kNormWeight] = grad_norm[0];
    out[kNormBias] = grad_norm[1];
    out[kOutputBias] = grad_norm[2];
    if (context.needs_input_grad(kOutputWeight)) out[kOutputWeight] = WeightGradient(grad_product, s.context);
    return below ? at::mm(grad_product, s.output_weight) : at::Tensor();
  }

  template <class G>
  static variable_list Backward(const AutogradContext& context, const Saved& s, const at::Tensor& grad_output) {
    variable_list out(kInputs);
    bool below = false;
    for (size_t i = kX; i <= kValueBias; ++i) below |= context.needs_input_grad(i);
    at::Tensor grad_residual;
    const at::Tensor grad_context = BackwardToContext<G>(context, s, grad_output.contiguous(), below, &grad_residual, out);
    if (!below) return out;
    at::Tensor grad_query, grad_key, grad_value;
    EmptyProjections(s.query.size(1), s.query.size(0), s.key.size(0), !s.first.defined(), s.settings.product_type, &grad_query, &grad_key, &grad_value);
    Run(AttentionBackward<G>{.in = InputsOf<G>(s),
                             .grad_output = grad_context.const_data_ptr<G>(),
                             .log_sums = ConstFloats(s.log_sums),
                             .grad_query = grad_query.mutable_data_ptr<G>(),
                             .grad_key = grad_key.mutable_data_ptr<G>(),
                             .grad_value = grad_value.mutable_data_ptr<G>()});
    if (context.needs_input_grad(kQueryWeight)) out[kQueryWeight] = WeightGradient(grad_query, s.x_query);
    if (context.needs_input_grad(kKeyWeight)) out[kKeyWeight] = WeightGradient(grad_key, s.x);
    if (context.needs_input_grad(kValueWeight)) out[kValueWeight] = WeightGradient(grad_value, s.x);
    out[kQueryBias] = grad_query.sum(0, /*keepdim=*/false, at::kFloat);
    out[kKeyBias] = grad_key.sum(0, /*keepdim=*/false, at::kFloat);
    out[kValueBias] = grad_value.sum(0, /*keepdim=*/false, at::kFloat);
    if (context.needs_input_grad(kX)) out[kX] = InputGradient(s, grad_residual, grad_query, grad_key, grad_value);
    return out;
  }

  static at::Tensor InputGradient(const Saved& s, at::Tensor& grad_residual, const at::Tensor& grad_query, const at::Tensor& grad_key, const at::Tensor& grad_value) {
    AddInputGradient(grad_residual, grad_query, s.query_weight);
    at::Tensor grad_x = grad_residual;
    if (s.first.defined()) {
      grad_x = at::mm(grad_key, s.key_weight).to(at::kFloat);
      grad_x.index_add_(0, s.first, grad_residual);
    } else {
      AddInputGradient(grad_x, grad_key, s.key_weight);
    }
    AddInputGradient(grad_x, grad_value, s.value_weight);
    return grad_x;
  }
};

}  // namespace

at::Tensor AttentionBlock(const AttentionWeights& weights, const at::Tensor& x, const TextBatch& batch, TokenChoice choice, const BlockSettings& settings) {
  const auto& w = weights;
  bool record = x.requires_grad() || w.norm.weight.requires_grad() || w.norm.bias.requires_grad();
  for (const LinearWeights* linear : {&w.query, &w.key, &w.value, &w.output}) record |= linear->weight.requires_grad() || linear->bias.requires_grad();
  record &= at::GradMode::is_enabled();
  return AttentionNode::apply(x, w.query.weight, w.query.bias, w.key.weight, w.key.bias, w.value.weight, w.value.bias, w.output.weight, w.output.bias, w.norm.weight,
                              w.norm.bias, batch, choice, settings, record);
}

}  // namespace attune::training::cpu
