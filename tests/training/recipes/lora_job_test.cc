// Jobs with low-rank adapters as a whole, on texts and on images: what moves and what does not, the merged export, resuming.
#include <cmath>
#include <cstring>
#include <numeric>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/training/recipes/fine_tune.h"
#include "tests/training/tiny_image_job.h"

namespace attune::training {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

FineTuneSpec WithLora(FineTuneSpec spec) {
  spec.lora.enabled = true;
  spec.lora.rank = 2;
  spec.lora.alpha = 8;
  return spec;
}

bool IsAttention(const std::string& name) {
  return name.find(".query.weight") != std::string::npos || name.find(".value.weight") != std::string::npos;
}

std::vector<float> Values(const std::string& bytes) {
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

TEST(LoraJob, OnlyTargetsAndHeadMove) {
  TinyJob job;
  RecordingReporter reporter;
  FineTune(WithLora(TinySpec()), job.paths(), reporter, Files::Posix());
  const auto before = TensorsOf(job.paths().model_dir + "/model.safetensors");
  const auto after = TensorsOf(job.checkpoint(18) + "/model.safetensors");
  int moved = 0;
  for (const auto& [name, bytes] : before) {
    const std::string exported = after.count(name) > 0 ? name : "bert." + name;
    ASSERT_EQ(after.count(exported), 1u) << exported;
    EXPECT_EQ(after.at(exported) != bytes, IsAttention(name)) << name;
    moved += IsAttention(name);
  }
  EXPECT_EQ(moved, 4);  // two layers
  EXPECT_EQ(after.size(), before.size() + 2) << "the head, and no adapter";
  EXPECT_THAT(reporter.log(), Contains(HasSubstr("adapters of rank 2 beside 4 weights: 256 values")));
}

TEST(LoraJob, Learns) {
  TinyJob job(examples::LabelKind::kSingleLabel, {.train = 160, .validation = 20, .test = 20});
  FineTuneSpec spec = WithLora(TinySpec());
  spec.phases.erase(spec.phases.begin());
  spec.phases[0].n_epochs = 10;
  spec.phases[0].learning_rate = 1e-2;
  RecordingReporter reporter;
  FineTune(spec, job.paths(), reporter, Files::Posix());
  std::vector<double> losses;  // evaluations are metrics, too
  for (const MetricReport& report : reporter.metrics) {
    if (report.values.count("loss") > 0) losses.push_back(report.values.at("loss"));
  }
  ASSERT_GE(losses.size(), 40u);
  const double first = std::accumulate(losses.begin(), losses.begin() + 20, 0.0) / 20;
  const double last = std::accumulate(losses.end() - 20, losses.end(), 0.0) / 20;
  EXPECT_LT(last, 0.8 * first);
}

TEST(LoraJob, TheExportIsTheBasePlusTheUpdate) {
  TinyJob job;
  RecordingReporter reporter;
  FineTune(WithLora(TinySpec()), job.paths(), reporter, Files::Posix());
  const auto before = TensorsOf(job.paths().model_dir + "/model.safetensors");
  const auto after = TensorsOf(job.checkpoint(18) + "/model.safetensors");
  const auto resume = TensorsOf(job.checkpoint(18) + "/optimizer.safetensors");
  const std::string name = "bert.encoder.layer.1.attention.self.value.weight";
  const std::vector<float> base = Values(before.count(name) > 0 ? before.at(name) : before.at(name.substr(5)));
  const std::vector<float> a = Values(resume.at("lora_A." + name)), b = Values(resume.at("lora_B." + name)), merged = Values(after.at(name));
  ASSERT_EQ(merged.size(), 256u);
  for (int i = 0; i < 16; ++i) {
    for (int j = 0; j < 16; ++j) {
      const double update = 4 * (b[2 * i] * a[j] + b[2 * i + 1] * a[16 + j]);
      EXPECT_NEAR(merged[16 * i + j], base[16 * i + j] + update, 1e-6);
    }
  }
}

TEST(LoraJob, TheResumePartHoldsTheFactorsAndTheirMoments) {
  TinyJob job;
  RecordingReporter reporter;
  FineTune(WithLora(TinySpec()), job.paths(), reporter, Files::Posix());
  std::set<std::string> names;
  int64_t values = 0;
  for (const auto& [name, bytes] : TensorsOf(job.checkpoint(18) + "/optimizer.safetensors")) {
    names.insert(name);
    values += static_cast<int64_t>(bytes.size() / sizeof(float));
  }
  const std::string query = "bert.encoder.layer.0.attention.self.query.weight";
  for (const std::string& name : {"lora_A." + query, "lora_B." + query, "exp_avg." + query + ".lora_A", "exp_avg_sq." + query + ".lora_B"}) EXPECT_EQ(names.count(name), 1u) << name;
  EXPECT_EQ(names.count("exp_avg." + query), 0u);
  EXPECT_EQ(values, 3 * 256 + 2 * (2 * 16 + 2));  // factors and two moments of each; two moments of the head
}

TEST(LoraJob, APhaseOfTheHeadAloneLeavesTargetsToTheBit) {
  TinyJob job;
  FineTuneSpec spec = WithLora(TinySpec());
  spec.phases.pop_back();
  RecordingReporter reporter;
  FineTune(spec, job.paths(), reporter, Files::Posix());
  const auto before = TensorsOf(job.paths().model_dir + "/model.safetensors");
  const auto after = TensorsOf(job.checkpoint(6) + "/model.safetensors");
  for (const auto& [name, bytes] : before) EXPECT_EQ(after.at(after.count(name) > 0 ? name : "bert." + name), bytes) << name;
}

TEST(LoraJob, OfAConvnetThePointwiseConvolutionsLearn) {
  TinyImageJob job;
  FineTuneSpec spec = WithLora(TinyImageSpec());
  spec.accumulation = 2;
  RecordingReporter reporter;
  FineTune(spec, job.paths(), reporter, Files::Posix());
  const std::unique_ptr<Model> model = ModelRegistry::Get().Find("mobilenet_v2")->create(TinyImageConfig(), 7);
  const auto before = TensorsOf(job.paths().model_dir + "/model.safetensors");
  const auto after = TensorsOf(job.checkpoint(reporter.last_step) + "/model.safetensors");
  int targets = 0;
  for (const Parameter& parameter : model->parameters()) {
    const at::Tensor& weight = parameter.tensor;
    const bool target = weight.dim() == 4 && weight.size(2) == 1 && weight.size(3) == 1;
    EXPECT_EQ(before.at(parameter.name) != after.at(parameter.name), target) << parameter.name;
    targets += target;
  }
  EXPECT_GT(targets, 3);
  for (const Buffer& buffer : model->buffers()) EXPECT_EQ(before.at(buffer.name), after.at(buffer.name)) << buffer.name;
}

TEST(LoraJob, AResumedRunEndsInTheSameBytes) {
  TinyJob job;
  FineTuneSpec spec = WithLora(TinySpec());
  spec.save_steps = 1;
  spec.keep_last = 100;
  RecordingReporter whole, interrupted, rest;
  FineTune(spec, job.paths("whole"), whole, Files::Posix());
  interrupted.stop_after_questions = 14;
  interrupted.stop_request = StopRequest::kPreempt;
  ASSERT_TRUE(FineTune(spec, job.paths("parts"), interrupted, Files::Posix()).preempted);
  ASSERT_GT(interrupted.last_step, 6);  // in the second phase
  JobPaths paths = job.paths("parts");
  paths.resume_dir = job.checkpoint(interrupted.last_step, "parts");
  FineTune(spec, paths, rest, Files::Posix());
  EXPECT_EQ(rest.resumed_from, interrupted.last_step);
  for (const char* file : {"/model.safetensors", "/optimizer.safetensors"}) {
    EXPECT_EQ(TensorsOf(job.checkpoint(18, "parts") + file), TensorsOf(job.checkpoint(18, "whole") + file)) << file;
  }
}

TEST(LoraJob, APatternThatMatchesNoWeightIsNamed) {
  TinyJob job;
  FineTuneSpec spec = WithLora(TinySpec());
  spec.lora.target_modules = {"encoder.layer.9.*"};
  RecordingReporter reporter;
  try {
    FineTune(spec, job.paths(), reporter, Files::Posix());
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("encoder.layer.9.*"));
  }
}

}  // namespace
}  // namespace attune::training
