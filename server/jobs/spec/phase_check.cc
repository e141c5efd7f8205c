// The part of the spec check that looks at spec.phases: what learns, for how long, at what rate.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "server/base/glob.h"
#include "server/base/nearest.h"
#include "server/jobs/spec/spec_context.h"

namespace attune::jobs {
namespace {

constexpr int kMaxPhases = 100;
constexpr int kMaxPatterns = 256;
constexpr size_t kMaxPatternBytes = 512;
constexpr int kMaxEpochs = 1000;
constexpr double kHeadRate = 1e-3;

PatternNames NamesOf(const SpecContext& context) {
  PatternNames names;
  const v1::Model& model = context.input.model;
  for (const v1::Layer& layer : context.input.layers) names.model.push_back(layer.name());
  auto add_head = [&names](const std::string& layer) {
    names.head.push_back(layer + ".weight");
    names.head.push_back(layer + ".bias");
  };
  // As the worker names them: a single layer as the model's library does; with hidden layers, those of a Sequential of dropout, linear, activation.
  const std::string head = model.head_name().empty() ? "classifier" : model.head_name();
  int hidden = context.input.spec.head().hidden_sizes_size();
  if (hidden == 0) add_head(head);
  for (int i = 0; hidden > 0 && i <= hidden; ++i) add_head(StrCat(head, ".", 3 * i + 1));
  if (const auto* architecture = architectures::ArchitectureRegistry::Get().Find(model.architecture())) {
    names.prefix = architecture->prefix;
    if (!architecture->auxiliary_head_name.empty()) add_head(architecture->auxiliary_head_name);
  }
  return names;
}

// The first name of a few groups: enough to see how names are built.
std::string ExampleNames(const std::vector<v1::Layer>& layers) {
  std::vector<std::string> names;
  for (size_t at : {size_t{0}, layers.size() / 2, layers.size() - 1}) {
    if (names.empty() || names.back() != layers[at].name()) names.push_back(layers[at].name());
  }
  return absl::StrJoin(names, ", ");
}

// Whether the head alone learns.
bool CheckTrainable(SpecContext& context, const std::string& field, v1::Trainable& trainable) {
  const std::vector<v1::Layer>& layers = context.input.layers;
  const PatternNames names = NamesOf(context);
  std::vector<bool> learns(names.size(), false);
  std::fill(learns.begin() + static_cast<ptrdiff_t>(layers.size()), learns.end(), true);
  auto learn_groups = [&](const std::vector<std::string>& groups) {
    for (size_t n = 0; n < layers.size(); ++n) learns[n] = std::find(groups.begin(), groups.end(), layers[n].group()) != groups.end();
  };
  std::vector<std::string> groups = GroupsOf(layers);
  switch (trainable.base_case()) {
    case v1::Trainable::kHeadOnly:
      if (!trainable.head_only()) context.Fault(StrCat(field, ".head_only"), "false says nothing; set it to true, or choose all, last_n_groups or patterns");
      break;
    case v1::Trainable::kLastNGroups: {
      int n = trainable.last_n_groups();
      int most = layers.empty() ? std::numeric_limits<int>::max() : static_cast<int>(groups.size());
      if (n < 1 || n > most) {
        context.Fault(StrCat(field, ".last_n_groups"), n < 1 ? StrCat("must be at least 1, not ", n, "; for the head alone use head_only")
                                                             : StrCat("must be at most ", most, " (the groups of ", context.input.model.name(), ": ",
                                                                      absl::StrJoin(groups, ", "), "), not ", n));
      } else if (!layers.empty()) {
        learn_groups({groups.end() - n, groups.end()});
      }
      break;
    }
    case v1::Trainable::kPatterns:
      if (trainable.patterns().patterns().empty()) context.Fault(StrCat(field, ".patterns"), "needs at least one pattern; for the head alone use head_only");
      ApplyPatterns(context, StrCat(field, ".patterns.patterns"), trainable.patterns().patterns(), names, true, learns);
      break;
    case v1::Trainable::kAll:
    case v1::Trainable::BASE_NOT_SET:
      if (trainable.base_case() == v1::Trainable::kAll && !trainable.all()) {
        context.Fault(StrCat(field, ".all"), "false says nothing; set it to true, or choose head_only, last_n_groups or patterns");
      }
      trainable.set_all(true);
      learn_groups(groups);
      break;
  }
  ApplyPatterns(context, StrCat(field, ".freeze"), trainable.freeze(), names, false, learns);
  if (!layers.empty() && std::find(learns.begin(), learns.end(), true) == learns.end()) {
    context.Fault(field, "leaves nothing to learn: every parameter is frozen; take out a freeze pattern");
  }
  return trainable.has_head_only();
}

void CheckUntil(SpecContext& context, const std::string& field, v1::Phase& phase) {
  switch (phase.until_case()) {
    case v1::Phase::kNEpochs:
      context.InRange(StrCat(field, ".n_epochs"), phase.n_epochs(), 1, kMaxEpochs);
      break;
    case v1::Phase::kMaxSteps:
      context.AtLeast(StrCat(field, ".max_steps"), phase.max_steps(), int64_t{1});
      break;
    case v1::Phase::kPlateau: {
      v1::Plateau& plateau = *phase.mutable_plateau();
      if (plateau.patience() == 0) plateau.set_patience(2);
      if (plateau.max_epochs() == 0) plateau.set_max_epochs(20);
      context.AtLeast(StrCat(field, ".plateau.patience"), plateau.patience(), 1);
      context.InRange(StrCat(field, ".plateau.max_epochs"), plateau.max_epochs(), 1, kMaxEpochs);
      if (context.dataset_known && context.evaluation_rows == 0) {
        context.Fault(StrCat(field, ".plateau"), "needs validation rows and the dataset has none; import it with a validation split, or use n_epochs");
      }
      break;
    }
    case v1::Phase::UNTIL_NOT_SET:
      phase.set_n_epochs(context.effective.hyperparameters().n_epochs());
      break;
  }
}

// What images do in a phase, and BatchNorm.
void CheckImages(SpecContext& context, const std::string& field, v1::Phase& phase, bool head_only) {
  if (!v1::BatchNorm_IsValid(phase.batch_norm())) {
    context.Fault(StrCat(field, ".batch_norm"), StrCat("there is no mode ", static_cast<int>(phase.batch_norm()), "; use BATCH_NORM_TRAIN or BATCH_NORM_FROZEN"));
  } else if (context.texts() && phase.batch_norm() != v1::BATCH_NORM_UNSPECIFIED) {
    context.Fault(StrCat(field, ".batch_norm"), StrCat("is for image models, and ", context.WhyNot(), "; leave it out"));
  }
  const v1::AugmentationSpec& augmentation = context.input.spec.augmentation();
  bool off = augmentation.has_enabled() && !augmentation.enabled();
  if (phase.augment() && (context.texts() || off)) {
    context.Fault(StrCat(field, ".augment"), context.texts() ? StrCat("is for images, and ", context.WhyNot(), "; leave it out")
                                                             : "augmentation.enabled is false, so nothing can be augmented; leave one of the two out");
  }
  if (!context.images()) return;
  if (phase.batch_norm() == v1::BATCH_NORM_UNSPECIFIED) phase.set_batch_norm(v1::BATCH_NORM_FROZEN);
  if (!phase.has_augment()) phase.set_augment(!head_only && !off);
}

// The five textbook steps end in two phases: the new head on frozen layers, then everything at a smaller rate.
void AddTextbookPhases(SpecContext& context) {
  double rate = context.effective.hyperparameters().learning_rate();
  int epochs = context.effective.hyperparameters().n_epochs();
  v1::Phase& head = *context.effective.add_phases();
  head.set_name("head");
  head.set_n_epochs(context.policy().head_epochs > 0 ? context.policy().head_epochs : epochs);
  head.mutable_trainable()->set_head_only(true);
  head.set_learning_rate(HeadRate(rate));
  head.set_layer_decay(1);
  v1::Phase& all = *context.effective.add_phases();
  all.set_name("all");
  all.set_n_epochs(epochs);
  all.mutable_trainable()->set_all(true);
  all.set_learning_rate(rate);
  all.set_layer_decay(1);
  CheckImages(context, "phases[0]", *context.effective.mutable_phases(0), /*head_only=*/true);
  CheckImages(context, "phases[1]", *context.effective.mutable_phases(1), /*head_only=*/false);
}

// Settings that no phase uses.
void WarnOfIdleAugmentation(SpecContext& context) {
  const v1::AugmentationSpec& augmentation = context.input.spec.augmentation();
  if (!context.images() || !context.input.spec.has_augmentation() || (augmentation.has_enabled() && !augmentation.enabled())) return;
  const auto& phases = context.effective.phases();
  if (std::none_of(phases.begin(), phases.end(), [](const v1::Phase& phase) { return phase.augment(); })) {
    context.Warn("augmentation is set and no phase uses it; set augment in a phase that should (phases that train only the head do not by themselves)");
  }
}

}  // namespace

bool PatternNames::Match(const std::string& pattern, size_t n) const {
  if (n >= model.size()) return GlobMatches(pattern, head[n - model.size()]);
  return GlobMatches(pattern, model[n]) || (!prefix.empty() && GlobMatches(pattern, prefix + model[n]));
}

void ApplyPatterns(SpecContext& context, const std::string& field, const google::protobuf::RepeatedPtrField<std::string>& patterns, const PatternNames& names,
                   bool value, std::vector<bool>& learns) {
  const std::vector<v1::Layer>& layers = context.input.layers;
  if (patterns.size() > kMaxPatterns) {
    context.Fault(field, StrCat("has ", patterns.size(), " patterns and may have ", kMaxPatterns));
    return;
  }
  for (int i = 0; i < patterns.size(); ++i) {
    const std::string& pattern = patterns[i];
    std::string at = StrCat(field, "[", i, "]");
    if (pattern.size() > kMaxPatternBytes) {
      context.Fault(at, StrCat("has ", pattern.size(), " characters and may have ", kMaxPatternBytes));
      continue;
    }
    if (absl::Status status = CheckGlob(pattern); !status.ok()) {
      context.Fault(at, std::string(status.message()));
      continue;
    }
    if (layers.empty()) continue;  // the model is not known: its own fault
    bool matched = false;
    for (size_t n = 0; n < learns.size(); ++n) {
      if (!names.Match(pattern, n)) continue;
      matched = true;
      learns[n] = value;
    }
    if (matched) continue;
    std::string nearest = Nearest(pattern, names.model);
    context.Fault(at, StrCat("\"", pattern, "\" matches no ", names.what, " of ", context.input.model.name(), "; ",
                             nearest.empty() ? "" : StrCat("did you mean \"", nearest, "\"? "), "Names look like ", ExampleNames(layers),
                             " (DescribeLayers lists all); * matches any characters"));
  }
}

std::vector<std::string> GroupsOf(const std::vector<v1::Layer>& layers) {
  std::vector<std::string> groups;
  for (const v1::Layer& layer : layers) {
    if (groups.empty() || groups.back() != layer.group()) groups.push_back(layer.group());
  }
  return groups;
}

double HeadRate(double learning_rate) { return std::max(kHeadRate, std::min(2 * learning_rate, 0.5)); }

void CheckPhases(SpecContext& context) {
  if (context.effective.phases().empty()) {
    AddTextbookPhases(context);
    return;
  }
  if (context.effective.phases_size() > kMaxPhases) {
    context.Fault("phases", StrCat("has ", context.effective.phases_size(), " phases and may have ", kMaxPhases));
    return;
  }
  bool rate_given = context.input.spec.hyperparameters().has_learning_rate();
  std::set<std::string> names;
  for (int i = 0; i < context.effective.phases_size(); ++i) {
    v1::Phase& phase = *context.effective.mutable_phases(i);
    std::string field = StrCat("phases[", i, "]");
    if (phase.name().empty()) phase.set_name(StrCat("phase-", i + 1));
    if (!names.insert(phase.name()).second) context.Fault(StrCat(field, ".name"), StrCat("\"", phase.name(), "\" is the name of an earlier phase; names must differ"));
    CheckUntil(context, field, phase);
    bool head_only = CheckTrainable(context, StrCat(field, ".trainable"), *phase.mutable_trainable());
    if (!phase.has_learning_rate()) {
      phase.set_learning_rate(head_only && !rate_given ? kHeadRate : context.effective.hyperparameters().learning_rate());
    } else {
      context.Between(StrCat(field, ".learning_rate"), phase.learning_rate(), 0, 1);
    }
    if (!phase.has_layer_decay()) {
      phase.set_layer_decay(1);
    } else {
      context.PositiveShare(StrCat(field, ".layer_decay"), phase.layer_decay());
    }
    CheckGroupRates(context, field, phase);
    CheckImages(context, field, phase, head_only);
  }
  WarnOfIdleAugmentation(context);
}

}  // namespace attune::jobs
