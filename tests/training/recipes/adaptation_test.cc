// How adaptation is steered, seen from whole jobs: the moving average of weights, L2-SP, rates of groups, and the balance of classes.
#include <cmath>
#include <cstring>
#include <map>
#include <set>
#include <stdexcept>
#include <string>

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/training/recipes/fine_tune.h"
#include "server/training/recipes/predictor.h"
#include "tests/training/tiny_image_job.h"

namespace attune::training {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

using Tensors = std::map<std::string, std::string>;  // name -> bytes

Tensors TensorsOf(const std::string& path) {
  auto file = weights::SafetensorsFile::Open(path);
  EXPECT_TRUE(file.ok()) << file.status();
  Tensors tensors;
  for (const weights::TensorInfo& info : (*file)->tensors()) tensors[info.name] = std::string((*file)->data(info));
  return tensors;
}

std::vector<float> Floats(const std::string& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// Names of tensors that differ in a byte, or that only one has.
std::vector<std::string> Different(const Tensors& a, const Tensors& b) {
  std::vector<std::string> names;
  for (const auto& [name, bytes] : a) {
    if (b.count(name) == 0 || b.at(name) != bytes) names.push_back(name);
  }
  for (const auto& [name, bytes] : b) {
    if (a.count(name) == 0) names.push_back(name);
  }
  return names;
}

bool IsCounter(const std::string& name) { return name.find("num_batches") != std::string::npos; }

// One phase of everything, saved at each step.
FineTuneSpec EveryStep(FineTuneSpec spec) {
  spec.phases.erase(spec.phases.begin());
  spec.save_steps = 1;
  spec.keep_last = 100;
  return spec;
}

// Averages of base model tensors by hand, from the checkpoints of a run without an average.
template <typename Job>
void ExpectAverages(const Job& job, const FineTuneSpec& spec, const std::string& prefix, double decay) {
  FineTuneSpec averaged = spec;
  averaged.ema_decay = decay;
  RecordingReporter reporter;
  FineTune(spec, job.paths("raw"), reporter, Files::Posix());
  FineTune(averaged, job.paths("averaged"), reporter, Files::Posix());
  std::map<std::string, std::vector<double>> expected;
  for (const auto& [name, bytes] : TensorsOf(job.paths().model_dir + "/model.safetensors")) {
    if (IsCounter(name)) continue;
    const std::vector<float> values = Floats(bytes);
    expected[prefix + name] = {values.begin(), values.end()};
  }
  for (int64_t step = 1; step <= 12; ++step) {
    const Tensors raw = TensorsOf(job.checkpoint(step, "raw") + "/model.safetensors");
    const Tensors exported = TensorsOf(job.checkpoint(step, "averaged") + "/model.safetensors");
    const Tensors resume = TensorsOf(job.checkpoint(step, "averaged") + "/optimizer.safetensors");
    ASSERT_EQ(raw.size(), exported.size());
    const double kept = std::min(decay, (1.0 + static_cast<double>(step)) / (10.0 + static_cast<double>(step)));
    for (auto& [name, mean] : expected) {
      const std::vector<float> now = Floats(raw.at(name)), out = Floats(exported.at(name));
      EXPECT_EQ(resume.at("raw." + name), raw.at(name)) << name << ": averaging must not change what is averaged";
      for (size_t i = 0; i < mean.size(); ++i) {
        mean[i] = kept * mean[i] + (1 - kept) * now[i];
        ASSERT_NEAR(out[i], mean[i], 1e-5 * (1 + std::abs(mean[i]))) << name << " step " << step;
      }
    }
    for (const auto& [name, bytes] : raw) {
      if (IsCounter(name)) {
        EXPECT_EQ(exported.at(name), bytes) << name;
      }
    }
  }
}

TEST(WeightAverageOfAJob, IsWhatIsExported) { ExpectAverages(TinyJob(), EveryStep(TinySpec()), "bert.", 0.5); }

TEST(WeightAverageOfAJob, HasTheRunningStatisticsOfBatchNorm) { ExpectAverages(TinyImageJob(), EveryStep(TinyImageSpec()), "", 0.9); }

TEST(WeightAverageOfAJob, IsWhatEvaluationsAreOf) {
  TinyImageJob job({.train = 60, .validation = 12, .test = 21});
  FineTuneSpec spec = TinyImageSpec();
  spec.ema_decay = 0.9;
  RecordingReporter reporter;
  const JobResult result = FineTune(spec, job.paths(), reporter, Files::Posix());
  std::vector<PredictionInput> inputs;
  for (int64_t i = 60; i < 72; ++i) inputs.push_back({.image = TinyImage(i)});
  for (const EvaluationReport& evaluation : reporter.evaluations) {
    Predictor predictor;
    const auto outputs = predictor.Predict(job.checkpoint(evaluation.step), inputs);
    double loss = 0;
    const std::vector<std::string> labels = {"red", "green", "blue"};
    for (size_t i = 0; i < outputs.size(); ++i) {
      for (const auto& [label, score] : outputs[i].scores) loss -= label == labels[(60 + i) % 3] ? std::log(score) / 12 : 0;
    }
    EXPECT_NEAR(evaluation.values.at("loss"), loss, 1e-4) << evaluation.step;
  }
  ASSERT_TRUE(result.has_test);
}

// The phase of the head after that of everything: its frozen layers are the average, with and without the feature cache.
TEST(WeightAverageOfAJob, IsWhereTheNextPhaseStarts) {
  TinyImageJob job;
  FineTuneSpec spec = TinyImageSpec();
  std::swap(spec.phases[0], spec.phases[1]);
  spec.ema_decay = 0.9;
  RecordingReporter reporter;
  FineTune(spec, job.paths("plain"), reporter, Files::Posix());
  FineTune(spec, job.paths("cached", true), reporter, Files::Posix());
  const Tensors first = TensorsOf(job.checkpoint(12, "plain") + "/model.safetensors"), last = TensorsOf(job.checkpoint(18, "plain") + "/model.safetensors");
  const Tensors cached = TensorsOf(job.checkpoint(18, "cached") + "/model.safetensors");
  for (const auto& [name, bytes] : first) {
    if (name.rfind("classifier.", 0) == 0) {
      EXPECT_NE(last.at(name), bytes) << name;
      const std::vector<float> a = Floats(last.at(name)), b = Floats(cached.at(name));
      for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-3) << name;
    } else {
      EXPECT_EQ(last.at(name), bytes) << name;
      EXPECT_EQ(cached.at(name), bytes) << name;
    }
  }
}

// Everything at once, resumed from every checkpoint.
FineTuneSpec FullSpec(FineTuneSpec spec) {
  spec.class_balance = ClassBalance::kBalancedSampling;
  spec.l2_sp = 0.1;
  spec.ema_decay = 0.8;
  spec.accumulation = 2;
  spec.eval_steps = 4;
  spec.save_steps = 1;
  spec.keep_last = 100;
  spec.phases[1].layer_decay = 1;
  return spec;
}

template <typename Job>
void ExpectResumable(const Job& job, const FineTuneSpec& spec) {
  RecordingReporter undisturbed;
  const JobResult expected = FineTune(spec, job.paths("whole"), undisturbed, Files::Posix());
  const int64_t last = undisturbed.checkpoints().back().step;
  ASSERT_GE(last, 8);
  for (int64_t step = 1; step <= last; ++step) {
    const std::string output = absl::StrCat("from-", step);
    JobPaths paths = job.paths(output);
    paths.resume_dir = job.checkpoint(step, "whole");
    ASSERT_TRUE(Files::Posix().CreateDirectories(paths.output_dir + "/checkpoints").ok());
    for (int64_t older = 1; older <= step; ++older) ASSERT_EQ(symlink(job.checkpoint(older, "whole").c_str(), job.checkpoint(older, output).c_str()), 0);
    RecordingReporter resumed;
    const JobResult result = FineTune(spec, paths, resumed, Files::Posix());
    EXPECT_EQ(resumed.resumed_from, step);
    EXPECT_EQ(result.best_step, expected.best_step) << "from step " << step;
    EXPECT_EQ(result.test.values, expected.test.values) << "from step " << step;
    for (const char* file : {"/model.safetensors", "/optimizer.safetensors"}) {
      EXPECT_THAT(Different(TensorsOf(job.checkpoint(last, output) + file), TensorsOf(job.checkpoint(last, "whole") + file)), IsEmpty()) << file << " from step " << step;
    }
  }
}

TEST(Adaptation, ATextJobWithEverythingResumesToTheBit) {
  FineTuneSpec spec = FullSpec(TinySpec());
  spec.phases[1].group_rates = {{"head", 2}, {"embeddings", 0.5}};
  ExpectResumable(TinyJob(), spec);
}

TEST(Adaptation, AnImageJobWithEverythingResumesToTheBit) {
  FineTuneSpec spec = FullSpec(TinyImageSpec());
  spec.optimizer.kind = OptimizerKind::kSgd;
  ExpectResumable(TinyImageJob({.train = 43, .validation = 8, .test = 8}), spec);
}

TEST(Adaptation, AWeightedJobResumesToTheBit) {
  FineTuneSpec spec = FullSpec(TinySpec());
  spec.class_balance = ClassBalance::kWeightedLoss;
  spec.label_smoothing = 0.1;
  ExpectResumable(TinyJob(), spec);
}

TEST(Adaptation, FrozenTensorsStayToTheBit) {
  TinyImageJob job;
  FineTuneSpec spec = FullSpec(TinyImageSpec());
  spec.phases.pop_back();
  spec.l2_sp = 10;
  RecordingReporter reporter;
  FineTune(spec, job.paths(), reporter, Files::Posix());
  const Tensors before = TensorsOf(job.paths().model_dir + "/model.safetensors");
  const Tensors after = TensorsOf(job.checkpoint(reporter.last_step) + "/model.safetensors");
  for (const auto& [name, bytes] : before) {
    if (name.rfind("classifier.", 0) == 0) continue;
    EXPECT_EQ(after.at(name), bytes) << name;
  }
}

// Distance of the base model's tensors from where they were; norms and biases apart.
struct Distance {
  double drawn = 0, norms_and_biases = 0;
};

Distance DistanceFromBase(const TinyJob& job, const std::string& checkpoint) {
  const Tensors before = TensorsOf(job.paths().model_dir + "/model.safetensors"), after = TensorsOf(checkpoint + "/model.safetensors");
  Distance distance;
  for (const auto& [name, bytes] : before) {
    const std::vector<float> a = Floats(bytes), b = Floats(after.at("bert." + name));
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
    const bool free = name.find("bias") != std::string::npos || name.find("LayerNorm") != std::string::npos;
    (free ? distance.norms_and_biases : distance.drawn) += sum;
  }
  return distance;
}

TEST(L2Sp, HoldsWeightsNearWhereTheyWere) {
  TinyJob job;
  FineTuneSpec spec = TinySpec();
  spec.optimizer.kind = OptimizerKind::kSgd;
  spec.optimizer.momentum = 0;
  spec.optimizer.max_grad_norm = 0;
  spec.phases[1].learning_rate = 0.05;
  spec.phases[1].n_epochs = 6;
  RecordingReporter reporter;
  double last = 1e30;
  Distance loose;
  for (const double alpha : {0.0, 0.1, 1.0, 10.0}) {
    spec.l2_sp = alpha;
    const std::string output = absl::StrCat("alpha-", alpha);
    FineTune(spec, job.paths(output), reporter, Files::Posix());
    const Distance distance = DistanceFromBase(job, job.checkpoint(reporter.last_step, output));
    EXPECT_LT(distance.drawn, last) << alpha;
    last = distance.drawn;
    if (alpha == 0) loose = distance;
    EXPECT_GT(distance.norms_and_biases, 0.2 * loose.norms_and_biases) << "they are free";
  }
  EXPECT_LT(last, 0.1 * loose.drawn);
}

// One step of SGD with nothing else: each group's step is its rate's share.
TEST(GroupRates, ScaleTheStepOfAGroup) {
  TinyJob job;
  FineTuneSpec spec = EveryStep(TinySpec());
  spec.optimizer = {.kind = OptimizerKind::kSgd, .weight_decay = 0, .momentum = 0, .max_grad_norm = 0};
  spec.schedule = ScheduleKind::kConstant;
  spec.phases[0].warmup_steps = 0;
  spec.phases[0].layer_decay = 1;
  spec.phases[0].learning_rate = 0.1;
  spec.max_steps = 1;
  RecordingReporter reporter;
  FineTune(spec, job.paths("one"), reporter, Files::Posix());
  spec.phases[0].group_rates = {{"embeddings", 3}, {"layer.1", 0.25}};
  FineTune(spec, job.paths("rates"), reporter, Files::Posix());
  const Tensors before = TensorsOf(job.paths().model_dir + "/model.safetensors");
  const Tensors one = TensorsOf(job.checkpoint(1, "one") + "/model.safetensors"), rates = TensorsOf(job.checkpoint(1, "rates") + "/model.safetensors");
  std::set<double> seen;
  for (const auto& [name, bytes] : before) {
    const double rate = name.rfind("embeddings.", 0) == 0 ? 3 : name.rfind("encoder.layer.1.", 0) == 0 ? 0.25 : 1;
    const std::vector<float> from = Floats(bytes), a = Floats(one.at("bert." + name)), b = Floats(rates.at("bert." + name));
    for (size_t i = 0; i < from.size(); ++i) EXPECT_NEAR(b[i] - from[i], rate * (a[i] - from[i]), 1e-6) << name;
    seen.insert(rate);
  }
  EXPECT_EQ(seen.size(), 3u);
  spec.phases[0].group_rates = {{"layer.7", 2}};
  EXPECT_THROW(FineTune(spec, job.paths("unknown"), reporter, Files::Posix()), std::invalid_argument);
}

TEST(ClassBalance, SaysTheWeightsAndTrainsByThem) {
  TinyJob job;
  FineTuneSpec spec = TinySpec();
  RecordingReporter plain, weighted, named;
  FineTune(spec, job.paths("plain"), plain, Files::Posix());
  spec.class_balance = ClassBalance::kWeightedLoss;
  FineTune(spec, job.paths("weighted"), weighted, Files::Posix());
  // Rows 0 .. 42: good where (7 i + 3) mod 5 is even.
  int good = 0;
  for (int i = 0; i < 43; ++i) good += (i * 7 + 3) % 5 % 2 == 0 ? 1 : 0;
  const double good_weight = 43.0 / (2 * good), bad_weight = 43.0 / (2 * (43 - good));
  EXPECT_THAT(weighted.log(), Contains(HasSubstr(absl::StrCat("class weights by frequency: bad ", bad_weight, ", good ", good_weight))));
  EXPECT_THAT(plain.log(), Each(Not(HasSubstr("class weights"))));
  EXPECT_NE(weighted.metrics[0].values.at("loss"), plain.metrics[0].values.at("loss"));
  // The same weights by name are the same job.
  spec.class_balance = ClassBalance::kNone;
  spec.class_weights = {{"bad", bad_weight}, {"good", good_weight}};
  FineTune(spec, job.paths("named"), named, Files::Posix());
  EXPECT_THAT(Different(TensorsOf(job.checkpoint(18, "named") + "/model.safetensors"), TensorsOf(job.checkpoint(18, "weighted") + "/model.safetensors")), IsEmpty());
  spec.class_weights = {{"godo", 2}};
  try {
    FineTune(spec, job.paths("unknown"), named, Files::Posix());
    FAIL() << "did not fail";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("did you mean \"good\"?"));
  }
}

TEST(ClassBalance, OfSeveralLabelsAndOfNumbers) {
  for (const ClassBalance balance : {ClassBalance::kWeightedLoss, ClassBalance::kBalancedSampling}) {
    TinyJob job(examples::LabelKind::kMultiLabel);
    FineTuneSpec spec = TinySpec();
    spec.task = "text-multi-label";
    spec.best_metric = "f1_macro";
    spec.class_balance = balance;
    RecordingReporter reporter;
    EXPECT_TRUE(FineTune(spec, job.paths(), reporter, Files::Posix()).has_test);
    EXPECT_EQ(reporter.last_step, 18);
  }
  TinyJob numbers(examples::LabelKind::kRegression);
  FineTuneSpec spec = TinySpec();
  spec.task = "text-regression";
  spec.best_metric = "mse";
  spec.class_balance = ClassBalance::kWeightedLoss;
  RecordingReporter reporter;
  EXPECT_THROW(FineTune(spec, numbers.paths(), reporter, Files::Posix()), std::invalid_argument);
}

}  // namespace
}  // namespace attune::training
