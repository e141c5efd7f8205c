#include "server/training/steps/optimizer.h"

#include <cmath>

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

namespace attune::training {
namespace {

at::Tensor Filled(int64_t n, double (*function)(double), double slope, double offset) {
  at::Tensor tensor = at::empty({n}, at::TensorOptions().dtype(at::kFloat));
  for (int64_t i = 0; i < n; ++i) tensor.mutable_data_ptr<float>()[i] = static_cast<float>(function(slope * i + offset));
  return tensor;
}

struct Golden {
  const char* name;
  OptimizerOptions options;
  double max_norm;
  std::vector<float> values;  // of both parameters after five steps
};

// From torch 2.11: torch.optim.AdamW / SGD with two groups (rates 1e-2 with decay 0.1, 5e-3 without), both falling by a tenth of the first each step, and
// torch.nn.utils.clip_grad_norm_.
const Golden kGolden[] = {
    {"adamw", {.adamw = true, .weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-6}, 0,
     {-0.0152593534, 0.838256478, 0.936825395, 0.169279546, -0.733101845, -0.946879923, 0.840248227, 0.924642682, 0.155908629}},
    {"adamw clipped", {.adamw = true, .weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-6}, 0.5,
     {-0.0158045106, 0.838023067, 0.936641812, 0.169136107, -0.73272258, -0.946412325, 0.840097368, 0.924563587, 0.155814543}},
    {"sgd", {.adamw = false, .weight_decay = 0.1}, 0,
     {0.00270911423, 0.847241521, 0.916924536, 0.148647338, -0.752662003, -0.961475432, 0.845682859, 0.914952219, 0.145558357}},
    {"sgd clipped", {.adamw = false, .weight_decay = 0.1}, 0.5,
     {0.000524001778, 0.840142071, 0.908249736, 0.142477095, -0.753425777, -0.956473351, 0.842401803, 0.910590291, 0.142166808}},
    {"momentum", {.adamw = false, .weight_decay = 0.1, .momentum = 0.9}, 0,
     {-0.0116216131, 0.851433396, 0.939832985, 0.181838214, -0.724435806, -0.953436553, 0.848507106, 0.927991867, 0.162680641}},
    {"momentum clipped", {.adamw = false, .weight_decay = 0.1, .momentum = 0.9}, 0.5,
     {-0.00315572205, 0.837277353, 0.909712911, 0.149919987, -0.743140459, -0.950130701, 0.842970669, 0.913671136, 0.146310702}},
};

struct Pair {
  at::Tensor a = Filled(6, std::sin, 1, 0).requires_grad_();
  at::Tensor b = Filled(3, std::sin, 1, 1).requires_grad_();
  std::vector<OptimizedParameter> parameters() const { return {{"a", a, 1.0, true}, {"b", b, 0.5, false}}; }
  void SetGradients(int step) {
    a.mutable_grad() = Filled(6, std::cos, 0.7, 0.3 + step);
    b.mutable_grad() = Filled(3, std::cos, 0.7, 0.9 + step);
  }
  std::vector<float> values() const {
    std::vector<float> out(a.const_data_ptr<float>(), a.const_data_ptr<float>() + 6);
    out.insert(out.end(), b.const_data_ptr<float>(), b.const_data_ptr<float>() + 3);
    return out;
  }
};

void StepTo(Optimizer& optimizer, Pair& pair, int begin, int end, double max_norm) {
  for (int step = begin; step < end; ++step) {
    pair.SetGradients(step);
    optimizer.Step(1e-2 * (1 - 0.1 * step), ClipDivisor(optimizer.GradientNorm(), max_norm));
    optimizer.ClearGradients();
  }
}

TEST(Optimizer, EqualsTorch) {
  for (const Golden& golden : kGolden) {
    Pair pair;
    Optimizer optimizer(golden.options, pair.parameters());
    StepTo(optimizer, pair, 0, 5, golden.max_norm);
    const std::vector<float> values = pair.values();
    for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], golden.values[i], 2e-7) << golden.name << " " << i;
    EXPECT_FALSE(pair.a.grad().defined());
  }
}

// The same with 0.5 / 2 * |a - cos|^2 in the loss, weight decay for b alone, and AdamW or SGD with a momentum of 0.9.
const struct {
  bool adamw;
  double max_norm;
  std::vector<float> values;
} kPulled[] = {
    {true, 0, {0.00133481808, 0.835085809, 0.889578462, 0.154947802, -0.734953046, -0.931001186, 0.838573635, 0.922811329, 0.15561153}},
    {true, 0.5, {0.00274971128, 0.83692646, 0.892105341, 0.155854091, -0.733197212, -0.930149317, 0.839459538, 0.923042655, 0.156050399}},
    {false, 0, {0.0370389596, 0.845149279, 0.884411752, 0.12809886, -0.72732228, -0.90304333, 0.844419599, 0.923550904, 0.161961943}},
    {false, 0.5, {0.00846611802, 0.843020439, 0.904792607, 0.139681637, -0.748522282, -0.945364833, 0.839349329, 0.910130382, 0.146503061}},
};

TEST(Optimizer, ThePullToAnAnchorIsPartOfTheGradient) {
  for (const auto& golden : kPulled) {
    Pair pair;
    OptimizerOptions options{.adamw = golden.adamw, .weight_decay = 0.1, .beta1 = 0.9, .beta2 = 0.98, .epsilon = 1e-6, .momentum = golden.adamw ? 0 : 0.9};
    options.anchor_strength = 0.5;
    Optimizer optimizer(options, {{"a", pair.a, 1.0, false, Filled(6, std::cos, 1, 0)}, {"b", pair.b, 0.5, true}});
    for (int step = 0; step < 5; ++step) {
      pair.SetGradients(step);
      optimizer.AddPenalty();
      optimizer.Step(1e-2 * (1 - 0.1 * step), ClipDivisor(optimizer.GradientNorm(), golden.max_norm));
      optimizer.ClearGradients();
    }
    const std::vector<float> values = pair.values();
    for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], golden.values[i], 2e-7) << golden.adamw << golden.max_norm << " " << i;
  }
}

TEST(Optimizer, AWeightAtItsAnchorIsNotPulled) {
  Pair pair;
  OptimizerOptions options;
  options.anchor_strength = 10;
  Optimizer optimizer(options, {{"a", pair.a, 1.0, false, pair.a.detach().clone()}, {"b", pair.b, 1.0, false, at::zeros({3})}});
  pair.SetGradients(0);
  pair.b.mutable_grad() = at::Tensor();
  const at::Tensor before = pair.a.grad().clone();
  optimizer.AddPenalty();
  EXPECT_TRUE(pair.a.grad().equal(before));
  EXPECT_FALSE(pair.b.grad().defined()) << "what has no gradient gets none";
}

TEST(Optimizer, ScalesGradients) {
  Pair pair;
  Optimizer optimizer({}, pair.parameters());
  optimizer.ScaleGradients(2);  // nothing to scale
  pair.SetGradients(0);
  optimizer.ScaleGradients(0.5);
  EXPECT_NEAR(optimizer.GradientNorm(), 2.0542690753936768 / 2, 1e-6);
}

TEST(Optimizer, NormOfAllGradients) {
  Pair pair;
  Optimizer optimizer({}, pair.parameters());
  EXPECT_EQ(optimizer.GradientNorm(), 0);
  pair.SetGradients(0);
  EXPECT_NEAR(optimizer.GradientNorm(), 2.0542690753936768, 1e-6);
}

TEST(Optimizer, RestoredStateGoesOnToTheBit) {
  for (const Golden& golden : kGolden) {
    Pair whole;
    Optimizer undisturbed(golden.options, whole.parameters());
    StepTo(undisturbed, whole, 0, 5, golden.max_norm);

    Pair first;
    Optimizer before(golden.options, first.parameters());
    StepTo(before, first, 0, 2, golden.max_norm);
    Pair second;
    second.a.detach().copy_(first.a.detach());
    second.b.detach().copy_(first.b.detach());
    Optimizer after(golden.options, second.parameters());
    const std::vector<NamedTensor> from = before.State(), to = after.State();
    ASSERT_EQ(from.size(), to.size());
    for (size_t i = 0; i < from.size(); ++i) {
      EXPECT_EQ(from[i].name, to[i].name);
      at::Tensor(to[i].tensor).copy_(from[i].tensor);
    }
    after.set_steps(before.steps());
    StepTo(after, second, 2, 5, golden.max_norm);
    EXPECT_EQ(whole.values(), second.values()) << golden.name;
  }
}

TEST(Optimizer, AParameterWithoutAGradientStays) {
  Pair pair;
  Optimizer optimizer({.weight_decay = 0.5}, pair.parameters());
  const std::vector<float> before = pair.values();
  pair.SetGradients(0);
  pair.b.mutable_grad() = at::Tensor();
  optimizer.Step(0.1);
  const std::vector<float> after = pair.values();
  EXPECT_NE(after[0], before[0]);
  EXPECT_EQ(after[6], before[6]);
}

TEST(Optimizer, NamesItsState) {
  Pair pair;
  const auto names = [](const Optimizer& optimizer) {
    std::vector<std::string> out;
    for (const NamedTensor& tensor : optimizer.State()) out.push_back(tensor.name);
    return out;
  };
  EXPECT_EQ(names(Optimizer({.adamw = true}, pair.parameters())),
            (std::vector<std::string>{"exp_avg.a", "exp_avg_sq.a", "exp_avg.b", "exp_avg_sq.b"}));
  EXPECT_EQ(names(Optimizer({.adamw = false, .momentum = 0.9}, pair.parameters())), (std::vector<std::string>{"momentum.a", "momentum.b"}));
  EXPECT_TRUE(names(Optimizer({.adamw = false}, pair.parameters())).empty());
}

TEST(ClipDivisor, Table) {
  EXPECT_EQ(ClipDivisor(5, 0), 1);
  EXPECT_EQ(ClipDivisor(0.5, 1), 1);
  EXPECT_NEAR(ClipDivisor(4, 2), 2, 1e-6);
}

}  // namespace
}  // namespace attune::training
