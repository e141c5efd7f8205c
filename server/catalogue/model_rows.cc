#include "server/catalogue/model_rows.h"

#include <utility>

#include "server/architectures/architecture.h"
#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/database/project_clause.h"

namespace attune::catalogue {
namespace {

// Never change one that was released; append.
const std::vector<std::string>& Migrations() {
  static const auto& migrations = *new std::vector<std::string>{
      R"sql(
      CREATE TABLE models(
        creation_order INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        resource BLOB NOT NULL,          -- attune.v1.Model
        request_id TEXT UNIQUE,          -- NULL: none
        request_digest TEXT NOT NULL
      );
      )sql",
      "ALTER TABLE models ADD COLUMN project TEXT NOT NULL DEFAULT 'default'"};
  return migrations;
}

constexpr char kSelect[] = "SELECT creation_order, resource, request_digest FROM models ";

// Rows written before there were image models lack what was the same for all.
void Complete(v1::Model* model) {
  if (model->project().empty()) model->set_project(std::string(kDefaultProject));
  if (!model->modality().empty()) return;
  model->set_modality(architectures::ModalityName(architectures::Modality::kText));
  const auto* architecture = architectures::ArchitectureRegistry::Get().Find(model->architecture());
  if (architecture != nullptr) model->set_head_name(architecture->head_name);
}

absl::StatusOr<std::vector<ModelRow>> FromSql(const std::vector<SqlRow>& rows) {
  std::vector<ModelRow> models;
  models.reserve(rows.size());
  for (const SqlRow& row : rows) {
    ModelRow model{.order = row.Int(0), .request_digest = row.Text(2)};
    if (!model.model.ParseFromString(row.Bytes(1))) {
      return absl::DataLossError(
          StrCat("row ", model.order, " of the models table cannot be read; restore the data directory from a backup"));
    }
    Complete(&model.model);
    models.push_back(std::move(model));
  }
  return models;
}

absl::StatusOr<std::optional<ModelRow>> First(const std::vector<SqlRow>& rows) {
  ATTUNE_ASSIGN_OR_RETURN(std::vector<ModelRow> models, FromSql(rows));
  if (models.empty()) return std::nullopt;
  return std::move(models.front());
}

}  // namespace

absl::Status ModelRows::Migrate() { return database_.Migrate("catalogue", Migrations()); }

absl::Status ModelRows::Insert(const std::string& id, const v1::Model& model, const std::string& request_id,
                               const std::string& request_digest) {
  const SqlValue request = request_id.empty() ? SqlValue(nullptr) : SqlValue(request_id);
  return database_
      .Execute("INSERT INTO models(id, resource, request_id, request_digest, project) VALUES(?, ?, ?, ?, ?)",
               {id, Blob{model.SerializeAsString()}, request, request_digest, ProjectOrDefault(model.project())})
      .status();
}

absl::StatusOr<std::optional<ModelRow>> ModelRows::FindById(const std::string& id) {
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<SqlRow> rows, database_.Query(StrCat(kSelect, "WHERE id = ?"), {id}));
  return First(rows);
}

absl::StatusOr<std::optional<ModelRow>> ModelRows::FindByRequestId(const std::string& request_id) {
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<SqlRow> rows,
                          database_.Query(StrCat(kSelect, "WHERE request_id = ?"), {request_id}));
  return First(rows);
}

absl::StatusOr<std::vector<ModelRow>> ModelRows::List(const ProjectSet& projects, int64_t before, int limit) {
  const int64_t below = before == 0 ? INT64_MAX : before;
  ATTUNE_ASSIGN_OR_RETURN(
      const std::vector<SqlRow> rows,
      database_.Query(StrCat(kSelect, "WHERE creation_order < ?", InProjects(projects), " ORDER BY creation_order DESC LIMIT ?"), ArgumentsOf(projects, {below}, int64_t{limit})));
  return FromSql(rows);
}

absl::StatusOr<std::vector<std::string>> ModelRows::Ids() {
  ATTUNE_ASSIGN_OR_RETURN(const std::vector<SqlRow> rows, database_.Query("SELECT id FROM models"));
  std::vector<std::string> ids;
  for (const SqlRow& row : rows) ids.push_back(row.Text(0));
  return ids;
}

absl::StatusOr<bool> ModelRows::Delete(const std::string& id) {
  ATTUNE_ASSIGN_OR_RETURN(const int64_t changed, database_.Execute("DELETE FROM models WHERE id = ?", {id}));
  return changed > 0;
}

}  // namespace attune::catalogue
