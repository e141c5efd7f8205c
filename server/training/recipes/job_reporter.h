// JobReporter: how a recipe tells the world what it does. Implemented by worker/ (sends to the server) and by tests. Called on the training thread, except
// CheckpointWritten and LogLine, which also come from the checkpoint writer's thread. Must not block for long. Free of torch and protobuf.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "server/training/recipes/fine_tune_spec.h"

namespace attune::training {

// Since the attempt began.
struct WorkReport {
  int64_t steps = 0, samples = 0, tokens = 0;
  double step_seconds = 0, input_wait_seconds = 0;                // the latter of the former
  int64_t feature_cache_hits = 0, feature_cache_misses = 0;  // sets of rows; filled in where it is sent
};

struct ProgressReport {
  int64_t step = 0, total_steps = 0;
  double epoch = 0;
  std::string phase;
  double eta_seconds = 0, samples_per_second = 0, loss = 0;
  int64_t peak_memory_bytes = 0;  // filled in where it is sent
  WorkReport work;
};

struct MetricReport {
  int64_t step = 0;
  double epoch = 0;
  std::string phase;
  std::map<std::string, double> values;
};

struct ClassReport {
  std::string label;
  double precision = 0, recall = 0, f1 = 0;
  int64_t support = 0;
};

struct EvaluationReport {
  int64_t step = 0;
  std::string split;
  int64_t rows = 0;
  std::map<std::string, double> values;
  std::vector<ClassReport> classes;
  std::vector<int64_t> confusion;
  bool is_best = false;
};

struct CheckpointReport {
  int64_t step = 0;
  std::string directory;  // "step-120"
  std::map<std::string, double> metrics;
  bool is_best = false;
  double seconds = 0;  // from the copy until it is durable
};

struct PhaseReport {
  std::string phase;
  int index = 0;
  int64_t trainable_parameters = 0, total_parameters = 0;
};

// What the server wants of a running attempt.
enum class StopRequest {
  kNone,
  kCancel,   // the job's owner wants it to end: stop, save, finish as cancelled
  kPreempt,  // this process must go: stop, save; another attempt goes on from there
};

class JobReporter {
 public:
  virtual ~JobReporter() = default;
  virtual void Started(int64_t resumed_from_step, const std::string& device, int threads) = 0;
  virtual void Phase(const PhaseReport& report) = 0;
  // An optimizer step ended. Called for each one, unlike Progress and Metrics, which are thinned: must be cheap.
  virtual void Step(int64_t step) = 0;
  virtual void Progress(const ProgressReport& report) = 0;
  virtual void Metrics(const MetricReport& report) = 0;
  virtual void Evaluation(const EvaluationReport& report) = 0;
  virtual void CheckpointWritten(const CheckpointReport& report) = 0;
  virtual void LogLine(const std::string& text) = 0;
  // The output of frozen layers over a set of rows was in the feature cache, or has to be computed.
  virtual void FeaturesLookedUp(bool found) { (void)found; }
  // A change took effect. Comes before any checkpoint of a later step.
  virtual void Adjusted(const Adjustment&) {}
  // All that the owner has changed so far, when there is news since it was last asked. Asked after each optimizer step.
  virtual std::optional<LiveSettings> NewSettings() { return std::nullopt; }
  // Asked before each micro-step and each batch of an evaluation.
  virtual StopRequest Stop() = 0;
};

// Learning rates that a range test suggests; 0 where the loss never fell.
struct LrRangeReport {
  double steepest = 0, tenth_of_minimum = 0;
};

struct JobResult {
  bool cancelled = false;
  bool preempted = false;  // not finished: to be continued from the last checkpoint
  int64_t best_step = 0;
  bool has_test = false;
  EvaluationReport test;
  std::optional<LrRangeReport> lr_range;  // of a range test
};

}  // namespace attune::training
