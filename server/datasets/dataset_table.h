// DatasetTable: the rows of datasets in the Database. Thread-safe, as the Database is; errors are its own.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attune/v1/dataset.pb.h"
#include "server/base/projects.h"
#include "server/database/database.h"

namespace attune::datasets {

struct DatasetRow {
  std::string id;
  std::string request_id;      // empty: none
  std::string request_digest;  // of the request without its request_id
  bool interrupted = false;    // FAILED through no fault of the data: the same request may run again
  v1::Dataset dataset;
};

class DatasetTable {
 public:
  explicit DatasetTable(Database& database) : database_(database) {}
  absl::Status Migrate();

  absl::StatusOr<std::optional<DatasetRow>> FindById(const std::string& id);
  absl::StatusOr<std::optional<DatasetRow>> FindByRequestId(const std::string& request_id);
  absl::StatusOr<std::vector<DatasetRow>> All();
  absl::StatusOr<std::vector<std::string>> Ids(const std::string& project);

  // Takes the place of a row with the same id, as the newest.
  absl::Status Put(const DatasetRow& row);
  // Keeps the row's place in the order. OK, without effect, when there is no such row.
  absl::Status Update(const std::string& id, const v1::Dataset& dataset, bool interrupted);
  absl::Status Delete(const std::string& id);

  struct Entry {
    int64_t sequence = 0;
    v1::Dataset dataset;
  };
  // Of `projects`, newest first: up to `limit` entries with a sequence below `before`.
  absl::StatusOr<std::vector<Entry>> List(const ProjectSet& projects, int64_t before, int32_t limit);

 private:
  absl::StatusOr<std::optional<DatasetRow>> FindBy(const std::string& column, const std::string& value);

  Database& database_;
};

}  // namespace attune::datasets
