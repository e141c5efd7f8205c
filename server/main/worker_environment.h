// What the server gives its workers in their environment, and what it says of their sandbox.
//
//   ATTUNE_ASSIGN_OR_RETURN(const workers::WorkerUser user, ChooseWorkerUser(options.workers, data_directory));
//   launcher_options.extra_env = WorkerEnvironment(options.workers, user, data_directory);
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "attune/v1/system.pb.h"
#include "server/main/options.h"
#include "server/workers/sandbox/worker_user.h"

namespace attune {

std::vector<std::pair<std::string, std::string>> WorkerEnvironment(const WorkerOptions& options, const workers::WorkerUser& user, const std::string& data_directory);

// Whom workers run as: worker_user where the server is root, else the server's own (uid 0 in the answer), as with worker_sandbox "off". Where root may not become them, or they cannot write to
// jobs and feature-cache below `data_directory`, which must be there and become 0700, a line in the log says so, or FAILED_PRECONDITION when the sandbox is "required". NOT_FOUND for a user that this machine does not have.
absl::StatusOr<workers::WorkerUser> ChooseWorkerUser(const WorkerOptions& options, const std::string& data_directory);

// What this kernel makes of worker_sandbox; a line in the log says it. FAILED_PRECONDITION when it must have more.
absl::StatusOr<v1::WorkerSandbox> DescribeSandbox(const WorkerOptions& options, const workers::WorkerUser& user);

}  // namespace attune
