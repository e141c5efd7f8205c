// The fused blocks of the CPU beside the same blocks composed of ATen's operators: values and gradients, without and with dropout, fp32 and bf16.
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/TensorOperators.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randn.h>
#include <ATen/ops/zeros.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/training/input/text_batches.h"
#include "server/training/models/layers/encoder_blocks.h"
#include "tests/training/models/golden_case.h"

namespace attune::training {
namespace {

struct Shape {
  int64_t hidden, heads, inner;
  std::vector<int64_t> lengths;
};

// Named leaf tensors of one of everything.
struct Weights {
  EmbeddingWeights embedding;
  AttentionWeights attention;
  FeedForwardWeights feed_forward;
  std::vector<std::pair<std::string, at::Tensor>> leaves;
};

class Blocks {
 public:
  explicit Blocks(const Shape& shape) : shape_(shape) {
    at::manual_seed(11);
    const int64_t h = shape.hidden;
    auto leaf = [&](const std::string& name, at::IntArrayRef size, double offset = 0) {
      at::Tensor t = (at::randn(size) * 0.3 + offset).requires_grad_(true);
      weights.leaves.emplace_back(name, t);
      return t;
    };
    auto linear = [&](const std::string& name, int64_t out, int64_t in) { return LinearWeights{leaf(name + ".weight", {out, in}), leaf(name + ".bias", {out})}; };
    auto norm = [&](const std::string& name) { return NormWeights{leaf(name + ".weight", {h}, 1), leaf(name + ".bias", {h})}; };
    weights.embedding = {leaf("word", {20, h}), leaf("position", {300, h}), leaf("type", {2, h}), norm("norm"), 0,
                         std::make_shared<TableGradient>(), std::make_shared<TableGradient>(), std::make_shared<TableGradient>()};
    weights.attention = {linear("query", h, h), linear("key", h, h), linear("value", h, h), linear("attention.output", h, h), norm("attention.norm")};
    weights.feed_forward = {linear("inner", shape.inner, h), linear("output", h, shape.inner), norm("output.norm")};
    std::vector<TokenizedText> texts;
    for (size_t i = 0; i < shape.lengths.size(); ++i) {
      TokenizedText text;
      for (int64_t j = 0; j < shape.lengths[i]; ++j) {
        text.ids.push_back(static_cast<int32_t>((i * 7 + j * 5) % 20));
        text.type_ids.push_back(j > 2);
      }
      texts.push_back(text);
    }
    batch = PackTexts(texts).text;
    x = at::randn({batch.tokens, h}).requires_grad_(true);
    weights.leaves.emplace_back("x", x);
    settings.heads = shape.heads;
    settings.site = 3;
    settings.seed = 99;
  }

  // Gradients of sum(f() * fixed random numbers), by leaf; leaves without a gradient are left out.
  std::map<std::string, at::Tensor> Gradients(const std::function<at::Tensor()>& f, at::Tensor* value) {
    for (auto& [name, leaf] : weights.leaves) leaf.mutable_grad() = at::Tensor();
    *value = f();
    at::manual_seed(5);
    (*value * at::randn(value->sizes())).sum().backward();
    std::map<std::string, at::Tensor> gradients;
    for (auto& [name, leaf] : weights.leaves) {
      if (leaf.grad().defined()) gradients[name] = leaf.grad().clone();
    }
    return gradients;
  }

  Weights weights;
  TextBatch batch;
  at::Tensor x;
  BlockSettings settings;

 private:
  const Shape shape_;
};

enum class Kind { kEmbedding, kAttention, kFirstTokens, kFeedForward };

at::Tensor Fused(const Blocks& b, Kind kind) {
  switch (kind) {
    case Kind::kEmbedding:
      return cpu::EmbeddingBlock(b.weights.embedding, b.batch, b.settings);
    case Kind::kAttention:
      return cpu::AttentionBlock(b.weights.attention, b.x, b.batch, TokenChoice::kAllTokens, b.settings);
    case Kind::kFirstTokens:
      return cpu::AttentionBlock(b.weights.attention, b.x, b.batch, TokenChoice::kFirstTokens, b.settings);
    case Kind::kFeedForward:
      return cpu::FeedForwardBlock(b.weights.feed_forward, b.x, b.settings);
  }
  return {};
}

at::Tensor Composed(const Blocks& b, Kind kind) {
  switch (kind) {
    case Kind::kEmbedding:
      return composed::EmbeddingBlock(b.weights.embedding, b.batch, b.settings);
    case Kind::kAttention:
      return composed::AttentionBlock(b.weights.attention, b.x, b.batch, TokenChoice::kAllTokens, b.settings);
    case Kind::kFirstTokens:
      return composed::AttentionBlock(b.weights.attention, b.x, b.batch, TokenChoice::kFirstTokens, b.settings);
    case Kind::kFeedForward:
      return composed::FeedForwardBlock(b.weights.feed_forward, b.x, b.settings);
  }
  return {};
}

constexpr Kind kKinds[] = {Kind::kEmbedding, Kind::kAttention, Kind::kFirstTokens, Kind::kFeedForward};

// Head sizes below, at and beyond the kernel's column count; lengths around its row blocks (48) and columns (16); a batch of one.
const Shape kShapes[] = {
    {32, 2, 48, {1, 5, 5, 16, 17, 48, 49, 130}}, {24, 4, 20, {3, 3, 7}}, {60, 3, 33, {33, 2}}, {128, 2, 64, {4, 97, 257}}, {8, 8, 8, {1}}};

class FusedBlocks : public ::testing::Test {
 protected:
  void SetUp() override { at::set_num_threads(1); }  // tests run beside others; threads would wait for each other
};

TEST_F(FusedBlocks, EqualComposedOnes) {
  for (const Shape& shape : kShapes) {
    for (Kind kind : kKinds) {
      Blocks b(shape);
      at::Tensor fused, composed;
      const auto actual = b.Gradients([&] { return Fused(b, kind); }, &fused);
      const auto expected = b.Gradients([&] { return Composed(b, kind); }, &composed);
      SCOPED_TRACE(std::to_string(shape.hidden) + " kind " + std::to_string(static_cast<int>(kind)));
      EXPECT_LT(RelativeDifference(fused, composed), 1e-5);
      ASSERT_EQ(actual.size(), expected.size());
      for (const auto& [name, gradient] : expected) {
        // A key's bias has a gradient of zero, but for rounding: softmax does not see it. So it is measured by the query's.
        const double floor = name == "key.bias" ? expected.at("query.bias").abs().max().item<double>() : 1e-2;
        EXPECT_LT(RelativeDifference(actual.at(name), gradient, floor), 2e-5) << name;
      }
    }
  }
}

TEST_F(FusedBlocks, Bf16IsCloseToFp32) {
  for (Kind kind : {Kind::kAttention, Kind::kFirstTokens, Kind::kFeedForward}) {
    for (double dropout : {0.0, 0.1}) {
      Blocks b(kShapes[0]);
      b.settings.hidden_dropout = b.settings.attention_dropout = dropout;
      at::Tensor half, full;
      b.settings.product_type = at::kBFloat16;
      const auto actual = b.Gradients([&] { return Fused(b, kind); }, &half);
      b.settings.product_type = at::kFloat;
      const auto expected = b.Gradients([&] { return Fused(b, kind); }, &full);
      EXPECT_EQ(half.scalar_type(), at::kFloat);
      EXPECT_LT(RelativeDifference(half, full), 3e-2);
      EXPECT_GT(RelativeDifference(half, full), 1e-5);  // it did round
      for (const auto& [name, gradient] : expected) {
        EXPECT_EQ(actual.at(name).scalar_type(), at::kFloat) << name;
        if (name == "key.bias") continue;  // its gradient is zero but for rounding
        EXPECT_LT(RelativeDifference(actual.at(name), gradient), 6e-2) << name;
      }
    }
  }
}

// With dropout there is nothing to compare with, but a gradient must be the slope: along its own direction, and along a random one.
TEST_F(FusedBlocks, GradientsAreSlopesUnderDropout) {
  for (Kind kind : kKinds) {
    Blocks b(kShapes[0]);
    b.settings.hidden_dropout = 0.3;
    b.settings.attention_dropout = 0.4;
    at::Tensor value;
    const auto gradients = b.Gradients([&] { return Fused(b, kind); }, &value);
    at::manual_seed(5);
    const at::Tensor probe = at::randn(value.sizes()).to(at::kDouble);
    at::NoGradGuard no_grad;
    for (auto& [name, leaf] : b.weights.leaves) {
      if (!gradients.count(name)) continue;
      const at::Tensor gradient = gradients.at(name);
      const double norm = gradient.norm().item<double>();
      if (norm < 1e-4) continue;  // the key's bias: zero
      const at::Tensor step = gradient * (2e-3 / norm);
      const auto loss_at = [&](double sign) {
        const at::Tensor before = leaf.clone();
        leaf.add_(step, sign);
        const double loss = (Fused(b, kind).to(at::kDouble) * probe).sum().item<double>();
        leaf.copy_(before);
        return loss;
      };
      const double slope = (loss_at(1) - loss_at(-1)) / 4e-3;
      // The padding token's row is left out of the gradient on purpose, and so has none in the step.
      EXPECT_NEAR(slope / norm, 1, 2e-2) << name << " kind " << static_cast<int>(kind);
    }
  }
}

TEST_F(FusedBlocks, DropoutKeepsTheMeanAndFollowsSeedAndSite) {
  Blocks b({64, 4, 64, std::vector<int64_t>(40, 50)});
  at::NoGradGuard no_grad;
  // Embedding without anything to normalise away: output is the norm's shift where it is kept.
  b.weights.embedding.norm.weight.zero_();
  b.weights.embedding.norm.bias.fill_(1);
  b.settings.hidden_dropout = 0.1;
  const at::Tensor one = Fused(b, Kind::kEmbedding);
  const double n = static_cast<double>(one.numel());
  const double dropped = (one == 0).sum().item<double>() / n;
  EXPECT_NEAR(dropped, 0.1, 5 * std::sqrt(0.09 / n));
  EXPECT_NEAR(one.mean().item<double>(), 1, 2e-3);
  EXPECT_NEAR(one.max().item<double>(), 1 / 0.9, 1e-4);
  // Rows and columns alike: no pattern along either.
  EXPECT_LT((one == 0).to(at::kFloat).mean(0).max().item<double>(), 0.1 + 6 * std::sqrt(0.09 / 2000));
  EXPECT_LT((one == 0).to(at::kFloat).mean(1).max().item<double>(), 0.1 + 6 * std::sqrt(0.09 / 64));
  EXPECT_TRUE(Fused(b, Kind::kEmbedding).equal(one));
  // Other seeds and sites agree with it only by chance: both keep with probability 0.81, both drop with 0.01.
  for (int i = 0; i < 2; ++i) {
    b.settings.seed = i == 0 ? 100 : 99;
    b.settings.site = i == 0 ? 3 : 4;
    const at::Tensor other = Fused(b, Kind::kEmbedding);
    EXPECT_NEAR(((other == 0) == (one == 0)).to(at::kFloat).mean().item<double>(), 0.82, 0.01);
  }
}

TEST_F(FusedBlocks, DoNotDependOnTheNumberOfThreads) {
  for (Kind kind : {Kind::kEmbedding, Kind::kAttention}) {
    std::vector<std::map<std::string, at::Tensor>> runs;
    for (int threads : {1, 2, 3}) {
      at::set_num_threads(threads);
      Blocks b(kShapes[0]);
      b.settings.hidden_dropout = b.settings.attention_dropout = 0.1;
      at::Tensor value;
      runs.push_back(b.Gradients([&] { return Fused(b, kind); }, &value));
      // Matrix products of ATen may differ by the threads; what the kernels add up may not.
      for (const auto& [name, gradient] : runs.back()) EXPECT_LT(RelativeDifference(gradient, runs.front().at(name), 1e-2), 1e-5) << name;
    }
    if (kind == Kind::kEmbedding) {
      for (const auto& [name, gradient] : runs.back()) EXPECT_TRUE(gradient.equal(runs.front().at(name))) << name;
    }
  }
}

TEST_F(FusedBlocks, NanIsNotSwallowed) {
  for (Kind kind : {Kind::kAttention, Kind::kFeedForward}) {
    for (Activation activation : {Activation::kGelu, Activation::kGeluTanh, Activation::kRelu, Activation::kSilu}) {
      Blocks b(kShapes[1]);
      b.settings.activation = activation;
      at::NoGradGuard no_grad;
      b.x[0][0] = std::numeric_limits<float>::quiet_NaN();
      EXPECT_TRUE(std::isnan(Fused(b, kind)[0].sum().item<float>()));
    }
  }
}

TEST_F(FusedBlocks, RefuseIndicesBeyondTheirTable) {
  Blocks b(kShapes[1]);
  b.batch.token_ids[1] = 20;
  try {
    Fused(b, Kind::kEmbedding);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr("token id 20, but config.json's vocab_size is 20"));
  }
}

TEST_F(FusedBlocks, BackwardTwiceIsAnError) {
  Blocks b(kShapes[1]);
  const at::Tensor loss = Fused(b, Kind::kFeedForward).sum();
  loss.backward({}, /*retain_graph=*/true);
  EXPECT_THROW(loss.backward(), c10::Error);
}

TEST(TableGradient, ClearsWhatTheLastStepTouchedAndAccumulates) {
  const at::Tensor table = at::zeros({6, 2}).requires_grad_(true);
  const at::Tensor ones = at::ones({2, 2});
  const auto at_rows = [](std::vector<int64_t> rows) {
    const at::Tensor indices = at::zeros({static_cast<int64_t>(rows.size())}, at::kLong);
    for (size_t i = 0; i < rows.size(); ++i) indices[i] = rows[i];
    return indices;
  };
  const auto row_sums = [&] { return table.grad().sum(1) / 2; };
  TableGradient gradient;
  gradient.Add(table, ones, at_rows({1, 3}), -1);
  gradient.Add(table, ones, at_rows({3, 5}), -1);  // a second micro-step
  EXPECT_TRUE(row_sums().equal(at_rows({0, 1, 0, 2, 0, 1}).to(at::kFloat)));
  const float* place = table.grad().const_data_ptr<float>();
  at::Tensor(table).mutable_grad() = at::Tensor();  // as an optimizer does
  gradient.Add(table, ones, at_rows({0, 4}), 4);
  EXPECT_TRUE(row_sums().equal(at_rows({1, 0, 0, 0, 0, 0}).to(at::kFloat)));
  EXPECT_EQ(table.grad().const_data_ptr<float>(), place);  // the same memory
  const at::Tensor kept = table.grad();
  at::Tensor(table).mutable_grad() = at::Tensor();
  gradient.Add(table, ones, at_rows({2, 2}), -1);  // someone keeps the old one: it may not change
  EXPECT_TRUE(row_sums().equal(at_rows({0, 0, 2, 0, 0, 0}).to(at::kFloat)));
  EXPECT_EQ(kept.sum().item<float>(), 2);
}

}  // namespace
}  // namespace attune::training
