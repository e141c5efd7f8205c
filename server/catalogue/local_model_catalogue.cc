#include "server/catalogue/local_model_catalogue.h"

#include <algorithm>
#include <map>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "server/base/ids.h"
#include "server/base/log.h"
#include "server/base/page_token.h"
#include "server/base/sha256.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/catalogue/import_request.h"
#include "server/catalogue/layer_listing.h"
#include "server/catalogue/model_check.h"
#include "server/catalogue/model_files.h"
#include "server/catalogue/model_digest.h"

namespace attune::catalogue {
namespace {

constexpr char kCollection[] = "models";
constexpr char kStagingPrefix[] = ".importing-";
constexpr size_t kCachedTokenizers = 4;  // some 10 MB each
constexpr int kDefaultPageSize = 50;
constexpr int kMaxPageSize = 1000;

absl::Status NotFound(const std::string& id) {
  return absl::NotFoundError(StrCat(kCollection, "/", id, " does not exist; list the models, or import it first"));
}

// Removes a directory when an import does not get through.
class Staging {
 public:
  Staging(Files& files, std::string path) : files_(files), path_(std::move(path)) {}
  ~Staging() {
    if (!path_.empty()) files_.RemoveRecursively(path_).IgnoreError();  // the next start tries again
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  const std::string& path() const { return path_; }
  void Moved() { path_.clear(); }

 private:
  Files& files_;
  std::string path_;
};

void FillFrom(const ModelDescription& description, v1::Model* model) {
  const architectures::Architecture& architecture = *description.config.architecture;
  const architectures::ModelLayout& layout = description.config.layout;
  model->set_architecture(architecture.name);
  model->set_modality(architectures::ModalityName(architecture.modality));
  model->set_head_name(architecture.head_name);
  int64_t count = 0;
  for (const architectures::ParameterShape& parameter : layout.parameters) count += parameter.value_count();
  model->set_parameter_count(count);
  if (architecture.modality == architectures::Modality::kText) {
    model->set_max_length(static_cast<int32_t>(layout.max_length));
  } else {
    model->set_image_size(layout.image.image_size);
    model->set_min_image_size(layout.image.min_image_size);
    model->set_image_size_multiple(layout.image.size_step);
  }
  for (const std::string& group : layout.groups) model->add_layer_groups(group);
  for (const std::string& name : description.ignored_tensors) model->add_ignored_tensors(name);
}

}  // namespace

class LocalModelCatalogue::IdLock {
 public:
  IdLock(LocalModelCatalogue& catalogue, std::string id) : catalogue_(catalogue), id_(std::move(id)) {
    absl::MutexLock lock(&catalogue_.mutex_);
    const auto is_free = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(catalogue_.mutex_) {
      return catalogue_.busy_ids_.count(id_) == 0;
    };
    catalogue_.mutex_.Await(absl::Condition(&is_free));
    catalogue_.busy_ids_.insert(id_);
  }
  ~IdLock() {
    absl::MutexLock lock(&catalogue_.mutex_);
    catalogue_.busy_ids_.erase(id_);
  }
  IdLock(const IdLock&) = delete;
  IdLock& operator=(const IdLock&) = delete;

 private:
  LocalModelCatalogue& catalogue_;
  const std::string id_;
};

absl::StatusOr<std::unique_ptr<ModelCatalogue>> ModelCatalogue::Create(std::string root, Database& database,
                                                                       artifacts::ArtifactStore& artifacts,
                                                                       Files& files, const Clock& clock) {
  auto catalogue = std::make_unique<LocalModelCatalogue>(std::move(root), database, artifacts, files, clock);
  ATTUNE_RETURN_IF_ERROR(catalogue->Start());
  return catalogue;
}

LocalModelCatalogue::LocalModelCatalogue(std::string root, Database& database, artifacts::ArtifactStore& artifacts,
                                         Files& files, const Clock& clock)
    : root_(std::move(root)), artifacts_(artifacts), files_(files), clock_(clock), rows_(database) {}

absl::Status LocalModelCatalogue::Start() {
  ATTUNE_RETURN_IF_ERROR(rows_.Migrate());
  ATTUNE_RETURN_IF_ERROR(files_.CreateDirectories(root_));
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> ids, rows_.Ids());
  const std::set<std::string> known(ids.begin(), ids.end());
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(root_));
  for (const std::string& name : names) {
    if (known.count(name) > 0) continue;
    const absl::Status removed = files_.RemoveRecursively(StrCat(root_, "/", name));
    Log(removed.ok() ? LogLevel::kInfo : LogLevel::kWarning,
        "removed the files of a model that was never complete or was deleted",
        {{"directory", name}, {"result", removed.ToString()}});
  }
  return absl::OkStatus();
}

std::string LocalModelCatalogue::DirectoryOf(const std::string& id) const { return StrCat(root_, "/", id); }

// Import
// -------------------------------------------------------------------------------------------------------------------

absl::StatusOr<v1::Model> LocalModelCatalogue::Import(const v1::ImportModelRequest& request) {
  ATTUNE_RETURN_IF_ERROR(CheckImportRequest(request));
  const std::string digest = ImportRequestDigest(request);
  // A retry that comes while the first try still runs waits for it, and then finds its model.
  const IdLock lock(*this, request.model_id());
  ATTUNE_ASSIGN_OR_RETURN(std::optional<v1::Model> earlier, FindEarlier(request, digest));
  if (earlier.has_value()) return *std::move(earlier);
  return ImportNew(request, digest);
}

absl::StatusOr<std::optional<v1::Model>> LocalModelCatalogue::FindEarlier(const v1::ImportModelRequest& request,
                                                                          const std::string& digest) {
  if (!request.request_id().empty()) {
    ATTUNE_ASSIGN_OR_RETURN(std::optional<ModelRow> row, rows_.FindByRequestId(request.request_id()));
    if (row.has_value() && row->request_digest == digest) return std::move(row->model);
    if (row.has_value()) {
      return absl::AlreadyExistsError(StrCat("request_id: was used before for another import (", row->model.name(), "); use a new request_id for a new import"));
    }
  }
  ATTUNE_ASSIGN_OR_RETURN(const std::optional<ModelRow> row, rows_.FindById(request.model_id()));
  if (!row.has_value()) return std::nullopt;
  if (row->model.project() != ProjectOrDefault(request.project())) return absl::AlreadyExistsError("model_id: is taken on this server; choose another");
  return absl::AlreadyExistsError(
      StrCat(row->model.name(), " exists already; choose another model_id, or delete it first"));
}

absl::StatusOr<v1::Model> LocalModelCatalogue::ImportNew(const v1::ImportModelRequest& request,
                                                         const std::string& digest) {
  v1::Model model;
  model.set_name(StrCat(kCollection, "/", request.model_id()));
  model.set_project(ProjectOrDefault(request.project()));
  model.set_display_name(request.display_name().empty() ? request.model_id() : request.display_name());
  Staging staging(files_, StrCat(root_, "/", kStagingPrefix, NewId('i')));
  ATTUNE_RETURN_IF_ERROR(files_.CreateDirectories(staging.path()));
  ATTUNE_RETURN_IF_ERROR(Gather(request, staging.path(), &model));
  ATTUNE_RETURN_IF_ERROR(CheckStorage(model));
  ATTUNE_ASSIGN_OR_RETURN(const ModelDescription description, CheckModelDirectory(staging.path()));
  FillFrom(description, &model);
  const absl::Time now = clock_.Now();
  model.mutable_create_time()->set_seconds(absl::ToUnixSeconds(now));
  model.mutable_create_time()->set_nanos(
      static_cast<int32_t>((now - absl::FromUnixSeconds(absl::ToUnixSeconds(now))) / absl::Nanoseconds(1)));
  ATTUNE_RETURN_IF_ERROR(Publish(request, digest, staging.path(), model));
  staging.Moved();
  Log(LogLevel::kInfo, "model imported",
      {{"model", model.name()}, {"architecture", model.architecture()}, {"parameters", model.parameter_count()}});
  return model;
}

absl::Status LocalModelCatalogue::Gather(const v1::ImportModelRequest& request, const std::string& staging,
                                         v1::Model* model) {
  std::map<std::string, std::string> digests;  // by name: the order of the request does not matter
  for (int i = 0; i < request.files_size(); ++i) {
    const v1::ModelFile& file = request.files(i);
    const auto fail = [&](const absl::Status& status) {
      return absl::Status(status.code(), StrCat("files[", i, "] (", file.path(), "): ", std::string(status.message())));
    };
    const std::string upload_id = *ParseResourceName(file.upload(), "uploads");  // CheckImportRequest has parsed it
    const absl::StatusOr<artifacts::UploadInfo> upload = artifacts_.GetUpload(upload_id);
    if (!upload.ok()) return fail(upload.status());
    ATTUNE_RETURN_IF_ERROR(CheckModelFileSize(*FindModelFileRule(file.path()), upload->size_bytes));
    const absl::Status put = artifacts_.MaterializeUpload(upload_id, StrCat(staging, "/", file.path()));
    if (!put.ok()) return fail(put);
    digests[file.path()] = upload->sha256;
    model->set_size_bytes(model->size_bytes() + upload->size_bytes);
  }
  model->set_digest(ModelDigest(digests));
  return absl::OkStatus();
}

absl::Status LocalModelCatalogue::Publish(const v1::ImportModelRequest& request, const std::string& digest,
                                          const std::string& staging, const v1::Model& model) {
  const std::string directory = DirectoryOf(request.model_id());
  ATTUNE_RETURN_IF_ERROR(files_.SyncDirectory(staging));
  ATTUNE_RETURN_IF_ERROR(files_.RemoveRecursively(directory));  // what a deletion could not remove
  ATTUNE_RETURN_IF_ERROR(files_.Rename(staging, directory));
  Staging published(files_, directory);
  ATTUNE_RETURN_IF_ERROR(files_.SyncDirectory(root_));
  ATTUNE_RETURN_IF_ERROR(rows_.Insert(request.model_id(), model, request.request_id(), digest));
  published.Moved();
  return absl::OkStatus();
}

// Reading and deleting
// -----------------------------------------------------------------------------------------------------

absl::StatusOr<v1::Model> LocalModelCatalogue::Find(const std::string& id) {
  ATTUNE_ASSIGN_OR_RETURN(std::optional<ModelRow> row, rows_.FindById(id));
  if (!row.has_value()) return NotFound(id);
  return std::move(row->model);
}

absl::StatusOr<v1::Model> LocalModelCatalogue::Get(const std::string& name) {
  ATTUNE_ASSIGN_OR_RETURN(const std::string id, ParseResourceName(name, kCollection));
  return Find(id);
}

absl::StatusOr<v1::ListModelsResponse> LocalModelCatalogue::List(const ProjectSet& projects, int32_t page_size, const std::string& page_token) {
  if (page_size < 0)
    return absl::InvalidArgumentError(
        StrCat("page_size is ", page_size, "; use 0 (the default, ", kDefaultPageSize, ") or more"));
  const int limit = page_size == 0 ? kDefaultPageSize : std::min(page_size, kMaxPageSize);
  ATTUNE_ASSIGN_OR_RETURN(const std::string cursor, ReadPageToken(kCollection, page_token));
  int64_t before = 0;
  if (!cursor.empty() && !absl::SimpleAtoi(cursor, &before))
    return absl::InvalidArgumentError("page_token: not made by this list; leave it empty");
  ATTUNE_ASSIGN_OR_RETURN(std::vector<ModelRow> rows, rows_.List(projects, before, limit + 1));
  v1::ListModelsResponse response;
  if (static_cast<int>(rows.size()) > limit) {
    rows.pop_back();
    response.set_next_page_token(MakePageToken(kCollection, StrCat(rows.back().order)));
  }
  for (ModelRow& row : rows) *response.add_models() = std::move(row.model);
  return response;
}

absl::Status LocalModelCatalogue::Delete(const std::string& name) {
  ATTUNE_ASSIGN_OR_RETURN(const std::string id, ParseResourceName(name, kCollection));
  const IdLock lock(*this, id);
  std::function<bool(const std::string&)> in_use;
  {
    absl::MutexLock mutex_lock(&mutex_);
    in_use = in_use_;
  }
  ATTUNE_RETURN_IF_ERROR(Find(id).status());
  if (in_use && in_use(name)) {
    return absl::FailedPreconditionError(
        StrCat(name, " is used by a job that has not ended; wait for the job, or cancel it, and delete then"));
  }
  ATTUNE_ASSIGN_OR_RETURN(const bool deleted, rows_.Delete(id));
  if (!deleted) return NotFound(id);
  const absl::Status removed = files_.RemoveRecursively(DirectoryOf(id));
  if (!removed.ok())
    Log(LogLevel::kWarning, "files of a deleted model stay until the next start",
        {{"model", name}, {"reason", removed.ToString()}});
  return absl::OkStatus();
}

absl::StatusOr<v1::DescribeLayersResponse> LocalModelCatalogue::DescribeLayers(
    const v1::DescribeLayersRequest& request) {
  ATTUNE_ASSIGN_OR_RETURN(const std::string directory, Directory(request.name()));
  ATTUNE_ASSIGN_OR_RETURN(const ModelConfig config, ReadModelConfig(directory, static_cast<architectures::Pooling>(request.pooling())));
  return ListLayers(config.layout, config.architecture->prefix, request.patterns());
}

absl::StatusOr<std::string> LocalModelCatalogue::Directory(const std::string& name) {
  ATTUNE_ASSIGN_OR_RETURN(const std::string id, ParseResourceName(name, kCollection));
  ATTUNE_RETURN_IF_ERROR(Find(id).status());
  std::string directory = DirectoryOf(id);
  if (!FileExists(StrCat(directory, "/", kConfigFile))) {
    return absl::DataLossError(StrCat("the files of ", name, " are gone from ", directory,
                                      "; restore them from a backup, or delete the model and import it again"));
  }
  return directory;
}

absl::StatusOr<std::shared_ptr<const tokenizers::Tokenizer>> LocalModelCatalogue::Tokenizer(const std::string& name) {
  ATTUNE_ASSIGN_OR_RETURN(const v1::Model model, Get(name));
  if (model.modality() != architectures::ModalityName(architectures::Modality::kText)) {
    return absl::InvalidArgumentError(
        StrCat(name, " takes images and has no tokenizer; name a text model, or leave it out"));
  }
  const auto same_files = [&](const auto& entry) { return entry.first == model.digest(); };
  {
    absl::MutexLock lock(&mutex_);
    const auto found = std::find_if(tokenizers_.begin(), tokenizers_.end(), same_files);
    if (found != tokenizers_.end()) {
      std::rotate(tokenizers_.begin(), found, found + 1);
      return tokenizers_.front().second;
    }
  }
  ATTUNE_ASSIGN_OR_RETURN(const std::string directory, Directory(name));
  ATTUNE_ASSIGN_OR_RETURN(const auto tokenizer, tokenizers::LoadTokenizer(directory));
  absl::MutexLock lock(&mutex_);
  if (std::none_of(tokenizers_.begin(), tokenizers_.end(), same_files))
    tokenizers_.emplace_front(model.digest(), tokenizer);
  if (tokenizers_.size() > kCachedTokenizers) tokenizers_.pop_back();
  return tokenizer;
}

void LocalModelCatalogue::SetInUseCheck(std::function<bool(const std::string& name)> in_use) {
  absl::MutexLock lock(&mutex_);
  in_use_ = std::move(in_use);
}

void LocalModelCatalogue::SetStorageCheck(artifacts::StorageCheck check) {
  absl::MutexLock lock(&mutex_);
  storage_check_ = std::move(check);
}

absl::Status LocalModelCatalogue::CheckStorage(const v1::Model& model) {
  artifacts::StorageCheck check;  // it asks for what the models take
  {
    absl::MutexLock lock(&mutex_);
    check = storage_check_;
  }
  return check ? check(model.project(), model.size_bytes()) : absl::OkStatus();
}

}  // namespace attune::catalogue
