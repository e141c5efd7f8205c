#include "server/api/dataset_service.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/cord.h"
#include "google/rpc/error_details.pb.h"
#include "server/api/call_trace.h"
#include "server/api/streams/import_stream.h"
#include "server/api/unary.h"
#include "server/api/validation.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"

namespace attune::api {
namespace {

constexpr std::string_view kCollection = "datasets";
constexpr double kMaxFraction = 0.9;
constexpr int kMaxFiles = 1000;
constexpr int kMaxClassNames = 256;
constexpr int kMaxThumbnailPixels = 256;
constexpr int kMaxPreviewRows = 1000;

void CheckFraction(std::string_view field, double fraction, RequestCheck& check) {
  if (!std::isfinite(fraction) || fraction < 0 || fraction > kMaxFraction) {
    check.Violate(field, StrCat("is ", fraction, "; it must be a number from 0 to ", kMaxFraction));
  }
}

void CheckClassNames(const v1::ImportDatasetRequest& request, RequestCheck& check) {
  std::set<std::string> seen;
  for (int i = 0; i < std::min(request.class_names_size(), kMaxClassNames); ++i) {
    const std::string& name = request.class_names(i);
    const std::string field = StrCat("class_names[", i, "]");
    check.Text(field, name, 255);
    if (name.empty()) check.Violate(field, "is empty; name every class, from 0 up");
    if (!name.empty() && !seen.insert(name).second) check.Violate(field, "is also the name of an earlier class; give each its own");
  }
}

absl::Status CheckImport(const v1::ImportDatasetRequest& request) {
  RequestCheck check;
  check.OptionalId("dataset_id", request.dataset_id());
  check.Text("display_name", request.display_name(), 255);
  if (request.files().empty()) check.Violate("files", "is required: at least one finished upload");
  if (request.files_size() > kMaxFiles) check.Violate("files", StrCat("has ", request.files_size(), " entries; at most ", kMaxFiles, " are allowed"));
  for (int i = 0; i < request.files_size(); ++i) {
    check.Name(StrCat("files[", i, "].upload"), request.files(i).upload(), "uploads");
  }
  check.Text("text_column", request.text_column(), 255);
  check.Text("text_pair_column", request.text_pair_column(), 255);
  check.Text("image_column", request.image_column(), 255);
  if (request.class_names_size() > kMaxClassNames) check.Violate("class_names", StrCat("has ", request.class_names_size(), " entries; IDX labels have ", kMaxClassNames, " values at most"));
  CheckClassNames(request, check);
  check.Text("label_column", request.label_column(), 255);
  check.Text("split_column", request.split_column(), 255);
  CheckFraction("validation_fraction", request.validation_fraction(), check);
  CheckFraction("test_fraction", request.test_fraction(), check);
  if (request.validation_fraction() + request.test_fraction() > kMaxFraction) {
    check.Violate("test_fraction", StrCat("and validation_fraction add up to more than ", kMaxFraction, "; leave more rows for training"));
  }
  if (request.max_bad_rows() < -1) check.Violate("max_bad_rows", "is negative; use -1 for any number of bad rows");
  check.OptionalName("tokenizer_model", request.tokenizer_model(), "models");
  check.RequestId(request.request_id());
  return check.status();
}

void CheckRowIndices(const v1::PreviewRowsRequest& request, RequestCheck& check) {
  if (request.row_indices().empty()) return;
  if (request.row_indices_size() > kMaxPreviewRows) {
    check.Violate("row_indices", StrCat("has ", request.row_indices_size(), " entries; at most ", kMaxPreviewRows, " are allowed"));
  }
  for (int i = 0; i < std::min(request.row_indices_size(), kMaxPreviewRows); ++i) {
    if (request.row_indices(i) < 0) check.Violate(StrCat("row_indices[", i, "]"), StrCat("is ", request.row_indices(i), "; rows count from 0"));
  }
  if (request.page_size() != 0) check.Violate("page_size", "is not for named rows; leave it out, or row_indices");
  if (!request.page_token().empty()) check.Violate("page_token", "is not for named rows; leave it out, or row_indices");
}

// The position of an issue's file in the request: "files[2]".
std::string FileField(const std::string& filename, const std::vector<std::string>& filenames) {
  auto found = std::find(filenames.begin(), filenames.end(), filename);
  return found == filenames.end() ? "files" : StrCat("files[", found - filenames.begin(), "]");
}

void AddRowViolations(const v1::ImportReport& report, const std::vector<std::string>& filenames, google::rpc::BadRequest& bad_request) {
  for (const v1::RowIssue& issue : report.issues()) {
    auto* violation = bad_request.add_field_violations();
    std::string column = issue.column().empty() ? "" : StrCat(" column ", issue.column());
    std::string entry = issue.entry().empty() ? "" : StrCat(": ", issue.entry());
    std::string line = issue.line() == 0 ? "" : StrCat(" line ", issue.line());
    violation->set_field(StrCat(FileField(issue.filename(), filenames), ": ", issue.filename(), entry, line, column));
    violation->set_description(issue.message());
  }
}

// Whether it was the rows that failed the import, and not something else beside rows that were to be left out anyway.
bool FailedByRows(const v1::Dataset& dataset, const v1::ImportDatasetRequest& request) {
  int64_t bad = 0;
  for (const auto& [kind, count] : dataset.report().issue_counts()) bad += count;
  return request.max_bad_rows() >= 0 && bad > request.max_bad_rows();
}

// A failed import's status says which dataset holds the report: spell its rows out, and what to do about them.
absl::Status ExplainFailure(const absl::Status& status, const v1::ImportDatasetRequest& request, datasets::DatasetStore& store,
                            artifacts::ArtifactStore& artifacts) {
  auto payload = status.GetPayload("attune.v1.Dataset");
  if (!payload.has_value()) return status;
  std::string name(*payload);
  absl::StatusOr<v1::Dataset> dataset = store.Get(name);
  if (!dataset.ok()) return status;
  bool rows = FailedByRows(*dataset, request);
  absl::Status explained(status.code(), StrCat(std::string(status.message()), ". GetDataset ", name, " shows all that was found",
                                               rows ? "; mend the data, or import again with max_bad_rows to leave bad rows out" : ""));
  status.ForEachPayload([&explained](absl::string_view url, const absl::Cord& value) { explained.SetPayload(url, value); });
  SetMetadata(explained, "dataset", name);
  SetReason(explained, rows ? "BAD_ROWS" : "UNUSABLE_DATA");
  if (!rows) return explained;

  std::vector<std::string> filenames;
  for (const v1::ImportFile& file : request.files()) {
    absl::StatusOr<artifacts::UploadInfo> info = artifacts.GetUpload(file.upload().substr(file.upload().find('/') + 1));
    filenames.push_back(info.ok() ? info->filename : "");
  }
  google::rpc::BadRequest bad_request;
  if (auto fields = status.GetPayload(AbslView(kBadRequestPayload)); fields.has_value()) bad_request.ParseFromString(std::string(*fields));
  AddRowViolations(dataset->report(), filenames, bad_request);
  explained.SetPayload(AbslView(kBadRequestPayload), absl::Cord(bad_request.SerializeAsString()));
  return explained;
}

}  // namespace

grpc::ServerWriteReactor<v1::ImportDatasetResponse>* DatasetService::ImportDataset(grpc::CallbackServerContext* context,
                                                                                   const v1::ImportDatasetRequest* request) {
  const TraceScope trace = TraceOf(*context);
  if (absl::Status status = CheckImport(*request); !status.ok()) return RefuseImport(status);
  absl::StatusOr<Caller> caller = access_.CallerOf(*context);
  if (!caller.ok()) return RefuseImport(caller.status());
  // The request goes with the call; the import may outlive it.
  return StartImport(imports_, [this, caller = *std::move(caller), request = *request](const datasets::DatasetStore::Progress& progress) mutable -> absl::StatusOr<v1::Dataset> {
    ATTUNE_RETURN_IF_ERROR(access_.Check(caller, request));
    ATTUNE_ASSIGN_OR_RETURN(*request.mutable_project(), caller.ProjectForNew(request.project(), "project"));
    request.set_request_id(ScopedRequestId(request.project(), request.request_id()));
    absl::StatusOr<v1::Dataset> dataset = store_.Import(request, progress);
    if (!dataset.ok()) return ExplainFailure(dataset.status(), request, store_, artifacts_);
    return dataset;
  });
}

grpc::ServerUnaryReactor* DatasetService::GetDataset(grpc::CallbackServerContext* context, const v1::GetDatasetRequest* request,
                                                     v1::Dataset* response) {
  RequestCheck check;
  check.Name("name", request->name(), kCollection);
  if (!check.status().ok()) return Answer(context, check.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, request] { return store_.Get(request->name()); });
}

grpc::ServerUnaryReactor* DatasetService::ListDatasets(grpc::CallbackServerContext* context, const v1::ListDatasetsRequest* request,
                                                       v1::ListDatasetsResponse* response) {
  RequestCheck check;
  check.PageSize(request->page_size());
  if (!check.status().ok()) return Answer(context, check.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, request](const Caller& caller) {
    return store_.List(caller.Visible(), EffectivePageSize(request->page_size(), 50, 1000), request->page_token());
  });
}

grpc::ServerUnaryReactor* DatasetService::DeleteDataset(grpc::CallbackServerContext* context, const v1::DeleteDatasetRequest* request,
                                                        v1::DeleteDatasetResponse* response) {
  const TraceScope trace = TraceOf(*context);
  RequestCheck check;
  check.Name("name", request->name(), kCollection);
  if (!check.status().ok()) return Answer(context, check.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, request] { return store_.Delete(request->name()); });
}

grpc::ServerUnaryReactor* DatasetService::PreviewRows(grpc::CallbackServerContext* context, const v1::PreviewRowsRequest* request,
                                                      v1::PreviewRowsResponse* response) {
  RequestCheck check;
  check.Name("name", request->name(), kCollection);
  check.PageSize(request->page_size());
  check.OptionalName("tokenizer_model", request->tokenizer_model(), "models");
  if (request->thumbnail_pixels() < 0 || request->thumbnail_pixels() > kMaxThumbnailPixels) {
    check.Violate("thumbnail_pixels", StrCat("is ", request->thumbnail_pixels(), "; it must be 1 to ", kMaxThumbnailPixels, ", or 0 for no thumbnails"));
  }
  CheckRowIndices(*request, check);
  if (!check.status().ok()) return Answer(context, check.status());
  return AnswerFromPool(context, access_, pool_, request, response, [this, request] {
    v1::PreviewRowsRequest effective = *request;
    if (request->row_indices().empty()) effective.set_page_size(EffectivePageSize(request->page_size(), 10, kMaxPreviewRows));
    return store_.Preview(effective);
  });
}

}  // namespace attune::api
