#include "client/cli/report/layer_section.h"

#include <map>
#include <vector>

#include "absl/strings/str_join.h"
#include "client/cli/render/format.h"
#include "client/cli/report/layer_plan.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

// What the worker said when each phase began, by the phase's name; resumed attempts say it again.
std::map<std::string, v1::PhaseStarted> StartedPhases(const ReportData& data) {
  std::map<std::string, v1::PhaseStarted> started;
  for (const v1::JobEvent& event : data.events) {
    if (event.has_phase_started()) started[event.phase_started().phase()] = event.phase_started();
  }
  return started;
}

// The model with its new head has more values than the base model's layers; 0 before a phase began.
int64_t HeadParameters(const ReportData& data, const std::map<std::string, v1::PhaseStarted>& started) {
  int64_t base = 0;
  for (const v1::Layer& layer : data.layers->layers()) base += layer.parameter_count();
  for (const auto& [name, phase] : started) {
    if (phase.total_parameters() > base) return phase.total_parameters() - base;
  }
  return 0;
}

std::string Length(const v1::Phase& phase) {
  switch (phase.until_case()) {
    case v1::Phase::kNEpochs:
      return StrCat(phase.n_epochs(), phase.n_epochs() == 1 ? " epoch" : " epochs");
    case v1::Phase::kMaxSteps:
      return StrCat(Count(phase.max_steps()), phase.max_steps() == 1 ? " step" : " steps");
    case v1::Phase::kPlateau:
      return StrCat("until ", phase.plateau().patience(), " evaluations bring nothing, ", phase.plateau().max_epochs(),
                    " epochs at most");
    default:
      return "";
  }
}

std::string Rule(const v1::Trainable& trainable) {
  std::string rule = "all layers";
  if (trainable.has_head_only()) rule = "head only";
  if (trainable.has_last_n_groups())
    rule =
        StrCat("head and the last ", trainable.last_n_groups(), trainable.last_n_groups() == 1 ? " group" : " groups");
  if (trainable.has_patterns()) rule = StrCat("head and ", absl::StrJoin(trainable.patterns().patterns(), ", "));
  if (!trainable.freeze().empty()) StrAppend(&rule, " without ", absl::StrJoin(trainable.freeze(), ", "));
  return rule;
}

Html PhaseTable(const ReportData& data, const std::map<std::string, v1::PhaseStarted>& started) {
  HtmlTable table({{"Phase"}, {"Learns"}, {"Length"}, {"Parameters that learn", true}, {"Share", true}});
  for (const v1::Phase& phase : data.job.effective_spec().phases()) {
    auto found = started.find(phase.name());
    std::string count = "not begun", share;
    if (found != started.end()) {
      const double total = static_cast<double>(found->second.total_parameters());
      count = Count(found->second.trainable_parameters());
      if (total > 0) share = Percent(static_cast<double>(found->second.trainable_parameters()) / total);
    }
    table.AddRow({Text(phase.name()), Text(Rule(phase.trainable())), Text(Length(phase)), Text(count), Text(share)});
  }
  return table.Render();
}

Html Cell(const LayerGroupPlan& group, const GroupInPhase& phase, bool only_head) {
  if (phase.state == LearnState::kFrozen) return Element("span", {{"class", "frozen"}}, Text("frozen"));
  const std::string rate = StrCat(" at ", Number(phase.learning_rate));
  if (phase.state == LearnState::kTrained)
    return Element("span", {{"class", "trained"}}, Text(StrCat(only_head ? "head only" : "trained", rate)));
  const std::string part = phase.trained_parameters > 0
                               ? StrCat(": ", Count(phase.trained_parameters), " of ", Count(group.parameters))
                               : "";
  return Element("span", {{"class", "partly"}}, Text(StrCat("partial", part, rate)));
}

}  // namespace

Html LayerSection(const ReportData& data) {
  if (data.job.effective_spec().phases().empty())
    return Section("layers", "Layers", Note("The job has no phases yet."));
  const std::map<std::string, v1::PhaseStarted> started = StartedPhases(data);
  Html content = PhaseTable(data, started);
  if (!data.layers.has_value())
    return Section("layers", "Layers", content.Add(Note("The base model's layers could not be had.")));
  const LayerPlan plan = MakeLayerPlan(data.job.effective_spec(), data.model.value_or(v1::Model()), *data.layers,
                                       HeadParameters(data, started));
  std::vector<HtmlColumn> columns = {{"Layer group, input first"}, {"Parameters", true}};
  for (const v1::Phase& phase : data.job.effective_spec().phases()) columns.push_back({phase.name()});
  HtmlTable table(columns);
  for (const LayerGroupPlan& group : plan.groups) {
    std::vector<Html> row = {Text(group.name), Text(group.parameters > 0 ? Count(group.parameters) : "")};
    for (size_t i = 0; i < group.phases.size(); ++i) row.push_back(Cell(group, group.phases[i], plan.only_head[i]));
    table.AddRow(row);
  }
  content.Add(table.Render())
      .Add(Note("Rates are the peak of each phase's schedule, with the layer decay of the group."));
  return Section("layers", "Layers", content);
}

}  // namespace attune::cli
