#include "client/cli/render/watch_text.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_join.h"
#include "client/cli/render/bars.h"
#include "client/cli/render/format.h"
#include "client/cli/render/job_text.h"
#include "client/cpp/names.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr int kDefaultWidth = 80;
constexpr size_t kCheckpointsShown = 4;

int Width(const Style& style) { return style.width > 0 ? style.width : kDefaultWidth; }

std::string Label(const Style& style, std::string_view text) {
  return StrCat("  ", Paint(style, Colour::kDim, text), Spaces(12 - DisplayWidth(text)));
}

std::string Title(const JobView& view, absl::Time now, const Style& style) {
  const v1::FineTuningSpec& spec = view.job.spec();
  const absl::Time end = view.terminal ? view.last_event_time : now;
  std::string text = StrCat(Paint(style, Colour::kBold, view.job.name()), "  ", PaintState(view.state, style));
  if (view.first_event_time != absl::InfinitePast()) {
    StrAppend(&text, "  ", Duration(std::floor(absl::ToDoubleSeconds(end - view.first_event_time))));
  }
  if (!spec.base_model().empty()) {
    const std::string what = StrCat(client::ShortName(spec.base_model()), " on ", client::ShortName(spec.dataset()));
    if (DisplayWidth(text) + DisplayWidth(what) + 2 <= Width(style))
      StrAppend(&text, "  ", Paint(style, Colour::kDim, what));
  }
  return text;
}

std::string PhaseText(const JobView& view) {
  std::string text = OneLine(view.phase);
  const int phases = view.job.effective_spec().phases_size();
  if (view.phase_index >= 0) {
    text = StrCat(view.phase_index + 1, phases > 0 ? StrCat("/", phases) : "", " ", text);
  }
  if (view.total_parameters > 0) {
    StrAppend(&text, ", ", Count(view.trainable_parameters), " of ", Count(view.total_parameters), " values learn");
  }
  return text;
}

std::string StepText(const JobView& view, absl::Time now) {
  std::string text = StrCat("step ", Count(view.step));
  if (TotalSteps(view) > view.step || view.terminal) StrAppend(&text, "/", Count(TotalSteps(view)));
  if (view.epoch > 0) StrAppend(&text, "  epoch ", Number(std::round(view.epoch * 10) / 10));
  if (auto eta = EtaSeconds(view, now)) StrAppend(&text, "  ", Remaining(*eta), " to go");
  return text;
}

std::string SpeedText(const JobView& view) {
  std::vector<std::string> parts;
  if (view.samples_per_second.has_value())
    parts.push_back(StrCat(Number(std::round(*view.samples_per_second * 10) / 10), " samples/s"));
  if (view.learning_rate.has_value()) parts.push_back(StrCat("learning rate ", Number(*view.learning_rate)));
  return absl::StrJoin(parts, "  ");
}

std::string LossLine(const JobView& view, const Style& style) {
  std::vector<double> losses;
  for (const auto& [step, loss] : view.losses) losses.push_back(loss);
  const std::string last = Number(losses.back());
  const int room = std::min(Width(style) - 15 - DisplayWidth(last), 60);
  return StrCat(Label(style, "loss"), last, "  ", Paint(style, Colour::kCyan, Sparkline(losses, room, style)));
}

std::string EvaluationLine(const v1::Evaluation& evaluation, const Style& style) {
  return StrCat("step ", Count(evaluation.step()), "  ", EvaluationValues(evaluation, style),
                evaluation.is_best() ? StrCat("  ", Paint(style, Colour::kGreen, "best")) : "");
}

std::string CheckpointLine(const JobView& view, const Style& style) {
  std::vector<std::string> parts;
  const size_t all = view.checkpoints.size();
  const size_t first = all > kCheckpointsShown ? all - kCheckpointsShown : 0;
  if (first > 0) parts.push_back(style.unicode ? "…" : "...");
  for (size_t i = first; i < all; ++i) {
    parts.push_back(StrCat(Count(view.checkpoints[i].step()),
                           view.checkpoints[i].is_best() ? Paint(style, Colour::kGreen, " best") : ""));
  }
  return absl::StrJoin(parts, style.unicode ? " · " : ", ");
}

// Cuts a line that is too long; the codes of a cut line are dropped, colours matter less than a block that stays in
// place.
std::string Clip(const std::string& line, const Style& style) {
  if (DisplayWidth(line) <= Width(style)) return line;
  std::string plain;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b') {
      while (i < line.size() && line[i] != 'm') ++i;
    } else {
      plain.push_back(line[i]);
    }
  }
  return Fit(plain, Width(style), style.unicode);
}

}  // namespace

std::vector<std::string> LiveView(const JobView& view, absl::Time now, const Style& style) {
  std::vector<std::string> lines = {Title(view, now, style)};
  // Of a waiting job the server's newest word says more than the event that made it wait.
  const bool waits = view.state == "QUEUED" && view.job.state() == v1::FineTuningJob::STATE_QUEUED;
  const std::string reason = view.reason.empty() || (waits && !view.job.state_reason().empty()) ? view.job.state_reason() : view.reason;
  if (!reason.empty() && view.state != "RUNNING") lines.push_back(Label(style, "why") + OneLine(reason));
  if (view.state == "QUEUED" && view.job.jobs_ahead() > 0)
    lines.push_back(Label(style, "ahead") + StrCat(view.job.jobs_ahead(), " jobs"));
  if (!view.phase.empty()) lines.push_back(Label(style, "phase") + PhaseText(view));
  if (view.step > 0) {
    const std::string steps = StepText(view, now);
    if (view.job.progress().total_steps() > 0) {
      const int bar = std::clamp(Width(style) - 14 - 8 - DisplayWidth(steps), 10, 40);
      const std::string percent = StrCat(static_cast<int>(Fraction(view) * 100), " %");
      lines.push_back(StrCat(Label(style, "progress"),
                             Paint(style, Colour::kGreen, ProgressBar(Fraction(view), bar, style)),
                             Spaces(6 - DisplayWidth(percent)), percent, "  ", steps));
    } else {
      lines.push_back(Label(style, "progress") + steps);
    }
    const std::string speed = SpeedText(view);
    if (!speed.empty()) lines.push_back(Label(style, "speed") + speed);
  }
  if (!view.losses.empty()) lines.push_back(LossLine(view, style));
  if (view.evaluation.has_value()) {
    lines.push_back(Label(style, view.evaluation->split().empty() ? "evaluation" : view.evaluation->split()) +
                    EvaluationLine(*view.evaluation, style));
  }
  if (!view.checkpoints.empty()) lines.push_back(Label(style, "checkpoints") + CheckpointLine(view, style));
  for (const std::string& warning : view.warnings) {
    lines.push_back(StrCat(Label(style, ""), Paint(style, Colour::kYellow, OneLine(warning))));
  }
  for (std::string& line : lines) line = Clip(line, style);
  return lines;
}

std::string Redraw(int previous_lines, const std::vector<std::string>& lines) {
  std::string text;
  if (previous_lines > 0) StrAppend(&text, "\x1b[", previous_lines, "A");
  for (const std::string& line : lines) StrAppend(&text, "\r\x1b[2K", line, "\n");
  // What is left of a longer block goes.
  if (static_cast<int>(lines.size()) < previous_lines) StrAppend(&text, "\x1b[J");
  return text;
}

bool PlainLog::WantsJob(const v1::JobEvent& event, const JobView& view, absl::Time now) const {
  if (now - view.fetch_time < absl::Seconds(1)) return false;
  if (event.has_phase_started()) return true;
  const bool due =
      view.job.progress().total_steps() < view.step || static_cast<int>(Fraction(view) * 10) >= next_tenth_;
  return event.has_metrics() && due;
}

std::string PlainLog::Progress(const v1::JobEvent& event, const JobView& view, absl::Time now) {
  if (view.step < last_step_) next_tenth_ = static_cast<int>(Fraction(view) * 10);  // a new attempt, further back
  last_step_ = view.step;
  const bool known = view.job.progress().total_steps() > 0;
  const int tenth = known ? static_cast<int>(Fraction(view) * 10) : 0;
  if (tenth < next_tenth_) return "";
  next_tenth_ = tenth + 1;
  std::vector<std::string> parts;
  if (known) parts.push_back(StrCat(static_cast<int>(Fraction(view) * 100), " %"));
  parts.push_back(StepText(view, now));
  if (!view.losses.empty()) parts.push_back(StrCat("loss ", Number(view.losses.back().second)));
  const std::string speed = SpeedText(view);
  if (!speed.empty()) parts.push_back(speed);
  return absl::StrJoin(parts, "  ");
}

std::vector<std::string> PlainLog::Lines(const v1::JobEvent& event, const JobView& view, absl::Time now) {
  std::string line;
  switch (event.payload_case()) {
    case v1::JobEvent::kStateChanged:
      line = PaintState(event.state_changed().to(), style_);
      if (!event.state_changed().reason().empty()) StrAppend(&line, ": ", OneLine(event.state_changed().reason()));
      break;
    case v1::JobEvent::kMetrics:
      line = Progress(event, view, now);
      break;
    case v1::JobEvent::kEvaluation:
      line = StrCat("evaluation on ", event.evaluation().split(), " (", Count(event.evaluation().rows()), " rows) at ",
                    EvaluationLine(event.evaluation(), style_));
      break;
    case v1::JobEvent::kCheckpointSaved:
      line = StrCat("checkpoint ", client::ShortName(event.checkpoint_saved().checkpoint()),
                    event.checkpoint_saved().is_best() ? Paint(style_, Colour::kGreen, " best") : "");
      break;
    case v1::JobEvent::kPhaseStarted:
      line = StrCat("phase ", PhaseText(view));
      break;
    default:
      if (event.level() >= v1::JobEvent::LEVEL_WARNING) line = Paint(style_, Colour::kYellow, OneLine(event.message()));
      break;
  }
  if (line.empty()) return {};
  return {StrCat(TimeOfDay(ToTime(event.create_time())), "  ", line)};
}

}  // namespace attune::cli
