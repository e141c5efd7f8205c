// gradual_unfreezing: a shorthand that becomes phases before phases are checked.
#include <string>
#include <vector>

#include "server/jobs/spec/spec_context.h"

namespace attune::jobs {
namespace {

constexpr int kMaxEpochs = 1000;
constexpr size_t kMaxPhases = 100;

bool CheckValues(SpecContext& context, const v1::UnfreezeSpec& unfreezing) {
  bool good = true;
  if (unfreezing.epochs_per_group() != 0) good = context.InRange("gradual_unfreezing.epochs_per_group", unfreezing.epochs_per_group(), 1, kMaxEpochs);
  if (unfreezing.layer_decay() != 0) good = context.PositiveShare("gradual_unfreezing.layer_decay", unfreezing.layer_decay()) && good;
  return good;
}

}  // namespace

void ExpandUnfreezing(SpecContext& context) {
  if (!context.input.spec.has_gradual_unfreezing()) return;
  const v1::UnfreezeSpec& unfreezing = context.input.spec.gradual_unfreezing();
  context.effective.clear_gradual_unfreezing();
  if (!context.input.spec.phases().empty()) {
    context.Fault("gradual_unfreezing", "phases are given too, and this is a shorthand for phases; leave one of the two out");
    return;
  }
  if (!CheckValues(context, unfreezing) || context.input.layers.empty()) return;  // a model that is not known is its own fault
  const std::vector<std::string> groups = GroupsOf(context.input.layers);
  if (groups.size() + 1 > kMaxPhases) {
    context.Fault("gradual_unfreezing", StrCat("would make ", groups.size() + 1, " phases, and a job may have ", kMaxPhases, "; write the phases that it should have"));
    return;
  }
  const auto add = [&](const std::string& name) -> v1::Phase& {
    v1::Phase& phase = *context.effective.add_phases();
    phase.set_name(name);
    phase.set_n_epochs(unfreezing.epochs_per_group() == 0 ? 1 : unfreezing.epochs_per_group());
    phase.set_layer_decay(unfreezing.layer_decay() == 0 ? 1 : unfreezing.layer_decay());
    return phase;
  };
  v1::Phase& head = add("head");
  head.mutable_trainable()->set_head_only(true);
  head.set_learning_rate(HeadRate(context.effective.hyperparameters().learning_rate()));
  for (size_t n = 1; n < groups.size(); ++n) add(groups[groups.size() - n]).mutable_trainable()->set_last_n_groups(static_cast<int>(n));
  v1::Phase& all = add("all");
  all.clear_n_epochs();  // the job's own
  all.mutable_trainable()->set_all(true);
}

}  // namespace attune::jobs
