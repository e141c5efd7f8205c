#include "server/training/worker/enter_sandbox.h"

#include <cstdlib>
#include <filesystem>

#include "server/base/fault_point.h"
#include "server/base/status_macros.h"

namespace attune::training {
namespace {

std::string Variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

absl::StatusOr<workers::Sandbox> EnterSandbox(const std::string& server_address) {
  const std::string mode = Variable("ATTUNE_WORKER_SANDBOX");
  workers::SandboxOptions options = {.mode = mode.empty() ? "off" : mode, .data_directory = Variable("ATTUNE_WORKER_DATA"), .internet = server_address.rfind("unix:", 0) != 0};
  if (const std::string user = Variable("ATTUNE_WORKER_USER"); !user.empty()) {
    ATTUNE_ASSIGN_OR_RETURN(options.user, workers::WorkerUser::FromText(user));
  }
  if (FaultPointsArmed()) options.remove_from.push_back(std::filesystem::path(Variable("ATTUNE_FAULT_TOKEN")).parent_path().string());
  return workers::Sandbox::Enter(options);
}

}  // namespace attune::training
