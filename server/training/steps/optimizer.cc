#include "server/training/steps/optimizer.h"

#include <algorithm>
#include <map>
#include <utility>

#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_foreach_sub.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/_fused_sgd.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>

namespace attune::training {

Optimizer::Optimizer(const OptimizerOptions& options, const std::vector<OptimizedParameter>& parameters) : options_(options) {
  at::NoGradGuard no_grad;
  std::map<std::pair<double, bool>, size_t> index;
  for (const OptimizedParameter& parameter : parameters) {
    const auto [found, added] = index.try_emplace({parameter.rate, parameter.decay}, groups_.size());
    if (added) groups_.push_back({parameter.rate, parameter.decay ? options.weight_decay : 0, {}, {}, {}, {}, {}});
    Group& group = groups_[found->second];
    group.names.push_back(parameter.name);
    group.parameters.push_back(parameter.tensor);
    group.anchors.push_back(parameter.anchor);
    if (options.adamw || options.momentum > 0) group.first.push_back(at::zeros_like(parameter.tensor, at::MemoryFormat::Contiguous));
    if (options.adamw) group.second.push_back(at::zeros_like(parameter.tensor, at::MemoryFormat::Contiguous));
    parameter_count_ += parameter.tensor.numel();
  }
}

Optimizer::Active Optimizer::WithGradients(const Group& group) {
  Active active;
  for (size_t i = 0; i < group.parameters.size(); ++i) {
    const at::Tensor& gradient = group.parameters[i].grad();
    if (!gradient.defined()) continue;
    active.parameters.push_back(group.parameters[i]);
    active.gradients.push_back(gradient);
    if (!group.first.empty()) active.first.push_back(group.first[i]);
    if (!group.second.empty()) active.second.push_back(group.second[i]);
  }
  return active;
}

std::vector<at::Tensor> Optimizer::Gradients() const {
  std::vector<at::Tensor> gradients;
  for (const Group& group : groups_) {
    for (const at::Tensor& parameter : group.parameters) {
      if (parameter.grad().defined()) gradients.push_back(parameter.grad());
    }
  }
  return gradients;
}

void Optimizer::ScaleGradients(double factor) {
  at::NoGradGuard no_grad;
  const std::vector<at::Tensor> gradients = Gradients();
  if (!gradients.empty()) at::_foreach_mul_(gradients, factor);
}

void Optimizer::AddPenalty() {
  if (options_.anchor_strength == 0) return;
  at::NoGradGuard no_grad;
  for (Group& group : groups_) {
    std::vector<at::Tensor> gradients, parameters, anchors;
    for (size_t i = 0; i < group.parameters.size(); ++i) {
      if (!group.anchors[i].defined() || !group.parameters[i].grad().defined()) continue;
      gradients.push_back(group.parameters[i].grad());
      parameters.push_back(group.parameters[i]);
      anchors.push_back(group.anchors[i]);
    }
    if (gradients.empty()) continue;
    // The difference first: it is exactly 0 where a weight has not moved, which alpha * w - alpha * w0 is not. New tensors: a layer may keep its gradient's memory and
    // rely on the zeros in it, as the embedding's does.
    const std::vector<at::Tensor> sums = at::_foreach_sub(parameters, anchors);
    at::_foreach_mul_(sums, options_.anchor_strength);
    at::_foreach_add_(sums, gradients);
    for (size_t i = 0; i < sums.size(); ++i) parameters[i].mutable_grad() = sums[i];
  }
}

double Optimizer::GradientNorm() const {
  at::NoGradGuard no_grad;
  const std::vector<at::Tensor> gradients = Gradients();
  if (gradients.empty()) return 0;
  return at::stack(at::_foreach_norm(gradients, 2)).norm().item<double>();
}

void Optimizer::StepAdamW(const Group& group, Active& active, double learning_rate, const std::optional<at::Tensor>& divisor) {
  // The kernel wants a step count for each tensor; they are all the same.
  const at::Tensor step = at::full({}, static_cast<double>(steps_), active.parameters[0].options().dtype(at::kFloat).requires_grad(false));
  const std::vector<at::Tensor> steps(active.parameters.size(), step);
  at::_fused_adamw_(active.parameters, active.gradients, active.first, active.second, /*max_exp_avg_sqs=*/{}, steps, learning_rate * group.rate,
                    options_.beta1, options_.beta2, group.weight_decay, options_.epsilon, /*amsgrad=*/false, /*maximize=*/false, divisor,
                    /*found_inf=*/std::nullopt);
}

void Optimizer::StepSgd(const Group& group, Active& active, double learning_rate, const std::optional<at::Tensor>& divisor) {
  at::_fused_sgd_(active.parameters, active.gradients, active.first, group.weight_decay, options_.momentum, learning_rate * group.rate,
                  /*dampening=*/0, /*nesterov=*/false, /*maximize=*/false, /*is_first_step=*/steps_ == 1, divisor, /*found_inf=*/std::nullopt);
}

void Optimizer::Step(double learning_rate, double gradient_divisor) {
  at::NoGradGuard no_grad;
  ++steps_;
  for (const Group& group : groups_) {
    Active active = WithGradients(group);
    if (active.parameters.empty()) continue;
    std::optional<at::Tensor> divisor;
    if (gradient_divisor != 1) {
      divisor = at::full({}, gradient_divisor, active.parameters[0].options().dtype(at::kFloat).requires_grad(false));
    }
    if (options_.adamw) {
      StepAdamW(group, active, learning_rate, divisor);
    } else {
      StepSgd(group, active, learning_rate, divisor);
    }
  }
}

void Optimizer::ClearGradients() {
  for (Group& group : groups_) {
    for (at::Tensor& parameter : group.parameters) parameter.mutable_grad() = at::Tensor();
  }
}

std::vector<NamedTensor> Optimizer::State() const {
  std::vector<NamedTensor> state;
  for (const Group& group : groups_) {
    for (size_t i = 0; i < group.names.size(); ++i) {
      if (!group.first.empty()) state.push_back({(options_.adamw ? "exp_avg." : "momentum.") + group.names[i], group.first[i]});
      if (!group.second.empty()) state.push_back({"exp_avg_sq." + group.names[i], group.second[i]});
    }
  }
  return state;
}

double ClipDivisor(double norm, double max_norm) {
  if (max_norm <= 0) return 1;
  return std::max(1.0, (norm + 1e-6) / max_norm);
}

}  // namespace attune::training
