// Imports of LocalDatasetStore: who may begin, waiting for another's import, and the end, good or bad.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/time/time.h"
#include "server/base/ids.h"
#include "server/base/log.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/datasets/formats/text.h"
#include "server/datasets/importing/importer.h"
#include "server/datasets/importing/metered_files.h"
#include "server/datasets/local_dataset_store.h"

namespace attune::datasets {
namespace {

constexpr absl::Duration kWaitersProgress = absl::Milliseconds(500);
constexpr char kDatasetPayload[] = "attune.v1.Dataset";

std::string RequestDigest(v1::ImportDatasetRequest request) {
  request.clear_request_id();
  return Sha256Hex(request.SerializeAsString());
}

void SetTime(absl::Time time, google::protobuf::Timestamp& out) {
  const absl::Duration since_epoch = time - absl::UnixEpoch();
  const int64_t seconds = absl::ToInt64Seconds(absl::Floor(since_epoch, absl::Seconds(1)));
  out.set_seconds(seconds);
  out.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(since_epoch - absl::Seconds(seconds))));
}

// The answer of an import whose data could not be used: the dataset is there, with its report.
absl::Status FailureOf(const v1::Dataset& dataset) {
  absl::Status status = absl::InvalidArgumentError(dataset.error());
  status.SetPayload(kDatasetPayload, absl::Cord(dataset.name()));
  return status;
}

}  // namespace

absl::StatusOr<v1::Dataset> LocalDatasetStore::Import(const v1::ImportDatasetRequest& request,
                                                      const Progress& progress) {
  ATTUNE_RETURN_IF_ERROR(CheckImportRequest(request));
  ATTUNE_ASSIGN_OR_RETURN(Beginning beginning, Begin(request));
  if (beginning.answer) return *std::move(beginning.answer);
  if (beginning.other) return WaitFor(beginning.other, progress);
  absl::StatusOr<v1::Dataset> result = Work(beginning, progress);
  absl::MutexLock lock(&mutex_);
  beginning.own->result = result;
  beginning.own->done = true;
  active_.erase(beginning.row.id);
  return result;
}

absl::StatusOr<LocalDatasetStore::Beginning> LocalDatasetStore::Begin(const v1::ImportDatasetRequest& request) {
  const std::string digest = RequestDigest(request);
  std::string id = request.dataset_id();
  {
    // An answer that is there already does not depend on uploads, which may be gone by now.
    absl::MutexLock lock(&mutex_);
    ATTUNE_ASSIGN_OR_RETURN(std::optional<Beginning> earlier, FindEarlier(request, digest, id));
    if (earlier) return *std::move(earlier);
    if (!id.empty()) ATTUNE_RETURN_IF_ERROR(CheckIdIsFree(id, ProjectOrDefault(request.project())));
  }
  ATTUNE_RETURN_IF_ERROR(CheckStorage(ProjectOrDefault(request.project()), 1));
  Beginning beginning;
  ATTUNE_ASSIGN_OR_RETURN(beginning.plan, MakePlan(request));

  absl::MutexLock lock(&mutex_);
  ATTUNE_ASSIGN_OR_RETURN(std::optional<Beginning> earlier, FindEarlier(request, digest, id));
  if (earlier) return *std::move(earlier);
  if (id.empty()) id = NewId('d');
  ATTUNE_RETURN_IF_ERROR(CheckIdIsFree(id, ProjectOrDefault(request.project())));
  DatasetRow& row = beginning.row;
  row = {.id = id, .request_id = request.request_id(), .request_digest = digest};
  row.dataset.set_name(StrCat("datasets/", id));
  row.dataset.set_display_name(request.display_name().empty() ? beginning.plan.files[0].filename
                                                              : request.display_name());
  row.dataset.set_state(v1::Dataset::STATE_IMPORTING);
  row.dataset.set_project(ProjectOrDefault(request.project()));
  row.dataset.set_modality(examples::ModalityName(beginning.plan.modality));
  SetTime(clock_.Now(), *row.dataset.mutable_create_time());
  ATTUNE_RETURN_IF_ERROR(table_.Put(row));
  beginning.own = std::make_shared<ActiveImport>();
  active_[id] = beginning.own;
  return beginning;
}

absl::StatusOr<std::optional<LocalDatasetStore::Beginning>> LocalDatasetStore::FindEarlier(
    const v1::ImportDatasetRequest& request, const std::string& digest, std::string& id) {
  if (request.request_id().empty()) return std::optional<Beginning>();
  ATTUNE_ASSIGN_OR_RETURN(const std::optional<DatasetRow> row, table_.FindByRequestId(request.request_id()));
  if (!row) return std::optional<Beginning>();
  if (row->request_digest != digest) {
    return absl::AlreadyExistsError(StrCat("request_id: was used for another import, of ", row->dataset.name(), ": use a new request_id for each new request"));
  }
  Beginning earlier;
  if (const auto found = active_.find(row->id); found != active_.end()) {
    earlier.other = found->second;
  } else if (row->dataset.state() == v1::Dataset::STATE_READY) {
    earlier.answer = row->dataset;
  } else if (row->dataset.state() == v1::Dataset::STATE_FAILED && !row->interrupted) {
    earlier.answer = FailureOf(row->dataset);
  } else {
    id = row->id;  // it was not the data's fault: the import runs again
    return std::optional<Beginning>();
  }
  return std::optional<Beginning>(std::move(earlier));
}

absl::Status LocalDatasetStore::CheckIdIsFree(const std::string& id, std::string_view project) {
  if (active_.count(id) > 0)
    return absl::AlreadyExistsError(StrCat("datasets/", id, " is being imported: choose another dataset_id"));
  ATTUNE_ASSIGN_OR_RETURN(const std::optional<DatasetRow> row, table_.FindById(id));
  // A failed import makes room for the next one of its project.
  if (!row || (row->dataset.state() != v1::Dataset::STATE_READY && row->dataset.project() == project)) return absl::OkStatus();
  if (row->dataset.project() != project) return absl::AlreadyExistsError("dataset_id: is taken on this server; choose another");
  return absl::AlreadyExistsError(
      StrCat("datasets/", id, " exists: choose another dataset_id, or delete that dataset first"));
}

absl::Status LocalDatasetStore::CheckStorage(const std::string& project, int64_t added_bytes) {
  artifacts::StorageCheck check;  // it asks for what the datasets take
  {
    absl::MutexLock lock(&mutex_);
    check = storage_check_;
  }
  return check ? check(project, added_bytes) : absl::OkStatus();
}

absl::StatusOr<ImportPlan> LocalDatasetStore::MakePlan(const v1::ImportDatasetRequest& request) {
  ImportPlan plan = PlanImport(request);
  plan.max_row_bytes = static_cast<size_t>(options_.max_row_bytes);
  plan.max_rows = options_.max_rows;
  plan.max_unpacked_bytes = options_.max_unpacked_bytes;
  plan.image_limits = options_.image_limits;
  plan.archive_limits = options_.archive_limits;
  for (const v1::ImportFile& requested : request.files()) {
    PlannedFile& file = plan.files.emplace_back();
    ATTUNE_ASSIGN_OR_RETURN(const std::string id, ParseResourceName(requested.upload(), "uploads"));
    ATTUNE_ASSIGN_OR_RETURN(const artifacts::UploadInfo upload, artifacts_.GetUpload(id));
    ATTUNE_ASSIGN_OR_RETURN(file.path, artifacts_.UploadPath(id));
    file.filename = upload.filename;
    file.size_bytes = upload.size_bytes;
    file.split = FromProto(requested.split());
    ATTUNE_ASSIGN_OR_RETURN(file.format, FindFormat(request.format(), upload.filename));
  }
  ATTUNE_RETURN_IF_ERROR(SettleModality(request, plan));
  if (!request.tokenizer_model().empty()) {
    ATTUNE_ASSIGN_OR_RETURN(plan.tokenizer, tokenizers_(request.tokenizer_model()));
  }
  return plan;
}

absl::StatusOr<v1::Dataset> LocalDatasetStore::WaitFor(const std::shared_ptr<ActiveImport>& import,
                                                       const Progress& progress) {
  while (true) {
    int64_t rows_read = 0;
    double fraction = 0;
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&import->done), kWaitersProgress)) return import->result;
      rows_read = import->rows_read;
      fraction = import->fraction;
    }
    if (progress) progress(rows_read, fraction);
  }
}

absl::StatusOr<v1::Dataset> LocalDatasetStore::Work(Beginning& beginning, const Progress& progress) {
  const auto report = [&](int64_t rows_read, double fraction) {
    {
      absl::MutexLock lock(&mutex_);
      beginning.own->rows_read = rows_read;
      beginning.own->fraction = fraction;
    }
    if (progress) progress(rows_read, fraction);
  };
  const std::string& id = beginning.row.id;
  v1::Dataset dataset = beginning.row.dataset;
  const absl::Status made = MakeFiles(beginning, report, dataset);
  if (const absl::Status removed = files_.RemoveRecursively(ScratchPath(id)); !removed.ok()) {
    Log(LogLevel::kWarning, "scratch space of an import stays until the next start",
        {{"dataset", dataset.name()}, {"error", removed.ToString()}});
  }
  return Settle(id, std::move(dataset), made);
}

absl::Status LocalDatasetStore::MakeFiles(const Beginning& beginning, const Progress& progress, v1::Dataset& dataset) {
  const std::string& id = beginning.row.id;
  const std::string scratch = ScratchPath(id);
  ATTUNE_RETURN_IF_ERROR(files_.RemoveRecursively(scratch));
  ATTUNE_RETURN_IF_ERROR(files_.CreateDirectories(scratch));
  MeteredFiles metered(files_, scratch + "/dataset", [&](int64_t bytes) { return CheckStorage(dataset.project(), bytes); });
  ATTUNE_RETURN_IF_ERROR(RunImport(beginning.plan, metered, scratch, scratch + "/dataset", progress, dataset));
  ATTUNE_RETURN_IF_ERROR(metered.Check());
  ATTUNE_RETURN_IF_ERROR(files_.RemoveRecursively(Path(id)));
  ATTUNE_RETURN_IF_ERROR(files_.Rename(scratch + "/dataset", Path(id)));
  return files_.SyncDirectory(options_.root);
}

absl::StatusOr<v1::Dataset> LocalDatasetStore::Settle(const std::string& id, v1::Dataset dataset, absl::Status made) {
  if (made.ok()) {
    dataset.set_state(v1::Dataset::STATE_READY);
    made = table_.Update(id, dataset, /*interrupted=*/false);
    if (made.ok()) return dataset;
  }
  const bool data = made.code() == absl::StatusCode::kInvalidArgument;
  Log(data ? LogLevel::kInfo : LogLevel::kError, "import failed",
      {{"dataset", dataset.name()}, {"error", std::string(made.message())}});
  const auto note = [&](std::string_view what, const absl::Status& status) {
    if (status.ok()) return;
    Log(LogLevel::kWarning, StrCat(what, " of a failed import stay until the next start"),
        {{"dataset", dataset.name()}, {"error", status.ToString()}});
  };
  note("files", files_.RemoveRecursively(Path(id)));
  if (!data) {
    // Not the data's fault: nothing stays, and the same request may be made again.
    note("rows", table_.Delete(id));
    return made;
  }
  dataset.set_state(v1::Dataset::STATE_FAILED);
  dataset.set_error(std::string(made.message()));
  ATTUNE_RETURN_IF_ERROR(table_.Update(id, dataset, /*interrupted=*/false));
  made.SetPayload(kDatasetPayload, absl::Cord(dataset.name()));
  return made;
}

}  // namespace attune::datasets
