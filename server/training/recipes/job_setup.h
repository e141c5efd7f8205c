// What a fine-tuning run works with, built from its spec: the place where spec values become plain parameters of components. Throws std::invalid_argument and TrainingError
// before anything has been trained.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <c10/core/Device.h>

#include "server/examples/example.h"
#include "server/training/input/targets.h"
#include "server/training/recipes/class_balance.h"
#include "server/training/recipes/fine_tune_spec.h"
#include "server/training/recipes/headed_model.h"
#include "server/training/recipes/job_input.h"
#include "server/training/recipes/job_reporter.h"
#include "server/training/recipes/replay.h"
#include "server/training/steps/checkpoint_io.h"
#include "server/training/steps/lora.h"
#include "server/training/steps/optimizer.h"
#include "server/training/steps/plan/phase_plan.h"
#include "server/training/steps/train_loop.h"

namespace attune::training {

struct JobSetup {
  c10::Device device = c10::Device(c10::kCPU);
  Precision precision = Precision::kFp32;      // what the device supports of the spec's
  HeadedModel headed;                          // on the device; weights of the base model, or of the checkpoint to resume from
  std::vector<std::vector<bool>> trainable;    // for each phase of the spec, for each of headed.parameters()
  std::unique_ptr<Lora> lora;                  // null: weights learn themselves
  std::unique_ptr<TrainingPlan> plan;
  std::shared_ptr<const examples::ExampleReader> reader;
  std::unique_ptr<JobInput> input;             // of the dataset's rows
  std::unique_ptr<Replay> replay;              // null: there is no second dataset
  examples::Split evaluation_split = examples::Split::kValidation;
  std::string config_digest;                   // SHA-256 of the base model's config.json
  int threads = 1;
  ClassBalancing balancing;                    // of the training rows
  std::map<std::string, at::Tensor> anchors;   // parameter -> its pretrained weights, where L2-SP draws it to them
  std::vector<CheckpointFile> fixed_files;     // of every checkpoint

  int64_t rows(examples::Split split) const { return reader->size(split); }
  TargetFunction targets() const;              // of the task; as long as the setup lives
};

// Of a head's task; as long as it lives.
TargetFunction TargetsOf(const Task& task);

// Rows of a batch that are the first dataset's.
int OwnBatchSize(const FineTuneSpec& spec);

// What a checkpoint's resume part holds besides training_state.json.
std::vector<NamedTensor> ResumeTensors(const JobSetup& setup, const Optimizer& optimizer);

// Notes about the base weights (a new pooler, an old head that is not used) go to the reporter's log.
JobSetup SetUp(const FineTuneSpec& spec, const JobPaths& paths, JobReporter& reporter);

// Turns gradients on and off for a phase, and makes its optimizer.
std::unique_ptr<Optimizer> SetUpPhase(const JobSetup& setup, const FineTuneSpec& spec, int phase_of_spec);

LoopOptions LoopOptionsOf(const JobSetup& setup, const FineTuneSpec& spec);

// Lets adapters, where there are any, take the gradients of their weights and write the weights anew.
void UseAdapters(const JobSetup& setup, LoopCallbacks& callbacks);

// What moves in the phase that was set up: parameters that learn, and the running statistics of BatchNorm.
std::vector<NamedTensor> MovingTensors(const HeadedModel& headed);

// Relative cost of a step of each planned phase: forward 1, backward 2 for the share of layer groups from the lowest that learns; where the output of the layers below is
// kept (`cached`), forward counts for that share alone too.
std::vector<double> StepCosts(const JobSetup& setup, const FineTuneSpec& spec, bool cached);

}  // namespace attune::training
