// What a probe says of tiny jobs.
#include "server/training/recipes/probe/probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/training/recipes/fine_tune.h"
#include "server/training/recipes/probe/process_memory.h"
#include "tests/training/tiny_image_job.h"

namespace attune::training {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr int64_t kFloat = sizeof(float);

// A process whose peak is a line over what ran since the last reset, which it hears of through the test's batches: here, simply a script.
class ScriptedMeter final : public MemoryMeter {
 public:
  // `peaks`: of one reset after the other; the last one stays.
  ScriptedMeter(std::vector<int64_t> peaks, int64_t limit) : peaks_(std::move(peaks)), limit_(limit) {}
  int64_t InUseBytes() override { return 100; }
  int64_t PeakBytes() override { return peaks_[std::min(resets_, peaks_.size() - 1)]; }
  void ResetPeak() override { ++resets_; }
  int64_t LimitBytes() override { return limit_; }
  bool CountsFiles() const override { return false; }

 private:
  const std::vector<int64_t> peaks_;
  const int64_t limit_;
  size_t resets_ = 0;
};

int64_t ParametersOf(const std::string& model_file) {
  int64_t bytes = 0;
  for (const auto& [name, data] : TensorsOf(model_file)) bytes += static_cast<int64_t>(data.size());
  return bytes;
}

ProbeReport Probe(const FineTuneSpec& spec, const JobPaths& paths) {
  ProcessMemory memory;
  RecordingReporter reporter;
  std::optional<ProbeReport> report = ProbeJob(spec, paths, memory, reporter, Files::Posix());
  EXPECT_TRUE(report.has_value());
  return report.value_or(ProbeReport());
}

TEST(Probe, CountsParametersGradientsAndMomentsToTheByte) {
  TinyJob job;
  const ProbeReport report = Probe(TinySpec(), job.paths("scratch"));
  RecordingReporter reporter;
  FineTune(TinySpec(), job.paths(), reporter, Files::Posix());
  const int64_t parameters = ParametersOf(job.checkpoint(18) + "/model.safetensors");
  EXPECT_EQ(report.memory.parameters, parameters);
  EXPECT_EQ(report.memory.gradients, parameters) << "everything learns in the second phase";
  EXPECT_EQ(report.memory.optimizer, 2 * parameters);
  EXPECT_GE(report.memory.peak, report.memory.runtime + report.memory.parameters + report.memory.gradients + report.memory.optimizer);
  EXPECT_EQ(report.memory.activations,
            report.memory.peak - report.memory.runtime - report.memory.parameters - report.memory.gradients - report.memory.optimizer);
  EXPECT_TRUE(report.fits);
  EXPECT_EQ(report.largest_batch, 8);
  EXPECT_EQ(report.accumulation, 1);
  EXPECT_EQ(report.device, "cpu");
  EXPECT_EQ(report.total_steps, 18);
  ASSERT_EQ(report.phases.size(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(report.phases[i].name, reporter.phases[i].phase);
    EXPECT_EQ(report.phases[i].trainable_parameters, reporter.phases[i].trainable_parameters);
    EXPECT_GT(report.phases[i].step_seconds, 0);
  }
  EXPECT_THAT((std::vector<int64_t>{report.phases[0].steps, report.phases[1].steps}), ElementsAre(6, 12));
  EXPECT_LT(report.low_seconds, report.seconds);
  EXPECT_GT(report.high_seconds, report.seconds);
  int64_t checkpoint = 0;
  const std::vector<std::string> files = ListDirectory(job.checkpoint(18)).value();
  for (const std::string& name : files) checkpoint += *FileSize(job.checkpoint(18) + "/" + name);
  EXPECT_NEAR(static_cast<double>(report.checkpoint_bytes), static_cast<double>(checkpoint), 1000) << "the state's text has other figures in it";
}

TEST(Probe, AdaptersCountInPlaceOfTheirWeights) {
  TinyJob job;
  FineTuneSpec spec = TinySpec();
  spec.phases.erase(spec.phases.begin());
  spec.lora = {.enabled = true, .rank = 4, .alpha = 8};
  const ProbeReport report = Probe(spec, job.paths("scratch"));
  RecordingReporter reporter;
  FineTune(spec, job.paths(), reporter, Files::Posix());
  EXPECT_EQ(report.phases[0].trainable_parameters, reporter.phases[0].trainable_parameters);
  EXPECT_EQ(report.memory.optimizer, 2 * kFloat * reporter.phases[0].trainable_parameters);
}

TEST(Probe, ImagesWithFrozenLayersAreNotCachedByIt) {
  TinyImageJob job;
  const ProbeReport report = Probe(TinyImageSpec(), job.paths("scratch", /*cached=*/true));
  EXPECT_TRUE(report.fits);
  EXPECT_GT(report.seconds, 0);
  const auto kept = ListDirectory(job.paths("out", true).feature_cache_dir);
  EXPECT_TRUE(!kept.ok() || kept->empty()) << "the job's own cache is as it was";
  EXPECT_GT(report.phases[1].step_seconds, report.phases[0].step_seconds) << "the first one trains a head on known features";
}

TEST(Probe, EveryWayOfAdaptingHasAPlan) {
  TinyJob job;
  FineTuneSpec spec = TinySpec();
  spec.ema_decay = 0.99;
  spec.accumulation = 3;
  spec.class_balance = ClassBalance::kBalancedSampling;
  EXPECT_EQ(Probe(spec, job.paths("ema")).accumulation, 3);
  spec = TinySpec();
  spec.phases.erase(spec.phases.begin());
  spec.lr_range_test = {.enabled = true};
  spec.phases[0].n_epochs = 0;
  spec.phases[0].max_steps = 20;
  const ProbeReport range = Probe(spec, job.paths("range"));
  EXPECT_EQ(range.checkpoint_bytes, 0) << "it saves nothing";
  EXPECT_EQ(range.total_steps, 20);
  TinyJob second;
  spec = TinySpec();
  spec.replay_fraction = 0.25;
  JobPaths paths = job.paths("replay");
  paths.replay_dataset_dir = second.paths().dataset_dir;
  EXPECT_TRUE(Probe(spec, paths).fits);
}

TEST(Probe, ManyPhasesAreMeasuredInPart) {
  TinyJob job;
  FineTuneSpec spec = TinySpec();
  for (int i = 0; i < 5; ++i) spec.phases.push_back(spec.phases[1]);
  const ProbeReport report = Probe(spec, job.paths("scratch"));
  ASSERT_EQ(report.phases.size(), 7u);
  for (const ProbedPhase& phase : report.phases) EXPECT_GT(phase.seconds, 0) << phase.name;
}

// Resets: before the model is loaded; of the first phase when it begins and when its tables were asked for; then one for each number of rows.
TEST(Probe, SaysHowManyRowsFit) {
  TinyJob job;
  FineTuneSpec spec = TinySpec();
  spec.phases.erase(spec.phases.begin());
  spec.phases[0].n_epochs = 1;  // one checkpoint, at its end
  RecordingReporter reporter;
  constexpr int64_t kMega = 1'000'000;
  ScriptedMeter roomy({0, 10 * kMega, 10 * kMega, 10 * kMega, 20 * kMega, 30 * kMega, 50 * kMega, 90 * kMega}, 1000 * kMega);
  ProbeReport report = *ProbeJob(spec, job.paths("roomy"), roomy, reporter, Files::Posix());
  EXPECT_TRUE(report.fits);
  EXPECT_EQ(report.memory.peak, 90 * kMega);
  EXPECT_EQ(report.memory.runtime, 100);
  ScriptedMeter tight({0, 10 * kMega, 10 * kMega, 10 * kMega, 20 * kMega, 30 * kMega, 50 * kMega, 90 * kMega}, 60 * kMega);
  report = *ProbeJob(spec, job.paths("tight"), tight, reporter, Files::Posix());
  EXPECT_FALSE(report.fits);
  EXPECT_GE(report.largest_batch, 3);
  EXPECT_LE(report.largest_batch, 6);
  EXPECT_GT(report.accumulation, 1);
  EXPECT_EQ(8 % report.accumulation, 0) << "the effective batch is the same";
  EXPECT_GT(report.memory.peak, 60 * kMega) << "by the line: 8 rows were not tried";
  EXPECT_GT(report.seconds, 0) << "the job runs all the same, in smaller batches";
  ScriptedMeter hopeless({0, 10 * kMega}, 1 * kMega);
  report = *ProbeJob(spec, job.paths("hopeless"), hopeless, reporter, Files::Posix());
  EXPECT_FALSE(report.fits);
  EXPECT_EQ(report.largest_batch, 0);
  EXPECT_EQ(report.accumulation, 0);
}

TEST(Probe, MemoryAloneIsTheSameMemoryWithoutTimes) {
  TinyJob job;
  RecordingReporter reporter;
  constexpr int64_t kMega = 1'000'000;
  const std::vector<int64_t> peaks = {0, 10 * kMega, 10 * kMega, 10 * kMega, 20 * kMega, 30 * kMega, 50 * kMega, 90 * kMega};
  FineTuneSpec spec = TinySpec();
  spec.phases.erase(spec.phases.begin());
  ScriptedMeter meter(peaks, 1000 * kMega), alone(peaks, 1000 * kMega);
  const ProbeReport all = *ProbeJob(spec, job.paths("all"), meter, reporter, Files::Posix());
  const ProbeReport memory = *ProbeJob(spec, job.paths("memory"), alone, reporter, Files::Posix(), ProbeScope::kMemory);
  EXPECT_EQ(memory.memory.peak, all.memory.peak);
  EXPECT_EQ(memory.checkpoint_bytes, all.checkpoint_bytes);
  EXPECT_TRUE(memory.fits);
  EXPECT_GT(all.seconds, 0);
  EXPECT_EQ(memory.seconds, 0);
}

TEST(Probe, TheWeightsStayTheBaseModels) {
  TinyImageJob job;
  const JobPaths paths = job.paths("scratch");
  FineTuneSpec spec = TinyImageSpec();
  ProcessMemory memory;
  RecordingReporter reporter;
  ASSERT_TRUE(ProbeJob(spec, paths, memory, reporter, Files::Posix()).has_value());
  const auto base = TensorsOf(paths.model_dir + "/model.safetensors");
  const auto probed = TensorsOf(paths.output_dir + "/checkpoints/step-2/model.safetensors");
  for (const auto& [name, bytes] : base) {
    if (name.find("running_") != std::string::npos || name.find("num_batches") != std::string::npos || name.rfind("classifier", 0) == 0) continue;
    EXPECT_EQ(probed.at(name), bytes) << name;
  }
}

TEST(Probe, StopsWhenAsked) {
  TinyJob job;
  ProcessMemory memory;
  RecordingReporter reporter;
  reporter.stop_after_questions = 3;
  EXPECT_FALSE(ProbeJob(TinySpec(), job.paths("scratch"), memory, reporter, Files::Posix()).has_value());
}

TEST(Probe, FaultsOfTheSpecAreThrown) {
  TinyJob job;
  ProcessMemory memory;
  RecordingReporter reporter;
  FineTuneSpec spec = TinySpec();
  spec.task = "image-classification";
  EXPECT_THROW(ProbeJob(spec, job.paths("scratch"), memory, reporter, Files::Posix()), std::invalid_argument);
  EXPECT_THAT(reporter.checkpoints(), IsEmpty());
}

}  // namespace
}  // namespace attune::training
