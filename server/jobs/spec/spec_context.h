// What the parts of the spec check share. For this folder only; not thread-safe. Each part looks at one piece of the spec, fills in what was left out of
// context.effective, and reports every fault that it finds.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "server/architectures/architecture.h"
#include "server/base/str_cat.h"
#include "server/jobs/spec/spec_check.h"

namespace attune::jobs {

using architectures::Modality;

// What the textbook fills in; said in training_spec.proto at FineTuningSpec.phases, Hyperparameters.n_epochs and Hyperparameters.learning_rate. Photographs differ more
// from what the base model saw than sentences do, and frozen layers need to see plain images only once: images get a longer head phase, more epochs and a higher rate.
struct TextbookPolicy {
  int n_epochs;          // of the main phase
  double learning_rate;  // of the base model's layers
  int head_epochs;       // of the head phase before it; 0: as many as the main phase
};
inline constexpr TextbookPolicy kTextPolicy = {.n_epochs = 3, .learning_rate = 5e-5, .head_epochs = 1};
inline constexpr TextbookPolicy kImagePolicy = {.n_epochs = 5, .learning_rate = 1e-4, .head_epochs = 0};

struct SpecContext {
  SpecContext(const SpecCheckInput& input, SpecCheckResult& result) : input(input), effective(result.effective), result(result) {}

  const SpecCheckInput& input;
  v1::FineTuningSpec& effective;  // starts as a copy of input.spec
  SpecCheckResult& result;

  // Set by CheckModel, CheckDataset, CheckModality and CheckTask, used by the parts after them.
  bool model_known = false;
  bool dataset_known = false;
  std::optional<Modality> modality;      // of the job; none when it can't be decided
  v1::Task task = v1::TASK_UNSPECIFIED;  // stays unspecified when it can't be decided
  int64_t train_rows = 0;
  int64_t evaluation_rows = 0;  // of evaluation.split; set by CheckEvaluation

  bool images() const { return modality == Modality::kImage; }
  bool texts() const { return modality == Modality::kText; }
  const TextbookPolicy& policy() const { return images() ? kImagePolicy : kTextPolicy; }
  // "models/m is a text model", or "datasets/d holds texts" when only that is known.
  std::string WhyNot() const;

  // `field` is relative to the spec: "hyperparameters.n_epochs".
  void Fault(const std::string& field, std::string description) {
    result.violations.push_back({field.empty() ? "spec" : StrCat("spec.", field), std::move(description)});
  }
  void Warn(std::string text) { result.warnings.push_back(std::move(text)); }

  // Faults unless low <= value <= high; NaN is outside of every range.
  template <typename T>
  bool InRange(const std::string& field, T value, T low, T high) {
    if (value >= low && value <= high) return true;
    Fault(field, StrCat("must be ", low, " to ", high, ", not ", value));
    return false;
  }
  template <typename T>
  bool AtLeast(const std::string& field, T value, T low) {
    if (value >= low) return true;
    Fault(field, StrCat("must be at least ", low, ", not ", value));
    return false;
  }
  // Faults unless 0 < value <= 1.
  bool PositiveShare(const std::string& field, double value) {
    if (value > 0 && value <= 1) return true;
    Fault(field, StrCat("must be over 0 and at most 1, not ", value));
    return false;
  }
  // Faults unless low < value < high.
  bool Between(const std::string& field, double value, double low, double high) {
    if (value > low && value < high) return true;
    Fault(field, StrCat("must be over ", low, " and below ", high, ", not ", value));
    return false;
  }
  // Faults unless 0 <= value < 1.
  bool Share(const std::string& field, double value) {
    if (value >= 0 && value < 1) return true;
    Fault(field, StrCat("must be 0 to below 1, not ", value));
    return false;
  }
};

// Distinct layer groups below the head, from input to output.
std::vector<std::string> GroupsOf(const std::vector<v1::Layer>& layers);

// Rate of a phase that trains only the new head, by the textbook: above that of the other layers.
double HeadRate(double learning_rate);

// As workers name tasks: "text-classification".
std::string TaskName(v1::Task task);

// What is learnt, whatever it is learnt from: the LabelKind that fits the task; unspecified for no task.
v1::LabelKind KindOf(v1::Task task);

bool HoldsImages(const v1::Dataset& dataset);

// "texts with one class each"
std::string WhatRowsOf(const v1::Dataset& dataset);

// Names that patterns can match: the model's without its prefix, then those of the new head.
struct PatternNames {
  std::string prefix;  // of the architecture: "bert."; empty where there is none
  std::vector<std::string> model, head;
  std::string what = "parameter";

  size_t size() const { return model.size() + head.size(); }
  // As the worker matches: full names, and names without the prefix.
  bool Match(const std::string& pattern, size_t n) const;
};

// One of a spec's pattern lists. Sets `learns` (as `names` has them) to `value` where a pattern matches. A fault for each pattern that is none or matches nothing.
void ApplyPatterns(SpecContext& context, const std::string& field, const google::protobuf::RepeatedPtrField<std::string>& patterns, const PatternNames& names,
                   bool value, std::vector<bool>& learns);

// In the order in which they run.
void CheckModel(SpecContext& context);                // spec_check.cc
void CheckDataset(SpecContext& context);
void CheckModality(SpecContext& context);             // task_check.cc
void CheckTask(SpecContext& context);
void CheckHead(SpecContext& context);                 // spec_check.cc
void CheckResources(SpecContext& context);            // resource_check.cc
void CheckScheduling(SpecContext& context);           // scheduling_check.cc
void CheckHyperparameters(SpecContext& context);      // hyperparameter_check.cc
void CheckAdaptation(SpecContext& context);           // adaptation_check.cc
void CheckImageSize(SpecContext& context);            // image_check.cc
void CheckAugmentation(SpecContext& context);
void CheckTestViews(SpecContext& context);
void CheckEvaluation(SpecContext& context);
void CheckCheckpointing(SpecContext& context);
void ExpandUnfreezing(SpecContext& context);          // unfreezing.cc
void CheckPhases(SpecContext& context);               // phase_check.cc
void CheckLora(SpecContext& context);                 // transfer_check.cc
void CheckReplay(SpecContext& context);
void CheckWarmStart(SpecContext& context);            // warm_start_check.cc; last
void CheckLrRangeTest(SpecContext& context);          // before CheckPhases, which fills in its phase

// One phase's group_rates; `field` names the phase.
void CheckGroupRates(SpecContext& context, const std::string& field, const v1::Phase& phase);  // adaptation_check.cc

}  // namespace attune::jobs
