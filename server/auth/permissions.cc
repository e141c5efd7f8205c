#include "server/auth/permissions.h"

#include <algorithm>

namespace attune::auth {
namespace {

constexpr Permission Read(std::string_view method) { return {.method = method, .scope = Scope::kRead}; }
constexpr Permission Work(std::string_view method) { return {.method = method, .scope = Scope::kWrite}; }
constexpr Permission Change(std::string_view method) { return {.method = method, .scope = Scope::kWrite, .audited = true}; }
constexpr Permission Admin(std::string_view method) { return {.method = method, .scope = Scope::kAdmin, .audited = true}; }
constexpr Permission Open(std::string_view method) { return {.method = method, .scope = Scope::kRead, .open = true}; }

std::vector<Permission> MakeTable() {
  std::vector<Permission> table = {
      Admin("attune.v1.AdminService/CreateBackup"),
      Admin("attune.v1.AdminService/CreateToken"),
      Admin("attune.v1.AdminService/ListTokens"),
      Admin("attune.v1.AdminService/RevokeToken"),

      Read("attune.v1.CheckpointService/GetCheckpoint"),
      Read("attune.v1.CheckpointService/ListCheckpoints"),
      Read("attune.v1.CheckpointService/DownloadCheckpointFile"),
      Change("attune.v1.CheckpointService/UpdateCheckpoint"),
      Change("attune.v1.CheckpointService/DeleteCheckpoint"),

      Change("attune.v1.DatasetService/ImportDataset"),
      Read("attune.v1.DatasetService/GetDataset"),
      Read("attune.v1.DatasetService/ListDatasets"),
      Change("attune.v1.DatasetService/DeleteDataset"),
      Read("attune.v1.DatasetService/PreviewRows"),

      Change("attune.v1.FineTuningJobService/CreateFineTuningJob"),
      Work("attune.v1.FineTuningJobService/PlanFineTuningJob"),
      Read("attune.v1.FineTuningJobService/GetFineTuningJob"),
      Read("attune.v1.FineTuningJobService/ListFineTuningJobs"),
      Change("attune.v1.FineTuningJobService/CancelFineTuningJob"),
      Change("attune.v1.FineTuningJobService/PauseFineTuningJob"),
      Change("attune.v1.FineTuningJobService/ResumeFineTuningJob"),
      Change("attune.v1.FineTuningJobService/UpdateFineTuningJob"),
      Change("attune.v1.FineTuningJobService/DeleteFineTuningJob"),
      Read("attune.v1.FineTuningJobService/WatchFineTuningJob"),
      Read("attune.v1.FineTuningJobService/ListJobEvents"),
      Read("attune.v1.FineTuningJobService/ListJobMetrics"),

      Change("attune.v1.ModelService/ImportModel"),
      Read("attune.v1.ModelService/GetModel"),
      Read("attune.v1.ModelService/ListModels"),
      Change("attune.v1.ModelService/DeleteModel"),
      Read("attune.v1.ModelService/DescribeLayers"),
      Read("attune.v1.ModelService/ListArchitectures"),

      Work("attune.v1.PredictionService/Predict"),
      Work("attune.v1.PredictionService/Evaluate"),

      Read("attune.v1.SystemService/GetServerInfo"),
      Read("attune.v1.SystemService/ListDevices"),

      Change("attune.v1.UploadService/CreateUpload"),
      Read("attune.v1.UploadService/GetUpload"),
      Change("attune.v1.UploadService/WriteUpload"),
      Change("attune.v1.UploadService/DeleteUpload"),

      Open("grpc.health.v1.Health/Check"),
      Open("grpc.health.v1.Health/Watch"),
      Open("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
      Open("grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
  };
  std::sort(table.begin(), table.end(), [](const Permission& a, const Permission& b) { return a.method < b.method; });
  return table;
}

}  // namespace

const std::vector<Permission>& Permissions() {
  static const std::vector<Permission>& table = *new std::vector<Permission>(MakeTable());
  return table;
}

Permission PermissionFor(std::string_view method) {
  if (!method.empty() && method.front() == '/') method.remove_prefix(1);
  const auto found = std::lower_bound(Permissions().begin(), Permissions().end(), method, [](const Permission& entry, std::string_view name) { return entry.method < name; });
  if (found != Permissions().end() && found->method == method) return *found;
  return {.scope = Scope::kAdmin, .audited = true};
}

}  // namespace attune::auth
