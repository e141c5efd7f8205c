// A worker's sandbox as its server asks for it in the environment: ATTUNE_WORKER_SANDBOX (the mode; absent: off) and ATTUNE_WORKER_DATA (the server's data directory).
//
//   ATTUNE_ASSIGN_OR_RETURN(workers::Sandbox sandbox, EnterSandbox("unix:/var/lib/attune/workers.sock"));
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "server/workers/sandbox/sandbox.h"

namespace attune::training {

// At the start of main, after ArmFaultPoints: what a fault point removes stays removable. Errors are those of Sandbox::Enter; the process must end then.
absl::StatusOr<workers::Sandbox> EnterSandbox(const std::string& server_address);

}  // namespace attune::training
