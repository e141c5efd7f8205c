#include "client/cli/render/result_text.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_join.h"
#include "client/cli/render/bars.h"
#include "client/cli/render/format.h"
#include "client/cli/render/table.h"
#include "client/cpp/names.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr int kBarWidth = 20;

std::string MetricsText(const google::protobuf::Map<std::string, double>& metrics) {
  std::map<std::string, double> sorted(metrics.begin(), metrics.end());
  std::vector<std::string> parts;
  for (const auto& [name, value] : sorted) parts.push_back(StrCat(name, " ", Number(value)));
  return absl::StrJoin(parts, "  ");
}

std::string Predicted(const v1::Prediction& prediction) {
  if (prediction.scores_size() == 0) return Number(prediction.value());
  return prediction.labels_size() == 0 ? "(none)" : OneLine(absl::StrJoin(prediction.labels(), ", "));
}

// Why retention does not touch it.
std::string KeptText(const v1::Checkpoint& checkpoint, const Style& style) {
  const std::string best = checkpoint.is_best() ? Paint(style, Colour::kGreen, "best") : "";
  return StrCat(best, checkpoint.is_best() && checkpoint.pinned() ? ", " : "", checkpoint.pinned() ? "pinned" : "");
}

}  // namespace

std::string CheckpointTable(const std::vector<v1::Checkpoint>& checkpoints, absl::Time now, const Style& style) {
  if (checkpoints.empty()) return "No checkpoints yet.\n";
  Table table({{"CHECKPOINT"},
               {"STEP", Align::kRight},
               {"SIZE", Align::kRight},
               {"KEPT"},
               {"RESUMABLE"},
               {"CREATED"},
               {"METRICS"}});
  for (const v1::Checkpoint& checkpoint : checkpoints) {
    table.AddRow({client::ShortName(checkpoint.name()), Count(checkpoint.step()), Bytes(checkpoint.size_bytes()),
                  KeptText(checkpoint, style),
                  checkpoint.resumable() ? "yes" : "no", Ago(ToTime(checkpoint.create_time()), now),
                  MetricsText(checkpoint.metrics())});
  }
  return table.Render(style);
}

std::string PredictionTable(const std::string& title, const std::vector<std::string>& inputs,
                            const v1::PredictResponse& response, bool all_scores, const Style& style) {
  Table table({{"PREDICTION"}, {"SCORE", Align::kRight}, {title}});
  bool truncated = false;
  const int rows = std::min(static_cast<int>(inputs.size()), response.predictions_size());
  for (int i = 0; i < rows; ++i) {
    const v1::Prediction& prediction = response.predictions(i);
    table.AddRow({Predicted(prediction), prediction.scores_size() > 0 ? Percent(prediction.scores(0).score()) : "",
                  StrCat(OneLine(inputs[static_cast<size_t>(i)]), prediction.truncated() ? " [cut]" : "")});
    truncated = truncated || prediction.truncated();
    for (int s = 0; all_scores && s < prediction.scores_size(); ++s) {
      const v1::ClassScore& score = prediction.scores(s);
      table.AddRow({StrCat("  ", OneLine(score.label())), Percent(score.score()),
                    HistogramBar(score.score(), kBarWidth, style)});
    }
  }
  std::string text = table.Render(style);
  if (truncated)
    StrAppend(&text, Paint(style, Colour::kYellow, "[cut]"), ": longer than the model takes; the end was not read\n");
  StrAppend(&text, Paint(style, Colour::kDim, StrCat("by ", response.checkpoint())), "\n");
  return text;
}

namespace {

std::string SandboxText(const v1::WorkerSandbox& sandbox) {
  const std::string user = sandbox.user().empty() ? "" : StrCat(", as user ", sandbox.user());
  switch (sandbox.level()) {
    case v1::WorkerSandbox::LEVEL_OFF:
      return "off";
    case v1::WorkerSandbox::LEVEL_NONE:
      return StrCat("none", user, ": ", sandbox.missing());
    case v1::WorkerSandbox::LEVEL_PARTIAL:
      return StrCat("partial", user, ": ", sandbox.missing());
    case v1::WorkerSandbox::LEVEL_FULL:
      return StrCat("full (Landlock ", sandbox.landlock_version(), ", seccomp", user, ")");
    default:
      return "";
  }
}

}  // namespace

std::string ServerText(const v1::ServerInfo& info, const v1::ListDevicesResponse& devices, absl::Time now,
                       const Style& style) {
  std::string text = StrCat(Paint(style, Colour::kBold, StrCat("attune-server ", info.version())), "\n");
  StrAppend(&text, KeyValues({{"started", info.has_start_time() ? Ago(ToTime(info.start_time()), now) : ""},
                              {"LibTorch", info.libtorch_version()},
                              {"architectures", absl::StrJoin(info.architectures(), ", ")},
                              {"jobs", StrCat(info.running_jobs(), " running in ", info.job_slots(), " slots, ",
                                              info.queued_jobs(), " queued")},
                              {"idle workers", Count(info.idle_workers())},
                              {"free disk", Bytes(info.free_disk_bytes())},
                              {"worker sandbox", SandboxText(info.worker_sandbox())}},
                             style));
  Table table({{"DEVICE"}, {"USABLE"}, {"MEMORY", Align::kRight}, {"CORES", Align::kRight}, {"DESCRIPTION"}});
  for (const v1::Device& device : devices.devices()) {
    const std::string description =
        device.usable() ? device.description() : StrCat(device.description(), " (", device.unusable_reason(), ")");
    table.AddRow({device.name(),
                  device.usable() ? Paint(style, Colour::kGreen, "yes") : Paint(style, Colour::kYellow, "no"),
                  Bytes(device.memory_bytes()), device.cores() > 0 ? Count(device.cores()) : "", OneLine(description)});
  }
  return StrCat(text, "\n", table.Render(style));
}

}  // namespace attune::cli
