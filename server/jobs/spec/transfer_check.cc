// The parts of the spec check that are about other ways to transfer: low-rank adapters, learning-rate range tests, and replay of a second dataset. Defaults as in
// training_spec.proto.
#include <algorithm>
#include <string>
#include <vector>

#include "server/architectures/lora_targets.h"
#include "server/jobs/spec/spec_context.h"

namespace attune::jobs {
namespace {

// Low-rank adapters
constexpr int kMaxRank = 256;
constexpr int kRank = 8;
constexpr double kAlpha = 16;
constexpr double kMaxAlpha = 65536;

void CheckTargets(SpecContext& context, const v1::LoraSpec& lora) {
  std::vector<architectures::NamedShape> shapes;
  PatternNames names;
  names.what = "weight of a linear layer or a convolution";
  for (const v1::Layer& layer : context.input.layers) {
    shapes.push_back({layer.name(), {layer.shape().begin(), layer.shape().end()}});
    if (architectures::TakesLora(layer.name(), shapes.back().shape)) names.model.push_back(layer.name());
  }
  if (!lora.target_modules().empty()) {
    if (const auto* architecture = architectures::ArchitectureRegistry::Get().Find(context.input.model.architecture())) names.prefix = architecture->prefix;
    std::vector<bool> targets(names.size());
    ApplyPatterns(context, "lora.target_modules", lora.target_modules(), names, true, targets);
    return;
  }
  const std::vector<bool> targets = architectures::DefaultLoraTargets(shapes);
  if (!shapes.empty() && std::find(targets.begin(), targets.end(), true) == targets.end()) {
    context.Fault("lora.target_modules", StrCat("is required for ", context.input.model.name(),
                                                ", which has neither attention nor 1 x 1 convolutions; name the weights that get adapters (DescribeLayers lists them)"));
  }
}

// Learning-rate range test
constexpr double kLeastRate = 1e-7;
constexpr double kMostRate = 1;
constexpr double kRateLimit = 100;
constexpr int kSteps = 100;

// The one phase: what learns is the spec's, how long and at what rate is the test's.
void SetRangeTestPhase(SpecContext& context, int steps) {
  v1::FineTuningSpec& spec = context.effective;
  if (spec.phases().empty()) {
    spec.add_phases()->set_name("range-test");
    spec.mutable_phases(0)->mutable_trainable()->set_all(true);
  }
  v1::Phase& phase = *spec.mutable_phases(0);
  if (phase.until_case() != v1::Phase::UNTIL_NOT_SET) context.Warn("phases[0]: its end is not used; lr_range_test.steps says how long the test is");
  if (phase.has_learning_rate()) context.Warn("phases[0].learning_rate is not used; lr_range_test goes through all rates of its range");
  phase.set_max_steps(steps);
  phase.clear_learning_rate();
}

// Replay
constexpr double kMostFraction = 0.9;
constexpr char kReplayDataset[] = "replay.dataset";

void CheckSecondDataset(SpecContext& context) {
  const v1::Dataset& first = context.input.dataset;
  const v1::Dataset& second = context.input.replay_dataset;
  if (second.name().empty()) return;  // not found: its own fault
  if (second.state() != v1::Dataset::STATE_READY) {
    context.Fault(kReplayDataset, second.state() == v1::Dataset::STATE_FAILED ? StrCat(second.name(), " could not be imported (", second.error(), "); import it again")
                                                                      : StrCat(second.name(), " is still being imported; try again when it is READY"));
  } else if (RowsOf(second, v1::SPLIT_TRAIN) == 0) {
    context.Fault(kReplayDataset, StrCat(second.name(), " has no training rows; import it with a train split"));
  } else if (context.dataset_known && (HoldsImages(first) != HoldsImages(second) || first.label_kind() != second.label_kind())) {
    context.Fault(kReplayDataset, StrCat(second.name(), " holds ", WhatRowsOf(second), ", and ", first.name(), " holds ", WhatRowsOf(first), "; both must hold the same"));
  }
}

}  // namespace

void CheckLora(SpecContext& context) {
  if (!context.input.spec.has_lora()) return;
  v1::LoraSpec& lora = *context.effective.mutable_lora();
  if (lora.r() == 0) lora.set_r(kRank);
  if (lora.alpha() == 0) lora.set_alpha(kAlpha);
  context.InRange("lora.r", lora.r(), 1, kMaxRank);
  if (!(lora.alpha() > 0 && lora.alpha() <= kMaxAlpha)) context.Fault("lora.alpha", StrCat("must be over 0 and at most ", kMaxAlpha, ", not ", lora.alpha()));
  CheckTargets(context, lora);
  const v1::Hyperparameters& h = context.input.spec.hyperparameters();
  if (h.l2_sp() > 0) context.Fault("hyperparameters.l2_sp", "draws weights to their start, and with lora they do not learn themselves; leave one of the two out");
  if (h.ema_decay() > 0) context.Fault("hyperparameters.ema_decay", "averages weights, and with lora their factors learn; leave one of the two out");
  const auto& phases = context.effective.phases();
  if (std::all_of(phases.begin(), phases.end(), [](const v1::Phase& phase) { return phase.trainable().head_only(); })) {
    context.Warn("lora is set and no phase trains layers below the head, so no adapter learns; add a phase with last_n_groups, patterns or all");
  }
}

void CheckLrRangeTest(SpecContext& context) {
  if (!context.input.spec.has_lr_range_test()) return;
  v1::LrRangeTestSpec& test = *context.effective.mutable_lr_range_test();
  if (test.min_learning_rate() == 0) test.set_min_learning_rate(kLeastRate);
  if (test.max_learning_rate() == 0) test.set_max_learning_rate(kMostRate);
  if (test.steps() == 0) test.set_steps(kSteps);
  const bool sound = context.Between("lr_range_test.min_learning_rate", test.min_learning_rate(), 0, kRateLimit);
  if (!(test.max_learning_rate() > 0 && test.max_learning_rate() <= kRateLimit)) {
    context.Fault("lr_range_test.max_learning_rate", StrCat("must be over 0 and at most ", kRateLimit, ", not ", test.max_learning_rate()));
  } else if (sound && test.max_learning_rate() <= test.min_learning_rate()) {
    context.Fault("lr_range_test.max_learning_rate", StrCat("must be over min_learning_rate (", test.min_learning_rate(), "), not ", test.max_learning_rate()));
  }
  context.InRange("lr_range_test.steps", test.steps(), 10, 10000);
  if (context.input.spec.hyperparameters().has_max_steps()) {
    context.Fault("hyperparameters.max_steps", "cannot be used with lr_range_test, whose steps say how long it is; leave it out");
  }
  if (context.input.spec.has_gradual_unfreezing()) {
    context.Fault("lr_range_test", "tests the rate of one phase, and gradual_unfreezing makes several; leave one of the two out");
  } else if (context.input.spec.phases_size() > 1) {
    context.Fault("lr_range_test", StrCat("tests the rate of one phase, and the job has ", context.input.spec.phases_size(), "; keep the phase whose rate is to be found"));
  } else {
    SetRangeTestPhase(context, std::max(test.steps(), 1));  // one that is out of range has its fault already
  }
}

void CheckReplay(SpecContext& context) {
  if (!context.input.spec.has_replay()) return;
  const v1::ReplaySpec& replay = context.input.spec.replay();
  if (!(replay.fraction() > 0 && replay.fraction() <= kMostFraction)) {
    context.Fault("replay.fraction", StrCat("must be over 0 and at most ", kMostFraction, ", not ", replay.fraction()));
  }
  const v1::Hyperparameters& h = context.input.spec.hyperparameters();
  if (!h.class_weights().empty() || h.class_balance() == v1::CLASS_BALANCE_WEIGHTED_LOSS) {
    context.Fault(h.class_weights().empty() ? "hyperparameters.class_balance" : "hyperparameters.class_weights",
                  "weighs the first dataset's classes in the loss, which cannot be done beside replayed rows; leave one of the two out, or use BALANCED_SAMPLING");
  }
  if (context.effective.hyperparameters().batch_size() == 1) {
    context.Fault("hyperparameters.batch_size", "must be at least 2 with replay: one row of each dataset, not 1");
  }
  if (replay.dataset().empty()) {
    context.Fault(kReplayDataset, "is required: the datasets/{id} whose rows are mixed in");
  } else if (replay.dataset() == context.input.spec.dataset()) {
    context.Fault(kReplayDataset, StrCat(replay.dataset(), " is the job's dataset already; name another one"));
  } else {
    CheckSecondDataset(context);
  }
}

}  // namespace attune::jobs
