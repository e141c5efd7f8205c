// Everything but imports, which are in local_dataset_import.cc.
#include "server/datasets/local_dataset_store.h"

#include <limits>
#include <set>
#include <utility>

#include "absl/strings/numbers.h"
#include "server/base/disk_usage.h"
#include "server/base/ids.h"
#include "server/base/log.h"
#include "server/base/page_token.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/datasets/dataset_preview.h"
#include "server/datasets/formats/text.h"

namespace attune::datasets {
namespace {

constexpr char kCollection[] = "datasets";
constexpr std::string_view kScratchPrefix = ".import-";
constexpr std::string_view kDeletedPrefix = ".deleted-";
constexpr size_t kMaxPageBytes = size_t{1} << 20;

}  // namespace

absl::StatusOr<std::unique_ptr<DatasetStore>> DatasetStore::Create(DatasetStoreOptions options, Database& database,
                                                                   artifacts::ArtifactStore& artifacts, Files& files,
                                                                   const Clock& clock, TokenizerProvider tokenizers) {
  auto store =
      std::make_unique<LocalDatasetStore>(std::move(options), database, artifacts, files, clock, std::move(tokenizers));
  ATTUNE_RETURN_IF_ERROR(store->Initialize());
  return store;
}

LocalDatasetStore::LocalDatasetStore(DatasetStoreOptions options, Database& database,
                                     artifacts::ArtifactStore& artifacts, Files& files, const Clock& clock,
                                     TokenizerProvider tokenizers)
    : options_(std::move(options)),
      table_(database),
      artifacts_(artifacts),
      files_(files),
      clock_(clock),
      tokenizers_(std::move(tokenizers)) {}

absl::Status LocalDatasetStore::Initialize() {
  ATTUNE_RETURN_IF_ERROR(files_.CreateDirectories(options_.root));
  ATTUNE_RETURN_IF_ERROR(table_.Migrate());
  return RemoveLeftovers();
}

absl::Status LocalDatasetStore::RepairRow(const DatasetRow& row) {
  v1::Dataset dataset = row.dataset;
  if (dataset.state() == v1::Dataset::STATE_IMPORTING) {
    dataset.set_error("the server stopped during the import: import again, the uploads are still there");
  } else if (dataset.state() == v1::Dataset::STATE_READY && !FileExists(Path(row.id) + "/manifest.json")) {
    dataset.set_error(StrCat("the files of the dataset are gone from ", Path(row.id),
                             ": import again, or restore them from a backup"));
  } else {
    return absl::OkStatus();
  }
  Log(LogLevel::kWarning, "dataset has failed", {{"dataset", dataset.name()}, {"error", dataset.error()}});
  dataset.set_state(v1::Dataset::STATE_FAILED);
  return table_.Update(row.id, dataset, /*interrupted=*/true);
}

absl::Status LocalDatasetStore::RemoveLeftovers() {
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(options_.root));
  // A deletion that was interrupted is finished first: its row may still be there. With a directory in its place the
  // row is that of a later dataset with the same id.
  for (const std::string& name : names) {
    if (!std::string_view(name).starts_with(kDeletedPrefix)) continue;
    const std::string id = name.substr(kDeletedPrefix.size());
    if (!FileExists(Path(id))) ATTUNE_RETURN_IF_ERROR(table_.Delete(id));
  }
  std::set<std::string> not_ready;
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<DatasetRow> rows, table_.All());
  for (const DatasetRow& row : rows) {
    ATTUNE_RETURN_IF_ERROR(RepairRow(row));
    if (row.dataset.state() != v1::Dataset::STATE_READY) not_ready.insert(row.id);
  }
  for (const std::string& name : names) {
    const std::string_view view = name;
    const bool temporary = view.starts_with(kScratchPrefix) || view.starts_with(kDeletedPrefix);
    // A directory without any row stays: perhaps the database is not the one that belongs to it.
    const bool orphan = not_ready.count(name) > 0;
    if (temporary || orphan) ATTUNE_RETURN_IF_ERROR(files_.RemoveRecursively(Path(name)));
  }
  return absl::OkStatus();
}

absl::StatusOr<DatasetRow> LocalDatasetStore::Find(const std::string& name) {
  ATTUNE_ASSIGN_OR_RETURN(const std::string id, ParseResourceName(name, kCollection));
  ATTUNE_ASSIGN_OR_RETURN(std::optional<DatasetRow> row, table_.FindById(id));
  if (!row)
    return absl::NotFoundError(
        StrCat("there is no dataset ", Quoted(name, 100), ": ListDatasets has those that exist"));
  return *std::move(row);
}

absl::StatusOr<v1::Dataset> LocalDatasetStore::Get(const std::string& name) {
  ATTUNE_ASSIGN_OR_RETURN(DatasetRow row, Find(name));
  return std::move(row.dataset);
}

absl::StatusOr<v1::ListDatasetsResponse> LocalDatasetStore::List(const ProjectSet& projects, int32_t page_size, const std::string& page_token) {
  ATTUNE_ASSIGN_OR_RETURN(const int32_t size, PageSize(page_size, 50));
  ATTUNE_ASSIGN_OR_RETURN(const std::string cursor, ReadPageToken(kCollection, page_token));
  int64_t before = std::numeric_limits<int64_t>::max();
  if (!cursor.empty() && !absl::SimpleAtoi(cursor, &before))
    return absl::InternalError(StrCat("strange page token: ", cursor));

  // One more than asked for tells whether there is another page.
  ATTUNE_ASSIGN_OR_RETURN(std::vector<DatasetTable::Entry> entries, table_.List(projects, before, size + 1));
  v1::ListDatasetsResponse response;
  size_t bytes = 0;
  for (DatasetTable::Entry& entry : entries) {
    entry.dataset.mutable_report()->clear_issues();
    const size_t entry_bytes = entry.dataset.ByteSizeLong();
    // A response has to fit into a message, however many classes the datasets have.
    if (response.datasets_size() == size || (response.datasets_size() > 0 && bytes + entry_bytes > kMaxPageBytes)) {
      response.set_next_page_token(MakePageToken(kCollection, StrCat(before)));
      break;
    }
    bytes += entry_bytes;
    before = entry.sequence;
    *response.add_datasets() = std::move(entry.dataset);
  }
  return response;
}

absl::StatusOr<int64_t> LocalDatasetStore::StoredBytes(const std::string& project) {
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> ids, table_.Ids(project));
  FilesSeen seen;
  int64_t bytes = 0;
  for (const std::string& id : ids) bytes += BytesBelow(Path(id), seen);
  return bytes;
}

absl::Status LocalDatasetStore::Delete(const std::string& name) {
  ATTUNE_RETURN_IF_ERROR(Find(name).status());
  std::function<bool(const std::string&)> in_use;
  {
    absl::MutexLock lock(&mutex_);
    in_use = in_use_;
  }
  if (in_use && in_use(name)) {
    return absl::FailedPreconditionError(
        StrCat(name, " is used by a job that has not ended: wait for the job or cancel it, then delete the dataset"));
  }
  std::string id;
  {
    absl::MutexLock lock(&mutex_);
    ATTUNE_ASSIGN_OR_RETURN(const DatasetRow row, Find(name));
    id = row.id;
    if (active_.count(id) > 0)
      return absl::FailedPreconditionError(StrCat(name, " is being imported: delete it when the import has ended"));
    // The rename is what deletes: nothing half-deleted is ever seen, and a crash from here on is finished at the next
    // start.
    if (FileExists(Path(id))) {
      ATTUNE_RETURN_IF_ERROR(files_.RemoveRecursively(DeletedPath(id)));
      ATTUNE_RETURN_IF_ERROR(files_.Rename(Path(id), DeletedPath(id)));
      ATTUNE_RETURN_IF_ERROR(files_.SyncDirectory(options_.root));
    }
    if (absl::Status status = table_.Delete(id); !status.ok()) {
      files_.Rename(DeletedPath(id), Path(id)).IgnoreError();  // or the next start finishes the deletion
      return status;
    }
  }
  if (const absl::Status removed = files_.RemoveRecursively(DeletedPath(id)); !removed.ok()) {
    Log(LogLevel::kWarning, "files of a deleted dataset stay until the next start",
        {{"dataset", name}, {"error", removed.ToString()}});
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::PreviewRowsResponse> LocalDatasetStore::Preview(const v1::PreviewRowsRequest& request) {
  ATTUNE_ASSIGN_OR_RETURN(const std::string directory, Directory(request.name()));
  std::shared_ptr<const tokenizers::Tokenizer> tokenizer;
  if (!request.tokenizer_model().empty()) {
    ATTUNE_ASSIGN_OR_RETURN(tokenizer, tokenizers_(request.tokenizer_model()));
  }
  return PreviewRows(directory, request, tokenizer.get());
}

absl::StatusOr<std::string> LocalDatasetStore::Directory(const std::string& name) {
  ATTUNE_ASSIGN_OR_RETURN(const DatasetRow row, Find(name));
  switch (row.dataset.state()) {
    case v1::Dataset::STATE_READY:
      return Path(row.id);
    case v1::Dataset::STATE_IMPORTING:
      return absl::FailedPreconditionError(StrCat(name, " is being imported: wait until its state is STATE_READY"));
    default:
      return absl::FailedPreconditionError(
          StrCat(name, " has no rows, because its import failed (", row.dataset.error(), "): import it again"));
  }
}

void LocalDatasetStore::SetInUseCheck(std::function<bool(const std::string& name)> in_use) {
  absl::MutexLock lock(&mutex_);
  in_use_ = std::move(in_use);
}

void LocalDatasetStore::SetStorageCheck(artifacts::StorageCheck check) {
  absl::MutexLock lock(&mutex_);
  storage_check_ = std::move(check);
}

}  // namespace attune::datasets
