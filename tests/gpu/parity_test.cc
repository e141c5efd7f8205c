#include <cmath>
#include <cstring>

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/base/sha256.h"
#include "server/training/worker/devices.h"
#include "server/training/worker/failure.h"
#include "server/training/worker/job_session.h"
#include "tests/training/tiny_job.h"

namespace attune::training {
namespace {

class GpuTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const absl::Status ready = PrepareDevice("cuda:0");
    if (!ready.ok()) GTEST_SKIP() << ready.message();
  }
};

// Dropout masks differ between devices, so there is none.
nlohmann::json ConfigWithoutDropout() {
  nlohmann::json config = TinyConfig();
  config["hidden_dropout_prob"] = 0.0;
  config["attention_probs_dropout_prob"] = 0.0;
  return config;
}

FineTuneSpec SpecWithoutDropout(const std::string& device) {
  FineTuneSpec spec = TinySpec();
  spec.head_dropout = 0;
  spec.device = device;
  return spec;
}

std::vector<float> WeightsOf(const std::string& checkpoint) {
  const auto file = *weights::SafetensorsFile::Open(checkpoint + "/model.safetensors");
  std::vector<float> values;
  for (const weights::TensorInfo& info : file->tensors()) {
    const std::string_view bytes = file->data(info);
    const size_t begin = values.size();
    values.resize(begin + bytes.size() / sizeof(float));
    std::memcpy(values.data() + begin, bytes.data(), bytes.size());
  }
  return values;
}

void RunOrFail(const FineTuneSpec& spec, const JobPaths& paths, RecordingReporter& reporter, JobResult* result) {
  const AttemptOutcome outcome = RunAttempt(spec, paths, reporter, Files::Posix());
  ASSERT_FALSE(outcome.failure.has_value()) << outcome.failure->message;
  *result = outcome.result;
}

TEST_F(GpuTest, TheSameJobEndsInTheSameWeightsAsOnTheCpu) {
  TinyJob job;
  WriteTinyModel(job.paths().model_dir, ConfigWithoutDropout());
  RecordingReporter cpu, gpu;
  JobResult on_cpu, on_gpu;
  RunOrFail(SpecWithoutDropout("cpu"), job.paths("cpu"), cpu, &on_cpu);
  RunOrFail(SpecWithoutDropout("cuda:0"), job.paths("gpu"), gpu, &on_gpu);
  EXPECT_EQ(gpu.started_device, "cuda:0");
  const std::vector<float> a = WeightsOf(job.checkpoint(18, "cpu")), b = WeightsOf(job.checkpoint(18, "gpu"));
  ASSERT_EQ(a.size(), b.size());
  double difference = 0, size = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    size += a[i] * a[i];
  }
  EXPECT_LT(std::sqrt(difference / size), 1e-3);
  EXPECT_NEAR(on_gpu.test.values.at("loss"), on_cpu.test.values.at("loss"), 1e-3);
}

TEST_F(GpuTest, RepeatsAndResumesToTheBit) {
  for (Precision precision : {Precision::kFp32, Precision::kBf16}) {
    TinyJob job;
    FineTuneSpec spec = TinySpec();
    spec.device = "cuda:0";
    spec.precision = precision;
    RecordingReporter reporter;
    JobResult result;
    RunOrFail(spec, job.paths("a"), reporter, &result);
    RunOrFail(spec, job.paths("b"), reporter, &result);
    JobPaths resumed = job.paths("c");
    resumed.resume_dir = job.checkpoint(12, "a");
    spec.best_metric = "loss";  // so that the best is the last and no older checkpoint is looked for
    RunOrFail(spec, resumed, reporter, &result);
    const std::string expected = *Sha256OfFile(job.checkpoint(18, "a") + "/model.safetensors");
    EXPECT_EQ(*Sha256OfFile(job.checkpoint(18, "b") + "/model.safetensors"), expected);
    EXPECT_EQ(*Sha256OfFile(job.checkpoint(18, "c") + "/model.safetensors"), expected);
  }
}

TEST_F(GpuTest, RunningOutOfMemoryIsAResourceFailure) {
  TinyJob job;
  int64_t memory = 0;
  for (const DeviceInfo& device : ListDevices()) {
    if (device.name == "cuda:0") memory = device.memory_bytes;
  }
  at::Tensor hog;
  const auto failure = RunGuarded([&] {
    hog = at::empty({memory * 2}, at::TensorOptions().dtype(at::kByte).device(at::Device("cuda:0")));
  });
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->category, FailureCategory::kResource);
  EXPECT_FALSE(failure->process_lost);
  // And the process can still train.
  RecordingReporter reporter;
  JobResult result;
  RunOrFail(SpecWithoutDropout("cuda:0"), job.paths("after"), reporter, &result);
}

}  // namespace
}  // namespace attune::training
