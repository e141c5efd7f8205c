#include "client/cli/report/summary.h"

#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "client/cli/render/format.h"
#include "client/cli/report/markup/facts.h"
#include "client/cpp/names.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

std::string StateName(v1::FineTuningJob::State state) {
  return absl::AsciiStrToLower(v1::FineTuningJob::State_Name(state).substr(std::string("STATE_").size()));
}

struct MetricName {
  const char* key;
  const char* title;
};
// Those that people look at first.
constexpr MetricName kMetrics[] = {
    {"accuracy", "accuracy"},      {"f1_macro", "macro F1"},       {"f1_micro", "micro F1"}, {"pearson", "Pearson's r"},
    {"mse", "mean squared error"}, {"mae", "mean absolute error"}, {"loss", "loss"}};

// The metric that the best checkpoint was chosen by where the evaluation has it, but the loss last: it says little to
// people.
std::optional<std::pair<std::string, double>> MainMetric(const v1::Evaluation& evaluation, const std::string& chosen) {
  const auto& values = evaluation.values();
  if (auto found = values.find(chosen); chosen != "loss" && found != values.end()) {
    for (const MetricName& metric : kMetrics) {
      if (chosen == metric.key) return {{metric.title, found->second}};
    }
    return {{chosen, found->second}};
  }
  for (const MetricName& metric : kMetrics) {
    if (auto found = values.find(metric.key); found != values.end()) return {{metric.title, found->second}};
  }
  return std::nullopt;
}

std::string BestStep(const ReportData& data) {
  const std::string& best = data.job.best_checkpoint();
  return best.empty() ? "" : best.substr(best.rfind('/') + 1);
}

std::string Progress(const v1::FineTuningJob& job) {
  const v1::JobProgress& progress = job.progress();
  if (progress.step() == 0) return "no step done yet";
  return StrCat("step ", Count(progress.step()),
                progress.total_steps() > 0 ? StrCat(" of ", Count(progress.total_steps())) : "", ", training loss ",
                Number(progress.loss()));
}

std::string RunTime(const ReportData& data) {
  if (!data.job.has_start_time()) return "";
  const absl::Time end = data.job.has_end_time() ? ToTime(data.job.end_time()) : data.now;
  return Duration(absl::ToDoubleSeconds(end - ToTime(data.job.start_time())));
}

Html Tile(const std::string& value, const std::string& name) {
  return Element("div", {{"class", "tile"}}, Join({Element("b", {}, Text(value)), Element("span", {}, Text(name))}));
}

Html Tiles(const ReportData& data) {
  Html tiles;
  if (const v1::Evaluation* evaluation = BestKnownEvaluation(data)) {
    for (const MetricName& metric : kMetrics) {
      auto found = evaluation->values().find(metric.key);
      if (found != evaluation->values().end())
        tiles.Add(Tile(Number(found->second), StrCat(metric.title, ", ", evaluation->split())));
    }
  }
  if (const std::string duration = RunTime(data); !duration.empty()) tiles.Add(Tile(duration, "from start to end"));
  if (data.job.progress().step() > 0) tiles.Add(Tile(Count(data.job.progress().step()), "steps"));
  return Element("div", {{"class", "tiles"}}, tiles);
}

}  // namespace

std::string ResultSentence(const ReportData& data) {
  const v1::FineTuningJob& job = data.job;
  std::string sentence;
  if (job.state() == v1::FineTuningJob::STATE_FAILED) {
    sentence = StrCat("failed after ", Count(job.progress().step()), " steps: ", job.error().message());
  } else if (job.state() != v1::FineTuningJob::STATE_SUCCEEDED) {
    sentence = StrCat(StateName(job.state()), ": ", Progress(job));
  }
  const v1::Evaluation* evaluation = BestKnownEvaluation(data);
  const auto metric = evaluation == nullptr
                          ? std::nullopt
                          : MainMetric(*evaluation, job.effective_spec().evaluation().metric_for_best_model());
  if (metric.has_value()) {
    StrAppend(&sentence, sentence.empty() ? "" : "; ", metric->first, " ", Number(metric->second), " on ",
              Count(evaluation->rows()), " ", evaluation->split(), HoldsImages(data) ? " images" : " texts");
  } else if (sentence.empty()) {
    sentence = StrCat("finished, and nothing was evaluated; last training loss ", Number(job.progress().loss()));
  }
  const std::string step = BestStep(data);
  if (metric.has_value() && !step.empty()) StrAppend(&sentence, "; best at step ", step);
  return sentence;
}

std::string ReportTitle(const ReportData& data) {
  const v1::FineTuningSpec& spec = data.job.spec();
  return data.job.display_name().empty()
             ? StrCat(client::ShortName(spec.base_model()), " on ", client::ShortName(spec.dataset()))
             : data.job.display_name();
}

Html Summary(const ReportData& data) {
  const v1::FineTuningJob& job = data.job;
  const std::string state = StateName(job.state());
  const Html title = Element(
      "h1", {},
      Join({Text(ReportTitle(data)), Html(" "), Element("span", {{"class", StrCat("state ", state)}}, Text(state))}));
  std::string labels;
  for (const auto& [key, value] : std::map<std::string, std::string>(job.labels().begin(), job.labels().end()))
    StrAppend(&labels, labels.empty() ? "" : ", ", key, "=", value);
  Facts facts = {{"job", job.name()},
                 {"base model", job.spec().base_model()},
                 {"dataset", job.spec().dataset()},
                 {"labels", labels}};
  if (job.has_create_time()) facts.push_back({"created", DateAndTime(ToTime(job.create_time()))});
  if (job.has_end_time()) facts.push_back({"ended", DateAndTime(ToTime(job.end_time()))});
  facts.push_back({"took", RunTime(data)});
  facts.push_back({"device", job.effective_spec().resources().device()});
  facts.push_back({"why", job.state_reason()});
  Html left_out;
  for (const std::string& line : data.left_out) left_out.Add(Element("li", {}, Text(line)));
  if (!left_out.empty())
    left_out =
        Element("div", {{"class", "left-out"}}, Join({Text("Not in this report:"), Element("ul", {}, left_out)}));
  return Element("header", {},
                 Join({title, Element("p", {{"class", "result"}}, Text(ResultSentence(data))), Tiles(data),
                       FactTable(facts), left_out, Html("\n")}));
}

}  // namespace attune::cli
