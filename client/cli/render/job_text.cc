#include "client/cli/render/job_text.h"

#include <algorithm>
#include <map>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "client/cli/render/bars.h"
#include "client/cli/render/format.h"
#include "client/cli/render/table.h"
#include "client/cpp/names.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr int kMatrixClasses = 10;
constexpr int kBarWidth = 20;

std::string StateName(v1::FineTuningJob::State state) {
  return v1::FineTuningJob::State_Name(state).substr(std::string("STATE_").size());
}

double Seconds(const google::protobuf::Timestamp& from, const google::protobuf::Timestamp& to) {
  return absl::ToDoubleSeconds(ToTime(to) - ToTime(from));
}

std::string ProgressText(const v1::JobProgress& progress) {
  if (progress.total_steps() <= 0) return progress.step() > 0 ? StrCat("step ", Count(progress.step())) : "";
  const double fraction = static_cast<double>(progress.step()) / static_cast<double>(progress.total_steps());
  return StrCat(static_cast<int>(fraction * 100), " %");
}

std::string RunTime(const v1::FineTuningJob& job, absl::Time now) {
  if (!job.has_start_time()) return "";
  const absl::Time end = job.has_end_time() ? ToTime(job.end_time()) : now;
  return Duration(absl::ToDoubleSeconds(end - ToTime(job.start_time())));
}

std::string LabelText(const v1::FineTuningJob& job) {
  std::map<std::string, std::string> sorted(job.labels().begin(), job.labels().end());
  std::vector<std::string> parts;
  for (const auto& [key, value] : sorted) parts.push_back(StrCat(key, "=", value));
  return OneLine(absl::StrJoin(parts, ", "));
}

// "1 after RESOURCE, 2 after SYSTEM"
std::string RetryText(const v1::FineTuningJob& job) {
  std::map<std::string, int> sorted(job.retries().begin(), job.retries().end());
  std::vector<std::string> parts;
  for (const auto& [category, count] : sorted) parts.push_back(StrCat(count, " after ", category));
  return OneLine(absl::StrJoin(parts, ", "));
}

std::string ConfusionText(const v1::Evaluation& evaluation, const Style& style) {
  const int classes = evaluation.classes_size();
  if (classes == 0 || classes > kMatrixClasses || evaluation.confusion_matrix_size() != classes * classes) return "";
  std::vector<Column> columns = {{"TRUE \\ PREDICTED"}};
  for (const v1::ClassFigures& figures : evaluation.classes())
    columns.push_back({OneLine(figures.label()), Align::kRight});
  Table table(columns);
  for (int i = 0; i < classes; ++i) {
    std::vector<std::string> row = {OneLine(evaluation.classes(i).label())};
    for (int j = 0; j < classes; ++j) row.push_back(Count(evaluation.confusion_matrix(i * classes + j)));
    table.AddRow(row);
  }
  return "\n" + table.Render(style);
}

std::string RangeTestText(const v1::LrRangeTestResult& result, const Style& style) {
  if (result.steepest_learning_rate() == 0) {
    return "\nNo learning rate is suggested: the loss never fell. Try a wider range, more steps or larger batches.\n";
  }
  return StrCat("\nSuggested learning rates\n",
                KeyValues({{"steepest descent", Number(result.steepest_learning_rate())},
                           {"a tenth of the rate at the minimum", Number(result.tenth_of_minimum_learning_rate())}},
                          style));
}

bool TakesImages(const v1::FineTuningJob& job) {
  return absl::StartsWith(v1::Task_Name(job.effective_spec().task()), "TASK_IMAGE_");
}

// "learning rates x 0.5 after step 12; batches in 2 parts after step 40"
std::string AdjustmentText(const v1::FineTuningJob& job) {
  std::vector<std::string> changes;
  for (const v1::Adjustment& adjustment : job.adjustments()) {
    const v1::LiveSettings& settings = adjustment.live_settings();
    std::vector<std::string> words;
    if (adjustment.has_batch_parts()) words.push_back(StrCat("batches in ", adjustment.batch_parts(), " parts, for memory ran out,"));
    if (settings.has_learning_rate_scale()) words.push_back(StrCat("learning rates x ", Number(settings.learning_rate_scale())));
    if (settings.has_n_epochs()) words.push_back(StrCat(settings.n_epochs(), " epochs"));
    if (settings.has_early_stopping_patience()) words.push_back(StrCat("patience ", settings.early_stopping_patience()));
    if (words.empty()) words.push_back("as created");
    changes.push_back(StrCat(absl::StrJoin(words, ", "), adjustment.after_step() < 0 ? " from the next step on" : StrCat(" after step ", Count(adjustment.after_step()))));
  }
  return absl::StrJoin(changes, "; ");
}

}  // namespace

std::string PaintState(const std::string& state, const Style& style) {
  if (state == "SUCCEEDED") return Paint(style, Colour::kGreen, state);
  if (state == "FAILED") return Paint(style, Colour::kRed, state);
  if (state == "CANCELLED" || state == "CANCELLING" || state == "PAUSED" || state == "PAUSING") return Paint(style, Colour::kYellow, state);
  return Paint(style, Colour::kCyan, state);
}

std::string StateText(v1::FineTuningJob::State state, const Style& style) {
  return PaintState(StateName(state), style);
}

std::string JobTable(const std::vector<v1::FineTuningJob>& jobs, absl::Time now, const Style& style) {
  if (jobs.empty()) return "No jobs. Create one: attune jobs create --base-model MODEL --dataset DATASET --watch\n";
  Table table(
      {{"JOB"}, {"STATE"}, {"PROGRESS", Align::kRight}, {"MODEL"}, {"DATASET"}, {"RAN"}, {"CREATED"}, {"NAME"}});
  for (const v1::FineTuningJob& job : jobs) {
    std::string progress = ProgressText(job.progress());
    if (job.state() == v1::FineTuningJob::STATE_QUEUED)
      progress = job.has_retry_time() ? StrCat("again ", TimeOfDay(ToTime(job.retry_time()))) : StrCat(job.jobs_ahead(), " ahead");
    table.AddRow({client::ShortName(job.name()), StateText(job.state(), style), progress,
                  client::ShortName(job.spec().base_model()), client::ShortName(job.spec().dataset()),
                  RunTime(job, now), Ago(ToTime(job.create_time()), now), OneLine(job.display_name())});
  }
  return table.Render(style);
}

std::string JobDetails(const v1::FineTuningJob& job, absl::Time now, const Style& style) {
  const v1::JobProgress& progress = job.progress();
  std::string steps;
  if (progress.step() > 0 || progress.total_steps() > 0) {
    steps = StrCat("step ", Count(progress.step()),
                   progress.total_steps() > 0 ? StrCat(" of ", Count(progress.total_steps())) : "",
                   progress.phase().empty() ? "" : StrCat(", phase ", progress.phase()),
                   progress.eta_seconds() > 0 ? StrCat(", ", Remaining(progress.eta_seconds()), " to go") : "");
  }
  std::string text = StrCat(Paint(style, Colour::kBold, job.name()), "  ", StateText(job.state(), style), "\n");
  StrAppend(&text, KeyValues({{"name", OneLine(job.display_name())},
                              {"why", OneLine(job.state_reason())},
                              {"jobs ahead", job.jobs_ahead() > 0 ? Count(job.jobs_ahead()) : ""},
                              {"starts about", job.has_predicted_start_time() ? DateAndTime(ToTime(job.predicted_start_time())) : ""},
                              {"tried again", job.has_retry_time() ? DateAndTime(ToTime(job.retry_time())) : ""},
                              {"retries", RetryText(job)},
                              {"priority", job.priority() != 0 ? Number(job.priority()) : ""},
                              {"base model", job.spec().base_model()},
                              {"dataset", job.spec().dataset()},
                              {"labels", LabelText(job)},
                              {"classes", OneLine(absl::StrJoin(job.class_labels(), ", "))},
                              {"created", job.has_create_time() ? DateAndTime(ToTime(job.create_time())) : ""},
                              {"ran", RunTime(job, now)},
                              {"attempt", job.attempt() > 1 ? Count(job.attempt()) : ""},
                              {"changed", AdjustmentText(job)},
                              {"progress", steps},
                              {"speed", progress.samples_per_second() > 0
                                            ? StrCat(Number(progress.samples_per_second()), " samples/s")
                                            : ""},
                              {"loss", progress.step() > 0 ? Number(progress.loss()) : ""},
                              {"best checkpoint", job.best_checkpoint()}},
                             style));
  if (job.has_error()) StrAppend(&text, JobError(job, style));
  if (job.has_test_evaluation()) StrAppend(&text, "\n", EvaluationText(job.test_evaluation(), style));
  if (job.has_lr_range_test_result()) StrAppend(&text, RangeTestText(job.lr_range_test_result(), style));
  return text;
}

std::string EvaluationValues(const v1::Evaluation& evaluation, const Style& style) {
  const std::pair<const char*, const char*> known[] = {{"accuracy", "accuracy"}, {"top5_accuracy", "top 5"},
                                                       {"f1_macro", "F1"},       {"f1_micro", "micro F1"},
                                                       {"mse", "MSE"},           {"mae", "MAE"},
                                                       {"pearson", "r"},         {"loss", "loss"},
                                                       {"ece", "ECE"}};
  std::vector<std::string> parts;
  std::map<std::string, double> rest(evaluation.values().begin(), evaluation.values().end());
  for (const auto& [key, title] : known) {
    auto found = rest.find(key);
    if (found == rest.end()) continue;
    parts.push_back(StrCat(Paint(style, Colour::kDim, title), " ", Number(found->second)));
    rest.erase(found);
  }
  for (const auto& [key, value] : rest) parts.push_back(StrCat(Paint(style, Colour::kDim, key), " ", Number(value)));
  return absl::StrJoin(parts, "  ");
}

std::string EvaluationText(const v1::Evaluation& evaluation, const Style& style, bool bars) {
  std::string text =
      StrCat(Paint(style, Colour::kBold, StrCat("Evaluation on ", evaluation.split())), " (", Count(evaluation.rows()),
             " rows, step ", Count(evaluation.step()), ")\n  ", EvaluationValues(evaluation, style), "\n");
  if (evaluation.classes_size() == 0) return text;
  std::vector<Column> columns = {{"CLASS"},
                                 {"PRECISION", Align::kRight},
                                 {"RECALL", Align::kRight},
                                 {"F1", Align::kRight},
                                 {"ROWS", Align::kRight}};
  if (bars) columns.push_back({""});
  Table table(columns);
  for (const v1::ClassFigures& figures : evaluation.classes()) {
    table.AddRow({OneLine(figures.label()), Number(figures.precision()), Number(figures.recall()), Number(figures.f1()),
                  Count(figures.support()), bars ? HistogramBar(figures.f1(), kBarWidth, style) : ""});
  }
  return StrCat(text, "\n", table.Render(style), ConfusionText(evaluation, style));
}

std::string JobError(const v1::FineTuningJob& job, const Style& style) {
  v1::FailureInfo info;
  for (const auto& detail : job.error().details()) {
    if (detail.UnpackTo(&info)) break;
  }
  const char* who = "";
  switch (info.category()) {
    case v1::FailureInfo::CATEGORY_USER:
      who = "the spec has to be changed";
      break;
    case v1::FailureInfo::CATEGORY_DATA:
      who = "the dataset or the base weights have to be changed";
      break;
    case v1::FailureInfo::CATEGORY_RESOURCE:
      who = "memory, disk or device did not suffice: ask for less or give more";
      break;
    case v1::FailureInfo::CATEGORY_SYSTEM:
      who = "a fault of the server or worker: look at the log";
      break;
    default:
      break;
  }
  std::string text = KeyValues({{"error", Paint(style, Colour::kRed, OneLine(job.error().message()))},
                                {"at step", info.step() > 0 ? Count(info.step()) : ""},
                                {"so", who},
                                {"try again", info.retryable() ? "may help" : ""}},
                               style);
  if (info.log_tail_size() > 0) StrAppend(&text, "  last lines of the worker's log\n");
  for (const std::string& line : info.log_tail()) StrAppend(&text, "    ", OneLine(line), "\n");
  return text;
}

std::string JobSummary(const v1::FineTuningJob& job, const Style& style) {
  const std::string id = client::ShortName(job.name());
  std::string text = StrCat(Paint(style, Colour::kBold, job.name()), " ", StateText(job.state(), style));
  if (job.has_start_time() && job.has_end_time())
    StrAppend(&text, " in ", Duration(Seconds(job.start_time(), job.end_time())));
  StrAppend(&text, "\n");
  const v1::JobProgress& progress = job.progress();
  StrAppend(&text, KeyValues({{"why", OneLine(job.state_reason())},
                              {"steps", progress.step() > 0 ? Count(progress.step()) : ""},
                              {"best checkpoint", job.best_checkpoint()}},
                             style));
  if (job.has_error()) StrAppend(&text, JobError(job, style));
  if (job.has_test_evaluation()) StrAppend(&text, "\n", EvaluationText(job.test_evaluation(), style));
  if (job.has_lr_range_test_result()) StrAppend(&text, RangeTestText(job.lr_range_test_result(), style));
  StrAppend(&text, "\nNext\n");
  if (!job.best_checkpoint().empty()) {
    StrAppend(&text, "  attune predict ", id, TakesImages(job) ? " --image FILE\n" : " \"some text\"\n", "  attune checkpoints download ", id, "/best --to ",
              id, "\n");
  }
  if (job.state() != v1::FineTuningJob::STATE_SUCCEEDED) StrAppend(&text, "  attune jobs logs ", id, "\n");
  StrAppend(&text, "  attune jobs metrics ", id, "\n");
  return text;
}

std::string MetricTable(const std::vector<v1::MetricPoint>& points, int limit, const Style& style) {
  if (points.empty()) return "No metrics yet.\n";
  const size_t first =
      limit > 0 && points.size() > static_cast<size_t>(limit) ? points.size() - static_cast<size_t>(limit) : 0;
  std::set<std::string> names;
  std::vector<double> losses;
  for (size_t i = 0; i < points.size(); ++i) {
    auto loss = points[i].values().find("loss");
    if (loss != points[i].values().end()) losses.push_back(loss->second);
    if (i < first) continue;
    for (const auto& [name, value] : points[i].values()) names.insert(name);
  }
  std::vector<Column> columns = {{"STEP", Align::kRight}, {"EPOCH", Align::kRight}, {"PHASE"}};
  for (const std::string& name : names) columns.push_back({name, Align::kRight});
  Table table(columns);
  for (size_t i = first; i < points.size(); ++i) {
    std::vector<std::string> row = {Count(points[i].step()), Number(points[i].epoch()), points[i].phase()};
    for (const std::string& name : names) {
      auto found = points[i].values().find(name);
      row.push_back(found == points[i].values().end() ? "" : Number(found->second));
    }
    table.AddRow(row);
  }
  std::string text =
      first > 0 ? StrCat("The last ", limit, " of ", Count(static_cast<int64_t>(points.size())), " points\n") : "";
  StrAppend(&text, table.Render(style));
  if (losses.size() > 1)
    StrAppend(&text, "\nloss ", Sparkline(losses, style.width > 10 ? std::min(style.width - 6, 80) : 60, style), "\n");
  return text;
}

}  // namespace attune::cli
