#include "server/datasets/dataset_table.h"

#include <utility>

#include "server/base/status_macros.h"
#include "server/base/str_cat.h"
#include "server/database/project_clause.h"

namespace attune::datasets {
namespace {

constexpr char kColumns[] = "id, request_id, request_digest, interrupted, resource";

// Never change one that was released; append.
const std::vector<std::string>& Migrations() {
  static const auto& migrations = *new std::vector<std::string>{
      R"sql(
      CREATE TABLE datasets(
        sequence INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        request_id TEXT UNIQUE,        -- NULL: none
        request_digest TEXT NOT NULL,
        interrupted INTEGER NOT NULL,
        resource BLOB NOT NULL         -- attune.v1.Dataset
      );
      )sql",
      "ALTER TABLE datasets ADD COLUMN project TEXT NOT NULL DEFAULT 'default'"};
  return migrations;
}

absl::StatusOr<v1::Dataset> Parse(const std::string& bytes) {
  v1::Dataset dataset;
  if (!dataset.ParseFromString(bytes))
    return absl::DataLossError("a row of the table datasets is damaged: restore the database from a backup");
  if (dataset.modality().empty()) dataset.set_modality("text");  // written before there were images
  if (dataset.project().empty()) dataset.set_project(std::string(kDefaultProject));
  return dataset;
}

absl::StatusOr<DatasetRow> ToRow(const SqlRow& row) {
  ATTUNE_ASSIGN_OR_RETURN(v1::Dataset dataset, Parse(row.Bytes(4)));
  return DatasetRow{row.Text(0), row.Text(1), row.Text(2), row.Int(3) != 0, std::move(dataset)};
}

}  // namespace

absl::Status DatasetTable::Migrate() { return database_.Migrate("datasets", Migrations()); }

absl::StatusOr<std::optional<DatasetRow>> DatasetTable::FindBy(const std::string& column, const std::string& value) {
  ATTUNE_ASSIGN_OR_RETURN(
      const auto rows, database_.Query(StrCat("SELECT ", kColumns, " FROM datasets WHERE ", column, " = ?"), {value}));
  if (rows.empty()) return std::optional<DatasetRow>();
  ATTUNE_ASSIGN_OR_RETURN(DatasetRow row, ToRow(rows[0]));
  return std::optional<DatasetRow>(std::move(row));
}

absl::StatusOr<std::optional<DatasetRow>> DatasetTable::FindById(const std::string& id) { return FindBy("id", id); }

absl::StatusOr<std::optional<DatasetRow>> DatasetTable::FindByRequestId(const std::string& request_id) {
  return FindBy("request_id", request_id);
}

absl::StatusOr<std::vector<DatasetRow>> DatasetTable::All() {
  ATTUNE_ASSIGN_OR_RETURN(const auto rows,
                          database_.Query(StrCat("SELECT ", kColumns, " FROM datasets ORDER BY sequence")));
  std::vector<DatasetRow> all;
  for (const SqlRow& row : rows) {
    ATTUNE_ASSIGN_OR_RETURN(all.emplace_back(), ToRow(row));
  }
  return all;
}

absl::StatusOr<std::vector<std::string>> DatasetTable::Ids(const std::string& project) {
  ATTUNE_ASSIGN_OR_RETURN(const auto rows, database_.Query("SELECT id FROM datasets WHERE project = ?", {project}));
  std::vector<std::string> ids;
  for (const SqlRow& row : rows) ids.push_back(row.Text(0));
  return ids;
}

absl::Status DatasetTable::Put(const DatasetRow& row) {
  Transaction tx = database_.Begin();
  ATTUNE_RETURN_IF_ERROR(tx.Execute("DELETE FROM datasets WHERE id = ?", {row.id}).status());
  ATTUNE_RETURN_IF_ERROR(
      tx.Execute("INSERT INTO datasets(id, request_id, request_digest, interrupted, resource, project) VALUES(?, ?, ?, ?, ?, ?)",
                 {row.id, row.request_id.empty() ? SqlValue(nullptr) : SqlValue(row.request_id), row.request_digest,
                  int64_t{row.interrupted}, Blob{row.dataset.SerializeAsString()}, ProjectOrDefault(row.dataset.project())})
          .status());
  return tx.Commit();
}

absl::Status DatasetTable::Update(const std::string& id, const v1::Dataset& dataset, bool interrupted) {
  return database_
      .Execute("UPDATE datasets SET resource = ?, interrupted = ? WHERE id = ?",
               {Blob{dataset.SerializeAsString()}, int64_t{interrupted}, id})
      .status();
}

absl::Status DatasetTable::Delete(const std::string& id) {
  return database_.Execute("DELETE FROM datasets WHERE id = ?", {id}).status();
}

absl::StatusOr<std::vector<DatasetTable::Entry>> DatasetTable::List(const ProjectSet& projects, int64_t before, int32_t limit) {
  ATTUNE_ASSIGN_OR_RETURN(const auto rows, database_.Query(StrCat("SELECT sequence, resource FROM datasets WHERE sequence < ?", InProjects(projects), " ORDER BY sequence DESC LIMIT ?"),
                                                           ArgumentsOf(projects, {before}, int64_t{limit})));
  std::vector<Entry> entries;
  for (const SqlRow& row : rows) {
    ATTUNE_ASSIGN_OR_RETURN(v1::Dataset dataset, Parse(row.Bytes(1)));
    entries.push_back({row.Int(0), std::move(dataset)});
  }
  return entries;
}

}  // namespace attune::datasets
