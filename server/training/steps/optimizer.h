// Optimizer: AdamW (Loshchilov and Hutter 2019) and SGD with momentum over flat lists of tensors, one fused call for each (rate, decay) pair. Equal to torch.optim.AdamW
// and torch.optim.SGD within rounding. The moments are named tensors, so that a checkpoint can hold them. Not thread-safe; the training thread's alone.
//
//   Optimizer optimizer(options, parameters);
//   loss.backward();
//   double norm = optimizer.GradientNorm();
//   optimizer.Step(/*learning_rate=*/5e-5, /*gradient_divisor=*/ClipDivisor(norm, 1.0));
//   optimizer.ClearGradients();
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include "server/training/steps/tensor_io.h"

namespace attune::training {

struct OptimizedParameter {
  std::string name;
  at::Tensor tensor;      // leaf, fp32, requires grad
  double rate = 1;        // multiplies the learning rate of each step
  bool decay = true;      // whether weight decay applies
  at::Tensor anchor;      // what AddPenalty draws it to; undefined: it is not drawn
};

struct OptimizerOptions {
  bool adamw = true;      // false: SGD
  double weight_decay = 0;
  double beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8;  // AdamW
  double momentum = 0;    // SGD
  double anchor_strength = 0;  // of AddPenalty
};

class Optimizer {
 public:
  // Moments are zero, on the device of their parameters.
  Optimizer(const OptimizerOptions& options, const std::vector<OptimizedParameter>& parameters);

  // Multiplies every gradient.
  void ScaleGradients(double factor);
  // L2-SP (Li et al. 2018): adds the gradient of anchor_strength / 2 * |parameter - anchor|^2 to those of parameters that have an anchor and a gradient.
  void AddPenalty();
  // Over all gradients together; 0 when there are none. Waits for the device.
  double GradientNorm() const;
  // One update. Gradients are divided by `gradient_divisor` first. A parameter without a gradient keeps its value, its moments too.
  void Step(double learning_rate, double gradient_divisor = 1);
  void ClearGradients();

  // "exp_avg.<parameter>" and "exp_avg_sq.<parameter>", or "momentum.<parameter>". Tensors alias the state: loading into them restores it.
  std::vector<NamedTensor> State() const;
  int64_t steps() const { return steps_; }
  void set_steps(int64_t steps) { steps_ = steps; }  // together with State()
  int64_t parameter_count() const { return parameter_count_; }

 private:
  struct Group {
    double rate = 1;
    double weight_decay = 0;
    std::vector<std::string> names;
    std::vector<at::Tensor> parameters, first, second;  // second: AdamW only
    std::vector<at::Tensor> anchors;                    // undefined where there is none
  };
  // The members of a group that have a gradient.
  struct Active {
    std::vector<at::Tensor> parameters, gradients, first, second;
  };
  static Active WithGradients(const Group& group);
  std::vector<at::Tensor> Gradients() const;  // those that there are
  void StepAdamW(const Group& group, Active& active, double learning_rate, const std::optional<at::Tensor>& divisor);
  void StepSgd(const Group& group, Active& active, double learning_rate, const std::optional<at::Tensor>& divisor);

  const OptimizerOptions options_;
  std::vector<Group> groups_;
  int64_t steps_ = 0;
  int64_t parameter_count_ = 0;
};

// What gradients must be divided by so that their norm is at most `max_norm`, as torch.nn.utils.clip_grad_norm_ does; 1 when nothing is to be done. 0: not clipped.
double ClipDivisor(double norm, double max_norm);

}  // namespace attune::training
