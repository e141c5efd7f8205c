// The catalogue's table in the shared Database: one row for each model, holding the public message. For this folder
// only. Thread-safe.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attune/v1/model.pb.h"
#include "server/base/projects.h"
#include "server/database/database.h"

namespace attune::catalogue {

struct ModelRow {
  int64_t order = 0;  // of creation
  v1::Model model;
  std::string request_digest;
};

class ModelRows {
 public:
  explicit ModelRows(Database& database) : database_(database) {}
  absl::Status Migrate();
  // ALREADY_EXISTS when the id or the request_id (unless empty) is taken.
  absl::Status Insert(const std::string& id, const v1::Model& model, const std::string& request_id,
                      const std::string& request_digest);
  absl::StatusOr<std::optional<ModelRow>> FindById(const std::string& id);
  absl::StatusOr<std::optional<ModelRow>> FindByRequestId(const std::string& request_id);
  // Of `projects`, newest first, older than `before` (0: from the newest on), at most `limit`.
  absl::StatusOr<std::vector<ModelRow>> List(const ProjectSet& projects, int64_t before, int limit);
  absl::StatusOr<std::vector<std::string>> Ids();
  absl::StatusOr<bool> Delete(const std::string& id);  // whether it was there

 private:
  Database& database_;
};

}  // namespace attune::catalogue
