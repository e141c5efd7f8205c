// attune jobs report: everything about a job as one web page. What the page says is in report/; this file asks the
// server for it and writes the file.

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "client/cli/app.h"
#include "client/cli/paging.h"
#include "client/cli/render/format.h"
#include "client/cli/report/examples.h"
#include "client/cli/report/layer_plan.h"
#include "client/cli/report/report.h"
#include "client/cli/session.h"
#include "client/cli/transfer_display.h"
#include "client/cpp/names.h"
#include "google/protobuf/struct.pb.h"
#include "server/base/files.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::cli {
namespace {

constexpr int kThumbnailPixels = 96;
constexpr int kPatternsInOneCall = 100;  // of DescribeLayers

struct Flags {
  std::string job, file;
  bool no_evaluate = false;
};

// `what` cannot be in the page.
void LeaveOut(const std::string& what, const absl::Status& why, ReportData* data) {
  data->left_out.push_back(StrCat(what, ": ", std::string(why.message())));
}

absl::Status FetchJob(client::Client& client, const std::string& name, ReportData* data) {
  v1::GetFineTuningJobRequest get;
  get.set_name(name);
  ATTUNE_ASSIGN_OR_RETURN(data->job, client.GetFineTuningJob(get));
  v1::ListJobMetricsRequest metrics;
  metrics.set_parent(name);
  ATTUNE_ASSIGN_OR_RETURN(auto points, ListAll<v1::ListJobMetricsResponse>(
                                           0, metrics, [&](const auto& r) { return client.ListJobMetrics(r); },
                                           [](auto& page) { return page.mutable_points(); }));
  data->metrics = {points.points().begin(), points.points().end()};
  v1::ListJobEventsRequest events;
  events.set_parent(name);
  ATTUNE_ASSIGN_OR_RETURN(auto found, ListAll<v1::ListJobEventsResponse>(
                                          0, events, [&](const auto& r) { return client.ListJobEvents(r); },
                                          [](auto& page) { return page.mutable_events(); }));
  data->events = {found.events().begin(), found.events().end()};
  return absl::OkStatus();
}

// The layers, with what the job's patterns match.
absl::StatusOr<v1::DescribeLayersResponse> FetchLayers(client::Client& client, const v1::FineTuningSpec& spec) {
  const std::vector<std::string> patterns = PatternsOf(spec);
  v1::DescribeLayersResponse all;
  for (size_t first = 0; first == 0 || first < patterns.size(); first += kPatternsInOneCall) {
    v1::DescribeLayersRequest request;
    request.set_name(spec.base_model());
    request.set_pooling(spec.head().pooling());
    for (size_t i = first; i < std::min(patterns.size(), first + kPatternsInOneCall); ++i)
      request.add_patterns(patterns[i]);
    ATTUNE_ASSIGN_OR_RETURN(v1::DescribeLayersResponse part, client.DescribeLayers(request));
    all.mutable_matches()->MergeFrom(part.matches());
    if (first == 0) all.mutable_layers()->Swap(part.mutable_layers());
  }
  return all;
}

// What the job was made from, and the server. Model and dataset may be deleted since.
void FetchSurroundings(client::Client& client, ReportData* data) {
  const v1::FineTuningSpec& spec = data->job.has_effective_spec() ? data->job.effective_spec() : data->job.spec();
  v1::GetDatasetRequest get_dataset;
  get_dataset.set_name(spec.dataset());
  if (auto dataset = client.GetDataset(get_dataset); dataset.ok()) {
    data->dataset = *std::move(dataset);
  } else {
    LeaveOut("the dataset", dataset.status(), data);
  }
  v1::GetModelRequest get_model;
  get_model.set_name(spec.base_model());
  if (auto model = client.GetModel(get_model); model.ok()) {
    data->model = *std::move(model);
  } else {
    LeaveOut("the base model", model.status(), data);
  }
  if (auto layers = FetchLayers(client, spec); layers.ok()) {
    data->layers = *std::move(layers);
  } else {
    LeaveOut("the layers", layers.status(), data);
  }
  v1::ListCheckpointsRequest list;
  list.set_parent(data->job.name());
  auto checkpoints = ListAll<v1::ListCheckpointsResponse>(
      0, list, [&](const auto& r) { return client.ListCheckpoints(r); },
      [](auto& page) { return page.mutable_checkpoints(); });
  if (checkpoints.ok()) {
    data->checkpoints = {checkpoints->checkpoints().begin(), checkpoints->checkpoints().end()};
  } else {
    LeaveOut("the checkpoints", checkpoints.status(), data);
  }
  if (auto server = client.GetServerInfo(); server.ok()) data->server = *std::move(server);
  if (auto devices = client.ListDevices(); devices.ok())
    data->devices = {devices->devices().begin(), devices->devices().end()};
}

// Thumbnails of `rows`. A row that is not the one meant (a server of before row_indices shows others) has none.
absl::Status FetchPictures(client::Client& client, const std::string& dataset, v1::Split split,
                           const google::protobuf::RepeatedPtrField<v1::JudgedRow>& judged, std::vector<int64_t> rows,
                           std::map<int64_t, std::string>* pictures) {
  while (!rows.empty()) {
    v1::PreviewRowsRequest request;
    request.set_name(dataset);
    request.set_split(split);
    request.set_thumbnail_pixels(kThumbnailPixels);
    request.mutable_row_indices()->Add(rows.begin(), rows.end());
    ATTUNE_ASSIGN_OR_RETURN(v1::PreviewRowsResponse preview, client.PreviewRows(request));
    const size_t count = std::min(rows.size(), static_cast<size_t>(preview.rows_size()));
    if (count == 0) return absl::InternalError("the server shows none of the rows");
    for (size_t i = 0; i < count; ++i) {
      v1::PreviewRow& row = *preview.mutable_rows(static_cast<int>(i));
      const bool is_meant = std::any_of(judged.begin(), judged.end(), [&](const v1::JudgedRow& other) {
        return other.row() == rows[i] && other.entry() == row.entry() && other.filename() == row.filename() &&
               other.line() == row.line();
      });
      if (is_meant) (*pictures)[rows[i]] = std::move(*row.mutable_thumbnail());
    }
    rows.erase(rows.begin(), rows.begin() + static_cast<ptrdiff_t>(count));
  }
  return absl::OkStatus();
}

v1::Split SplitOf(const std::string& name) {
  if (name == "test") return v1::SPLIT_TEST;
  return name == "validation" ? v1::SPLIT_VALIDATION : v1::SPLIT_TRAIN;
}

void FetchAllPictures(client::Client& client, ReportData* data) {
  const v1::CheckpointEvaluation& evaluation = *data->evaluation;
  absl::Status status = FetchPictures(client, evaluation.dataset(), SplitOf(evaluation.evaluation().split()),
                                      evaluation.mistakes(), MistakeRows(evaluation), &data->mistake_pictures);
  if (status.ok())
    status = FetchPictures(client, evaluation.dataset(), v1::SPLIT_TRAIN, evaluation.suspects(),
                           SuspectRows(evaluation), &data->suspect_pictures);
  if (!status.ok()) LeaveOut("pictures of rows", status, data);
}

bool HasEnded(v1::FineTuningJob::State state) {
  return state == v1::FineTuningJob::STATE_SUCCEEDED || state == v1::FineTuningJob::STATE_FAILED ||
         state == v1::FineTuningJob::STATE_CANCELLED;
}

constexpr char kByEvaluation[] = "calibration and rows to look at";

void FetchEvaluation(Session& session, client::Client& client, bool wanted, ReportData* data) {
  if (!wanted) return LeaveOut(kByEvaluation, absl::CancelledError("--no-evaluate was given"), data);
  if (!HasEnded(data->job.state()))
    return LeaveOut(kByEvaluation, absl::UnavailableError("the job has not ended"), data);
  if (data->job.best_checkpoint().empty())
    return LeaveOut(kByEvaluation, absl::NotFoundError("the job has no checkpoint"), data);
  v1::EvaluateRequest request;
  request.set_checkpoint(data->job.best_checkpoint());
  request.set_find_suspects(true);
  TransferDisplay display(session);
  auto evaluation = client.Evaluate(request, display.Evaluations());
  display.Finish();
  if (absl::IsUnimplemented(evaluation.status()))
    return LeaveOut(kByEvaluation, absl::UnimplementedError("the server is too old to evaluate checkpoints"), data);
  if (!evaluation.ok()) return LeaveOut(kByEvaluation, evaluation.status(), data);
  data->evaluation = *std::move(evaluation);
  if (HoldsImages(*data)) FetchAllPictures(client, data);
}

// What programs get with --output json before the command: where the page is and what it lacks.
google::protobuf::Struct Result(const std::string& file, size_t bytes, const ReportData& data) {
  google::protobuf::Struct result;
  (*result.mutable_fields())["file"].set_string_value(file);
  (*result.mutable_fields())["bytes"].set_number_value(static_cast<double>(bytes));
  auto& left_out = *(*result.mutable_fields())["leftOut"].mutable_list_value();
  for (const std::string& line : data.left_out) left_out.add_values()->set_string_value(line);
  return result;
}

int Report(Session& session, client::Client& client, const Flags& flags) {
  const std::string name = client::FullName(flags.job, "fineTuningJobs");
  ReportData data;
  data.now = session.Now();
  const absl::Status status = FetchJob(client, name, &data);
  if (!status.ok())
    return session.Fail("cannot report on the job", status,
                        absl::IsNotFound(status) ? "`attune jobs list` shows the jobs there are" : "");
  FetchSurroundings(client, &data);
  FetchEvaluation(session, client, !flags.no_evaluate, &data);
  const std::string page = ReportPage(data);
  if (flags.file == "-") {
    session.Print(page);
    return kOk;
  }
  const std::string file = flags.file.empty() ? StrCat(client::ShortName(name), "-report.html") : flags.file;
  const absl::Status written = WriteFileAtomically(Files::Posix(), file, page);
  if (!written.ok()) return session.Fail(StrCat("cannot write ", file), written, "--output names another file");
  return session.Show(Result(file, page.size(), data), [&] {
    std::string text =
        StrCat("Wrote ", file, " (", Bytes(static_cast<int64_t>(page.size())), "): open it in a browser\n");
    for (const std::string& line : data.left_out) StrAppend(&text, "  without ", OneLine(line), "\n");
    return text;
  });
}

}  // namespace

void AddReportCommand(CLI::App& jobs, Session& session) {
  auto flags = std::make_shared<Flags>();
  CLI::App* app =
      AddCommand(jobs, "report", "Write a web page about a job: results, curves, mistakes, layers, settings", session,
                 [=, &session](client::Client& client) -> int { return Report(session, client, *flags); });
  app->add_option("job", flags->job, "Name of the job")->required();
  // Here it is the file; for JSON the global option stands before the command.
  app->remove_option(app->get_option("--output"));
  app->add_option("--output", flags->file, "The page. Default: JOB-report.html. -: standard output")
      ->check([](const std::string& text) {
        const bool is_page =
            text == "-" || absl::EndsWithIgnoreCase(text, ".html") || absl::EndsWithIgnoreCase(text, ".htm");
        return is_page ? ""
                       : "must be a file that ends in .html, or -; --output json goes before the command: attune "
                         "--output json jobs report";
      })
      ->type_name("FILE");
  app->add_flag("--no-evaluate", flags->no_evaluate,
                "Do not run the best checkpoint: no calibration, no rows to look at");
}

}  // namespace attune::cli
