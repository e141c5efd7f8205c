#include "client/cli/render/plan_text.h"

#include <cctype>

#include "client/cli/render/format.h"
#include "client/cli/render/table.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

std::string Memory(const v1::PlanFineTuningJobResponse& plan, const Style& style) {
  const v1::MemoryPlan& memory = plan.memory();
  Table table({{"MEMORY"}, {"SIZE", Align::kRight}});
  table.AddRow({"parameters", Bytes(memory.parameters_bytes())});
  table.AddRow({"gradients", Bytes(memory.gradients_bytes())});
  table.AddRow({"optimizer", Bytes(memory.optimizer_bytes())});
  table.AddRow({"activations and the rest", Bytes(memory.activations_bytes())});
  table.AddRow({"runtime", Bytes(memory.runtime_bytes())});
  table.AddRow({"most at once", Bytes(memory.peak_bytes())});
  return table.Render(style);
}

std::string Phases(const v1::PlanFineTuningJobResponse& plan, const Style& style) {
  Table table({{"PHASE"}, {"TRAINABLE", Align::kRight}, {"STEPS", Align::kRight}, {"A STEP", Align::kRight}, {"IN ALL", Align::kRight}});
  for (const v1::PhasePlan& phase : plan.phases()) {
    table.AddRow({phase.phase(), Count(phase.trainable_parameters()), Count(phase.steps()), Duration(phase.step_seconds()), Duration(phase.seconds())});
  }
  return table.Render(style);
}

}  // namespace

std::string PlanText(const v1::PlanFineTuningJobResponse& plan, const Style& style) {
  std::string summary = plan.summary();
  if (!summary.empty()) summary[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(summary[0])));
  std::string text = StrCat(Paint(style, plan.fits() ? Colour::kGreen : Colour::kRed, summary), "\n\n", Memory(plan, style), "\n", Phases(plan, style), "\n");
  StrAppend(&text, KeyValues({{"device", StrCat(plan.device(), ", ", plan.threads(), plan.threads() == 1 ? " thread" : " threads")},
                              {"time", StrCat(Duration(plan.total_seconds()), ", in 9 of 10 cases ", Duration(plan.total_seconds_low()), " to ", Duration(plan.total_seconds_high()))},
                              {"largest batch", plan.largest_batch_size() > 0 ? StrCat(plan.largest_batch_size(), " rows") : "not even one row"},
                              {"disk", StrCat(Bytes(plan.disk_bytes()), " at most (", Bytes(plan.checkpoint_bytes()), " a checkpoint), ", Bytes(plan.disk_free_bytes()), " free")}},
                             style));
  return text;
}

}  // namespace attune::cli
