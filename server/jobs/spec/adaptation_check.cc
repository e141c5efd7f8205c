// The parts of the spec check about how adaptation is steered: the balance of classes, the pull to the pretrained weights, the average of the weights, and rates of single
// layer groups. Defaults as in training_spec.proto.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "server/base/nearest.h"
#include "server/jobs/spec/spec_context.h"

namespace attune::jobs {
namespace {

constexpr double kMaxClassWeight = 1000;
constexpr double kMaxL2Sp = 10;
constexpr double kMaxGroupRate = 100;
constexpr size_t kNamedLabels = 20;
constexpr char kBalance[] = "hyperparameters.class_balance";
constexpr char kWeights[] = "hyperparameters.class_weights";

// In the order of names: a map of a message has none.
using Values = std::map<std::string, double>;

Values InOrder(const google::protobuf::Map<std::string, double>& map) {
  Values values;
  for (const auto& [name, value] : map) values[name] = value;
  return values;
}

std::string Entry(const std::string& field, const std::string& key) { return StrCat(field, "[\"", key, "\"]"); }

// "did you mean "x"? Valid are a, b"
std::string Hint(const std::string& name, const std::vector<std::string>& valid) {
  const std::string nearest = Nearest(name, valid);
  const std::vector<std::string> shown(valid.begin(), valid.begin() + static_cast<ptrdiff_t>(std::min(valid.size(), kNamedLabels)));
  return StrCat(nearest.empty() ? "" : StrCat("did you mean \"", nearest, "\"? "), "Valid are ", absl::StrJoin(shown, ", "), shown.size() < valid.size() ? ", ..." : "");
}

void CheckWeightsOfClasses(SpecContext& context, const Values& weights) {
  bool good = true;
  for (const auto& [name, weight] : weights) good = context.InRange(Entry(kWeights, name), weight, 0.0, kMaxClassWeight) && good;
  if (!context.dataset_known) return;
  const v1::Dataset& dataset = context.input.dataset;
  const std::vector<std::string> labels(dataset.labels().begin(), dataset.labels().end());
  for (const auto& [name, weight] : weights) {
    if (std::find(labels.begin(), labels.end(), name) != labels.end()) continue;
    context.Fault(Entry(kWeights, name), StrCat("is no class of ", dataset.name(), "; ", Hint(name, labels)));
    good = false;
  }
  const bool any = std::any_of(labels.begin(), labels.end(), [&](const std::string& label) { return weights.count(label) == 0 || weights.at(label) > 0; });
  if (good && !any) context.Fault(kWeights, "leaves nothing to learn: every class weighs 0");
}

void CheckClassBalance(SpecContext& context, v1::Hyperparameters& h) {
  const Values weights = InOrder(h.class_weights());
  const bool numbers = KindOf(context.task) == v1::LABEL_KIND_REGRESSION;
  const bool balanced = h.class_balance() != v1::CLASS_BALANCE_UNSPECIFIED && h.class_balance() != v1::CLASS_BALANCE_NONE;
  if (!v1::ClassBalance_IsValid(h.class_balance())) {
    context.Fault(kBalance, StrCat("there is no way ", static_cast<int>(h.class_balance()), " to balance classes; use WEIGHTED_LOSS, BALANCED_SAMPLING or NONE"));
  } else if (balanced && numbers) {
    context.Fault(kBalance, StrCat("is for classes, and the task is ", TaskName(context.task), "; leave it out"));
  } else if (!balanced) {
    h.set_class_balance(v1::CLASS_BALANCE_NONE);
  }
  if (weights.empty()) return;
  if (numbers) {
    context.Fault(kWeights, StrCat("is for classes, and the task is ", TaskName(context.task), "; leave it out"));
  } else if (balanced) {
    context.Fault(kWeights, "class_balance is set too; set one of them");
  } else {
    CheckWeightsOfClasses(context, weights);
  }
}

// Whether a group can learn in a phase, as far as its base set says.
bool MayLearn(const v1::Trainable& trainable, const std::vector<std::string>& groups, const std::string& name) {
  const auto at = std::find(groups.begin(), groups.end(), name);
  if (at == groups.end()) return true;  // the head
  if (trainable.has_head_only()) return false;
  return !trainable.has_last_n_groups() || groups.end() - at <= trainable.last_n_groups();
}

}  // namespace

void CheckAdaptation(SpecContext& context) {
  v1::Hyperparameters& h = *context.effective.mutable_hyperparameters();
  CheckClassBalance(context, h);
  if (!h.has_l2_sp()) {
    h.set_l2_sp(0);
  } else {
    context.InRange("hyperparameters.l2_sp", h.l2_sp(), 0.0, kMaxL2Sp);
  }
  if (!h.has_ema_decay()) {
    h.set_ema_decay(0);
  } else {
    context.Share("hyperparameters.ema_decay", h.ema_decay());
  }
}

void CheckGroupRates(SpecContext& context, const std::string& field, const v1::Phase& phase) {
  if (phase.group_rates().empty()) return;
  const std::string at = StrCat(field, ".group_rates");
  if (phase.layer_decay() < 1) context.Fault(at, "layer_decay is below 1 too; set one of them");
  std::vector<std::string> groups = GroupsOf(context.input.layers);
  std::vector<std::string> all = groups;
  all.emplace_back("head");
  for (const auto& [name, rate] : InOrder(phase.group_rates())) {
    if (rate == 0) {
      context.Fault(Entry(at, name), "must be over 0; to hold the group still, name it in trainable.freeze");
    } else if (!(rate > 0 && rate <= kMaxGroupRate)) {
      context.Fault(Entry(at, name), StrCat("must be over 0 and at most ", kMaxGroupRate, ", not ", rate));
    } else if (!groups.empty() && std::find(all.begin(), all.end(), name) == all.end()) {
      context.Fault(Entry(at, name), StrCat("is no layer group of ", context.input.model.name(), "; ", Hint(name, all)));
    } else if (!MayLearn(phase.trainable(), groups, name)) {
      context.Warn(StrCat(Entry(at, name), " is not used: the group does not learn in the phase"));
    }
  }
}

}  // namespace attune::jobs
