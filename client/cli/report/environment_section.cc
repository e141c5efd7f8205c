#include "client/cli/report/environment_section.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "client/cli/render/format.h"
#include "client/cli/render/job_text.h"
#include "client/cli/report/markup/facts.h"
#include "client/cli/spec/spec_values.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr size_t kWarningsShown = 100;

std::string DeviceText(const ReportData& data) {
  const std::string& name = data.job.effective_spec().resources().device();
  for (const v1::Device& device : data.devices) {
    if (device.name() == name && !device.description().empty()) return StrCat(name, ", ", device.description());
  }
  return name;
}

Html CheckpointTable(const ReportData& data) {
  if (data.checkpoints.empty()) return Note("The job has no checkpoint.");
  HtmlTable table({{"Checkpoint"}, {"Step", true}, {"Size", true}, {"Loss", true}, {""}});
  for (const v1::Checkpoint& checkpoint : data.checkpoints) {
    auto loss = checkpoint.metrics().find("loss");
    table.AddRow({Text(checkpoint.name()), Text(Count(checkpoint.step())), Text(Bytes(checkpoint.size_bytes())),
                  Text(loss == checkpoint.metrics().end() ? "" : Number(loss->second)),
                  Text(checkpoint.is_best() ? "best" : "")});
  }
  return table.Render();
}

bool IsWarning(const v1::JobEvent& event) {
  if (event.level() == v1::JobEvent::LEVEL_WARNING || event.level() == v1::JobEvent::LEVEL_ERROR) return true;
  return event.has_log_line() && absl::StrContains(absl::AsciiStrToLower(event.log_line().text()), "warning");
}

std::vector<const v1::JobEvent*> Warnings(const ReportData& data) {
  std::vector<const v1::JobEvent*> warnings;
  for (const v1::JobEvent& event : data.events) {
    if (IsWarning(event)) warnings.push_back(&event);
  }
  return warnings;
}

}  // namespace

Html EnvironmentSection(const ReportData& data) {
  const v1::FineTuningSpec& spec = data.job.effective_spec();
  const std::string version =
      data.server.has_value()
          ? StrCat(data.server->version(), data.server->libtorch_version().empty() ? "" : ", LibTorch ",
                   data.server->libtorch_version())
          : "";
  Facts facts = {{"server", version}, {"device", DeviceText(data)}};
  if (spec.resources().threads() > 0) facts.push_back({"threads", Count(spec.resources().threads())});
  if (spec.precision() != v1::PRECISION_UNSPECIFIED)
    facts.push_back({"precision", ShortEnumName(*v1::Precision_descriptor()->FindValueByNumber(spec.precision()))});
  facts.push_back({"base model", spec.base_model()});
  if (data.model.has_value()) {
    facts.push_back({"architecture", data.model->architecture()});
    facts.push_back(
        {"base model's parameters", data.model->parameter_count() > 0 ? Count(data.model->parameter_count()) : ""});
    facts.push_back({"base model's digest", data.model->digest()});
  }
  facts.push_back({"dataset", spec.dataset()});
  if (data.dataset.has_value()) facts.push_back({"dataset's digest", data.dataset->digest()});
  if (spec.has_seed()) facts.push_back({"seed", StrCat(spec.seed())});
  if (data.job.attempt() > 0) facts.push_back({"attempts", Count(data.job.attempt())});
  return Section("environment", "Environment",
                 Join({Note("With the same digests, seed, settings, device and threads a run is equal to the bit."),
                       FactTable(facts), CheckpointTable(data)}));
}

Html WarningSection(const ReportData& data) {
  Html content;
  if (data.job.has_error()) {
    content.Add(Element("pre", {{"class", "error"}},
                        Lines(JobError(data.job, Style{.colour = false, .unicode = true, .width = 0}))));
  }
  const std::vector<const v1::JobEvent*> warnings = Warnings(data);
  if (warnings.empty()) content.Add(Note("The log has no warnings."));
  HtmlTable table({{"When"}, {"What"}});
  // The last ones, when there are many: they are nearest to how it ended.
  const size_t first = warnings.size() > kWarningsShown ? warnings.size() - kWarningsShown : 0;
  if (first > 0)
    content.Add(
        Note(StrCat("The last ", kWarningsShown, " of ", Count(static_cast<int64_t>(warnings.size())), " warnings.")));
  for (size_t i = first; i < warnings.size(); ++i) {
    const v1::JobEvent& event = *warnings[i];
    const std::string& text = event.has_log_line() ? event.log_line().text() : event.message();
    table.AddRow({Text(event.has_create_time() ? DateAndTime(ToTime(event.create_time())) : ""), Text(text)});
  }
  if (!table.empty()) content.Add(table.Render());
  return Section("warnings", "Warnings of the log", content);
}

}  // namespace attune::cli
