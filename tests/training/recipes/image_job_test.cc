// Image jobs as a whole: what learns and what does not, resuming, prediction.
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/training/recipes/fine_tune.h"
#include "server/training/recipes/headed_model.h"
#include "server/training/recipes/predictor.h"
#include "tests/training/tiny_image_job.h"

namespace attune::training {
namespace {

using ::testing::HasSubstr;

bool IsBuffer(const std::string& name) { return name.find("running_") != std::string::npos || name.find("num_batches") != std::string::npos; }
bool IsHead(const std::string& name) { return name.rfind("classifier.", 0) == 0; }

TEST(ImageJob, LearnsColours) {
  TinyImageJob job({.train = 96, .validation = 30, .test = 30});
  FineTuneSpec spec = TinyImageSpec();
  spec.phases[1].n_epochs = 6;
  RecordingReporter reporter;
  const JobResult result = FineTune(spec, job.paths(), reporter, Files::Posix());
  ASSERT_TRUE(result.has_test);
  EXPECT_GT(result.test.values.at("accuracy"), 0.8);
  EXPECT_EQ(reporter.metrics[0].values.count("tokens_per_second"), 0u);
  EXPECT_EQ(reporter.metrics[0].values.count("input_wait"), 1u);
}

TEST(ImageJob, PredictsAsTheEvaluationDid) {
  TinyImageJob job({.train = 60, .validation = 12, .test = 21});
  RecordingReporter reporter;
  const JobResult result = FineTune(TinyImageSpec(), job.paths(), reporter, Files::Posix());
  std::vector<PredictionInput> inputs;
  for (int64_t i = 72; i < 93; ++i) inputs.push_back({.image = TinyImage(i)});
  Predictor predictor;
  const auto outputs = predictor.Predict(job.checkpoint(result.best_step), inputs);
  const std::vector<std::string> labels = {"red", "green", "blue"};
  int right = 0;
  for (size_t i = 0; i < outputs.size(); ++i) right += outputs[i].labels[0] == labels[(72 + i) % 3];
  EXPECT_DOUBLE_EQ(right / 21.0, result.test.values.at("accuracy"));
  inputs[20].image = "not an image";
  try {
    predictor.Predict(job.checkpoint(result.best_step), inputs);
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("image 21"));
  }
}

// Log loss and accuracy from predicted probabilities of the test rows.
std::pair<double, double> FiguresOf(const std::vector<PredictionOutput>& outputs, int64_t first) {
  const std::vector<std::string> labels = {"red", "green", "blue"};
  double loss = 0, right = 0;
  for (size_t i = 0; i < outputs.size(); ++i) {
    const std::string& truth = labels[(first + static_cast<int64_t>(i)) % 3];
    right += outputs[i].labels[0] == truth;
    for (const auto& [label, score] : outputs[i].scores) loss -= label == truth ? std::log(score) : 0;
  }
  return {loss / static_cast<double>(outputs.size()), right / static_cast<double>(outputs.size())};
}

TEST(ImageJob, SeveralTestViewsAreAveragedInEvaluationAndPredictionAlike) {
  TinyImageJob job({.train = 60, .validation = 12, .test = 21});
  FineTuneSpec spec = TinyImageSpec();
  spec.test_views = 4;
  RecordingReporter reporter;
  const JobResult result = FineTune(spec, job.paths(), reporter, Files::Posix());
  std::vector<PredictionInput> inputs;
  for (int64_t i = 72; i < 93; ++i) inputs.push_back({.image = TinyImage(i)});
  Predictor predictor;
  const auto averaged = FiguresOf(predictor.Predict(job.checkpoint(result.best_step), inputs, 4), 72);
  const auto plain = FiguresOf(predictor.Predict(job.checkpoint(result.best_step), inputs), 72);
  EXPECT_NEAR(averaged.first, result.test.values.at("loss"), 1e-5);
  EXPECT_DOUBLE_EQ(averaged.second, result.test.values.at("accuracy"));
  EXPECT_GT(std::abs(averaged.first - plain.first), 1e-4) << "or the views would do nothing";
}

TEST(ImageJob, TheAverageIsThatOfProbabilities) {
  TinyImageJob job;
  RecordingReporter reporter;
  const JobResult result = FineTune(TinyImageSpec(), job.paths(), reporter, Files::Posix());
  Predictor predictor;
  const std::string mirrored = [] {  // the second view is the mirror image
    std::string bytes = TinyImage(0);
    const size_t start = bytes.size() - 40 * 36 * 3;
    std::string out = bytes;
    for (int y = 0; y < 36; ++y) {
      for (int x = 0; x < 40; ++x) out.replace(start + 3 * (40 * y + x), 3, bytes, start + 3 * (40 * y + 39 - x), 3);
    }
    return out;
  }();
  const std::string checkpoint = job.checkpoint(result.best_step);
  const auto one = predictor.Predict(checkpoint, {{.image = TinyImage(0)}, {.image = mirrored}});
  const auto both = predictor.Predict(checkpoint, {{.image = TinyImage(0)}}, 2);
  std::map<std::string, double> mean;
  for (const PredictionOutput& output : one) {
    for (const auto& [label, score] : output.scores) mean[label] += score / 2;
  }
  for (const auto& [label, score] : both[0].scores) EXPECT_NEAR(score, mean[label], 1e-5) << label;
  EXPECT_THROW(predictor.Predict(checkpoint, {{.image = "no image"}}, 2), std::invalid_argument);
}

TEST(ImageJob, AResumedRunEndsInTheSameBytes) {
  TinyImageJob job;
  FineTuneSpec spec = TinyImageSpec();
  spec.augmentation.mixup_alpha = 0.4;
  spec.augmentation.cutmix_alpha = 1;
  spec.save_steps = 1;
  spec.keep_last = 100;
  RecordingReporter reporter;
  const JobResult whole = FineTune(spec, job.paths("whole"), reporter, Files::Posix());
  RecordingReporter interrupted;
  interrupted.stop_after_questions = 14;  // in the second phase
  interrupted.stop_request = StopRequest::kPreempt;
  const JobResult first = FineTune(spec, job.paths("parts"), interrupted, Files::Posix());
  ASSERT_TRUE(first.preempted);
  ASSERT_GT(interrupted.last_step, 6);
  JobPaths paths = job.paths("parts");
  paths.resume_dir = job.checkpoint(interrupted.last_step, "parts");
  RecordingReporter rest;
  const JobResult second = FineTune(spec, paths, rest, Files::Posix());
  EXPECT_EQ(rest.resumed_from, interrupted.last_step);
  EXPECT_EQ(second.test.values, whole.test.values);
  EXPECT_EQ(TensorsOf(job.checkpoint(18, "parts") + "/model.safetensors"), TensorsOf(job.checkpoint(18, "whole") + "/model.safetensors"));
}

// A policy, and what it must leave as it was.
struct PolicyCase {
  const char* name;
  TrainableSpec trainable;
  bool train_batch_norm;
  // Whether a parameter of the base model may change.
  bool (*learns)(const std::string& name);
};

TrainableSpec Policy(TrainableSpec::Base base, int groups = 0, std::vector<std::string> patterns = {}, std::vector<std::string> freeze = {}) {
  TrainableSpec spec;
  spec.base = base;
  spec.last_n_groups = groups;
  spec.patterns = std::move(patterns);
  spec.freeze = std::move(freeze);
  return spec;
}

// The tiny model is features.0 (stem), three inverted residuals in features.1 to features.4, and features.5.
int BlockOf(const std::string& name) { return name.rfind("features.", 0) == 0 ? std::stoi(name.substr(9)) : 99; }

class PolicyTest : public ::testing::TestWithParam<PolicyCase> {};

TEST_P(PolicyTest, FrozenTensorsStayToTheBitAndOthersMove) {
  TinyImageJob job;
  FineTuneSpec spec = TinyImageSpec();
  spec.phases.erase(spec.phases.begin());
  spec.phases[0].trainable = GetParam().trainable;
  spec.phases[0].train_batch_norm = GetParam().train_batch_norm;
  spec.optimizer.weight_decay = 0.1;  // would move what is frozen only in name
  RecordingReporter reporter;
  FineTune(spec, job.paths(), reporter, Files::Posix());
  const auto before = TensorsOf(job.paths().model_dir + "/model.safetensors");
  const auto after = TensorsOf(job.checkpoint(reporter.last_step) + "/model.safetensors");
  int moved = 0;
  for (const auto& [name, bytes] : before) {
    if (IsHead(name)) continue;
    ASSERT_EQ(after.count(name), 1u) << name;
    // A buffer belongs to the weight of its BatchNorm.
    const std::string owner = IsBuffer(name) ? name.substr(0, name.rfind('.')) + ".weight" : name;
    const bool expected = GetParam().learns(owner) && (!IsBuffer(name) || GetParam().train_batch_norm);
    EXPECT_EQ(after.at(name) != bytes, expected) << name;
    moved += after.at(name) != bytes ? 1 : 0;
  }
  EXPECT_EQ(moved > 0, GetParam().trainable.base != TrainableSpec::Base::kHeadOnly);
}

INSTANTIATE_TEST_SUITE_P(
    Policies, PolicyTest,
    ::testing::Values(
        PolicyCase{"head_only", Policy(TrainableSpec::Base::kHeadOnly), true, [](const std::string&) { return false; }},
        PolicyCase{"all", Policy(TrainableSpec::Base::kAll), true, [](const std::string&) { return true; }},
        PolicyCase{"all_with_frozen_batch_norm", Policy(TrainableSpec::Base::kAll), false, [](const std::string&) { return true; }},
        PolicyCase{"patterns", Policy(TrainableSpec::Base::kPatterns, 0, {"features.[34].*"}), true,
                   [](const std::string& name) { return BlockOf(name) == 3 || BlockOf(name) == 4; }},
        PolicyCase{"all_but_the_stem", Policy(TrainableSpec::Base::kAll, 0, {}, {"features.0.*"}), true, [](const std::string& name) { return BlockOf(name) != 0; }}),
    [](const ::testing::TestParamInfo<PolicyCase>& info) { return std::string(info.param.name); });

TEST(ImageJob, TheLastGroupsLearnAndNothingBelow) {
  TinyImageJob job;
  FineTuneSpec spec = TinyImageSpec();
  spec.phases.erase(spec.phases.begin());
  spec.phases[0].trainable = Policy(TrainableSpec::Base::kLastNGroups, 1);
  RecordingReporter reporter;
  FineTune(spec, job.paths(), reporter, Files::Posix());
  const std::unique_ptr<Model> model = ModelRegistry::Get().Find("mobilenet_v2")->create(TinyImageConfig(), 7);
  const auto before = TensorsOf(job.paths().model_dir + "/model.safetensors");
  const auto after = TensorsOf(job.checkpoint(reporter.last_step) + "/model.safetensors");
  const int last = static_cast<int>(model->groups().size()) - 1;
  for (const Parameter& parameter : model->parameters()) EXPECT_EQ(before.at(parameter.name) != after.at(parameter.name), parameter.group == last) << parameter.name;
  for (const Buffer& buffer : model->buffers()) EXPECT_EQ(before.at(buffer.name) != after.at(buffer.name), buffer.group == last) << buffer.name;
}

// Checkpoints are copied while the next step's forward pass runs.
TEST(ImageJob, RunningStatisticsAreKnownToMoveInForwardPasses) {
  const HeadedModel headed = CreateHeadedModel(TinyImageConfig(), HeadOptionsOf(TinyImageSpec(), {"a", "b"}, {}));
  size_t moving = 0;
  for (const NamedTensor& named : headed.tensors()) moving += named.moves_in_forward ? 1 : 0;
  EXPECT_GT(moving, 0u);
  EXPECT_EQ(moving, headed.model->buffers().size());
}

TEST(ImageJob, HiddenLayersOfTheHeadAreSavedAndLoaded) {
  TinyImageJob job;
  FineTuneSpec spec = TinyImageSpec();
  spec.head_hidden_sizes = {16};
  spec.head_activation = HeadActivation::kGelu;
  RecordingReporter reporter;
  const JobResult result = FineTune(spec, job.paths(), reporter, Files::Posix());
  const auto tensors = TensorsOf(job.checkpoint(result.best_step) + "/model.safetensors");
  EXPECT_EQ(tensors.count("classifier.1.1.weight"), 1u);
  EXPECT_EQ(tensors.count("classifier.1.4.weight"), 1u);
  Predictor predictor;
  EXPECT_EQ(predictor.Predict(job.checkpoint(result.best_step), {{.image = TinyImage(0)}}).size(), 1u);
}

TEST(ImageJob, AModelForTextsIsRefused) {
  TinyImageJob job;
  WriteTinyModel(job.paths().model_dir);
  RecordingReporter reporter;
  try {
    FineTune(TinyImageSpec(), job.paths(), reporter, Files::Posix());
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("the dataset holds images, but bert takes texts"));
  }
}

}  // namespace
}  // namespace attune::training
